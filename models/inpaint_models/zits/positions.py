"""Masked positional encoding: how far each pixel of a hole is from what is known, and on which sides that lies.

Section 3.4 of the ZITS paper. Both are found on 256 pixels and then enlarged.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 256
FARTHEST = 127
"""Distances are counted up to here."""

_CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1))
"""(row, column) of the four 2x2 squares around a pixel: up left, down left, up right, down right."""


class Positions(NamedTuple):
    """Of each pixel, 0 outside the hole.

    distance   (H, W) from 0 to 127: steps to the nearest known pixel, of which one may be diagonal
    direction  (H, W, 4), 0 or 1: whether one of the three neighbours on each of `_CORNERS` is a step nearer
    """

    distance: NDArray[np.uint8]
    direction: NDArray[np.uint8]


def masked_positions(small: NDArray[np.bool_], hole: NDArray[np.bool_]) -> Positions:
    """small  (256, 256): a pixel is hole where any of the pixels of `hole`, (H, W), under it is."""
    steps = cv2.distanceTransform(small.astype(np.uint8), cv2.DIST_C, 3)
    around = np.pad(steps, 1, mode="reflect")
    direction = np.zeros((SIDE, SIDE, 4), np.uint8)
    for corner, (row, column) in enumerate(_CORNERS):
        square = [around[y : y + SIDE, x : x + SIDE] for y in (row, row + 1) for x in (column, column + 1)]
        direction[..., corner] = np.minimum.reduce(square) < steps
    positions = Positions(np.minimum(steps, FARTHEST).astype(np.uint8), direction)
    height, width = hole.shape
    if (height, width) == small.shape:
        return positions
    larger = [cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST) for values in positions]
    return Positions(np.asarray(larger[0] * hole, np.uint8), np.asarray(larger[1] * hole[..., None], np.uint8))
