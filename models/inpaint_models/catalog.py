"""The one list of models, in the order in which they are shown: those of this package, then those of other packages.

Others offer theirs by the entry-point group `inpaint_models.entries`. An entry point is a `ModelEntry`, or a function
that returns one or several. It is imported whenever models are listed, so its module must be as cheap as ours: no torch
and no image library; those belong into the loader's module.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import resolve_name

from .diffusion.found import found_in, named
from .errors import UnknownModel, WrongTask
from .registry import Families, Licence, ModelEntry, Task

_logger = logging.getLogger(__name__)

GROUP = "inpaint_models.entries"

_OWN = (
    "patchmatch:ENTRY",
    "opencv:ENTRY",
    "migan:ENTRY",
    "lama:LAMA",
    "lama:ANIME_LAMA",
    "mat:ENTRY",
    "fcf:ENTRY",
    "zits:ENTRY",
    "ldm:ENTRY",
    "manga:ENTRY",
    "diffusion:SD15",
    "diffusion:SD2",
    "diffusion:SDXL",
    "diffusion:PAINT_BY_EXAMPLE",
    "diffusion:INSTRUCT_PIX2PIX",
    "sam:SAM2",
    "sam:MOBILE_SAM",
    "grabcut:ENTRY",
    "lasso:ENTRY",
    "wand:ENTRY",
    "text:ENTRY",
    "dust:ENTRY",
    "wires:ENTRY",
    "people:ENTRY",
    "backdrop:ENTRY",
    "cutout:U2NETP",
    "cutout:ISNET",
    "cutout:BIREFNET",
    "lanczos:ENTRY",
    "realesrgan:ENTRY",
    "gfpgan:ENTRY",
)
"""Where the entries of this package are, as "folder:name": adding a model is adding a line."""

ENTRIES: tuple[ModelEntry, ...] = tuple(resolve_name(f"{__package__}.{place}") for place in _OWN)

_OTHER_FAMILIES: Families = {
    "Stable Diffusion's text encoder": ("text_model.encoder.", "cond_stage_model.transformer."),
    "a diffusers UNet": ("down_blocks.", "mid_block."),
    "an image classifier": ("layer1.0.conv1.", "fc.weight"),
}
"""Networks that are no model of ours, and whose files people mistake for one."""


def list_models(task: Task | None = None, model_dir: Path | None = None) -> tuple[ModelEntry, ...]:
    """Every model, or those of one task, in the order in which they are shown.

    model_dir  diffusion models that somebody put there are in the list too
    """
    taken = frozenset(name for entry in ENTRIES for name in _names(entry))
    entries = (*ENTRIES, *entries_of_others(taken))
    if model_dir is not None:
        entries += found_in(model_dir, frozenset(name for entry in entries for name in _names(entry)))
    return entries if task is None else tuple(entry for entry in entries if entry.task == task)


def get_model(
    name: str, task: Task | None = None, model_dir: Path | None = None, *, local_files_only: bool = True
) -> ModelEntry:
    """The entry of that name or alias; of a diffusion model also by its folder, file or repository ("owner/name").

    model_dir         where such models lie, and where what describes a repository is kept; None: not looked for
    local_files_only  do not ask the Hub what is in a repository

    Raises `UnknownModel`, `WrongTask` unless it is there for the task, and `WeightsError` for what is no pipeline.
    """
    entries = list_models(model_dir=model_dir)
    entry = next((entry for entry in entries if name in _names(entry)), None)
    if entry is None and model_dir is not None:
        entry = named(name, model_dir, local_files_only=local_files_only)
    if entry is not None:
        if task not in (None, entry.task):
            raise WrongTask(f"{entry.title} is there to {entry.task}, not to {task}.")
        return entry
    known = ", ".join(entry.name for entry in entries if task in (None, entry.task))
    raise UnknownModel(f"There is no model {name[:60]!r}. There are: {known}.")


def families() -> Families:
    """What a file of weights may be, by parts of its tensors' names: our models first, then what it may be besides."""
    return {entry.title: entry.telltales for entry in list_models() if entry.telltales} | dict(_OTHER_FAMILIES)


@cache
def entries_of_others(taken: frozenset[str]) -> tuple[ModelEntry, ...]:
    """What installed packages add to the models whose names are taken, found once for each process.

    What cannot be read is there as an entry that says why. A model whose name is taken is left out; of two packages the
    one that comes first in the alphabet has the name. Both are told in the log.
    """
    found: list[ModelEntry] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (_package(point), point.name)):
        for entry in _loaded(point):
            if clash := taken & _names(entry):
                _logger.warning("%s: the model %s is left out, %s is taken.", _package(point), entry.name, min(clash))
                continue
            taken |= _names(entry)
            found.append(entry)
    return tuple(found)


def _loaded(point: EntryPoint) -> Sequence[ModelEntry]:
    try:
        offered = point.load()
        entries = offered if isinstance(offered, ModelEntry) else offered()
        entries = (entries,) if isinstance(entries, ModelEntry) else tuple(entries)
        if not all(isinstance(entry, ModelEntry) for entry in entries):
            raise TypeError(f"{point.value} gives something else than a ModelEntry")
    except Exception as error:  # noqa: BLE001  whatever is wrong with a stranger's package, the others are listed
        _logger.warning("%s: its models cannot be used: %s: %s", _package(point), type(error).__name__, error)
        return (_broken(point, error),)
    return entries


def _broken(point: EntryPoint, error: Exception) -> ModelEntry:
    """Stands for models that could not be read. Its sentence names no path: browsers show it."""
    package = _package(point)
    reason = str(error) if isinstance(error, ModuleNotFoundError) else type(error).__name__
    return ModelEntry(
        name=point.name,
        title=point.name,
        tagline=f"from {package}, which cannot be used",
        description=f"Offered by the package {package}, whose models cannot be read.",
        licence=Licence("unknown", ""),
        loader=point.value,
        broken=f"The models of the package {package} cannot be read ({reason}). Update or remove it.",
    )


def _names(entry: ModelEntry) -> set[str]:
    return {entry.name, *entry.aliases}


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value.partition(":")[0]
