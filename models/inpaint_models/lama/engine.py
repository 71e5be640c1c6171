"""LaMa behind the engine protocol: one pass, or refinement, with a second try in full precision."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from .. import devices
from ..errors import EngineFailed, OutOfMemory
from ..registry import LoadContext
from ..types import FloatImage, HoleMask, ParamValue, Progress
from ..weights import reader_for
from .inference import FoldedGenerator
from .network import FFCResNetGenerator, masked_input
from .refine import Settings, at_size_of, refine, working_sizes

_LOG = logging.getLogger(__name__)

REMEMBERING_BYTES_PER_PX = 9_000
"""What a refinement keeps for its backward pass for each pixel of its largest size, if it keeps all of it ..."""

RECOMPUTING_BYTES_PER_PX = 2_600
"""... and if it computes residual blocks a second time instead."""


def load(context: LoadContext) -> LamaEngine:
    """Reads the weights and builds the inference form. Raises `WeightsError`, `Unavailable`."""
    dtype = devices.choose_precision(context.precision, context.device)
    return LamaEngine(partial(_read, context), device=context.device, dtype=dtype)


def _read(context: LoadContext) -> dict[str, Tensor]:
    (path,) = context.weights.values()
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in FFCResNetGenerator().state_dict().items()}
    return reader_for(context)(path, expected)


class LamaEngine:
    """One picture at a time; the answer depends on the picture and the hole alone.

    read_state  gives the readable network's state dict; called again for each fill that needs full precision after all
    """

    def __init__(self, read_state: Callable[[], Mapping[str, Tensor]], *, device: str, dtype: torch.dtype) -> None:
        self._read_state = read_state
        self._device = device
        self._transform_device = device if devices.has_fourier_transforms(device) else "cpu"
        if self._transform_device != device:
            _LOG.warning("The device %s has no Fourier transforms; they are computed on the processor.", device)
        self._network = self._build(dtype)

    def fill(
        self,
        image: FloatImage,
        hole: HoleMask,
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage:
        """Sides are multiples of 8. Raises `EngineFailed`, `OutOfMemory`, and what `progress` raises."""
        height, width = hole.shape
        with devices.out_of_memory_errors(f"LaMa on {width}x{height} pixels"):
            picture = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].to(self._device)
            mask = torch.from_numpy(hole.astype(np.float32))[None, None].to(self._device)
            if params["refine"]:
                filled = self._refined(picture, mask, refinement_settings(params), progress)
            else:
                filled = self._single_pass(picture, mask, progress)
            return _as_image(filled)

    @torch.inference_mode()
    def _single_pass(self, image: Tensor, mask: Tensor, progress: Progress) -> Tensor:
        x = masked_input(image, mask)
        predicted = _run(self._network, x, progress)
        if self._network.dtype != torch.float32 and not torch.isfinite(predicted).all():
            _LOG.warning("LaMa's answer in %s is not finite; it is computed again in float32.", self._network.dtype)
            predicted = _run(self._in_full_precision(), x, progress)
        return _checked(predicted)

    def _refined(self, image: Tensor, mask: Tensor, settings: Settings, progress: Progress) -> Tensor:
        """In full precision throughout: the steps of the descent are smaller than what half precision resolves."""
        network = self._in_full_precision()
        remember = self._can_remember(image, settings)
        report = partial(progress, "refining")

        def preview(picture: Tensor) -> FloatImage:
            return _as_image(at_size_of(image, mask, picture))

        for step in refine(network, image, mask, settings=settings, report=report, remember=remember):
            report(step.done, step.total, partial(preview, step.picture))
        return _checked(at_size_of(image, mask, step.picture))

    def _can_remember(self, image: Tensor, settings: Settings) -> bool:
        """Whether the features of all blocks fit into memory at once. Raises `OutOfMemory` if nothing helps."""
        height, width = working_sizes(image.shape[2], image.shape[3], settings)[-1]
        free = devices.free_bytes(self._device)
        if free is None:
            return False
        if height * width * RECOMPUTING_BYTES_PER_PX > 0.8 * free:
            raise OutOfMemory(
                f"Refining {width}x{height} pixels needs about {height * width * RECOMPUTING_BYTES_PER_PX / 2**30:.1f} "
                f"GiB and {free / 2**30:.1f} GiB are free. Use a smaller refine_megapixels."
            )
        return height * width * REMEMBERING_BYTES_PER_PX < 0.5 * free

    def _in_full_precision(self) -> FoldedGenerator:
        """The network itself, or a copy for this one fill: the memory budget counts with one network, not with two."""
        return self._network if self._network.dtype == torch.float32 else self._build(torch.float32)

    def _build(self, dtype: torch.dtype) -> FoldedGenerator:
        return FoldedGenerator(
            self._read_state(),
            device=torch.device(self._device),
            dtype=dtype,
            transform_device=torch.device(self._transform_device),
        )


def refinement_settings(params: Mapping[str, ParamValue]) -> Settings:
    """The settings that the entry's parameters ask for."""
    return Settings(
        iterations=int(params["refine_iterations"]),
        scales=int(params["refine_scales"]),
        budget_px=round(float(params["refine_megapixels"]) * 1e6),
    )


def _run(network: FoldedGenerator, x: Tensor, progress: Progress) -> Tensor:
    """The network's parts, one by one, so that the fill can be followed and stopped."""
    total = network.n_blocks + 2
    progress("filling", 0, total)
    features = network.front(x)
    for index in range(network.n_blocks):
        progress("filling", 1 + index, total)
        features = network.block(index, features)
    progress("filling", total - 1, total)
    predicted = network.upsample(features)
    progress("filling", total, total)
    return predicted


def _checked(predicted: Tensor) -> Tensor:
    if torch.isfinite(predicted).all():
        return predicted
    raise EngineFailed("LaMa's answer has values that are not numbers, in float32 too. Check the weights: verify lama.")


def _as_image(filled: Tensor) -> FloatImage:
    """(1, 3, H, W) on any device -> (H, W, 3)."""
    return np.ascontiguousarray(filled[0].permute(1, 2, 0).cpu().numpy())
