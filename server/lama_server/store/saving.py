"""Results into the output folder: whole or not at all, under a new name, never over a file that exists.

Where the system has it (Linux), the file has no name while it is written (O_TMPFILE) and is linked when it is complete;
a crash leaves nothing at all. Elsewhere it is written under a hidden temporary name and then linked, or moved without
replacing where a volume has no links. The folder is held open while a file is saved, and no link on its path is
followed (`roots`): nothing that is renamed or linked meanwhile leads a write elsewhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import stat
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import DiskFull, Limit, RootUnavailable, SaveError, SaveFailed
from ..errors.disk import DISK_FULL, FOLDER_GONE
from . import roots

MAX_NAME = 120
"""Characters of a file's name. In UTF-8 that is never over the 255 bytes that file systems allow, see `safe_name`."""

_MAX_NAME_BYTES = 255
_NUMBER_CHARS = 5
_MAX_NUMBER = 9999
_STALE_S = 3600
_PART = re.compile(r"\.[0-9a-f]{32}\.part\Z")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\Z", re.IGNORECASE)
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}\Z")
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENOSYS)
_NO_LINK = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_NO_EXCLUSIVE_RENAME = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOSYS)


def save_new(directory: Path, stem: str, suffix: str, data: bytes, min_free_bytes: int = 0) -> str:
    """Writes a complete new file and makes it durable before it returns. Returns the name it got.

    directory       resolved when the server started: a link that is on its path now is not followed
    stem            as the source was called; anything goes, see `safe_name`
    suffix          such as ".png", chosen by the server
    min_free_bytes  what is to be left on the disk afterwards

    The name is the stem with the suffix or, when that is taken, with -0001, -0002 ... before it. Raises `DiskFull`,
    `RootUnavailable`, `SaveFailed`; then nothing is left behind.
    """
    with _named_errors():
        if roots.HAS_DIR_FDS:
            with roots.opened_root(directory) as folder:
                check_free(folder, len(data), min_free_bytes)
                return _save_at(folder, stem, suffix, data)
        roots.check_root(directory)
        check_free(directory, len(data), min_free_bytes)
        return _save_by_path(directory, stem, suffix, data)


def check_folder(directory: Path, min_free_bytes: int = 0) -> None:
    """Raises as `save_new` unless a small file could be saved now."""
    with _named_errors():
        roots.check_writable(directory)
        check_free(directory, 0, min_free_bytes)


def check_free(folder: Path | int, size_bytes: int, min_free_bytes: int) -> None:
    """Raises `DiskFull` when a file of that size would leave less than that on the disk."""
    left = roots.free_bytes(folder) - size_bytes
    if left < min_free_bytes:
        raise DiskFull(
            f"The disk of the output folder has less than {min_free_bytes >> 20} MiB to spare: nothing is saved there. "
            "Free some space.",
            limit=Limit("min_free", min_free_bytes >> 20, max(0, left) >> 20, "--min-free"),
        )


def make_directory(directory: Path) -> None:
    """Makes a folder for results and those above it, where they are missing. Raises as `save_new`."""
    with _named_errors():
        roots.make_root(directory, 0o777)


def safe_name(name: str, suffix: str) -> str:
    """A file name that Linux, macOS and Windows accept, at most 120 characters and 255 bytes, ending in the suffix.

    What a path, a device or a terminal could be fooled with is replaced by "_"; leading dots go, because hidden results
    are lost results. The same name goes through unchanged the second time.
    """
    return _numbered(name, suffix, 0)


def sweep(directory: Path) -> int:
    """Removes temporary files older than an hour that a killed server left here. Returns how many.

    Only names of exactly our own pattern are touched. Raises `RootUnavailable`, `SaveFailed`.
    """
    removed = 0
    with _named_errors(), contextlib.ExitStack() as stack:
        folder = stack.enter_context(roots.opened_root(directory)) if roots.HAS_DIR_FDS else None
        for entry in os.scandir(directory if folder is None else folder):
            if not _PART.match(entry.name):
                continue
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(found.st_mode) and time.time() - found.st_mtime > _STALE_S:
                os.unlink(entry.path, dir_fd=folder)
                removed += 1
    return removed


def _save_at(folder: int, stem: str, suffix: str, data: bytes) -> str:
    """With every name relative to an open folder."""
    with _unnamed(folder, data) as linked:
        if linked is not None and (name := _if_linkable(lambda: _first_free(stem, suffix, linked))):
            _sync_or_take_back(folder, name)
            return name
    part = f".{secrets.token_hex(16)}.part"
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(part, flags, 0o666, dir_fd=folder)
    try:
        _write(descriptor, data)

        def publish(name: str) -> None:
            if _if_linkable(lambda: _link_new(part, name, folder)) or _rename_new(part, name, folder):
                return
            _copy_new(name, data, folder)

        name = _first_free(stem, suffix, publish)
    finally:
        with contextlib.suppress(FileNotFoundError):  # where publishing was renaming
            os.unlink(part, dir_fd=folder)
    _sync_or_take_back(folder, name)
    return name


def _sync_or_take_back(folder: int, name: str) -> None:
    """Makes the new name durable; one that was reported as failed is not left visible."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno in _NO_FOLDER_SYNC:
            return
        os.unlink(name, dir_fd=folder)
        raise


@contextlib.contextmanager
def _unnamed(folder: int, data: bytes) -> Iterator[Callable[[str], None] | None]:
    """Writes into a file without a name; gives what names it, or None where the system has no such files."""
    descriptor = None
    if hasattr(os, "O_TMPFILE"):
        try:
            descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=folder)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
    if descriptor is None or not os.path.exists(f"/proc/self/fd/{descriptor}"):
        if descriptor is not None:
            os.close(descriptor)
        yield None
        return
    try:
        _write_open(descriptor, data)
        source = f"/proc/self/fd/{descriptor}"
        yield lambda name: os.link(source, name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(descriptor)


def _save_by_path(directory: Path, stem: str, suffix: str, data: bytes) -> str:
    """For systems whose files cannot be named relative to a folder: Windows, whose rename never replaces."""
    part = directory / f".{secrets.token_hex(16)}.part"
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
    try:
        _write(descriptor, data)
        publish = os.rename if os.name == "nt" else os.link
        return _first_free(stem, suffix, lambda name: publish(part, directory / name))
    finally:
        part.unlink(missing_ok=True)


def _if_linkable(link: Callable[[], str]) -> str | None:
    """What `link` returns; None where volume or system make no hard links (exFAT, some network shares)."""
    try:
        return link()
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return None


def _link_new(part: str, name: str, folder: int) -> str:
    os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    return name


def _rename_new(part: str, name: str, folder: int) -> bool:
    """Moves without replacing. False where the system cannot. Raises `FileExistsError` like a link does."""
    function, exclusive = {"linux": ("renameat2", 1), "darwin": ("renameatx_np", 4)}.get(sys.platform, ("", 0))
    rename = getattr(ctypes.CDLL(None, use_errno=True), function, None) if function else None
    if rename is None:
        return False
    if rename(folder, os.fsencode(part), folder, os.fsencode(name), exclusive) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCLUSIVE_RENAME:
        return False
    raise OSError(number, os.strerror(number))


def _copy_new(name: str, data: bytes, folder: int) -> None:
    """For volumes with neither: a new file, taken away again unless complete. A crash can leave a part of it."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(name, flags, 0o666, dir_fd=folder)
    try:
        _write(descriptor, data)
    except BaseException:
        os.unlink(name, dir_fd=folder)
        raise


def _first_free(stem: str, suffix: str, publish: Callable[[str], None]) -> str:
    """Tries one name after the other until one is new. `publish` raises `FileExistsError` when it is not."""
    for number in range(_MAX_NUMBER + 1):
        name = _numbered(stem, suffix, number)
        try:
            publish(name)
        except FileExistsError:
            continue
        return name
    raise SaveFailed(
        f"All names from {_numbered(stem, suffix, 0)} to {_numbered(stem, suffix, _MAX_NUMBER)} are taken. "
        "Move some of them, or choose another output folder."
    )


def _numbered(stem: str, suffix: str, number: int) -> str:
    if not _SUFFIX.match(suffix):
        raise ValueError(f"{suffix!r} is no file suffix. Give one such as '.png'.")
    tail = suffix if number == 0 else f"-{number:04d}{suffix}"
    room, bytes_left = MAX_NAME - _NUMBER_CHARS - len(suffix), _MAX_NAME_BYTES - _NUMBER_CHARS - len(suffix)
    return _safe_stem(stem.removesuffix(suffix), room, bytes_left) + tail


def _safe_stem(text: str, room: int, bytes_left: int) -> str:
    clean = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    clean = _FORBIDDEN.sub("_", clean).lstrip(". ")
    clean = _cut(clean, room, bytes_left).rstrip(" ")
    if _RESERVED.match(clean.split(".")[0].rstrip()):
        clean = "_" + _cut(clean, room - 1, bytes_left - 1)
    return clean or "image"


def _cut(text: str, room: int, bytes_left: int) -> str:
    """At most so many characters and UTF-8 bytes, without a half character."""
    return text[:room].encode()[:bytes_left].decode("utf-8", "ignore")


def _write(descriptor: int, data: bytes) -> None:
    """Writes all, forces it to disk, and closes."""
    try:
        _write_open(descriptor, data)
    finally:
        os.close(descriptor)


def _write_open(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    """The system's errors as ours; they hold no path."""
    try:
        yield
    except OSError as error:
        raise _named(error) from error


def _named(error: OSError) -> SaveError:
    reason = os.strerror(error.errno) if error.errno else "unknown reason"
    if error.errno in DISK_FULL:
        return DiskFull("The disk of the output folder is full; the result was not saved. Free some space.")
    if error.errno in FOLDER_GONE:
        return RootUnavailable(
            f"The output folder cannot be written to ({reason}). Check that it exists and is writable."
        )
    return SaveFailed(f"The result could not be saved ({reason}). Download it from the page instead.")
