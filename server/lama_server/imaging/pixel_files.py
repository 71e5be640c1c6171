"""Decoded pixels as files that appear whole or not at all, and how files of the server are created."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .. import codec
from ..errors import StoreFull

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_pixels(target: Path, pixels: codec.Pixels) -> None:
    """Writes decoded pixels so that they appear whole or not at all. For the codec worker. Raises `StoreFull`.

    Can be called any number of times, by several processes at once: the last one wins, with the same pixels.
    """
    part = target.with_name(f"{secrets.token_hex(16)}.part")
    try:
        with disk_errors(), os.fdopen(create_file(part), "wb") as file:
            np.save(file, pixels)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def create_file(path: Path) -> int:
    """A new file for the owner alone."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o600)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turns a full disk into `StoreFull`; other errors of the system stay what they are."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise StoreFull("The disk that holds the server's working files is full. Free some space.") from error
        raise
