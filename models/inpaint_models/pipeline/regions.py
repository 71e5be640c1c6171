"""Where the hole of a mask lies, as disjoint boxes. Pure: a mask and a price per box in, boxes out.

A hole is looked at in cells of 16 pixels and cut by straight lines, again and again, as long as the parts are cheaper
than the whole: the tree of cuts is built to its end and pruned from below. A cut between two parts that do not touch
is free. A cut through the hole makes the fill continue across a seam, so it has a price, and is made only where the
hole is thin: a stroke is tiled along its length, a blob is never cut. Boxes cut by lines are disjoint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import EmptyMask
from ..types import HOLE_THRESHOLD, Box, HoleMask, Mask, tight_box

CELL_PX = 16
"""Parts of a hole nearer than this count as one."""

CUT_PX_PER_PX = 1_000
"""What a cut through the hole costs, in pixels for each pixel of its length inside the hole."""

THIN_PX = 256
"""A cut goes only where the hole is at most this thick, ..."""

LEAST_PX = 128
"""... and leaves at least so much on either side."""

LONG = 2
"""A box half full of hole is a stroke if what a cut leaves is so many times longer than the cut. A blob is not cut."""

MOST_PIECES = 200
"""Masks of more pieces, such as dust or noise, are looked at in larger cells, so that near ones become one."""

Lengths: TypeAlias = NDArray[np.int64]
Price = Callable[[Lengths, Lengths], NDArray[np.float64]]
"""(heights, widths) in pixels -> what boxes of these sizes cost, in pixels; never less for a larger box."""


class Cells(NamedTuple):
    """A mask, coarsely.

    occupied  (rows, columns): which cells hold any pixel of the hole; the first begins at the mask's corner
    side_px   length of a cell's side
    """

    occupied: HoleMask
    side_px: int


class _Cut(NamedTuple):
    """A line across a box: cells before `at` on one side, the others on the other. `price` is that of all of it."""

    price: float
    at: int
    seam: float


def cells_of(mask: Mask) -> Cells:
    """Reads the mask once. Raises `EmptyMask`."""
    height, width = mask.coverage.shape
    rows = np.empty((-(-height // CELL_PX), width), np.uint8)
    for row, y in zip(rows, range(0, height, CELL_PX), strict=True):
        np.bitwise_or.reduce(mask.coverage[y : y + CELL_PX], axis=0, out=row)
    # The threshold is one bit of the value, so that it is in the union of bits when it is in any of them.
    occupied = np.bitwise_or.reduceat(rows, np.arange(0, width, CELL_PX), axis=1) & HOLE_THRESHOLD > 0
    if not occupied.any():
        raise EmptyMask("The mask is empty: nothing in it is white. Paint over what should go.")
    side_px = CELL_PX
    while cv2.connectedComponents(occupied.astype(np.uint8))[0] - 1 > MOST_PIECES:
        occupied, side_px = _halved(occupied), 2 * side_px
    return Cells(occupied, side_px)


def split(cells: Cells, within: Box, price: Price) -> list[Box]:
    """Disjoint boxes, in cells, that hold every occupied cell of `within`, at the lowest price that was found."""
    return _cheapest(cells, within, price)[1]


def in_pixels(mask: Mask, cells: Cells, part: Box) -> Box:
    """The smallest box, in the image, around the hole in a box of cells."""
    x0, y0, x1, y1 = (side * cells.side_px for side in part)
    near = Box(x0, y0, x1, y1).shifted(mask.box.x0, mask.box.y0).intersection(mask.box)
    tight = tight_box(mask.hole_in(near))
    assert tight is not None, "an occupied cell has a pixel of the hole"
    return tight.shifted(near.x0, near.y0)


def _cheapest(cells: Cells, within: Box, price: Price) -> tuple[float, list[Box]]:
    part = cells.occupied[within.slices]
    tight = tight_box(part)
    assert tight is not None, "both sides of a cut are occupied"
    part, box = part[tight.slices], tight.shifted(within.x0, within.y0)
    sides_px = np.array([(1, 1), part.shape]) * cells.side_px
    least, whole = map(float, price(*sides_px.T))
    is_short = sides_px[1].max() < 2 * LEAST_PX
    if whole <= 2 * least or (is_short and cv2.connectedComponents(part.astype(np.uint8))[0] == 2):
        return whole, [box]  # one piece that is too short to be cut, as most strokes of a brush are
    upright, level = _best_cut(part, cells.side_px, price), _best_cut(part.T, cells.side_px, _turned(price))
    cut = min(upright, level)
    if cut.price == np.inf:
        return whole, [box]
    if cut is upright:
        halves = box._replace(x1=box.x0 + cut.at), box._replace(x0=box.x0 + cut.at)
    else:
        halves = box._replace(y1=box.y0 + cut.at), box._replace(y0=box.y0 + cut.at)
    (first, first_boxes), (second, second_boxes) = (_cheapest(cells, half, price) for half in halves)
    total = first + second + cut.seam
    return (total, first_boxes + second_boxes) if total < whole else (whole, [box])


def _best_cut(part: HoleMask, side_px: int, price: Price) -> _Cut:
    """The upright line between two columns that leaves the cheapest two boxes; `part` is tight."""
    if part.shape[1] < 2:
        return _Cut(np.inf, 0, 0.0)
    heights, widths = _boxes_before(part)
    heights_after, widths_after = (sides[::-1] for sides in _boxes_before(part[:, ::-1]))
    seam, thickness = _seams(part, side_px)
    is_full = 2 * np.count_nonzero(part) >= part.size
    least = np.maximum(LEAST_PX, LONG * thickness) if is_full else LEAST_PX
    thin = (thickness <= THIN_PX) & (np.minimum(widths, widths_after) * side_px >= least)
    prices = price(heights * side_px, widths * side_px) + price(heights_after * side_px, widths_after * side_px)
    prices = np.where((seam == 0) | thin, prices + seam, np.inf)
    at = int(prices.argmin())
    return _Cut(float(prices[at]), at + 1, float(seam[at]))


def _boxes_before(part: HoleMask) -> tuple[Lengths, Lengths]:
    """(heights, widths) of the smallest boxes around what lies left of each line between two columns."""
    height, width = part.shape
    some = part.any(axis=0)
    top = np.where(some, part.argmax(axis=0), height)
    bottom = np.where(some, height - part[::-1].argmax(axis=0), 0)
    right = np.maximum.accumulate(np.where(some, np.arange(1, width + 1), 0))
    return (np.maximum.accumulate(bottom) - np.minimum.accumulate(top))[:-1], right[:-1]


def _seams(part: HoleMask, side_px: int) -> tuple[NDArray[np.float64], Lengths]:
    """(price, thickness in pixels) of the hole on each line between two columns; both are 0 where nothing touches."""
    right = part[:, 1:]
    near = right.copy()
    near[1:] |= right[:-1]
    near[:-1] |= right[1:]
    crossing = part[:, :-1] & near
    count = crossing.cumsum(axis=0, dtype=np.int32)
    run = count - np.maximum.accumulate(np.where(crossing, 0, count), axis=0)
    return count[-1] * float(side_px * CUT_PX_PER_PX), run.max(axis=0) * side_px


def _turned(price: Price) -> Price:
    return lambda heights, widths: price(widths, heights)


def _halved(occupied: HoleMask) -> HoleMask:
    """Cells of twice the side."""
    rows = np.logical_or.reduceat(occupied, np.arange(0, occupied.shape[0], 2), axis=0)
    return np.logical_or.reduceat(rows, np.arange(0, occupied.shape[1], 2), axis=1)
