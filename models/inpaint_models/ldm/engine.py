"""Latent diffusion behind the engine protocol: pixels to latents, denoising steps, latents to pixels.

The autoencoder always runs in float32, since it decides about colours and runs twice only; precision is the U-Net's.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import devices
from ..nn.latents import fit_colours, in_colours
from ..nn.torch_engine import Batch, TorchEngine, from_signed, on_meta, place, to_signed, to_tensors
from ..registry import LoadContext
from ..types import FloatImage, HoleMask
from ..weights import reader_for
from .autoencoder import LATENT_CHANNELS, LATENT_FACTOR, Autoencoder, ResnetBlock
from .checkpoint import load_weights
from .inference import to_inference_form
from .samplers import SAMPLERS, evenly_spaced
from .unet import ResBlock, UNetModel


class Condition(NamedTuple):
    """What the U-Net is told about the image.

    joined   (1, 4, h, w) float32: latents of the image with a black hole, and the mask (-1 known, +1 hole)
    colours  (4, 3): see `latents.fit_colours`
    """

    joined: Tensor
    colours: Tensor


def load(context: LoadContext) -> LdmEngine:
    """Reads the weights straight into the networks. Raises `WeightsError`, `Unavailable`."""
    unet, autoencoder = on_meta(UNetModel), on_meta(Autoencoder)
    load_weights(unet, autoencoder, context.weights, reader_for(context))
    dtype = devices.choose_precision(context.precision, context.device)
    return LdmEngine(unet, autoencoder, device=context.device, dtype=dtype)


class LdmEngine(TorchEngine):
    """The same seed gives the same result on a device, whatever ran before. Sides are multiples of 32."""

    title = "Latent diffusion"

    def __init__(
        self, unet: UNetModel, autoencoder: Autoencoder, *, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(device, dtype)
        if self.device.type == "cpu" and dtype == torch.float32:
            to_inference_form(unet)
        self._unet = place(unet, self.device, dtype)
        self._autoencoder = place(autoencoder, self.device, torch.float32)
        blocks = (*unet.modules(), *autoencoder.modules())
        self.pulse.watch(module for module in blocks if isinstance(module, ResBlock | ResnetBlock))

    @torch.inference_mode()
    def run(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        (image,), (hole,) = batch.images, batch.holes
        schedule = evenly_spaced(int(batch.params["steps"]))
        report = partial(self.pulse.report, total=len(schedule) + 2)
        sampler = SAMPLERS[str(batch.params["sampler"])]
        report("encoding", 0)
        condition = make_condition(self._autoencoder, image, whole_cells(hole), self.device)
        height, width = condition.joined.shape[2:]
        x = start_noise(batch.seed, height, width).to(self.device)

        report("denoising", 1)
        self._unet.to(dtype)
        try:
            denoise = partial(self._denoise, condition.joined, dtype)
            for step, sample in enumerate(sampler(denoise, x, schedule), start=2):
                x = self.finite(sample.x)
                report(
                    "denoising", step, preview=partial(in_colours, sample.estimate, condition.colours, LATENT_FACTOR)
                )
        finally:  # widening and narrowing again are exact, so the next fill runs as if this one had not been
            self._unet.to(self.dtype)

        report("decoding", len(schedule) + 1)
        decoded = self._autoencoder.decode(x)
        report("decoding", len(schedule) + 2)
        return from_signed(decoded)

    def _denoise(self, condition: Tensor, dtype: torch.dtype, x: Tensor, timestep: int) -> Tensor:
        layout = devices.map_layout(x.device.type)
        joined = torch.cat([x, condition], dim=1).to(dtype, memory_format=layout)  # (1, 7, h, w)
        noise: Tensor = self._unet(joined, torch.tensor([timestep], device=self.device))
        return noise.float()


def whole_cells(hole: HoleMask) -> HoleMask:
    """The hole, grown to whole latent cells of 4x4 pixels.

    The U-Net sees one mask sample per cell. Without this a scratch that misses the samples would be called known, and
    the black in its place be kept.
    """
    height, width = hole.shape
    cells = hole.reshape(height // LATENT_FACTOR, LATENT_FACTOR, width // LATENT_FACTOR, LATENT_FACTOR).any(axis=(1, 3))
    return cells.repeat(LATENT_FACTOR, axis=0).repeat(LATENT_FACTOR, axis=1)


def make_condition(autoencoder: Autoencoder, image: FloatImage, hole: HoleMask, device: torch.device) -> Condition:
    """What is known about the image, in the U-Net's terms."""
    pixels, mask = to_tensors([image], [hole], device)  # (1, 3, H, W), (1, 1, H, W)
    masked = pixels * (1 - mask)
    signed = to_signed(masked).contiguous(memory_format=devices.map_layout(device.type))
    latents = autoencoder.encode(signed)  # (1, 3, h, w)
    cells = mask[:, :, ::LATENT_FACTOR, ::LATENT_FACTOR]  # (1, 1, h, w): the first sample of each cell
    colours = fit_colours(latents, F.avg_pool2d(masked, LATENT_FACTOR), cells)
    return Condition(torch.cat([latents, cells * 2 - 1], dim=1), colours)


def start_noise(seed: int, height: int, width: int) -> Tensor:
    """(1, 3, height, width) standard normal, float32, on the CPU.

    NumPy promises never to change this stream (MT19937, seeded through SeedSequence), so that a seed means the same
    start everywhere and for good.
    """
    generator = np.random.RandomState(np.random.MT19937(seed))
    noise = generator.standard_normal((1, LATENT_CHANNELS, height, width))
    return torch.from_numpy(noise.astype(np.float32))
