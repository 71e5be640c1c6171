"""Folders that the server was given: opened so that no link that was put into their path later leads anywhere else."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

HAS_DIR_FDS = os.open in os.supports_dir_fd and os.link in os.supports_dir_fd
"""Whether files can be named relative to an open folder. Not on Windows."""

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_STEP = getattr(os, "O_PATH", 0) | _FOLDER | getattr(os, "O_NOFOLLOW", 0)
_PROBE_BYTES = 4096


@contextlib.contextmanager
def opened_root(folder: Path) -> Iterator[int]:
    """A handle of a folder whose path was resolved when the server started. Raises `OSError`.

    Every step of the path is taken from the handle of the one before and follows no link: a folder that was swapped
    for a link is refused. What is then named relative to the handle stays in that folder, wherever it is moved.
    """
    descriptor = _open(folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def check_root(folder: Path) -> None:
    """Raises `OSError` unless the folder is there and no link is on its path."""
    if HAS_DIR_FDS:
        with opened_root(folder):
            return
    if os.path.realpath(folder, strict=True) != str(folder):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def make_root(folder: Path, mode: int = 0o700) -> None:
    """Makes a folder and those above it, where they are missing. Raises as `check_root`."""
    try:
        check_root(folder)
    except FileNotFoundError:
        make_root(folder.parent, mode)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=mode)
        check_root(folder)


def check_writable(folder: Path) -> None:
    """Writes a few bytes into a file that has no name, or loses it at once. Raises `OSError`."""
    check_root(folder)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(bytes(_PROBE_BYTES))


def free_bytes(folder: Path | int) -> int:
    """What the disk of the folder has left for this user. Raises `OSError`."""
    return shutil.disk_usage(folder).free


def _open(folder: Path) -> int:
    if in_one_step := getattr(os, "O_NOFOLLOW_ANY", 0):  # macOS
        return os.open(folder, _FOLDER | in_one_step)
    step = os.open(folder.anchor, _STEP)
    for name in folder.parts[1:]:
        try:
            below = os.open(name, _STEP, dir_fd=step)
        finally:
            os.close(step)
        step = below
    try:
        return os.open(".", _FOLDER, dir_fd=step)
    finally:
        os.close(step)
