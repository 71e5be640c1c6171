"""The generator of FcF: Keys to Better Image Inpainting: Structure and Texture Go Hand in Hand.

Paper     Jain, Zhou, Yu, Shi, WACV 2023, https://arxiv.org/abs/2208.03382 (figure 2: encoder, mapping network, decoder
          of the StyleGAN 2 kind with FaF blocks, "fast Fourier synthesis", in its skip connections)
Original  https://github.com/SHI-Labs/FcF-Inpainting, whose StyleGAN parts are for non-commercial use. This file was
          written from the paper, the published tensor names and shapes, and stored outputs; it holds no code of the
          original.

Maps are (batch, channels, height, width). A batch is filled one image at a time: see `Encoder.forward`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.fourier import in_frequencies
from ..nn.stylegan import (
    EPSILON,
    EqualizedConv2d,
    EqualizedLinear,
    FixedNoise,
    MappingNetwork,
    Resample,
    activate,
    biased_activation,
    resampling_convolution,
    upsample,
)

CLAMP = 256.0
"""Bound of the activations, for which the original can run its fine levels in half precision."""

NO_DEVIATION = math.sqrt(EPSILON)
"""The standard deviation over a batch of one image, kept from zero."""

OnLevel = Callable[[str, Callable[[], Tensor] | None], None]
"""Told the part that begins and how to get the current estimate, (1, 3, h, w) with h <= H, if there is one."""


@dataclass(frozen=True, slots=True)
class FcFConfig:
    """The published 512 network; smaller values make a network for tests.

    widths        channels from the full size down to 8 pixels, and once more for 4 pixels
    latent_width  of z and the mapping network
    code_width    of the encoder's code for the whole image, x_global
    fourier_from  side from which on skip connections go through Fourier convolutions
    noise         whether the synthesis layers add the fixed noise maps of the training files
    """

    resolution: int = 512
    widths: tuple[int, ...] = (64, 128, 256, 512, 512, 512, 512, 512)
    latent_width: int = 512
    code_width: int = 1024
    fourier_from: int = 32
    noise: bool = True

    @property
    def sides(self) -> tuple[int, ...]:
        """Side of the map at each level, the largest first; the last is 4."""
        return tuple(self.resolution >> level for level in range(len(self.widths)))

    @property
    def style_width(self) -> int:
        return self.latent_width + self.code_width


class FcF(nn.Module):
    """Encoder, mapping network and decoder."""

    def __init__(self, config: FcFConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.mapping = MappingNetwork(config.latent_width, layers=2)
        self.synthesis = Synthesis(config)

    def forward(
        self,
        image: Tensor,
        mask: Tensor,
        z: Tensor,
        *,
        truncation: float = 0.1,
        on_level: OnLevel = lambda name, estimate: None,
    ) -> Tensor:
        """The network's picture of the whole image, not composited: (1, 3, H, W).

        image  (1, 3, H, W) RGB in [-1, 1], H = W = `resolution`
        mask   (1, 1, H, W), 1 = hole
        z      (1, latent_width); zeros give the mean of what the network would draw
        """
        on_level("encoder", None)
        code, bottom, skips = self.encoder(torch.cat([0.5 - mask, image * (1 - mask)], dim=1))
        style = torch.cat([self.mapping(z, truncation), code], dim=1)  # (1, style_width)
        rgb: Tensor = self.synthesis(code, bottom, skips, style, on_level)
        return rgb


class Encoder(nn.Module):
    """Down to 4 pixels; every level gives a skip connection and the last a code for the whole image."""

    def __init__(self, config: FcFConfig) -> None:
        super().__init__()
        widths = config.widths
        for level, side in enumerate(config.sides[:-1]):
            self.add_module(f"b{side}", EncoderBlock(widths[level], widths[level + 1], first=level == 0))
        self.b4 = EncoderEpilogue(widths[-1], config.code_width)
        self.names = [f"b{side}" for side in config.sides[:-1]]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """(1, 4, H, W) -> the code (1, code_width), the map of 4 pixels, and the skip connections, largest first.

        One image at a time: the epilogue sees how much a batch varies, which for one image is a constant.
        """
        skips = []
        for name in self.names:
            x, skip = self.get_submodule(name)(x)
            skips.append(skip)
        code, bottom = self.b4(x)
        return code, bottom, skips


class EncoderBlock(nn.Module):
    """Convolve, which gives the skip connection, and halve the size."""

    def __init__(self, inputs: int, outputs: int, *, first: bool) -> None:
        super().__init__()
        self.fromrgb = EqualizedConv2d(4, inputs, 1, clamp=CLAMP) if first else None
        self.conv0 = EqualizedConv2d(inputs, inputs, clamp=CLAMP)
        self.conv1 = EqualizedConv2d(inputs, outputs, resample="down", clamp=CLAMP)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.fromrgb is not None:
            x = self.fromrgb(x)
        skip = self.conv0(x)
        return self.conv1(skip), skip


class EncoderEpilogue(nn.Module):
    """The deviation over the batch as one more channel, a convolution, and the code from all of it."""

    def __init__(self, width: int, code_width: int) -> None:
        super().__init__()
        self.conv = EqualizedConv2d(width + 1, width, clamp=CLAMP)
        self.fc = EqualizedLinear(width * 16, code_width, activation="leaky")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(1, C, 4, 4) -> (1, code_width), (1, C, 4, 4)."""
        bottom = self.conv(F.pad(x, (0, 0, 0, 0, 0, 1), value=NO_DEVIATION))
        return self.fc(bottom.flatten(1)), bottom


class Synthesis(nn.Module):
    """The decoder: from 4 pixels to the full size, the style in every layer."""

    def __init__(self, config: FcFConfig) -> None:
        super().__init__()
        widths, sides = config.widths, config.sides
        self.foreword = SynthesisForeword(config)
        self.names = []
        for level in reversed(range(len(sides) - 1)):
            name = f"b{sides[level]}"
            self.add_module(name, SynthesisBlock(widths[level + 1], widths[level], sides[level], config))
            self.names.append(name)

    def forward(self, code: Tensor, bottom: Tensor, skips: list[Tensor], style: Tensor, on_level: OnLevel) -> Tensor:
        """RGB (1, 3, H, W). Takes the skip connections from the list as it uses them up."""
        x, rgb = self.foreword(code, bottom, style)
        for name in self.names:
            on_level("decoder", lambda estimate=rgb: estimate)  # type: ignore[misc]
            x, rgb = self.get_submodule(name)(x, skips.pop(), rgb, style)
        out: Tensor = rgb
        return out


class SynthesisForeword(nn.Module):
    """The decoder's first level: the code spread over 4 x 4 pixels, plus the encoder's map."""

    def __init__(self, config: FcFConfig) -> None:
        super().__init__()
        width = config.widths[-1]
        noise = 4 if config.noise else None
        self.fc = EqualizedLinear(config.code_width, width * 16, activation="leaky")
        self.conv = SynthesisLayer(width, width, style_width=config.style_width, noise_side=noise, clamp=math.inf)
        self.torgb = ToRGB(width, style_width=config.style_width, clamp=math.inf)

    def forward(self, code: Tensor, bottom: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(self.fc(code).view_as(bottom) + bottom, style)
        return x, self.torgb(x, style)


class SynthesisBlock(nn.Module):
    """Double the size, add the skip connection, convolve, and add this level's part of the image.

    On fine levels what is added is a Fourier convolution of map and skip connection together.
    """

    def __init__(self, inputs: int, outputs: int, side: int, config: FcFConfig) -> None:
        super().__init__()
        noise = side if config.noise else None
        width = config.style_width
        self.conv0 = SynthesisLayer(inputs, outputs, style_width=width, resample="up", noise_side=noise)
        self.ffc_skip = FourierSkip(outputs) if side >= config.fourier_from else None
        self.conv1 = SynthesisLayer(outputs, outputs, style_width=width, noise_side=noise)
        self.torgb = ToRGB(outputs, style_width=width)

    def forward(self, x: Tensor, skip: Tensor, image: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """x (1, C, h, w), skip (1, C', 2h, 2w), image (1, 3, h, w) -> the map and the image of twice the size."""
        x = self.conv0(x, style)
        x = x + (skip if self.ffc_skip is None else self.ffc_skip(x + skip))
        x = self.conv1(x, style)
        return x, upsample(image) + self.torgb(x, style)


class SynthesisLayer(nn.Module):
    """Modulated and demodulated 3x3 convolution, noise where the network has it, leaky ReLU. It has no bias.

    Weights have no gain for their fan-in, which the demodulation would take away. On the way up the kernel is that of
    the transposed convolution, hence turned against `resampling_convolution`'s.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        style_width: int,
        resample: Resample = "keep",
        noise_side: int | None = None,
        clamp: float = CLAMP,
    ) -> None:
        super().__init__()
        self.resample: Resample = resample
        self.clamp = clamp
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.affine = EqualizedLinear(style_width, inputs)
        nn.init.ones_(self.affine.bias)
        self.noise = None if noise_side is None else FixedNoise(noise_side)

    def modulated_weight(self, style: Tensor) -> Tensor:
        """(1, style_width) -> (out, in, 3, 3)."""
        weight: Tensor = self.weight * self.affine(style)[:, :, None, None]
        weight = weight * torch.rsqrt(weight.square().sum(dim=(1, 2, 3), keepdim=True) + EPSILON)
        return weight.flip(2, 3) if self.resample == "up" else weight

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = resampling_convolution(x, self.modulated_weight(style), self.resample)
        if self.noise is not None:
            x = x + self.noise(x.shape[-2:])
        return activate(x, "leaky", self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to three channels."""

    def __init__(self, inputs: int, *, style_width: int, clamp: float = CLAMP) -> None:
        super().__init__()
        self.clamp = clamp
        self.gain = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.affine = EqualizedLinear(style_width, inputs)
        nn.init.ones_(self.affine.bias)

    def modulated_weight(self, style: Tensor) -> Tensor:
        """(1, style_width) -> (3, in, 1, 1)."""
        weight: Tensor = self.weight * (self.affine(style) * self.gain)[:, :, None, None]
        return weight

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return biased_activation(F.conv2d(x, self.modulated_weight(style)), self.bias, "linear", self.clamp)


# --- fast Fourier convolutions ---------------------------------------------------------------------------------------

Branches = tuple[Tensor, Tensor]
"""The local and the global part of a map: a quarter of its channels and the rest."""


class FourierSkip(nn.Module):
    """A residual block of Fourier convolutions; its input is added three times, once in the block itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.local = width // 4
        self.block = FFCResNetBlock(self.local, width - self.local)

    def forward(self, y: Tensor) -> Tensor:
        """(1, C, H, W) -> the same."""
        return 2 * y + torch.cat(self.block((y[:, : self.local], y[:, self.local :])), dim=1)


class FFCResNetBlock(nn.Module):
    """Two Fourier convolutions and a shortcut around both."""

    def __init__(self, local: int, global_: int) -> None:
        super().__init__()
        self.conv1 = FFC(local, global_)
        self.conv2 = FFC(local, global_)

    def forward(self, y: Branches) -> Branches:
        local, global_ = self.conv2(self.conv1(y))
        return y[0] + local, y[1] + global_


class FFC(nn.Module):
    """Fast Fourier convolution, as LaMa has it but without normalisation, and ReLU of each branch."""

    def __init__(self, local: int, global_: int) -> None:
        super().__init__()
        self.convl2l = _conv3x3(local, local)
        self.convl2g = _conv3x3(local, global_)
        self.convg2l = _conv3x3(global_, local)
        self.convg2g = SpectralTransform(global_)

    def forward(self, x: Branches) -> Branches:
        local, global_ = x
        return (
            torch.relu(self.convl2l(local) + self.convg2l(global_)),
            torch.relu(self.convl2g(local) + self.convg2g(global_)),
        )


class SpectralTransform(nn.Module):
    """Reduce, add what the Fourier units see of the whole map and of its quarters, expand. (1, C, H, W) -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = width // 2
        self.conv1 = nn.Conv2d(width, hidden, kernel_size=1, bias=False)
        self.fu = FourierUnit(hidden)
        self.lfu = FourierUnit(hidden)
        self.conv2 = nn.Conv2d(hidden, width, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(x))  # (1, C / 2, H, W)
        nearby = self.lfu(quarters(x[:, : x.shape[1] // 4])).repeat(1, 1, 2, 2)  # (1, C / 2, H, W)
        out: Tensor = self.conv2(x + self.fu(x) + nearby)
        return out


def quarters(x: Tensor) -> Tensor:
    """The four quarters of a map as channels, (1, C, H, W) -> (1, 4 C, H / 2, W / 2).

    In the order top left, bottom left, top right, bottom right.
    """
    halves = torch.cat(x.chunk(2, dim=2), dim=1)
    return torch.cat(halves.chunk(2, dim=3), dim=1)


class FourierUnit(nn.Module):
    """A 1x1 convolution in the frequency domain: each of its outputs sees the whole map. (1, C, H, W) -> the same.

    `transform_device` is where the transforms are computed, if the network's device has none.
    """

    transform_device: torch.device | None = None

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return in_frequencies(
            x, lambda parts: torch.relu(self.conv_layer(parts)), transform_device=self.transform_device
        )


def _conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, padding_mode="reflect", bias=False)
