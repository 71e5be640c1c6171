"""ZITS behind the engine protocol: squares, with the inferred edges and lines as the preview.

The structure is always inferred in float32, whose thresholds decide what is an edge; precision is that of encoder and
texture network.
"""

from __future__ import annotations

import itertools
import logging

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import devices
from ..nn.ffc_inference import FoldedFFC
from ..nn.tiled import TiledConv3x3
from ..nn.torch_engine import Batch, TorchEngine, to_tensors
from ..registry import LoadContext
from ..weights import reader_for
from .checkpoint import load_networks
from .inference import inference_form
from .procedure import Networks, Structure, enlargements, fill_picture
from .texture import BLOCKS

_LOG = logging.getLogger(__name__)
_EDGE_INK = 0.6


class ZitsEngine(TorchEngine):
    """The result depends on image and hole alone, not on the seed. Squares of a multiple of 32 pixels, 256 at least."""

    title = "ZITS"

    def __init__(self, networks: Networks, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(device, dtype)
        transform_device = self.device
        if not devices.has_fourier_transforms(device):
            _LOG.warning("The device %s has no Fourier transforms; they are computed on the processor.", device)
            transform_device = torch.device("cpu")
        self._networks = inference_form(networks, self.device, transform_device)
        modules = (module for network in self._networks for module in network.modules())
        slow = nn.Conv2d | nn.ConvTranspose2d | nn.Linear | TiledConv3x3 | FoldedFFC
        self.pulse.watch(module for module in modules if isinstance(module, slow))

    @torch.inference_mode()
    def run(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        """Reports each pass, each enlargement and each block as a step."""
        image, mask = to_tensors(batch.images, batch.holes, self.device)
        side, passes, wireframe = batch.size[0], int(batch.params["passes"]), bool(batch.params["wireframe"])
        total = 1 + BLOCKS + (1 + passes + enlargements(side) if wireframe else 0)
        steps = itertools.count()

        def on_step(stage: str, found: Structure | None) -> None:
            self.pulse.report(stage, next(steps), total, None if found is None else lambda: drawing(found, side))

        filled = fill_picture(
            self._networks, image, mask, wireframe=wireframe, passes=passes, dtype=dtype, on_step=on_step
        )
        self.pulse.report("filling", total, total)
        return filled


def drawing(found: Structure, side: int) -> Tensor:
    """Edges in grey and lines in black on white paper, (1, 3, side, side)."""
    ink = torch.maximum(_EDGE_INK * found.edge, found.line)
    larger = F.interpolate(ink, (side, side), mode="bilinear", align_corners=False)
    return (1 - larger).expand(-1, 3, -1, -1)


def load(context: LoadContext) -> ZitsEngine:
    """Reads the weights straight into the networks. Raises `WeightsError`, `Unavailable`."""
    dtype = devices.choose_precision(context.precision, context.device)
    return ZitsEngine(load_networks(context.weights, reader_for(context)), context.device, dtype)
