"""LaMa behind the engine protocol: one pass for several crops, or refinement of one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from .. import devices
from ..errors import OutOfMemory
from ..nn.torch_engine import Batch, BatchTorchEngine, on_meta, read_state, shapes_of, to_tensors
from ..registry import LoadContext
from ..types import ParamValue
from .inference import FoldedGenerator
from .network import FFCResNetGenerator, masked_input
from .refine import RefinementSettings, at_size_of, refine, working_sizes

_LOG = logging.getLogger(__name__)

KEEPING_BYTES_PER_PX = 9_000
"""What a refinement takes for each pixel of its largest size if it keeps all activations for the backward pass ..."""

CHECKPOINTING_BYTES_PER_PX = 2_600
"""... and while it computes those of the residual blocks a second time instead (gradient checkpointing)."""


def load(context: LoadContext) -> LamaEngine:
    """Reads the weights and builds the inference form. Raises `WeightsError`, `Unavailable`."""
    dtype = devices.choose_precision(context.precision, context.device)
    read = partial(read_state, context, shapes_of(on_meta(FFCResNetGenerator)))
    return LamaEngine(read, device=context.device, dtype=dtype)


class LamaEngine(BatchTorchEngine):
    """The result depends on image and hole alone, not on the seed. Sides are multiples of 8, except for refinement.

    read_state  gives the readable network's state dict; called again for each fill that needs full precision after all
    """

    title = "LaMa"

    def __init__(self, read_state: Callable[[], Mapping[str, Tensor]], *, device: str, dtype: torch.dtype) -> None:
        super().__init__(device, dtype)
        self._read_state = read_state
        self._transform_device = torch.device(device if devices.has_fourier_transforms(device) else "cpu")
        if self._transform_device != self.device:
            _LOG.warning("The device %s has no Fourier transforms; they are computed on the processor.", device)
        self._network = self._build(dtype)

    def run(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        image, mask = to_tensors(batch.images, batch.holes, self.device)
        if not batch.params["refine"]:
            return self._single_pass(self._in(dtype), image, mask)
        settings, crops = refinement_settings(batch.params), zip(image.split(1), mask.split(1), strict=True)
        return torch.cat([self._refined(*crop, settings, index, len(image)) for index, crop in enumerate(crops)])

    @torch.inference_mode()
    def _single_pass(self, network: FoldedGenerator, image: Tensor, mask: Tensor) -> Tensor:
        return network(masked_input(image, mask), partial(self.pulse.report, "filling", total=network.n_blocks + 2))

    def _refined(self, image: Tensor, mask: Tensor, settings: RefinementSettings, index: int, count: int) -> Tensor:
        """Crop number `index` of `count`, which cost the same. (1, 3, H, W)

        In full precision throughout: the optimiser's steps are smaller than what half precision resolves.
        """
        network = self._in(torch.float32)
        keep = self._can_keep_activations(image, settings)

        def report(done: int, total: int, preview: Callable[[], Tensor] | None = None) -> None:
            self.pulse.report("refining", index * total + done, count * total, None if index else preview)

        for step in refine(network, image, mask, settings=settings, report=report, keep_activations=keep):
            report(step.done, step.total, partial(at_size_of, image, mask, self.finite(step.image)))
        return at_size_of(image, mask, step.image)

    def _can_keep_activations(self, image: Tensor, settings: RefinementSettings) -> bool:
        """Whether those of all blocks fit into memory at once. Raises `OutOfMemory` if nothing helps."""
        height, width = working_sizes(image.shape[2], image.shape[3], settings)[-1]
        free = devices.free_bytes(str(self.device))
        least = height * width * CHECKPOINTING_BYTES_PER_PX
        if least > 0.8 * free:
            raise OutOfMemory(
                f"Refining {width}x{height} pixels needs about {least / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are "
                "free. Use a smaller refine_megapixels."
            )
        return height * width * KEEPING_BYTES_PER_PX < 0.5 * free

    def _in(self, dtype: torch.dtype) -> FoldedGenerator:
        """The network itself, or a copy for this one fill: the memory budget counts with one network, not with two."""
        return self._network if self._network.dtype == dtype else self._build(dtype)

    def _build(self, dtype: torch.dtype) -> FoldedGenerator:
        return FoldedGenerator(
            self._read_state(), device=self.device, dtype=dtype, transform_device=self._transform_device
        )


def refinement_settings(params: Mapping[str, ParamValue]) -> RefinementSettings:
    """The settings that the entry's parameters ask for."""
    return RefinementSettings(
        iterations=int(params["refine_iterations"]),
        scales=int(params["refine_scales"]),
        budget_px=round(float(params["refine_megapixels"]) * 1e6),
    )
