"""The U-Net's form for CPUs: the same function with its 3x3 convolutions done by cheaper matrix products.

Where the maps are large and the weights few, Winograd's minimal filtering (nn/winograd.py) needs a quarter of the
multiplications. It transforms the weights at each call, so the two coarse levels, which hold five sixths of the
weights for a quarter of the work, gather neighbourhoods and multiply once instead: with so few pixels, convolution
kernels spend most of their time on bringing the weights into their own layout at each call.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn.tiled import TiledConv3x3, exchange_convolutions, is_wide_3x3
from ..nn.winograd import TiledConvolution

MIN_CHANNELS = 32
"""Thinner convolutions, the U-Net's first and last, stay as they are."""

MAX_TILED_WEIGHTS = 9 * 1280 * 512
"""Up to the widest convolution of the second level."""

CHUNK_BYTES = 64 << 20
"""Of gathered input at a time."""


def to_inference_form(network: nn.Module) -> None:
    """Exchanges the 3x3 convolutions of a network in float32 on the CPU."""
    tiled = TiledConvolution()

    def by_products(conv: nn.Conv2d) -> nn.Module | None:
        if not is_wide_3x3(conv, MIN_CHANNELS):
            return None
        return TiledConv3x3(conv, tiled) if conv.weight.numel() <= MAX_TILED_WEIGHTS else GatheredConv3x3(conv)

    exchange_convolutions(network, by_products)


class GatheredConv3x3(nn.Module):
    """One matrix product: rows of 3x3 neighbourhoods times the weights."""

    weight: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.bias = conv.bias
        self.register_buffer("weight", _by_position(conv).flatten(0, 1))  # (9 C, out)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))  # (B, H + 2, W + 2, C)
        out = x.new_empty(batch, height, width, self.weight.shape[1])
        rows = max(1, CHUNK_BYTES // (9 * batch * width * channels * x.element_size()))
        for first in range(0, height, rows):
            last = min(height, first + rows)
            windows = padded[:, first : last + 2].unfold(1, 3, 1).unfold(2, 3, 1)  # (B, rows, W, C, 3, 3)
            gathered = windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, 9 * channels)  # (B rows W, 9 C)
            product = gathered @ self.weight if self.bias is None else torch.addmm(self.bias, gathered, self.weight)
            out[:, first:last] = product.view(batch, last - first, width, -1)
        return out.permute(0, 3, 1, 2)  # (B, out, H, W), channels_last


def _by_position(conv: nn.Conv2d) -> Tensor:
    """Weights as (9, C, out). Two simple transpositions take a quarter of the time of one that permutes three axes."""
    flat = conv.weight.detach().flatten(1).T.contiguous()  # (C 9, out)
    return flat.view(conv.in_channels, 9, conv.out_channels).transpose(0, 1).contiguous()
