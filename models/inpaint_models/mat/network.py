"""The generator of MAT: Mask-Aware Transformer for Large Hole Image Inpainting.

Paper     Li, Lin, Zhou, Qi, Wang, Jia, CVPR 2022, https://arxiv.org/abs/2203.15270 (boxes of figures 2 to 5 by name)
Original  https://github.com/fenglinglwb/MAT, CC BY-NC 4.0. This file was written from the paper, the published tensor
          names and shapes, and stored outputs; it holds no code of the original.
Weights   CC BY-NC 4.0 (research and personal use)

What differs from the original: names follow the paper (`checkpoint.py` maps the published ones); the two dropouts that
stay active at inference take their maps as input, so that a fill can be repeated; an image larger than the trained one
repeats the fixed noise.

Images are (B, 3, H, W) RGB in [-1, 1] with H = W a multiple of 512; `known` is (B, 1, H, W) with 1 = known, 0 = hole.
Tokens are (B, H * W, C) in row-major order with `size` = (H, W).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.stylegan import EqualizedConv2d, EqualizedLinear, MappingNetwork, Resample
from .layers import PartialConv2d, StyleConv, ToRGB

HIDDEN_LOGIT = -100.0
"""Added to the attention logit of what must not be looked at."""

Size = tuple[int, int]
OnStage = Callable[[str, Callable[[], Tensor] | None], None]
"""Told the name of the part that begins and how to get the current estimate, (B, 3, H, W), if there is one."""

STAGES = ("head", *("transformer",) * 5, "reconstruction", "refinement")
"""What `OnStage` is told during one run, in order."""


@dataclass(frozen=True, slots=True)
class StageConfig:
    """One stage of the transformer body. `resample` is how the map enters it."""

    blocks: int
    window: int
    side: int
    resample: Resample


@dataclass(frozen=True, slots=True)
class MATConfig:
    """The published 512 networks; smaller values make a network for tests.

    resolution      side of the trained image
    stages          the paper's {2, 3, 4, 3, 2} blocks with windows {8, 16, 16, 16, 8}
    mapping_layers  8 in the published checkpoints, 2 in the paper's table
    unet_widths     channels of the refinement from the full size down to 1/32 of it
    noise           whether the refinement's style convolutions carry fixed noise maps
    """

    resolution: int = 512
    channels: int = 180
    heads: int = 6
    stages: tuple[StageConfig, ...] = (
        StageConfig(2, 8, 64, "keep"),
        StageConfig(3, 16, 32, "down"),
        StageConfig(4, 16, 16, "down"),
        StageConfig(3, 16, 32, "up"),
        StageConfig(2, 8, 64, "up"),
    )
    latent_width: int = 512
    mapping_layers: int = 8
    unet_widths: tuple[int, ...] = (64, 128, 256, 512, 512, 512)
    noise: bool = True

    @property
    def head_halvings(self) -> int:
        return int(math.log2(self.resolution // self.stages[0].side))

    @property
    def token_side(self) -> int:
        """Side of the coarsest token map at the trained size: 16."""
        return min(stage.side for stage in self.stages)

    @property
    def unet_sides(self) -> tuple[int, ...]:
        """Side of the refinement's map at each level, at the trained size."""
        return tuple(self.resolution >> level for level in range(len(self.unet_widths)))

    def dropout_shapes(self, size: Size) -> tuple[tuple[int, int], tuple[int, int, int]]:
        """Shapes of the two dropout masks, without the batch axis, for an image of (H, W)."""
        tokens = math.prod(side * self.token_side // self.resolution for side in size)
        height, width = (side * self.unet_sides[-1] // self.resolution for side in size)
        return (tokens, self.channels), (self.unet_widths[-1], height, width)


class DropoutMasks(NamedTuple):
    """Where the style maps let the image's features through: 1 keeps the feature, 0 puts the style there.

    In training these are dropout masks of probability 1/2; the original leaves them random at inference.

    tokens    (B, tokens of the coarsest stage, channels)
    features  (B, C, H / 32, W / 32) for the refinement
    """

    tokens: Tensor
    features: Tensor


class MAT(nn.Module):
    """Figure 2: a coarse image by attention over what is known, then a convolutional refinement."""

    def __init__(self, config: MATConfig | None = None) -> None:
        super().__init__()
        self.config = config or MATConfig()
        self.mapping = MappingNetwork(self.config.latent_width, self.config.mapping_layers)
        self.first_stage = FirstStage(self.config)
        self.second_stage = ConvUNet(self.config)

    def forward(
        self,
        image: Tensor,
        known: Tensor,
        z: Tensor,
        dropout: DropoutMasks,
        *,
        truncation: float = 1.0,
        on_stage: OnStage = lambda name, estimate: None,
    ) -> Tensor:
        """The image with its hole filled; known pixels are the input's own.

        z           (B, latent_width) standard normal: another z, another result
        truncation  1 = as drawn; towards 0 = nearer to the mean style, less varied
        """
        style = self.mapping(z, truncation)  # (B, latent_width)
        coarse = self.first_stage(image, known, style, dropout.tokens, on_stage)
        on_stage("refinement", lambda: coarse)
        return composite(self.second_stage(coarse, image, known, style, dropout.features), image, known)


def composite(fill: Tensor, image: Tensor, known: Tensor) -> Tensor:
    """The fill in the hole, the image elsewhere."""
    return fill * (1 - known) + image * known


# --- first stage -----------------------------------------------------------------------------------------------------


class FirstStage(nn.Module):
    """Convolutional head, transformer body, style manipulation and reconstruction tail."""

    def __init__(self, config: MATConfig) -> None:
        super().__init__()
        self.head = ConvolutionalHead(config)
        self.body = TransformerBody(config)
        self.style = StyleManipulation(config)
        self.tail = ReconstructionTail(config)

    def forward(self, image: Tensor, known: Tensor, style: Tensor, dropout: Tensor, on_stage: OnStage) -> Tensor:
        """The coarse image, composited: (B, 3, H, W). `dropout` is (B, coarsest tokens, channels)."""
        on_stage("head", None)
        skips, known_after_head = self.head(torch.cat([known - 0.5, image * known], dim=1), known)
        tokens, size, styles = self.body(skips[-1], known_after_head, style, dropout, self.style, on_stage)
        on_stage("reconstruction", None)
        return composite(self.tail(to_map(tokens, size), skips, styles), image, known)


class ConvolutionalHead(nn.Module):
    """Section 3.2: partial convolutions down to an eighth of the size."""

    def __init__(self, config: MATConfig) -> None:
        super().__init__()
        width = config.channels
        shrinking = (PartialConv2d(width, width, resample="down") for _ in range(config.head_halvings))
        self.layers = nn.ModuleList([PartialConv2d(4, width), *shrinking])

    def forward(self, x: Tensor, known: Tensor | None) -> tuple[list[Tensor], Tensor]:
        """Every layer's result, largest first, and what is known of the last."""
        maps = []
        for layer in self.layers:
            x, known = layer(x, known)
            maps.append(x)
        assert known is not None
        return maps, known


class TransformerBody(nn.Module):
    """Section 3.3: five stages, down and up again, with the style entering at the coarsest."""

    def __init__(self, config: MATConfig) -> None:
        super().__init__()
        self.stages = nn.ModuleList(TransformerStage(config, stage) for stage in config.stages)

    def forward(
        self, x: Tensor, known: Tensor, style: Tensor, dropout: Tensor, manipulate: StyleManipulation, on_stage: OnStage
    ) -> tuple[Tensor, Size, Tensor]:
        """x is a map (B, C, H, W); returns tokens of the same size, their (H, W) and the tail's style.

        Only the stages before the coarsest know the hole: there attention has filled every window.
        """
        middle = len(self.stages) // 2
        size: Size = (x.shape[2], x.shape[3])
        tokens = to_tokens(x)
        known_tokens: Tensor | None = known.flatten(2).transpose(1, 2)  # (B, H * W, 1)
        skips: list[Tensor] = []
        tail_style = style
        for index, stage in enumerate(self.stages):
            on_stage("transformer", None)
            tokens, size, known_tokens = stage(tokens, size, known_tokens if index < middle else None)
            if index < middle:
                skips.append(tokens)
            elif index == middle:
                tokens, tail_style = manipulate(tokens, size, style, dropout)
            else:
                tokens = tokens + skips.pop()
        return tokens, size, tail_style


class TransformerStage(nn.Module):
    """Resample, adjusted blocks (odd ones with shifted windows), a convolution, and a skip around both."""

    def __init__(self, config: MATConfig, stage: StageConfig) -> None:
        super().__init__()
        width = config.channels
        self.side = stage.side
        self.enter = None if stage.resample == "keep" else PartialConv2d(width, width, resample=stage.resample)
        shift = stage.window // 2 if stage.side > stage.window else 0
        self.blocks = nn.ModuleList(
            AdjustedBlock(width, config.heads, window=stage.window, shift=shift if index % 2 else 0)
            for index in range(stage.blocks)
        )
        self.leave = PartialConv2d(width, width)

    def forward(self, tokens: Tensor, size: Size, known: Tensor | None) -> tuple[Tensor, Size, Tensor | None]:
        if self.enter is not None:
            tokens, size, known = through_map(self.enter, tokens, size, known)
        entered = tokens
        for block in self.blocks:
            tokens, known = block(tokens, size, known)
        tokens, size, known = through_map(self.leave, tokens, size, known)
        return tokens + entered, size, known


class AdjustedBlock(nn.Module):
    """Figure 3: no layer normalisation, and concatenation and a fully connected layer in place of residuals."""

    def __init__(self, width: int, heads: int, *, window: int, shift: int) -> None:
        super().__init__()
        self.attention = MultiHeadContextualAttention(width, heads, window=window, shift=shift)
        self.fuse = EqualizedLinear(2 * width, width, activation="leaky")
        self.expand = EqualizedLinear(width, 2 * width, activation="leaky")
        self.contract = EqualizedLinear(2 * width, width)

    def forward(self, tokens: Tensor, size: Size, known: Tensor | None) -> tuple[Tensor, Tensor | None]:
        attended, known = self.attention(tokens, size, known)
        tokens = self.fuse(torch.cat([tokens, attended], dim=-1))
        tokens = self.contract(self.expand(tokens))
        return tokens, known


class MultiHeadContextualAttention(nn.Module):
    """Section 3.3, equations 2 to 4: attention within windows, over known tokens only, which then make known.

    Queries and keys come from tokens of unit length, so that the hole's weak features do not drown; values from the
    tokens as they are. The dynamic mask update: a window with at least one known token is known as a whole afterwards.
    """

    def __init__(self, width: int, heads: int, *, window: int, shift: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.shift = shift
        self.query = EqualizedLinear(width, width)
        self.key = EqualizedLinear(width, width)
        self.value = EqualizedLinear(width, width)
        self.projection = EqualizedLinear(width, width)

    def forward(self, tokens: Tensor, size: Size, known: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """tokens (B, N, C) and known (B, N, 1) or None -> the same."""
        x = self.split(tokens, size)  # (B, windows, n, C)
        bias = self.visibility(x, size)  # (windows, n, n)
        if known is not None:
            known = self.split(known, size)  # (B, windows, n, 1)
            hidden = torch.where(known > 0, 0.0, HIDDEN_LOGIT).to(x.dtype)
            bias = bias + hidden.transpose(2, 3)  # (B, windows, n, n)
        attended = self.projection(self.attend(x, bias))
        if known is not None:
            known = self.join(known.amax(dim=2, keepdim=True).expand_as(known), size)
        return self.join(attended, size), known

    def attend(self, x: Tensor, bias: Tensor) -> Tensor:
        """softmax(q k^T / sqrt(d) + bias) v within each window: (B, windows, n, C) -> the same."""
        batch, windows, area, _ = x.shape
        bias = bias.expand(batch, windows, area, area).reshape(-1, 1, area, area)
        direction = F.normalize(x, dim=-1)
        query, key, value = (
            self.per_head(projected) for projected in (self.query(direction), self.key(direction), self.value(x))
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return attended.transpose(1, 2).reshape(x.shape)

    def per_head(self, x: Tensor) -> Tensor:
        """(B, windows, n, C) -> (B * windows, heads, n, C / heads)."""
        return x.reshape(-1, x.shape[2], self.heads, x.shape[3] // self.heads).transpose(1, 2)

    def visibility(self, x: Tensor, size: Size) -> Tensor:
        """0 where a token may look at another of its window, else `HIDDEN_LOGIT`: (windows or 1, n or 1, n or 1).

        A shifted window at the border holds tokens from both ends of the map, which are no neighbours.
        """
        return shifted_visibility(size, self.window, self.shift).to(x) if self.shift else x.new_zeros(1, 1, 1)

    def split(self, tokens: Tensor, size: Size) -> Tensor:
        """(B, N, C) -> (B, windows, n, C), after the cyclic shift."""
        return to_windows(
            torch.roll(tokens.reshape(tokens.shape[0], *size, -1), (-self.shift, -self.shift), (1, 2)), self.window
        )

    def join(self, windows: Tensor, size: Size) -> Tensor:
        """The inverse of `split`."""
        return torch.roll(from_windows(windows, size), (self.shift, self.shift), (1, 2)).flatten(1, 2)


def to_windows(grid: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B, windows, window * window, C), both in row-major order."""
    batch, height, width, channels = grid.shape
    grid = grid.reshape(batch, height // window, window, width // window, window, channels)
    return grid.transpose(2, 3).reshape(batch, -1, window * window, channels)


def from_windows(windows: Tensor, size: Size) -> Tensor:
    """The inverse of `to_windows`: (B, windows, n, C) -> (B, H, W, C)."""
    batch, _, area, channels = windows.shape
    window = math.isqrt(area)
    grid = windows.reshape(batch, size[0] // window, size[1] // window, window, window, channels)
    return grid.transpose(2, 3).reshape(batch, *size, channels)


def shifted_visibility(size: Size, window: int, shift: int) -> Tensor:
    """(windows, n, n): 0 where two tokens of a window lie side by side in the unshifted map, else `HIDDEN_LOGIT`."""
    region = torch.zeros(size)
    for axis, length in enumerate(size):
        position = torch.arange(length)
        band = (position >= length - window).long() + (position >= length - shift).long()
        region = 3 * region + (band[:, None] if axis == 0 else band[None, :])
    region = to_windows(region[None, :, :, None], window)[0]  # (windows, n, 1)
    return torch.where(region == region.transpose(1, 2), 0.0, HIDDEN_LOGIT)


class StyleManipulation(nn.Module):
    """Section 3.4: the noise's style and the image's own, and where each is used."""

    def __init__(self, config: MATConfig) -> None:
        super().__init__()
        width = config.channels
        halvings = int(math.log2(config.token_side))
        self.noise_style = EqualizedLinear(config.latent_width, width, activation="leaky")
        self.noise_map = EqualizedLinear(width, config.token_side**2, activation="leaky")
        self.shrink = nn.Sequential(*(EqualizedConv2d(width, width, resample="down") for _ in range(halvings)))
        self.image_style = EqualizedLinear(width, 2 * width, activation="leaky")

    def forward(self, tokens: Tensor, size: Size, style: Tensor, dropout: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens with the style in places, and the tail's style (B, 3 * channels)."""
        noise_style = self.noise_style(style)
        drawn = style_tokens(self.noise_map(noise_style), tokens.shape[1])
        tokens = tokens * dropout + drawn * (1 - dropout)
        pooled = self.shrink(to_map(tokens, size)).mean(dim=(2, 3))  # (B, C)
        return tokens, torch.cat([self.image_style(pooled), noise_style], dim=1)


class ReconstructionTail(nn.Module):
    """Section 3.2: up to the full size, with the head's maps as skips and the style in every convolution."""

    def __init__(self, config: MATConfig) -> None:
        super().__init__()
        width = config.channels
        self.blocks = nn.ModuleList(
            StyleBlock(width, width, style_width=3 * width, noise_size=None) for _ in range(config.head_halvings)
        )

    def forward(self, x: Tensor, skips: Sequence[Tensor], style: Tensor) -> Tensor:
        """`skips` are the head's maps, largest first, the last of x's own size. Returns RGB of the largest's size."""
        image: Tensor | None = None
        for block, skip in zip(self.blocks, reversed(skips[:-1]), strict=True):
            x, image = block(x, skip, style, image)
        assert image is not None
        return image


class StyleBlock(nn.Module):
    """Double the size, add the skip, convolve, and add this level's part of the image."""

    def __init__(self, inputs: int, outputs: int, *, style_width: int, noise_size: int | None) -> None:
        super().__init__()
        self.first = StyleConv(inputs, outputs, style_width=style_width, resample="up", noise_size=noise_size)
        self.second = StyleConv(outputs, outputs, style_width=style_width, noise_size=noise_size)
        self.to_rgb = ToRGB(outputs, style_width=style_width)

    def forward(self, x: Tensor, skip: Tensor, style: Tensor, image: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.second(self.first(x, style) + skip, style)
        return x, self.to_rgb(x, style, image)


# --- second stage ----------------------------------------------------------------------------------------------------


class ConvUNet(nn.Module):
    """Section 3.2: refines the coarse image; again the style enters at the coarsest level."""

    def __init__(self, config: MATConfig) -> None:
        super().__init__()
        widths = config.unet_widths
        bottom = widths[-1]
        self.side = config.unet_sides[-1]
        halvings = int(math.log2(self.side)) - 1
        style_width = config.latent_width + 2 * bottom
        noise = [side if config.noise else None for side in config.unet_sides]
        pairs = zip((7, *widths[:-1]), widths, strict=True)
        self.encoder = nn.ModuleList(EncoderBlock(*pair, first=level == 0) for level, pair in enumerate(pairs))
        self.noise_map = EqualizedLinear(config.latent_width, self.side**2, activation="leaky")
        self.shrink = nn.Sequential(*(EqualizedConv2d(bottom, bottom, resample="down") for _ in range(halvings)))
        self.image_style = EqualizedLinear(bottom, 2 * bottom, activation="leaky")
        self.bottom = BottomBlock(bottom, style_width=style_width, noise_size=noise[-1])
        self.decoder = nn.ModuleList(
            StyleBlock(widths[level + 1], widths[level], style_width=style_width, noise_size=noise[level])
            for level in reversed(range(len(widths) - 1))
        )

    def forward(self, coarse: Tensor, image: Tensor, known: Tensor, style: Tensor, dropout: Tensor) -> Tensor:
        """RGB, not composited: (B, 3, H, W). `dropout` is (B, C, H / 32, W / 32)."""
        x, skips, styles = self.encode(coarse, image, known, style, dropout)
        rgb: Tensor
        x, rgb = self.bottom(x, styles)
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            x, rgb = block(x, skip, styles, rgb)
        return rgb

    def encode(
        self, coarse: Tensor, image: Tensor, known: Tensor, style: Tensor, dropout: Tensor
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """The coarsest map with the style in places, the maps above it, largest first, and the decoder's style."""
        x = torch.cat([known - 0.5, coarse, image * known], dim=1)
        maps = []
        for block in self.encoder:
            x = block(x)
            maps.append(x)
        drawn = style_map(self.noise_map(style), self.side, (x.shape[2], x.shape[3]))
        x = x * dropout + drawn * (1 - dropout)
        return x, maps[:-1], torch.cat([style, self.image_style(self.shrink(x).mean(dim=(2, 3)))], dim=1)


class EncoderBlock(nn.Module):
    """Halve the size (the first block only widens), then convolve."""

    def __init__(self, inputs: int, outputs: int, *, first: bool) -> None:
        super().__init__()
        self.first = EqualizedConv2d(inputs, outputs, 1 if first else 3, resample="keep" if first else "down")
        self.second = EqualizedConv2d(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(self.first(x))
        return result


class BottomBlock(nn.Module):
    """The decoder's first block: no doubling, and its own input as the skip."""

    def __init__(self, width: int, *, style_width: int, noise_size: int | None) -> None:
        super().__init__()
        self.first = EqualizedConv2d(width, width)
        self.second = StyleConv(width, width, style_width=style_width, noise_size=noise_size)
        self.to_rgb = ToRGB(width, style_width=style_width)

    def forward(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        x = self.second(self.first(x) + x, style)
        return x, self.to_rgb(x, style, None)


# --- shared ----------------------------------------------------------------------------------------------------------


def style_map(values: Tensor, side: int, size: Size) -> Tensor:
    """(B, side * side) as one map of (B, 1, H, W); stretched when the image is larger than the trained one."""
    square = values.reshape(-1, 1, side, side)
    if size == (side, side):
        return square
    return F.interpolate(square, size, mode="bilinear", align_corners=False)


def style_tokens(values: Tensor, count: int) -> Tensor:
    """(B, trained count) -> (B, count, 1): a larger image stretches the row of tokens, as the published network does.

    Rows of the map are not aligned after that, unlike in `style_map`.
    """
    if values.shape[1] != count:
        values = F.interpolate(values[:, None], count, mode="linear", align_corners=False)[:, 0]
    return values[:, :, None]


def to_tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C)."""
    return x.flatten(2).transpose(1, 2)


def to_map(tokens: Tensor, size: Size) -> Tensor:
    """(B, H * W, C) -> (B, C, H, W)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *size)


def through_map(
    conv: PartialConv2d, tokens: Tensor, size: Size, known: Tensor | None
) -> tuple[Tensor, Size, Tensor | None]:
    """A convolution over tokens: to a map and back, `known` (B, N, 1) likewise."""
    x, known_map = conv(to_map(tokens, size), None if known is None else to_map(known, size))
    return to_tokens(x), (x.shape[2], x.shape[3]), None if known_map is None else to_tokens(known_map)
