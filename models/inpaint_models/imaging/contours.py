"""The outline of a mask as one polygon: for people to see at once, before its edge is known pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..protocols import Polygon
from ..types import Box

_TOLERANCE_PX = 0.75
"""How far the polygon may leave the corners of the picture's pixels."""
_LEAST_PX = 4
"""Area of a part or a hole, in pixels of the picture."""
_MOST_PARTS = 500
"""Parts and holes, the largest; of leaves and gravel there may be tens of thousands."""


def contour(inside: NDArray[np.bool_], box: Box) -> Polygon:
    """Around what is inside in a picture of a box of an image. Empty where that is nothing but specks."""
    rows, columns = inside.shape
    corners = np.zeros((rows + 1, columns + 1), np.uint8)  # of pixels: an outline goes from one to the next
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        corners[y : y + rows, x : x + columns] |= inside.view(np.uint8)
    found, _ = cv2.findContours(corners, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)  # holes the other way round
    areas = np.array([cv2.contourArea(part) for part in found])
    kept = [int(index) for index in np.argsort(-areas, kind="stable")[:_MOST_PARTS] if areas[index] >= _LEAST_PX]
    if not kept:
        return ()
    parts = [cv2.approxPolyDP(found[index], _TOLERANCE_PX, closed=True)[:, 0] for index in kept]
    start = parts[0][:1]
    joined = np.concatenate([piece for part in parts for piece in (part, part[:1], start)])
    points = joined * (box.width / columns, box.height / rows) + (box.x0, box.y0)
    return tuple((float(x), float(y)) for x, y in points)
