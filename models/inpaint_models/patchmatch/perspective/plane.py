"""A plane seen at an angle: the picture as from the front, and the way back.

In the rectified picture bricks are all of one size and lines parallel, so that plain offsets continue them (Huang et
al., "Image Completion using Planar Structure Guidance", SIGGRAPH 2014, section 4). There all of the picture is matched
on one plane. What is copied are the given pixels: no pixel is interpolated twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .pencils import Floats, two_pencils

_APART = np.deg2rad(45)  # between their directions, at least
_LEAST_CHANGE, _MOST_CHANGE = 0.1, 1.0  # of scale over the length of the hole; less needs no plane
_NEAREST = 1.6  # times as large or small as at the hole's centre: the rest is left out
_MOST_GROWTH = 1.0  # times as many pixels as in the picture
_GRID = 65  # points along each side that tell how large the rectified picture is


@dataclass(frozen=True, slots=True)
class Plane:
    """to_front: (3, 3), from pixels (x, y, 1) of the picture to those of the rectified one, (height, width) = shape."""

    to_front: Floats
    shape: tuple[int, int]

    def front(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W[, C]) -> as seen from the front; the border's values are repeated outwards."""
        flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
        front = cv2.warpPerspective(values, self.to_front, self.shape[::-1], flags=flags, borderMode=border)
        return np.asarray(front, np.float32)

    def shows(self, pixels: NDArray[np.bool_], *, beyond: bool) -> NDArray[np.bool_]:
        """Whether a rectified pixel shows any of these; beyond the picture and too far from the hole: `beyond`."""
        grown = cv2.dilate(pixels.astype(np.float32), np.ones((3, 3), np.uint8))
        front = cv2.warpPerspective(
            grown, self.to_front, self.shape[::-1], borderMode=cv2.BORDER_CONSTANT, borderValue=(float(beyond),)
        )
        return np.asarray(front > 0)

    def seen(self, rectified: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Of any size -> (H, W) = shape, as the picture shows it."""
        scale = np.diag([rectified.shape[1] / self.shape[1], rectified.shape[0] / self.shape[0], 1])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpPerspective(rectified, scale @ self.to_front, shape[::-1], flags=flags), np.uint8)

    def source_map(
        self, rectified: NDArray[np.int32], usable: NDArray[np.bool_], hole: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        """The rectified picture's map for the picture itself; what lies between pixels is carried over.

        usable  (H, W) pixels that may be copied: those that all of the rectified sources show
        """
        height, width = hole.shape
        sources = np.arange(hole.size, dtype=np.int32)
        y, x = np.nonzero(hole)
        there = _moved(self.to_front, np.stack([x, y]).astype(np.float64))
        last = np.array([[self.shape[1] - 1], [self.shape[0] - 1]])
        pixel = np.clip(np.rint(there), 0, last).astype(np.intp)
        source = np.stack(np.divmod(rectified[pixel[1], pixel[0]], self.shape[1])[::-1])
        back = np.asarray(np.linalg.inv(self.to_front), np.float64)
        for between in (np.zeros_like(there), there - pixel):
            to = np.rint(_moved(back, np.asarray(source + between, np.float64))).astype(np.int32)
            to_x, to_y = np.clip(to, 0, [[width - 1], [height - 1]])
            allowed = usable[to_y, to_x]
            sources[(y * width + x)[allowed]] = (to_y * width + to_x)[allowed]
        return sources.reshape(hole.shape)


def clear_plane(image: NDArray[np.float32], hole: NDArray[np.bool_]) -> Plane | None:
    """The plane that the lines around the hole show; None where they show none, or one that is seen from the front."""
    height, width = hole.shape
    y, x = np.nonzero(hole)
    centre, unit_px = np.array([x.mean(), y.mean()]), float(max(x.max() - x.min(), y.max() - y.min(), 1))
    front = _rectifying(two_pencils(image, hole, centre, unit_px))
    if front is None:
        return None
    front = front @ np.array([[1, 0, -centre[0]], [0, 1, -centre[1]], [0, 0, unit_px]]) / unit_px
    grid = np.stack(np.meshgrid(np.linspace(0, width - 1, _GRID), np.linspace(0, height - 1, _GRID))).reshape(2, -1)
    shown = grid[:, _near(front, grid)]
    if not _near(front, np.stack([x, y]).astype(np.float64)).all():
        return None
    corners = _moved(front, shown)
    low, high = corners.min(axis=1), corners.max(axis=1)
    extent = high - low
    scale = min(unit_px, (_MOST_GROWTH * hole.size / extent.prod()) ** 0.5)
    framed = np.array([[scale, 0, -scale * low[0]], [0, scale, -scale * low[1]], [0, 0, 1]]) @ front
    columns, rows = np.ceil(extent * scale).astype(int).tolist()
    return Plane(framed, (rows, columns))


def _rectifying(crossings: list[Floats]) -> Floats | None:
    """(3, 3) what makes both pencils parallel to the axes, without a change of scale at (0, 0); None if not clear."""
    if not crossings:
        return None
    horizon = np.cross(crossings[0], crossings[1])
    if abs(horizon[2]) < 1e-9:
        return None
    tilt = np.array([[1, 0, 0], [0, 1, 0], horizon / horizon[2]])
    ways = [each[:2] / np.hypot(*each[:2]) for each in crossings]  # where each crossing is seen from (0, 0)
    ways.sort(key=lambda way: -abs(way[0]))
    across, down = (way * np.sign(way[axis]) for axis, way in enumerate(ways))
    change = np.hypot(*tilt[2, :2])
    apart = np.arcsin(min(1, across[0] * down[1] - across[1] * down[0]))
    if apart < _APART or not _LEAST_CHANGE <= change <= _MOST_CHANGE:
        return None
    upright = np.eye(3)
    upright[:2, :2] = np.linalg.inv(np.stack([across, down], axis=1))
    upright[:2, :2] /= np.linalg.det(upright[:2, :2]) ** 0.5
    return np.asarray(upright @ tilt)


def _near(front: Floats, points: Floats) -> NDArray[np.bool_]:
    """(n,) whether the plane shows them neither much larger nor much smaller than the middle of the hole."""
    depth = front[2, :2] @ points + front[2, 2]
    return np.asarray((depth > 1 / _NEAREST) & (depth < _NEAREST))


def _moved(transform: Floats, points: Floats) -> Floats:
    """(2, n) -> (2, n)."""
    moved = transform[:, :2] @ points + transform[:, 2:]
    return np.asarray(moved[:2] / moved[2])
