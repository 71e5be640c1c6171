"""The one list of models, in the order in which they are shown."""

from __future__ import annotations

from . import lama, ldm, mat, opencv, patchmatch
from .errors import UnknownModel
from .registry import ModelEntry

ENTRIES: tuple[ModelEntry, ...] = (patchmatch.ENTRY, opencv.ENTRY, lama.LAMA, lama.ANIME_LAMA, mat.ENTRY, ldm.ENTRY)


def list_models() -> tuple[ModelEntry, ...]:
    """Every model, in the order in which they are shown."""
    return ENTRIES


def get_model(name: str) -> ModelEntry:
    """The entry of that name or alias. Raises `UnknownModel`."""
    for entry in ENTRIES:
        if name == entry.name or name in entry.aliases:
            return entry
    raise UnknownModel(f"There is no model {name[:60]!r}. There are: {', '.join(entry.name for entry in ENTRIES)}.")
