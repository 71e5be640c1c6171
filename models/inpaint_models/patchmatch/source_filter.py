"""Which parts of the picture may be copied from: those that look like something beside the hole.

What belongs into a hole nearly always shows beside it. Without this rule a head of hair from the other end of the
picture may float on a wall, because its outline happens to bridge two shades of the wall more cheaply than any wall.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .features import FEATURES

_RIM_PX = 3


def allowed_sources(features: NDArray[np.uint8], hole: NDArray[np.bool_], cell: int) -> NDArray[np.bool_]:
    """(H, W) whether a pixel resembles a known one within a few pixels of the hole.

    features  (H, W, FEATURES) of a small picture
    cell      two pixels resemble each other if each of their features falls into the same or the next cell of so many
              levels
    """
    square = np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8)
    rim = (cv2.dilate(hole.astype(np.uint8), square) > 0) & ~hole
    cells = tuple(np.moveaxis(features // np.uint8(cell), -1, 0))
    seen = np.zeros((255 // cell + 1,) * FEATURES, np.bool_)
    seen[tuple(each[rim] for each in cells)] = True
    for axis in range(FEATURES):
        along = np.moveaxis(seen, axis, 0)
        before = along.copy()
        along[1:] |= before[:-1]
        along[:-1] |= before[1:]
    return np.asarray(seen[cells])


def whole_patches(allowed: NDArray[np.bool_], shape: tuple[int, int], patch: int) -> NDArray[np.bool_]:
    """Whether the patch at each anchor of a picture of this shape has allowed pixels only; `allowed` may be smaller."""
    enlarged = cv2.resize(allowed.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST)
    return cv2.erode(enlarged, np.ones((patch, patch), np.uint8), anchor=(0, 0)) > 0
