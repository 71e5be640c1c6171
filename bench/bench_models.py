"""Each model of the catalogue once, as the server runs it: what it takes in memory, and the same edit on one photo.

Networks get random weights, which cost what the published ones cost.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_models import FillOptions, Inpainter, devices, get_model, list_models, load_model
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
    threads = os.cpu_count() or 1
    found = []
    for entry in list_models("fill"):
        if bench_name(entry) != entry.name:
            continue
        runs = RUNS.get(entry.name, 3)
        measured = in_fresh_process("bench.bench_models:measure", {"name": entry.name, "runs": runs}, threads=threads)
        held = f"holds {measured['held_mib']:.0f} MiB, says {entry.memory_bytes / 2**20:.0f}"
        found.append(
            Row(
                engine=entry.name,
                what=f"edit, hole {SHARE:.0%}",
                ms=measured["ms"],
                runs=runs,
                size=f"{SIDE}x{SIDE}",
                threads=threads,
                peak_mib=measured["peak_mib"],
                note=held,
            )
        )
    return found


def measure(name: str, runs: int) -> dict[str, float]:
    """MiB that the model holds between edits, and the median milliseconds of one after the first."""
    if get_model(name).weights:
        import torch

        torch.rand(64, 64) @ torch.rand(64, 64)  # what torch itself takes is no model's
    image, hole = mosaic(SIDE, SIDE), disc_mask(SIDE, SIDE, SHARE)
    before = _resident_mib()
    model = build(name)
    model(image, hole, FillOptions(params=get_model(name).warm_up))
    held_mib = _resident_mib() - before
    times = []
    for seed in range(runs):
        started = time.perf_counter()
        model(image, hole, FillOptions(seed=seed))
        times.append((time.perf_counter() - started) * 1000)
    return {"held_mib": held_mib, "ms": float(np.median(times)) if times else 0.0}


def build(name: str) -> Inpainter:
    """The model with the engine that its loader makes on a processor."""
    entry = get_model(name)
    if not entry.weights:
        return load_model(name)
    makers = {
        "lama": lama_engine, "mat": _mat, "migan": migan_engine, "fcf": _fcf, "manga": _manga, "ldm": _ldm,
    }  # fmt: skip
    return Inpainter(entry, makers[name]())


def lama_engine(device: str = "cpu") -> Any:
    import torch

    from inpaint_models.lama.engine import LamaEngine
    from inpaint_models.lama.network import FFCResNetGenerator

    def random_state() -> dict[str, torch.Tensor]:
        state: dict[str, torch.Tensor] = _random(FFCResNetGenerator).state_dict()
        return state

    dtype = devices.choose_precision("auto" if device != "cpu" else "float32", device)
    return LamaEngine(random_state, device=device, dtype=dtype)


def migan_engine() -> Any:
    from inpaint_models.migan.engine import MIGANEngine
    from inpaint_models.migan.inference import InferenceMIGAN
    from inpaint_models.migan.network import MIGAN

    return MIGANEngine(InferenceMIGAN(_random(MIGAN)))


def _mat() -> Any:
    from inpaint_models.mat.engine import PUBLISHED, MATEngine
    from inpaint_models.mat.inference import InferenceMAT
    from inpaint_models.mat.network import MAT

    return MATEngine(InferenceMAT(_random(lambda: MAT(PUBLISHED))))


def _fcf() -> Any:
    from inpaint_models.fcf.checkpoint import PUBLISHED
    from inpaint_models.fcf.engine import FcFEngine
    from inpaint_models.fcf.network import FcF

    return FcFEngine(_random(lambda: FcF(PUBLISHED)))


def _manga() -> Any:
    from inpaint_models.manga.engine import MangaEngine

    from .bench_manga import random_networks

    return MangaEngine(random_networks())


def _ldm() -> Any:
    from inpaint_models.ldm.engine import LdmEngine

    from .bench_ldm import random_networks

    return LdmEngine(*random_networks())


def _random(make: Any) -> Any:
    import torch

    torch.manual_seed(0)
    return make().eval().requires_grad_(False)


def _resident_mib() -> float:
    """Resident memory of this process now, after unused memory went back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    """Writes docs/measured.json, from which the documentation's table of models is made."""
    found = rows()
    measured = {
        "processor": processor_name(),
        "threads": found[0].threads,
        "size": found[0].size.replace("x", " x "),
        "hole": SHARE,
        "edit_ms": {row.engine: round(row.ms) for row in found},
    }
    (ROOT / "docs" / "measured.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
