"""Which files of a Hugging Face repository make a diffusers pipeline: told by its listing, or by a folder that is here.

A listing is the answer of the Hub's API to a question about one revision; it is kept beside the files, so that the same
files are meant at every later start.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from .errors import UnsafeWeights, WeightsCorrupted
from .folders import hub_cache_dirs
from .registry import FolderFile, WeightsFile, WeightsFolder

LISTING = "repository.json"
INDEX = "model_index.json"
DESCRIPTION = (INDEX, "unet/config.json", "vae/config.json")
"""By which a pipeline is recognised."""

_WEIGHTS = (".safetensors", ".bin")
_KEPT = (".json", ".txt", ".safetensors")
_UNUSED_PARTS = ("safety_checker",)
_HALF = ".fp16"


def listing_file(folder: WeightsFolder) -> WeightsFile:
    """The listing of a folder whose files are not known."""
    url = f"https://huggingface.co/api/models/{folder.repository}/revision/{folder.revision}?blobs=true"
    return WeightsFile(f"{folder.name}/{LISTING}", (url,))


def with_files(folder: WeightsFolder, home: Path) -> WeightsFolder:
    """The folder with its files named: as its listing has them, else as they lie in its place or the Hub's cache.

    It comes back without files where nothing is known of them. Raises `UnsafeWeights` where they are pickles.
    """
    if folder.files:
        return folder
    place = folder.place or home / folder.name
    if (place / LISTING).is_file():
        return _as_listed(folder, place / LISTING)
    cached = "models--" + folder.repository.replace("/", "--")
    snapshots = [found for cache in hub_cache_dirs() for found in sorted(cache.glob(f"{cached}/snapshots/*"))]
    for candidate in (place, *(snapshots if folder.repository else [])):
        if (candidate / INDEX).is_file():
            paths = [path.relative_to(candidate).as_posix() for path in sorted(candidate.rglob("*")) if path.is_file()]
            chosen = tuple(FolderFile(path) for path in pipeline_files(paths, folder.name))
            return replace(folder, files=chosen, place=folder.place if candidate == place else candidate)
    return folder


def pipeline_files(paths: Iterable[str], name: str) -> list[str]:
    """Those that are loaded: safetensors, in half precision where every part has them so, and what describes the parts.

    Raises `UnsafeWeights` where a part has its weights as a pickle only.
    """
    kept: list[str] = []
    parts: dict[str, list[str]] = {}
    for path in paths:
        folders = PurePosixPath(path).parts[:-1]
        if path == INDEX:
            kept.append(path)
        elif len(folders) == 1 and folders[0] not in _UNUSED_PARTS and path.endswith((*_KEPT, *_WEIGHTS)):
            parts.setdefault(folders[0], []).append(path)
    loaded = {part for part, files in parts.items() if any(path.endswith(_WEIGHTS) for path in files)}
    for part in sorted(loaded):
        if not any(path.endswith(".safetensors") for path in parts[part]):
            raise UnsafeWeights(
                f"{name} has the weights of its {part} as a pickle only (.bin), which can carry code. Use a version "
                "with .safetensors files."
            )
    halves = all(any(is_half(path) for path in parts[part]) for part in loaded)
    for files in parts.values():
        for path in files:
            of_weights = path.endswith(_WEIGHTS) or path.endswith(".index.json")
            if not of_weights or (path.endswith(_KEPT) and is_half(path) == halves and "non_ema" not in path):
                kept.append(path)
    return sorted(kept)


def is_half(path: str) -> bool:
    """Whether a file holds weights in half precision, or lists such files."""
    return _HALF in PurePosixPath(path).name and path.endswith((".safetensors", ".json"))


def _as_listed(folder: WeightsFolder, listing: Path) -> WeightsFolder:
    try:
        told = json.loads(listing.read_text(encoding="utf-8"))
        files = {str(row["rfilename"]): row for row in told["siblings"]}
        chosen = tuple(_listed_file(path, files[path]) for path in pipeline_files(files, folder.name))
        return replace(folder, revision=str(told["sha"]), files=chosen)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsCorrupted(f"The listing of {folder.name} cannot be read ({error}). Delete it.") from error


def _listed_file(path: str, row: Mapping[str, object]) -> FolderFile:
    stored = row.get("lfs")
    sha256 = stored.get("sha256") if isinstance(stored, dict) else None
    size = row.get("size")
    return FolderFile(path, size if isinstance(size, int) else None, sha256 if isinstance(sha256, str) else None)
