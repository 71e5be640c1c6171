"""MAT behind the engine protocol: noise from the seed, precision, the guard against answers that are no picture.

Seed to noise: numpy's `RandomState(seed mod 2**32)`, a stream that numpy promises never to change (NEP 19). From it in
this order, so that a fill can be repeated anywhere: `randn(1, 512)` is z; `random_sample(shape) < 0.5` is the keep map
of the tokens, (1, 256, 180) at 512; the same again that of the refinement, (1, 512, 16, 16) at 512. The original draws
both maps anew for every run, from a generator that the caller does not see; here they belong to the seed like z.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import devices
from ..errors import EngineFailed
from ..registry import Layout, LoadContext
from ..types import FloatImage, HoleMask, ParamValue, Progress
from ..weights import reader_for
from .checkpoint import blank_network, load_published, published_shapes
from .inference import InferenceMAT
from .network import STAGES, KeepMaps, MATConfig

PUBLISHED = MATConfig(noise=False)
"""The files that people download lack the noise maps, and other programs run MAT without them as well."""


class Noise(NamedTuple):
    """All that a seed decides: see the text at the top of this file."""

    z: NDArray[np.float32]
    tokens: NDArray[np.float32]
    features: NDArray[np.float32]


def draw(seed: int, latent_width: int, keep_shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> Noise:
    """The noise of a seed, with a leading batch axis of 1; `keep_shapes` are those of `MATConfig.keep_shapes`."""
    stream = np.random.RandomState(seed % 2**32)
    z = stream.randn(1, latent_width).astype(np.float32)
    tokens, features = ((stream.random_sample((1, *shape)) < 0.5).astype(np.float32) for shape in keep_shapes)
    return Noise(z, tokens, features)


@dataclass(frozen=True, slots=True)
class MATEngine:
    """`bfloat16` runs convolutions and products in half the bits; the weights stay in float32 for the case of a NaN."""

    network: InferenceMAT
    device: str = "cpu"
    bfloat16: bool = False

    def fill(
        self,
        image: FloatImage,
        hole: HoleMask,
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage:
        """Asks `progress` before each part of the network; from the refinement on there is a preview.

        Raises `OutOfMemory`, and `EngineFailed` when the answer holds NaN or infinite values in full precision.
        """
        if not hole.any():
            return image
        config = self.network.config
        noise = draw(seed, config.latent_width, config.keep_shapes((hole.shape[0], hole.shape[1])))
        truncation = float(params["truncation"])
        for bfloat16 in (True, False) if self.bfloat16 else (False,):
            with devices.out_of_memory_errors(f"MAT on {hole.shape[1]}x{hole.shape[0]} pixels"):
                result = self._run(image, hole, noise, truncation, progress, bfloat16=bfloat16)
            if bool(result.isfinite().all()):
                progress(STAGES[-1], len(STAGES), len(STAGES))
                return _to_image(result)
        raise EngineFailed(
            "MAT answered with values that are no picture, in full precision. Its weights may be damaged: "
            "run lama-server verify mat, or try another seed."
        )

    def _run(
        self,
        image: FloatImage,
        hole: HoleMask,
        noise: Noise,
        truncation: float,
        progress: Progress,
        *,
        bfloat16: bool,
    ) -> Tensor:
        """(1, 3, H, W) in [-1, 1]."""
        picture = torch.tensor(image, device=self.device).permute(2, 0, 1)[None] * 2 - 1
        known = torch.tensor(~hole, device=self.device)[None, None].float()
        z, tokens, features = (torch.from_numpy(array).to(self.device) for array in noise)
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=bfloat16):
            result: Tensor = self.network(
                picture.contiguous(),
                known,
                z,
                KeepMaps(tokens, features),
                truncation=truncation,
                on_stage=_Steps(progress),
            )
        return result


class _Steps:
    """Tells a `Progress` each part of the network as the next step of one run."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.step = 0

    def __call__(self, stage: str, estimate: Callable[[], Tensor] | None) -> None:
        preview = None if estimate is None else lambda: _to_image(estimate())
        self.progress(stage, self.step, len(STAGES), preview)
        self.step += 1


def _to_image(x: Tensor) -> FloatImage:
    """(1, 3, H, W) in [-1, 1] -> (H, W, 3) in [0, 1]."""
    image: FloatImage = x[0].permute(1, 2, 0).float().add(1).div(2).clamp(0, 1).cpu().numpy()
    return image


def load(context: LoadContext) -> MATEngine:
    """The engine of a published file in any form."""
    (path,) = context.weights.values()
    network = blank_network(PUBLISHED)
    load_published(network, reader_for(context)(path, published_shapes(network)))
    inference = InferenceMAT(network).to(context.device)
    return MATEngine(inference, context.device, bfloat16=wants_bfloat16(context.precision, context.device))


def wants_bfloat16(precision: str, device: str) -> bool:
    """Whether "auto", or a half precision by name, is to be had in bfloat16; in float16 MAT overflows."""
    named = precision in ("bfloat16", "float16")
    return named or devices.choose_precision(precision, device) == torch.bfloat16


def layouts() -> tuple[Layout, ...]:
    """What a published file holds."""
    return (Layout((published_shapes(blank_network(PUBLISHED)),)),)
