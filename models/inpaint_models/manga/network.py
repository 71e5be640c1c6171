"""The networks of manga inpainting: screen encoder, semantic network and appearance network.

Papers    Xie, Xia, Liu, Li, Wong, Seamless Manga Inpainting with Semantics Awareness, SIGGRAPH 2021
          Xie, Li, Liu, Wong, Manga Filling Style Conversion with Screentone Variational Autoencoder, SIGGRAPH Asia 2020
          Yu et al., Generative Image Inpainting with Contextual Attention, CVPR 2018
Original  https://github.com/msxie92/MangaInpainting. Modules have the published names; the code is our own.

Maps are (1, channels, height, width), sides multiples of 16. Grey values and lines are in [-1, 1], lines black on
white; masks are 1 in the hole.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCREEN_CHANNELS = 4
"""Of the map that describes the screen tone at each pixel."""

_ATTENTION_SCALE = 10.0
_ATTENTION_EPSILON = 1e-4


class LayerNorm(nn.Module):
    """Over channels and positions, without parameters."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, correction=0)
        channels = x.shape[1:2]  # as batch normalisation, which takes maps in any order of memory
        return F.batch_norm(x, mean.expand(channels), variance.expand(channels))


class Doubling(nn.Module):
    """Bilinear, corners on corners."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class ResidualBlock(nn.Module):
    """Two convolutions with normalisation, and a shortcut around both. `dilation` is the first one's."""

    def __init__(self, width: int, padding: Literal["reflect", "replicate"], dilation: int = 1) -> None:
        super().__init__()
        pad = nn.ReflectionPad2d if padding == "reflect" else nn.ReplicationPad2d
        self.conv_block = nn.Sequential(
            pad(dilation),
            nn.Conv2d(width, width, 3, dilation=dilation),
            LayerNorm(),
            nn.ReLU(),
            pad(1),
            nn.Conv2d(width, width, 3),
            LayerNorm(),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv_block(x)
        return out


# --- screen encoder --------------------------------------------------------------------------------------------------


class ScreenEncoder(nn.Module):
    """Encoder of the ScreenVAE: the tone of each pixel as a smooth map. (1, 1, H, W) twice -> (1, 4, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *_replicated(2, 24, 7),
            *_replicated(24, 48, 3, stride=2),
            *_replicated(48, 96, 3, stride=2),
            *_replicated(96, 192, 3, stride=2),
            *(ResidualBlock(192, "replicate") for _ in range(6)),
            *_doubled(192, 96),
            *_doubled(96, 48),
            *_doubled(48, 24),
            nn.ReplicationPad2d(3),
            nn.Conv2d(24, 2 * SCREEN_CHANNELS, 7),  # the mean, and the variance for training
        )

    def forward(self, gray: Tensor, line: Tensor) -> Tensor:
        paper = torch.sign(line)  # 1 off the lines
        drawn: Tensor = self.model(torch.cat([(gray + 1 - paper).clamp(-1, 1), paper], dim=1))
        return drawn[:, :SCREEN_CHANNELS]


def _replicated(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> tuple[nn.Module, ...]:
    pad = nn.ReplicationPad2d(kernel // 2)
    return pad, nn.Conv2d(inputs, outputs, kernel, stride), LayerNorm(), nn.ReLU()


def _doubled(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        Doubling(),
        nn.Conv2d(inputs, outputs, 1),
        LayerNorm(),
        nn.ReLU(),
        *_replicated(outputs, outputs, 3),
    )


# --- semantic network ------------------------------------------------------------------------------------------------


class SemanticNetwork(nn.Module):
    """Continues screen map and lines into the hole.

    The published weights of some convolutions come with spectral normalisation, which `checkpoint` works in.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder1 = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(SCREEN_CHANNELS + 3, 64, 7), LayerNorm(), nn.ReLU()
        )
        self.encoder2 = _halved(64, 128)
        self.encoder3 = _halved(128, 256)
        self.encoder4 = _halved(256, 256)
        self.middle = nn.Sequential(*(ResidualBlock(256, "reflect", dilation=2) for _ in range(6)))
        self.decoder_scr4 = nn.Sequential(Doubling(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU())
        self.decoder_scr3 = nn.Sequential(Doubling(), nn.Conv2d(256, 128, 3, padding=1), nn.ReLU())
        self.decoder_scr2 = nn.Sequential(Doubling(), nn.Conv2d(128, 64, 3, padding=1), nn.ReLU())
        self.decoder_scr1 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(64, SCREEN_CHANNELS, 7))
        self.decoder_l4 = _unfolded(256, 256)
        self.decoder_l3 = _unfolded(256, 128)
        self.decoder_l2 = _unfolded(128, 64)
        self.decoder_l1 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(64, 1, 7))

    def forward(self, screen: Tensor, line: Tensor, mask: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The whole screen map (1, 4, H, W) and lines (1, 1, H, W), drawn anew, in [-1, 1]."""
        x1 = self.encoder1(torch.cat([screen, line, mask, noise], dim=1))  # (1, 64, H, W)
        x2 = self.encoder2(x1)  # (1, 128, H / 2, W / 2)
        x3 = self.encoder3(x2)  # (1, 256, H / 4, W / 4)
        x4 = self.encoder4(x3)  # (1, 256, H / 8, W / 8)
        x = self.middle(x4)
        drawn_screen = self.decoder_scr1(self.decoder_scr2(self.decoder_scr3(self.decoder_scr4(x))))
        x = self.decoder_l4(x + x4)
        x = self.decoder_l3(x + x3)
        x = self.decoder_l2(x + x2)
        drawn_line = self.decoder_l1(x + x1)
        return drawn_screen.clamp(-1, 1), drawn_line.clamp(-1, 1)


def _halved(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), LayerNorm(), nn.ReLU())


def _unfolded(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), LayerNorm(), nn.ReLU())


# --- appearance network ----------------------------------------------------------------------------------------------


class AppearanceNetwork(nn.Module):
    """Draws the grey page from screen map and lines, in one branch by convolution, in another by copying."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Convolved(SCREEN_CHANNELS + 4, 32, 5)
        self.conv2_downsample = Convolved(32, 32, stride=2)
        self.conv3 = Convolved(32, 64)
        self.conv4_downsample = Convolved(64, 64, stride=2)
        self.conv5 = Convolved(64, 128)
        self.conv6_downsample = Convolved(128, 128)
        self.conv7_atrous = Convolved(128, 128, dilation=2)
        self.conv8_atrous = Convolved(128, 128, dilation=4)
        self.conv9_atrous = Convolved(128, 128, dilation=8)
        self.conv10_atrous = Convolved(128, 128, dilation=16)
        self.pmconv1 = Convolved(SCREEN_CHANNELS + 4, 32, 5)
        self.pmconv2_downsample = Convolved(32, 32, stride=2)
        self.pmconv3 = Convolved(32, 64)
        self.pmconv4_downsample = Convolved(64, 128, stride=2)
        self.pmconv5 = Convolved(128, 128)
        self.pmconv6 = Convolved(128, 128, activation="relu")
        self.contextul_attention = ContextualAttention()
        self.pmconv9 = Convolved(128, 128)
        self.pmconv10 = Convolved(128, 128)
        self.allconv11 = Convolved(256, 128)
        self.allconv12 = Convolved(128, 128)
        self.allconv13 = Doubled(128, 64)
        self.allconv14 = Convolved(64, 64)
        self.allconv15 = Doubled(64, 32)
        self.allconv16 = Convolved(32, 16)
        self.allconv17 = Convolved(16, 1, 5, activation="none")

    def forward(self, gray: Tensor, screen: Tensor, line: Tensor, mask: Tensor) -> Tensor:
        """(1, 1, H, W), the whole page drawn anew, in [-1, 1]."""
        seen = torch.cat([gray * (1 - mask), screen, line, torch.ones_like(mask), mask], dim=1)  # (1, 8, H, W)
        x = self.conv5(self.conv4_downsample(self.conv3(self.conv2_downsample(self.conv1(seen)))))
        x = self.conv8_atrous(self.conv7_atrous(self.conv6_downsample(x)))
        invented = self.conv10_atrous(self.conv9_atrous(x))  # (1, 128, H / 4, W / 4)
        x = self.pmconv4_downsample(self.pmconv3(self.pmconv2_downsample(self.pmconv1(seen))))
        x = self.contextul_attention(self.pmconv6(self.pmconv5(x)), mask)
        copied = self.pmconv10(self.pmconv9(x))  # (1, 128, H / 4, W / 4)
        x = self.allconv12(self.allconv11(torch.cat([invented, copied], dim=1)))
        x = self.allconv15(self.allconv14(self.allconv13(x)))  # (1, 32, H, W)
        drawn: Tensor = self.allconv17(self.allconv16(x))
        return drawn.clamp(-1, 1)


class Convolved(nn.Module):
    """Convolution with the border repeated, and its activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        activation: Literal["elu", "relu", "none"] = "elu",
    ) -> None:
        super().__init__()
        margin = dilation * (kernel // 2)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, margin, dilation=dilation, padding_mode="replicate")
        self.activation = {"elu": nn.ELU(), "relu": nn.ReLU(), "none": nn.Identity()}[activation]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.conv(x))
        return out


class Doubled(nn.Module):
    """Transposed convolution to twice the size, and ELU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.conv(x))


class ContextualAttention(nn.Module):
    """Rebuilds a map from 4x4 patches of itself that hold nothing of the hole, by how alike 3x3 patches are.

    Works at half the map's size; N is the number of positions there, and takes memory for several N x N matrices.
    """

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (1, C, h, w) and the mask of the picture, (1, 1, 4 h, 4 w) -> (1, C, h, w)."""
        half = x[:, :, ::2, ::2]  # (1, C, h / 2, w / 2)
        size = (half.shape[2], half.shape[3])
        patches = _patches(half, 3, stride=1)  # (9 C, N)
        lengths = (patches.square() + _ATTENTION_EPSILON).sum(dim=0).sqrt()
        likeness = (patches / lengths).T @ patches  # (N of the source, N)
        likeness = _along_diagonals(_along_diagonals(likeness), size)
        usable = (_patches(mask[:, :, ::8, ::8], 3, stride=1).amax(dim=0) == 0).to(x.dtype)[:, None]  # (N, 1)
        shares = (likeness * usable).mul_(_ATTENTION_SCALE).softmax(dim=0).mul_(usable)
        pasted = _patches(x, 4, stride=2) @ shares  # (16 C, N)
        whole = F.fold(pasted[None], (x.shape[2], x.shape[3]), 4, padding=1, stride=2)
        return whole / 4  # each pixel lies in four patches


def _patches(x: Tensor, kernel: int, *, stride: int) -> Tensor:
    """(1, C, h, w) -> (C * kernel * kernel, N), row by row, with one pixel of zeros around the map."""
    return F.unfold(x, kernel, padding=1, stride=stride)[0]


def _along_diagonals(likeness: Tensor, turned: tuple[int, int] | None = None) -> Tensor:
    """Adds to each pair of positions the pairs one step before and after: what lies side by side stays together.

    turned  (height, width) of the map, to step down its columns instead of along its rows
    """
    if turned is not None:
        likeness = _transposed(likeness, turned)
    fused = likeness.clone()
    fused[1:, 1:] += likeness[:-1, :-1]
    fused[:-1, :-1] += likeness[1:, 1:]
    return fused if turned is None else _transposed(fused, (turned[1], turned[0]))


def _transposed(likeness: Tensor, size: tuple[int, int]) -> Tensor:
    """Both indices from row-major to column-major order: (N, N) -> (N, N)."""
    height, width = size
    four = likeness.reshape(height, width, height, width)
    return four.permute(1, 0, 3, 2).reshape(height * width, height * width)
