"""MAT at 512 x 512: the inference form, as the engine runs it, against the readable network in plain float32.

The weights are random: the time does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from inpaint_models.mat.engine import PUBLISHED, MATEngine, draw
from inpaint_models.mat.inference import InferenceMAT
from inpaint_models.mat.network import MAT, DropoutMasks
from inpaint_models.types import no_progress

from .measure import Row, in_fresh_process, interleaved

SIDE = 512
RUNS = 3
HOLES = {"hole of a quarter": 256, "hole of everything": SIDE}
"""Side of the square hole. Decoding follows the hole, so the time does too."""


def rows() -> list[Row]:
    precisions = ["float32", *(["bfloat16"] if processor_has_bfloat16() else [])]
    forms = [("readable", "float32"), *(("inference", precision) for precision in precisions)]
    cases = {f"{hole}, {form}, {precision}": (form, precision, hole) for hole in HOLES for form, precision in forms}
    jobs = {name: job(*case) for name, case in cases.items()}
    times = interleaved(jobs, runs=RUNS)
    return [row(times, name, *case) for name, case in cases.items()]


def row(times: dict[str, float], name: str, form: str, precision: str, hole: str) -> Row:
    baseline = times[f"{hole}, readable, float32"]
    threads = torch.get_num_threads()
    fresh = in_fresh_process(
        "bench.bench_mat:run_once", {"form": form, "precision": precision, "hole": hole}, threads=threads
    )
    return Row(
        engine="mat",
        what=f"{form}, {hole}",
        ms=times[name],
        runs=RUNS,
        size=f"{SIDE}x{SIDE}",
        precision=precision,
        threads=threads,
        peak_mib=fresh["peak_mib"],
        ratio=baseline / times[name],
        against="float32 eager",
    )


def run_once(form: str, precision: str, hole: str) -> dict[str, Any]:
    """For the peak memory of a process that does only this."""
    job(form, precision, hole)()
    return {}


def job(form: str, precision: str, hole: str) -> Callable[[], object]:
    """One fill of a random picture by a network of its own."""
    torch.manual_seed(0)
    network = MAT(PUBLISHED).eval().requires_grad_(False)
    side = HOLES[hole]
    holes = np.zeros((SIDE, SIDE), bool)
    holes[(SIDE - side) // 2 :][:side, (SIDE - side) // 2 :][:, :side] = True
    image = np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32)
    if form == "readable":
        return lambda: run_readable(network, image, holes)
    engine = MATEngine(InferenceMAT(network), bfloat16=precision == "bfloat16")
    return lambda: engine.fill(image, holes, params={"truncation": 1.0}, seed=0, progress=no_progress)


def run_readable(network: MAT, image: np.ndarray, hole: np.ndarray) -> torch.Tensor:
    """What the engine does, with the network that reads like the paper."""
    noise = draw(0, network.config.latent_width, network.config.dropout_shapes((SIDE, SIDE)))
    z, tokens, features = (torch.from_numpy(array) for array in noise)
    picture = torch.from_numpy(image).permute(2, 0, 1)[None].contiguous() * 2 - 1
    known = torch.from_numpy(~hole)[None, None].float()
    with torch.inference_mode():
        result: torch.Tensor = network(picture, known, z, DropoutMasks(tokens, features))
    return result


def processor_has_bfloat16() -> bool:
    """Without the instructions bfloat16 is emulated, and slower than float32."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))
