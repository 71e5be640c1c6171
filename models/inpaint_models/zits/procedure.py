"""From a picture with a hole to a fill: known edges and lines, both continued into the hole, enlarged, and texture."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import lines, positions, structure, wireframe
from .sketch import canny, drawn_lines
from .structure import EdgeLineTransformer, StructureUpsampler
from .texture import StructureEncoder, TextureNetwork
from .wireframe import WireframeDetector

PASSES = 5
"""Of the original."""

LIKELY_LINE = 0.85
"""Lines that score less are not drawn."""

_LUMA = (0.2125, 0.7154, 0.0721)
"""Shares of red, green and blue in grey (ITU-R BT.709), as scikit-image has them."""
_EDGE_FROM = 0.25
_LINE_OFFSET, _LINE_GAIN = 0.05, 4.0


class Networks(NamedTuple):
    wireframe: WireframeDetector
    transformer: EdgeLineTransformer
    upsampler: StructureUpsampler
    encoder: StructureEncoder
    texture: TextureNetwork


class Structure(NamedTuple):
    """Maps of edges and of lines, (1, 1, h, w) in [0, 1]."""

    edge: Tensor
    line: Tensor


OnStep = Callable[[str, Structure | None], None]
"""Told the stage of the step that begins, and the structure once it is inferred."""


def fill_picture(
    networks: Networks,
    image: Tensor,
    mask: Tensor,
    *,
    wireframe: bool = True,
    passes: int = PASSES,
    dtype: torch.dtype = torch.float32,
    on_step: OnStep,
) -> Tensor:
    """The picture drawn anew, (1, 3, H, W) in (0, 1); only its hole is of use.

    image      (1, 3, H, W) RGB in [0, 1], H = W a multiple of 32, at least 256
    mask       (1, 1, H, W), 1 = hole
    wireframe  infer edges and lines; without them the hole is filled by texture alone
    passes     in which the transformer fills the hole, the surest pixels first
    dtype      of what follows the transformer
    """
    shown, found = None, Structure(torch.zeros_like(mask), torch.zeros_like(mask))
    if wireframe:
        shown = found = inferred_structure(networks, image, mask, passes, on_step)
    with torch.autocast(mask.device.type, dtype, enabled=dtype != torch.float32):
        while shown is not None and found.edge.shape[-1] < image.shape[-1]:
            on_step("enlarging", found)
            found = Structure(*map(networks.upsampler, found))
        on_step("guiding", shown)
        size = image.shape[2:]
        edge, line = (F.interpolate(x.float(), size, mode="bilinear", align_corners=False) for x in found)
        distance, direction = (torch.from_numpy(values)[None].to(mask.device) for values in positions_of(mask))
        guidance = networks.encoder(edge, line, mask, distance.long(), direction)
        filled: Tensor = networks.texture(image, mask, guidance, lambda: on_step("filling", shown))
    return filled.float()


def inferred_structure(networks: Networks, image: Tensor, mask: Tensor, passes: int, on_step: OnStep) -> Structure:
    """Edges and lines of the whole picture, the hole included, at 256 pixels."""
    on_step("lines", None)
    small, hole = resized(image, structure.SIDE), shrunk_mask(mask, structure.SIDE)
    known = Structure(known_edges(small), known_lines(networks.wireframe, image, mask))
    return continued(networks.transformer, small, known, hole, passes, lambda: on_step("structure", None))


def enlargements(side: int) -> int:
    """How often the structure is enlarged for a picture of that side."""
    return max(0, (side - 1) // structure.SIDE).bit_length()


def known_edges(image: Tensor) -> Tensor:
    """(1, 1, h, w), 0 or 1: the edges of a picture in [0, 1], of its hole too."""
    gray = np.tensordot(_LUMA, image[0].cpu().double().numpy(), 1)
    return torch.from_numpy(canny(gray))[None, None].to(image)


def known_lines(network: WireframeDetector, image: Tensor, mask: Tensor) -> Tensor:
    """(1, 1, 256, 256) in [0, 1]: the lines of a picture whose hole the detector does not see."""
    side = wireframe.SIDE
    found = lines.detect(network, resized(image, side), shrunk_mask(mask, side))
    likely = found.ends[found.scores > LIKELY_LINE] * (structure.SIDE / wireframe.MAP_SIDE)
    return torch.from_numpy(drawn_lines(likely.numpy(), structure.SIDE))[None, None].to(image)


def continued(
    network: EdgeLineTransformer,
    image: Tensor,
    known: Structure,
    hole: Tensor,
    passes: int,
    on_pass: Callable[[], None] = lambda: None,
) -> Structure:
    """Edges and lines with their hole filled in; each pass keeps what it is surest of for the next.

    image  (1, 3, 256, 256) RGB in [0, 1]
    hole   (1, 1, 256, 256)
    """
    edge, line = (x * (1 - hole) for x in known)
    left = hole
    for done in range(passes):
        on_pass()
        edge_logits, line_logits = network((image * 2 - 1) * (1 - hole), edge, line, left)
        edges, lines = torch.sigmoid(edge_logits), torch.sigmoid((line_logits + _LINE_OFFSET) * _LINE_GAIN)
        edge, line = (edge + edges * left >= _EDGE_FROM).to(edge), line + lines * left
        sure = torch.maximum(1 - edges, edges + 0.5) + torch.maximum(1 - lines, lines + 0.5)
        order = (sure - 200 * (1 - left)).flatten().argsort(descending=True, stable=True)
        left = left.flatten().index_fill(0, order[: int((done + 1) / passes * float(left.sum()))], 0).view_as(hole)
        edge, line = edge * (1 - left), line * (1 - left)
    return Structure(edge, line)


def positions_of(mask: Tensor) -> positions.Positions:
    small, whole = (x[0, 0].cpu().numpy() > 0 for x in (shrunk_mask(mask, positions.SIDE), mask))
    return positions.masked_positions(small, whole)


# Both shrink on the processor: on MPS torch pools wrongly, or not at all, where one size is no multiple of the other
# (https://github.com/pytorch/pytorch/issues/190064).


def resized(image: Tensor, side: int) -> Tensor:
    """(1, 3, side, side); averages where it shrinks."""
    if image.shape[-1] > side:
        return F.interpolate(image.cpu(), (side, side), mode="area").to(image.device)
    return F.interpolate(image, (side, side), mode="bilinear", align_corners=False)


def shrunk_mask(mask: Tensor, side: int) -> Tensor:
    """(1, 1, side, side): hole where any of the pixels under a pixel is; the same where it enlarges."""
    return F.adaptive_max_pool2d(mask.cpu(), side).to(mask.device)
