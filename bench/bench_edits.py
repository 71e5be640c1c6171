"""The same small edit on photos of 2, 12, 24 and 48 megapixels, from POST to the last byte of the patch.

A real server in a process of its own; the client counts the bytes that it sends and gets. After the first upload an
edit should cost the same on every size.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from inpaint_models.machine import available_processors

from .measure import ROOT, Row

SIZES = {2: (1224, 1632), 12: (3000, 4000), 24: (4000, 6000), 48: (6000, 8000)}
"""(height, width) by megapixels."""

STROKE_PX = 60
ENGINES = ("opencv", "patchmatch")
RUNS = 7


class Client:
    """One kept connection to the server; counts what goes over it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.up = self.down = 0

    def send(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
        self._connection.request(method, path, body or None, {"Content-Type": kind} if body else {})
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path} was answered with {response.status}: {answer[:300]!r}")
        self.up += len(body)
        self.down += len(answer)
        return answer


def rows() -> list[Row]:
    photos = {megapixels: photo(*size) for megapixels, size in SIZES.items()}
    found: list[Row] = []
    for engine in ENGINES:
        base_ms: float | None = None
        for megapixels, jpeg in photos.items():
            row = measure(engine, megapixels, jpeg, base_ms)
            base_ms = base_ms or row.ms
            found.append(row)
    return found


def measure(engine: str, megapixels: int, jpeg: bytes, base_ms: float | None) -> Row:
    """Edits on one photo, with a server of their own so that its peak memory is theirs."""
    height, width = SIZES[megapixels]
    with tempfile.TemporaryDirectory() as data, serving(engine, Path(data)) as (pid, port):
        client = Client(port)
        start = time.perf_counter()
        image = json.loads(client.send("POST", "/api/v1/images?name=photo.jpg", jpeg, "application/octet-stream"))["id"]
        upload_ms = (time.perf_counter() - start) * 1000
        times = []
        for turn in range(RUNS + 1):
            client.up = client.down = 0
            start = time.perf_counter()
            edit(client, image, engine, width // 2 + 10 * turn, height // 2)
            times.append((time.perf_counter() - start) * 1000)
        memory = peak_mib(pid)
    return Row(
        engine=engine,
        what=f"edit of a {STROKE_PX} px stroke, {megapixels} MP",
        size=f"{width}x{height}",
        ms=statistics.median(times[1:]),
        runs=RUNS,
        threads=available_processors(),
        peak_mib=sum(memory),
        ratio=None if base_ms is None else base_ms / statistics.median(times[1:]),
        against="the same at 2 MP",
        note=f"up {client.up} B, down {client.down / 1024:.0f} KiB; first upload {len(jpeg) / 2**20:.1f} MiB in "
        f"{upload_ms:.0f} ms; edits {times[0]:.0f} ms at first, {min(times):.0f} at best; "
        f"web {memory[0]:.0f} MiB, workers {sum(memory[1:]):.0f} MiB",
    )


def edit(client: Client, image: str, engine: str, x: int, y: int) -> None:
    """A short stroke; reads the stream to its end and fetches the patches."""
    stroke = {"op": "add", "kind": "stroke", "d": STROKE_PX, "p": [4 * x, 4 * y, 240, 160]}
    request = {"image": image, "mask": {"shapes": [stroke]}, "runs": [{"model": engine, "seed": 1}]}
    lines = client.send("POST", "/api/v1/edits", json.dumps(request).encode()).splitlines()
    result = next(message for message in map(json.loads, lines) if message["type"] == "result")
    for patch in result["patches"]:
        client.send("GET", patch["url"])


@contextmanager
def serving(engine: str, data: Path) -> Iterator[tuple[int, int]]:
    """(process id, port) of a server that is ready."""
    command = [sys.executable, "-c", "from lama_server.cli import main; main()", "--port", "0", "--model", engine]
    path = os.pathsep.join(str(ROOT / part) for part in ("server", "models"))
    with subprocess.Popen(
        [*command, "--data-dir", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "LAMA_SERVER_CONFIG": os.devnull},
    ) as server:
        try:
            assert server.stdout is not None
            port = next(
                int(m.group(1)) for line in server.stdout if (m := re.search(r"http://127\.0\.0\.1:(\d+)", line))
            )
            wait_until_ready(port)
            yield server.pid, port
        finally:
            server.terminate()


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/readyz")
        if connection.getresponse().status == 200:
            return
        time.sleep(0.1)
    raise RuntimeError("The server was not ready within two minutes.")


def peak_mib(pid: int) -> list[float]:
    """Highest resident memory so far, of the process and then of each of its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [_high_water(process) for process in [str(pid), *children]]


def _high_water(pid: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024  # type: ignore[union-attr]


def photo(height: int, width: int) -> bytes:
    """A JPEG with structure at every scale, as a camera would make it."""
    rng = np.random.default_rng(height)
    layers = [
        Image.fromarray(rng.integers(0, 256, (height // cell + 1, width // cell + 1, 3), dtype=np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        for cell in (512, 64, 8)
    ]
    mixed = Image.blend(Image.blend(layers[0], layers[1], 0.4), layers[2], 0.2)
    out = io.BytesIO()
    mixed.save(out, "JPEG", quality=90)
    return out.getvalue()
