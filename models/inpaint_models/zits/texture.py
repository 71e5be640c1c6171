"""The texture network of ZITS: LaMa's layout with 9 blocks, told of edges, lines and positions by a structure encoder.

Paper     Dong, Cao, Fu, Incremental Transformer Structure Enhanced Image Inpainting with Masking Positional Encoding,
          CVPR 2022
Original  https://github.com/DQiaole/ZITS_inpainting (Apache-2.0). Modules have the published names; the code is ours.

Maps are (1, channels, height, width), sides multiples of 8; masks are 1 in the hole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..nn.ffc import Branches, FFCNormAct

BLOCKS = 9
_GLOBAL_SHARE = 0.75
_DISTANCES = 128
_DIRECTIONS = 4


class Guidance(NamedTuple):
    """What the structure encoder tells the texture network.

    features   at an eighth, a quarter, a half and the whole of the size; 512, 256, 128 and 64 channels
    positions  (1, 64, H, W), in place of what the first convolution would see of the hole
    """

    features: tuple[Tensor, ...]
    positions: Tensor


# --- structure encoder -----------------------------------------------------------------------------------------------


class StructureEncoder(nn.Module):
    """Edges, lines and positions to features."""

    def __init__(self) -> None:
        super().__init__()
        for index in range(1, 7):
            self.register_parameter(f"alpha{index}", nn.Parameter(torch.zeros(())))
        self.conv1 = GatedConv(nn.Conv2d(3, 128, 7, padding=3, padding_mode="reflect"))
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = GatedConv(nn.Conv2d(64, 256, 4, stride=2, padding=1))
        self.bn2 = nn.BatchNorm2d(128)
        self.conv3 = nn.Conv2d(128, 256, 4, stride=2, padding=1)
        self.bn3 = nn.BatchNorm2d(256)
        self.conv4 = nn.Conv2d(256, 512, 4, stride=2, padding=1)
        self.bn4 = nn.BatchNorm2d(512)
        self.middle = nn.Sequential(*(ResidualBlock(512) for _ in range(3)))
        self.convt1 = GatedConv(nn.ConvTranspose2d(512, 512, 4, stride=2, padding=1))
        self.bnt1 = nn.BatchNorm2d(256)
        self.convt2 = GatedConv(nn.ConvTranspose2d(256, 256, 4, stride=2, padding=1))
        self.bnt2 = nn.BatchNorm2d(128)
        self.convt3 = GatedConv(nn.ConvTranspose2d(128, 128, 4, stride=2, padding=1))
        self.bnt3 = nn.BatchNorm2d(64)
        self.rel_pos_emb = nn.Embedding(_DISTANCES, 64)
        self.direct_emb = DirectionEmbedding()

    def forward(self, edge: Tensor, line: Tensor, mask: Tensor, distance: Tensor, direction: Tensor) -> Guidance:
        """edge, line, mask  (1, 1, H, W)
        distance          (1, H, W), whole numbers, and
        direction         (1, H, W, 4): see `positions.Positions`
        """
        x = torch.cat([edge, line, mask], dim=1)
        for conv, norm in (
            (self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3), (self.conv4, self.bn4),
        ):  # fmt: skip
            x = norm(conv(x)).relu_()
        features = [self.middle(x)]  # (1, 512, H / 8, W / 8)
        for conv, norm in ((self.convt1, self.bnt1), (self.convt2, self.bnt2), (self.convt3, self.bnt3)):
            features.append(norm(conv(features[-1])).relu_())
        distances, directions = self.rel_pos_emb(distance), self.direct_emb(direction)  # (1, H, W, 64)
        weights = [self.get_parameter(f"alpha{index}") for index in range(1, 7)]
        for part, weight in zip([*features, distances, directions], weights, strict=True):
            part.mul_(weight)
        return Guidance(tuple(features), (distances + directions).permute(0, 3, 1, 2))


class GatedConv(nn.Module):
    """A convolution of which one half of the channels lets the other through (Yu et al., ICCV 2019)."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.gate_conv = conv

    def forward(self, x: Tensor) -> Tensor:
        values, gate = self.gate_conv(x).chunk(2, dim=1)
        out: Tensor = values * torch.sigmoid(gate)
        return out


class ResidualBlock(nn.Module):
    """Two convolutions with the border reflected, the first over a wider neighbourhood, and a shortcut around both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(width, width, 3, dilation=2))
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3))
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))
        return out


class DirectionEmbedding(nn.Module):
    """The sum of the vectors of those directions in which something is known. (1, H, W, 4) -> (1, H, W, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(_DIRECTIONS, 64))

    def forward(self, direction: Tensor) -> Tensor:
        return direction.to(self.weight.dtype) @ self.weight


# --- texture network -------------------------------------------------------------------------------------------------


class TextureNetwork(nn.Module):
    """Draws the picture, with the structure encoder's features added before each step down and before the blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 64, 7, padding=3, padding_mode="reflect")
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 128, 3, stride=2, padding=1)
        self.bn2 = nn.BatchNorm2d(128)
        self.conv3 = nn.Conv2d(128, 256, 3, stride=2, padding=1)
        self.bn3 = nn.BatchNorm2d(256)
        self.conv4 = nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.bn4 = nn.BatchNorm2d(512)
        self.middle = nn.Sequential(*(FFCBlock(512) for _ in range(BLOCKS)))
        self.convt1 = nn.ConvTranspose2d(512, 256, 3, stride=2, padding=1, output_padding=1)
        self.bnt1 = nn.BatchNorm2d(256)
        self.convt2 = nn.ConvTranspose2d(256, 128, 3, stride=2, padding=1, output_padding=1)
        self.bnt2 = nn.BatchNorm2d(128)
        self.convt3 = nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1)
        self.bnt3 = nn.BatchNorm2d(64)
        self.convt4 = nn.Conv2d(64, 3, 7, padding=3, padding_mode="reflect")

    def forward(
        self, image: Tensor, mask: Tensor, guidance: Guidance, on_block: Callable[[], None] = lambda: None
    ) -> Tensor:
        """The whole picture drawn anew, (1, 3, H, W) in (0, 1).

        image     (1, 3, H, W) RGB in [0, 1]
        on_block  called before each of `BLOCKS` blocks
        """
        x = torch.cat([image * (1 - mask), mask], dim=1)
        x = self.bn1(self.conv1(x) + guidance.positions).relu_()  # (1, 64, H, W)
        eighth, quarter, half, whole = guidance.features
        x = self.bn2(self.conv2(x + whole)).relu_()  # (1, 128, H / 2, W / 2)
        x = self.bn3(self.conv3(x + half)).relu_()  # (1, 256, H / 4, W / 4)
        x = self.bn4(self.conv4(x + quarter)).relu_() + eighth  # (1, 512, H / 8, W / 8)
        for block in self.middle:
            on_block()
            x = block(x)
        x = self.bnt1(self.convt1(x)).relu_()
        x = self.bnt2(self.convt2(x)).relu_()
        x = self.bnt3(self.convt3(x)).relu_()  # (1, 64, H, W)
        return (torch.tanh(self.convt4(x)) + 1) / 2


class FFCBlock(nn.Module):
    """Two fast Fourier convolutions and a shortcut around both, of a map whose first quarter is the local branch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = [width - int(_GLOBAL_SHARE * width), int(_GLOBAL_SHARE * width)]
        self.ffc1 = FFCNormAct(*self.sizes)
        self.ffc2 = FFCNormAct(*self.sizes)

    def forward(self, x: Tensor) -> Tensor:
        branches = self.ffc2(self.ffc1(Branches(*x.split(self.sizes, dim=1))))
        return x + torch.cat(branches, dim=1)
