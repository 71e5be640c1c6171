"""3x3 convolutions of a network exchanged for those of `winograd`, which serve in float32 on processors."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from .winograd import TiledConvolution, in_full_precision_on_cpu


def exchange_convolutions(network: nn.Module, form: Callable[[nn.Conv2d], nn.Module | None]) -> None:
    """Puts another form in the place of each convolution that has one, freeing its weights before the next."""
    parents = [module for module in network.modules() if not isinstance(module, nn.Conv2d)]
    for parent in parents:
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and (other := form(child)) is not None:
                setattr(parent, name, other)


def is_wide_3x3(conv: nn.Conv2d, least_channels: int) -> bool:
    """Whether it is one that `TiledConv3x3` computes, over at least so many channels in and out."""
    shape = conv.kernel_size == (3, 3) and conv.stride == (1, 1) and conv.dilation in ((1, 1), (2, 2))
    return shape and min(conv.in_channels, conv.out_channels) >= least_channels


class TiledConv3x3(nn.Module):
    """Elsewhere than in float32 on a processor it is computed directly.

    With a dilation of 2 the pixels of a map are four maps that do not touch: those of odd and even rows and columns.

    tiled  holds the working memory, which all convolutions of a network share: one caller at a time
    """

    weight: Tensor

    def __init__(self, conv: nn.Conv2d, tiled: TiledConvolution) -> None:
        super().__init__()
        self.bias = conv.bias
        self.dilation, self.margin = conv.dilation[0], int(conv.padding[0])
        self.mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
        # (out, C, 9): with three axes it keeps its order in memory when the network is brought to channels_last
        self.register_buffer("weight", conv.weight.detach().flatten(2).contiguous())
        self._tiled = tiled

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out, H', W'), channels_last. H and W are even where the dilation is 2."""
        kernel, padding = self.weight.view(*self.weight.shape[:2], 3, 3), self.margin
        if padding and (self.mode != "constant" or self.dilation == 2):
            x, padding = F.pad(x, (padding,) * 4, mode=self.mode), 0
        if not in_full_precision_on_cpu(x):
            return F.conv2d(x, kernel, self.bias, padding=padding, dilation=self.dilation)
        (out,) = self._tiled(apart(x) if self.dilation == 2 else x, [kernel], padding=padding)
        out = together(out) if self.dilation == 2 else out
        return out if self.bias is None else out.add_(self.bias[:, None, None])


def apart(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (4 B, C, H / 2, W / 2): every second pixel in each direction, channels_last."""
    batch, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels)
    return pixels.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)


def together(x: Tensor) -> Tensor:
    """The inverse of `apart`."""
    parts, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(parts // 4, 2, 2, height, width, channels)
    return pixels.permute(0, 3, 1, 4, 2, 5).reshape(parts // 4, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)
