"""The engine `dust`: what a median filter takes away, where the ground around is even.

A median over a window that is more than twice as wide as a speck leaves no trace of it, and leaves edges in their
places. What differs from the median by more than the noise and the texture there is a speck, or a scratch where it is
long and thin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..imaging.edges import shrunk_to
from ..imaging.tiles import Tile, tiles_of
from ..protocols import Finding, StepProgress
from ..registry import LoadContext
from ..types import Box, Mask, ParamValue, PixelSource

_MOST_PX = 16_000_000
"""Larger photos are looked at in that size: their dust is larger too."""
_TILE_PX, _MARGIN_PX = 1024, 96
_REACH_SHARE, _LEAST_REACH_PX, _MOST_REACH_PX = 1 / 200, 5, 12
"""How wide a speck may be, as a part of the photo's longer side."""
_LEAST_CONTRAST = 20.0
"""From the median, in levels of 255."""
_CLEAR = 4.0
"""From the median, as a multiple of how uneven the ground is."""
_MOST_UNEVEN = 10.0
"""Texture: specks on it cannot be told from it, and do not show."""
_EDGE = 60.0
"""By how much the ground may differ within a speck's reach."""
_LEAST_CLEAR = 2.5
_LEAST_AREA_PX = 3
_SCRATCH = 4.0
"""A scratch is that many times as long as wide."""
_GROW_PX = 1

Image8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float32]


class DustEngine:
    """Deterministic."""

    def find(
        self, image: PixelSource, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Sequence[Finding]:
        height, width = image.shape[:2]
        scale = max(1.0, (height * width / _MOST_PX) ** 0.5)
        reach_px = round(min(max(max(height, width) / scale * _REACH_SHARE, _LEAST_REACH_PX), _MOST_REACH_PX))
        tiles = tiles_of(height, width, round(_TILE_PX * scale), round(_MARGIN_PX * scale))
        found = list[Finding]()
        for step, tile in enumerate(tiles):
            progress("finding", step, len(tiles))
            found += in_tile(image, tile, scale, reach_px)
        progress("finding", len(tiles), len(tiles))
        return found


def in_tile(image: PixelSource, tile: Tile, scale: float, reach_px: int) -> Iterator[Finding]:
    """Those that begin in the tile's own part: what reaches into the next tile is found once."""
    seen = np.ascontiguousarray(image[tile.seen.slices])
    small = shrunk_to(seen, max(1, int(tile.seen.area / scale**2)))
    grey = small[..., 0]
    specks, strength = standing_out(small, reach_px)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(specks.astype(np.uint8), connectivity=8)
    to_x, to_y = tile.seen.width / grey.shape[1], tile.seen.height / grey.shape[0]
    for part in range(1, count):
        x, y, w, h, area = (int(value) for value in stats[part])
        box = Box(x, y, x + w, y + h)
        own = parts[box.slices] == part
        if area < _LEAST_AREA_PX or not tile.owns(x * to_x, y * to_y) or (shape := shape_of(own, reach_px)) is None:
            continue
        clear = clearness(small, own, box, reach_px)
        if clear < _LEAST_CLEAR:
            continue
        at = box.grown(_GROW_PX).clipped(*grey.shape)
        covered = np.asarray(cv2.dilate((parts[at.slices] == part).astype(np.uint8), np.ones((3, 3))), np.uint8)
        score = float(1 - np.exp(-strength[box.slices][own].max() / 2))
        yield Finding(shape, score, _enlarged(covered, at, tile.seen, to_x, to_y))


def standing_out(image: Image8, reach_px: int) -> tuple[Flags, Floats]:
    """(which pixels are of a speck, by how many times the least that shows they stand out), both (H, W).

    Dust has no colour: white dust is light in every channel, and dark dust in none.
    """
    bright = _above_ground(np.asarray(image.min(axis=2)), reach_px)
    dark = _above_ground(255 - image.max(axis=2), reach_px)
    return bright[0] | dark[0], np.maximum(bright[1], dark[1])


def _above_ground(plane: Image8, reach_px: int) -> tuple[Flags, Floats]:
    """As `standing_out`, of what is lighter."""
    ground = cv2.medianBlur(plane, 2 * (2 * reach_px) + 1)
    off = plane.astype(np.float32) - ground
    around = (8 * reach_px + 1,) * 2
    uneven = cv2.boxFilter(np.minimum(np.abs(off), _LEAST_CONTRAST), cv2.CV_32F, around) * 1.25
    slope = cv2.morphologyEx(ground, cv2.MORPH_GRADIENT, np.ones((2 * reach_px + 1,) * 2, np.uint8))
    strength = off / np.maximum(_LEAST_CONTRAST, _CLEAR * uneven)
    even = (uneven < _MOST_UNEVEN) & (slope < _EDGE + 2 * uneven)
    surely = (strength > 1) & even
    perhaps = ((strength > 0.5) & even).astype(np.uint8)
    count, parts = cv2.connectedComponents(perhaps, connectivity=8)
    holds_one = np.bincount(parts[surely], minlength=count) > 0
    holds_one[0] = False
    return holds_one[parts], np.asarray(strength, np.float32)


def clearness(image: Image8, own: Flags, box: Box, reach_px: int) -> float:
    """By what multiple of the unevenness of the ground right around it a speck differs from that ground."""
    seen = box.grown(reach_px + 2).clipped(*image.shape[:2])
    covered = np.zeros((seen.height, seen.width), np.uint8)
    covered[box.shifted(-seen.x0, -seen.y0).slices] = own
    near = cv2.dilate(covered, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    far = cv2.dilate(covered, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 5,) * 2))
    pixels = image[seen.slices].astype(np.float32)
    ring = pixels[(far > near)]
    if not len(ring):
        return 0.0
    ground = np.median(ring, axis=0)
    spread = np.percentile(np.abs(ring - ground).max(axis=1), 90)
    return float(np.abs(np.median(pixels[covered > 0], axis=0) - ground).max() / max(spread, 6.0))


def shape_of(own: Flags, reach_px: int) -> str | None:
    """ "dust" or "scratch"; None for what is too large for either. own  (h, w), a connected part in its box."""
    area = int(own.sum())
    length = float(np.hypot(*own.shape))
    wide = area / length
    if length > _SCRATCH * wide and wide <= reach_px and length > 2 * reach_px:
        return "scratch"
    return "dust" if max(own.shape) <= 4 * reach_px else None


def _enlarged(covered: Image8, at: Box, seen: Box, to_x: float, to_y: float) -> Mask:
    """A mask of the small tile in the image's pixels."""
    box = Box(round(at.x0 * to_x), round(at.y0 * to_y), round(at.x1 * to_x), round(at.y1 * to_y))
    large = cv2.resize(covered * np.uint8(255), (box.width, box.height), interpolation=cv2.INTER_NEAREST)
    return Mask(box.shifted(seen.x0, seen.y0), np.asarray(large, np.uint8))


def load(context: LoadContext) -> DustEngine:
    return DustEngine()
