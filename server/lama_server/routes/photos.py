"""The photos of the folder that --input names, for the page's gallery."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from .. import errors
from ..http.streams import PICTURE_HEADERS, WholeFile
from ..schemas.replies import ImageReply, PhotoReply, PhotosReply
from ..schemas.requests import PhotoRequest
from .common import BODY, FIELDS, IMAGE, JOB, Found, Private, json_body, json_request, problems
from .images import image_reply

router = APIRouter(prefix="/api/v1/photos", tags=["photos"])

THUMBNAIL_PX = 384


@router.get("", responses=problems(errors.RootUnavailable))
async def photos(found: Found) -> PhotosReply:
    """Lists the folder, by name. Nothing is opened for it, so that thousands of photos take a moment."""
    entries = await asyncio.to_thread(found.media.photos)
    results = await asyncio.to_thread(found.media.results, entries)
    rows = [
        PhotoReply(
            name=entry.name,
            size_bytes=entry.size_bytes,
            changed_s=entry.changed_ns / 1e9,
            version=entry.version,
            result=result.name if (result := results.get(entry.name)) else None,
            result_version=result.version if result else None,
        )
        for entry in entries
    ]
    return PhotosReply(folder=found.config_reply().input_dir or "", photos=rows)


@router.get(
    "/thumbnail",
    response_class=Response,
    responses={
        200: {"description": "JPEG, or PNG when it has transparency.", "content": {"image/jpeg": {}, "image/png": {}}},
        **problems(errors.FileMissing, errors.FieldMissing, errors.ParamUnknownValue, *IMAGE, *JOB),
    },
)
async def thumbnail(
    found: Found,
    work: Private,
    name: str,
    of: Annotated[Literal["photo", "result"], Query(description="Which folder the name is in.")] = "photo",
    version: Annotated[str, Query(description="As listed: the answer is then good for ever.")] = "",
) -> Response:
    """A photo of the folder, or a result, 384 pixels wide. A broken file is answered with what is wrong with it."""
    file = await asyncio.to_thread(found.media.open, "input" if of == "photo" else "output", name)
    with file.stream:
        made = await work.thumbnail(file.stream, THUMBNAIL_PX, 0)
    lasting = "private, max-age=31536000, immutable" if version == file.version else "private, no-cache"
    return WholeFile(work.target, made.media_type, {**PICTURE_HEADERS, "cache-control": lasting})


@router.post(
    "",
    openapi_extra=json_request(PhotoRequest),
    responses=problems(errors.FileMissing, *BODY, *FIELDS, *IMAGE, *JOB),
)
async def take(request: Request, found: Found) -> ImageReply:
    """Take a photo of the folder in, as if it had been sent. The file itself is only read."""
    name = (await json_body(request, PhotoRequest, found.limits)).name
    file = await asyncio.to_thread(found.media.open, "input", name)
    with file.stream:
        image = await found.documents.add_stream(file.stream, name[: found.limits.name_chars], file.size_bytes)
    return image_reply(found, image)
