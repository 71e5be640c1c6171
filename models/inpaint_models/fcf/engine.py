"""FcF behind the engine protocol: squares of 512 pixels, one answer for each picture.

What is drawn from noise in training is fixed here, as other programs fix it: z is 0, and the fixed noise maps are left
out.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import devices
from ..nn.torch_engine import (
    Batch,
    TorchEngine,
    from_signed,
    read_state,
    to_signed,
    to_tensors,
    wants_bfloat16,
)
from ..registry import LoadContext
from .checkpoint import blank_network, load_published, published_shapes
from .inference import inference_form
from .network import FcF, FourierUnit

_LOG = logging.getLogger(__name__)


class FcFEngine(TorchEngine):
    """`bfloat16` runs convolutions in half the bits; the weights stay in float32 for the case of a NaN."""

    title = "FcF"

    def __init__(self, network: FcF, device: str = "cpu", *, bfloat16: bool = False) -> None:
        super().__init__(device, torch.bfloat16 if bfloat16 else torch.float32)
        self.network = inference_form(network).to(self.device)
        if not devices.has_fourier_transforms(device):
            _LOG.warning("The device %s has no Fourier transforms; they are computed on the processor.", device)
            for module in self.network.modules():
                if isinstance(module, FourierUnit):
                    module.transform_device = torch.device("cpu")

    @torch.inference_mode()
    def run(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        """Reports each level of the decoder as a step, with what the levels before it drew as the preview."""
        config = self.network.config
        image, mask = at_side(*to_tensors(batch.images, batch.holes, self.device), config.resolution)
        steps, total = itertools.count(), len(config.sides)

        def on_level(stage: str, estimate: Callable[[], Tensor] | None) -> None:
            preview = None if estimate is None else lambda: from_signed(stretched(estimate(), batch.size))
            self.pulse.report(stage, next(steps), total, preview)

        with torch.autocast(self.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            z = image.new_zeros(1, config.latent_width)
            filled: Tensor = self.network(to_signed(image), mask, z, on_level=on_level)
        self.pulse.report("decoder", total, total)
        return from_signed(stretched(filled.float(), batch.size))


def at_side(image: Tensor, mask: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Picture and mask, both squares, as the network takes them; what is larger is shrunk, and the hole grows to cover
    what it covered."""
    if image.shape[-1] == side:
        return image, mask
    return F.interpolate(image, (side, side), mode="area"), F.adaptive_max_pool2d(mask, side)


def stretched(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, 3, h, w) -> (1, 3, H, W)."""
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image.float(), size, mode="bicubic", align_corners=False)


def load(context: LoadContext) -> FcFEngine:
    """The engine of a published file in any form. Raises `WeightsError`, `Unavailable`."""
    network = blank_network()
    load_published(network, read_state(context, published_shapes(network)))
    return FcFEngine(network, context.device, bfloat16=wants_bfloat16(context.precision, context.device))
