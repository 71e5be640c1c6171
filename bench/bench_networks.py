"""Every network of one pass at 512 x 512, as its engine runs it, against the same network read and run plainly.

Plain is the network as written in its network.py, run by torch in float32 as it comes. All take turns in one process;
the peak of memory is that of a process that does only this. The weights are random: the time does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from inpaint_models import devices, get_model
from inpaint_models.types import FloatImage, HoleMask, no_progress

from . import networks
from .measure import Row, in_fresh_process, interleaved

SIDE = 512
RUNS = 5
HOLES = {"hole of a quarter": SIDE // 2, "hole of everything": SIDE}
"""Side of the square hole."""

WINDOWED = ("migan", "mat")
"""Networks whose decoder follows the hole, so that their time does too."""


class Case(NamedTuple):
    """One row. `form` is "plain" or "engine"."""

    network: str
    form: str
    hole: str = "hole of a quarter"
    precision: str = "float32"


def cases() -> Iterator[Case]:
    half = devices.choose_precision("auto", "cpu") == torch.bfloat16
    for network in (name for name, bench in networks.BENCHES.items() if bench.plain):
        for hole in HOLES if network in WINDOWED else ("hole of a quarter",):
            yield Case(network, "plain", hole)
            yield Case(network, "engine", hole)
            if half and network != "manga":  # which is always in float32
                yield Case(network, "engine", hole, "bfloat16")


def rows() -> list[Row]:
    found = list(cases())
    times = interleaved({case: job(case) for case in found}, runs=RUNS)
    threads = torch.get_num_threads()
    empty_mib = in_fresh_process("bench.bench_networks:run_once", {}, threads=threads)["peak_mib"]
    lama = times[Case("lama", "engine")]
    return [
        Row(
            engine=case.network,
            what=f"{case.form}, {case.hole}",
            ms=times[case],
            runs=RUNS,
            size=f"{SIDE}x{SIDE}",
            precision=case.precision,
            threads=threads,
            peak_mib=(
                peak := in_fresh_process("bench.bench_networks:run_once", {"case": case}, threads=threads)["peak_mib"]
            ),
            ratio=times[case._replace(form="plain", precision="float32")] / times[case],
            against="plain float32",
            note=f"{peak - empty_mib:.0f} MiB beside torch's own; LaMa takes {lama / times[case]:.1f} times as long",
        )
        for case in found
    ]


def run_once(case: list[str] | None = None) -> dict[str, Any]:
    """For the peak memory of a process that does only this; without a case, of torch itself."""
    if case is None:
        torch.rand(64, 64) @ torch.rand(64, 64)
    else:
        job(Case(*case))()
    return {}


def job(case: Case) -> Callable[[], object]:
    """One fill of a random picture by a network of its own."""
    image, hole = picture(HOLES[case.hole])
    if case.form == "plain":
        return plain(case.network, image, hole)
    engine = networks.engine(case.network, dtype=getattr(torch, case.precision))
    params = get_model(case.network).check_params({})
    return lambda: engine.fill(image, hole, params=params, seed=0, progress=no_progress)


def picture(side: int) -> tuple[FloatImage, HoleMask]:
    """Noise with a square hole in its middle."""
    hole, first = np.zeros((SIDE, SIDE), bool), (SIDE - side) // 2
    hole[first : first + side, first : first + side] = True
    return np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32), hole


def plain(name: str, image: FloatImage, hole: HoleMask) -> Callable[[], Tensor]:
    network, run = networks.made(name), networks.BENCHES[name].plain
    assert run is not None
    x = torch.from_numpy(image).permute(2, 0, 1)[None].contiguous() * 2 - 1
    mask = torch.from_numpy(hole)[None, None].float()

    @torch.inference_mode()
    def once() -> Tensor:
        return run(network, x, mask)

    return once
