"""The grain of the surroundings, for a fill that has less of it.

How much noise a cell of the fill should have is told by cells of its colour in the ring around the hole: noise depends
on the level, and a sky has another than the wall below it. What the fill has already is taken off, and the difference
is added as Gaussian noise of the ring's spectrum and correlation of colours. It is drawn by place and seed, so that
two patches of one hole continue each other.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import AnyImage, Box, FloatImage, HoleMask
from . import bands
from .cells import LUMA, Cells, cells, inside, variance, variances

Plane = bands.Plane

RING_PX = 32
"""How far from the hole grain is measured."""

_CELL_PX = 8
_MOST_CELLS = 4096
_MOST_SOURCES = 256
_MOST_VALUES = 20_000
_LEAST_RING_PX = 256
MARGIN_PX = 64
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
    pixels: AnyImage, fill: FloatImage, hole: HoleMask, part: Box, *, corner: tuple[int, int], seed: int
) -> FloatImage:
    """The part of the fill, with grain in its hole.

    pixels  (H, W, 3 or 4) the photo
    fill    (H, W, 3) in [0, 1]
    hole    (H, W) all of what is not the photo, whether this fill is for it or another
    corner  (x, y) of the arrays in the image, which the noise is drawn for

    The part comes back as it is where the ring is too small to measure, or has no noise: a flat graphic has none.
    """
    near = part.grown(MARGIN_PX).clipped(*hole.shape)
    here = part.shifted(-near.x0, -near.y0)
    side_px = _CELL_PX
    while part.area > _MOST_CELLS * side_px**2:
        side_px *= 2
    scale = np.float32(255 / np.iinfo(pixels.dtype).max)
    photo, own = pixels[near.slices][..., :3] * scale, fill[part.slices]
    ring = _ring(pixels[near.slices], photo, hole[near.slices])
    if ring is None or not _is_noisy(sources := cells(photo, ring, side_px)):
        return own
    to_fill = np.zeros_like(ring)
    to_fill[here.slices] = hole[part.slices]
    canvas = np.zeros_like(photo)
    canvas[here.slices] = own * np.float32(255)
    wanted = cells(canvas, to_fill, side_px)
    powers = _missing(wanted, sources, rounding=float(scale) ** 2 / 12)
    amplitudes = _by_pixel(np.sqrt(powers), wanted, side_px, here)
    added = np.zeros_like(own)
    for band, mix in enumerate(_mixes(photo, ring)):
        added += bands.noise(seed, band, part.shifted(*corner)) @ mix * amplitudes[..., band, None]
    return np.asarray(np.where(hole[part.slices][..., None], own + added / np.float32(255), own), np.float32)


def _ring(pixels: AnyImage, photo: Plane, hole: HoleMask) -> HoleMask | None:
    """The known pixels near the hole; None where they are too few, or most are black or white, which have no noise."""
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    known = ~hole & (distance <= RING_PX)
    if pixels.shape[2] == 4:
        known &= pixels[..., 3] > 0
    count = np.count_nonzero(known)
    clipped = np.count_nonzero(known & ((photo.min(axis=2) >= 254) | (photo.max(axis=2) <= 1)))
    return known if count >= _LEAST_RING_PX and clipped <= count / 2 else None


def _is_noisy(sources: Cells) -> bool:
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


def _by_pixel(values: NDArray[np.float64], cells_: Cells, side_px: int, part: Box) -> Plane:
    """(n, k) -> (part.height, part.width, k), from the middle of one cell to that of the next."""
    rows, columns = cells_.where.shape
    grid = np.zeros((rows, columns, values.shape[1]), np.float32)
    grid[cells_.where] = values
    total, count = (cv2.blur(plane, (3, 3)) for plane in (grid, cells_.where.astype(np.float32)))
    smooth = total / np.maximum(count, 1e-6)[..., None]
    whole = cv2.resize(smooth, (columns * side_px, rows * side_px), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[part.slices], np.float32)


def _mixes(photo: Plane, ring: HoleMask) -> list[Plane]:
    """For each band (3, 3): what noise of three equal channels is multiplied with to have the ring's correlation.

    The luma of the product has variance 1.
    """
    mixes = {}
    for kernels in bands.MEASURES[1::2]:
        size = len(kernels[0][0])
        found = [bands.filtered(photo, kernel)[inside(ring, size)] for kernel in kernels]
        values = np.concatenate(found)
        mixes[size] = _mix(values[:: 1 + len(values) // _MOST_VALUES])
    return [mixes[size] for size in bands.SIZE_OF_BAND]


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
