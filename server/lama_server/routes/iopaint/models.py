"""Which models and plugins there are, in IOPaint's words, and switching between them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastapi import APIRouter, Request

from inpaint_models.diffusion.families import SAMPLERS
from inpaint_models.registry import ModelEntry, Task

from ...errors import ParamUnknownValue
from ...jobs.services import Services
from ..common import Found
from .common import json_body, text_of

router = APIRouter(prefix="/api/v1")

PLUGINS: dict[str, Task] = {
    "InteractiveSeg": "select",
    "RemoveBG": "matte",
    "RealESRGAN": "enlarge",
    "GFPGAN": "restore",
}
"""IOPaint's plugins, in the order of its menu -> the task whose models do the same."""

THEIR_NAMES = {
    "opencv": "cv2",
    "paint-by-example": "Fantasy-Studio/Paint-by-Example",
    "instruct-pix2pix": "timbrooks/instruct-pix2pix",
}
"""Our name of a model -> IOPaint's, under which its page offers the options, where that is another."""

GIVES_IMAGE, GIVES_MASK = ("RemoveBG", "RealESRGAN", "GFPGAN"), ("InteractiveSeg", "RemoveBG")


@router.get("/server-config")
async def server_config(found: Found) -> dict[str, Any]:
    """What IOPaint's page and plug-ins ask for at start."""
    # A click says little to a model that follows an outline.
    matte, enlarge, able = (found.manager.ready_names(task) for task in ("matte", "enlarge", "select"))
    select = [name for name in able if found.manager.entry(name).gesture != "trace"]
    return {
        "plugins": [plugin_info(name) for name, task in PLUGINS.items() if found.manager.ready_names(task)],
        "modelInfos": [model_info(found.manager.entry(name)) for name in found.manager.ready_names("fill")],
        "removeBGModel": found.manager.first_choice("matte").name if matte else "",
        "removeBGModels": matte,
        "realesrganModel": found.manager.first_choice("enlarge").name if enlarge else "",
        "realesrganModels": enlarge,
        "interactiveSegModel": found.manager.first_choice("select").name if select else "",
        "interactiveSegModels": select,
        "enableFileManager": found.media.is_on,
        "enableAutoSaving": found.settings.output_dir is not None,
        "enableControlnet": False,
        "controlnetMethod": None,
        "disableModelSwitch": found.settings.disable_model_switch,
        "isDesktop": False,
        "samplers": list(SAMPLERS),
    }


@router.get("/samplers")
async def list_samplers() -> list[str]:
    """Those of Stable Diffusion."""
    return list(SAMPLERS)


@router.get("/model")
async def current_model(found: Found) -> dict[str, Any]:
    """The model that fills when none is named."""
    return model_info(found.manager.current)


@router.post("/model")
async def switch_model(request: Request, found: Found) -> dict[str, Any]:
    """Makes another model the current one. Raises `ModelUnknown` and why a model is not ready."""
    name = found.switch_model(text_of(await json_body(request, found.limits), "name"))
    return model_info(found.manager.entry(name))


@router.post("/switch_plugin_model")
async def switch_plugin_model(request: Request, found: Found) -> None:
    """Makes a model the first choice for a plugin's task. Raises as `ModelManager.choice` does."""
    body = await json_body(request, found.limits)
    found.manager.prefer(text_of(body, "model_name"), plugin_task(found, text_of(body, "plugin_name"), "/plugin_name"))


def plugin_task(found: Services, name: str, pointer: str) -> Task:
    """What a plugin does here. Raises `ParamUnknownValue`."""
    ready = [name for name, task in PLUGINS.items() if found.manager.ready_names(task)]
    if name not in ready:
        raise ParamUnknownValue(f"There is no plugin {name[:60]!r}. There are: {', '.join(ready)}.", pointer=pointer)
    return PLUGINS[name]


def plugin_info(name: str) -> dict[str, Any]:
    return {"name": name, "support_gen_image": name in GIVES_IMAGE, "support_gen_mask": name in GIVES_MASK}


def model_info(entry: ModelEntry) -> dict[str, Any]:
    """A model in IOPaint's words."""
    name = THEIR_NAMES.get(entry.name, entry.name)
    takes = {parameter.name for parameter in entry.parameters}
    return {
        "name": name,
        "path": name,
        "model_type": model_type(takes),
        "need_prompt": "prompt" in takes,
        "controlnets": [],
        "brushnets": [],
        "support_strength": "strength" in takes,
        "support_outpainting": False,
        "support_lcm_lora": False,
        "support_controlnet": False,
        "support_brushnet": False,
        "support_powerpaint_v2": False,
        "is_single_file_diffusers": False,
    }


def model_type(takes: Collection[str]) -> str:
    """IOPaint's page shows words, an example and their options for every type but the first."""
    if "guidance" not in takes:
        return "inpaint"
    return "diffusers_sd_inpaint" if "strength" in takes else "diffusers_other"
