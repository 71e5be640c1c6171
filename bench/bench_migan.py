"""MI-GAN at 512 x 512: the inference form against the readable network run eagerly, and against LaMa, all in float32.

The weights are random: the time does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from inpaint_models import get_model
from inpaint_models.migan.network import MIGAN, masked_input
from inpaint_models.types import FloatImage, HoleMask, no_progress

from .bench_models import lama_engine, migan_engine
from .measure import Row, in_fresh_process, interleaved

SIDE = 512
RUNS = 5
LAMA = "LaMa's inference form"
FORMS = {"inference": "migan", "readable, eager": "migan", LAMA: "lama"}


def rows() -> list[Row]:
    times = interleaved({form: job(form) for form in FORMS}, runs=RUNS)
    threads = torch.get_num_threads()
    without = in_fresh_process("bench.bench_migan:nothing", {}, threads=threads)["peak_mib"]
    found = []
    for form, engine in FORMS.items():
        peak_mib = in_fresh_process("bench.bench_migan:run_once", {"form": form}, threads=threads)["peak_mib"]
        found.append(
            Row(
                engine=engine,
                what=f"{form}, hole of a quarter",
                ms=times[form],
                runs=RUNS,
                size=f"{SIDE}x{SIDE}",
                threads=threads,
                peak_mib=peak_mib,
                ratio=times["readable, eager"] / times[form],
                against="float32 eager",
                note=f"{peak_mib - without:.0f} MiB without torch's own; "
                f"LaMa takes {times[LAMA] / times[form]:.1f} times as long",
            )
        )
    return found


def nothing() -> dict[str, Any]:
    """For the peak memory of torch itself."""
    torch.rand(64, 64) @ torch.rand(64, 64)
    return {}


def run_once(form: str) -> dict[str, Any]:
    """For the peak memory of a process that does only this."""
    job(form)()
    return {}


def job(form: str) -> Callable[[], object]:
    """One fill of a random picture by a network of its own."""
    torch.manual_seed(0)
    image, hole = picture()
    if form == "readable, eager":
        network = MIGAN().eval().requires_grad_(False)
        return lambda: run_readable(network, image, hole)
    name = FORMS[form]
    engine = lama_engine() if name == "lama" else migan_engine()
    params = get_model(name).check_params({})
    return lambda: engine.fill(image, hole, params=params, seed=0, progress=no_progress)


def picture() -> tuple[FloatImage, HoleMask]:
    """Noise with a square hole in its middle half."""
    hole = np.zeros((SIDE, SIDE), bool)
    hole[SIDE // 4 : 3 * SIDE // 4, SIDE // 4 : 3 * SIDE // 4] = True
    return np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32), hole


@torch.inference_mode()
def run_readable(network: MIGAN, image: FloatImage, hole: HoleMask) -> torch.Tensor:
    """What the engine does, with the network that reads like the paper."""
    x = torch.from_numpy(image).permute(2, 0, 1)[None].contiguous() * 2 - 1
    result: torch.Tensor = network(masked_input(x, torch.from_numpy(~hole)[None, None].float()))
    return result
