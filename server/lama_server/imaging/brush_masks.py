"""Masks as IOPaint's page lays them over a photo: in the colour of its brush, on nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Coverage = NDArray[np.uint8]
Operation = Literal["expand", "shrink", "reverse"]

BRUSH = (255, 203, 0, 186)
"""RGBA."""

_BAND_ROWS = 1024


def adjusted(mask: Coverage, operation: Operation, radius_px: int, check: Callable[[], None]) -> Coverage:
    """An (H, W) mask of 0 and 255 grown or shrunk by a disc, or turned round.

    check  called before each band of rows; what it raises ends the work
    """
    if operation == "reverse":
        return 255 - mask
    if operation == "expand":
        return _grown(mask, radius_px, check)
    return 255 - _grown(255 - mask, radius_px, check)


def in_brush_colour(mask: Coverage) -> NDArray[np.uint8]:
    """(H, W, 4)."""
    shown = np.zeros((*mask.shape, 4), np.uint8)
    shown[mask > 0] = BRUSH
    return shown


def _grown(mask: Coverage, radius_px: int, check: Callable[[], None]) -> Coverage:
    """By the distance to what is painted, in bands of rows: the time does not grow with the square of the radius."""
    import cv2  # imported late: this runs in the codec worker, which mostly does without

    out = np.empty_like(mask)
    for y0 in range(0, len(mask), _BAND_ROWS):
        check()
        top = max(0, y0 - radius_px)
        around = mask[top : y0 + _BAND_ROWS + radius_px]
        if around.any():
            distance = cv2.distanceTransform(255 - around, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            rows = distance[y0 - top : y0 - top + _BAND_ROWS]
            out[y0 : y0 + _BAND_ROWS] = np.where(rows < radius_px + 0.5, np.uint8(255), np.uint8(0))
        else:
            out[y0 : y0 + _BAND_ROWS] = 0
    return out
