"""The generator of MI-GAN in its inference form, readable.

Paper     Sargsyan, Navasardyan, Xu, Shi, "MI-GAN: A Simple Baseline for Image Inpainting on Mobile Devices", ICCV 2023
Original  https://github.com/Picsart-AI-Research/MI-GAN, MIT. Written from the paper, the published tensor names and
          shapes, and stored outputs; it holds no code of the original.

In training a depthwise convolution has several branches and the weights have gains; what is published for inference
has both folded into plain convolutions ("re-parameterised"). Modules have the published names, so that their state dict
is a part of the published one: that also holds the resampling filters, which are made here.

Maps are (B, C, H, W). The network is fully convolutional apart from its fixed noise, which is repeated on an image
larger than the trained one; H and W are multiples of that.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
GAIN = math.sqrt(2.0)
LIMIT = 256.0
"""Leaky ReLU of this slope, times this gain, clamped to this magnitude."""

BOTTOM = 4
"""Side of the smallest map of an image of the trained size."""

Resample = Literal["keep", "down", "up"]


class Features(NamedTuple):
    """What an encoder level gives: the map for the next level, and the one that the decoder adds."""

    x: Tensor
    skip: Tensor


class Decoded(NamedTuple):
    """What a decoder level gives: its map, and the image so far, (B, 3, H, W)."""

    x: Tensor
    image: Tensor


def width_at(side: int) -> int:
    """Channels of the maps of this side, at the trained size."""
    return min(32768 // side, 512)


def sides(resolution: int) -> tuple[int, ...]:
    """Of the maps, largest first: 512, 256 ... 4."""
    return tuple(resolution >> level for level in range(int(math.log2(resolution // BOTTOM)) + 1))


def masked_input(image: Tensor, known: Tensor) -> Tensor:
    """(B, 4, H, W) from an image (B, 3, H, W) in [-1, 1] and known (B, 1, H, W): 1 = known, 0 = hole."""
    return torch.cat([known - 0.5, image * known], dim=1)


class MIGAN(nn.Module):
    """Encoder, and a decoder that adds the encoder's maps and sums an image over its levels.

    resolution  side of the trained image: 512 or 256; smaller ones for tests
    """

    def __init__(self, resolution: int = 512) -> None:
        super().__init__()
        self.resolution = resolution
        self.encoder = Encoder(resolution)
        self.synthesis = Synthesis(resolution)

    def forward(self, x: Tensor) -> Tensor:
        """`masked_input` -> RGB in about [-1, 1], not composited."""
        image: Tensor = self.synthesis(self.encoder(x))
        return image


class Encoder(nn.Module):
    """One level for each side, called b512, b256 ... b4."""

    def __init__(self, resolution: int) -> None:
        super().__init__()
        for side in sides(resolution):
            self.add_module(f"b{side}", EncoderLevel(side, first=side == resolution))

    def levels(self) -> list[EncoderLevel]:
        """Largest first."""
        return [level for level in self.children() if isinstance(level, EncoderLevel)]

    def forward(self, x: Tensor) -> list[Tensor]:
        """What the decoder adds, largest first, and the smallest level's map as the last."""
        skips = []
        for level in self.levels():
            x, skip = level(x)
            skips.append(skip)
        return [*skips, x]


class EncoderLevel(nn.Module):
    """[colours to channels at the first level,] a unit, whose map the decoder adds, and one that halves the size."""

    def __init__(self, side: int, *, first: bool) -> None:
        super().__init__()
        width, bottom = width_at(side), side == BOTTOM
        self.fromrgb = nn.Conv2d(4, width, 1) if first else None
        self.conv1 = SeparableConv2d(width, width)
        self.conv2 = SeparableConv2d(width, width if bottom else width_at(side // 2), "keep" if bottom else "down")

    def forward(self, x: Tensor) -> Features:
        if self.fromrgb is not None:
            x = activate(self.fromrgb(x))
        skip = self.conv1(x)
        return Features(self.conv2(skip), skip)


class Synthesis(nn.Module):
    """The decoder: one level for each side, called b4, b8 ... b512."""

    def __init__(self, resolution: int) -> None:
        super().__init__()
        for side in reversed(sides(resolution)):
            self.add_module(f"b{side}", DecoderLevel(side))

    def levels(self) -> list[DecoderLevel]:
        """Smallest first."""
        return [level for level in self.children() if isinstance(level, DecoderLevel)]

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Takes what `Encoder` gives."""
        *skips, x = maps
        image: Tensor | None = None
        for level, skip in zip(self.levels(), reversed(skips), strict=True):
            x, image = level(x, skip, image)
        assert image is not None
        return image


class DecoderLevel(nn.Module):
    """A unit that doubles the size, the encoder's map, another unit, and this level's part of the image."""

    def __init__(self, side: int) -> None:
        super().__init__()
        width, bottom = width_at(side), side == BOTTOM
        noise = None if bottom else side
        self.conv1 = SeparableConv2d(
            width if bottom else width_at(side // 2), width, "keep" if bottom else "up", noise_side=noise
        )
        self.conv2 = SeparableConv2d(width, width, noise_side=noise)
        self.torgb = nn.Conv2d(width, 3, 1)
        self.upsample = None if bottom else Upsample()

    def forward(self, x: Tensor, skip: Tensor, image: Tensor | None) -> Decoded:
        """`image` is the one of the level below, half as large, or None at the lowest."""
        x = self.conv2(self.conv1(x) + skip)
        rgb = self.torgb(x)
        return Decoded(x, rgb if self.upsample is None or image is None else self.upsample(image) + rgb)


class SeparableConv2d(nn.Module):
    """Depthwise 3x3, activation, [half the size,] 1x1, [twice the size,] [fixed noise,] activation.

    noise_side  side of the stored noise map; None builds the unit without noise
    """

    def __init__(
        self, inputs: int, outputs: int, resample: Resample = "keep", *, noise_side: int | None = None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs)
        self.conv2 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.downsample = Downsample() if resample == "down" else None
        self.upsample = Upsample() if resample == "up" else None
        self.has_noise = noise_side is not None
        if noise_side is not None:
            self.register_buffer("noise_const", torch.randn(noise_side, noise_side))
            self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        x = activate(self.conv1(x))
        x = self.conv2(x if self.downsample is None else self.downsample(x))
        x = x if self.upsample is None else self.upsample(x)
        return activate(x + self.noise((x.shape[2], x.shape[3])) if self.has_noise else x)

    def noise(self, size: tuple[int, int]) -> Tensor:
        """(H, W), a multiple of the stored map's -> (H, W)."""
        stored = self.get_buffer("noise_const") * self.noise_strength
        return stored.repeat(size[0] // stored.shape[0], size[1] // stored.shape[1])


class Downsample(nn.Module):
    """Half the size, through a binomial filter of 4x4."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, binomial_filter(x), stride=2, padding=1, groups=x.shape[1])


class Upsample(nn.Module):
    """Twice the size: zeros between the pixels, then the binomial filter with four times its gain."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, 4 * binomial_filter(x), stride=2, padding=1, groups=x.shape[1])


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU, gain and clamp."""
    return (F.leaky_relu(x, SLOPE) * GAIN).clamp(-LIMIT, LIMIT)


def binomial_filter(like: Tensor) -> Tensor:
    """The outer product of (1, 3, 3, 1) / 8 for each channel of a map, in its format: (C, 1, 4, 4)."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(taps, taps).to(like).expand(like.shape[1], 1, 4, 4)
