"""Manga inpainting at 512 x 512: the engine against the same networks as torch runs them by default, in float32.

The weights are random: the time does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from inpaint_models.manga.engine import MangaEngine
from inpaint_models.manga.lines import LineExtractor
from inpaint_models.manga.network import AppearanceNetwork, ScreenEncoder, SemanticNetwork
from inpaint_models.manga.procedure import PASSES, Networks, fill_page
from inpaint_models.types import no_progress

from .measure import Row, in_fresh_process, interleaved
from .scenes import disc_mask

RUNS = 3
SIDE = 512


def rows() -> list[Row]:
    times = interleaved({form: job(form) for form in ("readable", "engine")}, runs=RUNS)
    threads = torch.get_num_threads()
    return [
        Row(
            engine="manga",
            what=f"{form}, five passes",
            ms=ms,
            runs=RUNS,
            size=f"{SIDE}x{SIDE}",
            threads=threads,
            peak_mib=in_fresh_process("bench.bench_manga:run_once", {"form": form}, threads=threads)["peak_mib"],
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
    """One fill of a random page by networks of its own."""
    image, hole = np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32), disc_mask(SIDE, SIDE, 0.15)
    networks = random_networks()
    if form == "engine":
        engine = MangaEngine(networks)
        return lambda: engine.fill(image, hole, params={"passes": PASSES}, seed=0, progress=no_progress)
    gray = torch.from_numpy(image.mean(axis=2))[None, None] * 2 - 1
    mask = torch.from_numpy(hole)[None, None].float()

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return fill_page(networks, gray, mask, torch.randn_like(gray), on_step=lambda stage: None)

    return run


def random_networks() -> Networks:
    torch.manual_seed(0)
    networks = Networks(LineExtractor(), ScreenEncoder(), SemanticNetwork(), AppearanceNetwork())
    for network in networks:
        network.eval().requires_grad_(False)
    return networks
