"""Pipelines of diffusers behind the engine protocol: crop, hole and words in, the filled crop out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from .. import devices
from ..errors import ParameterRange
from ..nn.latents import fit_colours, in_colours
from ..nn.torch_engine import Batch, TorchEngine, to_signed, to_tensors
from ..registry import LoadContext
from ..types import AnyImage, FloatImage, HoleMask, ParamValue
from .loading import load_pipeline
from .memory import Spread
from .samplers import estimate, make_scheduler

_DECODER_BYTES_PER_PX = 2_500
"""An estimate of what an autoencoder takes at its peak for a pixel in float32; beyond, it works in tiles."""
_EXAMPLE_SIDE_PX = 224


def load(context: LoadContext) -> DiffusionEngine:
    """Recognises the pipeline and loads it. Raises `WeightsError`, `Unavailable`, `OutOfMemory`."""
    dtype = devices.choose_precision(context.precision, context.device)
    pipeline, way = load_pipeline(context, dtype)
    return DiffusionEngine(pipeline, context.device, dtype, context.entry.title, way)


class DiffusionEngine(TorchEngine):
    """The same seed gives the same result on a device, whatever ran before; values as from diffusers itself."""

    title = "The diffusion model"

    def __init__(self, pipeline: Any, device: str, dtype: torch.dtype, title: str = "", way: Spread = "whole") -> None:
        super().__init__(device, dtype)
        self.title = title or self.title
        self._pipeline, self._way = pipeline, way
        self._schedule = dict(pipeline.scheduler.config)
        self._colours = ColourFit(pipeline.vae)
        networks = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
        self.pulse.watch(
            module for part in networks for module in part.modules() if isinstance(module, nn.Conv2d | nn.Linear)
        )

    @torch.inference_mode()
    def run(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        (image,), (hole,) = batch.images, batch.holes
        pipeline, params = self._pipeline, batch.params
        self._tile_where_memory_is_short(batch.size)
        steps = max(1, int(int(params["steps"]) * float(params.get("strength", 1.0))))
        self.pulse.report("encoding", 0, steps + 1)
        arguments = self._arguments(image, hole, params)
        generator = torch.Generator("cpu").manual_seed(batch.seed)
        with self._in(dtype), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline.scheduler = make_scheduler(str(params["sampler"]), self._schedule)
            made = pipeline(**arguments, generator=generator, output_type="pt", **self._steps_told(steps))
        total = getattr(pipeline, "num_timesteps", steps) + 1
        self.pulse.report("decoding", total, total)
        return cast(Tensor, made.images)

    def _arguments(self, image: FloatImage, hole: HoleMask, params: Mapping[str, ParamValue]) -> dict[str, object]:
        """What the pipeline of this kind is called with."""
        pixels, mask = to_tensors([np.clip(image, 0, 1)], [hole], torch.device("cpu"))
        kind, (height, width) = type(self._pipeline).__name__, hole.shape
        common: dict[str, object] = {"num_inference_steps": params["steps"], "guidance_scale": params["guidance"]}
        if kind == "PaintByExamplePipeline":
            example = params.get("example")
            shown = surroundings(image, hole) if example is None else example
            return common | {"image": to_signed(pixels), "mask_image": mask, "example_image": as_example(shown)}
        words, without = str(params["prompt"]).strip(), str(params["negative_prompt"]).strip()
        common |= {"prompt": words, "negative_prompt": without or None}
        if kind == "StableDiffusionInstructPix2PixPipeline":
            if not words:
                raise ParameterRange("prompt", f"{self.title} does what it is told. Say what should change.")
            return common | {"image": pixels, "image_guidance_scale": params["image_guidance"]}
        if not words and not without:
            common["guidance_scale"] = 1.0  # guidance is the difference that words make
        region = {"image": pixels, "mask_image": mask, "height": height, "width": width}
        return common | region | {"strength": params["strength"]}

    def _steps_told(self, steps: int) -> dict[str, object]:
        """A callback that reports, as this pipeline wants it."""
        pipeline = self._pipeline

        def tell(step: int, total: int, latents: Tensor) -> None:
            look = self._colours.preview(estimate(pipeline.scheduler, latents))
            self.pulse.report("denoising", step + 1, total + 1, look)

        if not hasattr(pipeline, "num_timesteps"):
            return {"callback": lambda step, timestep, latents: tell(step, steps, latents), "callback_steps": 1}

        def step_ended(_: object, step: int, timestep: object, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            tell(step, pipeline.num_timesteps, tensors["latents"])
            return tensors

        return {"callback_on_step_end": step_ended}

    def _tile_where_memory_is_short(self, size: tuple[int, int]) -> None:
        height, width = size
        vae = self._pipeline.vae
        needed = _DECODER_BYTES_PER_PX * height * width
        if needed > devices.free_bytes(str(self.device)) // 2:
            vae.enable_tiling()
        else:
            vae.disable_tiling()

    @contextmanager
    def _in(self, dtype: torch.dtype) -> Iterator[None]:
        """Networks in another precision, where all of them are in one place."""
        changes = dtype != self.dtype and self._way == "whole"
        try:
            if changes:
                self._pipeline.to(dtype)
            yield
        except BaseException:
            self._pipeline.maybe_free_model_hooks()  # as it does itself where nothing interrupts it
            raise
        finally:
            if changes:
                self._pipeline.to(self.dtype)


class ColourFit:
    """Previews from the latents of one fill, by what its autoencoder made of the photo.

    Listens to the encoder, which every pipeline calls with the photo before the first step.
    """

    def __init__(self, vae: Any) -> None:
        self._factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self._scale = float(vae.config.scaling_factor)
        self._pixels: Tensor | None = None
        self._fitted: Tensor | None = None
        vae.encoder.register_forward_hook(self._see_pixels)
        (vae.quant_conv or vae.encoder).register_forward_hook(self._see_latents)

    def preview(self, latents: Tensor) -> Callable[[], Tensor] | None:
        """Makes the picture of latents, (1, 3, H, W); None where no photo was encoded."""
        return None if self._fitted is None else partial(in_colours, latents, self._fitted, self._factor)

    def _see_pixels(self, _: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
        self._pixels = inputs[0][:1]

    def _see_latents(self, _: nn.Module, __: tuple[Tensor, ...], moments: Tensor) -> None:
        """moments  (B, 2 C, h, w): means, then variances."""
        if self._pixels is None:
            return
        mean = moments[:1].chunk(2, dim=1)[0].float() * self._scale
        colours = F.avg_pool2d(self._pixels.float(), self._factor).add(1).div(2)
        self._fitted = fit_colours(mean, colours, torch.zeros_like(mean[:, :1]))


def surroundings(image: FloatImage, hole: HoleMask) -> AnyImage:
    """The crop with the mean of its known pixels in the hole: an example of what would fit."""
    known = image[~hole]
    mean = known.mean(axis=0) if len(known) else np.full(3, 0.5, np.float32)
    shown: AnyImage = (np.where(hole[..., None], mean, image) * 255 + 0.5).astype(np.uint8)
    return shown


def as_example(picture: object) -> Image.Image:
    """A picture parameter as the image encoder's processor takes it: RGB of 8 bits, small."""
    assert isinstance(picture, np.ndarray)
    eight = picture if picture.dtype == np.uint8 else (picture >> 8).astype(np.uint8)
    example = Image.fromarray(np.ascontiguousarray(eight[..., :3]))
    example.thumbnail((4 * _EXAMPLE_SIDE_PX, 4 * _EXAMPLE_SIDE_PX))
    return example
