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
    """What a level's votes need beside the matches: what both kernels take first, in order.

    pixels      flat positions of the hole's pixels
    confidence  (H * W,) weight of the patch anchored at each pixel by where it lies
    """

    height: int
    width: int
    pixels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    sharpness: float


_LEAST_POWER = 0.05  # to the 16th and times the least confidence it is a normal float32: others are slow

_VOTERS = "int64, int64, int32[::1], float32[::1], float32"


def voters_of(distance: NDArray[np.float32], settings: PatchMatchSettings) -> Voters:
    """Once for all rounds of a level. distance: (H, W) to the nearest known pixel, 0 there."""
    height, width = distance.shape
    middle = PATCH // 2
    confidence = np.zeros_like(distance)
    depth = np.minimum(distance[middle:, middle:], np.float32(settings.inward_px))
    confidence[:-middle, :-middle] = np.exp(np.float32(-settings.inward) * depth)
    pixels = np.flatnonzero(distance).astype(np.int32)
    return Voters(height, width, pixels, confidence.ravel(), settings.sharpness)


def vote(features: NDArray[np.uint8], nnf: NearestNeighbourField, voters: Voters, chunks: Chunks) -> NDArray[np.uint8]:
    """(H, W, FEATURES) with each hole pixel the weighted mean of its proposals; reads the known pixels only."""
    voted = features.copy()
    before, after, away = features.ravel(), voted.ravel(), _away(nnf, voters.width)

    def job(low: int, high: int) -> None:
        _vote(*voters, away, nnf.cost, low, high, before, after)

    chunks.run(job, voters.pixels.size)
    return voted


def argmax_vote(nnf: NearestNeighbourField, voters: Voters, chunks: Chunks) -> NDArray[np.int32]:
    """(H, W) flat position of each hole pixel's favourite proposal; each known pixel's is itself."""
    source_map, away = np.arange(voters.height * voters.width, dtype=np.int32), _away(nnf, voters.width)

    def job(low: int, high: int) -> None:
        _argmax_vote(*voters, away, nnf.cost, low, high, source_map)

    chunks.run(job, voters.pixels.size)
    return source_map.reshape(voters.height, voters.width)


def _away(nnf: NearestNeighbourField, width: int) -> NDArray[np.int32]:
    """(H * W,) from each target's flat position to its match's."""
    away = nnf.source[:, 0] * np.int32(width)
    away += nnf.source[:, 1]
    away -= np.arange(away.size, dtype=np.int32)
    return np.asarray(away)


@inlined
def _weigh(
    height: int, width: int, pixel: Number, confidence: Array, sharpness: float, away: Array, cost: Array,
    offsets: Array, weights: Array,
) -> Number:  # fmt: skip
    """Fills in what the patches that cover a pixel propose, and how much each counts; returns how many there are.

    Weights fall with the cost like exp(-sharpness * cost / mean cost), in a form that compiles to vector code.
    """
    y = pixel // width
    x = pixel - y * width
    top: Number = max(0, y - PATCH + 1)
    left: Number = max(0, x - PATCH + 1)
    bottom: Number = min(height - PATCH + 1, y + 1)
    right: Number = min(width - PATCH + 1, x + 1)
    columns = right - left
    least: Number = np.int32(cost[np.uintp(top * width + left)])
    total = np.float32(1)
    for row in range(top, bottom):
        start = np.uintp(row * width + left)  # unsigned: no test for negative indices
        for column in range(columns):
            each = cost[start + np.uintp(column)]
            total += np.float32(each)
            least = min(least, each)
    scale = sharpness * np.float32((bottom - top) * columns) / (np.float32(16) * total)
    for row in range(top, bottom):
        start, first = np.uintp(row * width + left), np.uintp((row - top) * columns)
        if columns == PATCH:
            _weigh_row(PATCH, cost, confidence, away, start, least, scale, offsets, weights, first)
        else:
            _weigh_row(columns, cost, confidence, away, start, least, scale, offsets, weights, first)
    return (bottom - top) * columns


@inlined
def _weigh_row(
    columns: int, cost: Array, confidence: Array, away: Array, start: Number, least: Number, scale: Number,
    offsets: Array, weights: Array, first: Number,
) -> None:  # fmt: skip
    for column in range(columns):
        anchor, place = start + np.uintp(column), first + np.uintp(column)
        power = np.float32(1) + np.float32(least - cost[anchor]) * scale
        power = power if power > np.float32(_LEAST_POWER) else np.float32(0)
        power *= power
        power *= power
        power *= power
        weights[place] = power * power * confidence[anchor]
        offsets[place] = away[anchor]


@kernel(f"void({_VOTERS}, int32[::1], int32[::1], int64, int64, uint8[::1], uint8[::1])", fastmath=True)
def _vote(
    height: int,
    width: int,
    pixels: Array,
    confidence: Array,
    sharpness: float,
    away: Array,
    cost: Array,
    low: int,
    high: int,
    features: Array,  # (H * W * 4,)
    voted: Array,
) -> None:
    offsets, weights = np.empty(PATCH * PATCH, np.int32), np.empty(PATCH * PATCH, np.float32)
    for index in range(low, high):
        pixel: Number = np.int64(pixels[index])
        proposals = _weigh(height, width, pixel, confidence, sharpness, away, cost, offsets, weights)
        total: Number = np.float32(0)
        sum_0 = sum_1 = sum_2 = sum_3 = total
        each: Number = np.uintp(0)  # unsigned: no test for negative indices
        while each < np.uintp(proposals):
            offset, weight = offsets[each], weights[each]
            each += np.uintp(1)
            while each < np.uintp(proposals) and offsets[each] == offset:  # neighbouring patches mostly agree
                weight += weights[each]
                each += np.uintp(1)
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


@kernel(f"void({_VOTERS}, int32[::1], int32[::1], int64, int64, int32[::1])", fastmath=True)
def _argmax_vote(
    height: int,
    width: int,
    pixels: Array,
    confidence: Array,
    sharpness: float,
    away: Array,
    cost: Array,
    low: int,
    high: int,
    source_map: Array,
) -> None:
    offsets, weights = np.empty(PATCH * PATCH, np.int32), np.empty(PATCH * PATCH, np.float32)
    for index in range(low, high):
        pixel: Number = np.int64(pixels[index])
        proposals = _weigh(height, width, pixel, confidence, sharpness, away, cost, offsets, weights)
        distinct = favourite = 0
        each: Number = np.uintp(0)
        while each < np.uintp(proposals):
            offset, weight = offsets[each], weights[each]
            each += np.uintp(1)
            while each < np.uintp(proposals) and offsets[each] == offset:
                weight += weights[each]
                each += np.uintp(1)
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
