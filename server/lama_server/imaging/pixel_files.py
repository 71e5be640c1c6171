"""Decoded pixels as files that appear whole or not at all, and how files of the server are created."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .. import codec
from ..errors.disk import disk_errors


def write_pixels(target: Path, pixels: codec.Pixels, *, durable: bool = True) -> None:
    """Writes pixels so that they appear whole or not at all. For workers. Raises `StoreFull`.

    durable  also after a power cut; what is forgotten after one request does without, and without waiting for the disk

    Can be called any number of times, by several processes at once: the last one wins, with the same pixels.
    """
    write_bands(target, pixels.shape, pixels.dtype, (pixels,), durable=durable)


def write_bands(
    target: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    bands: Iterable[codec.Pixels],
    *,
    durable: bool = True,
) -> None:
    """As `write_pixels`, for pixels of that shape that come band by band, from top to bottom."""
    part = target.with_name(f"{secrets.token_hex(16)}.part")
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    try:
        with disk_errors(), os.fdopen(create_file(part), "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for band in bands:
                file.write(np.ascontiguousarray(band).data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def create_file(path: Path) -> int:
    """A new file for the owner alone."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o600)
