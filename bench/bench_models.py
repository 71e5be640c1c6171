"""Each model of the catalogue once, as the server runs it: what it takes in memory, and the same edit on one photo.

Networks get random weights, which cost what the published ones cost.
"""

from __future__ import annotations

import ctypes
import gc
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_models import FillOptions, Inpainter, get_model, list_models, load_model
from inpaint_models.machine import available_processors
from inpaint_models.registry import ModelEntry

from .measure import ROOT, Row, in_fresh_process, processor_name
from .scenes import disc_mask, mosaic

SIDE = 512
SHARE = 0.15
RUNS = {"ldm": 1}


def bench_name(entry: ModelEntry) -> str:
    """The model that is measured for it: another one of the same network where there is one."""
    return next(other.name for other in list_models("fill") if other.loader == entry.loader)


def rows() -> list[Row]:
    found, threads = [], available_processors()
    for entry in list_models("fill"):
        if bench_name(entry) != entry.name:
            continue
        measured = measured_alone(entry, threads)
        held = f"holds {measured['held_mib']:.0f} MiB, says {entry.memory_bytes / 2**20:.0f}"
        found.append(
            Row(
                engine=entry.name,
                what=f"edit, hole {SHARE:.0%}",
                ms=measured["ms"],
                runs=RUNS.get(entry.name, 3),
                size=f"{SIDE}x{SIDE}",
                threads=threads,
                peak_mib=measured["peak_mib"],
                note=held,
            )
        )
    return found


def measured_alone(entry: ModelEntry, threads: int) -> dict[str, Any]:
    """What `measure` says in a process of its own."""
    arguments = {"name": entry.name, "runs": RUNS.get(entry.name, 3)}
    return in_fresh_process("bench.bench_models:measure", arguments, threads=threads)


def measure(name: str, runs: int) -> dict[str, float]:
    """MiB that the model holds between edits, and what one after the first takes.

    ms            in the median
    processor_ms  of the quickest, all threads added up; on one thread other programs hardly change it
    """
    if get_model(name).weights:
        import torch

        from . import networks as networks  # what torch and our code take is no model's

        torch.rand(64, 64) @ torch.rand(64, 64)
    image, hole = mosaic(SIDE, SIDE), disc_mask(SIDE, SIDE, SHARE)
    before = _resident_mib()
    model = build(name)
    model(image, hole, FillOptions(params=get_model(name).warm_up))
    held_mib = _resident_mib() - before
    times, processor = [], []
    for seed in range(runs):
        started, processor_started = time.perf_counter(), time.process_time()
        model(image, hole, FillOptions(seed=seed))
        times.append((time.perf_counter() - started) * 1000)
        processor.append((time.process_time() - processor_started) * 1000)
    return {"held_mib": held_mib, "ms": float(np.median(times or [0])), "processor_ms": min(processor, default=0.0)}


def build(name: str) -> Inpainter:
    """The model with the engine that its loader makes on a processor."""
    entry = get_model(name)
    if not entry.weights:
        return load_model(name)
    from . import networks

    return Inpainter(entry, networks.engine(name))


def _resident_mib() -> float:
    """Resident memory of this process now, after unused memory went back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    """Writes docs/measured.json, from which the documentation's table of models is made: times on one thread."""
    entries = [entry for entry in list_models("fill") if bench_name(entry) == entry.name]
    measured = {
        "processor": processor_name(),
        "size": f"{SIDE} x {SIDE}",
        "hole": SHARE,
        "edit_ms": {entry.name: round(measured_alone(entry, threads=1)["processor_ms"]) for entry in entries},
    }
    (ROOT / "docs" / "measured.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
