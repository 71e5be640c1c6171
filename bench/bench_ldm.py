"""Latent diffusion at 512x512 and 20 steps: as the engine runs it here, and plain, as torch runs the same network.

Plain is float32 with torch's own convolutions, the usual memory format and attention through a full matrix of weights.
The weights are random: time and memory do not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from inpaint_models.ldm.autoencoder import Autoencoder
from inpaint_models.ldm.engine import LdmEngine
from inpaint_models.ldm.unet import UNetModel
from inpaint_models.machine import available_processors
from inpaint_models.types import ParamValue, no_progress

from .measure import Row, in_fresh_process, interleaved

Network = TypeVar("Network", bound=nn.Module)

SIDE = 512
STEPS = 20
EVALUATIONS = STEPS + 1  # PLMS takes one more
RUNS = 3


def rows() -> list[Row]:
    threads = available_processors()
    ms = in_fresh_process("bench.bench_ldm:parts", {"side": SIDE, "runs": RUNS}, threads=threads)
    peaks = {
        form: in_fresh_process(f"bench.bench_ldm:{form}", {"side": SIDE}, threads=threads)["peak_mib"]
        for form in ("engine_once", "plain_once")
    }
    whole = {
        form: ms[f"{form} encode"] + EVALUATIONS * ms[f"{form} denoise"] + ms[f"{form} decode"]
        for form in ("engine", "plain")
    }

    def row(what: str, form: str, value: float, baseline: float | None, note: str = "") -> Row:
        return Row(
            engine="ldm",
            what=what if form == "engine" else f"{what}, plain",
            ms=value,
            runs=RUNS,
            size=f"{SIDE}x{SIDE}",
            threads=threads,
            peak_mib=peaks[f"{form}_once"],
            ratio=None if baseline is None else baseline / value,
            against="" if baseline is None else "plain",
            note=note,
        )

    parts = f"encode + {EVALUATIONS} evaluations + decode, medians added"
    return [
        row("U-Net, one evaluation", "plain", ms["plain denoise"], None),
        row("U-Net, one evaluation", "engine", ms["engine denoise"], ms["plain denoise"]),
        row(f"fill, {STEPS} steps", "plain", whole["plain"], None, parts),
        row(f"fill, {STEPS} steps", "engine", whole["engine"], whole["plain"], parts),
    ]


def parts(side: int, runs: int) -> dict[str, float]:
    """Median milliseconds of what a fill is made of, in both forms, taking turns in one process."""
    unet, autoencoder = random_networks()
    plain_unet, plain_autoencoder = sharing(unet, UNetModel), sharing(autoencoder, Autoencoder)
    LdmEngine(unet, autoencoder)  # brings the networks it is given into its form
    image, joined, latents, time = inputs(side)

    def plain_denoise() -> None:
        with sdpa_kernel(SDPBackend.MATH):
            plain_unet(joined, time)

    formed = {x: x.contiguous(memory_format=torch.channels_last) for x in (image, joined, latents)}
    with torch.inference_mode():
        return interleaved(
            {
                "plain encode": lambda: plain_autoencoder.encode(image),
                "engine encode": lambda: autoencoder.encode(formed[image]),
                "plain denoise": plain_denoise,
                "engine denoise": lambda: unet(formed[joined], time),
                "plain decode": lambda: plain_autoencoder.decode(latents),
                "engine decode": lambda: autoencoder.decode(formed[latents]),
            },
            runs=runs,
        )


def engine_once(side: int) -> dict[str, Any]:
    """A short fill: memory does not grow with steps."""
    hole = np.zeros((side, side), bool)
    hole[side // 4 : side // 2, side // 4 : side // 2] = True
    params: dict[str, ParamValue] = {"steps": 2, "sampler": "ddim"}
    image = np.full((side, side, 3), 0.5, np.float32)
    LdmEngine(*random_networks()).fill(image, hole, params=params, seed=1, progress=no_progress)
    return {}


def plain_once(side: int) -> dict[str, Any]:
    """Each part of a fill once."""
    unet, autoencoder = random_networks()
    image, joined, latents, time = inputs(side)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        autoencoder.encode(image)
        unet(joined, time)
        autoencoder.decode(latents)
    return {}


def random_networks() -> tuple[UNetModel, Autoencoder]:
    with torch.device("meta"):
        unet, autoencoder = UNetModel(), Autoencoder()
    torch.manual_seed(0)
    for network in (unet, autoencoder):
        network.to_empty(device="cpu").eval().requires_grad_(False)
        for parameter in network.parameters():
            parameter.uniform_(-0.01, 0.01)
    return unet, autoencoder


def sharing(network: Network, build: Callable[[], Network]) -> Network:
    """A second module over the same tensors."""
    with torch.device("meta"):
        twin = build()
    twin.load_state_dict(network.state_dict(), assign=True)
    return twin.eval().requires_grad_(False)


def inputs(side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Image, U-Net input, latents, time."""
    cells = side // 4
    image, joined = torch.zeros(1, 3, side, side), torch.randn(1, 7, cells, cells)
    return image, joined, torch.randn(1, 3, cells, cells), torch.tensor([501])
