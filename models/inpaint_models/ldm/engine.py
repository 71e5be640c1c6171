"""Latent diffusion behind the engine protocol: pixels to latents, denoising steps, latents to pixels.

The autoencoder always runs in float32, since it decides about colours and runs twice only; precision is the U-Net's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import devices
from ..errors import EngineFailed
from ..registry import LoadContext
from ..types import FloatImage, HoleMask, ParamValue, Progress
from ..weights import reader_for
from .autoencoder import LATENT_CHANNELS, LATENT_FACTOR, Autoencoder, ResnetBlock
from .checkpoint import load_weights
from .inference import to_inference_form
from .samplers import SAMPLERS, Sample, Schedule
from .unet import ResBlock, UNetModel

QUIET_SECONDS = 0.2
"""Between two questions whether the answer is still wanted, while a network runs."""

_LOG = logging.getLogger(__name__)


class Condition(NamedTuple):
    """What the U-Net is told about the picture.

    joined   (1, 4, h, w) float32: latents of the image with a black hole, and the mask (-1 known, +1 hole)
    colours  (4, 3): see `fit_colours`
    """

    joined: Tensor
    colours: Tensor


def load(context: LoadContext) -> LdmEngine:
    """Reads the weights straight into the networks. Raises `WeightsError`, `Unavailable`."""
    with torch.device("meta"):
        unet, autoencoder = UNetModel(), Autoencoder()
    load_weights(unet, autoencoder, context.weights, reader_for(context))
    dtype = devices.choose_precision(context.precision, context.device)
    return LdmEngine(unet, autoencoder, device=context.device, dtype=dtype)


class LdmEngine:
    """One picture at a time. The same seed gives the same answer on a device, whatever ran before."""

    def __init__(
        self, unet: UNetModel, autoencoder: Autoencoder, *, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self._device = torch.device(device)
        self._dtype = dtype
        self._unet = unet
        self._autoencoder = autoencoder
        self._pulse = Pulse()
        if self._device.type == "cpu" and dtype == torch.float32:
            to_inference_form(unet)
        _prepare(unet, self._device, dtype)
        _prepare(autoencoder, self._device, torch.float32)
        for module in (*unet.modules(), *autoencoder.modules()):
            if isinstance(module, ResBlock | ResnetBlock):
                module.register_forward_pre_hook(self._pulse)

    @torch.inference_mode()
    def fill(
        self,
        image: FloatImage,
        hole: HoleMask,
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage:
        """Sides are multiples of 32.

        Raises `EngineFailed` where even float32 leads to no picture, `OutOfMemory`, and what `progress` raises.
        """
        height, width = hole.shape
        run = partial(self._fill, image, hole, int(params["steps"]), str(params["sampler"]), seed, progress)
        try:
            with devices.out_of_memory_errors(f"Latent diffusion on {width}x{height} pixels"):
                return self._or_in_float32(run)
        finally:
            self._pulse.rest()

    def _or_in_float32(self, run: Callable[[], FloatImage]) -> FloatImage:
        """What `run` returns; where half precision fails, what it returns in full precision."""
        try:
            return run()
        except EngineFailed:
            if self._dtype == torch.float32:
                raise
            _LOG.warning("Latent diffusion's values in %s are not finite; they are computed in float32.", self._dtype)
            with self._in_float32():
                return run()

    def _fill(
        self, image: FloatImage, hole: HoleMask, steps: int, sampler: str, seed: int, progress: Progress
    ) -> FloatImage:
        schedule = Schedule.evenly_spaced(steps)
        total = len(schedule) + 2
        self._pulse.report(progress, "encoding", 0, total)
        condition = make_condition(self._autoencoder, image, whole_cells(hole), self._device)
        height, width = condition.joined.shape[2:]
        x = start_noise(seed, height, width).to(self._device)

        self._pulse.report(progress, "denoising", 1, total)
        samples = SAMPLERS[sampler](partial(self._denoise, condition.joined), x, schedule)
        for step, sample in enumerate(samples, start=2):
            x = finite(sample.x)
            self._pulse.report(progress, "denoising", step, total, partial(preview, sample, condition.colours))

        self._pulse.report(progress, "decoding", total - 1, total)
        filled = to_image(finite(self._autoencoder.decode(x)))
        progress("decoding", total, total)
        return filled

    def _denoise(self, condition: Tensor, x: Tensor, timestep: int) -> Tensor:
        layout = devices.map_layout(x.device.type)
        joined = torch.cat([x, condition], dim=1).to(self._dtype, memory_format=layout)  # (1, 7, h, w)
        noise: Tensor = self._unet(joined, torch.tensor([timestep], device=self._device))
        return noise.float()

    @contextmanager
    def _in_float32(self) -> Iterator[None]:
        """Widening and narrowing again are exact, so the next fill runs as if this one had not been."""
        half = self._dtype
        self._dtype = torch.float32
        self._unet.to(torch.float32)
        try:
            yield
        finally:
            self._unet.to(half)
            self._dtype = half


class Pulse:
    """Lets a fill be cancelled inside a network: asks before its blocks, though not too often.

    Registered as a forward pre-hook; repeats the last report, because nothing is done yet in between.
    """

    def __init__(self) -> None:
        self._ask: Callable[[], None] = _nobody
        self._asked_at = 0.0

    def report(
        self, progress: Progress, stage: str, step: int, total: int, show: Callable[[], FloatImage] | None = None
    ) -> None:
        self._ask = partial(progress, stage, step, total)
        self._asked_at = time.monotonic()
        progress(stage, step, total, show)

    def rest(self) -> None:
        self._ask = _nobody

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        now = time.monotonic()
        if now - self._asked_at >= QUIET_SECONDS:
            self._asked_at = now
            self._ask()


def _nobody() -> None:
    """Asked while no fill runs."""


def _prepare(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Makes a network ready for inference, in the memory format that convolutions are fastest in."""
    layout = devices.map_layout(device.type)
    network.to(device, dtype, memory_format=layout).eval().requires_grad_(False)  # type: ignore[call-overload]


def whole_cells(hole: HoleMask) -> HoleMask:
    """The hole, grown to whole latent cells of 4x4 pixels.

    The U-Net sees one mask sample per cell. Without this a scratch that misses the samples would be called known, and
    the black in its place be kept.
    """
    height, width = hole.shape
    cells = hole.reshape(height // LATENT_FACTOR, LATENT_FACTOR, width // LATENT_FACTOR, LATENT_FACTOR).any(axis=(1, 3))
    return cells.repeat(LATENT_FACTOR, axis=0).repeat(LATENT_FACTOR, axis=1)


def make_condition(autoencoder: Autoencoder, image: FloatImage, hole: HoleMask, device: torch.device) -> Condition:
    """What is known about the picture, in the U-Net's terms."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None]  # (1, 3, H, W)
    mask = torch.from_numpy(np.ascontiguousarray(hole)).to(device, torch.float32)[None, None]  # (1, 1, H, W)
    masked = pixels * (1 - mask)
    latents = autoencoder.encode(as_network_input(masked))  # (1, 3, h, w)
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


def as_network_input(image: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1], in the memory format of the networks."""
    return (image * 2 - 1).contiguous(memory_format=devices.map_layout(image.device.type))


def to_image(pixels: Tensor) -> FloatImage:
    """(1, 3, H, W) in [-1, 1] -> (H, W, 3) in [0, 1], clamped."""
    image: FloatImage = pixels[0].permute(1, 2, 0).add(1).div(2).clamp(0, 1).contiguous().cpu().numpy()
    return image


def finite(values: Tensor) -> Tensor:
    """The values as they are. Raises `EngineFailed` when there is a NaN or infinity among them."""
    if not bool(torch.isfinite(values).all()):
        raise EngineFailed("Latent diffusion produced values that are no picture (NaN or infinite). Try another seed.")
    return values


def fit_colours(latents: Tensor, colours: Tensor, hole: Tensor) -> Tensor:
    """The affine map from latents to colours that fits this picture's known cells best: (4, 3) float64, on the CPU.

    Latents of an f = 4 autoencoder are close to a small image in other colours, so this map decodes a preview at no
    cost. Three inputs and a constant per colour; a slight pull to zero keeps it defined without any known cell.

    latents, colours  (1, 3, h, w); colours are the 4x4 means of the picture in [0, 1]
    hole              (1, 1, h, w), 1 = hole
    """
    known = (1 - hole).flatten().cpu().double()[:, None]  # (h w, 1)
    inputs = with_constant(latents) * known  # (h w, 4)
    wanted = colours[0].flatten(1).T.cpu().double() * known  # (h w, 3)
    normal = inputs.T @ inputs + 1e-3 * torch.eye(4, dtype=torch.float64)
    fitted: Tensor = torch.linalg.solve(normal, inputs.T @ wanted)
    return fitted


def with_constant(latents: Tensor) -> Tensor:
    """(1, 3, h, w) -> (h w, 4) float64 on the CPU, the last column 1."""
    columns = latents[0].flatten(1).T.cpu().double()
    return torch.cat([columns, torch.ones(len(columns), 1, dtype=torch.float64)], dim=1)


@torch.inference_mode()
def preview(sample: Sample, colours: Tensor) -> FloatImage:
    """The sampler's present guess of the result, through `fit_colours` instead of the decoder: (H, W, 3), blurred."""
    _, _, height, width = sample.estimate.shape
    small = (with_constant(sample.estimate) @ colours).T.reshape(1, 3, height, width).float()
    image = F.interpolate(small, scale_factor=LATENT_FACTOR, mode="bilinear")
    return to_image(image * 2 - 1)
