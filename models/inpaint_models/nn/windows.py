"""Parts of maps, as boxes of rows and columns: decoders work only around the hole, because all in them is local."""

from __future__ import annotations

from torch import Tensor

from ..types import Box, tight_box


def cut(x: Tensor, part: Box) -> Tensor:
    return x[..., part.y0 : part.y1, part.x0 : part.x1]


def shrunk(part: Box, scale: int, margin: int, height: int, width: int) -> Box:
    """What covers it on a map that is `scale` times smaller and (height, width) large, grown by a margin."""
    x0, y0, x1, y1 = part
    return Box(x0 // scale, y0 // scale, -(-x1 // scale), -(-y1 // scale)).grown(margin).clipped(height, width)


def hole_box(known: Tensor) -> Box:
    """The smallest box around all pixels that are not known; `known` is (1, 1, H, W) with at least one such."""
    box = tight_box((known[0, 0] < 1).cpu().numpy())
    assert box is not None, "every image has a hole"
    return box
