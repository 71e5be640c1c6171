"""The edge of a thing, decided pixel by pixel from the mean colours on either side of it.

A pixel of the edge is a mixture of the colour inside and the colour outside (Porter and Duff, "Compositing Digital
Images", 1984). With both known from the surroundings, the share of the inside is a projection between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Box

_TILE_PX = 96
_LEAST_CONTRAST = 10.0
"""Colours nearer than this, in levels of 255, cannot be told apart: the edge stays where it was."""
_STEP_BAND_PX = 2
"""How far an edge may be off after the image has doubled in size."""

Image8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]


def halvings(image: Image8, view_px: int) -> list[Image8]:
    """The image, its half, its quarter ..., and last a view of at most that many pixels; `enlarged` goes them up."""
    levels = [image]
    while levels[-1].size > 3 * 4 * view_px:
        height, width = levels[-1].shape[0] // 2, levels[-1].shape[1] // 2
        levels.append(_shrunk(levels[-1][: 2 * height, : 2 * width], height, width))
    height, width = levels[-1].shape[:2]
    if height * width > view_px:
        scale = (view_px / (height * width)) ** 0.5
        levels.append(_shrunk(levels[-1], max(1, int(height * scale)), max(1, int(width * scale))))
    return levels


def enlarged(inside: Flags, levels: Sequence[Image8]) -> Flags:
    """(H, W): a mask of the last level at the size of the first, its edge found again at each level in between."""
    for level in reversed(levels[:-1]):
        size = level.shape[1], level.shape[0]
        larger = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) >= 0.5
        inside = edge_alpha(level, larger, _STEP_BAND_PX) >= 0.5
    return inside


def _shrunk(image: Image8, height: int, width: int) -> Image8:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def edge_alpha(
    image: Image8, inside: Flags, band_px: int, least_contrast: float = _LEAST_CONTRAST
) -> NDArray[np.float32]:
    """(H, W) in [0, 1]: how much of each pixel is the inside. Changed within `band_px` of the edge, 0 or 1 elsewhere.

    image   (H, W, 3)
    inside  (H, W), the edge to within `band_px`

    Its cost follows the length of the edge, not the image.
    """
    alpha = inside.astype(np.float32)
    height, width = inside.shape
    for box in _tiles_on_edge(inside, band_px):
        seen = box.grown(4 * band_px).clipped(height, width)
        local = _alpha_of_tile(image[seen.slices], inside[seen.slices], band_px, least_contrast)
        alpha[box.slices] = local[box.shifted(-seen.x0, -seen.y0).slices]
    return alpha


def _tiles_on_edge(inside: Flags, band_px: int) -> Iterator[Box]:
    """Tiles that an edge passes, or comes as near as `band_px`."""
    height, width = inside.shape
    for y in range(0, height, _TILE_PX):
        for x in range(0, width, _TILE_PX):
            box = Box(x, y, x + _TILE_PX, y + _TILE_PX).clipped(height, width)
            around = inside[box.grown(band_px).clipped(height, width).slices]
            if around.any() and not around.all():
                yield box


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
