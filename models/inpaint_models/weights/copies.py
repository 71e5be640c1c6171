"""Safetensors copies of checkpoints in other forms: safe, mapped instead of parsed, and made at the first load."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import WeightsError
from ..registry import TensorShapes
from . import disk
from .hash_cache import HashCache, digests_of

if TYPE_CHECKING:
    from torch import Tensor

_logger = logging.getLogger(__name__)

FOLDER = "converted"
_SPACE_FACTOR = 1.1


def existing(path: Path, expected: TensorShapes, model_dir: Path) -> Path | None:
    """The copy that was made of this very file for these keys; None when either has changed since."""
    hashes = HashCache(model_dir)
    row = hashes.unchanged(path) if path.is_file() else None
    return None if row is None else hashes.copy_of(row.sha256, _stem(path, row.sha256, expected))


def keep(
    path: Path, handle: BinaryIO, state: Mapping[str, Tensor], expected: TensorShapes, model_dir: Path
) -> Path | None:
    """Writes the copy. A folder that is full or read-only is no error: the original is read again next time."""
    hashes = HashCache(model_dir)
    source = hashes.unchanged(path) or hashes.measure(path)
    if os.fstat(handle.fileno()).st_ino != source.inode:
        return None
    folder = model_dir / FOLDER
    target = folder / f"{_stem(path, source.sha256, expected)}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        disk.sweep(folder)
        write_safetensors(state, target, source.sha256)
    except (OSError, WeightsError) as error:
        _logger.info("No safetensors copy of %s was kept: %s", path.name, error)
        return None
    hashes.store(target, replace(hashes.measure(target), made_from=source.sha256))
    _logger.info("Kept a safetensors copy of %s as %s", path.name, target)
    return target


def drop_damaged(model_dir: Path) -> tuple[Path, ...]:
    """Hashes every copy again and deletes those that are not as they were written; they are made anew when needed."""
    hashes = HashCache(model_dir)
    damaged = tuple(path for path in sorted((model_dir / FOLDER).glob("*.safetensors")) if not _intact(path, hashes))
    for path in damaged:
        path.unlink()
        hashes.forget(path)
    return damaged


def _intact(path: Path, hashes: HashCache) -> bool:
    row = hashes.recorded(path)
    with path.open("rb") as handle:
        return row is not None and digests_of(handle).sha256 == row.sha256


def write_safetensors(state: Mapping[str, Tensor], target: Path, source_sha256: str) -> None:
    """Atomically; says in its header what it was made from. Raises `WeightsError` when the disk is too full."""
    from safetensors.torch import save_file

    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    free = disk.free_bytes(target.parent)
    if free < _SPACE_FACTOR * size:
        raise WeightsError(f"{target.name} needs {size >> 20} MiB and {free >> 20} MiB are free in {target.parent}.")
    with disk.replacing(target) as file:
        save_file(_apart(state), file, metadata={"format": "pt", "made_from_sha256": source_sha256})


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors in memory of their own: what shares it with others, or is a part of more, cannot be written as it is."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for key, tensor in state.items():
        storage = tensor.untyped_storage()
        alone = tensor.is_contiguous() and storage.nbytes() == tensor.numel() * tensor.element_size()
        apart[key] = tensor if alone and storage.data_ptr() not in seen else tensor.contiguous().clone()
        seen.add(storage.data_ptr())
    return apart


def _stem(path: Path, sha256: str, expected: TensorShapes) -> str:
    """Names the source, and the network, because one checkpoint may hold several."""
    network = hashlib.sha256("\n".join(sorted(expected)).encode()).hexdigest()[:8]
    return f"{path.stem}-{sha256[:12]}-{network}"
