"""Which copies fit together: one source for each pixel of the coarsest level's hole, so that seams show the least.

Match and vote leave each patch its own choice, and what many choices average to can be a blur, or a line that ends in
the hole. Here whole regions take one offset: a shift map (Pritch, Kav-Venaki, Peleg, ICCV 2009). The offsets to choose
from are the most frequent ones of the matches and of the surroundings, which tell along which lines and in which
periods the picture repeats itself (He and Sun, ECCV 2012). The cost is that of the seams (Kwatra et al., SIGGRAPH
2003); sequential tree-reweighted message passing lowers it (Kolmogorov, PAMI 2006). All is done in whole numbers,
which are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from .compiled import Array, Number, kernel
from .matching import PATCH, NearestNeighbourField, Patches, Search, offsets_of, patch_distance, source_anchors

_MOST_PIXELS = 4_000  # a hole of more on this level is thin everywhere: patches reach across it
_OFFSETS = 20  # from the matches, and as many from the surroundings
_SAMPLES = 100  # of the surroundings' patches, among the share that shows the most detail
_DETAILED_SHARE = 0.25
_APART = 1 / 15  # of the longer side: what is nearer resembles a patch by being smooth (He and Sun, section 3)
_PASSES = 12
_SEAM = 100  # squared levels: what a seam costs that does not show
_TO_KNOWN = 2  # how much more a seam to known pixels counts
_NEVER = 1 << 23
_STEPS = ((0, -1), (0, 1), (-1, 0), (1, 0))  # to the left, right, upper and lower neighbour

Flat = NDArray[np.int32]
"""Positions y * W + x."""


def coherent_sources(
    features: NDArray[np.uint8],
    patches: Patches,
    nnf: NearestNeighbourField,
    favourites: NDArray[np.int32],
    search: Search,
    poll: Callable[[], None],
) -> NDArray[np.int32]:
    """(H, W) flat position of a source pixel for each one of the hole; each known pixel's is itself.

    favourites  such a map too, that of the matches: each pixel's own source is one that it can choose
    """
    hole, flat = favourites != np.arange(favourites.size).reshape(favourites.shape), favourites.ravel()
    pixels = np.flatnonzero(hole).astype(np.int32)
    if pixels.size > _MOST_PIXELS:
        return favourites
    frequent = [_most_frequent(offsets_of(nnf, patches)), _most_frequent(_self_similar(features, pixels, patches))]
    sources, alone = _candidates(pixels, flat, patches, np.unique(np.concatenate(frequent), axis=0), search)
    poll()
    shown = np.stack([_shown(features, hole, sources, step) for step in ((0, 0), *_STEPS)], axis=1)
    beside = _neighbours(pixels, hole)
    alone += _TO_KNOWN * _seams_to_known(features, hole, pixels, shown)
    alone = np.minimum(alone, _NEVER).astype(np.int32)
    messages = np.zeros((pixels.size, len(_STEPS), sources.shape[1]), np.int32)
    for turn in range(_PASSES):
        poll()
        _pass_messages(alone, beside, shown, messages, turn % 2 == 1, _SEAM)
    chosen = np.empty(pixels.size, np.int64)
    _choose(alone, beside, shown, messages, _SEAM, chosen)
    coherent = flat.copy()
    coherent[pixels] = sources[np.arange(pixels.size), chosen]
    return coherent.reshape(hole.shape)


def _most_frequent(offsets: NDArray[np.int32]) -> NDArray[np.int32]:
    """(n, 2) -> (at most _OFFSETS, 2)."""
    distinct, counts = np.unique(offsets, axis=0, return_counts=True)
    return np.asarray(distinct[np.argsort(-counts, kind="stable")[:_OFFSETS]])


def _self_similar(features: NDArray[np.uint8], pixels: Flat, patches: Patches) -> NDArray[np.int32]:
    """(n, 2) offsets from known patches around the hole to the patches elsewhere that resemble them most, and back."""
    height, width = patches.role.shape
    (y, x), (hole_y, hole_x) = (np.divmod(flat, width) for flat in (patches.sources, pixels))
    reach = max(np.ptp(hole_y), np.ptp(hole_x)) // 2
    near = (y > hole_y.min() - reach - PATCH) & (y < hole_y.max() + reach)
    near &= (x > hole_x.min() - reach - PATCH) & (x < hole_x.max() + reach)
    samples = patches.sources[near]
    detail = cv2.boxFilter(features[..., 3].astype(np.float32), -1, (PATCH, PATCH), anchor=(0, 0), normalize=False)
    most_detailed = np.argsort(-detail.ravel()[samples], kind="stable")[: round(samples.size * _DETAILED_SHARE)]
    samples = np.sort(samples[most_detailed])[:: max(1, most_detailed.size // _SAMPLES)].copy()
    found = samples.copy()
    apart = round(max(height, width) * _APART) ** 2
    _nearest_elsewhere(features.ravel(), width, patches.sources, samples, apart, found)
    there, here = (np.stack(np.divmod(flat, width), axis=1) for flat in (found, samples))
    return np.concatenate([there - here, here - there])


@kernel("void(uint8[::1], int64, int32[::1], int32[::1], int64, int32[::1])")
def _nearest_elsewhere(features: Array, width: int, sources: Array, samples: Array, apart: int, found: Array) -> None:
    """found[i] = the anchor whose patch is most like that of samples[i], of those so far away (squared) or farther."""
    for index in range(samples.size):
        sample = np.int64(samples[index])
        y = sample // width
        x = sample - y * width
        least: Number = np.int64(2**31 - 1)
        for other in range(sources.size):
            source = np.int64(sources[other])
            source_y = source // width
            source_x = source - source_y * width
            if (source_y - y) ** 2 + (source_x - x) ** 2 >= apart:
                distance = patch_distance(features, width * 4, sample * 4, source * 4, least)
                if distance < least:
                    least = distance
                    found[index] = source


def _candidates(
    pixels: Flat, favourites: Flat, patches: Patches, offsets: NDArray[np.int32], search: Search
) -> tuple[Flat, NDArray[np.int64]]:
    """(n, candidates) sources of each pixel, by the offsets and its favourite, and what the displacements cost."""
    height, width = patches.role.shape
    square = np.ones((PATCH, PATCH), np.uint8)
    usable = cv2.dilate(source_anchors(patches), square, anchor=(PATCH - 1, PATCH - 1)) > 0
    y, x = (place[:, None] for place in np.divmod(pixels, width))
    to_y, to_x = y + offsets[:, 0], x + offsets[:, 1]
    inside = (to_y >= 0) & (to_y < height) & (to_x >= 0) & (to_x < width)
    inside &= usable[np.clip(to_y, 0, height - 1), np.clip(to_x, 0, width - 1)]
    own = favourites[pixels][:, None]
    sources = np.concatenate([np.where(inside, to_y * width + to_x, own), own], axis=1).astype(np.int32)
    to_y, to_x = np.divmod(sources, width)
    cost = search.vertical_cost * np.square(to_y - y) + search.horizontal_cost * np.square(to_x - x)
    alone = (cost / PATCH**2).astype(np.int64)
    alone[:, :-1][~inside] = _NEVER
    return sources, alone


def _shown(
    features: NDArray[np.uint8], hole: NDArray[np.bool_], sources: Flat, step: tuple[int, int]
) -> NDArray[np.int32]:
    """(n, FEATURES, candidates) what copies show a step away; where that is not known, what they show themselves."""
    height, width = hole.shape
    y, x = np.divmod(sources, width)
    there = np.clip(y + step[0], 0, height - 1) * width + np.clip(x + step[1], 0, width - 1)
    there = np.where(hole.ravel()[there], sources, there)
    return np.ascontiguousarray(np.moveaxis(features.reshape(hole.size, -1)[there], 2, 1), np.int32)


def _neighbours(pixels: Flat, hole: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(n, directions) number of the neighbour among the hole's pixels, or -1."""
    numbers = np.full((hole.shape[0] + 2, hole.shape[1] + 2), -1, np.int32)
    y, x = np.divmod(pixels, hole.shape[1])
    numbers[y + 1, x + 1] = np.arange(pixels.size)
    return np.stack([numbers[y + 1 + dy, x + 1 + dx] for dy, dx in _STEPS], axis=1)


def _seams_to_known(
    features: NDArray[np.uint8], hole: NDArray[np.bool_], pixels: Flat, shown: NDArray[np.int32]
) -> NDArray[np.int64]:
    """(n, candidates) squared difference of what copies show beside the pixel and the known pixels that are there."""
    height, width = hole.shape
    y, x = np.divmod(pixels, width)
    total = np.zeros((shown.shape[0], shown.shape[3]), np.int64)
    for direction, (dy, dx) in enumerate(_STEPS):
        to_y, to_x = np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)
        known = features[to_y, to_x].astype(np.int32)[:, :, None]
        seam = np.square(shown[:, 1 + direction] - known).sum(axis=1)
        total += np.where(hole[to_y, to_x][:, None], 0, seam)  # beyond the picture is the pixel itself, in the hole
    return total


@kernel("void(int32[:, ::1], int32[:, ::1], int32[:, :, :, ::1], int32[:, :, ::1], boolean, int64)")
def _pass_messages(alone: Array, beside: Array, shown: Array, messages: Array, backward: bool, seam: int) -> None:
    """One pass: each pixel tells the next ones what each of their candidates would cost all that lies behind it.

    alone     (n, candidates) cost of each candidate by itself
    beside    (n, directions) number of the neighbour in the hole, or -1
    shown     (n, 1 + directions, FEATURES, candidates) see `_shown`
    messages  (n, directions, candidates) what a pixel was told from each direction
    """
    pixels, candidates = alone.shape
    total = np.empty(candidates, np.int32)
    for turn in range(pixels):
        pixel = pixels - 1 - turn if backward else turn
        for direction in range(0 if backward else 1, 4, 2):
            other = beside[pixel, direction]
            if other < 0:
                continue
            back = direction ^ 1
            for mine in range(candidates):
                told = messages[pixel, 0, mine] + messages[pixel, 1, mine]
                told += messages[pixel, 2, mine] + messages[pixel, 3, mine] + alone[pixel, mine]
                total[mine] = np.int32((told >> 1) - messages[pixel, direction, mine])
            here, there = shown[pixel, 0], shown[pixel, 1 + direction]
            here_too, there_too = shown[other, 1 + back], shown[other, 0]
            lowest = np.int32(2**30)
            for theirs in range(candidates):
                least = np.int32(2**30)
                for mine in range(candidates):
                    cost = np.int32(total[mine] + (seam if mine != theirs else 0))
                    for k in range(4):
                        step = np.int32(here[k, mine] - here_too[k, theirs])
                        cost = np.int32(cost + np.int32(step * step))
                        step = np.int32(there[k, mine] - there_too[k, theirs])
                        cost = np.int32(cost + np.int32(step * step))
                    least = min(least, cost)
                messages[other, back, theirs] = least
                lowest = min(lowest, least)
            for theirs in range(candidates):
                messages[other, back, theirs] = min(messages[other, back, theirs] - lowest, _NEVER)


@kernel("void(int32[:, ::1], int32[:, ::1], int32[:, :, :, ::1], int32[:, :, ::1], int64, int64[::1])")
def _choose(alone: Array, beside: Array, shown: Array, messages: Array, seam: int, chosen: Array) -> None:
    """Each pixel's cheapest candidate, given what the pixels before it chose and what those behind it told."""
    pixels, candidates = alone.shape
    for pixel in range(pixels):
        lowest = np.int64(2**62)
        for mine in range(candidates):
            cost = np.int64(alone[pixel, mine]) + messages[pixel, 1, mine] + messages[pixel, 3, mine]
            for direction in range(0, 4, 2):
                other = beside[pixel, direction]
                if other >= 0:
                    theirs = chosen[other]
                    cost += seam if mine != theirs else 0
                    for k in range(4):
                        step = np.int64(shown[pixel, 0, k, mine]) - shown[other, 2 + direction, k, theirs]
                        cost += step * step
                        step = np.int64(shown[pixel, 1 + direction, k, mine]) - shown[other, 0, k, theirs]
                        cost += step * step
            if cost < lowest:
                lowest = cost
                chosen[pixel] = mine
