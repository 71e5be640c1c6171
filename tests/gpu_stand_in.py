"""The processor in the place of a GPU with little memory: what is kept off it comes and goes all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from inpaint_models.diffusion.memory import Free
from inpaint_models.diffusion.recognise import entry_for
from inpaint_models.errors import EngineFailed
from inpaint_models.registry import LoadContext, ModelEntry

if TYPE_CHECKING:
    from inpaint_models.diffusion.engine import DiffusionEngine

UNET_SHARES: dict[str, float] = {"model": 1.0, "group": 0.5, "sequential": 0.0, "refused": 0.0}
"""Of the largest network, beside what a step takes: so much is free on the GPU where a pipeline is spread that way.

"refused" is where the machine's own memory is short.
"""


def entries(place: Path) -> list[ModelEntry]:
    """A diffusers folder once for each way, as NAME-WAY."""
    found = entry_for(place, place.parent)
    return [replace(found, name=f"{found.name}-{way}", loader="gpu_stand_in:load") for way in UNET_SHARES]


def load(context: LoadContext) -> DiffusionEngine:
    """By the plan that is made for such a GPU with the settings as they are. Raises `EngineFailed` for another."""
    import torch

    from inpaint_models.diffusion import engine, loading  # here, since the web process imports this module

    entry, way = context.entry, context.entry.name.rpartition("-")[2]
    on_gpu = (UNET_SHARES[way] * entry.memory_bytes + entry.bytes_per_px * entry.size.minimum**2) / 0.8
    with patch.object(loading, "Free", lambda machine, _: Free(machine if way != "refused" else 0, round(on_gpu))):
        pipeline, chosen = loading.load_pipeline(context, torch.float32)
    if chosen != way:
        raise EngineFailed(f"{entry.name} is spread as {chosen}.")
    return engine.DiffusionEngine(pipeline, context.device, torch.float32, entry.title, chosen)
