"""IOPaint's own API, so that plug-ins and scripts written for it work unchanged.

Facts from IOPaint's public schema: POST /api/v1/inpaint takes JSON with base64 `image` and `mask` (with or without a
data URL's head) and answers with the picture's bytes and an X-Seed header. `hd_strategy` and its sizes, `sd_seed`,
`cv2_flag`, `cv2_radius`, `ldm_steps` and `ldm_sampler` count; options of diffusion models are taken without effect.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from typing import Any

from fastapi import APIRouter, Request, Response

from inpaint_models.options import SEED_LIMIT

from ..errors import ApiError, FieldMissing, ParamInvalid
from ..http.streams import WholeFile, unless_disconnected
from ..http.strict_json import parse_object, validated
from ..jobs.queue import Ticket
from ..jobs.runner import JobRunner, PlannedRun
from ..jobs.services import Services
from ..schemas.requests import IopaintParams
from ..store.documents import Workspace
from .common import Found, check_json
from .images import jpeg_header

router = APIRouter(prefix="/api/v1", include_in_schema=False)

STRATEGIES = {"Original": "original", "Resize": "resize", "Crop": "crop"}
SIZES = {"crop": ("hd_strategy_crop_margin", "hd_strategy_crop_trigger_size"), "resize": ("hd_strategy_resize_limit",)}
ENGINE_PARAMS = {
    "opencv": {"method": "cv2_flag", "radius": "cv2_radius"},
    "ldm": {"steps": "ldm_steps", "sampler": "ldm_sampler"},
}
"""Model -> our name of a parameter -> IOPaint's."""

CV2_FLAGS = {"INPAINT_TELEA": "telea", "INPAINT_NS": "navier-stokes"}


async def inpaint(request: Request, found: Services, ticket: Ticket, work: Workspace) -> Response:
    """Fill as IOPaint's clients ask for it."""
    text, depth = await request.body(), found.limits.json_depth
    body = await asyncio.to_thread(parse_object, text, max_depth=depth)  # pictures as text: tens of megabytes
    run = planned(found.runner, body, found.manager.current.name)
    await work.put_image(picture(body, "image"))
    await work.put_mask(picture(body, "mask"))
    shot = await unless_disconnected(request, found.runner.one_shot(ticket, work, run))
    ticket.release()
    rendered = await work.render("png", None)
    await found.runner.save_one_shot(work, "image")
    headers = {"x-seed": str(shot.seed), "x-model": shot.model, "x-job-id": ticket.id, **jpeg_header(rendered)}
    return WholeFile(work.target, rendered.media_type, headers)


def picture(body: dict[str, Any], name: str) -> bytes:
    """The bytes of a base64 field. Raises `FieldMissing`, `ParamInvalid`."""
    text = body.get(name)
    if not isinstance(text, str):
        raise FieldMissing(f"The field {name!r} must be a picture in base64.", pointer=f"/{name}")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ParamInvalid(f"The field {name!r} is not valid base64.", pointer=f"/{name}") from None


def one_shot_params(body: dict[str, Any], model: str) -> IopaintParams:
    """IOPaint's options that count, checked. Sizes of a strategy that is not asked for are not looked at."""
    strategy = STRATEGIES.get(str(body.get("hd_strategy")), "auto")
    wanted = {
        "sd_seed": body.get("sd_seed"),
        **{name: body.get(name) for name in SIZES.get(strategy, ())},
        "model": model,
        "strategy": strategy,
        "params": engine_params(body, model),
    }
    if isinstance(wanted["sd_seed"], int) and wanted["sd_seed"] < 0:  # any seed; X-Seed says which one it was
        wanted["sd_seed"] = secrets.randbelow(SEED_LIMIT)
    return validated(IopaintParams, {name: value for name, value in wanted.items() if value is not None})


def engine_params(body: dict[str, Any], model: str) -> dict[str, Any]:
    """The options that the model understands."""
    given = {ours: body.get(theirs) for ours, theirs in ENGINE_PARAMS.get(model, {}).items()}
    if "method" in given:
        given["method"] = CV2_FLAGS.get(str(given["method"]))
    return {name: value for name, value in given.items() if value is not None}


def planned(runner: JobRunner, body: dict[str, Any], model: str) -> PlannedRun:
    """The fill that is asked for. Raises what checking finds, with IOPaint's names."""
    try:
        return runner.plan_one_shot(one_shot_params(body, model))
    except ApiError as error:
        names = {f"/params/{ours}": f"/{theirs}" for ours, theirs in ENGINE_PARAMS.get(model, {}).items()}
        raise error.fresh(pointer=names.get(error.pointer or "", error.pointer)) from None


@router.get("/server-config")
async def server_config(found: Found) -> dict[str, Any]:
    """What IOPaint's page and plug-ins ask for at start."""
    return {
        "plugins": [],
        "modelInfos": [model_info(name) for name in found.manager.ready_names()],
        "removeBGModel": "",
        "removeBGModels": [],
        "realesrganModel": "",
        "realesrganModels": [],
        "interactiveSegModel": "",
        "interactiveSegModels": [],
        "enableFileManager": False,
        "enableAutoSaving": found.settings.output_dir is not None,
        "enableControlnet": False,
        "controlnetMethod": None,
        "disableModelSwitch": False,
        "isDesktop": False,
        "samplers": [],
    }


@router.get("/model")
async def current_model(found: Found) -> dict[str, Any]:
    """The model that fills when nobody names one."""
    return model_info(found.manager.current.name)


@router.post("/model")
async def switch_model(request: Request, found: Found) -> dict[str, Any]:
    """Makes another model the current one. Raises `ModelUnknown` and why a model is not ready."""
    check_json(request)
    body = parse_object(await request.body(), max_depth=found.limits.json_depth)
    name = body.get("name")
    if not isinstance(name, str):
        raise FieldMissing("The field 'name' must name a model.", pointer="/name")
    return model_info(found.switch_model(name))


def model_info(name: str) -> dict[str, Any]:
    """A model in IOPaint's words."""
    return {
        "name": name,
        "path": name,
        "model_type": "inpaint",
        "need_prompt": False,
        "controlnets": [],
        "brushnets": [],
        "support_strength": False,
        "support_outpainting": False,
        "support_controlnet": False,
        "support_brushnet": False,
        "support_powerpaint_v2": False,
        "is_single_file_diffusers": False,
    }
