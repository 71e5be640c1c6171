"""Voting: every hole pixel becomes the weighted mean of what the patches that cover it propose.

Wexler, Shechtman, Irani, "Space-Time Completion of Video", PAMI 2007, section 3.2; Newson, Almansa, Fradet, Gousseau,
Perez, "Video Inpainting of Complex Scenes", SIAM J. Imaging Sciences 2014, and "Non-Local Patch-Based Image
Inpainting", IPOL 2017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bands import Bands
from .compiled import Array, Number, kernel
from .matching import PATCH, Matches
from .settings import Settings


def vote(
    features: NDArray[np.uint8], depth: NDArray[np.float32], matches: Matches, settings: Settings, bands: Bands
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """(features, origin): the picture as voted, and for each pixel the flat position of the favourite proposal.

    features  (H, W, FEATURES) before, read for the known pixels only
    origin    (H, W); each known pixel's is itself
    """
    height, width = depth.shape
    pixels = np.flatnonzero(depth).astype(np.int32)
    confidence = np.exp(np.float32(-settings.inward) * _centre_depth(depth))
    voted, origin = features.copy(), np.arange(depth.size, dtype=np.int32)
    before, after = features.ravel(), voted.ravel()

    def job(low: int, high: int) -> None:
        _vote(
            before, height, width, PATCH, pixels, low, high, confidence, matches.source, matches.cost,
            settings.sharpness, after, origin,
        )  # fmt: skip

    bands.run(job, pixels.size)
    return voted, origin.reshape(height, width)


def _centre_depth(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H * W,) depth at the middle of the patch anchored at each pixel."""
    middle = PATCH // 2
    shifted = np.zeros_like(depth)
    shifted[:-middle, :-middle] = depth[middle:, middle:]
    return shifted.ravel()


@kernel(
    "void(uint8[::1], int64, int64, int64, int32[::1], int64, int64, float32[::1], int16[:, ::1], int32[::1], float32,"
    " uint8[::1], int32[::1])",
    fastmath=True,
)
def _vote(
    features: Array,  # (H * W * 4,)
    height: int,
    width: int,
    patch: int,
    pixels: Array,
    low: int,
    high: int,
    confidence: Array,
    source: Array,
    cost: Array,
    sharpness: float,
    voted: Array,
    origin: Array,
) -> None:
    """Votes for pixels[low:high]. Neighbours mostly agree, so equal proposals are summed before they are read."""
    offsets, weights = np.empty(patch * patch, np.int32), np.empty(patch * patch, np.float32)
    for index in range(low, high):
        pixel = np.int64(pixels[index])
        y = pixel // width
        x = pixel - y * width
        top: Number = max(0, y - patch + 1)
        left: Number = max(0, x - patch + 1)
        bottom: Number = min(height - patch + 1, y + 1)
        right: Number = min(width - patch + 1, x + 1)
        least: Number = np.float32(cost[top * width + left])
        total_cost = np.float32(1)
        for row in range(top, bottom):
            for anchor in range(row * width + left, row * width + right):
                total_cost += np.float32(cost[anchor])
                least = min(least, np.float32(cost[anchor]))
        scale = sharpness * np.float32((bottom - top) * (right - left)) / total_cost
        distinct = 0
        for row in range(top, bottom):
            for anchor in range(row * width + left, row * width + right):
                weight = confidence[anchor] * np.exp((least - np.float32(cost[anchor])) * scale)
                offset = np.int32(source[anchor, 0] * width + source[anchor, 1] - anchor)
                known = distinct - 1
                while known >= 0 and offsets[known] != offset:
                    known -= 1
                if known < 0:
                    offsets[distinct], weights[distinct] = offset, weight
                    distinct += 1
                else:
                    weights[known] += weight
        favourite = 0
        total = sum_0 = sum_1 = sum_2 = sum_3 = np.float32(0)
        for each in range(distinct):
            weight, start = weights[each], np.uintp((pixel + offsets[each]) * 4)
            sum_0 += weight * np.float32(features[start])
            sum_1 += weight * np.float32(features[start + np.uintp(1)])
            sum_2 += weight * np.float32(features[start + np.uintp(2)])
            sum_3 += weight * np.float32(features[start + np.uintp(3)])
            total += weight
            if weight > weights[favourite]:
                favourite = each
        start = np.uintp(pixel * 4)
        voted[start] = np.uint8(sum_0 / total + np.float32(0.5))
        voted[start + np.uintp(1)] = np.uint8(sum_1 / total + np.float32(0.5))
        voted[start + np.uintp(2)] = np.uint8(sum_2 / total + np.float32(0.5))
        voted[start + np.uintp(3)] = np.uint8(sum_3 / total + np.float32(0.5))
        origin[pixel] = np.int32(pixel + offsets[favourite])
