"""From a name to a loaded model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from . import devices, weights
from .catalog import families, get_model
from .options import FillOptions
from .pipeline.inpainter import Inpainter
from .registry import LoadContext, ModelEntry
from .types import Box, Mask, PatchProgress, no_progress

WARM_UP_SIDE_PX = 64


def load_model(
    name: str,
    *,
    device: str = "auto",
    precision: str = "auto",
    model_dir: Path | None = None,
    local_files_only: bool = False,
    progress: weights.ProgressListener = weights.silent,
) -> Inpainter:
    """A model by name or alias, ready to be called. Weights that are missing are fetched first.

    Whose weights they are and under which licence: `get_model(name).licence`.

    device            "auto", "cpu", "cuda", "mps", or "cuda:1" for the second of several GPUs
    precision         "auto", "float32", "bfloat16" or "float16"
    model_dir         where weights are looked for and kept; None = the user's cache
    local_files_only  raise `WeightsMissing` rather than open a socket
    progress          told of every piece of a download; may raise to stop it

    Raises `UnknownModel`, `WeightsError`, `Unavailable`, `OutOfMemory`.
    """
    entry = get_model(name)
    files = weights.download(entry, model_dir, progress=progress, local_files_only=local_files_only)
    return build(entry, files.paths, device=device, precision=precision, model_dir=files.model_dir)


def build(
    entry: ModelEntry, files: Mapping[str, Path], *, device: str, precision: str, model_dir: Path | None
) -> Inpainter:
    """The loaded model from its verified files. Raises `WeightsError`, `Unavailable`, `OutOfMemory`."""
    context = LoadContext(
        entry=entry,
        device=devices.device_for(entry, device),
        precision=precision,
        weights=files,
        model_dir=model_dir,
        families=families(),
    )
    with devices.out_of_memory_errors(entry.title):
        return Inpainter(entry, entry.load(context), context.device)


def warm_up(model: Inpainter, progress: PatchProgress = no_progress) -> None:
    """One small, cheap fill, so that compiled code and kernels are there before a person waits for them.

    Raises what `progress` raises, `OutOfMemory` and `EngineFailed`.
    """
    side = WARM_UP_SIDE_PX
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    hole = Box(0, 0, side // 4, side // 4).shifted(side // 3, side // 3)
    mask = Mask(hole, np.full((hole.height, hole.width), 255, np.uint8))
    for _ in model.patches(image, mask, FillOptions(params=model.entry.warm_up), progress):
        pass
