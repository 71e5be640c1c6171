"""Fast Fourier convolution as LaMa and ZITS have it, with normalisation: the readable form.

Paper: Chi, Jiang, Mu, "Fast Fourier Convolution", NeurIPS 2020, without the local Fourier unit. Parameter names are
those of the published files of both.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .fourier import in_frequencies


class Branches(NamedTuple):
    """Features of the local and the global branch, at the same resolution: (B, C / 4, H, W) and (B, 3 C / 4, H, W).

    X^l and X^g in the paper; "global" alone is a keyword of Python.
    """

    local: Tensor
    global_: Tensor


class FourierUnit(nn.Module):
    """A 1x1 convolution in the frequency domain: each of its outputs sees the whole image. (B, C, H, W) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, kernel_size=1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        return in_frequencies(x, lambda parts: torch.relu(self.bn(self.conv_layer(parts))))


class SpectralTransform(nn.Module):
    """Global to global: reduce, add what the Fourier unit sees, expand. (B, I, H, W) -> (B, O, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = out_channels // 2
        self.conv1 = nn.Sequential(
            nn.Conv2d(in_channels, hidden, kernel_size=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
        )
        self.fu = FourierUnit(hidden)
        self.conv2 = nn.Conv2d(hidden, out_channels, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)  # (B, O / 2, H, W)
        out: Tensor = self.conv2(x + self.fu(x))  # (B, O, H, W)
        return out


class FFC(nn.Module):
    """Fast Fourier convolution: two branches, four paths; only the path global to global leaves the neighbourhood."""

    def __init__(self, local: int, global_: int) -> None:
        super().__init__()
        self.convl2l = conv3x3(local, local)
        self.convl2g = conv3x3(local, global_)
        self.convg2l = conv3x3(global_, local)
        self.convg2g = SpectralTransform(global_, global_)

    def forward(self, x: Branches) -> Branches:
        return Branches(
            local=self.convl2l(x.local) + self.convg2l(x.global_),
            global_=self.convl2g(x.local) + self.convg2g(x.global_),
        )


class FFCNormAct(nn.Module):
    """FFC, then batch normalisation and ReLU of each branch."""

    def __init__(self, local: int, global_: int) -> None:
        super().__init__()
        self.ffc = FFC(local, global_)
        self.bn_l = nn.BatchNorm2d(local)
        self.bn_g = nn.BatchNorm2d(global_)

    def forward(self, x: Branches) -> Branches:
        x = self.ffc(x)
        return Branches(torch.relu(self.bn_l(x.local)), torch.relu(self.bn_g(x.global_)))


def conv3x3(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Conv2d:
    """The border reflected, without bias."""
    return nn.Conv2d(
        in_channels, out_channels, kernel_size=3, stride=stride, padding=1, padding_mode="reflect", bias=False
    )
