"""From a name to a loaded model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, overload

import numpy as np

from . import devices
from .options import FillOptions
from .pipeline.inpainter import Inpainter
from .protocols import Prompts, Stroke
from .registry import Families, LoadContext, ModelEntry, Placement, Task
from .tasks.enlarge import Enlarger
from .tasks.find import Finder
from .tasks.matte import Matter
from .tasks.restore import Restorer
from .tasks.select import Selector
from .types import Box, Mask, no_progress

if TYPE_CHECKING:
    from . import weights

WARM_UP_SIDE_PX = 64

Runner = Inpainter | Selector | Finder | Matter | Enlarger | Restorer
"""A loaded model with everything around it, of the kind that its task has."""

_RUNNERS: Mapping[Task, type[Runner]] = {
    "fill": Inpainter,
    "select": Selector,
    "find": Finder,
    "matte": Matter,
    "enlarge": Enlarger,
    "restore": Restorer,
}


class LoadOptions(TypedDict, total=False):
    """How a model is loaded.

    device            "auto" (the default), "cpu", "cuda", "mps", or "cuda:1" for the second of several GPUs
    precision         "auto" (the default), "float32", "bfloat16" or "float16"
    model_dir         where weights are looked for and kept; None = the user's cache
    local_files_only  raise `WeightsMissing` rather than open a socket
    progress          told of every piece of a download; may raise to stop it
    cpu_offload, text_encoder_on_cpu  as `Placement` has them
    """

    device: str
    precision: str
    model_dir: Path | None
    local_files_only: bool
    progress: weights.ProgressListener
    cpu_offload: bool
    text_encoder_on_cpu: bool


@overload
def load_model(name: str, *, task: Literal["fill"] = ..., **options: Unpack[LoadOptions]) -> Inpainter: ...
@overload
def load_model(name: str, *, task: Literal["select"], **options: Unpack[LoadOptions]) -> Selector: ...
@overload
def load_model(name: str, *, task: Literal["find"], **options: Unpack[LoadOptions]) -> Finder: ...
@overload
def load_model(name: str, *, task: Literal["matte"], **options: Unpack[LoadOptions]) -> Matter: ...
@overload
def load_model(name: str, *, task: Literal["enlarge"], **options: Unpack[LoadOptions]) -> Enlarger: ...
@overload
def load_model(name: str, *, task: Literal["restore"], **options: Unpack[LoadOptions]) -> Restorer: ...
def load_model(name: str, *, task: Task = "fill", **options: Unpack[LoadOptions]) -> Runner:
    """A model by name or alias, or a diffusion model's folder, file or repository, ready to be called.

    Weights that are missing are fetched first.

    Whose weights they are and under which licence: `get_model(name).licence`.

    task  what it is wanted for; it decides the type of what comes back

    Raises `UnknownModel`, `WrongTask`, `WeightsError`, `Unavailable`, `OutOfMemory`.
    """
    from . import weights  # workers are given their files, and do without the list of models and downloads
    from .catalog import get_model

    offline = options.get("local_files_only", False)
    model_dir = options.get("model_dir") or weights.default_model_dir()
    entry = get_model(name, task, model_dir, local_files_only=offline)
    files = weights.download(
        entry,
        model_dir,
        progress=options.get("progress", weights.silent),
        local_files_only=offline,
    )
    device, precision = options.get("device", "auto"), options.get("precision", "auto")
    placement = Placement(options.get("cpu_offload", False), options.get("text_encoder_on_cpu", False))
    return build(entry, files.paths, device=device, precision=precision, model_dir=files.model_dir, placement=placement)


def build(
    entry: ModelEntry,
    files: Mapping[str, Path],
    *,
    device: str,
    precision: str,
    model_dir: Path | None,
    placement: Placement | None = None,
) -> Runner:
    """The loaded model from its verified files. Raises `WeightsError`, `Unavailable`, `OutOfMemory`."""
    context = LoadContext(
        entry=entry,
        device=devices.device_for(entry, device),
        precision=precision,
        weights=files,
        model_dir=model_dir,
        families=_families() if entry.weights else {},
        placement=placement or Placement(),
    )
    with devices.out_of_memory_errors(entry.title):
        return _RUNNERS[entry.task](entry, entry.load(context), context.device)


def _families() -> Families:
    from .catalog import families  # imports every entry, and those of other packages

    return families()


def warm_up(model: Runner, progress: Callable[..., None] = no_progress) -> None:
    """One small, cheap fill or selection, so that code and tables are there before a person waits for them.

    None with models for other tasks, with those that encode a view before they select, and with those of which the
    cheapest fill takes long, and gains nothing.

    progress  called with (stage, step, total), and of a fill or selection with a preview

    Raises what `progress` raises, `OutOfMemory` and `EngineFailed`.
    """
    side = WARM_UP_SIDE_PX
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    thing = Box(0, 0, side // 4, side // 4).shifted(side // 3, side // 3)
    if isinstance(model, Selector) and model.entry.gesture != "point":
        image[thing.slices] = 255
        middle = (thing.y0 + thing.y1) / 2
        across = Stroke(((thing.x0, middle), (thing.x1, middle)), 4)
        model.select(model.encode(image, progress), Prompts(strokes=(across,)), progress=progress)
    elif isinstance(model, Inpainter) and not model.entry.deadline_s:
        mask = Mask(thing, np.full((thing.height, thing.width), 255, np.uint8))
        for _ in model.patches(image, mask, FillOptions(params=model.entry.warm_up), progress):
            pass
