"""MAT behind the engine protocol: noise from the seed, and bfloat16 where that is fast.

Seed to noise: numpy's `RandomState(seed mod 2**32)`, a stream that numpy promises never to change (NEP 19). From it in
this order, so that a fill can be repeated anywhere: `randn(1, 512)` is z; `random_sample(shape) < 0.5` is the dropout
mask of the tokens, (1, 256, 180) at 512; the same again that of the refinement, (1, 512, 16, 16) at 512. The original
draws both masks anew for every run, from a generator that the caller does not see; here they belong to the seed like z.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..nn.torch_engine import (
    Batch,
    BatchTorchEngine,
    from_signed,
    read_state,
    to_signed,
    to_tensors,
    wants_bfloat16,
)
from ..registry import Layout, LoadContext
from .checkpoint import blank_network, load_published, published_shapes
from .inference import InferenceMAT
from .network import STAGES, DropoutMasks, MATConfig

PUBLISHED = MATConfig(noise=False)
"""The files that people download lack the noise maps, and other programs run MAT without them as well."""


class Noise(NamedTuple):
    """All that a seed decides: see the text at the top of this file."""

    z: NDArray[np.float32]
    tokens: NDArray[np.float32]
    features: NDArray[np.float32]


def draw(seed: int, latent_width: int, dropout_shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> Noise:
    """The noise of a seed, with a leading batch axis of 1; the shapes are those of `MATConfig.dropout_shapes`."""
    stream = np.random.RandomState(seed % 2**32)
    z = stream.randn(1, latent_width).astype(np.float32)
    tokens, features = ((stream.random_sample((1, *shape)) < 0.5).astype(np.float32) for shape in dropout_shapes)
    return Noise(z, tokens, features)


class MATEngine(BatchTorchEngine):
    """`bfloat16` runs convolutions and products in half the bits; the weights stay in float32 for the case of a NaN."""

    title = "MAT"

    def __init__(self, network: InferenceMAT, device: str = "cpu", *, bfloat16: bool = False) -> None:
        super().__init__(device, torch.bfloat16 if bfloat16 else torch.float32)
        self.network = network

    @torch.inference_mode()
    def run(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        """Reports each part of the network as a step; from the refinement on there is a preview."""
        image, mask = to_tensors(batch.images, batch.holes, self.device)
        config = self.network.config
        noise = draw(batch.seed, config.latent_width, config.dropout_shapes(batch.size))
        z, tokens, features = (torch.from_numpy(array).to(self.device) for array in noise)
        steps = itertools.count()

        def on_stage(stage: str, estimate: Callable[[], Tensor] | None) -> None:
            preview = None if estimate is None else lambda: from_signed(estimate())
            self.pulse.report(stage, next(steps), len(STAGES), preview)

        with torch.autocast(self.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            filled: Tensor = self.network(
                to_signed(image),
                1 - mask,
                z,
                DropoutMasks(tokens, features),
                truncation=float(batch.params["truncation"]),
                on_stage=on_stage,
            )
        self.pulse.report(STAGES[-1], len(STAGES), len(STAGES))
        return from_signed(filled.float())


def load(context: LoadContext) -> MATEngine:
    """The engine of a published file in any form."""
    network = blank_network(PUBLISHED)
    load_published(network, read_state(context, published_shapes(network)))
    inference = InferenceMAT(network).to(context.device)
    return MATEngine(inference, context.device, bfloat16=wants_bfloat16(context.precision, context.device))


def layouts() -> tuple[Layout, ...]:
    """What a published file holds."""
    return (Layout((published_shapes(blank_network(PUBLISHED)),)),)
