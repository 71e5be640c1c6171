"""Noise by cell: how much there is in each measure of bands.py, at which colour, and where.

The spread of a measure is that of the smaller half of its magnitudes (after Donoho and Johnstone 1994, who take the
median), which edges and other structure are not in. Cells hold histograms of magnitudes, so that the smaller half can
be taken over any weighted choice of cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import HoleMask
from .bands import MEASURES, Kernel, Plane, filtered

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

_BINS = 32
_LEAST, _MOST = 0.05, 64.0
"""Magnitudes in levels of 255 that the bins tell apart."""
_PER_BIN = (_MOST / _LEAST) ** (1 / (_BINS - 2))
_MIDDLES = _LEAST * _PER_BIN ** (np.arange(_BINS, dtype=np.float32) - 0.5)
_SMALLER_HALF = 0.324652
"""Mean of the smaller half of |x| for a normal x of standard deviation 1."""

_COLOUR_SPREAD = 10.0
"""In levels of 255: cells that differ so much have little to say about each other's noise, ..."""
_PLACE_SPREAD_CELLS = 8.0
"""... and so have cells so far apart."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a grid that have any pixel of a region: n of them.

    place       (n, 2) row and column
    colour      (n, 3) mean, levels of 255
    magnitudes  (n, measures, bins) histogram of the luma's magnitudes, in shares of a cell
    """

    place: Plane
    colour: Plane
    magnitudes: Plane

    def fit(self, measure: int) -> bool:
        """Whether the measure found room anywhere."""
        return bool(self.magnitudes[:, measure].any())

    def every(self, most: int) -> Cells:
        """As many of them, spread evenly."""
        step = -(-len(self.place) // most)
        return Cells(self.place[::step], self.colour[::step], self.magnitudes[::step])


def joined(parts: Sequence[Cells]) -> Cells:
    """All cells of several parts, at least one."""
    fields = zip(*((part.place, part.colour, part.magnitudes) for part in parts), strict=True)
    return Cells(*(np.concatenate(field) for field in fields))


def cells(image: Plane, region: HoleMask, side_px: int, first: tuple[int, int]) -> Cells:
    """The cells of a part of the grid.

    image   (H, W, 3), levels of 255; only what lies in the region counts
    first   row and column of the cell in the corner
    """
    height, width = region.shape
    columns = -(-width // side_px)
    grid = np.arange(height)[:, None] // side_px * columns + np.arange(width) // side_px
    cell = grid[region]
    total = -(-height // side_px) * columns
    count = np.bincount(cell, minlength=total)
    used = count > 0
    sums = np.stack([np.bincount(cell, values, total) for values in image[region].T], axis=1)
    luma = image @ LUMA
    magnitudes = np.stack([_histograms(luma, region, grid, kernels, total)[used] for kernels in MEASURES], axis=1)
    return Cells(
        (np.argwhere(used.reshape(-1, columns)) + first).astype(np.float32),
        (sums[used] / count[used][:, None]).astype(np.float32),
        magnitudes / np.float32(side_px**2),
    )


def _histograms(
    luma: Plane, region: HoleMask, grid: NDArray[np.intp], kernels: tuple[Kernel, ...], total: int
) -> Plane:
    """(total, bins) of one measure, by cell; the mean of its kernels."""
    whole = inside(region, len(kernels[0][0]))
    first = grid[whole] * _BINS
    counts = np.zeros(total * _BINS)
    for kernel in kernels:
        found = np.maximum(np.abs(filtered(luma, kernel)[whole]), 1e-6)
        bins = np.clip(np.log(found / _LEAST) / np.log(_PER_BIN) + 1, 0, _BINS - 1).astype(np.intp)
        counts += np.bincount(first + bins, minlength=total * _BINS)
    return (counts / len(kernels)).reshape(total, _BINS).astype(np.float32)


def inside(region: HoleMask, size_px: int) -> HoleMask:
    """Where a filter of this size sees nothing but the region."""
    anchor = size_px // 2
    padded = np.pad(region, size_px).astype(np.uint8)
    whole = cv2.erode(padded, np.ones((size_px, size_px), np.uint8), anchor=(anchor, anchor))
    return np.asarray(whole[size_px:-size_px, size_px:-size_px] > 0)


def variances(wanted: Cells, found: Cells, anywhere: float) -> NDArray[np.float64]:
    """(n, measures): noise at each wanted cell, as in found cells of its colour, near ones first.

    anywhere  weight of all others; NaN for measures that no found cell has
    """
    apart = _squared_distances(wanted.colour, found.colour) / _COLOUR_SPREAD**2
    apart += _squared_distances(wanted.place, found.place) / _PLACE_SPREAD_CELLS**2
    weights = np.exp(-apart / 2) + np.float32(anywhere / len(found.place))
    return variance(np.tensordot(weights / weights.sum(axis=1, keepdims=True), found.magnitudes, 1))


def variance(magnitudes: Plane) -> NDArray[np.float64]:
    """(..., bins) histograms -> (...) variance of the noise in the smaller half; NaN where a histogram is empty."""
    up_to = np.cumsum(magnitudes, axis=-1, dtype=np.float64)
    half = up_to[..., -1:] / 2
    taken = np.clip(half - (up_to - magnitudes), 0, magnitudes)
    with np.errstate(invalid="ignore"):
        mean = (taken * _MIDDLES).sum(axis=-1) / half[..., 0]
    return np.asarray((mean / _SMALLER_HALF) ** 2)


def _squared_distances(a: Plane, b: Plane) -> Plane:
    """(n, m) between points (n, d) and (m, d)."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0), np.float32)
