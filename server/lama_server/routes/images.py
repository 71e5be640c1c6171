"""Photos: sent once as they are, described, shown small, and rendered with edits over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from .. import errors
from ..codec.info import ALL_FORMATS, OUTPUTS
from ..http.streams import PICTURE_HEADERS, WholeFile
from ..jobs.services import Services
from ..schemas.base import RenderFormat
from ..schemas.replies import ImageReply, SavedReply
from ..schemas.requests import SaveRequest
from ..settings import Limits
from ..store.image_store import StoredImage
from ..store.space import Scratch
from ..workers.messages import Rendered
from .common import (
    BODY,
    FIELDS,
    IMAGE,
    JOB,
    Found,
    Quality,
    answers,
    declared_bytes,
    json_body,
    json_request,
    problems,
)

router = APIRouter(prefix="/api/v1/images", tags=["images"])

PREVIEW_SIDES = (128, 256, 512, 1024, 2048, 4096)
MAX_EDITS = Limits().parents

SHOWN = (errors.ImageNotFound, errors.EditNotFound, errors.EditOnOtherCanvas, errors.ParamTooLong)
"""What asking for a photo with edits over it may end in."""

EditIds = Annotated[str, Query(alias="edits", description="Edit ids in drawing order, separated by commas.")]


JPEG_HEADER = (
    "For a JPEG of a JPEG, X-Jpeg is `patched` when all blocks that were not edited are as they were, "
    'or `reencoded; reason="..."`.'
)

_KEEP = "keep: as the photo was, and PNG for a JPEG that edits made transparent."


def _one_of_sides(side: int) -> int:
    if side not in PREVIEW_SIDES:
        raise PydanticCustomError("enum", "Input should be one of {sides}", {"sides": str(PREVIEW_SIDES)[1:-1]})
    return side


PreviewSide = Annotated[
    int,
    Query(alias="max", description="Longest side in pixels.", json_schema_extra={"enum": list(PREVIEW_SIDES)}),
    AfterValidator(_one_of_sides),
]


@router.post(
    "",
    responses=problems(*IMAGE, *JOB, errors.UploadTimeout),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def upload(
    request: Request,
    found: Found,
    name: Annotated[str, Query(description="The file's name; results are saved under it.")] = "",
) -> ImageReply:
    """Send the bytes of an image file. The same bytes twice are one image."""
    name = name[: found.limits.name_chars]
    image = await found.documents.add_image(request.stream(), name, declared_bytes(request))
    return image_reply(found, image)


@router.head("/{image}", include_in_schema=False)
@router.get("/{image}", responses=problems(errors.ImageNotFound, errors.StoreUnavailable))
async def describe(found: Found, image: str) -> ImageReply:
    """What the server knows about an image; 404 means: send it again."""
    return image_reply(found, await found.documents.image(image))


@router.get(
    "/{image}/original",
    response_class=Response,
    responses=answers(
        "The file as it was sent.",
        {f"image/{name}": None for name in sorted(ALL_FORMATS)},
        *(errors.ImageNotFound, errors.StoreUnavailable),
    ),
)
async def original(found: Found, image: str) -> Response:
    """The bytes that were sent, for a page that shows a photo which it did not send itself."""
    record = await found.documents.image(image)
    headers = {"content-disposition": attachment(record.name, Path(record.name).suffix), **PICTURE_HEADERS}
    return WholeFile(found.documents.store.original_path(record.id), f"image/{record.info.format}", headers)


@router.get(
    "/{image}/preview",
    response_class=Response,
    responses=answers(
        "JPEG, or PNG when it has transparency.",
        {"image/jpeg": None, "image/png": None},
        *(errors.ParamUnknownValue, errors.ParamWrongType, *SHOWN),
        *JOB,
    ),
)
async def preview(found: Found, image: str, edits: EditIds = "", max_side: PreviewSide = 2048) -> Response:
    """The photo with edits over it, small; without edits, for browsers that cannot decode the file."""
    file, rendered = await found.documents.preview(await found.documents.image(image), edit_ids(edits), max_side)
    return _once(file, rendered.media_type, {"cache-control": "private, max-age=31536000, immutable"})


@router.get(
    "/{image}/render",
    response_class=Response,
    responses=answers(
        f"The finished picture. {JPEG_HEADER}",
        {f"image/{name}": None for name in OUTPUTS},
        *(errors.ParamUnknownValue, errors.ParamOutOfRange, errors.ParamWrongType, errors.ParamInvalid, *SHOWN),
        *JOB,
    ),
)
async def render(
    found: Found,
    image: str,
    edits: EditIds = "",
    wanted: Annotated[RenderFormat, Query(alias="format", description=_KEEP)] = "keep",
    quality: Quality = None,
) -> Response:
    """The original with edits over it, at its own depth and with its metadata."""
    record = await found.documents.image(image)
    file, rendered = await found.documents.render(record, edit_ids(edits), wanted, quality)
    headers = {"content-disposition": attachment(record.name, rendered.suffix), **jpeg_header(rendered)}
    return _once(file, rendered.media_type, headers)


@router.post(
    "/{image}/save",
    openapi_extra=json_request(SaveRequest),
    responses=problems(
        *SHOWN,
        *(kind for kind in errors.SaveError.__subclasses__() if kind is not errors.RootUnavailable),
        *JOB,
        *BODY,
        *FIELDS,
    ),
)
async def save(request: Request, found: Found, image: str) -> SavedReply:
    """Write the photo with edits over it into the output folder, under a new name.

    For edits that were made with `save` false, such as several results of which one was chosen.
    """
    body = await json_body(request, SaveRequest, found.limits)
    record = await found.documents.image(image)
    found.documents.check_room()
    return await found.saves.save_edits(record, body.edits)


def jpeg_header(rendered: Rendered) -> dict[str, str]:
    """How a JPEG was made of a JPEG; nothing for other results."""
    if rendered.patched:
        return {"x-jpeg": "patched"}
    return {"x-jpeg": f"reencoded; reason={json.dumps(rendered.reencoded)}"} if rendered.reencoded else {}


def image_reply(found: Services, image: StoredImage) -> ImageReply:
    """An image as the page wants to know it."""
    size_bytes = found.documents.original_bytes(image)
    return ImageReply.of_record(image.info, id=image.id, name=image.name, icc=image.info.has_icc, size_bytes=size_bytes)


def edit_ids(text: str) -> list[str]:
    """The ids of a comma-separated list. Raises `ParamTooLong`."""
    ids = [part for part in text.split(",") if part]
    if len(ids) > MAX_EDITS:
        raise errors.ParamTooLong(f"There are {len(ids)} edits; the limit is {MAX_EDITS}.", pointer="/edits")
    return ids


def attachment(name: str, suffix: str) -> str:
    """A Content-Disposition that no name can break out of."""
    stem = Path(name.replace("\\", "/")).stem or "image"
    return f"attachment; filename*=UTF-8''{quote(stem + suffix, safe='')}"


def _once(file: Scratch, media_type: str, headers: dict[str, str]) -> Response:
    """A file that is deleted when it was sent."""
    return WholeFile(file.result, media_type, headers | PICTURE_HEADERS, file.close)
