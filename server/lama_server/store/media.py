"""Folders of other people's pictures, to be looked at and nothing else.

A folder is opened once, at start, and files are opened by their name inside it: nothing that is linked or renamed
meanwhile leads elsewhere. A name is a single segment; links, devices and hidden files are not there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .. import codec
from ..codec.info import SUFFIXES, SourceFormat
from ..errors import FileMissing, ImageError, RootUnavailable
from .roots import HAS_DIR_FDS
from .saving import safe_name

MOST_LISTED = 5000
"""Pictures of a folder that are listed; the first by name."""

_HEAD_BYTES = 256 * 2**10
"""Where a file's header is looked for first."""

_NUMBER = re.compile(r"-\d{4}\Z")
_FORBIDDEN = re.compile(r"[/\\:\x00-\x1f\x7f-\x9f]")
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class MediaFile:
    """An open file; whoever asked for it closes the stream."""

    stream: BinaryIO
    format: SourceFormat
    size_bytes: int
    changed_ns: int

    @property
    def version(self) -> str:
        return version_of(self.changed_ns, self.size_bytes)


@dataclass(frozen=True, slots=True)
class MediaItem:
    """A picture in a listing; times in seconds since 1970."""

    name: str
    info: codec.ImageInfo
    created_s: float
    changed_s: float


@dataclass(frozen=True, slots=True)
class MediaEntry:
    """A file that is called like a picture; whether it is one is seen when it is opened."""

    name: str
    size_bytes: int
    changed_ns: int

    @property
    def version(self) -> str:
        return version_of(self.changed_ns, self.size_bytes)


class MediaFolder:
    """One folder, open. Every method may be called from any thread."""

    def __init__(self, path: Path, limits: codec.ImageLimits) -> None:
        self._path, self._limits = path, limits
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if HAS_DIR_FDS else None
        self._known: Mapping[tuple[str, int, int], codec.ImageInfo] = {}

    def close(self) -> None:
        if self._root is not None:
            os.close(self._root)

    def open(self, name: str) -> MediaFile:
        """Raises `FileMissing`, with the same words whatever the reason."""
        kind = SUFFIXES.get(os.path.splitext(name)[1].lower())
        if kind is None or not _is_plain(name):
            raise _missing()
        try:
            descriptor = os.open(name, _FLAGS, dir_fd=self._root) if HAS_DIR_FDS else os.open(self._own(name), _FLAGS)
        except (OSError, ValueError):
            raise _missing() from None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise _missing()
        return MediaFile(os.fdopen(descriptor, "rb"), kind, status.st_size, status.st_mtime_ns)

    def listed(self) -> list[MediaItem]:
        """The folder's pictures by name; what is none is left out. Raises `RootUnavailable`."""
        try:
            names = sorted(os.listdir(self._path if self._root is None else self._root))
        except OSError as error:
            raise RootUnavailable(f"The folder cannot be read ({error.strerror}).") from None
        found = itertools.islice(filter(None, map(self._item, names)), MOST_LISTED)
        items = dict(found)
        self._known = {key: item.info for key, item in items.items()}
        return list(items.values())

    def entries(self) -> list[MediaEntry]:
        """The files that are called like pictures, by name; none is opened. Raises `RootUnavailable`."""
        try:
            with os.scandir(self._path if self._root is None else self._root) as found:
                entries = [_entry(each) for each in found]
        except OSError as error:
            raise RootUnavailable(f"The folder cannot be read ({error.strerror}).") from None
        return sorted(filter(None, entries), key=lambda entry: entry.name)

    def _item(self, name: str) -> tuple[tuple[str, int, int], MediaItem] | None:
        """(what tells the file from a changed one, its row), None for a file that cannot be used."""
        with contextlib.suppress(FileMissing, ImageError, OSError):
            file = self.open(name)
            with file.stream:
                key, status = (name, file.changed_ns, file.size_bytes), os.fstat(file.stream.fileno())
                info = self._known.get(key) or self._probe(file.stream)
            return key, MediaItem(name, info, status.st_ctime, status.st_mtime)
        return None

    def _probe(self, stream: BinaryIO) -> codec.ImageInfo:
        """Mostly from the first bytes. Read and not mapped: a mapped file that is shortened ends the process."""
        head = stream.read(_HEAD_BYTES)
        try:
            return codec.probe(head, self._limits)
        except ImageError:
            return codec.probe(head + stream.read(), self._limits)

    def _own(self, name: str) -> Path:
        """For Windows: the path, when nothing on it leads elsewhere. Raises `ValueError`."""
        path = self._path / name
        if os.path.normcase(path.resolve()) != os.path.normcase(self._path.resolve() / name):
            raise ValueError("a link")
        return path


class Media:
    """The folders of a server: that of --input, where it is one, and that of --output-dir."""

    def __init__(self, input_dir: Path | None, output_dir: Path | None, limits: codec.ImageLimits) -> None:
        self._folders: dict[str, MediaFolder] = {}
        self.is_on = input_dir is not None and input_dir.is_dir()
        for tab, folder in (("input", input_dir), ("output", output_dir)):
            if self.is_on and folder is not None:
                self._folders[tab] = MediaFolder(folder, limits)
        folders = [os.path.realpath(folder) for folder in (input_dir, output_dir) if folder is not None]
        self._same = len(folders) == 2 and folders[0] == folders[1]

    def listed(self, tab: str) -> list[MediaItem]:
        """Nothing for a folder that was not named. Raises `RootUnavailable`."""
        return self._folders[tab].listed() if tab in self._folders else []

    def photos(self) -> list[MediaEntry]:
        """The input folder's, the first `MOST_LISTED` by name. Raises `RootUnavailable`."""
        return self._folders["input"].entries()[:MOST_LISTED] if self.is_on else []

    def results(self, photos: list[MediaEntry]) -> dict[str, MediaEntry]:
        """Name of a photo -> the newest file of the output folder that was made of it. Raises `RootUnavailable`.

        Files there have the photo's stem, with a number from the second on (`saving`).
        """
        if "output" not in self._folders or self._same:
            return {}
        stems = {_stem(photo.name) for photo in photos}
        newest: dict[str, MediaEntry] = {}
        for entry in sorted(self._folders["output"].entries(), key=lambda each: each.changed_ns):
            stem = _stem(entry.name)
            newest[stem if stem in stems else _NUMBER.sub("", stem)] = entry
        return {photo.name: newest[stem] for photo in photos if (stem := _stem(photo.name)) in newest}

    def open(self, tab: str, name: str) -> MediaFile:
        """Raises `FileMissing`."""
        if tab not in self._folders:
            raise _missing()
        return self._folders[tab].open(name)

    def close(self) -> None:
        for folder in self._folders.values():
            folder.close()


def version_of(changed_ns: int, size_bytes: int) -> str:
    """Tells a file from what was, or will be, under its name."""
    return f"{changed_ns:x}-{size_bytes:x}"


def _entry(found: os.DirEntry[str]) -> MediaEntry | None:
    """None for what cannot be a picture of the folder's own."""
    if os.path.splitext(found.name)[1].lower() not in SUFFIXES or not _is_plain(found.name):
        return None
    with contextlib.suppress(OSError):  # it is gone meanwhile
        status = found.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            return MediaEntry(found.name, status.st_size, status.st_mtime_ns)
    return None


def _stem(name: str) -> str:
    """As results are called that are made of it."""
    return safe_name(os.path.splitext(name)[0], ".x").removesuffix(".x")


def _is_plain(name: str) -> bool:
    """Whether a name is one segment of a path that every system takes for a file's."""
    return (
        not name.startswith(".")
        and not name.endswith((" ", "."))
        and _FORBIDDEN.search(name) is None
        and len(name.encode("utf-8", "surrogateescape")) <= 255
    )


def _missing() -> FileMissing:
    return FileMissing("There is no such file in this folder.")
