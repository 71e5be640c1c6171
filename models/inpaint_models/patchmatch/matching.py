"""PatchMatch: for every patch that touches the hole, a similar patch of known pixels.

Barnes, Shechtman, Finkelstein, Goldman, "PatchMatch: A Randomized Correspondence Algorithm for Structural Image
Editing", SIGGRAPH 2009, section 3: propagation from neighbours and random search, in alternating scan order.

A patch is named by its top-left pixel ("anchor"), as a flat position y * W + x in its level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .chunks import Bands
from .compiled import Array, Number, inlined, kernel
from .settings import Settings

PATCH = 8
"""Edge of a patch. With four features a row is 32 bytes: one vector register."""

_ROW = PATCH * 4
_NARROWING = 2  # each random try has a quarter of the last one's radius: as good as half, and a third faster
_WORST = np.iinfo(np.int32).max
_NEITHER, _TARGET, _SOURCE = 0, 1, 2

UNMATCHED = _WORST // 64
"""Cost of a match that is a mere guess: dearer than any real one."""


@dataclass(frozen=True)
class Patches:
    """The patches of a level by what they are for.

    role     (H, W): _TARGET where a patch touches the hole, _SOURCE where it shows known pixels only
    targets  their anchors, ascending
    sources  their anchors, ascending
    """

    role: NDArray[np.uint8]
    targets: NDArray[np.int32]
    sources: NDArray[np.int32]


def find_patches(hole: NDArray[np.bool_]) -> Patches:
    """Targets and sources of a level; both are empty where no patch fits."""
    height, width = hole.shape
    role = np.full((height, width), _NEITHER, np.uint8)
    fits = role[: max(0, height - PATCH + 1), : max(0, width - PATCH + 1)]
    touches = hole.copy()
    for step in (1, 2, 4):  # adds up to PATCH - 1
        touches[:-step] |= touches[step:]
    for step in (1, 2, 4):
        touches[:, :-step] |= touches[:, step:]
    fits[...] = np.where(touches[: fits.shape[0], : fits.shape[1]], _TARGET, _SOURCE)
    flat = role.ravel()
    return Patches(
        role,
        np.flatnonzero(flat == _TARGET).astype(np.int32),
        np.flatnonzero(flat == _SOURCE).astype(np.int32),
    )


def thinned(patches: Patches, allowed: NDArray[np.bool_]) -> Patches:
    """The same targets with the sources that are allowed, (H, W); as they are if next to nothing would be left."""
    kept = patches.sources[allowed.ravel()[patches.sources]]
    if kept.size < 4 * PATCH * PATCH:
        return patches
    role = np.where(patches.role == _SOURCE, np.uint8(_NEITHER), patches.role)
    role.ravel()[kept] = _SOURCE
    return Patches(role, patches.targets, kept)


@dataclass(frozen=True)
class Matches:
    """What each target patch of a level looks like: changed in place by sweeps.

    source  (H * W, 2) int16 (y, x) of the matched anchor; -1 where there is no target
    cost    (H * W,) int32 squared feature distance plus displacement prior
    """

    source: NDArray[np.int16]
    cost: NDArray[np.int32]


def random_matches(patches: Patches, rng: np.random.Generator) -> Matches:
    """Every target with a source picked at random."""
    matches = _no_matches(patches)
    _guess(matches, patches, patches.targets, rng)
    return matches


def finer_matches(
    coarse: Matches, coarse_shape: tuple[int, int], patches: Patches, rng: np.random.Generator
) -> Matches:
    """The coarser level's matches at twice the displacement; random where that is no source."""
    matches = _no_matches(patches)
    height, width = patches.role.shape
    last = np.array([height - PATCH, width - PATCH])
    here = _points(patches.targets, width)  # (targets, 2)
    parent = np.minimum(here // 2, np.array(coarse_shape) - PATCH)
    above = parent[:, 0] * coarse_shape[1] + parent[:, 1]
    source = np.minimum((coarse.source[above] - parent) * 2 + here, last)
    matches.source[patches.targets] = source
    matches.cost[patches.targets] = coarse.cost[above]
    inside = (coarse.source[above, 0] >= 0) & (source >= 0).all(axis=1)
    source[~inside] = 0
    found = inside & (patches.role[source[:, 0], source[:, 1]] == _SOURCE)
    _guess(matches, patches, patches.targets[~found], rng)
    return matches


def _no_matches(patches: Patches) -> Matches:
    return Matches(np.full((patches.role.size, 2), -1, np.int16), np.zeros(patches.role.size, np.int32))


def _guess(matches: Matches, patches: Patches, targets: NDArray[np.int32], rng: np.random.Generator) -> None:
    matches.source[targets] = _points(rng.choice(patches.sources, targets.size), patches.role.shape[1])
    matches.cost[targets] = UNMATCHED


def _points(anchors: NDArray[np.int32], width: int) -> NDArray[np.int32]:
    """(n,) flat positions -> (n, 2) as (y, x)."""
    return np.stack([anchors // width, anchors % width], axis=1)


@dataclass(frozen=True)
class Search:
    """How far and how boldly a level is searched.

    keep             (targets,) a random find must cost less than this share of the present cost
    vertical_cost    per squared pixel of displacement, likewise horizontal_cost
    """

    keep: NDArray[np.float32]
    vertical_cost: float
    horizontal_cost: float


def search_for(patches: Patches, depth: NDArray[np.float32], settings: Settings) -> Search:
    """Small levels decide the structure: any better match counts. On larger ones what the coarser level found is kept
    where patches show little but guessed pixels, so that copies stay whole."""
    height, width = depth.shape
    scale = (PATCH * 100 / max(height, width)) ** 2
    keep = np.ones(patches.targets.size, np.float32)
    if depth.size > settings.small_pixels:
        middle = patches.targets + PATCH // 2 * (width + 1)
        guessed = np.clip(depth.ravel()[middle] / PATCH - 0.5, 0, 1)
        keep -= np.float32(1 - settings.keep) * guessed
    return Search(keep, settings.vertical_prior * scale, settings.horizontal_prior * scale)


def improve(
    features: NDArray[np.uint8], patches: Patches, matches: Matches, search: Search, seeds: Sequence[int], bands: Bands
) -> None:
    """Sweeps over all targets in alternating order, one per seed; `features` may have changed since the last call.

    Bands read what is outside themselves from before the sweep, so that the result does not depend on their order.
    """
    height, width = patches.role.shape
    flat, role = features.ravel(), patches.role.ravel()
    for index, seed in enumerate(seeds):
        before = matches.source.copy()

        def sweep(
            low: int, high: int, index: int = index, seed: int = seed, before: NDArray[np.int16] = before
        ) -> None:
            _sweep(
                flat, height, width, role, patches.targets, low, high, before, matches.source, matches.cost,
                index == 0, index % 2 == 1, search.keep,
                search.vertical_cost, search.horizontal_cost, seed,
            )  # fmt: skip

        bands.run(sweep, patches.targets.size)


@inlined
def _distance(features: Array, stride: int, a: Number, b: Number, limit: Number) -> Number:
    """Squared distance of the patches whose first bytes are a and b; may stop once it reaches limit."""
    total = np.int32(0)
    for _ in range(PATCH):
        left, right = np.uintp(a), np.uintp(b)  # unsigned: no test for negative indices
        row = np.int32(0)
        for k in range(_ROW):
            step = np.int32(features[left + np.uintp(k)]) - np.int32(features[right + np.uintp(k)])
            row = np.int32(row + step * step)
        total = np.int32(total + row)
        if total >= limit:
            break
        a += stride
        b += stride
    return total


@inlined
def _next_random(state: Number) -> Number:
    """xorshift32 (Marsaglia 2003)."""
    state ^= np.uint32(state << np.uint32(13))
    state ^= np.uint32(state >> np.uint32(17))
    state ^= np.uint32(state << np.uint32(5))
    return np.uint32(state)


@kernel(
    "void(uint8[::1], int64, int64, uint8[::1], int32[::1], int64, int64, int16[:, ::1], int16[:, ::1], int32[::1],"
    " boolean, boolean, float32[::1], float32, float32, uint32)"
)
def _sweep(
    features: Array,  # (H * W * 4,)
    height: int,
    width: int,
    role: Array,  # (H * W,)
    targets: Array,
    low: int,
    high: int,
    before: Array,
    source: Array,
    cost: Array,
    recost: bool,
    backward: bool,
    keep: Array,
    vertical: float,
    horizontal: float,
    seed: int,
) -> None:
    """One sweep over targets[low:high]: propagation from two neighbours, then random tries ever nearer."""
    stride, step = width * 4, -1 if backward else 1
    first, last = targets[low], targets[high - 1]
    random: Number = np.uint32(seed * 2654435761 + low * 97 + 12345) | np.uint32(1)
    radius = max(height, width)
    tries = 0
    while radius >> (_NARROWING * tries):
        tries += 1
    for index in range(low, high):
        turn = low + high - 1 - index if backward else index
        anchor: Number = np.int64(targets[turn])
        y = anchor // width
        x = anchor - y * width
        best_y: Number = np.int64(source[anchor, 0])
        best_x: Number = np.int64(source[anchor, 1])
        best: Number = np.int64(cost[anchor])
        if recost:
            away = np.int64(vertical * np.float32((best_y - y) ** 2) + horizontal * np.float32((best_x - x) ** 2))
            best = away + _distance(features, stride, anchor * 4, (best_y * width + best_x) * 4, _WORST)
        for attempt in range(2 + tries):
            limit: Number = best
            if attempt < 2:
                dy, dx = (0, step) if attempt == 0 else (step, 0)
                if not (0 <= y - dy < height and 0 <= x - dx < width):
                    continue
                neighbour = anchor - dy * width - dx
                if role[neighbour] != _TARGET:
                    continue
                if first <= neighbour <= last:
                    cy, cx = source[neighbour, 0] + dy, source[neighbour, 1] + dx
                else:
                    cy, cx = before[neighbour, 0] + dy, before[neighbour, 1] + dx
                if (cy == best_y and cx == best_x) or not (0 <= cy < height and 0 <= cx < width):
                    continue
            else:
                random = _next_random(random)
                reach = radius >> (_NARROWING * (attempt - 2))
                top: Number = max(0, best_y - reach)
                left: Number = max(0, best_x - reach)
                rows: Number = min(height - PATCH, best_y + reach) - top + 1
                columns: Number = min(width - PATCH, best_x + reach) - left + 1
                cy = top + np.int64((np.uint64(random >> np.uint32(16)) * np.uint64(rows)) >> np.uint64(16))
                cx = left + np.int64((np.uint64(random & np.uint32(65535)) * np.uint64(columns)) >> np.uint64(16))
                limit = np.int64(np.float32(best) * keep[turn])
            candidate = cy * width + cx
            if role[candidate] != _SOURCE:
                continue
            away = np.int64(vertical * np.float32((cy - y) ** 2) + horizontal * np.float32((cx - x) ** 2))
            if away < limit:
                found = away + _distance(features, stride, anchor * 4, candidate * 4, limit - away)
                if found < limit:
                    best_y, best_x, best = cy, cx, found
        source[anchor, 0], source[anchor, 1], cost[anchor] = best_y, best_x, best
