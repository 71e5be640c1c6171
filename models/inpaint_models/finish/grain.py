"""The grain of the surroundings, for a fill that has less of it.

How much noise a cell of the fill should have is told by cells of its colour in the ring around the hole: noise depends
on the level, and a sky has another than the wall below it. What the fill has already is taken off, and the difference
is added as noise of the ring's spectrum and correlation of colours. It is drawn by place and seed, so that
two patches of one hole continue each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import AnyImage, Box, FloatImage, HoleMask
from . import bands
from .bands import Plane
from .cells import LUMA, Cells, joined, variance, variances
from .surroundings import MARGIN_PX, Frame, Look, look

_CELL_PX = 8
_MOST_CELLS = 4096
_MOST_SOURCES = 256
_LEAST_RING_PX = 256
_OFF, _FULL = 0.4, 0.8
"""Noise in levels of 255: up to the first, which rounding makes, none is added; from the second on, all of it."""
_STEEPEST = (2.5, 1.6, 1.6, 1.3, 1.2)
"""A measure has at most so many times the noise of the next finer one; more is structure."""
_EDGE = 1.5
"""So many times the median is no noise but structure, and tells nothing of its colours."""
_SHORT = 0.4
"""Share of the ring's noise: where less is missing, not all of it is added, for a part of it is chance."""
_STEPS = 60
_TINY = 1e-4


def with_grain(
    pixels: AnyImage,
    fill: FloatImage,
    hole: HoleMask,
    part: Box,
    *,
    corner: tuple[int, int],
    seed: int,
    tell: Callable[[int, int], None] = lambda step, total: None,
) -> FloatImage:
    """The part of the fill, with grain in its hole.

    pixels  (H, W, 3 or 4) the photo
    fill    (H, W, 3) in [0, 1]
    hole    (H, W) all of what is not the photo, whether this fill is for it or another
    corner  (x, y) of the arrays in the image, which the noise is drawn for
    tell    called with (step, total) between the tiles of a large part; may raise `Cancelled`

    The part comes back as it is where the ring is too small to measure, or has no noise: a flat graphic has none.
    """
    side_px = _CELL_PX
    while part.area > _MOST_CELLS * side_px**2:
        side_px *= 2
    near = part.grown(MARGIN_PX).clipped(*hole.shape)
    frame = Frame(pixels[near.slices], hole[near.slices], fill[part.slices], part.shifted(-near.x0, -near.y0))
    tiles, looks = list(frame.tiles()), []
    for number, tile in enumerate(tiles):
        if number:
            tell(number, 2 * len(tiles))
        looks.append(look(frame, tile, side_px))
    sources, wanted = (joined(parts) for parts in zip(*((each.ring, each.fill) for each in looks), strict=True))
    if not _is_noisy(looks, sources):
        return frame.fill
    grid = -(-near.height // side_px), -(-near.width // side_px)
    amplitudes = _by_cell(np.sqrt(_missing(wanted, sources, rounding=frame.scale**2 / 12)), wanted, grid)
    mixes = [_mix(np.concatenate([each.values[size] for each in looks])) for size in bands.SIZE_OF_BAND]
    out = frame.fill.copy()
    for number, tile in enumerate(tiles, len(tiles)):
        if len(tiles) > 1:
            tell(number, 2 * len(tiles))
        shared = tile.intersection(frame.part)
        if shared.area:
            place = shared.shifted(near.x0 + corner[0], near.y0 + corner[1])
            strengths = _by_pixel(amplitudes, side_px, shared)
            added = sum(
                bands.noise(seed, band, place) @ mix * strengths[..., band, None] for band, mix in enumerate(mixes)
            )
            added *= frame.hole[shared.slices][..., None] / np.float32(255)
            out[shared.shifted(-frame.part.x0, -frame.part.y0).slices] += added
    return out


def _is_noisy(looks: Sequence[Look], sources: Cells) -> bool:
    """Whether the ring is large enough, not most of it black or white, which have no noise, and has any."""
    known, clipped = sum(each.known for each in looks), sum(each.clipped for each in looks)
    if known < _LEAST_RING_PX or clipped > known / 2:
        return False
    finest = variance(sources.magnitudes.sum(axis=0))[0]
    return bool(finest > _OFF**2 * bands.seen_in_white()[0])


def _missing(wanted: Cells, sources: Cells, rounding: float) -> NDArray[np.float64]:
    """(n, bands): variance of white noise that each band of each wanted cell lacks.

    rounding  variance of what rounding adds to the fill later
    """
    white = bands.seen_in_white()
    there = variances(wanted, sources.every(_MOST_SOURCES), anywhere=1.0) / white
    own = variances(wanted, wanted.every(_MOST_SOURCES), anywhere=1e-3) / white
    for finer, steepest in enumerate(_STEEPEST):
        coarser = finer + 1  # where it finds no room, it is as its finer neighbour says
        there[:, coarser] = np.fmin(there[:, coarser], there[:, finer] * (steepest**2 if sources.fit(coarser) else 1))
        if not wanted.fit(coarser):
            own[:, coarser] = own[:, finer] * there[:, coarser] / np.maximum(there[:, finer], _TINY)
    there, own = np.nan_to_num(there), np.nan_to_num(own)
    short = 1 - np.sqrt(np.minimum(own / np.maximum(there, _TINY), 1))
    lacking = np.maximum(there - own, 0) * np.minimum(short / _SHORT, 1)
    powers = _solved((own + lacking) * white + _TINY, (own + rounding) * white + _TINY)
    return powers * np.clip((np.sqrt(there[:, :1]) - _OFF) / (_FULL - _OFF), 0, 1) ** 2


def _solved(wanted: NDArray[np.float64], has: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, measures) variances that should be, and that are -> (n, bands) variances of white noise to add, 0 and more.

    Multiplicative steps towards the least Itakura-Saito divergence, which weighs ratios (Fevotte et al. 2009).
    """
    seen = bands.seen()
    powers = np.full((len(has), bands.BANDS), wanted.mean())
    for _ in range(_STEPS):
        model = has + powers @ seen.T
        powers *= ((wanted / model**2) @ seen) / ((1 / model) @ seen)
    return powers


def _by_cell(values: NDArray[np.float64], places: Cells, shape: tuple[int, int]) -> Plane:
    """(n, k) -> (rows, columns, k), each the mean of a cell and of those that touch it."""
    row, column = places.place.astype(np.intp).T
    grid = np.zeros((*shape, values.shape[1]), np.float32)
    count = np.zeros(grid.shape[:2], np.float32)
    grid[row, column], count[row, column] = values, 1
    total, weight = (cv2.blur(plane, (3, 3)) for plane in (grid, count))
    return np.asarray(total / np.maximum(weight, 1e-6)[..., None], np.float32)


def _by_pixel(grid: Plane, side_px: int, box: Box) -> Plane:
    """(box.height, box.width, k), from the middle of one cell to that of the next."""
    top, left = box.y0 // side_px, box.x0 // side_px
    bottom, right = -(-box.y1 // side_px), -(-box.x1 // side_px)
    cut = np.pad(grid, ((1, 1), (1, 1), (0, 0)), mode="edge")[top : bottom + 2, left : right + 2]
    size = cut.shape[1] * side_px, cut.shape[0] * side_px
    pixels = cv2.resize(cut, size, interpolation=cv2.INTER_LINEAR)
    inner = box.shifted((1 - left) * side_px, (1 - top) * side_px)
    return np.asarray(pixels[inner.slices], np.float32)


def _mix(found: Plane) -> Plane:
    """(n, 3) -> (3, 3). The axes are those of what is no edge; the spread along each is that of the smaller half."""
    squared = (found**2).sum(axis=1)
    quiet = found[squared <= _EDGE**2 * np.median(squared)] if len(found) else found
    _, axes = np.linalg.eigh(quiet.T @ quiet)
    half = len(found) // 2
    along = np.partition(np.abs(found @ axes), half, axis=0)[:half] if half else np.ones((1, 3), np.float32)
    spreads = along.mean(axis=0)
    luma = np.linalg.norm(LUMA @ axes * spreads)
    return np.asarray((axes * (spreads / max(float(luma), _TINY))) @ axes.T, np.float32)
