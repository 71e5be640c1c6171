"""Pipelines that are not in the catalogue: in the model folder, anywhere else on this machine, or in a repository."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from .. import weights
from ..errors import UnsafeWeights, WeightsCorrupted
from ..registry import Licence, ModelEntry, WeightsFolder
from ..repositories import INDEX
from .families import FAMILIES, entry_of
from .recognise import entry_for

_LOG = logging.getLogger(__name__)

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".bin")
_OTHERS_FOLDERS = ("stable_diffusion", "stable_diffusion_xl")
"""Where IOPaint has its users put single files."""


def found_in(model_dir: Path, taken: frozenset[str]) -> tuple[ModelEntry, ...]:
    """Entries of what lies in the model folder, by name; of two with one name, or with one that is taken, the first."""
    entries: dict[str, ModelEntry] = {}
    for place in _candidates(model_dir):
        if place.name in taken:
            continue
        try:
            entry = entry_for(place, model_dir)
        except UnsafeWeights as error:
            _LOG.warning("%s", error)
        except WeightsCorrupted:
            continue  # most files there belong to models of the catalogue
        else:
            if entry.name not in taken:
                entries.setdefault(entry.name, entry)
    return tuple(entries.values())


def _candidates(model_dir: Path) -> Iterator[Path]:
    yield from sorted(path.parent for path in model_dir.glob(f"*/{INDEX}"))
    for folder in (model_dir, *(model_dir / name for name in _OTHERS_FOLDERS)):
        yield from sorted(folder.glob("*.safetensors"))


def named(name: str, model_dir: Path, *, local_files_only: bool = True) -> ModelEntry | None:
    """The entry of a folder, a file, or a repository as owner/name; None for what looks like none of them.

    local_files_only  of a repository that was never asked about, ask nothing

    Raises `WeightsError`.
    """
    path = Path(name).expanduser()
    if (path / INDEX).is_file() or (path.is_file() and path.suffix in _SUFFIXES):
        return entry_for(path.resolve(), model_dir)
    if path.is_dir() and len(path.parts) > 1:
        raise WeightsCorrupted(f"{path.name} is a folder without {INDEX}, so it is no diffusion model.")
    if not _REPOSITORY.fullmatch(name):
        return None
    folder = model_dir / name.replace("/", "--")
    if not local_files_only and not (folder / "vae" / "config.json").is_file():
        unknown = entry_of(
            FAMILIES["sd"],
            name=folder.name,
            title=name,
            licence=Licence("", ""),
            weights=WeightsFolder(folder.name, name, "main"),
            values=0,
        )
        weights.describe(unknown, model_dir)
    return entry_for(folder, model_dir) if (folder / INDEX).is_file() else None
