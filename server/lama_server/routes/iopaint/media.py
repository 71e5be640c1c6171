"""IOPaint's file manager: the photos in the folder that --input names, and the results in --output-dir.

Folders are read one file deep, and nothing in them is changed; thumbnails are made when they are asked for.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from ...codec.info import SOURCE_TYPES
from ...http.streams import PICTURE_HEADERS, OpenFile, WholeFile
from ..common import Found, Private

router = APIRouter(prefix="/api/v1")

Tab = Literal["input", "output", "mask"]
Side = Annotated[int, Query(ge=0, le=2048)]


@router.get("/medias")
async def list_media(found: Found, tab: Tab) -> list[dict[str, Any]]:
    """The pictures of a folder, by name; there is no folder of masks. Raises `RootUnavailable`."""
    return [
        {
            "name": item.name,
            "width": item.info.width,
            "height": item.info.height,
            "ctime": item.created_s,
            "mtime": item.changed_s,
        }
        for item in await asyncio.to_thread(found.media.listed, tab)
    ]


@router.get("/media_file")
async def media_file(found: Found, tab: Tab, filename: str) -> Response:
    """A file as it is. Raises `FileMissing`."""
    file = await asyncio.to_thread(found.media.open, tab, filename)
    return OpenFile(file.stream, file.size_bytes, SOURCE_TYPES[file.format], PICTURE_HEADERS)


@router.get("/media_thumbnail_file")
async def thumbnail(
    request: Request, found: Found, work: Private, tab: Tab, filename: str, width: Side = 0, height: Side = 0
) -> Response:
    """The picture made small: as wide as asked, or else as high, or else 256 pixels wide. Raises `FileMissing`.

    A browser that has it already is told so.
    """
    file = await asyncio.to_thread(found.media.open, tab, filename)
    with file.stream:
        tag = f'"{file.version}-{width}-{height}"'
        headers = {**PICTURE_HEADERS, "etag": tag, "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        made = await work.thumbnail(file.stream, width or (0 if height else 256), height)
    return WholeFile(work.target, made.media_type, headers)
