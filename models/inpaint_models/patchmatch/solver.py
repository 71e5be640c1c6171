"""Coarse to fine: match and vote in turn on each level, and hand the matches down.

Wexler et al. 2007, Barnes et al. 2009, Newson et al. 2014 (see matching.py and voting.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from . import pyramid
from .chunks import Chunks
from .matching import (
    PATCH,
    NearestNeighbourField,
    Search,
    dearer_by_use,
    detail_of,
    enlarged,
    follow,
    followed_nnf,
    improve,
    offsets_of,
    random_nnf,
    search_for,
    strangeness_of_patches,
    thinned,
    upsampled_nnf,
)
from .perspective.plane import clear_plane
from .pyramid import PyramidLevel
from .regions import Estimate, coherent_sources, finer_sources, redrawn_sources
from .settings import PatchMatchSettings
from .statistics import first_guess, repetition, strangeness
from .voting import Voters, argmax_vote, vote, voters_of

_CELLS = 8  # along each side of the picture
_USED_CELLS = 0.5
_OVERUSE = 3  # times what it costs elsewhere: next to the known pixels a stone that is there twice shows the most

Report = Callable[[int, int, NDArray[np.uint8]], None]
"""Called with the work done, the whole work, and the features at the end of a round: (h, w, FEATURES), a level's."""


def find_source_map(
    image: NDArray[np.float32],
    hole: NDArray[np.bool_],
    allowed: NDArray[np.bool_] | None = None,
    *,
    seed: int,
    settings: PatchMatchSettings,
    chunks: Chunks,
    report: Report,
) -> NDArray[np.int32] | None:
    """(H, W) flat position of a known pixel for each pixel of the hole; each known pixel's is itself.

    allowed  (H, W) which known pixels may be copied; None: all

    None where there is nothing to copy from, not one whole patch of such pixels. A large picture is solved at half
    (quarter, ...) size: its offsets are scaled up, so that copies still come from the full size.
    """
    usable = ~hole if allowed is None else allowed & ~hole
    if not can_solve(usable):
        return None
    chunks.poll()
    if hole.size <= settings.max_pixels and max(hole.shape) <= settings.max_side:
        at_hand = partial(solve, seed=seed, settings=settings, chunks=chunks)
        sources = _solved_on_plane(image, hole, usable, at_hand, settings, report)
        return at_hand(image, hole, usable, report=report) if sources is None else sources
    half, known = pyramid.halve(image, ~hole)
    chunks.poll()
    usable = pyramid.halve_all(usable)
    coarse = find_source_map(half, ~known, usable, seed=seed, settings=settings, chunks=chunks, report=report)
    return None if coarse is None else _doubled(coarse, hole)


def _solved_on_plane(
    image: NDArray[np.float32],
    hole: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    at_hand: Callable[..., NDArray[np.int32]],
    settings: PatchMatchSettings,
    report: Report,
) -> NDArray[np.int32] | None:
    """As find_source_map, by the picture from the front; None where no plane is clear, and for strokes and spots.

    at_hand  solves a picture: (image, hole, usable, report=...) -> map
    """
    if not settings.regions or is_stroke(pyramid.distance_to_known(hole)[hole], settings):
        return None
    plane = clear_plane(image, hole)
    if plane is None:
        return None
    front_hole = plane.shows(hole, beyond=False)
    front_usable = ~(plane.shows(~usable, beyond=True) | front_hole)
    if not can_solve(front_usable):
        return None

    def report_as_seen(done: int, total: int, features: NDArray[np.uint8]) -> None:
        report(done, total, plane.seen(features, hole.shape))

    return plane.source_map(at_hand(plane.front(image), front_hole, front_usable, report=report_as_seen), usable, hole)


def _doubled(coarse: NDArray[np.int32], hole: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The source_map of a picture of half the size, for the full one."""
    (height, width), (half_height, half_width) = hole.shape, coarse.shape
    source_map = np.arange(hole.size, dtype=np.int32)
    y, x = np.divmod(np.flatnonzero(hole).astype(np.int32), np.int32(width))
    parent = coarse[np.minimum(y // 2, half_height - 1), np.minimum(x // 2, half_width - 1)]
    source_y, source_x = np.divmod(parent, np.int32(half_width))
    source_map[y * width + x] = (source_y * 2 + y % 2) * width + source_x * 2 + x % 2
    return source_map.reshape(height, width)


def solve(
    image: NDArray[np.float32],
    hole: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    *,
    seed: int,
    settings: PatchMatchSettings,
    chunks: Chunks,
    report: Report,
) -> NDArray[np.int32]:
    """As find_source_map, at the picture's own size, from known pixels that are `usable`: one whole patch at least."""
    levels = pyramid.build(image, hole, usable, settings, chunks.poll)
    settings = _suited_to(levels, settings)
    chunks.poll()
    coarsest, smallest = levels[-1], len(levels) - 1
    strange = np.zeros(coarsest.shape, np.int32)
    if settings.strange:
        strange = settings.strange * strangeness(coarsest.features, coarsest.hole, settings.strangest)
        levels = _priced(levels, strange, chunks.poll)
    finest = 0
    if settings.regions:
        finest = next((i for i, each in enumerate(levels) if each.distance.size <= settings.small_pixels), smallest)
    rounds = [_rounds(index, levels, settings) if index >= finest else 1 for index in range(len(levels))]
    work = _Work([level.patches.targets.size for level in levels], rounds, report)
    nnf, voters = _match_and_vote(levels, finest, rounds, work, strange, seed, chunks, settings)
    if settings.regions:
        level = levels[finest]
        search = search_for(level.patches, level.distance, settings)
        estimate, priced = _estimate(level, nnf, voters, chunks), enlarged(strange, level.shape)
        sources = coherent_sources(level, estimate, priced, search, settings.overuse, chunks)
    else:
        sources = argmax_vote(nnf, voters, chunks)
    for index in reversed(range(finest)):
        sources = finer_sources(levels[index], sources, chunks)
        work.round_done(index, levels[index].features.reshape(sources.size, -1)[sources])
    return _fitted_to_rim(levels[0], sources, seed, _as_stroke(settings), chunks) if settings.regions else sources


class _Work:
    """Tells how much is done: each round costs as much as its level has patches to match."""

    def __init__(self, sizes: list[int], rounds: list[int], report: Report) -> None:
        self._sizes = sizes
        self._total = sum(size * count for size, count in zip(sizes, rounds, strict=True))
        self._done = 0
        self._report = report

    def round_done(self, index: int, features: NDArray[np.uint8]) -> None:
        self._done += self._sizes[index]
        self._report(self._done, self._total, features)


def _match_and_vote(
    levels: list[PyramidLevel],
    finest: int,
    rounds: list[int],
    work: _Work,
    strange: NDArray[np.int32],
    seed: int,
    chunks: Chunks,
    settings: PatchMatchSettings,
) -> tuple[NearestNeighbourField, Voters]:
    """The matches of the level `finest`. Lines that are lost on the coarsest level return, but in thin strokes.

    A round votes and then matches, so that no vote is made that no match reads.
    """
    rng = np.random.default_rng(seed)
    seeds = np.random.SeedSequence(seed).generate_state(sum(rounds) * settings.sweeps).tolist()
    coarsest, features = _begin(levels[-1], seed, rng)
    levels = [*levels[:-1], coarsest]
    nnf = random_nnf(coarsest.patches, rng)
    for index in reversed(range(finest, len(levels))):
        level = levels[index]
        voters = voters_of(level.distance, _voting(index, levels, settings))
        search, detail = search_for(level.patches, level.distance, settings), detail_of(level.features)
        if level is not coarsest:
            nnf = upsampled_nnf(nnf, levels[index + 1].shape, level.patches, rng)
        for turn in range(rounds[index]):
            if settings.lines and level is coarsest and turn == rounds[index] - settings.rounds_coherent:
                features = _coherent(level, nnf, voters, strange, search, chunks, across=not settings.regions)
            elif turn or level is not coarsest:
                features = vote(level.features, nnf, voters, chunks)
            sweep_seeds, seeds = seeds[: settings.sweeps], seeds[settings.sweeps :]
            patches = level.patches
            if settings.overuse and level.distance.size <= settings.huge_pixels:  # above, the choice is made already
                patches = dearer_by_use(patches, nnf, detail, settings.overuse)
            improve(features, patches, nnf, search, sweep_seeds, chunks)
            work.round_done(index, features)
    return nnf, voters


def _estimate(level: PyramidLevel, nnf: NearestNeighbourField, voters: Voters, chunks: Chunks) -> Estimate:
    features, favourites = vote(level.features, nnf, voters, chunks), argmax_vote(nnf, voters, chunks)
    return Estimate(features, favourites, offsets_of(nnf, level.patches))


def _coherent(
    level: PyramidLevel,
    nnf: NearestNeighbourField,
    voters: Voters,
    strange: NDArray[np.int32],
    search: Search,
    chunks: Chunks,
    *,
    across: bool,
) -> NDArray[np.uint8]:
    """The hole copied in regions of one offset; the matches, changed in place, follow."""
    estimate = _estimate(level, nnf, voters, chunks)
    sources = redrawn_sources(level, estimate, strange, search, chunks, across=across)
    follow(nnf, level.patches, sources)
    return level.features.reshape(sources.size, -1)[sources]


def _fitted_to_rim(
    level: PyramidLevel, sources: NDArray[np.int32], seed: int, settings: PatchMatchSettings, chunks: Chunks
) -> NDArray[np.int32]:
    """The map chosen anew near the known pixels, patch by patch.

    The seam of a region with them is one pixel wide, and what they show often breaks off there: a patch sees more.
    """
    nnf = followed_nnf(level.patches, sources, np.random.default_rng(seed))
    depth, targets = level.distance.ravel(), level.patches.targets
    near = depth[targets + PATCH // 2 * (level.shape[1] + 1)] <= settings.rim_px + PATCH
    search = search_for(level.patches, level.distance, settings)
    search, voters = replace(search, keep=search.keep[near]), voters_of(level.distance, settings)
    voters = voters._replace(pixels=voters.pixels[depth[voters.pixels] <= settings.rim_px])
    seeds = np.random.SeedSequence(seed).generate_state(settings.rounds_rim * settings.sweeps_rim).tolist()
    features, detail = level.features.reshape(sources.size, -1)[sources], detail_of(level.features)
    for turn in range(settings.rounds_rim):
        if turn:
            features = vote(features, nnf, voters, chunks)
        patches = dearer_by_use(level.patches, nnf, detail, _OVERUSE * settings.overuse)
        patches = replace(patches, targets=targets[near])
        improve(features, patches, nnf, search, seeds[turn :: settings.rounds_rim], chunks)
    sources.ravel()[voters.pixels] = argmax_vote(nnf, voters, chunks).ravel()[voters.pixels]
    return sources


def _voting(index: int, levels: list[PyramidLevel], settings: PatchMatchSettings) -> PatchMatchSettings:
    """On the coarsest level, which decides on the structure, all patches count alike."""
    return replace(settings, inward=0.0) if index == len(levels) - 1 else settings


def _priced(levels: list[PyramidLevel], strange: NDArray[np.int32], poll: Callable[[], None]) -> list[PyramidLevel]:
    """The levels with what a source costs that does not resemble the hole's surroundings on the coarsest one."""
    priced = []
    for level in levels:
        patches = replace(level.patches, strange=strangeness_of_patches(enlarged(strange, level.shape)))
        priced.append(replace(level, patches=patches))
        poll()
    return priced


def _suited_to(levels: list[PyramidLevel], settings: PatchMatchSettings) -> PatchMatchSettings:
    """The settings for a stroke or a spot, and for a picture that repeats itself."""
    depths = levels[0].distance[levels[0].hole]
    if depths.mean() <= settings.thin_px:
        settings = replace(settings, strange=0, lines=False)
    if is_stroke(depths, settings):
        settings = replace(_as_stroke(settings), regions=False, vertical_prior=settings.horizontal_prior)
    level = next((each for each in levels if each.distance.size <= settings.small_pixels), levels[-1])
    if repetition(level.features, ~level.hole) >= settings.periodic:
        return settings
    return replace(settings, inward_px=settings.max_distance, rounds_small=settings.rounds_periodic, overuse=0.0)


def is_stroke(depths: NDArray[np.float32], settings: PatchMatchSettings) -> bool:
    """Or a spot. depths: (n,) of the hole's pixels at full size."""
    return bool(depths.mean() <= settings.stroke_px or depths.size <= settings.spot_pixels)


def _as_stroke(settings: PatchMatchSettings) -> PatchMatchSettings:
    """The border outvotes what is deeper all the way inwards, so that what it cuts goes on."""
    return replace(settings, inward=settings.inward_stroke, inward_px=settings.max_distance)


def can_solve(usable: NDArray[np.bool_]) -> bool:
    """Whether there is anything to copy from: a whole patch of usable pixels."""
    patch = np.ones((PATCH, PATCH), np.uint8)
    return bool(cv2.erode(usable.astype(np.uint8), patch, borderType=cv2.BORDER_CONSTANT, borderValue=(0,)).any())


def _begin(level: PyramidLevel, seed: int, rng: np.random.Generator) -> tuple[PyramidLevel, NDArray[np.uint8]]:
    """The coarsest level, where the structure is decided, and its features with a guess in the hole.

    Seed 0 is the best answer known: it uses all of the picture. For another one random cells of the picture neither
    colour the hole nor may be copied from, which leads to another structure.
    """
    height, width = level.shape
    used = np.ones(level.shape, np.bool_)
    if seed:
        cells = rng.random((_CELLS, _CELLS)) < _USED_CELLS
        used = cells[np.arange(height)[:, None] * _CELLS // height, np.arange(width) * _CELLS // width]
    shown = used & ~level.hole
    guess = first_guess(level.features, shown if shown.any() else ~level.hole)
    features = np.where(level.hole[..., None], guess, level.features)
    return replace(level, patches=thinned(level.patches, used)), features


def _rounds(index: int, levels: list[PyramidLevel], settings: PatchMatchSettings) -> int:
    height, width = levels[index].shape
    if index == len(levels) - 1:
        return settings.rounds_coarsest
    if height * width <= settings.small_pixels:
        return settings.rounds_small
    if height * width > settings.huge_pixels:
        return settings.rounds_huge
    return settings.rounds_large if index else settings.rounds_full
