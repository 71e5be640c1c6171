"""Filling as IOPaint's clients ask for it: JSON with photo and mask, answered by the picture in the photo's own format.

`hd_strategy` and its sizes, `sd_seed`, `cv2_flag`, `cv2_radius`, `ldm_steps` and `ldm_sampler` count, and for diffusion
models words, example, steps, guidance, strength, sampler and mask blur; `hd_strategy` does not, as in IOPaint. Other
options are taken without effect.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import UploadFile

from inpaint_models.options import SEED_LIMIT
from inpaint_models.registry import ModelEntry

from ...errors import ApiError
from ...http.streams import unless_disconnected
from ...http.strict_json import validated
from ...jobs.model_jobs import check_pixels
from ...jobs.queue import Ticket
from ...jobs.runner import JobRunner, PlannedRun
from ...jobs.services import Services
from ...schemas.requests import IopaintParams
from ...store.documents import Workspace
from .common import json_body, picture, whole_picture
from .progress import Announcer

STRATEGIES = {"Original": "original", "Resize": "resize", "Crop": "crop"}
SIZES = {"crop": ("hd_strategy_crop_margin", "hd_strategy_crop_trigger_size"), "resize": ("hd_strategy_resize_limit",)}
ENGINE_PARAMS = {
    "opencv": {"method": "cv2_flag", "radius": "cv2_radius"},
    "ldm": {"steps": "ldm_steps", "sampler": "ldm_sampler"},
}
"""Model -> our name of a parameter -> IOPaint's."""

DIFFUSION_PARAMS = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "steps": "sd_steps",
    "guidance": "sd_guidance_scale",
    "strength": "sd_strength",
    "sampler": "sd_sampler",
    "image_guidance": "p2p_image_guidance_scale",
}
"""The same, of diffusion models."""

EXAMPLE = "paint_by_example_example_image"

CV2_FLAGS = {"INPAINT_TELEA": "telea", "INPAINT_NS": "navier-stokes"}


async def inpaint(request: Request, found: Services, ticket: Ticket, work: Workspace) -> Response:
    """Fill as IOPaint's clients ask for it."""
    body = await json_body(request, found.limits)
    run = await planned(found.runner, body, found.manager.current)
    await work.put_image(await picture(body, "image"))
    await work.put_mask(await picture(body, "mask"))
    if body.get(EXAMPLE):
        await put_example(work, run.use.entry, await picture(body, EXAMPLE), EXAMPLE)
    return await filled(request, found, ticket, work, run)


async def put_example(work: Workspace, model: ModelEntry, example: UploadFile | bytes, field: str) -> None:
    """Puts the example picture beside the photo, where the model takes one.

    Raises as `Workspace.put_picture`, and `ParamOutOfRange`.
    """
    for parameter in model.parameters:
        if parameter.kind == "picture":
            check_pixels(parameter, await work.put_picture(parameter.name, example), f"/{field}")


async def filled(request: Request, found: Services, ticket: Ticket, work: Workspace, run: PlannedRun) -> Response:
    """The workspace's photo with its mask filled, saved where auto-save is on."""
    announcer: Announcer = request.app.state.announcer
    shot = await unless_disconnected(request, found.runner.one_shot(ticket, work, run, announcer.listen))
    ticket.release()
    announcer.finish()
    headers = {"x-seed": str(shot.seed), "x-model": shot.model, "x-job-id": ticket.id}
    response = await whole_picture(work, headers)
    await found.saves.save(work.picture, "image")
    return response


def one_shot_params(options: Mapping[str, Any], model: ModelEntry) -> IopaintParams:
    """IOPaint's options that count, checked. Sizes of a strategy that is not asked for are not looked at."""
    diffuses = is_diffusion(model)
    strategy = "auto" if diffuses else STRATEGIES.get(str(options.get("hd_strategy")), "auto")
    wanted = {
        "sd_seed": options.get("sd_seed"),
        "sd_mask_blur": options.get("sd_mask_blur") if diffuses else None,
        **{name: options.get(name) for name in SIZES.get(strategy, ())},
        "model": model.name,
        "strategy": strategy,
        "params": engine_params(options, model),
    }
    if isinstance(wanted["sd_seed"], int) and wanted["sd_seed"] < 0:  # any seed; X-Seed says which one it was
        wanted["sd_seed"] = secrets.randbelow(SEED_LIMIT)
    return validated(IopaintParams, {name: value for name, value in wanted.items() if value is not None})


def is_diffusion(model: ModelEntry) -> bool:
    """Whether IOPaint's options of diffusion models are meant for it."""
    return any(parameter.name == "guidance" for parameter in model.parameters)


def their_names(model: ModelEntry) -> Mapping[str, str]:
    """Our name of each parameter that IOPaint knows -> IOPaint's."""
    ours = {parameter.name for parameter in model.parameters}
    names = DIFFUSION_PARAMS if is_diffusion(model) else ENGINE_PARAMS.get(model.name, {})
    return {name: theirs for name, theirs in names.items() if name in ours}


def engine_params(options: Mapping[str, Any], model: ModelEntry) -> dict[str, Any]:
    """The options that the model understands."""
    given = {ours: options.get(theirs) for ours, theirs in their_names(model).items()}
    if "method" in given:
        given["method"] = CV2_FLAGS.get(str(given["method"]))
    return {name: value for name, value in given.items() if value is not None}


async def planned(runner: JobRunner, options: Mapping[str, Any], model: ModelEntry) -> PlannedRun:
    """The fill that is asked for. Raises what checking finds, with IOPaint's names."""
    try:
        return await runner.plan_one_shot(one_shot_params(options, model))
    except ApiError as error:
        names = {f"/params/{ours}": f"/{theirs}" for ours, theirs in their_names(model).items()}
        raise error.fresh(pointer=names.get(error.pointer or "", error.pointer)) from None
