"""The edge of a thing, decided pixel by pixel from the mean colours on either side of it.

A pixel of the edge is a mixture of the colour inside and the colour outside (Porter and Duff, "Compositing Digital
Images", 1984). With both known from the surroundings, the share of the inside is a projection between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import HOLE_THRESHOLD, Box, PixelSource
from .views import Reduced, shrunk

_TILE_PX = 96
_CELL_PX = 8
"""Cells in which it is looked whether an edge is near; a tile holds whole ones."""
_LEAST_CONTRAST = 10.0
"""Colours nearer than this, in levels of 255, cannot be told apart: the edge stays where it was."""
_STEP_BAND_PX = 2
"""How far an edge may be off after the image has doubled in size."""
_READ_PX = 1_000_000
"""A part of a photo that is larger is read along edges only, and else from a few of its rows."""
_FINER = 4
"""What a view is made from has so many pixels for each of the view's."""
MOST_REFINED_PX = 8_000_000
"""The edge of larger images is within a pixel of that found at half their size, and takes long to find."""

Image8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]


def halvings(image: Image8, view_px: int) -> list[Image8]:
    """The image, its half, its quarter ..., and last a view of at most that many pixels; `enlarged` goes them up."""
    levels = [image]
    while levels[-1].size > 3 * 4 * view_px:
        height, width = levels[-1].shape[0] // 2, levels[-1].shape[1] // 2
        levels.append(shrunk(levels[-1][: 2 * height, : 2 * width], height, width))
    view = shrunk_to(levels[-1], view_px)
    return levels if view is levels[-1] else [*levels, view]


def levels_of(image: PixelSource, box: Box, view_px: int) -> list[PixelSource]:
    """As `halvings` of a box of an image, of which the larger levels are read only where they are sliced."""
    base = Reduced(image, box, _factor(box, _READ_PX))
    larger: list[PixelSource] = [Reduced(image, box, 2**power) for power in range(base.factor.bit_length() - 1)]
    return [*larger, *halvings(base.sampled(), view_px)]


def view_of(image: PixelSource, box: Box, view_px: int) -> Image8:
    """The last of these levels alone."""
    return shrunk_to(Reduced(image, box, _factor(box, _FINER * view_px)).sampled(), view_px)


def _factor(box: Box, most_px: int) -> int:
    factor = 1
    while (box.height // factor) * (box.width // factor) > most_px:
        factor *= 2
    return factor


def shrunk_to(image: Image8, view_px: int) -> Image8:
    """The image with at most that many pixels."""
    height, width = image.shape[:2]
    if height * width <= view_px:
        return image
    scale = (view_px / (height * width)) ** 0.5
    return shrunk(image, max(1, int(height * scale)), max(1, int(width * scale)))


def enlarged(inside: Flags, levels: Sequence[PixelSource]) -> Flags:
    """(H, W): a mask of the last level at the size of the first, its edge found again at each level in between."""
    for level in reversed(levels[:-1]):
        height, width = level.shape[:2]
        refined = height * width <= MOST_REFINED_PX
        if not refined and level is not levels[0]:
            continue
        large = cv2.resize(inside.view(np.uint8) * 255, (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.threshold(large, HOLE_THRESHOLD - 1, 1, cv2.THRESH_BINARY, dst=large)
        inside = large.view(np.bool_)
        if refined:
            for box, alpha in list(_refined_tiles(level, inside, _STEP_BAND_PX, _LEAST_CONTRAST)):
                inside[box.slices] = alpha >= 0.5
    return inside


def edge_alpha(
    image: Image8, inside: Flags, band_px: int, least_contrast: float = _LEAST_CONTRAST
) -> NDArray[np.float32]:
    """(H, W) in [0, 1]: how much of each pixel is the inside. Changed within `band_px` of the edge, 0 or 1 elsewhere.

    image   (H, W, 3)
    inside  (H, W), the edge to within `band_px`

    Its cost follows the length of the edge, not the image.
    """
    alpha = inside.astype(np.float32)
    for box, local in _refined_tiles(image, inside, band_px, least_contrast):
        alpha[box.slices] = local
    return alpha


def _refined_tiles(
    image: PixelSource, inside: Flags, band_px: int, least_contrast: float
) -> Iterator[tuple[Box, NDArray[np.float32]]]:
    """The alpha of each tile that holds a part of the edge."""
    height, width = inside.shape
    for box in edge_tiles(inside, band_px):
        seen = box.grown(4 * band_px).clipped(height, width)
        local = _alpha_of_tile(image[seen.slices], inside[seen.slices], band_px, least_contrast)
        yield box, local[box.shifted(-seen.x0, -seen.y0).slices]


def edge_tiles(inside: Flags, band_px: int) -> Iterator[Box]:
    """Tiles that an edge passes, or comes as near as `band_px`; a few besides."""
    height, width = inside.shape
    rows, columns = -(-height // _CELL_PX), -(-width // _CELL_PX)
    padded = np.pad(inside, ((0, rows * _CELL_PX - height), (0, columns * _CELL_PX - width)), "edge")
    cells = cv2.resize(padded.view(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_AREA)
    reach = 2 * (1 + -(-band_px // _CELL_PX)) + 1
    on_edge = cv2.morphologyEx(cells, cv2.MORPH_GRADIENT, np.ones((reach, reach), np.uint8)) > 0
    in_tile = _TILE_PX // _CELL_PX
    for y, x in sorted({(int(y) // in_tile, int(x) // in_tile) for y, x in zip(*np.nonzero(on_edge), strict=True)}):
        box = Box(x * _TILE_PX, y * _TILE_PX, (x + 1) * _TILE_PX, (y + 1) * _TILE_PX)
        yield box.clipped(height, width)


def _alpha_of_tile(image: Image8, inside: Flags, band_px: int, least_contrast: float) -> NDArray[np.float32]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band_px + 1, 2 * band_px + 1))
    surely_in = np.asarray(cv2.erode(inside.astype(np.uint8), disc), np.uint8)
    surely_out = np.asarray(cv2.erode((~inside).astype(np.uint8), disc), np.uint8)
    alpha = inside.astype(np.float32)
    places = np.nonzero((surely_in | surely_out) == 0)
    within, within_there = _local_mean(image, surely_in, 3 * band_px, places)
    around, around_there = _local_mean(image, surely_out, 3 * band_px, places)
    between = within - around
    contrast = np.einsum("nc,nc->n", between, between)
    share = np.einsum("nc,nc->n", image[places] - around, between) / np.maximum(contrast, 1.0)
    decided = within_there & around_there & (contrast >= least_contrast**2)
    alpha[places] = np.where(decided, np.clip(share, 0, 1), alpha[places])
    return alpha


def _local_mean(
    image: Image8, where: NDArray[np.uint8], radius_px: int, places: tuple[NDArray[np.intp], ...]
) -> tuple[NDArray[np.float32], Flags]:
    """(mean colour of the chosen pixels around each of n places, whether there are any): (n, 3) and (n,)."""
    size = (2 * radius_px + 1, 2 * radius_px + 1)
    chosen = cv2.bitwise_and(image, image, mask=where)
    count = cv2.boxFilter(where, cv2.CV_32F, size, normalize=False, borderType=cv2.BORDER_CONSTANT)[places]
    total = cv2.boxFilter(chosen, cv2.CV_32F, size, normalize=False, borderType=cv2.BORDER_CONSTANT)[places]
    return np.divide(total, np.maximum(count, 1.0)[:, None], dtype=np.float32), count > 0.5
