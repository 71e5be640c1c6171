"""What a copy costs by where it comes from: the less a place resembles the hole's surroundings, the more.

What belongs into a hole nearly always shows beside it. Without this cost a head of hair from the other end of the
picture may float on a wall, because its outline happens to bridge two shades of the wall more cheaply than any wall.
A ban instead of a cost would take away thin things and textures that show only a little at the hole's edge.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .compiled import Array, kernel
from .features import FEATURES

_RIM_PX = 3
_SAMPLES = 128  # of the rim's colours, evenly along its scan order


def strangeness(features: NDArray[np.uint8], hole: NDArray[np.bool_], most: int) -> NDArray[np.int32]:
    """(H, W) squared distance of each pixel's features to the most similar ones beside the hole, at most `most`.

    features  (H, W, FEATURES) of a small picture
    """
    square = np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8)
    rim = features[(cv2.dilate(hole.astype(np.uint8), square) > 0) & ~hole]
    samples = np.ascontiguousarray(rim[:: max(1, len(rim) // _SAMPLES)], np.int32)
    distance = np.full(hole.size, most, np.int32)
    _nearest_sample(features.reshape(-1, FEATURES), samples, distance)
    return distance.reshape(hole.shape)


def patch_sums(values: NDArray[np.int32], shape: tuple[int, int], patch: int) -> NDArray[np.int32]:
    """(H * W,) sum over the patch at each anchor of a picture of this shape; `values` may be those of a smaller one.

    All sums are whole numbers under 2 ** 24, so that float32 holds them exactly on every machine.
    """
    enlarged = cv2.resize(values.astype(np.float32), shape[::-1], interpolation=cv2.INTER_NEAREST)
    sums = cv2.boxFilter(enlarged, -1, (patch, patch), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(sums, np.int32).ravel()


@kernel("void(uint8[:, ::1], int32[:, ::1], int32[::1])")
def _nearest_sample(features: Array, samples: Array, distance: Array) -> None:
    """Lowers each distance to that of the nearest sample; in whole numbers, which are the same on every machine."""
    for pixel in range(features.shape[0]):
        least = distance[pixel]
        for sample in range(samples.shape[0]):
            total = np.int32(0)
            for k in range(4):
                step = np.int32(features[pixel, k]) - samples[sample, k]
                total = np.int32(total + step * step)
            least = min(least, total)
        distance[pixel] = least
