"""Which copies fit together: one source for each pixel of the hole, so that seams show the least.

Match and vote leave each patch its own choice, and what many choices average to can be a blur, or a line that ends in
the hole. Here whole regions take one offset: a shift map (Pritch, Kav-Venaki, Peleg, ICCV 2009). The offsets to choose
from are the most frequent ones of the matches and the dominant ones of the surroundings (He and Sun, ECCV 2012). The
cost is that of the seams (Kwatra et al., SIGGRAPH 2003) and of what differs from the estimate of match and vote;
sequential tree-reweighted message passing lowers it (Kolmogorov, PAMI 2006). On finer levels only the seams are moved,
among the offsets nearby. All is done in whole numbers, which are the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..machine.compiled import Array, Number, inlined, kernel
from .chunks import Chunks
from .features import FEATURES
from .matching import PATCH, Patches, Search, source_anchors
from .pyramid import PyramidLevel
from .statistics import peaks_of, similar_offsets

_FREQUENT = 20  # offsets from the matches,
_DOMINANT = 40  # and from the surroundings
_EVERY_PX = 2  # every second patch of the surroundings is looked at
_PASSES, _PASSES_FINER = 24, 4
_PASSES_BEFORE_COUNT = 8
_MOST_EXCESS, _OVERUSE = 3, 3
_MOST_COSTS = 10_000_000  # of pairs of choices: 40 MB
_SEAM = 100  # squared levels: what a seam costs that does not show
_TO_KNOWN = 32  # how much more a seam to known pixels counts
_TEXTURE = 256  # strength of texture, of two pixels, that hides half of a seam
_TRUST = 26
_NEVER = 1 << 23
_NEAR = 13  # choices on a finer level: the offsets around and four like the own one

Flat = NDArray[np.int32]
"""Positions y * W + x, and differences of them."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What match and vote made of the hole.

    features    (H, W, FEATURES)
    favourites  (H, W) flat position of a source pixel for each one of the hole; each known pixel's is itself
    offsets     (n, 2) of the matches, as (y, x)
    """

    features: NDArray[np.uint8]
    favourites: NDArray[np.int32]
    offsets: NDArray[np.int32]


def redrawn_sources(
    level: PyramidLevel,
    estimate: Estimate,
    strange: NDArray[np.int32],
    search: Search,
    chunks: Chunks,
    *,
    across: bool,
) -> NDArray[np.int32]:
    """(H, W) as `favourites` of an `Estimate`, for the coarsest level: a line that the estimate lost can return.

    across  as in `similar_offsets`
    """
    _, similar = similar_offsets(level, 1, chunks.poll, across=across)
    offsets = np.concatenate([_most_frequent(similar), _most_frequent(estimate.offsets)])
    return _coherent(level, estimate, offsets, strange, search, 0, chunks)


def coherent_sources(
    level: PyramidLevel,
    estimate: Estimate,
    strange: NDArray[np.int32],
    search: Search,
    overuse: float,
    chunks: Chunks,
) -> NDArray[np.int32]:
    """(H, W) as `favourites` of an `Estimate`: near to the estimate.

    strange  (H, W) what it costs to copy a pixel
    overuse  what each use of a pixel more than two costs, times its squared texture strength
    """
    similar, detailed = similar_offsets(level, _EVERY_PX, chunks.poll)
    offsets = [peaks_of(similar, _DOMINANT), _most_frequent(detailed), _most_frequent(estimate.offsets)]
    return _coherent(
        level, estimate, np.concatenate(offsets), strange, search, _TRUST, chunks, overuse=_OVERUSE * overuse
    )


def _coherent(
    level: PyramidLevel,
    estimate: Estimate,
    offsets: NDArray[np.int32],
    strange: NDArray[np.int32],
    search: Search,
    trust: int,
    chunks: Chunks,
    *,
    overuse: float = 0.0,
) -> NDArray[np.int32]:
    """`trust`: what the squared difference from the estimate costs, in 64ths."""
    pixels = np.flatnonzero(level.hole).astype(np.int32)
    possible, choices = _choices(pixels, estimate.favourites, _usable(level.patches), np.unique(offsets, axis=0))
    sources = np.where(possible, pixels[:, None] + choices, 0).astype(np.int32)
    alone = (
        _unlike(level, estimate, pixels, sources) * trust // 64
        + strange.ravel()[sources]
        + _displacement(pixels, sources, level.shape[1], search)
    )
    alone = np.where(possible, alone, _NEVER).astype(np.int32)
    kept = _cheapest(alone)
    texture, mapped = (
        np.ascontiguousarray(estimate.features[..., 3].ravel()),
        np.arange(level.hole.size, dtype=np.int32),
    )
    possible, choices, alone = possible[:, kept], choices[:, kept], alone[:, kept]
    _solve(level, texture, pixels, possible, choices, alone, _PASSES, chunks, mapped, overuse=overuse)
    return mapped.reshape(level.shape)


def _displacement(pixels: Flat, sources: Flat, width: int, search: Search) -> NDArray[np.int32]:
    """(n, choices) what it costs to copy from far away."""
    (y, x), (to_y, to_x) = np.divmod(pixels[:, None], width), np.divmod(sources, width)
    cost = search.vertical_cost * np.square(to_y - y) + search.horizontal_cost * np.square(to_x - x)
    return np.asarray(cost / PATCH**2, np.int32)


def _unlike(level: PyramidLevel, estimate: Estimate, pixels: Flat, sources: Flat) -> NDArray[np.int32]:
    """(n, choices) squared difference of the sources and the estimate."""
    unlike = np.empty(sources.shape, np.int32)
    features, wanted = (each.reshape(-1, FEATURES) for each in (level.features, estimate.features))
    _differ(features, wanted[pixels], sources, unlike)
    return unlike


@kernel("void(uint8[:, ::1], uint8[:, ::1], int32[:, ::1], int32[:, ::1])")
def _differ(features: Array, wanted: Array, sources: Array, unlike: Array) -> None:
    """Each choice's squared difference from what is wanted at its pixel."""
    for index in range(sources.shape[0]):
        for choice in range(sources.shape[1]):
            total = np.int32(0)
            for k in range(4):
                step = np.int32(features[sources[index, choice], k]) - np.int32(wanted[index, k])
                total = np.int32(total + step * step)
            unlike[index, choice] = total


def finer_sources(level: PyramidLevel, coarse: NDArray[np.int32], chunks: Chunks) -> NDArray[np.int32]:
    """The map of the next coarser level on this one, with the seams where they show the least here.

    Away from seams a pixel has its one choice, and is settled before the others.
    """
    pixels = np.flatnonzero(level.hole).astype(np.int32)
    choices, counts = np.zeros((pixels.size, _NEAR), np.int32), np.zeros(pixels.size, np.int32)
    usable = _usable(level.patches)
    chunks.run(lambda low, high: _offsets_near(pixels, low, high, coarse, usable, choices, counts), pixels.size)
    sources = np.arange(level.hole.size, dtype=np.int32)
    sources[pixels] += choices[:, 0]
    texture = level.features[..., 3].ravel()[sources]
    undecided = counts > 1
    pixels, choices, possible = pixels[undecided], choices[undecided], np.arange(_NEAR) < counts[undecided, None]
    if pixels.size:
        _solve(level, texture, pixels, possible, choices, np.zeros_like(choices), _PASSES_FINER, chunks, sources)
    return sources.reshape(level.shape)


def _usable(patches: Patches) -> NDArray[np.bool_]:
    """(H, W) the pixels of patches that may be copied."""
    square = np.ones((PATCH, PATCH), np.uint8)
    return np.asarray(cv2.dilate(source_anchors(patches), square, anchor=(PATCH - 1, PATCH - 1)) > 0)


def _most_frequent(offsets: NDArray[np.int32]) -> NDArray[np.int32]:
    """(n, 2) -> (at most _FREQUENT, 2)."""
    distinct, counts = np.unique(offsets, axis=0, return_counts=True)
    return np.asarray(distinct[np.argsort(-counts, kind="stable")[:_FREQUENT]])


def _choices(
    pixels: Flat, favourites: Flat, usable: NDArray[np.bool_], offsets: NDArray[np.int32]
) -> tuple[NDArray[np.bool_], Flat]:
    """(n, choices) whether a pixel can take an offset, and the offsets; the last is that of its favourite."""
    height, width = usable.shape
    y, x = (place[:, None] for place in np.divmod(pixels, width))
    to_y, to_x = y + offsets[:, 0], x + offsets[:, 1]
    possible = (to_y >= 0) & (to_y < height) & (to_x >= 0) & (to_x < width)
    possible &= usable[np.clip(to_y, 0, height - 1), np.clip(to_x, 0, width - 1)]
    flat = np.broadcast_to(offsets[:, 0] * width + offsets[:, 1], possible.shape)
    possible = np.pad(possible, ((0, 0), (0, 1)), constant_values=True)
    return possible, np.column_stack([flat, favourites.ravel()[pixels] - pixels]).astype(np.int32)


def _cheapest(alone: NDArray[np.int32]) -> NDArray[np.intp]:
    """Which choices to keep, so that pairs are not too many: the favourite and those that are good for most pixels."""
    pixels, choices = alone.shape
    most = max(4, int((_MOST_COSTS / (2 * pixels)) ** 0.5))
    if choices <= most:
        return np.arange(choices)
    good = np.bincount(np.argsort(alone, axis=1, kind="stable")[:, :4].ravel(), minlength=choices)
    good[-1] = pixels + 1
    return np.sort(np.argsort(-good, kind="stable")[:most])


class _Labels(NamedTuple):
    """The choices of all undecided pixels, one after the other.

    pixels  (n,) flat positions
    beside  (n, 4) number of the lower, right, upper and left neighbour, or -1 where that is none of them
    first   (n + 1,) where each pixel's choices begin
    offset  (choices,) from the pixel to its source
    """

    pixels: Flat
    beside: NDArray[np.int32]
    first: NDArray[np.int64]
    offset: Flat


def _solve(
    level: PyramidLevel,
    texture: NDArray[np.uint8],
    pixels: Flat,
    possible: NDArray[np.bool_],
    choices: Flat,
    alone: NDArray[np.int32],
    passes: int,
    chunks: Chunks,
    sources: Flat,
    *,
    overuse: float = 0.0,
) -> None:
    """Puts the cheapest choices found into the map; `possible`, `choices` and `alone` are (n, choices).

    sources  (H * W,) where the hole's other pixels are settled
    """
    undecided = np.zeros(level.hole.size, np.bool_)
    undecided[pixels] = True
    first = np.concatenate([[0], np.cumsum(possible.sum(axis=1))])
    beside = _neighbours(undecided.reshape(level.shape))
    labels = _Labels(pixels, beside, first, np.ascontiguousarray(choices[possible]))
    sizes = np.append(np.diff(first), 0)  # of neighbour -1: none
    begin = np.concatenate([[0], np.cumsum(sizes[labels.beside[:, :2]] * sizes[:-1, None])])
    costs, singly = np.empty(begin[-1], np.int32), np.ascontiguousarray(alone[possible])
    features, hole, width = level.features.ravel(), level.hole.ravel(), level.shape[1]

    def job(low: int, high: int) -> None:
        _add_settled_seams(*labels, low, high, features, hole, width, texture, undecided, sources, singly)
        _pair_costs(*labels, low, high, features, hole, width, texture, begin, costs)

    chunks.run(job, pixels.size)
    messages, chosen = np.zeros((4, first[-1]), np.int32), np.empty(pixels.size, np.int64)
    for turn in range(passes):
        chunks.poll()
        if overuse and turn and turn % _PASSES_BEFORE_COUNT == 0:
            _choose(*labels, singly, begin, costs, messages, chosen, sources)
            singly += _overused(level, sources[pixels], np.repeat(pixels, np.diff(first)) + labels.offset, overuse)
        _pass_messages(*labels, singly, begin, costs, messages, turn % 2 == 1)
    _choose(*labels, singly, begin, costs, messages, chosen, sources)


def _overused(level: PyramidLevel, used: Flat, choices: Flat, overuse: float) -> NDArray[np.int32]:
    """What each choice costs for being taken more than twice already, by its squared strength of texture."""
    excess = np.clip(np.bincount(used, minlength=level.hole.size) - 2, 0, _MOST_EXCESS)
    cost = overuse * excess * np.square(level.features[..., 3].ravel(), dtype=np.float64)
    return np.asarray(cost[choices], np.int32)


def _neighbours(undecided: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(n, 4) see `_Labels`."""
    numbers = np.full((undecided.shape[0] + 2, undecided.shape[1] + 2), -1, np.int32)
    inner = numbers[1:-1, 1:-1]
    inner[undecided] = np.arange(np.count_nonzero(undecided))
    beside = [numbers[2:, 1:-1], numbers[1:-1, 2:], numbers[:-2, 1:-1], numbers[1:-1, :-2]]
    return np.stack([each[undecided] for each in beside], axis=1)


_LABELS = "int32[::1], int32[:, ::1], int64[::1], int32[::1]"


@kernel("void(int32[::1], int64, int64, int32[:, ::1], boolean[:, ::1], int32[:, ::1], int32[::1])")
def _offsets_near(
    pixels: Array, low: int, high: int, coarse: Array, usable: Array, choices: Array, counts: Array
) -> None:
    """Each pixel's choices: the offsets of the coarser level there, the own one first, and like it where they differ.

    A coarse pixel that may be copied stands for four that may, so that the own offset always can be taken.
    """
    height, width = usable.shape
    rows, columns = coarse.shape
    for index in range(low, high):
        pixel = np.int64(pixels[index])
        y, x = pixel // width, pixel % width
        row: Number = min(y // 2, rows - 1)
        column: Number = min(x // 2, columns - 1)
        count = 0
        for turn in range(_NEAR):
            dy = dx = jitter_y = jitter_x = 0
            if 0 < turn < 9:
                dy, dx = (turn + 3) % 9 // 3 - 1, (turn + 3) % 3 - 1
            elif turn >= 9:
                if count == 1:
                    break
                jitter_y, jitter_x = (turn == 9) - (turn == 10), (turn == 11) - (turn == 12)
            py: Number = min(max(row + dy, 0), rows - 1)
            px: Number = min(max(column + dx, 0), columns - 1)
            source = np.int64(coarse[py, px])
            if source == py * columns + px:
                continue
            to_y = y + 2 * (source // columns - py) + jitter_y
            to_x = x + 2 * (source % columns - px) + jitter_x
            if not (0 <= to_y < height and 0 <= to_x < width) or not usable[to_y, to_x]:
                continue
            offset = to_y * width + to_x - pixel
            known = False
            for other in range(count):
                known = known or choices[index, other] == offset
            if not known:
                choices[index, count] = offset
                count += 1
        counts[index] = count


@inlined
def _hidden(texture: Array, here: Number, there: Number) -> Number:
    """How much of a seam shows, in 256ths."""
    return np.int32(256 * _TEXTURE // (_TEXTURE + np.int32(texture[here]) + np.int32(texture[there])))


@inlined
def _show(
    features: Array, hole: Array, width: int, pixel: Number, offsets: Array, step: Number, shown: Array
) -> None:  # fmt: skip
    """shown[:4] = features of a pixel's sources, shown[4:] = of the known pixels that are one `step` from them.

    Where there is none, those of the source again.
    """
    for choice in range(offsets.size):
        source = pixel + np.int64(offsets[choice])
        next_to = source + step
        wraps = abs(step) == 1 and np.uint32(max(source, next_to)) % np.uint32(width) == 0
        if next_to < 0 or next_to >= hole.size or wraps or hole[np.uintp(next_to)]:
            next_to = source
        for k in range(4):
            shown[k, choice] = features[np.uintp(source * 4 + k)]
            shown[4 + k, choice] = features[np.uintp(next_to * 4 + k)]


@kernel(
    f"void({_LABELS}, int64, int64, uint8[::1], boolean[::1], int64, uint8[::1], boolean[::1], int32[::1], int32[::1])"
)
def _add_settled_seams(
    pixels: Array, beside: Array, first: Array, offset: Array, low: int, high: int, features: Array, hole: Array,
    width: int, texture: Array, undecided: Array, sources: Array, alone: Array,
) -> None:  # fmt: skip
    """Adds to each choice what its seams to known and to settled neighbours cost.

    A known one is compared with what the copy shows there.
    """
    most = 0
    for index in range(low, high):
        most = max(most, first[index + 1] - first[index])
    shown, settled, away = np.empty((8, most), np.int32), np.empty((8, 1), np.int32), np.empty(1, np.int32)
    for index in range(low, high):
        pixel = np.int64(pixels[index])
        x = pixel % width
        for direction in range(4):
            step = ((direction == 0) - (direction == 1)) * width + (direction == 2) - (direction == 3)
            there = pixel + step
            outside = (
                there < 0 or there >= hole.size or (direction == 2 and x == width - 1) or (direction == 3 and x == 0)
            )
            if outside or undecided[there]:
                continue
            shows, offsets = _hidden(texture, pixel, there), offset[first[index] : first[index + 1]]
            away[0] = sources[there] - there
            _show(features, hole, width, pixel, offsets, step, shown)
            _show(features, hole, width, there, away, -step, settled)
            for choice in range(offsets.size):
                if offsets[choice] == away[0]:
                    continue
                seen = seen_back = np.int64(0)
                for k in range(4):
                    seen += (shown[4 + k, choice] - settled[k, 0]) ** 2
                    seen_back += (shown[k, choice] - settled[4 + k, 0]) ** 2
                cost = (((seen + seen_back) * shows) >> 8) + _SEAM if hole[there] else (_TO_KNOWN * seen * shows) >> 8
                alone[first[index] + choice] = np.int32(min(_NEVER, alone[first[index] + choice] + cost))


@kernel(f"void({_LABELS}, int64, int64, uint8[::1], boolean[::1], int64, uint8[::1], int64[::1], int32[::1])")
def _pair_costs(
    pixels: Array, beside: Array, first: Array, offset: Array, low: int, high: int, features: Array, hole: Array,
    width: int, texture: Array, begin: Array, costs: Array,
) -> None:  # fmt: skip
    """What it costs when neighbours choose differently: costs[begin[2 * pixel + direction] + mine * others + theirs].

    Both copies are compared at both pixels. Where one shows no known pixel there, what it shows at its own one counts.
    """
    most = 0
    for index in range(low, high):
        most = max(most, first[index + 1] - first[index])
        for direction in range(2):
            if beside[index, direction] >= 0:
                other = beside[index, direction]
                most = max(most, first[other + 1] - first[other])
    mine, theirs = np.empty((8, most), np.int32), np.empty((8, most), np.int32)
    for index in range(low, high):
        for direction in range(2):
            other = np.int64(beside[index, direction])
            if other < 0:
                continue
            here, there = np.int64(pixels[index]), np.int64(pixels[other])
            mine_here, theirs_here = offset[first[index] : first[index + 1]], offset[first[other] : first[other + 1]]
            _show(features, hole, width, here, mine_here, there - here, mine)
            _show(features, hole, width, there, theirs_here, here - there, theirs)
            shows, at = _hidden(texture, here, there), begin[2 * index + direction]
            for a in range(mine_here.size):
                row = costs[at : at + theirs_here.size]
                row[:] = np.int32(0)
                for k in range(8):
                    own, others = mine[k, a], theirs[(k + 4) % 8]
                    for b in range(row.size):
                        step = np.int32(own - others[b])
                        row[b] += np.int32(step * step)
                for b in range(row.size):
                    seam = np.int32(np.int32(np.int32(row[b] * shows) >> 8) + _SEAM)
                    row[b] = seam if mine_here[a] != theirs_here[b] else np.int32(0)
                at += row.size


@kernel(f"void({_LABELS}, int32[::1], int64[::1], int32[::1], int32[:, ::1], boolean)")
def _pass_messages(
    pixels: Array, beside: Array, first: Array, offset: Array, alone: Array, begin: Array, costs: Array,
    messages: Array, backward: bool,
) -> None:  # fmt: skip
    """One pass: each pixel tells the next ones what each of their choices would cost all that lies behind it.

    Loops become vector code only where no index can be negative: over slices, or by unsigned numbers.

    messages  (4, choices) what a pixel was told from each direction
    """
    most = 0
    for index in range(pixels.size):
        most = max(most, first[index + 1] - first[index])
    told, total, least = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    for turn in range(pixels.size):
        index = pixels.size - 1 - turn if backward else turn
        start, end = first[index], first[index + 1]
        own, below, right = alone[start:end], messages[0, start:end], messages[1, start:end]
        above, left = messages[2, start:end], messages[3, start:end]
        for a in range(own.size):
            told[a] = (own[a] + below[a] + right[a] + above[a] + left[a]) >> 1
        for axis in range(2):
            direction = axis + 2 if backward else axis
            other = np.int64(beside[index, direction])
            if other < 0:
                continue
            back, to = messages[direction, start:end], messages[(direction + 2) % 4, first[other] : first[other + 1]]
            for a in range(own.size):
                total[a] = told[a] - back[a]
            for b in range(to.size):
                least[b] = np.int32(2**30)
            if backward:
                at = begin[2 * other + axis]
                for b in range(to.size):
                    pairs, lowest = np.uintp(at + b * own.size), least[b]
                    for a in range(own.size):
                        lowest = min(lowest, np.int32(total[a] + costs[pairs + np.uintp(a)]))
                    least[b] = lowest
            else:
                at = begin[2 * index + axis]
                for a in range(own.size):
                    pairs, mine = np.uintp(at + a * to.size), total[a]
                    for b in range(to.size):
                        least[b] = min(least[b], np.int32(mine + costs[pairs + np.uintp(b)]))
            lowest = np.int32(2**30)
            for b in range(to.size):
                lowest = min(lowest, least[b])
            for b in range(to.size):
                to[b] = min(np.int32(least[b] - lowest), _NEVER)


@kernel(f"void({_LABELS}, int32[::1], int64[::1], int32[::1], int32[:, ::1], int64[::1], int32[::1])")
def _choose(
    pixels: Array, beside: Array, first: Array, offset: Array, alone: Array, begin: Array, costs: Array,
    messages: Array, chosen: Array, sources: Array,
) -> None:  # fmt: skip
    """Each pixel's cheapest choice, given what the pixels before it chose and what those behind it told."""
    for index in range(pixels.size):
        mine, start = first[index + 1] - first[index], first[index]
        lowest = np.int64(2**62)
        for a in range(mine):
            cost = np.int64(alone[start + a]) + messages[0, start + a] + messages[1, start + a]
            for axis in range(2):
                other = np.int64(beside[index, axis + 2])
                if other >= 0:
                    cost += costs[begin[2 * other + axis] + chosen[other] * mine + a]
            if cost < lowest:
                lowest, chosen[index] = cost, a
        sources[pixels[index]] = pixels[index] + offset[start + chosen[index]]
