"""The line extractor: structural lines of a manga page, without its screen tone.

Paper     Li, Liu, Wong, Deep Extraction of Manga Structural Lines, SIGGRAPH 2017
Original  https://github.com/ljsabc/MangaLineExtraction_PyTorch (MIT). Modules have the published names.

Maps are (batch, channels, height, width); sides are multiples of 16.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Change = Literal["keep", "down", "up"]

_NORM_EPSILON = 1e-3
_SLOPE = 0.2


class LineExtractor(nn.Module):
    """A U-Net of pre-activated residual blocks, down to a sixteenth of the size.

    (B, 1, H, W) grey in [0, 255] -> (B, 1, H, W), black lines on white, about [0, 255] and not clamped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.block0 = Stack(1, 24, 2)
        self.block1 = Stack(24, 48, 3, "down")
        self.block2 = Stack(48, 96, 5, "down")
        self.block3 = Stack(96, 192, 7, "down")
        self.block4 = Stack(192, 384, 12, "down")
        self.block5 = Stack(384, 192, 7, "up")
        self.block6 = Stack(192, 96, 5, "up")
        self.block7 = Stack(96, 48, 3, "up")
        self.block8 = Stack(48, 24, 2, "up")
        self.block9 = Stack(24, 16, 2)
        self.conv15 = Unit(16, 1, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for stack in (self.block0, self.block1, self.block2, self.block3):
            x = stack(x)
            skips.append(x)
        x = self.block4(x)
        for stack in (self.block5, self.block6, self.block7, self.block8):
            x = stack(x) + skips.pop()
        lines: Tensor = self.conv15(self.block9(x))
        return lines


class Stack(nn.Module):
    """Residual blocks of one width. The last halves the size, or the first doubles it."""

    def __init__(self, inputs: int, outputs: int, blocks: int, change: Change = "keep") -> None:
        super().__init__()
        changes: list[Change] = ["keep"] * blocks
        if change != "keep":
            changes[0 if change == "up" else -1] = change
        self.model = nn.Sequential(*(Block(outputs if i else inputs, outputs, changes[i]) for i in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out


class Block(nn.Module):
    """Two units and a shortcut around both."""

    def __init__(self, inputs: int, outputs: int, change: Change) -> None:
        super().__init__()
        stride = 2 if change == "down" else 1
        self.doubles = change == "up"
        self.conv1 = Unit(inputs, outputs, stride=stride)
        self.residual = Unit(outputs, outputs)
        changed = inputs != outputs or change != "keep"
        self.shortcut = Shortcut(inputs, outputs, stride) if changed else None

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.shortcut is None else self.shortcut(x)
        x = self.conv1(x)
        if self.doubles:
            x, beside = F.interpolate(x, scale_factor=2), F.interpolate(beside, scale_factor=2)
        out: Tensor = self.residual(x) + beside
        return out


class Unit(nn.Module):
    """Batch normalisation, leaky ReLU, convolution."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.BatchNorm2d(inputs, eps=_NORM_EPSILON),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out


class Shortcut(nn.Module):
    """A plain 1x1 convolution, for blocks that change width or size."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out
