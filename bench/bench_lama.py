"""LaMa's inference form against a TorchScript file of the readable network, which is what others run.

Both get the same weights, the same picture and the same threads, and take turns in one process. Peak memory is that of
a fresh process which loads the weights from a file and fills twice. A GPU is measured too when there is one.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from inpaint_models import devices
from inpaint_models.finish.colour import in_tune
from inpaint_models.finish.grain import with_grain
from inpaint_models.lama.inference import FoldedGenerator
from inpaint_models.lama.network import FFCResNetGenerator
from inpaint_models.types import tight_box

from .measure import ROOT, Row, in_fresh_process, interleaved

SIDES_PX = (512, 1024)
RUNS = {512: 5, 1024: 3}
FORMATS = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def rows() -> list[Row]:
    state = synthetic_weights()
    found: list[Row] = []
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        for side_px in SIDES_PX:
            found += measure(state, device, side_px)
    return [*found, *(finishing(state, side_px) for side_px in SIDES_PX)]


def finishing(state: dict[str, Tensor], side_px: int) -> Row:
    """What colour and grain cost after a fill on a processor, beside that fill in the same minutes."""
    network = FoldedGenerator(state, device=torch.device("cpu"), dtype=torch.float32)
    x = masked_picture(side_px)
    hole = x[0, 3].bool().numpy()
    photo = np.random.default_rng(0).normal(120, 8, (side_px, side_px, 3)).astype(np.uint8)
    smooth = np.full(photo.shape, 116 / 255, np.float32)
    box = tight_box(hole)
    assert box is not None

    def finish() -> None:
        with_grain(photo, in_tune(photo, smooth, hole), hole, box, corner=(0, 0), seed=0)

    with torch.inference_mode():
        ms = interleaved({"fill": partial(run, network, x), "finish": finish}, runs=RUNS[side_px])
    return Row(
        engine="lama",
        what="finish",
        size=f"{side_px}x{side_px}",
        threads=torch.get_num_threads(),
        ms=ms["finish"],
        runs=RUNS[side_px],
        ratio=ms["fill"] / ms["finish"],
        against="the fill",
        note=f"{ms['finish'] / ms['fill']:.1%} of it",
    )


def measure(state: dict[str, Tensor], device: str, side_px: int) -> list[Row]:
    """One row for TorchScript in float32 and one for each format that the device is good at.

    bfloat16 is run once even where it is slow, at the smaller size: its error is the same everywhere.
    """
    x = masked_picture(side_px).to(device)
    traced = torchscript(state).to(device)
    networks: dict[str, Callable[[Tensor], Tensor]] = {"TorchScript float32": traced}
    for dtype in {torch.float32: None, devices.choose_precision("auto", device): None}:
        networks[FORMATS[dtype]] = FoldedGenerator(state, device=torch.device(device), dtype=dtype)
    with torch.inference_mode():
        ms = interleaved({name: partial(run, network, x) for name, network in networks.items()}, runs=RUNS[side_px])
        answers = {name: run(network, x) for name, network in networks.items()}
        if FORMATS[torch.bfloat16] not in networks and side_px == SIDES_PX[0]:
            started = time.perf_counter()
            network = FoldedGenerator(state, device=torch.device(device), dtype=torch.bfloat16)
            answers["bfloat16"] = run(network, x)
            ms["bfloat16"] = 1000 * (time.perf_counter() - started)
    exact = answers["TorchScript float32"]
    hole = x[:, 3:].expand_as(exact).bool()
    peaks = peak_memory(state, tuple(networks), side_px) if device == "cpu" else {}
    return [
        Row(
            engine="lama",
            what="TorchScript" if "TorchScript" in name else "inference form",
            size=f"{side_px}x{side_px}",
            device=device,
            precision=name.split()[-1],
            threads=torch.get_num_threads(),
            ms=ms[name],
            runs=RUNS[side_px] if name in networks else 1,
            peak_mib=peaks.get(name),
            ratio=ms["TorchScript float32"] / ms[name],
            against="TorchScript float32",
            note=error_in_levels((answers[name] - exact)[hole]),
        )
        for name in answers
    ]


def run(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    predicted = network(x)
    if x.is_cuda:
        torch.cuda.synchronize()
    return predicted


def error_in_levels(difference: Tensor) -> str:
    levels = 255 * difference.abs()
    return f"in the hole: mean {levels.mean():.2g}, max {levels.max():.2g} levels of 255 from TorchScript"


def peak_memory(state: dict[str, Tensor], names: tuple[str, ...], side_px: int) -> dict[str, float]:
    """MiB at most, by the names of `measure`."""
    with tempfile.TemporaryDirectory() as folder:
        traced, tensors = Path(folder) / "lama.pt", Path(folder) / "lama.safetensors"
        torchscript(state).save(str(traced))
        save_file(state, tensors)
        files = {name: traced if "TorchScript" in name else tensors for name in names}
        return {
            name: in_fresh_process(
                "bench.bench_lama:fill_twice",
                {"file": str(file), "precision": name.split()[-1], "side_px": side_px},
                threads=torch.get_num_threads(),
            )["peak_mib"]
            for name, file in files.items()
        }


def fill_twice(file: str, precision: str, side_px: int) -> dict[str, Any]:
    """The work of a fresh process."""
    if file.endswith(".pt"):
        network: Any = torch.jit.load(file)
    else:
        dtype = devices.choose_precision(precision, "cpu")
        network = FoldedGenerator(load_file(file), device=torch.device("cpu"), dtype=dtype)
    x = masked_picture(side_px)
    with torch.inference_mode():
        network(x)
        network(x)
    return {}


def synthetic_weights() -> dict[str, Tensor]:
    """The weights of the parity tests: features and answers have the spread of a trained network's."""
    sys.path.append(os.fspath(ROOT / "tests"))
    from parity import weights

    tensors = weights.state_dict(weights.read_manifest("lama"), "generator")
    return {key.removeprefix("generator."): torch.from_numpy(value) for key, value in tensors.items()}


def torchscript(state: dict[str, Tensor]) -> torch.jit.ScriptModule:
    with torch.device("meta"):
        network = FFCResNetGenerator()
    network.load_state_dict(state, assign=True)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        traced: torch.jit.ScriptModule = torch.jit.trace(
            network.eval().requires_grad_(False), torch.rand(1, 4, 64, 64), check_trace=False
        )
    return traced


def masked_picture(side_px: int) -> Tensor:
    """Noise with a hole in its middle ninth: (1, 4, side, side)."""
    x = torch.from_numpy(np.random.default_rng(0).random((1, 4, side_px, side_px), dtype=np.float32))
    middle = slice(side_px // 3, 2 * side_px // 3)
    x[:, 3] = 0
    x[:, 3, middle, middle] = 1
    x[:, :3] *= 1 - x[:, 3:]
    return x
