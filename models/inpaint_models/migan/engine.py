"""MI-GAN behind the engine protocol."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import Tensor

from .. import devices
from ..nn.torch_engine import Batch, TorchEngine, from_signed, to_signed, to_tensors
from ..registry import LoadContext
from .checkpoint import read_network
from .inference import InferenceMIGAN


class MIGANEngine(TorchEngine):
    """The answer depends on the image and the hole alone. Sides are multiples of 512, also for the network of 256.

    The weights are kept in float32 beside those in half precision, for the case that a fill overflows in it.
    """

    title = "MI-GAN"

    def __init__(self, network: InferenceMIGAN, device: str = "cpu", *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(device, dtype)
        self.networks = {torch.float32: network.to(device)}
        self.networks.setdefault(dtype, copy.deepcopy(network).to(dtype))

    @torch.inference_mode()
    def run(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        """One crop; each level is reported as a step."""
        image, mask = to_tensors(batch.images, batch.holes, self.device)
        network = self.networks[dtype]
        steps, total = itertools.count(), network.n_levels
        filled: Tensor = network(to_signed(image), 1 - mask, lambda: self.pulse.report("filling", next(steps), total))
        self.pulse.report("filling", total, total)
        return from_signed(filled)


def load(context: LoadContext) -> MIGANEngine:
    """The engine of a published file in any form. Raises `WeightsError`."""
    dtype = devices.choose_precision(context.precision, context.device)
    return MIGANEngine(InferenceMIGAN(read_network(context)), context.device, dtype=dtype)
