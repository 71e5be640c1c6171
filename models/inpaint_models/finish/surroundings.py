"""What there is to measure in a fill and in the ring around its hole, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

from ..types import AnyImage, Box, FloatImage, HoleMask
from .bands import MEASURES, Plane, filtered
from .cells import Cells, cells, inside

RING_PX = 32
"""How far from the hole the photo is looked at."""

MARGIN_PX = 64
"""What is around a part of a hole, for the ring of the parts beside it too."""

TILE_PX = 1024
"""A multiple of the cells' sides: a part of any size is worked on in so much memory."""

_MOST_VALUES = 20_000


@dataclass(frozen=True, slots=True)
class Frame:
    """A part of a hole and what is around it; all boxes are in this frame.

    pixels  (H, W, 3 or 4) the photo
    hole    (H, W) all of what is not the photo
    fill    (part.height, part.width, 3) in [0, 1]
    """

    pixels: AnyImage
    hole: HoleMask
    fill: FloatImage
    part: Box

    @property
    def scale(self) -> float:
        """Levels of 255 for each of the photo's own."""
        return 255 / int(np.iinfo(self.pixels.dtype).max)

    def tiles(self) -> Iterator[Box]:
        """Boxes that cover the frame."""
        height, width = self.hole.shape
        for y in range(0, height, TILE_PX):
            for x in range(0, width, TILE_PX):
                yield Box(x, y, x + TILE_PX, y + TILE_PX).clipped(height, width)

    def photo(self, tile: Box) -> Plane:
        """(H, W, 3), levels of 255."""
        return np.asarray(self.pixels[tile.slices][..., :3] * np.float32(self.scale), np.float32)

    def ring(self, tile: Box) -> HoleMask:
        """(H, W) known pixels near the hole; what is fully transparent is no picture."""
        reach = tile.grown(RING_PX).clipped(*self.hole.shape)
        outside = (~self.hole[reach.slices]).astype(np.uint8)
        distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_5)
        near = np.asarray(distance[tile.shifted(-reach.x0, -reach.y0).slices])
        ring = (near > 0) & (near <= RING_PX)
        return ring & (self.pixels[tile.slices][..., 3] > 0) if self.pixels.shape[2] == 4 else ring

    def filled(self, tile: Box) -> tuple[Plane, HoleMask]:
        """(H, W, 3) the part's fill, levels of 255, and (H, W) where it is."""
        levels, where = np.zeros((tile.height, tile.width, 3), np.float32), np.zeros((tile.height, tile.width), bool)
        shared = tile.intersection(self.part)
        if shared.area:
            inner = shared.shifted(-tile.x0, -tile.y0).slices
            levels[inner] = self.fill[shared.shifted(-self.part.x0, -self.part.y0).slices] * np.float32(255)
            where[inner] = self.hole[shared.slices]
        return levels, where


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in a tile.

    ring, fill  their cells
    known       pixels of the ring, and how many of them are black or white
    values      size of the Haar filters, in pixels -> (n, 3) what those that are upright and level find in the ring
    """

    ring: Cells
    fill: Cells
    known: int
    clipped: int
    values: Mapping[int, Plane]


def look(frame: Frame, tile: Box, side_px: int) -> Look:
    """At a tile, in cells of so many pixels."""
    photo, ring = frame.photo(tile), frame.ring(tile)
    first = tile.y0 // side_px, tile.x0 // side_px
    lowest, highest = (reduce(pick, photo[ring].T) for pick in (np.minimum, np.maximum))
    values = {}
    for kernels in MEASURES[1::2]:
        size = len(kernels[0][0])
        found = np.concatenate([filtered(photo, kernel)[inside(ring, size)] for kernel in kernels])
        values[size] = found[:: 1 + len(found) // _MOST_VALUES]
    return Look(
        cells(photo, ring, side_px, first),
        cells(*frame.filled(tile), side_px, first),
        int(np.count_nonzero(ring)),
        int(np.count_nonzero((lowest >= 254) | (highest <= 1))),
        values,
    )
