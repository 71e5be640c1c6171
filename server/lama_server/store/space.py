"""How much the store may take: its cap, the disk's floor, and the private folders of work under way."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import Limit, StoreFull
from ..errors.disk import disk_errors
from . import roots

_SLACK_SHARE = 64
"""Making room frees this part of the cap beyond what is needed: it takes a walk through the store."""

_FUTILE_S = 1.0
"""So long it is not tried again when too little could be removed: a crowd that is refused costs one walk a second."""


class Space:
    """Bytes of a store: what is stored, as far as is known, and what is set aside for work under way.

    folder          of the store
    max_bytes       of both together
    min_free_bytes  what is to stay free on the disk
    shrink          removes what may go until the store takes at most so many bytes, and of that only what can be made
                    again where it is told so; returns how many bytes it takes then

    Every method may be called from any thread. Only `take` may last, where room has to be made first.
    """

    def __init__(self, folder: Path, max_bytes: int, min_free_bytes: int, shrink: Callable[[int, bool], int]) -> None:
        self._folder, self._max_bytes, self._min_free_bytes = folder, max_bytes, min_free_bytes
        self._shrink, self._counting, self._shrinking = shrink, threading.Lock(), threading.Lock()
        self._promised, self._futile_until_s = 0, 0.0
        self._stored = shrink(max_bytes, False)

    def take(self, size_bytes: int) -> None:
        """Sets bytes aside. Raises `StoreFull`, for 0 bytes when nothing at all can be taken in."""
        if self._missing(size_bytes) is None:
            return
        with self._shrinking:
            missing = self._missing(size_bytes)
            if missing is not None and time.monotonic() > self._futile_until_s:
                self._make_room(missing)
                missing = self._missing(size_bytes)
        if missing is not None:
            raise self._refusal(missing)

    def give_back(self, size_bytes: int, *, stored_bytes: int = 0) -> None:
        """Frees what was set aside, less what is now part of the store."""
        with self._counting:
            self._promised -= size_bytes
            self._stored += stored_bytes

    def _missing(self, size_bytes: int) -> _Missing | None:
        """None when the bytes fit; they are set aside then.

        What is set aside counts as not written yet, so that the floor holds when it is.
        """
        with disk_errors():
            free_bytes = roots.free_bytes(self._folder)
        with self._counting:
            promised = self._promised + size_bytes
            missing = _Missing(
                over_cap=self._stored + promised - self._max_bytes,
                under_floor=self._min_free_bytes + promised - free_bytes,
            )
            if missing.over_cap > 0 or missing.under_floor > 0:
                return missing
            self._promised = promised
            return None

    def _make_room(self, missing: _Missing) -> None:
        """For the disk's floor only what can be made again goes: nobody loses work because others fill the disk."""
        with self._counting:
            before = self._stored
        wanted = max(0, before - max(missing.over_cap, missing.under_floor))
        left = self._shrink(max(0, wanted - self._max_bytes // _SLACK_SHARE), missing.over_cap <= 0)
        with self._counting:
            self._stored += left - before
        self._futile_until_s = time.monotonic() + _FUTILE_S if left > wanted else 0.0

    def _refusal(self, missing: _Missing) -> StoreFull:
        if missing.over_cap > 0:
            cap, needed = _mib(self._max_bytes), _mib(self._max_bytes + missing.over_cap)
            return StoreFull(
                f"The photos and edits in use and this together would take {needed} MiB; the limit is {cap} MiB. "
                "Wait until others are done, use a smaller photo, or raise --data-cap.",
                limit=Limit("data_cap", cap, needed, "--data-cap"),
            )
        floor, left = _mib(self._min_free_bytes), max(0, self._min_free_bytes - missing.under_floor) >> 20
        return StoreFull(
            f"The disk of the server's data folder would have {left} MiB left; at least {floor} MiB stay free. "
            "Free some space.",
            limit=Limit("min_free", floor, left, "--min-free"),
        )


@dataclass(frozen=True, slots=True)
class _Missing:
    """Bytes that would be too many, by either measure; 0 or less: none."""

    over_cap: int
    under_floor: int


class Scratch:
    """A private folder for work under way, with the room that is set aside for it. Removed when it is closed.

    A worker that goes on after that can put nothing in its place: the folder it was told of is not there any more.
    """

    def __init__(self, path: Path, space: Space) -> None:
        self.path, self._space = path, space
        self._taken, self._closed, self._lock = 0, False, threading.Lock()
        with disk_errors():
            path.mkdir(mode=0o700)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def result(self) -> Path:
        """The one file of a folder that is there for one."""
        return self.path / "result"

    @property
    def taken_bytes(self) -> int:
        """What is set aside for it."""
        return self._taken

    def take(self, size_bytes: int) -> None:
        """Sets more bytes aside; none for a folder that was closed meanwhile. Raises as `Space.take`."""
        self._space.take(size_bytes)
        self._change(size_bytes)

    def count(self, size_bytes: int) -> None:
        """Counts bytes that are written already, so that there is less room for others."""
        self._space.give_back(-size_bytes)
        self._change(size_bytes)

    def keep(self, source: Path, target: Path) -> None:
        """Moves a file of it, or all of it, into the store, which then has its bytes. Raises `OSError`."""
        size_bytes = tree_bytes(source)
        os.replace(source, target)
        self._space.give_back(0, stored_bytes=size_bytes)

    def close(self) -> None:
        """May be called twice."""
        with self._lock:
            given, self._taken, self._closed = self._taken, 0, True
        self._space.give_back(given)
        remove_tree(self.path, self.path.parent)

    def _change(self, size_bytes: int) -> None:
        with self._lock:
            if not self._closed:
                self._taken += size_bytes
                return
        self._space.give_back(size_bytes)


def remove_tree(folder: Path, graves: Path) -> None:
    """Takes a folder out of sight in one step, and then away. What cannot be removed is swept at a later start."""
    gone = graves / secrets.token_hex(16)
    with contextlib.suppress(OSError):  # not there any more; or Windows: a file in it is still mapped
        os.rename(folder, gone)
        shutil.rmtree(gone, ignore_errors=True)


def tree_bytes(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; a file that goes meanwhile counts nothing."""
    files = [os.path.join(parent, name) for parent, _, names in os.walk(path) for name in names]
    total = 0
    for file in files if path.is_dir() else [path]:
        with contextlib.suppress(OSError):
            total += os.lstat(file).st_size
    return total


def _mib(size_bytes: int) -> int:
    return -(-size_bytes // 2**20)
