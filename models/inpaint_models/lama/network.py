"""The LaMa generator: a residual network of fast Fourier convolutions, readable form.

Paper: Suvorov et al., "Resolution-robust Large Mask Inpainting with Fourier Convolutions", WACV 2022, figure 2; the
fast Fourier convolution itself is Chi, Jiang, Mu, NeurIPS 2020. Original code: https://github.com/advimman/lama
(Apache-2.0). Published weights: big-lama (18 blocks) and lama-fourier (9 blocks), Apache-2.0.

Different from the original: only what the published models use. There is no local Fourier unit, no gating, no dropout,
and the two branches travel as a pair of tensors from the layer that splits them to the layer that joins them. Parameter
names are those of the published files below their prefix ("generator.", "model.generator.", ...).

Everything below works on float tensors in (B, C, H, W) order; H and W of the image are multiples of 8, at least 16.
This form is for reading, for gradients (`refine`) and as the reference; `inference` holds the fast one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..nn.ffc import Branches, FFCNormAct, conv3x3

GLOBAL_SHARE = 0.75
"""Share of the channels that belongs to the global branch, inside and at the end of the downsampling part."""

DOWNSAMPLINGS = 3

_FIRST_BLOCK = DOWNSAMPLINGS + 2
"""Index in the published numbering: padding, a 7x7 convolution and the downsampling layers come before the blocks."""


class FFCResNetBlock(nn.Module):
    """Two FFC layers and a shortcut around both; nothing is applied after the addition."""

    def __init__(self, local: int, global_: int) -> None:
        super().__init__()
        self.conv1 = FFCNormAct(local, global_)
        self.conv2 = FFCNormAct(local, global_)

    def forward(self, x: Branches) -> Branches:
        y = self.conv2(self.conv1(x))
        return Branches(x.local + y.local, x.global_ + y.global_)


class LocalNormAct(nn.Module):
    """Ordinary convolution, batch normalisation, ReLU: the layers before the branches part. Tensor -> tensor.

    The convolution is that of an FFC whose global share is 0 on both sides.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.ffc = nn.ModuleDict({"convl2l": convolution})
        self.bn_l = nn.BatchNorm2d(convolution.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn_l(self.ffc["convl2l"](x)))


class SplitNormAct(nn.Module):
    """The last downsampling layer, where the two branches begin. (B, C, H, W) -> branches at (H / 2, W / 2).

    Its two convolutions are those of an FFC whose global share is 0 at the entry only.
    """

    def __init__(self, in_channels: int, local: int, global_: int) -> None:
        super().__init__()
        paths = {"convl2l": conv3x3(in_channels, local, stride=2), "convl2g": conv3x3(in_channels, global_, stride=2)}
        self.ffc = nn.ModuleDict(paths)
        self.bn_l = nn.BatchNorm2d(local)
        self.bn_g = nn.BatchNorm2d(global_)

    def forward(self, x: Tensor) -> Branches:
        local, global_ = self.bn_l(self.ffc["convl2l"](x)), self.bn_g(self.ffc["convl2g"](x))
        return Branches(torch.relu(local), torch.relu(global_))


class JoinBranches(nn.Module):
    """Concatenation, local channels first."""

    def forward(self, x: Branches) -> Tensor:
        return torch.cat(x, dim=1)


class FFCResNetGenerator(nn.Module):
    """Downsampling by 8, `n_blocks` FFC residual blocks, upsampling by 8.

    Takes cat([image * (1 - mask), mask]), (B, 4, H, W) with RGB in [0, 1] and mask 1 in the hole; returns the
    prediction for the whole image, (B, 3, H, W) in (0, 1).

    big-lama is `FFCResNetGenerator()`, lama-fourier `FFCResNetGenerator(n_blocks=9)`.
    """

    def __init__(self, n_blocks: int = 18, base_channels: int = 64) -> None:
        super().__init__()
        c = base_channels
        deepest = c * 2**DOWNSAMPLINGS
        global_ = int(deepest * GLOBAL_SHARE)
        local = deepest - global_
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            LocalNormAct(nn.Conv2d(4, c, kernel_size=7, bias=False)),  # (B, 64, H, W)
            LocalNormAct(conv3x3(c, 2 * c, stride=2)),  # (B, 128, H / 2, W / 2)
            LocalNormAct(conv3x3(2 * c, 4 * c, stride=2)),  # (B, 256, H / 4, W / 4)
            SplitNormAct(4 * c, local, global_),  # (B, 128 | 384, H / 8, W / 8)
            *(FFCResNetBlock(local, global_) for _ in range(n_blocks)),
            JoinBranches(),  # (B, 512, H / 8, W / 8)
            *_upsampling(8 * c, 4 * c),  # (B, 256, H / 4, W / 4)
            *_upsampling(4 * c, 2 * c),
            *_upsampling(2 * c, c),  # (B, 64, H, W)
            nn.ReflectionPad2d(3),
            nn.Conv2d(c, 3, kernel_size=7),
            nn.Sigmoid(),
        )
        self.n_blocks = n_blocks

    def front(self, x: Tensor) -> Branches:
        """The downsampling part, (B, 4, H, W) to features at an eighth of the size."""
        features: Branches = self.model[:_FIRST_BLOCK](x)
        return features

    def block(self, index: int, features: Branches) -> Branches:
        """Residual block number `index`, counted from 0."""
        out: Branches = self.model[_FIRST_BLOCK + index](features)
        return out

    def upsample(self, features: Branches) -> Tensor:
        """The upsampling part, features to the prediction (B, 3, H, W)."""
        predicted: Tensor = self.model[_FIRST_BLOCK + self.n_blocks :](features)
        return predicted

    def forward(self, x: Tensor) -> Tensor:
        features = self.front(x)
        for index in range(self.n_blocks):
            features = self.block(index, features)
        return self.upsample(features)


def masked_input(image: Tensor, mask: Tensor) -> Tensor:
    """What the generator is fed: (B, 3, H, W) RGB in [0, 1], blanked where the mask (B, 1, H, W) is 1, and the mask."""
    return torch.cat([image * (1 - mask), mask], dim=1)  # (B, 4, H, W)


def _upsampling(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    """Doubles H and W."""
    return (
        nn.ConvTranspose2d(in_channels, out_channels, kernel_size=3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
