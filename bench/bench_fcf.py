"""FcF at 512 x 512: the inference form, as the engine runs it, against the readable network in plain float32.

The weights are random: the time does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from inpaint_models.fcf.checkpoint import PUBLISHED
from inpaint_models.fcf.engine import FcFEngine
from inpaint_models.fcf.network import FcF
from inpaint_models.types import no_progress

from .measure import Row, in_fresh_process, interleaved
from .scenes import disc_mask

RUNS = 3
SIDE = PUBLISHED.resolution


def rows() -> list[Row]:
    times = interleaved({form: job(form) for form in ("readable", "inference")}, runs=RUNS)
    threads = torch.get_num_threads()
    return [
        Row(
            engine="fcf",
            what=f"{form} form",
            ms=ms,
            runs=RUNS,
            size=f"{SIDE}x{SIDE}",
            threads=threads,
            peak_mib=in_fresh_process("bench.bench_fcf:run_once", {"form": form}, threads=threads)["peak_mib"],
            ratio=times["readable"] / ms,
            against="float32 eager",
        )
        for form, ms in times.items()
    ]


def run_once(form: str) -> dict[str, Any]:
    """For the peak memory of a process that does only this."""
    job(form)()
    return {}


def job(form: str) -> Callable[[], object]:
    """One fill of a random picture by a network of its own."""
    torch.manual_seed(0)
    network = FcF(PUBLISHED).eval().requires_grad_(False)
    image, hole = np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32), disc_mask(SIDE, SIDE, 0.15)
    if form == "inference":
        engine = FcFEngine(network)
        return lambda: engine.fill(image, hole, params={}, seed=0, progress=no_progress)
    picture = torch.from_numpy(image).permute(2, 0, 1)[None] * 2 - 1
    mask = torch.from_numpy(hole)[None, None].float()

    def run() -> torch.Tensor:
        with torch.inference_mode():
            result: torch.Tensor = network(picture, mask, torch.zeros(1, PUBLISHED.latent_width))
        return result

    return run
