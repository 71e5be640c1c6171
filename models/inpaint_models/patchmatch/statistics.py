"""What the known pixels tell of the picture as a whole: how unlike each other pixels at a distance are.

From it follow the first guess of what is in the hole, whether the picture repeats itself and by which offsets, and
which places do not resemble what is beside the hole. The guess is made on the coarsest level, where it decides which
structure the solve settles on. Its idea is that of ordinary kriging (Matheron 1963) with one neighbour on each side.
Most pictures lie in layers (ground, trees, sky), and there what is left and right of the hole counts more than what is
above and below it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ..machine.compiled import Array, Number, kernel
from .features import FEATURES, to_bytes
from .matching import PATCH, next_random, patch_distance, source_anchors
from .pyramid import PyramidLevel, fill_smoothly

_FEWEST_PAIRS = 50
_SAMPLES = 1000
_NOISE = 20.0  # squared levels: less of a difference is none
_SHORTEST_PX = 6  # periods
_RIM_PX = 3
_RIM_SAMPLES = 128
_APART = 1 / 15  # of the longer side: what is nearer resembles a patch by being smooth (He and Sun, section 3)
_SWEEPS = 4
_FAR = 4  # what a squared pixel of distance costs where the nearest is sought: little beside a line out of place
_DETAILED_SHARE = 0.25
_DISTANCES_PX = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def first_guess(features: NDArray[np.uint8], shown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W, FEATURES): what is not `shown`, (H, W), mixed from the nearest shown pixels of its row and its column.

    Each counts by 1 / unlikeness ** 2 at its distance. One pixel at least must be shown.
    """
    total = np.zeros((*shown.shape, 1), np.float32)
    mixed = np.zeros(features.shape, np.float32)
    for axis in (0, 1):
        rows, rows_shown = features.swapaxes(0, axis), shown.swapaxes(0, axis)
        unlike = _unlikeness(rows, rows_shown)
        for flip in (slice(None), slice(None, None, -1)):
            weight, nearest = _last_shown(rows[:, flip], rows_shown[:, flip], unlike)
            total += weight[:, flip].swapaxes(0, axis)
            mixed += (weight * nearest)[:, flip].swapaxes(0, axis)
    reached = shown | (total[..., 0] > 0)
    guess = np.where(shown[..., None], features, mixed / np.maximum(total, np.finfo(np.float32).tiny))
    return to_bytes(fill_smoothly(np.asarray(guess, np.float32), reached))


def _unlikeness(features: NDArray[np.uint8], shown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(W,) mean squared difference of shown pixels 0, 1, ... columns apart; made to never fall (a variogram)."""
    distances, means = [0], [0.0]
    totals, pairs = np.zeros((2, len(_DISTANCES_PX)), np.int64)
    _compare_in_rows(np.ascontiguousarray(features), np.ascontiguousarray(shown), totals, pairs)
    for distance, total, count in zip(_DISTANCES_PX, totals.tolist(), pairs.tolist(), strict=True):
        if count >= _FEWEST_PAIRS:
            distances.append(distance)
            means.append(max(means[-1], total / count))
    return np.interp(np.arange(shown.shape[1]), distances, means).astype(np.float32)


@kernel("void(uint8[:, :, ::1], boolean[:, ::1], int64[::1], int64[::1])")
def _compare_in_rows(features: Array, shown: Array, totals: Array, pairs: Array) -> None:
    """Adds the squared differences of shown pixels at each of _DISTANCES_PX in a row, and counts them."""
    height, width = shown.shape
    for turn in range(len(_DISTANCES_PX)):
        distance = _DISTANCES_PX[turn]
        for y in range(height):
            for x in range(width - distance):
                if shown[y, x] and shown[y, x + distance]:
                    pairs[turn] += 1
                    for k in range(4):
                        step = np.int64(features[y, x + distance, k]) - np.int64(features[y, x, k])
                        totals[turn] += step * step


def _last_shown(
    features: NDArray[np.uint8], shown: NDArray[np.bool_], unlike: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """((H, W, 1) weight, (H, W, FEATURES) features) of the last shown pixel of the row, up to each pixel."""
    columns = np.arange(shown.shape[1])
    last = np.maximum.accumulate(np.where(shown, columns, -1), axis=1)
    found = np.maximum(last, 0)
    weight = np.where(last >= 0, 1 / np.square(1 + unlike[columns - found]), np.float32(0))
    return weight[..., None].astype(np.float32), np.take_along_axis(features, found[..., None], axis=1)


def repetition(features: NDArray[np.uint8], known: NDArray[np.bool_]) -> float:
    """How well the known pixels repeat at the best distance: 0 exactly, about 1 not at all.

    It is their unlikeness at a distance over that at half the distance. A picture that merely changes slowly is more
    alike at half the distance, and one that does not change in a direction as much.
    """
    reach = min(known.shape) // 4 // 2 * 2
    rows, columns = np.nonzero(known)
    step = max(1, rows.size // _SAMPLES)
    totals, pairs = np.zeros((2, reach + 1, 2 * reach + 1), np.int32)
    planes = np.ascontiguousarray(np.moveaxis(features, 2, 0))
    _compare(planes, known.astype(np.uint8), rows[::step], columns[::step], reach, totals, pairs)
    unlike = np.where(4 * pairs >= rows[::step].size, totals / np.maximum(pairs, 1), np.inf)
    whole, half = unlike[::2, ::2], unlike[: reach // 2 + 1, reach // 2 : reach // 2 + reach + 1]
    down, right = np.ogrid[0 : reach + 1 : 2, -reach : reach + 1 : 2]
    compared = np.isfinite(whole) & np.isfinite(half) & (down**2 + right**2 >= _SHORTEST_PX**2)
    return float(((whole[compared] + _NOISE) / (half[compared] + _NOISE)).min(initial=1.0))


@kernel("void(uint8[:, :, ::1], uint8[:, ::1], int64[:], int64[:], int64, int32[:, ::1], int32[:, ::1])")
def _compare(planes: Array, known: Array, rows: Array, columns: Array, reach: int, totals: Array, pairs: Array) -> None:
    """Adds to [dy, reach + dx] the squared differences of the samples and what is (dy, dx) from them, and counts them.

    planes (FEATURES, H, W); the innermost loop runs along a row, which compiles to vector code.
    """
    height, width = known.shape
    for sample in range(rows.size):
        y, x = rows[sample], columns[sample]
        for dy in range(min(reach + 1, height - y)):
            if dy % 2 and 2 * dy > reach:
                continue  # neither a whole distance that is looked at nor the half of one
            far = reach // 2 if dy % 2 else reach
            left, right = max(0, x - far), min(width, x + far + 1)
            total, count = totals[dy, left - x + reach :], pairs[dy, left - x + reach :]
            there, usable = planes[:, y + dy, left:right], known[y + dy, left:right]
            for column in range(right - left):
                unlike = np.int32(0)
                for k in range(4):
                    step = np.int32(np.int32(there[k, column]) - np.int32(planes[k, y, x]))
                    unlike = np.int32(unlike + step * step)
                total[column] += np.int32(unlike * usable[column])
                count[column] += np.int32(usable[column])


def similar_offsets(
    level: PyramidLevel, step: int, poll: Callable[[], None], *, across: bool = False
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(n, 2) from known patches around the hole to others that resemble them, and back; and the same of the detailed.

    They tell along which lines and in which periods the picture repeats itself (He and Sun, "Statistics of Patch
    Offsets for Image Completion", ECCV 2012). Every `step`-th patch of every `step`-th row is looked at; of these a
    share is called detailed, those that show lines. `across`: only what lies beyond the hole as seen from its border,
    and the nearest of it. All places along a line resemble each other, but only near ones bridge a small hole from both
    sides; in large ones, to which many lines lead, it is no gain.
    """
    height, width = level.shape
    rows, columns = (np.flatnonzero(level.hole.any(axis=axis)) for axis in (1, 0))
    reach = max(np.ptp(rows), np.ptp(columns)) // 2 + PATCH
    anchors = source_anchors(level.patches)
    near = np.zeros_like(anchors)
    around = tuple(slice(max(0, each[0] - reach) // step * step, each[-1] + reach, step) for each in (rows, columns))
    near[around] = anchors[around]
    here, found = np.flatnonzero(near).astype(np.int32), np.full(anchors.size, -1, np.int32)
    costs = np.full(anchors.size, np.iinfo(np.int32).max, np.int32)
    apart_px, far = max(height, width) * _APART, 0
    if across:
        apart_px, far = max(apart_px, float(level.distance.max()) + PATCH // 2), _FAR
    apart = round(apart_px) ** 2
    for turn in range(_SWEEPS):
        poll()
        _match_elsewhere(level.features.ravel(), anchors, here, step, apart, far, turn, found, costs)
    here = here[found[here] >= 0]
    detailed = _most_detailed(level.features, here)
    there, here = (np.stack(np.divmod(flat, width), axis=1) for flat in (found[here], here))
    away = (there - here).astype(np.int32)
    return np.concatenate([away, -away]), np.concatenate([away[detailed], -away[detailed]])


def peaks_of(offsets: NDArray[np.int32], most: int) -> NDArray[np.int32]:
    """(n, 2) -> (at most `most`, 2): the highest peaks of their smoothed histogram (He and Sun, section 3)."""
    middle = np.abs(offsets).max(axis=0, initial=0) + 2
    counts = np.zeros(2 * middle + 1, np.float32)
    np.add.at(counts, tuple((offsets + middle).T), 1)
    binomial = np.array([1, 4, 6, 4, 1], np.float32)  # sums of whole numbers are exact on every machine
    counts = np.asarray(cv2.sepFilter2D(counts, -1, binomial, binomial))
    peaks = np.flatnonzero((counts > 0) & (counts == cv2.dilate(counts, np.ones((5, 5), np.uint8))))
    peaks = peaks[np.argsort(-counts.ravel()[peaks], kind="stable")[:most]]
    return np.asarray(np.stack(np.divmod(peaks, counts.shape[1]), axis=1) - middle, np.int32)


def _most_detailed(features: NDArray[np.uint8], anchors: NDArray[np.int32]) -> NDArray[np.intp]:
    """Which of the patches show the most detail."""
    detail = cv2.boxFilter(features[..., 3].astype(np.float32), -1, (PATCH, PATCH), anchor=(0, 0), normalize=False)
    order = np.argsort(-detail.ravel()[anchors], kind="stable")
    return order[: round(anchors.size * _DETAILED_SHARE)]


@kernel("void(uint8[::1], uint8[:, ::1], int32[::1], int64, int64, int64, int64, int32[::1], int32[::1])")
def _match_elsewhere(
    features: Array, anchors: Array, here: Array, step: int, apart: int, far: int, turn: int, found: Array, costs: Array
) -> None:
    """One sweep of PatchMatch from known patches to others that are so far away (squared) or farther.

    far           what each squared pixel between the two costs
    found, costs  (H * W,) the position of the match, or -1, and its cost
    """
    height, width = anchors.shape
    random: Number = np.uint32(2654435761 * (turn + 1) & 0xFFFFFFFF)
    step = -step if turn % 2 else step
    for index in range(here.size):
        anchor = np.int64(here[here.size - 1 - index if turn % 2 else index])
        y, x = anchor // width, anchor % width
        match: Number = np.int64(found[anchor])
        match_y, match_x = (match // width, match % width) if match >= 0 else (y, x)
        best: Number = np.int64(costs[anchor])
        reach: Number = np.int64(max(height, width))
        for attempt in range(2 + 16):
            if attempt < 2:
                back = step if attempt == 0 else step * width
                if not 0 <= anchor - back < found.size or found[anchor - back] < 0:
                    continue
                candidate = np.int64(found[anchor - back]) + back
                to_y: Number = candidate // width
                to_x: Number = candidate - to_y * width
            elif reach == 0:
                break
            else:
                random = next_random(random)
                to_y = match_y + (np.int64(random >> np.uint32(16)) * (2 * reach + 1) >> 16) - reach
                to_x = match_x + (np.int64(random & np.uint32(65535)) * (2 * reach + 1) >> 16) - reach
                reach >>= 2 if far else 1  # near ones are found with half the tries
                candidate = to_y * width + to_x
            inside = 0 <= to_y < height and 0 <= to_x < width
            if not inside or candidate == match or not anchors[to_y, to_x]:
                continue
            apart_here = (to_y - y) ** 2 + (to_x - x) ** 2
            away = apart_here * far
            if apart_here >= apart and away < best:
                distance = away + patch_distance(features, width * 4, anchor * 4, candidate * 4, best - away)
                if distance < best:
                    match, match_y, match_x, best = candidate, to_y, to_x, distance
        found[anchor], costs[anchor] = match, best


def strangeness(features: NDArray[np.uint8], hole: NDArray[np.bool_], most: int) -> NDArray[np.int32]:
    """(H, W) squared distance of each pixel's features to the most similar ones beside the hole, at most `most`.

    What belongs into a hole nearly always shows beside it. A head of hair from the other end of the picture may bridge
    two shades of a wall more cheaply than any wall, and so what resembles nothing at the rim costs more to copy. A ban
    would take away thin things and textures that show only a little there.
    """
    square = np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8)
    rim = features[(cv2.dilate(hole.astype(np.uint8), square) > 0) & ~hole]
    samples = np.ascontiguousarray(rim[:: max(1, len(rim) // _RIM_SAMPLES)], np.int32)
    distance = np.full(hole.size, most, np.int32)
    _nearest_sample(features.reshape(-1, FEATURES), samples, distance)
    return distance.reshape(hole.shape)


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
