"""What the endpoints of IOPaint share: errors in its form, pictures in base64, and answers that are pictures."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

from fastapi import Request, Response

from ...errors import FieldMissing, ParamInvalid, ParamWrongType
from ...http.streams import PICTURE_HEADERS, WholeFile
from ...http.strict_json import parse_object
from ...settings import Limits
from ...store.documents import Workspace
from ..common import check_json, content_type
from ..images import jpeg_header


async def errors_as_text(request: Request) -> None:
    """Errors of this request carry one sentence as `errors`, which is what IOPaint's page shows.

    `POST /api/v1/inpaint` is told apart by the content type.
    """
    if request.url.path != "/api/v1/inpaint" or content_type(request) == "application/json":
        request.scope["state"]["errors_as_text"] = True


async def json_body(request: Request, limits: Limits) -> dict[str, Any]:
    """The body, parsed in a thread: pictures as text are tens of megabytes. Raises as `common.json_object`."""
    check_json(request)
    return await asyncio.to_thread(parse_object, await request.body(), max_depth=limits.json_depth)


async def picture(body: dict[str, Any], name: str) -> bytes:
    """The bytes of a base64 field, with or without a data URL's head. Raises `FieldMissing`, `ParamInvalid`."""
    text = body.get(name)
    if not isinstance(text, str):
        raise FieldMissing(f"The field {name!r} must be a picture in base64.", pointer=f"/{name}")
    try:
        return await asyncio.to_thread(_decoded, text)
    except (binascii.Error, ValueError):
        raise ParamInvalid(f"The field {name!r} is not valid base64.", pointer=f"/{name}") from None


def _decoded(text: str) -> bytes:
    start = text.index(",") + 1 if text.startswith("data:") else 0
    return base64.b64decode(text[start:].encode("ascii"), validate=True)


def text_of(body: dict[str, Any], name: str) -> str:
    """A text field that must be there. Raises `FieldMissing`, `ParamWrongType`."""
    if name not in body:
        raise FieldMissing(f"The field {name!r} is missing.", pointer=f"/{name}")
    if not isinstance(value := body[name], str):
        raise ParamWrongType(f"The field {name!r} must be text.", pointer=f"/{name}")
    return value


async def whole_picture(work: Workspace, headers: dict[str, str]) -> Response:
    """The workspace's picture in the photo's own format."""
    rendered = await work.render("keep", None)
    return WholeFile(work.target, rendered.media_type, {**PICTURE_HEADERS, **headers, **jpeg_header(rendered)})
