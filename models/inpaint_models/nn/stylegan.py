"""Layers of the StyleGAN 2 kind: what networks of that family share.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020), sections 2 and B, for the
equalised learning rate, the modulated convolution and the binomial resampling filters.

Maps are (batch, channels, height, width). A stored weight has unit variance; the gain that a layer of its fan-in needs
is applied when the layer runs ("equalised learning rate").
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["linear", "leaky"]
Resample = Literal["keep", "down", "up"]

LEAKY_SLOPE = 0.2
LEAKY_GAIN = math.sqrt(2.0)
"""Restores the variance that a leaky ReLU of slope 0.2 takes from a unit normal."""

EPSILON = 1e-8
"""Keeps the demodulation, the normalisation of z and the ratio of the partial convolution finite."""


def activate(x: Tensor, activation: Activation, clamp: float = math.inf) -> Tensor:
    """Leaky ReLU times sqrt(2), or nothing; then at most `clamp` in magnitude."""
    x = F.leaky_relu(x, LEAKY_SLOPE) * LEAKY_GAIN if activation == "leaky" else x
    return x if clamp == math.inf else x.clamp(-clamp, clamp)


def biased_activation(x: Tensor, bias: Tensor, activation: Activation, clamp: float = math.inf) -> Tensor:
    """`activate(x + bias)` with one bias per channel; x is (B, C, H, W)."""
    return activate(x + bias.to(x.dtype)[:, None, None], activation, clamp)


def binomial_filter(gain: float = 1.0) -> Tensor:
    """The 4x4 low-pass filter of all resampling: outer product of (1, 3, 3, 1) / 8, summing to `gain`."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(taps, taps) * gain


def low_pass(x: Tensor, *, padding: tuple[int, int, int, int], gain: float = 1.0) -> Tensor:
    """Each channel on its own through the binomial filter.

    `padding` is (left, right, top, bottom) zeros; the result is 3 smaller than the padded map in each direction.
    """
    channels = x.shape[1]
    fir = binomial_filter(gain).to(x).expand(channels, 1, 4, 4)
    return F.conv2d(F.pad(x, padding), fir, groups=channels)


def spread(x: Tensor) -> Tensor:
    """Zeros after each row and column: (B, C, H, W) -> (B, C, 2H, 2W)."""
    batch, channels, height, width = x.shape
    out = x.new_zeros(batch, channels, height, 2, width, 2)
    out[:, :, :, 0, :, 0] = x
    return out.reshape(batch, channels, 2 * height, 2 * width)


def upsample(image: Tensor) -> Tensor:
    """Double the size by zero insertion and the binomial filter: (B, C, H, W) -> (B, C, 2H, 2W)."""
    return low_pass(spread(image), padding=(2, 1, 2, 1), gain=4.0)


def resampling_convolution(x: Tensor, weight: Tensor, resample: Resample, *, groups: int = 1) -> Tensor:
    """Convolution that keeps, halves or doubles the size, with the binomial filter on the side of the larger map.

    `weight` is (groups * out, in, k, k) with odd k, for x of groups * in channels. The borders count as zeros.
    """
    half = weight.shape[-1] // 2
    if resample == "keep":
        return F.conv2d(x, weight, padding=half, groups=groups)
    if resample == "down":
        margin = half + 1
        return F.conv2d(low_pass(x, padding=(margin, margin, margin, margin)), weight, stride=2, groups=groups)
    wide = F.conv_transpose2d(x, transposed(weight, groups), stride=2, groups=groups)  # (B, ..., 2H + 1, 2W + 1)
    return low_pass(wide, padding=(1, 1, 1, 1), gain=4.0)  # (B, groups * out, 2H, 2W)


def transposed(weight: Tensor, groups: int = 1) -> Tensor:
    """(groups * out, in, k, k) in the order that torch's transposed convolution wants: (groups * in, out, k, k).

    That convolves where StyleGAN correlates: hence the flip.
    """
    per_group = weight.reshape(groups, -1, *weight.shape[1:])
    return per_group.transpose(1, 2).flatten(0, 1).flip(2, 3)


class EqualizedLinear(nn.Module):
    """Fully connected layer over the last axis; `learning_rate` scales weight and bias alike."""

    def __init__(
        self, inputs: int, outputs: int, *, activation: Activation = "linear", learning_rate: float = 1.0
    ) -> None:
        super().__init__()
        self.activation: Activation = activation
        self.bias_gain = learning_rate
        self.weight_gain = learning_rate / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / learning_rate)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return activate(F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain), self.activation)


class EqualizedConv2d(nn.Module):
    """Convolution, bias and activation, optionally to half or twice the size; `clamp` as in `activate`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        resample: Resample = "keep",
        activation: Activation = "leaky",
        clamp: float = math.inf,
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.clamp = clamp
        self.resample: Resample = resample
        self.activation: Activation = activation
        self.weight_gain = 1 / math.sqrt(inputs * kernel**2)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        x = resampling_convolution(x, self.weight * self.weight_gain, self.resample)
        return biased_activation(x, self.bias, self.activation, self.clamp)


class ModulatedConv2d(nn.Module):
    """Convolution whose input channels are scaled by a style, and whose output variance is restored ("demodulated").

    The style enters the weights, so that a batch is one convolution with a group per item.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        style_width: int,
        resample: Resample = "keep",
        demodulate: bool = True,
    ) -> None:
        super().__init__()
        self.resample: Resample = resample
        self.demodulate = demodulate
        self.weight_gain = 1 / math.sqrt(inputs * kernel**2)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.affine = EqualizedLinear(style_width, inputs)
        nn.init.ones_(self.affine.bias)

    def modulated_weight(self, style: Tensor) -> Tensor:
        """One set of weights for each style: (B, style_width) -> (B, out, in, k, k)."""
        scale: Tensor = self.affine(style)
        weight = self.weight * self.weight_gain * scale[:, None, :, None, None]
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + EPSILON)
        return weight

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x (B, in, H, W), style (B, style_width) -> (B, out, H', W')."""
        batch = x.shape[0]
        weight = self.modulated_weight(style).flatten(0, 1)
        x = resampling_convolution(x.reshape(1, -1, *x.shape[2:]), weight, self.resample, groups=batch)
        return x.reshape(batch, -1, *x.shape[2:])


class FixedNoise(nn.Module):
    """One noise map drawn when training began and stored with the weights, times a learned strength."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("map", torch.randn(size, size))

    def forward(self, size: tuple[int, int]) -> Tensor:
        """(H, W), a multiple of the stored map's -> (H, W)."""
        stored: Tensor = self.get_buffer("map")
        return stored.repeat(size[0] // stored.shape[0], size[1] // stored.shape[1]) * self.strength


class MappingNetwork(nn.Module):
    """Noise to style: z of unit length per element through fully connected layers that learn slowly."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(EqualizedLinear(width, width, activation="leaky", learning_rate=0.01) for _ in range(layers))
        )
        self.register_buffer("mean_style", torch.zeros(width))

    def forward(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        x: Tensor = self.layers(z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + EPSILON))
        mean = self.get_buffer("mean_style")
        return x if truncation == 1 else torch.lerp(mean.expand_as(x), x.to(mean.dtype), truncation)
