"""PatchMatch: for every patch that touches the hole, a similar patch of known pixels.

Barnes, Shechtman, Finkelstein, Goldman, "PatchMatch: A Randomized Correspondence Algorithm for Structural Image
Editing", SIGGRAPH 2009, section 3: propagation from neighbours and random search, in alternating scan order.

A patch is named by its top-left pixel ("anchor"), as a flat position y * W + x in its level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..machine.compiled import Array, Number, inlined, kernel
from .chunks import Chunks
from .settings import PatchMatchSettings

PATCH = 8
"""Edge of a patch. With four features a row is 32 bytes: one vector register."""

_ROW = PATCH * 4
_NARROWING = 2  # each random try has a quarter of the last one's radius: as good as half, and a third faster
_WORST = np.iinfo(np.int32).max
_NEITHER, _TARGET, _SOURCE = 0, 1, 2
_MOST_EXCESS = 3  # uses of a place; at a higher cost all would leave it at once, and take it again

UNMATCHED = _WORST // 64
"""Cost of a match that is a mere guess: dearer than any real one."""


@dataclass(frozen=True)
class Patches:
    """The patches of a level by what they are for.

    role     (H, W): _TARGET where a patch touches the hole, _SOURCE where all of it may be copied
    targets  their anchors, ascending
    sources  their anchors, ascending
    strange  (H * W,) what a match to the patch there costs beside its distance by where it is
    """

    role: NDArray[np.uint8]
    targets: NDArray[np.int32]
    sources: NDArray[np.int32]
    strange: NDArray[np.int32]


def find_patches(hole: NDArray[np.bool_], usable: NDArray[np.bool_]) -> Patches:
    """Targets and sources of a level; both are empty where no patch fits. `usable` pixels may be copied."""
    height, width = hole.shape
    role = np.full((height, width), _NEITHER, np.uint8)
    fits = role[: max(0, height - PATCH + 1), : max(0, width - PATCH + 1)]
    fits[~_touched(~usable)[: fits.shape[0], : fits.shape[1]]] = _SOURCE
    fits[_touched(hole)[: fits.shape[0], : fits.shape[1]]] = _TARGET
    flat = role.ravel()
    return Patches(
        role,
        np.flatnonzero(flat == _TARGET).astype(np.int32),
        np.flatnonzero(flat == _SOURCE).astype(np.int32),
        np.zeros(flat.size, np.int32),
    )


def _touched(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) whether the patch at each anchor, as far as it lies in the picture, holds any of the pixels."""
    touched = pixels.copy()
    for step in (1, 2, 4):  # adds up to PATCH - 1
        touched[:-step] |= touched[step:]
    for step in (1, 2, 4):
        touched[:, :-step] |= touched[:, step:]
    return touched


def thinned(patches: Patches, allowed: NDArray[np.bool_]) -> Patches:
    """The same targets with the sources that are allowed, (H, W); as they are if next to nothing would be left."""
    kept = patches.sources[allowed.ravel()[patches.sources]]
    if kept.size < 4 * PATCH * PATCH:
        return patches
    role = np.where(patches.role == _SOURCE, np.uint8(_NEITHER), patches.role)
    role.ravel()[kept] = _SOURCE
    return Patches(role, patches.targets, kept, patches.strange)


@dataclass(frozen=True)
class NearestNeighbourField:
    """What each target patch of a level looks like: changed in place by sweeps.

    source  (H * W, 2) int16 (y, x) of the matched anchor; -1 where there is no target
    cost    (H * W,) int32 squared feature distance plus what the displacement and the source cost
    """

    source: NDArray[np.int16]
    cost: NDArray[np.int32]


def random_nnf(patches: Patches, rng: np.random.Generator) -> NearestNeighbourField:
    """Every target with a source picked at random."""
    nnf = _empty_nnf(patches)
    _guess(nnf, patches, patches.targets, rng)
    return nnf


def upsampled_nnf(
    coarse: NearestNeighbourField, coarse_shape: tuple[int, int], patches: Patches, rng: np.random.Generator
) -> NearestNeighbourField:
    """The coarser level's matches at twice the displacement; random where that is no source."""
    nnf = _empty_nnf(patches)
    height, width = patches.role.shape
    last = np.array([height - PATCH, width - PATCH])
    here = _points(patches.targets, width)  # (targets, 2)
    parent = np.minimum(here // 2, np.array(coarse_shape) - PATCH)
    above = parent[:, 0] * coarse_shape[1] + parent[:, 1]
    source = np.minimum((coarse.source[above] - parent) * 2 + here, last)
    nnf.source[patches.targets] = source
    nnf.cost[patches.targets] = coarse.cost[above]
    inside = (coarse.source[above, 0] >= 0) & (source >= 0).all(axis=1)
    source[~inside] = 0
    found = inside & (patches.role[source[:, 0], source[:, 1]] == _SOURCE)
    _guess(nnf, patches, patches.targets[~found], rng)
    return nnf


def source_anchors(patches: Patches) -> NDArray[np.uint8]:
    """(H, W) 1 at the anchors of sources."""
    return np.asarray(patches.role == _SOURCE, np.uint8)


def offsets_of(nnf: NearestNeighbourField, patches: Patches) -> NDArray[np.int32]:
    """(targets, 2) from each target to its source, as (y, x)."""
    return nnf.source[patches.targets] - _points(patches.targets, patches.role.shape[1])


def followed_nnf(
    patches: Patches, source_map: NDArray[np.int32], rng: np.random.Generator
) -> NearestNeighbourField:  # fmt: skip
    """Every target as in `follow`; random where that is no source."""
    nnf = _empty_nnf(patches)
    _guess(nnf, patches, patches.targets[~follow(nnf, patches, source_map)], rng)
    return nnf


def follow(nnf: NearestNeighbourField, patches: Patches, source_map: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Matches each target as the source map copies its middle, where that is a source; returns (targets,) whether."""
    width = source_map.shape[1]
    middle = patches.targets + PATCH // 2 * (width + 1)
    copied = source_map.ravel()[middle]
    source = copied - PATCH // 2 * (width + 1)
    inside = (source >= 0) & (copied % width >= PATCH // 2)
    found = inside & (patches.role.ravel()[np.maximum(source, 0)] == _SOURCE) & (copied != middle)
    nnf.source[patches.targets[found]] = _points(source[found], width)
    nnf.cost[patches.targets[found]] = 0
    return np.asarray(found, np.bool_)


def _empty_nnf(patches: Patches) -> NearestNeighbourField:
    return NearestNeighbourField(np.full((patches.role.size, 2), -1, np.int16), np.zeros(patches.role.size, np.int32))


def _guess(nnf: NearestNeighbourField, patches: Patches, targets: NDArray[np.int32], rng: np.random.Generator) -> None:
    nnf.source[targets] = _points(rng.choice(patches.sources, targets.size), patches.role.shape[1])
    nnf.cost[targets] = UNMATCHED


def _points(anchors: NDArray[np.int32], width: int) -> NDArray[np.int32]:
    """(n,) flat positions -> (n, 2) as (y, x)."""
    return np.stack([anchors // width, anchors % width], axis=1)


def enlarged(strange: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """The costs of a smaller picture's pixels for one of this shape."""
    values = cv2.resize(strange.astype(np.float32), shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(values, np.int32)


def strangeness_of_patches(strange: NDArray[np.int32]) -> NDArray[np.int32]:
    """(H, W) -> (H * W,): summed over the patch at each anchor."""
    return _patch_sums(strange.astype(np.float32), anchor=0).astype(np.int32).ravel()


def detail_of(features: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H * W,) squared texture strength of the patch at each anchor."""
    return _patch_sums(np.square(features[..., 3], dtype=np.float32), anchor=0).ravel()


def dearer_by_use(patches: Patches, nnf: NearestNeighbourField, detail: NDArray[np.float32], overuse: float) -> Patches:
    """The patches at a higher cost where they are matched more than needed: `overuse` times their detail for each use.

    A stone that is copied side by side catches the eye (cf. Kaspar et al., "Self Tuning Texture Optimization", 2015);
    a plain sky may be copied as often as need be.
    """
    width = patches.role.shape[1]
    source = nnf.source[patches.targets].astype(np.int32)
    matched = np.bincount(source[:, 0] * width + source[:, 1], minlength=patches.role.size).astype(np.float32)
    uses = _patch_sums(matched.reshape(patches.role.shape), anchor=PATCH // 2).ravel()
    needed, strange = max(1.0, patches.targets.size / patches.sources.size), np.empty_like(patches.strange)
    _add_excess(uses, needed, detail, overuse, patches.strange, strange)
    return replace(patches, strange=strange)


@kernel("void(float32[::1], float32, float32[::1], float32, int32[::1], int32[::1])")
def _add_excess(uses: Array, needed: float, detail: Array, overuse: float, strange: Array, dearer: Array) -> None:
    """uses: summed over PATCH ** 2 places."""
    for anchor in range(uses.size):
        excess = min(max(uses[anchor] / np.float32(PATCH**2) - needed, np.float32(0)), np.float32(_MOST_EXCESS))
        dearer[anchor] = strange[anchor] + np.int32(overuse * (excess * detail[anchor]))


def _patch_sums(values: NDArray[np.float32], anchor: int) -> NDArray[np.float32]:
    """Sums over a square of PATCH pixels. All are whole numbers under 2 ** 24, which are exact on every machine."""
    sums = cv2.boxFilter(
        values, -1, (PATCH, PATCH), anchor=(anchor, anchor), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return np.asarray(sums, np.float32)


@dataclass(frozen=True)
class Search:
    """How far and how boldly a level is searched.

    keep             (targets,) a random find must cost less than this share of the present cost
    vertical_cost    per squared pixel of displacement, likewise horizontal_cost
    """

    keep: NDArray[np.float32]
    vertical_cost: float
    horizontal_cost: float


def search_for(patches: Patches, distance: NDArray[np.float32], settings: PatchMatchSettings) -> Search:
    """Small levels decide the structure: any better match counts. On larger ones what the coarser level found is kept
    where patches show little but guessed pixels, so that copies stay whole."""
    height, width = distance.shape
    scale = (PATCH * 100 / max(height, width)) ** 2
    keep = np.ones(patches.targets.size, np.float32)
    if distance.size > settings.small_pixels:
        middle = patches.targets + PATCH // 2 * (width + 1)
        guessed = np.clip(distance.ravel()[middle] / PATCH - 0.5, 0, 1)
        keep -= np.float32(1 - settings.keep) * guessed
    return Search(keep, settings.vertical_prior * scale, settings.horizontal_prior * scale)


def improve(
    features: NDArray[np.uint8],
    patches: Patches,
    nnf: NearestNeighbourField,
    search: Search,
    seeds: Sequence[int],
    chunks: Chunks,
) -> None:
    """Sweeps over all targets in alternating order, one per seed; `features` may have changed since the last call.

    Chunks read what is outside themselves from before the sweep, so that the result does not depend on their order.
    """
    height, width = patches.role.shape
    flat, role = features.ravel(), patches.role.ravel()
    for index, seed in enumerate(seeds):
        before = nnf.source.copy()

        def sweep(
            low: int, high: int, index: int = index, seed: int = seed, before: NDArray[np.int16] = before
        ) -> None:
            _sweep(
                flat, height, width, role, patches.strange, patches.targets, low, high, before, nnf.source, nnf.cost,
                index == 0, index % 2 == 1, search.keep, search.vertical_cost, search.horizontal_cost, seed,
            )  # fmt: skip

        chunks.run(sweep, patches.targets.size)


@inlined
def patch_distance(features: Array, stride: int, a: Number, b: Number, limit: Number) -> Number:
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
def next_random(state: Number) -> Number:
    """xorshift32 (Marsaglia 2003)."""
    state ^= np.uint32(state << np.uint32(13))
    state ^= np.uint32(state >> np.uint32(17))
    state ^= np.uint32(state << np.uint32(5))
    return np.uint32(state)


@inlined
def _displacement_cost(dy: Number, dx: Number, vertical: float, horizontal: float) -> Number:
    return np.int64(vertical * np.float32(dy**2) + horizontal * np.float32(dx**2))


@inlined
def _propagated(
    anchor: Number, dy: Number, dx: Number, width: int, first: Number, last: Number, before: Array, source: Array
) -> tuple[Number, Number]:
    """Where the neighbour's match leads from here; neighbours outside the chunk as they were before the sweep."""
    neighbour = anchor - dy * width - dx
    if first <= neighbour <= last:
        return source[neighbour, 0] + dy, source[neighbour, 1] + dx
    return before[neighbour, 0] + dy, before[neighbour, 1] + dx


@inlined
def _random_source(
    random: Number, y: Number, x: Number, reach: Number, height: int, width: int
) -> tuple[Number, Number]:
    """An anchor at most `reach` away from (y, x): the upper half of the random bits says which row."""
    top: Number = max(0, y - reach)
    left: Number = max(0, x - reach)
    rows: Number = min(height - PATCH, y + reach) - top + 1
    columns: Number = min(width - PATCH, x + reach) - left + 1
    down = np.int64((np.uint64(random >> np.uint32(16)) * np.uint64(rows)) >> np.uint64(16))
    right = np.int64((np.uint64(random & np.uint32(65535)) * np.uint64(columns)) >> np.uint64(16))
    return top + down, left + right


@kernel(
    "void(uint8[::1], int64, int64, uint8[::1], int32[::1], int32[::1], int64, int64, int16[:, ::1], int16[:, ::1],"
    " int32[::1], boolean, boolean, float32[::1], float32, float32, uint32)"
)
def _sweep(
    features: Array, height: int, width: int, role: Array, strange: Array, targets: Array, low: int, high: int,
    before: Array, source: Array, cost: Array, recost: bool, backward: bool, keep: Array, vertical: float,
    horizontal: float, seed: int,
) -> None:  # fmt: skip
    """One sweep over targets[low:high]: propagation from two neighbours, then random tries ever nearer.

    features (H * W * 4,), role and strange (H * W,); the others as in `NearestNeighbourField` and `Search`
    """
    stride, step, longer = width * 4, -1 if backward else 1, max(height, width)
    first, last = targets[low], targets[high - 1]
    random: Number = np.uint32(seed * 2654435761 + low * 97 + 12345) | np.uint32(1)
    tries = 0
    while longer >> (_NARROWING * tries):
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
            away = _displacement_cost(best_y - y, best_x - x, vertical, horizontal)
            away += strange[best_y * width + best_x]
            best = away + patch_distance(features, stride, anchor * 4, (best_y * width + best_x) * 4, _WORST)
        for attempt in range(2 + tries):
            limit: Number = best
            if attempt < 2:
                dy, dx = (0, step) if attempt == 0 else (step, 0)
                inside = 0 <= y - dy < height and 0 <= x - dx < width
                if not inside or role[anchor - dy * width - dx] != _TARGET:
                    continue
                cy, cx = _propagated(anchor, dy, dx, width, first, last, before, source)
                if (cy == best_y and cx == best_x) or not (0 <= cy < height and 0 <= cx < width):
                    continue
            else:
                random = next_random(random)
                cy, cx = _random_source(random, best_y, best_x, longer >> (_NARROWING * (attempt - 2)), height, width)
                limit = np.int64(np.float32(best) * keep[turn])
            candidate = cy * width + cx
            if role[candidate] != _SOURCE:
                continue
            away = _displacement_cost(cy - y, cx - x, vertical, horizontal) + strange[candidate]
            if away < limit:
                found = away + patch_distance(features, stride, anchor * 4, candidate * 4, limit - away)
                if found < limit:
                    best_y, best_x, best = cy, cx, found
        source[anchor, 0], source[anchor, 1], cost[anchor] = best_y, best_x, best
