"""Voting: every hole pixel becomes the weighted mean of what the patches that cover it propose.

Wexler, Shechtman, Irani, "Space-Time Completion of Video", PAMI 2007, section 3.2; Newson, Almansa, Fradet, Gousseau,
Perez, "Video Inpainting of Complex Scenes", SIAM J. Imaging Sciences 2014, and "Non-Local Patch-Based Image
Inpainting", IPOL 2017.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..machine.compiled import Array, Number, inlined, kernel
from .chunks import Chunks
from .matching import PATCH, NearestNeighbourField
from .settings import PatchMatchSettings


class Voters(NamedTuple):
    """What counts on a level for how much, whatever the matches are: what both kernels take first, in order.

    pixels      flat positions of the hole's pixels
    confidence  (H * W,) weight of the patch anchored at each pixel by where it lies
    """

    height: int
    width: int
    patch: int
    pixels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    sharpness: float


_VOTERS = "int64, int64, int64, int32[::1], float32[::1], float32"


def voters(distance: NDArray[np.float32], settings: PatchMatchSettings) -> Voters:
    """distance: (H, W) to the nearest known pixel."""
    height, width = distance.shape
    middle = PATCH // 2
    confidence = np.zeros_like(distance)
    depth = np.minimum(distance[middle:, middle:], np.float32(settings.inward_px))
    confidence[:-middle, :-middle] = np.exp(np.float32(-settings.inward) * depth)
    pixels = np.flatnonzero(distance).astype(np.int32)
    return Voters(height, width, PATCH, pixels, confidence.ravel(), settings.sharpness)


def vote(features: NDArray[np.uint8], nnf: NearestNeighbourField, voters: Voters, chunks: Chunks) -> NDArray[np.uint8]:
    """(H, W, FEATURES) with each hole pixel the weighted mean of its proposals; reads the known pixels only."""
    voted = features.copy()
    before, after = features.ravel(), voted.ravel()

    def job(low: int, high: int) -> None:
        _vote(*voters, nnf.source, nnf.cost, low, high, before, after)

    chunks.run(job, voters.pixels.size)
    return voted


def argmax_vote(nnf: NearestNeighbourField, voters: Voters, chunks: Chunks) -> NDArray[np.int32]:
    """(H, W) flat position of each hole pixel's favourite proposal; each known pixel's is itself."""
    source_map = np.arange(voters.height * voters.width, dtype=np.int32)

    def job(low: int, high: int) -> None:
        _argmax_vote(*voters, nnf.source, nnf.cost, low, high, source_map)

    chunks.run(job, voters.pixels.size)
    return source_map.reshape(voters.height, voters.width)


@inlined
def _weigh(
    height: int,
    width: int,
    patch: int,
    pixel: Number,
    confidence: Array,
    sharpness: float,
    source: Array,
    cost: Array,
    offsets: Array,
    weights: Array,
) -> Number:
    """Fills in what the patches that cover a pixel propose, and how much each counts; returns how many there are.

    Weights fall with the cost like exp(-sharpness * cost / mean cost), in a form that compiles to vector code.
    """
    y = pixel // width
    x = pixel - y * width
    top: Number = max(0, y - patch + 1)
    left: Number = max(0, x - patch + 1)
    bottom: Number = min(height - patch + 1, y + 1)
    right: Number = min(width - patch + 1, x + 1)
    columns = right - left
    least: Number = np.float32(cost[top * width + left])
    total = np.float32(1)
    for row in range(top, bottom):
        for anchor in range(row * width + left, row * width + right):
            total += np.float32(cost[anchor])
            least = min(least, np.float32(cost[anchor]))
    scale = sharpness * np.float32((bottom - top) * columns) / (np.float32(16) * total)
    for row in range(top, bottom):
        start, first = row * width + left, (row - top) * columns
        for column in range(columns):
            anchor = start + column
            power = max(np.float32(0), np.float32(1) + (least - np.float32(cost[anchor])) * scale)
            power *= power
            power *= power
            power *= power
            weights[first + column] = power * power * confidence[anchor]
            offsets[first + column] = source[anchor, 0] * width + source[anchor, 1] - anchor
    return (bottom - top) * columns


@kernel(f"void({_VOTERS}, int16[:, ::1], int32[::1], int64, int64, uint8[::1], uint8[::1])", fastmath=True)
def _vote(
    height: int,
    width: int,
    patch: int,
    pixels: Array,
    confidence: Array,
    sharpness: float,
    source: Array,
    cost: Array,
    low: int,
    high: int,
    features: Array,  # (H * W * 4,)
    voted: Array,
) -> None:
    offsets, weights = np.empty(patch * patch, np.int32), np.empty(patch * patch, np.float32)
    for index in range(low, high):
        pixel: Number = np.int64(pixels[index])
        proposals = _weigh(height, width, patch, pixel, confidence, sharpness, source, cost, offsets, weights)
        total = sum_0 = sum_1 = sum_2 = sum_3 = np.float32(0)
        each = 0
        while each < proposals:
            offset, weight = offsets[each], weights[each]
            each += 1
            while each < proposals and offsets[each] == offset:  # neighbouring patches mostly agree
                weight += weights[each]
                each += 1
            start = np.uintp((pixel + offset) * 4)
            sum_0 += weight * np.float32(features[start])
            sum_1 += weight * np.float32(features[start + np.uintp(1)])
            sum_2 += weight * np.float32(features[start + np.uintp(2)])
            sum_3 += weight * np.float32(features[start + np.uintp(3)])
            total += weight
        start = np.uintp(pixel * 4)
        voted[start] = np.uint8(sum_0 / total + np.float32(0.5))
        voted[start + np.uintp(1)] = np.uint8(sum_1 / total + np.float32(0.5))
        voted[start + np.uintp(2)] = np.uint8(sum_2 / total + np.float32(0.5))
        voted[start + np.uintp(3)] = np.uint8(sum_3 / total + np.float32(0.5))


@kernel(f"void({_VOTERS}, int16[:, ::1], int32[::1], int64, int64, int32[::1])", fastmath=True)
def _argmax_vote(
    height: int,
    width: int,
    patch: int,
    pixels: Array,
    confidence: Array,
    sharpness: float,
    source: Array,
    cost: Array,
    low: int,
    high: int,
    source_map: Array,
) -> None:
    offsets, weights = np.empty(patch * patch, np.int32), np.empty(patch * patch, np.float32)
    for index in range(low, high):
        pixel: Number = np.int64(pixels[index])
        proposals = _weigh(height, width, patch, pixel, confidence, sharpness, source, cost, offsets, weights)
        distinct = favourite = 0
        for each in range(proposals):
            offset, weight = offsets[each], weights[each]
            known = distinct - 1
            while known >= 0 and offsets[known] != offset:
                known -= 1
            if known < 0:
                known = distinct
                offsets[known], weights[known] = offset, np.float32(0)
                distinct += 1
            weights[known] += weight
            if weights[known] > weights[favourite]:
                favourite = known
        source_map[pixel] = np.int32(pixel + offsets[favourite])
