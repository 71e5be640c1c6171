"""The few ways in which weights touch the disk: a file under its final name is whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

_ABANDONED_S = 3600.0


def sweep(folder: Path) -> None:
    """Deletes temporary files that a killed process left here more than an hour ago."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a file to write, which takes the place of `path` when all of it is written, or goes."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")  # `sweep` knows the form
    try:
        yield temporary
        sync_file(temporary)
        finish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def finish(temporary: Path, path: Path) -> None:
    """Gives a complete file, already on the disk, its final name."""
    os.replace(temporary, path)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Waits until a file's bytes are on the disk."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def sync_folder(folder: Path) -> None:
    """Waits until a folder's names are on the disk; Windows has no such call and does it by itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int:
    """Free space on the disk that holds a folder, which need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
