"""Where image bytes come from: memory, or a file that is mapped rather than read."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

Bytes = bytes | mmap.mmap
"""Slices to bytes and can be searched."""


@contextmanager
def opened(source: Bytes | Path) -> Iterator[Bytes]:
    """The bytes of a file, of which only what is looked at is read; an empty file is b""."""
    if not isinstance(source, Path):
        yield source
        return
    with source.open("rb") as file:
        if file.seek(0, io.SEEK_END) == 0:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield mapped


def as_file(data: Bytes) -> BinaryIO:
    """For libraries that read from a file."""
    if isinstance(data, bytes):
        return io.BytesIO(data)
    data.seek(0)
    return cast(BinaryIO, data)
