"""The addresses of lama-cleaner, IOPaint's predecessor, that scripts call: multipart forms, names in camel case."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from ...errors import BodyUnsupportedType, ParamWrongType
from ...http.forms import file_field, multipart, text_field
from ...http.strict_json import parse
from ..common import Found, Private, Reserved, content_type
from .common import whole_picture
from .inpaint import filled, planned
from .models import GIVES_IMAGE, GIVES_MASK
from .plugins import checked, remake, select

router = APIRouter()

MAX_FIELDS = 64
"""Its page sends 36."""

NUMBERS = {
    "sdSeed": "sd_seed",
    "cv2Radius": "cv2_radius",
    "ldmSteps": "ldm_steps",
    "hdStrategyCropMargin": "hd_strategy_crop_margin",
    "hdStrategyCropTrigerSize": "hd_strategy_crop_trigger_size",
    "hdStrategyResizeLimit": "hd_strategy_resize_limit",
}
WORDS = {"cv2Flag": "cv2_flag", "ldmSampler": "ldm_sampler", "hdStrategy": "hd_strategy"}
"""lama-cleaner's name of an option that counts -> IOPaint's."""


@router.post("/inpaint")
async def inpaint(request: Request, found: Found, ticket: Reserved, work: Private) -> Response:
    """Fill as lama-cleaner's clients ask for it."""
    check_form(request)
    async with multipart(request, found.limits, work, MAX_FIELDS) as form:
        image, mask = file_field(form, "image"), file_field(form, "mask")
        run = await planned(found.runner, options_of(form), found.manager.current)
        await work.put_image(image)
        await work.put_mask(mask)
    return await filled(request, found, ticket, work, run)


@router.post("/run_plugin")
async def run_plugin(request: Request, found: Found, ticket: Reserved, work: Private) -> Response:
    """A plugin's answer: a grey mask of what was clicked on, or the picture made anew."""
    check_form(request)
    async with multipart(request, found.limits, work, MAX_FIELDS) as form:
        image = file_field(form, "image")
        fields: dict[str, Any] = {"name": text_field(form, "name")}
        if (clicks := text_field(form, "clicks")) is not None:
            fields["clicks"] = parse(clicks, max_depth=found.limits.json_depth, where="/clicks")
        if (upscale := text_field(form, "upscale")) is not None:
            fields["scale"] = number(upscale, "upscale")
        asked = checked(found, fields, (*GIVES_IMAGE, *GIVES_MASK), "anything")
        source = await image.read()
        await work.put_image(source)
    if asked.name == "InteractiveSeg":
        return Response(await select(request, found, ticket, work, asked, source), media_type="image/png")
    await remake(request, found, ticket, work, asked)
    return await whole_picture(work, {})


def check_form(request: Request) -> None:
    """Raises `BodyUnsupportedType`."""
    if content_type(request) != "multipart/form-data":
        raise BodyUnsupportedType("Send multipart/form-data.", headers=(("accept", "multipart/form-data"),))


def options_of(form: FormData) -> dict[str, Any]:
    """The options that count, under IOPaint's names."""
    words = {theirs: text_field(form, name) for name, theirs in WORDS.items()}
    numbers = {theirs: text_field(form, name) for name, theirs in NUMBERS.items()}
    return {
        **{name: text for name, text in words.items() if text is not None},
        **{name: number(text, name) for name, text in numbers.items() if text is not None},
    }


def number(text: str, name: str) -> int | float:
    """Raises `ParamWrongType`."""
    try:
        value = float(text)
        return int(value) if value.is_integer() else value
    except (ValueError, OverflowError):
        raise ParamWrongType(f"The field {name!r} must be a number.", pointer=f"/{name}") from None
