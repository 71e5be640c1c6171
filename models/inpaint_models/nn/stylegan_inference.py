"""Layers of `stylegan` with their gains in weight and bias, for networks that only run.

A leaky ReLU is homogeneous, so that its sqrt(2) goes in front of it. That leaves one convolution and one activation in
place where the readable form makes four maps. Filters take their padding and bias along, and in float32 on processors
the wide 3x3 convolutions go through `winograd`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .. import devices
from .stylegan import LEAKY_GAIN, LEAKY_SLOPE, EqualizedConv2d, EqualizedLinear, Resample, binomial_filter, transposed
from .winograd import TiledConvolution, in_full_precision_on_cpu

FEWEST_TILED_CHANNELS = 180
"""Thinner convolutions are as fast without `winograd`."""


class Convolver:
    """Convolves for all layers of a network, one after another: they share the working memory."""

    def __init__(self) -> None:
        self.tiled = TiledConvolution()

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor, resample: Resample) -> Tensor:
        """`stylegan.resampling_convolution` plus the bias; the weight for "up" is already `transposed`."""
        x = x.contiguous(memory_format=devices.map_layout(x.device.type))
        half = weight.shape[-1] // 2
        if resample == "down":
            filtered = depthwise(x, None, padding=half + 1, gain=1.0)  # (B, in, H + 1, W + 1)
            return F.conv2d(filtered, weight, bias, stride=2)  # (B, out, H / 2, W / 2)
        if resample == "up":
            wide = F.conv_transpose2d(x, weight, stride=2)  # (B, out, 2 H + 1, 2 W + 1)
            return depthwise(wide, bias, padding=1, gain=4.0)  # (B, out, 2 H, 2 W)
        if half == 0:  # 1x1: a product over the channels, which lie last in memory
            return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)  # (B, out, H, W)
        if min(weight.shape[:2]) >= FEWEST_TILED_CHANNELS and in_full_precision_on_cpu(x):
            (out,) = self.tiled(x, [weight], padding=1)  # (B, out, H, W)
            return out.add_(bias.view(1, -1, 1, 1))
        return F.conv2d(x, weight, bias, padding=half)


def depthwise(x: Tensor, bias: Tensor | None, *, padding: int, gain: float) -> Tensor:
    """The binomial filter on each channel, with the padding inside the convolution instead of a larger copy of x."""
    channels = x.shape[1]
    fir = binomial_filter(gain).to(x).expand(channels, 1, 4, 4)
    return F.conv2d(x, fir, bias if bias is None else bias.to(x.dtype), padding=padding, groups=channels)


class FoldedLinear(nn.Module):
    """`EqualizedLinear` with its gains in weight and bias."""

    def __init__(self, layer: EqualizedLinear) -> None:
        super().__init__()
        self.leaky = layer.activation == "leaky"
        gain = LEAKY_GAIN if self.leaky else 1.0
        self.register_buffer("weight", layer.weight.detach() * (layer.weight_gain * gain))
        self.register_buffer("bias", layer.bias.detach() * (layer.bias_gain * gain))

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.get_buffer("weight"), self.get_buffer("bias"))
        return F.leaky_relu_(x, LEAKY_SLOPE) if self.leaky else x


class FoldedConv2d(nn.Module):
    """`EqualizedConv2d` with its gains in weight and bias."""

    def __init__(self, layer: EqualizedConv2d, convolver: Convolver) -> None:
        super().__init__()
        self.convolver = convolver
        self.kernel = layer.kernel
        self.resample: Resample = layer.resample
        self.leaky = layer.activation == "leaky"
        gain = LEAKY_GAIN if self.leaky else 1.0
        self.clamp = layer.clamp
        weight = layer.weight.detach() * (layer.weight_gain * gain)
        self.register_buffer("weight", transposed(weight).contiguous() if layer.resample == "up" else weight)
        self.register_buffer("bias", layer.bias.detach() * gain)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolver(x, self.get_buffer("weight"), self.get_buffer("bias"), self.resample)
        x = F.leaky_relu_(x, LEAKY_SLOPE) if self.leaky else x
        return x if self.clamp == math.inf else x.clamp_(-self.clamp, self.clamp)


def fold(
    module: nn.Module, convolver: Convolver, forms: Mapping[type[nn.Module], Callable[[Any, Convolver], nn.Module]]
) -> None:
    """Put folded layers in the place of those below `module`: of `stylegan`'s, and of a network's own by `forms`."""
    forms = {EqualizedLinear: lambda layer, _: FoldedLinear(layer), EqualizedConv2d: FoldedConv2d, **forms}
    for name, child in module.named_children():
        fold(child, convolver, forms)
        if type(child) in forms:
            setattr(module, name, forms[type(child)](child, convolver))
