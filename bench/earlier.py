"""patchmatch as it was at an earlier commit, in a process of its own.

`Earlier` starts this file with the earlier tree on its path; pairs of image and hole go in, images come out.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent


class Earlier:
    """A function from image and hole to the filled image. The process ends with this one."""

    def __init__(self, commit: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        archive = subprocess.run(["git", "archive", commit, "models"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(self._folder.name, filter="data")
        environment = {**os.environ, "PYTHONPATH": str(Path(self._folder.name) / "models")}
        self._process = subprocess.Popen(
            [sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(self, image: NDArray[Any], hole: NDArray[np.bool_]) -> NDArray[Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("The earlier version's process has no pipes.")
        _write(self._process.stdin, image)
        _write(self._process.stdin, hole)
        filled = _read(self._process.stdout)
        if filled is None:
            raise RuntimeError("The earlier version's process has ended.")
        return filled


def _write(stream: IO[bytes], array: NDArray[Any]) -> None:
    buffer = io.BytesIO()  # numpy needs positions, and a pipe has none
    np.save(buffer, array)
    stream.write(buffer.tell().to_bytes(8, "little") + buffer.getvalue())
    stream.flush()


def _read(stream: IO[bytes]) -> NDArray[Any] | None:
    """None at the pipe's end."""
    size_bytes = int.from_bytes(stream.read(8), "little")
    return np.load(io.BytesIO(stream.read(size_bytes))) if size_bytes else None


def main() -> None:
    """Fills what comes in until the pipe is closed."""
    from inpaint_models import load_model

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the other side, which closes the pipe
    fill = load_model("patchmatch")
    fill(np.eye(64, dtype=np.uint8)[..., None].repeat(3, axis=2), np.eye(64, k=20, dtype=np.bool_))  # compiles
    while (image := _read(sys.stdin.buffer)) is not None and (hole := _read(sys.stdin.buffer)) is not None:
        try:
            _write(sys.stdout.buffer, fill(image, hole.astype(np.bool_)))
        except BrokenPipeError:
            os._exit(0)  # the other side has gone in the middle of a fill


if __name__ == "__main__":
    main()
