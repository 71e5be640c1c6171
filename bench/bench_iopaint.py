"""IOPaint's own request, a photo and a mask as base64 in JSON, on photos of 2, 12, 24 and 48 megapixels.

With IOPAINT_PYTHON, a Python in which IOPaint 1.6.0 runs, IOPaint's server fills the same masks with the same algorithm
in turn with ours, and the ratio is to its time; without it our times stand alone.
"""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PIL import Image, ImageDraw

from inpaint_models.machine import available_processors

from .bench_edits import SIZES, STROKE_PX, Client, peak_mib, photo, serving
from .measure import Row, interleaved

RUNS = 5
OURS, THEIRS = "opencv", "cv2"
"""The same algorithm under our name and under IOPaint's."""


def rows() -> list[Row]:
    """Our time and IOPaint's at each size, as sent by IOPaint's page."""
    return [row for megapixels, size in SIZES.items() for row in measure(megapixels, photo(*size))]


def measure(megapixels: int, jpeg: bytes) -> list[Row]:
    """Both servers answer the same request in turn; each size has servers of its own, so that their peaks are its."""
    height, width = SIZES[megapixels]
    body = request(jpeg, mask(height, width))
    with ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory())
        servers = {"lama-server": stack.enter_context(serving(OURS, Path(data)))}
        if python := os.environ.get("IOPAINT_PYTHON"):
            servers["IOPaint 1.6.0"] = stack.enter_context(iopaint(python))
        ports = {name: port for name, (_, port) in servers.items()}
        answers: dict[str, bytes] = {}

        def fill(name: str) -> None:
            answers[name] = Client(ports[name]).send("POST", "/api/v1/inpaint", body)

        times = interleaved({name: lambda name=name: fill(name) for name in servers}, runs=RUNS)  # type: ignore[misc]
        peaks = {name: sum(peak_mib(pid)) for name, (pid, _) in servers.items()}
    theirs_ms = times.get("IOPaint 1.6.0")
    return [
        Row(
            engine=OURS if name == "lama-server" else THEIRS,
            what=f"/api/v1/inpaint of {name}, {megapixels} MP JPEG",
            size=f"{width}x{height}",
            ms=ms,
            runs=RUNS,
            threads=available_processors(),
            peak_mib=peaks[name],
            ratio=theirs_ms / ms if theirs_ms is not None and name == "lama-server" else None,
            against="IOPaint 1.6.0",
            note=f"up {len(body) / 2**20:.1f} MiB; down {len(answers[name]) / 2**20:.1f} MiB, {kind(answers[name])}",
        )
        for name, ms in times.items()
    ]


def request(jpeg: bytes, painted: bytes) -> bytes:
    """What IOPaint's page sends for OpenCV, as far as it counts."""
    fields = {
        "image": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"),
        "mask": "data:image/png;base64," + base64.b64encode(painted).decode("ascii"),
        "hd_strategy": "Crop",
        "hd_strategy_crop_trigger_size": 800,
        "hd_strategy_crop_margin": 128,
        "cv2_flag": "INPAINT_NS",
        "cv2_radius": 5,
        "sd_seed": 42,
    }
    return json.dumps(fields).encode()


def mask(height: int, width: int) -> bytes:
    """A short stroke in the middle, as the page's canvas gives it: yellow on nothing."""
    drawn = Image.new("RGBA", (width, height))
    x, y = width // 2, height // 2
    ImageDraw.Draw(drawn).line([(x, y), (x + 60, y + 40)], fill=(255, 204, 0, 187), width=STROKE_PX)
    out = io.BytesIO()
    drawn.save(out, "PNG", compress_level=6)
    return out.getvalue()


def kind(answer: bytes) -> str:
    with Image.open(io.BytesIO(answer)) as image:
        return str(image.format)


@contextmanager
def iopaint(python: str) -> Iterator[tuple[int, int]]:
    """(process id, port) of IOPaint's server, ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [python, "-m", "iopaint", "start", "--model", THEIRS, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until_open(port)
            yield server.pid, port
        finally:
            server.terminate()


def wait_until_open(port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("IOPaint was not up within two minutes.")
