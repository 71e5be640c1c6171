"""One request, one picture: for scripts, and for plug-ins written for IOPaint, told apart by the content type."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from .. import errors
from ..codec.info import OUTPUTS
from ..http.forms import file_field, multipart, optional_file_field, text_field
from ..http.streams import PICTURE_HEADERS, WholeFile, unless_disconnected
from ..http.strict_json import parse_object, validated
from ..jobs.autosave import Saved
from ..jobs.runner import OneShot
from ..schemas.base import RenderFormat, ResultKind, wire_box
from ..schemas.requests import OneShotParams
from ..store.documents import MaskName
from .common import BODY, FIELDS, IMAGE, JOB, MODEL, Found, Private, Quality, Reserved, answers, content_type
from .images import JPEG_HEADER, attachment, jpeg_header
from .iopaint.common import errors_as_text
from .iopaint.inpaint import inpaint as fill_as_iopaint

router = APIRouter(prefix="/api/v1", tags=["one shot"])

SOURCES: tuple[MaskName, ...] = ("source_include", "source_exclude")

_FORM = {
    "type": "object",
    "required": ["image", "mask"],
    "properties": {
        "image": {"type": "string", "format": "binary", "description": "The photo."},
        "mask": {"type": "string", "format": "binary", "description": "Of the photo's size; white means fill."},
        "source_include": {"type": "string", "format": "binary", "description": "Like the mask: copy from here only."},
        "source_exclude": {"type": "string", "format": "binary", "description": "Like the mask: never copy from here."},
        "params": {"type": "string", "description": "JSON of `OneShotParams`."},
    },
}


@router.post(
    "/inpaint",
    response_class=Response,
    dependencies=[Depends(errors_as_text)],
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
    responses=answers(
        "The finished picture, or a PNG of the part of it around all that was changed: X-Box says where that lies, as "
        "`x=20, y=16, w=24, h=20`. X-Model, X-Seed, X-Job-Id and Server-Timing say how it was made; X-Saved-As or "
        f"X-Save-Error what auto-save did. {JPEG_HEADER}",
        {f"image/{name}": None for name in OUTPUTS},
        *(errors.MultipartMalformed, errors.TooManyFiles, errors.TooManyFields),
        *(errors.FieldDuplicate, errors.FieldTooLarge, errors.FieldNotAFile),
        *(*IMAGE, *MODEL, *JOB, *BODY, *FIELDS),
    ),
)
async def inpaint(
    request: Request,
    found: Found,
    ticket: Reserved,
    work: Private,
    wanted: Annotated[RenderFormat, Query(alias="format", description="Default png.")] = "png",
    quality: Quality = None,
    result: Annotated[ResultKind, Query(description="`patch`: only what changed, not saved by auto-save.")] = "image",
) -> Response:
    """Send a photo, or a part of one, and a mask; get it with the masked part filled. Nothing is kept.

    A `patch` is a PNG of the photo's own depth, 8 or 16 bit, grey and with alpha where the photo is.
    """
    kind = content_type(request)
    if kind == "application/json":
        return await fill_as_iopaint(request, found, ticket, work)
    if kind != "multipart/form-data":
        raise errors.BodyUnsupportedType(
            "Send multipart/form-data with the files image and mask.",
            headers=(("accept", "multipart/form-data"),),
        )
    async with multipart(request, found.limits, work) as form:
        image, mask = file_field(form, "image"), file_field(form, "mask")
        given = parse_object(text_field(form, "params") or "{}", max_depth=found.limits.json_depth, where="/params")
        sources = {name: file for name in SOURCES if (file := optional_file_field(form, name))}
        run = await found.runner.plan_one_shot(validated(OneShotParams, given, "/params"), "/params", tuple(sources))
        await work.put_image(image)
        await work.put_mask(mask)
        for name, file in sources.items():
            await work.put_mask(file, name)
        filename = image.filename or ""
    shot = await unless_disconnected(request, found.runner.one_shot(ticket, work, run))
    ticket.release()
    if result == "patch":
        await work.crop(shot.box)
        where = ", ".join(f"{name}={value}" for name, value in wire_box(shot.box).items())
        return WholeFile(work.target, "image/png", {"x-box": where, **describing(shot, Saved(), ticket.id)})
    rendered = await work.render(wanted, quality)
    saved = await found.saves.save(work.picture, filename)
    headers = {
        "content-disposition": attachment(filename or "image", rendered.suffix),
        **PICTURE_HEADERS,
        **describing(shot, saved, ticket.id),
        **jpeg_header(rendered),
    }
    return WholeFile(work.target, rendered.media_type, headers)


def describing(shot: OneShot, saved: Saved, job: str) -> dict[str, str]:
    """Headers that say how a picture was made and where it was saved."""
    headers = {
        "x-model": shot.model,
        "x-seed": str(shot.seed),
        "x-job-id": job,
        "server-timing": ", ".join(f"{stage};dur={ms:.1f}" for stage, ms in shot.timing.items()),
    }
    if saved.name is not None:
        headers["x-saved-as"] = quote(saved.name)
    if saved.problem is not None:
        headers["x-save-error"] = saved.problem.code
    return headers
