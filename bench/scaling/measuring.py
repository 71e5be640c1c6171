"""What an edit costs: memory of each engine, and processor time of the server around it.

Processor time and not the clock: other programs hardly change it. That of the engines is in docs/measured.json, where
`python -m bench.bench_models` writes it.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from inpaint_models import get_model

from ..bench_edits import SIZES, STROKE_PX, Client, edit, photo, serving
from ..measure import in_fresh_process
from .sizing import engine_times

BATCH, BATCH_SIDE = 4, 256
TURNS, EDITS = 5, 4


def measure() -> Iterator[dict[str, Any]]:
    """Part by part what the model is made from, but for the engines' times and the check against a run."""
    yield {"server": server()}
    yield {"batch_gain": in_fresh_process("bench.scaling.measuring:batch_gain", {}, threads=1)["gain"]}
    memory = {}
    for name in engine_times():
        found = in_fresh_process("bench.bench_models:measure", {"name": name, "runs": 0}, threads=1)
        memory[name] = {"held_mib": round(found["held_mib"]), "peak_mib": round(found["peak_mib"])}
        yield {"memory": dict(memory)}


def batch_gain() -> dict[str, float]:
    """By how much `BATCH` crops of LaMa are quicker in one call than in as many, on a processor."""
    import numpy as np

    from .. import networks

    made: Any = networks.engine("lama")
    image = np.random.default_rng(0).random((BATCH_SIDE, BATCH_SIDE, 3), np.float32)
    hole = np.zeros((BATCH_SIDE, BATCH_SIDE), bool)
    hole[64:128, 64:128] = True
    asked = {"params": get_model("lama").check_params({}), "seed": 0, "progress": lambda *_: None}

    def took_s(count: int) -> float:
        began = time.process_time()
        made.fill_batch([image] * count, [hole] * count, **asked)
        return time.process_time() - began

    took_s(BATCH)
    single, together = (min(took_s(count) for _ in range(3)) for count in (1, BATCH))
    return {"gain": round(BATCH * single / together, 2)}


def server() -> dict[str, float]:
    """Processor seconds of web process and workers for a photo of 12 megapixels, and the bytes that are stored."""
    height, width = SIZES[12]
    jpeg = photo(height, width)
    with tempfile.TemporaryDirectory() as data, serving("opencv", Path(data)) as (pid, port):
        client, bill = Client(port), Bill(psutil.Process(pid))
        for number in range(TURNS):
            sent = jpeg + bytes([number])  # bytes after the end of a JPEG make it another photo
            with bill.item("upload"):
                reply = client.send("POST", "/api/v1/images?name=a.jpg", sent, "application/octet-stream")
            image = json.loads(reply)["id"]
            for place in range(EDITS):
                with bill.item("edit"):
                    edit(client, image, "opencv", width // 2 + 100 * place, height // 2)
            with bill.item("render"):
                client.send("GET", f"/api/v1/images/{image}/render")
        stored = sum(file.stat().st_size for file in Path(data).glob("images/*/*/edits/*/*"))
    return {
        **{name: round(statistics.mean(values), 3) for name, values in bill.spent_s.items()},
        "photo_bytes": len(jpeg),
        "edit_bytes": round(stored / (EDITS * TURNS)),
        "edit_stroke_px": STROKE_PX,
    }


class Bill:
    """Processor seconds of a server: "WHAT_web_s" and "WHAT_workers_s" of each time that something was done."""

    def __init__(self, web: psutil.Process) -> None:
        self._web = web
        self.spent_s: dict[str, list[float]] = {}

    @contextmanager
    def item(self, what: str) -> Iterator[None]:
        before = self._so_far()
        yield
        for kind, seconds in self._so_far().items():
            self.spent_s.setdefault(f"{what}_{kind}_s", []).append(seconds - before[kind])

    def _so_far(self) -> dict[str, float]:
        workers = sum(sum(child.cpu_times()[:2]) for child in self._web.children(recursive=True))
        return {"web": sum(self._web.cpu_times()[:2]), "workers": workers}
