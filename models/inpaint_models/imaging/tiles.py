"""A large image in tiles that see some of their surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ..types import Box


@dataclass(frozen=True, slots=True)
class Tile:
    """Owned parts are disjoint and cover the image; `seen` is the owned part with a margin."""

    own: Box
    seen: Box

    def owns(self, x: float, y: float) -> bool:
        """Whether a place of `seen` belongs to the owned part."""
        x, y = x + self.seen.x0, y + self.seen.y0
        return self.own.x0 <= x < self.own.x1 and self.own.y0 <= y < self.own.y1


def tiles_of(height: int, width: int, side_px: int, margin_px: int) -> list[Tile]:
    """Tiles of about that size, row by row."""
    rows, columns = -(-height // side_px), -(-width // side_px)
    edges_y = [row * height // rows for row in range(rows + 1)]
    edges_x = [column * width // columns for column in range(columns + 1)]
    boxes = [Box(x0, y0, x1, y1) for y0, y1 in pairwise(edges_y) for x0, x1 in pairwise(edges_x)]
    return [Tile(box, box.grown(margin_px).clipped(height, width)) for box in boxes]
