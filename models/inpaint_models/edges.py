"""The edge of a thing, decided pixel by pixel from the mean colours on either side of it.

A pixel of the edge is a mixture of the colour inside and the colour outside (Porter and Duff, "Compositing Digital
Images", 1984). With both known from the surroundings, the share of the inside is a projection between them.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from .types import Box

_TILE_PX = 96
_LEAST_CONTRAST = 10.0
"""Colours nearer than this, in levels of 255, cannot be told apart: the edge stays where it was."""
_STEP_BAND_PX = 3
"""How far an edge may be off after the image has doubled in size."""


def enlarged(inside: NDArray[np.bool_], image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W): a mask of a smaller copy of the image, its edge found again at each doubling up to the image's size.

    inside  (h, w), not larger than the image
    image   (H, W, 3)
    """
    height, width = image.shape[:2]
    while inside.shape != (height, width):
        h, w = min(height, 2 * inside.shape[0]), min(width, 2 * inside.shape[1])
        larger = cv2.resize(inside.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR) >= 0.5
        view = image if (h, w) == (height, width) else cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
        inside = edge_alpha(np.asarray(view, np.uint8), larger, _STEP_BAND_PX) >= 0.5
    return inside


def edge_alpha(
    image: NDArray[np.uint8], inside: NDArray[np.bool_], band_px: int, least_contrast: float = _LEAST_CONTRAST
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


def _tiles_on_edge(inside: NDArray[np.bool_], band_px: int) -> Iterator[Box]:
    """Tiles that an edge passes, or comes as near as `band_px`."""
    height, width = inside.shape
    for y in range(0, height, _TILE_PX):
        for x in range(0, width, _TILE_PX):
            box = Box(x, y, x + _TILE_PX, y + _TILE_PX).clipped(height, width)
            around = inside[box.grown(band_px).clipped(height, width).slices]
            if around.any() and not around.all():
                yield box


def _alpha_of_tile(
    image: NDArray[np.uint8], inside: NDArray[np.bool_], band_px: int, least_contrast: float
) -> NDArray[np.float32]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band_px + 1, 2 * band_px + 1))
    fore = inside.astype(np.uint8)
    surely_in = cv2.erode(fore, disc).astype(np.uint8, copy=False)
    surely_out = cv2.erode(1 - fore, disc).astype(np.uint8, copy=False)
    within, within_there = _local_mean(image, surely_in, 3 * band_px)
    around, around_there = _local_mean(image, surely_out, 3 * band_px)
    between = within - around
    contrast = np.einsum("yxc,yxc->yx", between, between)
    share = np.einsum("yxc,yxc->yx", image - around, between) / np.maximum(contrast, 1.0)
    decided = ((surely_in | surely_out) == 0) & within_there & around_there & (contrast >= least_contrast**2)
    return np.where(decided, np.clip(share, 0, 1), fore).astype(np.float32)


def _local_mean(
    image: NDArray[np.uint8], where: NDArray[np.uint8], radius_px: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(mean colour of the chosen pixels around each pixel, whether there are any)."""
    size = (2 * radius_px + 1, 2 * radius_px + 1)
    count = cv2.boxFilter(where, cv2.CV_32F, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
    chosen = image * where[..., None]
    total = cv2.boxFilter(chosen, cv2.CV_32F, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return (total / np.maximum(count, 1.0)[..., None]).astype(np.float32, copy=False), count > 0.5
