"""A file on its way: bytes under NAME.part beside the final name, and what the server said of them."""

from __future__ import annotations

import contextlib
import errno
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import Cancelled
from . import disk
from .network import Network, Response, TransferError

_CHUNK_BYTES = 1 << 16
_SPACE_FACTOR = 1.1
_CANCEL_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Target:
    """What is wanted.

    size_bytes   None where none was published
    proven       whether a published hash will decide about the bytes, so that parts of several servers may be joined
    """

    path: Path
    size_bytes: int | None
    proven: bool

    @property
    def part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def notes(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part.json")

    @property
    def done_bytes(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


def fetch(
    url: str,
    target: Target,
    network: Network,
    *,
    secret_headers: dict[str, str],
    listener: Callable[[int, int | None], None],
    cancelled: Callable[[], bool],
) -> None:
    """Brings the part to its full length, going on where an earlier attempt ended.

    listener   told (bytes so far, bytes in all or None)

    Raises `TransferError` and `Cancelled`; the part stays for the next attempt, unless the server says that it has
    no rest for it.
    """
    offset = _resumable_bytes(url, target)
    if target.size_bytes is not None and offset == target.size_bytes:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "lama-server"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator := _validator(url, target):
            headers["If-Range"] = validator
    try:
        with contextlib.closing(network.get(url, headers, secret_headers)) as response:
            offset, total = _start(response, offset, target)
            _note(url, response, target)
            with _interrupted_when(cancelled, response):
                _receive(response, target, offset, total, listener, cancelled)
    except TransferError as error:
        if error.cause == "wrong_range":
            target.discard()
        raise


def _resumable_bytes(url: str, target: Target) -> int:
    """How much of the part can be built upon; what cannot is thrown away."""
    done = target.done_bytes
    too_long = target.size_bytes is not None and done > target.size_bytes
    if done and (too_long or not (target.proven or _validator(url, target))):
        target.discard()
        return 0
    return done


def _start(response: Response, offset: int, target: Target) -> tuple[int, int | None]:
    """(where this response starts, length of the whole file); refuses what cannot be the file."""
    length = response.header("Content-Length")
    total = int(length) if length.isdecimal() else None
    if response.raw.status == 206:
        start, total = _content_range(response)
        if start != offset:
            raise TransferError("wrong_range", f"{response.host} sent another part of the file", retryable=True)
    else:
        offset = 0
    if target.size_bytes is not None and total is not None and total != target.size_bytes:
        message = f"{response.host} offers {total:,} bytes instead of {target.size_bytes:,}"
        raise TransferError("wrong_length", message, retryable=False)
    if target.size_bytes is None and response.header("Content-Type").startswith("text/html"):
        raise TransferError("wrong_content", f"{response.host} sent a web page instead of the file", retryable=False)
    whole = target.size_bytes or total
    _check_space(target, offset, whole)
    return offset, whole


def _content_range(response: Response) -> tuple[int, int | None]:
    """(first byte, length of the whole) of "bytes 5-9/10"."""
    unit, _, rest = response.header("Content-Range").partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdecimal():
        return -1, None
    return int(start), int(total) if total.isdecimal() else None


def _check_space(target: Target, offset: int, total: int | None) -> None:
    free = disk.free_bytes(target.path.parent)
    if total is not None and free < _SPACE_FACTOR * total - offset:
        message = (
            f"the disk of the model folder has {free / 2**20:,.0f} MiB free and {target.path.name} needs "
            f"{(_SPACE_FACTOR * total - offset) / 2**20:,.0f} MiB"
        )
        raise TransferError("disk_full", message, retryable=False)


def _receive(
    response: Response,
    target: Target,
    offset: int,
    total: int | None,
    listener: Callable[[int, int | None], None],
    cancelled: Callable[[], bool],
) -> None:
    done = offset
    with _disk_errors(), target.part.open("r+b" if offset else "wb") as part:
        part.seek(offset)
        part.truncate()
        listener(done, total)
        while True:
            check(cancelled)
            data = _read(response, cancelled)
            if not data:
                break
            part.write(data)
            done += len(data)
            if total is not None and done > total:
                part.truncate(offset)
                raise TransferError("wrong_length", f"{response.host} sent more than {total:,} bytes", retryable=False)
            listener(done, total)
    if total is not None and done < total:
        raise TransferError("connection", f"{response.host} hung up after {done:,} of {total:,} bytes", retryable=True)


def _read(response: Response, cancelled: Callable[[], bool]) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except TransferError:
        check(cancelled)
        raise


def check(cancelled: Callable[[], bool]) -> None:
    """Raises `Cancelled` when the file is no longer wanted."""
    if cancelled():
        raise Cancelled("The download was stopped. What has arrived is kept; the next one goes on from there.")


@contextlib.contextmanager
def _interrupted_when(cancelled: Callable[[], bool], response: Response) -> Iterator[None]:
    """A server that says nothing does not keep a cancelled download waiting."""
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_CANCEL_POLL_S):
            if cancelled():
                response.interrupt()
                return

    watcher = threading.Thread(target=watch, name="download-cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_failure(error) from error


def disk_failure(error: OSError) -> TransferError:
    """A failure to write, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TransferError("disk_full", "the disk of the model folder is full", retryable=False)
    return TransferError(
        "disk", f"the model folder cannot be written to ({error.strerror or type(error).__name__})", retryable=False
    )


def _note(url: str, response: Response, target: Target) -> None:
    """Writes down the server's validator, with which the next attempt asks whether its file is still the same."""
    etag = response.header("ETag")
    validator = etag if etag and not etag.startswith("W/") else response.header("Last-Modified")
    with _disk_errors(), disk.replacing(target.notes) as notes:
        notes.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")


def _validator(url: str, target: Target) -> str:
    """What this address said of the part at hand; empty when it said nothing or another address did."""
    try:
        notes = json.loads(target.notes.read_bytes())
    except (OSError, ValueError):
        return ""
    if not isinstance(notes, dict) or notes.get("url") != url:
        return ""
    return str(notes.get("validator", ""))
