"""VQ-f4: the autoencoder between pixels and latents.

Paper: Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022, section 3.1
(perceptual compression, VQ regularisation, downsampling factor f = 4); the quantiser is that of Esser et al., "Taming
Transformers for High-Resolution Image Synthesis", CVPR 2021.
Original code: https://github.com/CompVis/latent-diffusion, https://github.com/CompVis/taming-transformers (both MIT).
Weights: published by the same authors under the licence of the code.
Differs from it: inference only (no losses, no codebook training), no attention (inpainting_big has none), the
nearest code is searched in slices so that memory does not grow with the square of the image.

Module names follow the published checkpoint, so its keys load without renaming.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LATENT_FACTOR = 4
"""Pixels per latent cell along each side."""

LATENT_CHANNELS = 3
GROUPS = 32
NORM_EPS = 1e-6  # The U-Net uses 1e-5; both are part of the trained function.
CODE_SEARCH_ROWS = 1024  # 1024 latents x 8192 codes x 4 bytes = 32 MiB of distances at a time.


def norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=NORM_EPS)


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)


class ResnetBlock(nn.Module):
    """norm, swish, conv, norm, swish, conv, plus the input (through a 1x1 convolution where the widths differ)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = norm(in_channels)
        self.conv1 = conv3x3(in_channels, out_channels)
        self.norm2 = norm(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        alike = in_channels == out_channels
        self.nin_shortcut = nn.Identity() if alike else nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv1(F.silu(self.norm1(x), inplace=True))  # (B, out, H, W)
        h = self.conv2(F.silu(self.norm2(h), inplace=True))
        shortcut: Tensor = self.nin_shortcut(x)
        return shortcut + h


class Downsample(nn.Module):
    """Halves both sides by a strided convolution, padded by one row at the bottom and one column at the right."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))  # (B, C, H / 2, W / 2)
        return halved


class Upsample(nn.Module):
    """Doubles both sides: nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        doubled: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))  # (B, C, 2 H, 2 W)
        return doubled


def one_level(in_channels: int, out_channels: int, blocks: int, **resampling: type[nn.Module]) -> nn.Sequential:
    """The residual blocks of one resolution, then its resampling, under the name that it has in the checkpoint."""
    widths = [in_channels] + [out_channels] * blocks
    block = nn.Sequential(*(ResnetBlock(a, b) for a, b in itertools.pairwise(widths)))
    return nn.Sequential(OrderedDict(block=block, **{name: kind(out_channels) for name, kind in resampling.items()}))


def middle(channels: int) -> nn.Sequential:
    """Two residual blocks at the coarsest resolution."""
    blocks = {name: ResnetBlock(channels, channels) for name in ("block_1", "block_2")}
    return nn.Sequential(OrderedDict(blocks))


class Encoder(nn.Module):
    """Image (B, 3, H, W) in [-1, 1] -> features (B, 3, H / 4, W / 4) before `quant_conv`."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.conv_in = conv3x3(3, widths[0])
        *finer, coarsest = zip([widths[0], *widths[:-1]], widths, strict=True)
        levels = (one_level(a, b, 2, downsample=Downsample) for a, b in finer)
        self.down = nn.Sequential(*levels, one_level(*coarsest, 2))
        self.mid = middle(widths[-1])
        self.norm_out = norm(widths[-1])
        self.conv_out = conv3x3(widths[-1], LATENT_CHANNELS)

    def forward(self, image: Tensor) -> Tensor:
        x = self.mid(self.down(self.conv_in(image)))  # (B, 512, H / 4, W / 4)
        features: Tensor = self.conv_out(F.silu(self.norm_out(x), inplace=True))  # (B, 3, H / 4, W / 4)
        return features


class Decoder(nn.Module):
    """Quantised latents (B, 3, h, w) after `post_quant_conv` -> image (B, 3, 4 h, 4 w), about [-1, 1], not clamped."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.conv_in = conv3x3(LATENT_CHANNELS, widths[-1])
        self.mid = middle(widths[-1])
        # Index 0 is the finest level, as in the encoder; forward() walks them coarse to fine.
        finest, *coarser = zip([*widths[1:], widths[-1]], widths, strict=True)
        levels = (one_level(a, b, 3, upsample=Upsample) for a, b in coarser)
        self.up = nn.ModuleList([one_level(*finest, 3), *levels])
        self.norm_out = norm(widths[0])
        self.conv_out = conv3x3(widths[0], 3)

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.mid(self.conv_in(z))  # (B, 512, h, w)
        for index in reversed(range(len(self.up))):
            x = self.up[index](x)  # (B, 128, 4 h, 4 w) after the last
        image: Tensor = self.conv_out(F.silu(self.norm_out(x), inplace=True))  # (B, 3, 4 h, 4 w)
        return image


class VectorQuantizer(nn.Module):
    """Replaces each latent by the nearest entry of a learned codebook (Euclidean distance, in float32)."""

    def __init__(self, codes: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, channels)

    def nearest_codes(self, z: Tensor) -> Tensor:
        """(B, C, h, w) -> indices (B, h, w) int64. A tie goes to the smaller index."""
        batch, channels, height, width = z.shape
        rows = z.permute(0, 2, 3, 1).reshape(-1, channels).float()  # (B h w, C)
        codebook = self.embedding.weight.float()  # (codes, C)
        code_norms = codebook.square().sum(dim=1)
        nearest = [
            torch.argmin(part.square().sum(dim=1, keepdim=True) + code_norms - 2 * part @ codebook.T, dim=1)
            for part in torch.split(rows, CODE_SEARCH_ROWS)
        ]
        return torch.cat(nearest).view(batch, height, width)

    def forward(self, z: Tensor) -> Tensor:
        quantised: Tensor = self.embedding(self.nearest_codes(z))  # (B, h, w, C)
        return quantised.permute(0, 3, 1, 2)  # (B, C, h, w)


class Autoencoder(nn.Module):
    """encode() gives continuous latents, decode() quantises them first; the scale factor between the two is 1.

    `width` is the number of channels at full resolution; the two coarser levels have 2 and 4 times as many.
    """

    def __init__(self, *, width: int = 128, codes: int = 8192) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width)
        self.encoder = Encoder(widths)
        self.decoder = Decoder(widths)
        self.quantize = VectorQuantizer(codes, LATENT_CHANNELS)
        self.quant_conv = nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, kernel_size=1)
        self.post_quant_conv = nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, kernel_size=1)

    def encode(self, image: Tensor) -> Tensor:
        """Image (B, 3, H, W) in [-1, 1], sides multiples of 4 -> latents (B, 3, H / 4, W / 4), not quantised."""
        latents: Tensor = self.quant_conv(self.encoder(image))
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, 3, h, w) -> image (B, 3, 4 h, 4 w), about [-1, 1], not clamped."""
        image: Tensor = self.decoder(self.post_quant_conv(self.quantize(latents)))
        return image
