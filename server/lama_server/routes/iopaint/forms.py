"""The endpoints of lama-cleaner, IOPaint's predecessor, that scripts call: multipart forms, names in camel case."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from inpaint_models.registry import ModelEntry

from ...errors import BodyUnsupportedType, ParamWrongType
from ...http.forms import file_field, multipart, optional_file_field, text_field
from ...http.strict_json import parse
from ..common import Found, Private, Reserved, content_type
from .common import whole_picture
from .inpaint import filled, planned, put_example
from .models import GIVES_IMAGE, GIVES_MASK
from .plugins import checked, remake, select

router = APIRouter()

MAX_FIELDS = 64
"""Its page sends 36."""

EXAMPLE = "paintByExampleImage"

NUMBERS = {
    "sdSeed": "sd_seed",
    "cv2Radius": "cv2_radius",
    "ldmSteps": "ldm_steps",
    "hdStrategyCropMargin": "hd_strategy_crop_margin",
    "hdStrategyCropTrigerSize": "hd_strategy_crop_trigger_size",
    "hdStrategyResizeLimit": "hd_strategy_resize_limit",
}
WORDS = {
    "cv2Flag": "cv2_flag",
    "ldmSampler": "ldm_sampler",
    "hdStrategy": "hd_strategy",
    "prompt": "prompt",
    "negativePrompt": "negative_prompt",
}
"""lama-cleaner's name of an option that counts -> IOPaint's."""

STEPPED = {
    "strength": {
        "sdSteps": "sd_steps",
        "sdGuidanceScale": "sd_guidance_scale",
        "sdStrength": "sd_strength",
        "sdMaskBlur": "sd_mask_blur",
    },
    "example": {
        "paintByExampleSteps": "sd_steps",
        "paintByExampleGuidanceScale": "sd_guidance_scale",
        "paintByExampleSeed": "sd_seed",
        "paintByExampleMaskBlur": "sd_mask_blur",
    },
    "image_guidance": {
        "p2pSteps": "sd_steps",
        "p2pGuidanceScale": "sd_guidance_scale",
        "p2pImageGuidanceScale": "p2p_image_guidance_scale",
    },
}
"""The same of diffusion models, by a parameter that only one kind of them has."""

SAMPLERS = {
    "ddim": "DDIM",
    "pndm": "PNDM",
    "k_euler": "Euler",
    "k_euler_a": "Euler a",
    "dpm++": "DPM++ 2M",
    "uni_pc": "UniPC",
}
"""lama-cleaner's samplers, but for k_lms, instead of which the model's own is taken."""


@router.post("/inpaint")
async def inpaint(request: Request, found: Found, ticket: Reserved, work: Private) -> Response:
    """Fill as lama-cleaner's clients ask for it."""
    check_form(request)
    async with multipart(request, found.limits, work, MAX_FIELDS) as form:
        image, mask = file_field(form, "image"), file_field(form, "mask")
        run = await planned(found.runner, options_of(form, found.manager.current), found.manager.current)
        await work.put_image(image)
        await work.put_mask(mask)
        if example := optional_file_field(form, EXAMPLE):
            await put_example(work, run.use.entry, example, EXAMPLE)
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


def options_of(form: FormData, model: ModelEntry) -> dict[str, Any]:
    """The options that count, under IOPaint's names."""
    takes = {parameter.name for parameter in model.parameters}
    stepped = [names for own, names in STEPPED.items() if own in takes]
    words = {theirs: text_field(form, name) for name, theirs in WORDS.items()}
    words["sd_sampler"] = SAMPLERS.get(text_field(form, "sdSampler") or "")
    numbers = {
        theirs: number(text, name)
        for names in (NUMBERS, *stepped)
        for name, theirs in names.items()
        if (text := text_field(form, name)) is not None
    }
    return {name: text for name, text in words.items() if text is not None} | numbers


def number(text: str, name: str) -> int | float:
    """Raises `ParamWrongType`."""
    try:
        value = float(text)
        return int(value) if value.is_integer() else value
    except (ValueError, OverflowError):
        raise ParamWrongType(f"The field {name!r} must be a number.", pointer=f"/{name}") from None
