"""Manga inpainting behind the engine protocol: colour to grey, noise from the seed, grey to colour.

Always in float32: the sign of a line's value decides what is line and what is tone. On a processor the wide 3x3
convolutions go through `winograd`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..nn.tiled import TiledConv3x3, exchange_convolutions, is_wide_3x3
from ..nn.torch_engine import Batch, TorchEngine, from_signed, place, to_signed, to_tensors
from ..nn.winograd import TiledConvolution
from ..registry import LoadContext
from ..weights import reader_for
from .checkpoint import load_networks
from .lines import Block
from .network import Convolved, ResidualBlock
from .procedure import Networks, fill_page

FEWEST_CHANNELS = 96
"""Thinner convolutions are as fast without `winograd`."""

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey (ITU-R BT.601)."""


class MangaEngine(TorchEngine):
    """The same seed gives the same answer on a device. Sides are multiples of 16."""

    title = "Manga"

    def __init__(self, networks: Networks, device: str = "cpu") -> None:
        super().__init__(device, torch.float32)
        self.networks = networks
        tiled = TiledConvolution()
        for network in networks:
            if self.device.type == "cpu":
                exchange_convolutions(
                    network, lambda conv: TiledConv3x3(conv, tiled) if is_wide_3x3(conv, FEWEST_CHANNELS) else None
                )
            place(network, self.device, torch.float32)
        modules = (module for network in networks for module in network.modules())
        self.pulse.watch(module for module in modules if isinstance(module, Block | ResidualBlock | Convolved))

    @torch.inference_mode()
    def run(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        image, mask = to_tensors(batch.images, batch.holes, self.device)
        gray = (image * image.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)
        noise = start_noise(batch.seed, *batch.size).to(self.device)
        passes = int(batch.params["passes"])
        steps, total = itertools.count(), passes + 3

        def on_step(stage: str, page: Callable[[], Tensor] | None) -> None:
            preview = None if page is None else lambda: from_signed(page()).expand(-1, 3, -1, -1)
            self.pulse.report(stage, next(steps), total, preview)

        page = fill_page(self.networks, to_signed(gray), mask, noise, passes=passes, on_step=on_step)
        self.pulse.report("appearance", total, total)
        return from_signed(page).expand(-1, 3, -1, -1)


def start_noise(seed: int, height: int, width: int) -> Tensor:
    """(1, 1, height, width) standard normal, from a stream that numpy promises never to change (NEP 19)."""
    generator = np.random.RandomState(np.random.MT19937(seed))
    return torch.from_numpy(generator.standard_normal((1, 1, height, width)).astype(np.float32))


def load(context: LoadContext) -> MangaEngine:
    """Reads the weights straight into the networks. Raises `WeightsError`, `Unavailable`."""
    return MangaEngine(load_networks(context.weights, reader_for(context)), context.device)
