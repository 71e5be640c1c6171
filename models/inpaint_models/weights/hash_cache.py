"""What has been hashed is not hashed again: a small file in the model folder keeps hashes by size, time and inode."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from . import disk

_logger = logging.getLogger(__name__)

FILE_NAME = "verified.json"
_CHUNK_BYTES = 1 << 20
_LOCK_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Digests:
    """Both sums of a file, as lower-case hex."""

    sha256: str
    md5: str


@dataclass(frozen=True, slots=True)
class Row:
    """A file as it was when it was hashed.

    first_use    SHA-256 when it was first taken on trust, because none was published; "" otherwise
    made_from    SHA-256 of the checkpoint that this file is our copy of; "" otherwise
    """

    size: int
    mtime_ns: int
    inode: int
    sha256: str
    md5: str
    first_use: str = ""
    made_from: str = ""


Listener = Callable[[int], None]
"""Told how many bytes have been read so far; may raise `Cancelled`."""


def digests_of(handle: BinaryIO, listener: Listener | None = None) -> Digests:
    """Reads an open file from its start to its end."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    handle.seek(0)
    done = 0
    while chunk := handle.read(_CHUNK_BYTES):
        sha256.update(chunk)
        md5.update(chunk)
        done += len(chunk)
        if listener is not None:
            listener(done)
    return Digests(sha256.hexdigest(), md5.hexdigest())


@dataclass(frozen=True, slots=True)
class HashCache:
    """The hashes of one model folder. A folder that cannot be written to costs a rehash and nothing else."""

    model_dir: Path

    def unchanged(self, path: Path) -> Row | None:
        """The row of a file that has not been touched since it was hashed."""
        row, found = self.recorded(path), identity(path.stat())
        return row if row is not None and (row.size, row.mtime_ns, row.inode) == found else None

    def recorded(self, path: Path) -> Row | None:
        """The row of a path, even when the file has changed since."""
        return self._rows().get(_key(path))

    def measure(self, path: Path, listener: Listener | None = None) -> Row:
        """Hashes a file and stores its row; what was known of its first use stays."""
        with path.open("rb") as handle:
            before = identity(os.fstat(handle.fileno()))
            sums = digests_of(handle, listener)
        old = self.recorded(path)
        row = Row(*before, sums.sha256, sums.md5, old.first_use if old else "")
        self.store(path, row)
        return row

    def trust(self, path: Path, row: Row) -> Row:
        """Takes a file without a published hash as it is now: it must stay that way."""
        trusted = replace(row, first_use=row.sha256)
        self.store(path, trusted)
        return trusted

    def store(self, path: Path, row: Row) -> None:
        self._change(lambda rows: rows.__setitem__(_key(path), row))

    def forget(self, path: Path) -> None:
        self._change(lambda rows: rows.pop(_key(path), None))

    def copy_of(self, sha256: str, stem: str) -> Path | None:
        """Our untouched safetensors copy of a checkpoint, when there is one."""
        for key, row in self._rows().items():
            path = Path(key)
            if row.made_from == sha256 and path.stem == stem and path.is_file() and self.unchanged(path) == row:
                return path
        return None

    @property
    def _file(self) -> Path:
        return self.model_dir / FILE_NAME

    def _rows(self) -> dict[str, Row]:
        try:
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            return {key: Row(**row) for key, row in stored["files"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _logger.warning("%s cannot be read (%s): weights are checked again", self._file, error)
            return {}

    def _change(self, edit: Callable[[dict[str, Row]], Any]) -> None:
        try:
            self.model_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(self.model_dir / f".{FILE_NAME}.lock", timeout=_LOCK_TIMEOUT_S):
                rows = self._rows()
                edit(rows)
                content = {"version": 1, "files": {key: asdict(row) for key, row in sorted(rows.items())}}
                with disk.replacing(self._file) as file:
                    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
        except (OSError, Timeout) as error:
            _logger.info("%s cannot be written (%s): the check is repeated at the next start", self._file, error)


def identity(stat: os.stat_result) -> tuple[int, int, int]:
    """The first fields of a file's `Row`."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _key(path: Path) -> str:
    return str(path.absolute())
