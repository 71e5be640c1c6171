"""Layers that MAT has besides those of its StyleGAN family (`nn.stylegan`).

Source: Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions" (ECCV 2018) for the partial
convolution; Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020) for the others.

Maps are (batch, channels, height, width).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.stylegan import EPSILON, EqualizedConv2d, FixedNoise, ModulatedConv2d, Resample, biased_activation, upsample


class PartialConv2d(nn.Module):
    """Convolution that makes up for what the hole hides and tells where its result can be trusted.

    `known` is (B, 1, H, W) with 1 where the map is valid, or None for an ordinary convolution. The border's zeros count
    as hidden, so results at a border are raised even without a hole. The result is multiplied after the activation.
    """

    def __init__(self, inputs: int, outputs: int, *, resample: Resample = "keep") -> None:
        super().__init__()
        self.conv = EqualizedConv2d(inputs, outputs, resample=resample)

    def forward(self, x: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the new map and the new `known`: 1 where at least one input pixel was known."""
        x = self.conv(x)
        if known is None:
            return x, None
        ratio, known = partial_ratio(known, self.conv.kernel, stride=2 if self.conv.resample == "down" else 1)
        return x * ratio, known


def partial_ratio(known: Tensor, kernel: int, *, stride: int) -> tuple[Tensor, Tensor]:
    """Window area over known pixels in it (0 where there are none), and the updated `known`; both (B, 1, H', W')."""
    window = known.new_ones(1, 1, kernel, kernel)
    count = F.conv2d(known, window, stride=stride, padding=kernel // 2)
    known = count.clamp(0, 1)
    return kernel**2 / (count + EPSILON) * known, known


class StyleConv(nn.Module):
    """Modulated 3x3 convolution, fixed noise (when the checkpoint has it), bias, leaky ReLU.

    `noise_size` is the side of the stored noise map; None builds the layer without noise. On a larger map the noise is
    repeated.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        style_width: int,
        resample: Resample = "keep",
        noise_size: int | None = None,
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inputs, outputs, 3, style_width=style_width, resample=resample)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise: FixedNoise | None = None if noise_size is None else FixedNoise(noise_size)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = self.conv(x, style)
        if self.noise is not None:
            x = x + self.noise(x.shape[-2:])
        return biased_activation(x, self.bias, "leaky")


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to three channels, added to the image of the level below."""

    def __init__(self, inputs: int, *, style_width: int) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inputs, 3, 1, style_width=style_width, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, style: Tensor, image: Tensor | None) -> Tensor:
        """x (B, C, H, W) and the image so far, (B, 3, H / 2, W / 2) or None at the lowest level -> (B, 3, H, W)."""
        rgb = biased_activation(self.conv(x, style), self.bias, "linear")
        return rgb if image is None else rgb + upsample(image)
