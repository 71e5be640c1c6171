"""The form of MAT that fills: the same function of the same weights as `network.MAT`, faster.

Four things differ. Gains are folded into weights and biases (a leaky ReLU is homogeneous, so its sqrt(2) goes in front
of it), which leaves one convolution and one activation in place where the readable form makes four maps. Filters take
their padding and bias along. Maps are channels_last where that is safe, and in float32 on processors the wide 3x3
convolutions go through `winograd`. And both decoders work only where the hole is: everything in them is local, so each
block runs on a window around the hole, with a margin that its borders' zeros cannot cross.

For networks without fixed noise, as the published files are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.stylegan import LEAKY_GAIN, LEAKY_SLOPE, transposed, upsample
from ..nn.stylegan_inference import Convolver, fold
from ..nn.windows import cut, hole_box, shrunk
from ..types import Box
from .layers import StyleConv, ToRGB
from .network import MAT, ConvUNet, DropoutMasks, FirstStage, OnStage, composite, to_map

WINDOW_MARGIN = 4
"""Pixels of a block's input around the hole; 3 is the least. A block's result is wrong for up to 3 pixels from a
window's border, at twice the input's size: 2 by the transposed convolution with its filter, 1 by the second
convolution. It must be right for `WINDOW_MARGIN` of the 2 * `WINDOW_MARGIN` pixels that it has there."""


class InferenceMAT(nn.Module):
    """Built from a network, which it takes over: do not use that any more."""

    def __init__(self, network: MAT) -> None:
        super().__init__()
        if network.config.noise:
            raise ValueError("The inference form has no fixed noise. Build the network with MATConfig(noise=False).")
        self.config = network.config
        fold(network, Convolver(), {StyleConv: FoldedStyleConv, ToRGB: FoldedToRGB})
        self.network = network

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
        """As `network.MAT`; every image has a hole. A z or a mask for one image serves all of a batch."""
        network = self.network
        windows = [hole_box(known[index : index + 1]) for index in range(len(known))]
        style = network.mapping(z, truncation).expand(len(image), -1)  # (B, latent_width)
        coarse = coarse_image(network.first_stage, image, known, style, dropout.tokens, windows, on_stage)
        on_stage("refinement", lambda: coarse)
        return refined_image(network.second_stage, coarse, image, known, style, dropout.features, windows)


def coarse_image(
    stage: FirstStage,
    image: Tensor,
    known: Tensor,
    style: Tensor,
    dropout: Tensor,
    windows: Sequence[Box],
    on_stage: OnStage,
) -> Tensor:
    """`FirstStage.forward` with a windowed tail."""
    on_stage("head", None)
    skips, known_after_head = stage.head(torch.cat([known - 0.5, image * known], dim=1), known)  # (B, C, H, W) to H / 8
    tokens, size, styles = stage.body(skips.pop(), known_after_head, style, dropout, stage.style, on_stage)
    x = to_map(tokens, size)  # (B, C, H / 8, W / 8)
    on_stage("reconstruction", None)
    fills = [decode(stage.tail.blocks, *one, None) for one in one_by_one(x, skips, styles, windows)]
    return paste(fills, image, known)


def refined_image(
    stage: ConvUNet,
    coarse: Tensor,
    image: Tensor,
    known: Tensor,
    style: Tensor,
    dropout: Tensor,
    windows: Sequence[Box],
) -> Tensor:
    """`ConvUNet.forward` with a windowed decoder, composited."""
    bottom, skips, styles = stage.encode(coarse, image, known, style, dropout)  # (B, 512, H / 32, W / 32)
    fills = []
    for x, above, styles_of_one, window in one_by_one(bottom, skips, styles, windows):
        x, rgb = stage.bottom(x, styles_of_one)  # (1, 512, H / 32, W / 32), (1, 3, H / 32, W / 32)
        fills.append(decode(stage.decoder, x, above, styles_of_one, window, rgb))
    return paste(fills, image, known)


def one_by_one(
    x: Tensor, skips: list[Tensor], styles: Tensor, windows: Sequence[Box]
) -> list[tuple[Tensor, list[Tensor], Tensor, Box]]:
    """A batch as batches of one: a style is worked into the weights, which are then those of one image only.

    Empties `skips`, so that what a decoder has used up is freed.
    """
    ones = [slice(index, index + 1) for index in range(len(windows))]
    split = [
        (x[one], [skip[one] for skip in skips], styles[one], window) for one, window in zip(ones, windows, strict=True)
    ]
    skips.clear()
    return split


def decode(
    blocks: nn.ModuleList, x: Tensor, skips: list[Tensor], style: Tensor, target: Box, image: Tensor | None
) -> tuple[Tensor, Box]:
    """Style blocks, each only as far as `target` of the full-size result needs it. Uses up `skips`, largest first.

    Returns RGB and the window of the full-size image that it covers; it is right inside `target`.
    """
    outer = Box(0, 0, x.shape[3], x.shape[2])  # what x covers of its level's map
    for index, block in enumerate(blocks):
        skip = skips.pop()  # (1, C, 2 h, 2 w), of twice the size of this level's (h, w)
        inner = shrunk(target, 2 ** (len(blocks) - index), WINDOW_MARGIN, skip.shape[2] // 2, skip.shape[3] // 2)
        part = inner.shifted(-outer.x0, -outer.y0)
        rgb = None if image is None else cut(image, part)  # (1, 3, inner), and twice that after the block
        x, image = block(cut(x, part), cut(skip, inner.times(2)), style, rgb)  # (1, C', 2 inner), (1, 3, 2 inner)
        outer = inner.times(2)
    assert image is not None
    return image, outer


def paste(fills: Sequence[tuple[Tensor, Box]], image: Tensor, known: Tensor) -> Tensor:
    """The images of a batch with their holes filled, each from its (1, 3, h, w) fill and the place of that."""
    out = image.clone()
    for index, (fill, place) in enumerate(fills):
        one = slice(index, index + 1)
        cut(out[one], place).copy_(composite(fill, cut(image[one], place), cut(known[one], place)))
    return out


# --- folded layers ---------------------------------------------------------------------------------------------------


class FoldedStyleConv(nn.Module):
    """`StyleConv` without noise, for one style: its modulated weights are those of an ordinary convolution."""

    def __init__(self, layer: StyleConv, convolver: Convolver) -> None:
        super().__init__()
        self.convolver = convolver
        self.conv = layer.conv
        self.register_buffer("bias", layer.bias.detach() * LEAKY_GAIN)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.conv.modulated_weight(style)[0] * LEAKY_GAIN  # (out, in, 3, 3), from a style of (1, width)
        weight = transposed(weight) if self.conv.resample == "up" else weight
        return F.leaky_relu_(self.convolver(x, weight, self.get_buffer("bias"), self.conv.resample), LEAKY_SLOPE)


class FoldedToRGB(nn.Module):
    """`ToRGB` for one style."""

    def __init__(self, layer: ToRGB, convolver: Convolver) -> None:
        super().__init__()
        self.convolver = convolver
        self.conv = layer.conv
        self.register_buffer("bias", layer.bias.detach())

    def forward(self, x: Tensor, style: Tensor, image: Tensor | None) -> Tensor:
        weight = self.conv.modulated_weight(style)[0]  # (3, in, 1, 1)
        rgb = self.convolver(x, weight, self.get_buffer("bias"), "keep")  # (1, 3, h, w)
        return rgb if image is None else rgb + upsample(image)
