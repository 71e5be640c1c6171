"""The wireframe detector: the straight lines of a picture with a hole.

Papers    Xue et al., Holistically-Attracted Wireframe Parsing, CVPR 2020; trained on pictures with holes by Cao and Fu,
          Learning a Sketch Tensor Space for Image Inpainting of Man-made Scenes, ICCV 2021
Original  https://github.com/DQiaole/ZITS_inpainting (Apache-2.0). Modules have the published names; the code is ours.

Maps are (1, channels, height, width). What the maps say about lines is read by `lines`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 512
"""Of the square picture that the detector takes."""

MAP_SIDE = SIDE // 4
"""Of the maps in which it describes lines."""

_WIDTH = 256
_HEAD_WIDTHS = (3, 1, 1, 2, 2)
"""Channels of a head: angles, distance, its correction, junction or not, place of the junction in its cell."""

_SAMPLES = 32
"""Points of a line at which the picture's features are looked up to judge it."""
_POOLED = 4
_JUDGE_WIDTH = 1024
_MEAN = (109.730, 103.832, 98.681)
_DEVIATION = (22.275, 22.124, 23.229)
"""Of red, green and blue over the training pictures, in levels of 255."""


class WireframeDetector(nn.Module):
    """Maps that describe lines, features of the picture, and a judgement of lines by those."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = StackedHourglass()
        self.fc1 = nn.Conv2d(_WIDTH, 128, 1)
        self.fc2 = nn.Sequential(
            nn.Linear(_JUDGE_WIDTH, _JUDGE_WIDTH),
            nn.ReLU(),
            nn.Linear(_JUDGE_WIDTH, _JUDGE_WIDTH),
            nn.ReLU(),
            nn.Linear(_JUDGE_WIDTH, 1),
        )

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (1, 9, 128, 128), before any activation, and features (1, 128, 128, 128) for `judge`.

        image  (1, 3, 512, 512) RGB in [0, 1]
        mask   (1, 1, 512, 512), 1 = hole, which is grey to the network
        """
        levels = 255 * image * (1 - mask) + 127.5 * mask
        mean, deviation = (levels.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        maps, features = self.backbone((levels - mean) / deviation)
        return maps, self.fc1(features)

    def judge(self, features: Tensor, lines: Tensor) -> Tensor:
        """How likely each of (N, 4) lines (x0, y0, x1, y1) is one, from 0 to 1: (N,). In pixels of the features."""
        share = torch.linspace(0, 1, _SAMPLES, device=lines.device)[None, :, None]  # of the first end
        points = lines[:, None, :2] * share + lines[:, None, 2:] * (1 - share)  # (N, 32, 2)
        sampled = sample_at(features[0], points - 0.5)  # (128, N, 32)
        pooled = F.max_pool1d(sampled.transpose(0, 1), _POOLED)  # (N, 128, 8)
        return torch.sigmoid(self.fc2(pooled.flatten(1)))[:, 0]


def sample_at(features: Tensor, points: Tensor) -> Tensor:
    """Bilinear values of (C, h, w) features at (N, P, 2) points (x, y), where whole numbers are pixels: (C, N, P)."""
    height, width = features.shape[1:]
    x, y = points.unbind(-1)
    x0, y0 = x.floor().clamp(0, width - 1), y.floor().clamp(0, height - 1)
    x1, y1 = (x0 + 1).clamp(max=width - 1), (y0 + 1).clamp(max=height - 1)
    flat = features.flatten(1)

    def at(rows: Tensor, columns: Tensor) -> Tensor:
        return flat[:, (rows * width + columns).long()]

    return (
        at(y0, x0) * (y1 - y) * (x1 - x)
        + at(y1, x0) * (y - y0) * (x1 - x)
        + at(y0, x1) * (y1 - y) * (x - x0)
        + at(y1, x1) * (y - y0) * (x - x0)
    )


# --- backbone --------------------------------------------------------------------------------------------------------


class StackedHourglass(nn.Module):
    """Two hourglasses, the second with what the first has found; a quarter of the picture's size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Bottleneck(64, 64))
        self.layer2 = nn.Sequential(Bottleneck(128, 128))
        self.layer3 = nn.Sequential(Bottleneck(256, 128))
        self.hg = nn.ModuleList(Hourglass() for _ in range(2))
        self.res = nn.ModuleList(_block() for _ in range(2))
        self.fc = nn.ModuleList(
            nn.Sequential(nn.Conv2d(_WIDTH, _WIDTH, 1), nn.BatchNorm2d(_WIDTH), nn.ReLU()) for _ in range(2)
        )
        self.score = nn.ModuleList(Head() for _ in range(2))
        self.fc_ = nn.ModuleList([nn.Conv2d(_WIDTH, _WIDTH, 1)])
        self.score_ = nn.ModuleList([nn.Conv2d(sum(_HEAD_WIDTHS), _WIDTH, 1)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 3, H, W) -> the second head's (1, 9, H / 4, W / 4) and the features (1, 256, H / 4, W / 4) before it."""
        x = self.layer1(self.bn1(self.conv1(x)).relu_())  # (1, 128, H / 2, W / 2)
        x = self.layer3(self.layer2(F.max_pool2d(x, 2)))  # (1, 256, H / 4, W / 4)
        features = self.fc[0](self.res[0](self.hg[0](x)))
        x = x + self.fc_[0](features) + self.score_[0](self.score[0](features))
        features = self.fc[1](self.res[1](self.hg[1](x)))
        return self.score[1](features), features


class Hourglass(nn.Module):
    """Four times to half the size and back, with a block beside each step."""

    def __init__(self) -> None:
        super().__init__()
        # Of each level, the innermost first: beside it, before and after the next level, and in its place.
        self.hg = nn.ModuleList(nn.ModuleList(_block() for _ in range(3 if level else 4)) for level in range(4))

    def forward(self, x: Tensor) -> Tensor:
        return self._level(3, x)

    def _level(self, level: int, x: Tensor) -> Tensor:
        blocks = list(self.hg[level].children())
        inner = blocks[1](F.max_pool2d(x, 2))
        inner = self._level(level - 1, inner) if level else blocks[3](inner)
        out: Tensor = blocks[0](x) + F.interpolate(blocks[2](inner), scale_factor=2)
        return out


class Bottleneck(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions, each after normalisation and ReLU, to 2 * `width` channels."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 2 * width, 1)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, 2 * width, 1)) if inputs != 2 * width else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.bn1(x).relu_())
        y = self.conv2(self.bn2(y).relu_())
        y = self.conv3(self.bn3(y).relu_())
        out: Tensor = y + (x if self.downsample is None else self.downsample(x))
        return out


class Head(nn.Module):
    """What is read off the features: the nine channels of `_HEAD_WIDTHS`."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Conv2d(_WIDTH, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, width, 1))
            for width in _HEAD_WIDTHS
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([head(x) for head in self.heads], dim=1)


def _block() -> nn.Sequential:
    return nn.Sequential(Bottleneck(_WIDTH, _WIDTH // 2))
