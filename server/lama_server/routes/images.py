"""Photos: sent once as they are, described, shown small, and rendered with edits over them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from .. import errors
from ..http.streams import WholeFile
from ..jobs.services import Services
from ..schemas.base import RENDER_FORMATS
from ..schemas.replies import ImageReply
from ..settings import Limits
from ..store.image_store import StoredImage
from .common import IMAGE, JOB, integer, problems, query_parameter, render_format, services

router = APIRouter(prefix="/api/v1/images", tags=["images"])

PREVIEW_SIDES = (128, 256, 512, 1024, 2048, 4096)
MAX_EDITS = Limits().parents

SHOWN = (errors.ImageNotFound, errors.EditNotFound, errors.EditOnOtherCanvas, errors.ParamTooLong)
"""What asking for a photo with edits over it may end in."""

EDITS = query_parameter("edits", "Edit ids in drawing order, separated by commas.", {"type": "string"})


@router.post(
    "",
    responses=problems(*IMAGE, *JOB, errors.UploadTimeout),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        "parameters": [query_parameter("name", "The file's name; results are saved under it.", {"type": "string"})],
    },
)
async def upload(request: Request) -> ImageReply:
    """Send the bytes of an image file. The same bytes twice are one image."""
    found = services(request)
    name = request.query_params.get("name", "")[: found.limits.name_chars]
    return image_reply(found, await found.documents.add_image(request.stream(), name))


@router.head("/{image}", include_in_schema=False)
@router.get("/{image}", responses=problems(errors.ImageNotFound))
async def describe(request: Request, image: str) -> ImageReply:
    """What the server knows about an image; 404 means: send it again."""
    found = services(request)
    return image_reply(found, found.documents.image(image))


@router.get(
    "/{image}/preview",
    response_class=Response,
    responses={
        200: {"description": "JPEG, or PNG when it has transparency.", "content": {"image/jpeg": {}, "image/png": {}}},
        **problems(*SHOWN, errors.ParamUnknownValue, errors.ParamWrongType, *JOB),
    },
    openapi_extra={
        "parameters": [
            EDITS,
            query_parameter("max", "Longest side in pixels.", {"type": "integer", "enum": list(PREVIEW_SIDES)}),
        ]
    },
)
async def preview(request: Request, image: str) -> Response:
    """The photo with edits over it, small; without edits for browsers that cannot decode the file."""
    documents = services(request).documents
    text = request.query_params.get("max")
    side = integer(text, "max", 1, PREVIEW_SIDES[-1]) if text is not None else 2048
    if side not in PREVIEW_SIDES:
        sides = ", ".join(str(option) for option in PREVIEW_SIDES)
        raise errors.ParamUnknownValue(f"max must be one of {sides}.", pointer="/max")
    file, rendered = await documents.preview(documents.image(image), edit_ids(request), side)
    return _once(file, rendered.media_type, {"cache-control": "private, max-age=31536000, immutable"})


@router.get(
    "/{image}/render",
    response_class=Response,
    responses={
        200: {
            "description": "The finished picture.",
            "content": {f"image/{name}": {} for name in ("png", "jpeg", "webp", "tiff", "bmp")},
        },
        **problems(
            *SHOWN,
            errors.ParamUnknownValue,
            errors.ParamOutOfRange,
            errors.ParamWrongType,
            errors.ParamInvalid,
            *JOB,
        ),
    },
    openapi_extra={
        "parameters": [
            EDITS,
            query_parameter(
                "format",
                "keep: as the photo was; PNG where edits made it transparent and it was a JPEG.",
                {"type": "string", "enum": list(RENDER_FORMATS)},
            ),
            query_parameter("quality", "For JPEG and WebP.", {"type": "integer", "minimum": 1, "maximum": 100}),
        ]
    },
)
async def render(request: Request, image: str) -> Response:
    """The original with edits over it, at its own depth and with its metadata."""
    documents = services(request).documents
    record = documents.image(image)
    edits = edit_ids(request)
    wanted = render_format(request.query_params.get("format"), "keep")
    quality = integer(request.query_params.get("quality"), "quality", 1, 100)
    file, rendered = await documents.render(record, edits, wanted, quality)
    return _once(file, rendered.media_type, {"content-disposition": attachment(record.name, rendered.suffix)})


def image_reply(found: Services, image: StoredImage) -> ImageReply:
    """An image as the page wants to know it."""
    info = image.info
    return ImageReply(
        id=image.id,
        name=image.name,
        width=info.width,
        height=info.height,
        format=info.format,
        bit_depth=info.bit_depth,
        has_alpha=info.has_alpha,
        icc=info.has_icc,
        browsers_agree=info.browsers_agree,
        size_bytes=found.documents.original_bytes(image),
    )


def edit_ids(request: Request) -> list[str]:
    """The ids in the query value `edits`. Raises param.too_long."""
    ids = [part for part in request.query_params.get("edits", "").split(",") if part]
    if len(ids) > MAX_EDITS:
        raise errors.ParamTooLong(f"There are {len(ids)} edits; the limit is {MAX_EDITS}.", pointer="/edits")
    return ids


def attachment(name: str, suffix: str) -> str:
    """A Content-Disposition that no name can break out of."""
    stem = Path(name.replace("\\", "/")).stem or "image"
    return f"attachment; filename*=UTF-8''{quote(stem + suffix, safe='')}"


def _once(file: Path, media_type: str, headers: dict[str, str]) -> Response:
    """A file that is deleted when it was sent. Whatever is in it, a browser treats it as nothing but a picture."""
    safe = {**headers, "content-security-policy": "sandbox; default-src 'none'"}
    return WholeFile(file, media_type, safe, lambda: file.unlink(missing_ok=True))
