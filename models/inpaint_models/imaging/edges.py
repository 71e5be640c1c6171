"""The edge of a thing, decided pixel by pixel from the mean colours on either side of it.

A pixel of the edge is a mixture of the colour inside and the colour outside (Porter and Duff, "Compositing Digital
Images", 1984). With both known from the surroundings, the share of the inside is a projection between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import HOLE_THRESHOLD, Box, Mask, PixelSource, tight_box
from .views import Cutout, Reduced, shrunk

_TILE_PX = 96
_CELL_PX = 8
"""Cells in which it is looked whether an edge is near; a tile holds whole ones."""
_LEAST_CONTRAST = 10.0
"""Colours nearer than this, in levels of 255, cannot be told apart: the edge stays where it was."""
_STEP_BAND_PX = 2
"""How far an edge may be off after the image has doubled in size."""
_STEP_MARGIN_PX = 2 * _STEP_BAND_PX
"""What is looked at around an edge: as much again in the doubled image as `_refined_tiles` sees beside a tile."""
_READ_PX = 1_000_000
"""A part of a photo that is larger is read along edges only, and else from a few of its rows."""
_SEEN_PX = 250_000
"""What a window shows of a part of a photo is about as fine."""
_FINER = 4
"""What a view is made from has so many pixels for each of the view's."""
MOST_REFINED_PX = 8_000_000
"""The edge of larger images is within a pixel of that found at half their size, and takes long to find."""

Image8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


def halvings(image: Image8, view_px: int) -> list[Image8]:
    """The image, its half, its quarter ..., and last a view of at most that many pixels; `enlarged` goes them up."""
    levels = [image]
    while levels[-1].size > 3 * 4 * view_px:
        height, width = levels[-1].shape[0] // 2, levels[-1].shape[1] // 2
        levels.append(shrunk(levels[-1][: 2 * height, : 2 * width], height, width))
    view = shrunk_to(levels[-1], view_px)
    return levels if view is levels[-1] else [*levels, view]


def levels_of(image: PixelSource, box: Box, view_px: int) -> list[PixelSource]:
    """As `halvings` of a box of an image, of which the larger levels are read only where they are sliced."""
    base = Reduced(image, box, _factor(box, _READ_PX))
    larger: list[PixelSource] = [Reduced(image, box, 2**power) for power in range(base.factor.bit_length() - 1)]
    return [*larger, *halvings(base.sampled(), view_px)]


def view_of(image: PixelSource, box: Box, view_px: int) -> Image8:
    """The last of these levels alone."""
    return shrunk_to(Reduced(image, box, _factor(box, _FINER * view_px)).sampled(), view_px)


def _factor(box: Box, most_px: int) -> int:
    factor = 1
    while (box.height // factor) * (box.width // factor) > most_px:
        factor *= 2
    return factor


def shrunk_to(image: Image8, view_px: int) -> Image8:
    """The image with at most that many pixels."""
    height, width = image.shape[:2]
    if height * width <= view_px:
        return image
    scale = (view_px / (height * width)) ** 0.5
    return shrunk(image, max(1, int(height * scale)), max(1, int(width * scale)))


def enlarged(
    inside: Flags, levels: Sequence[PixelSource], show: Callable[[Flags, Box], None] = lambda inside, box: None
) -> Mask | None:
    """A mask of the last level at the size of the first, its edge found again at each level in between.

    show  gets what is inside of a level that is as fine as a window, and the box of the first level that it is of

    None where nothing is inside. Its cost follows the thing, not the image that it lies in.
    """
    now = len(levels) - 1
    seen = next((index for index, level in enumerate(levels) if level.shape[0] * level.shape[1] <= _SEEN_PX), now)
    part = _Part(Box(0, 0, inside.shape[1], inside.shape[0]), inside.view(np.uint8))
    if now == 0:
        show(inside, part.box)
    for index in reversed(range(now)):
        level = levels[index]
        height, width = level.shape[:2]
        refined = height * width <= MOST_REFINED_PX
        if not refined and index > 0:
            continue
        if now == len(levels) - 1:
            part = _Part(Box(0, 0, width, height), _resized(part.inside, height, width))
        elif (tight := part.trimmed()) is None:
            return None
        else:
            part = tight.times(2 ** (now - index), levels[now].shape, level.shape)
        now = index
        if refined:
            part.refine(level)
        if index == seen:
            show(part.inside.view(np.bool_), Box(*(2**index * edge for edge in part.box)))
    if (final := part.trimmed()) is None:
        return None
    np.multiply(final.inside, 255, out=final.inside)  # in place: another array of a large photo's size takes longer
    return Mask(final.box, final.inside)


@dataclass(frozen=True, slots=True)
class _Part:
    """What is inside, 0 or 1, in a box of a level that holds all of it."""

    box: Box
    inside: Image8

    def trimmed(self) -> _Part | None:
        tight = tight_box(self.inside.view(np.bool_))
        return tight and _Part(tight.shifted(self.box.x0, self.box.y0), self.inside[tight.slices])

    def times(self, factor: int, shape: Sequence[int], larger: Sequence[int]) -> _Part:
        """With as much around it as is looked at when its edge is found again.

        shape, larger  of its level and of the one that has `factor` times of its pixels, and some more at its far sides
        """
        around = np.pad(self.inside, _STEP_MARGIN_PX)
        if self.box.y1 == shape[0]:
            around[-_STEP_MARGIN_PX:] = around[-_STEP_MARGIN_PX - 1]
        if self.box.x1 == shape[1]:
            around[:, -_STEP_MARGIN_PX:] = around[:, -_STEP_MARGIN_PX - 1, None]
        large = _resized(around, factor * around.shape[0], factor * around.shape[1])
        box = Box(*(factor * edge for edge in self.box.grown(_STEP_MARGIN_PX)))
        seen = box.clipped(*larger[:2])
        return _Part(seen, large[seen.shifted(-box.x0, -box.y0).slices])

    def refine(self, level: PixelSource) -> None:
        inside = self.inside.view(np.bool_)
        for tile, alpha in list(_refined_tiles(Cutout(level, self.box), inside, _STEP_BAND_PX, _LEAST_CONTRAST)):
            inside[tile.slices] = alpha >= 0.5


def _resized(inside: Image8, height: int, width: int) -> Image8:
    large = cv2.resize(inside * np.uint8(255), (width, height), interpolation=cv2.INTER_LINEAR)
    cv2.threshold(large, HOLE_THRESHOLD - 1, 1, cv2.THRESH_BINARY, dst=large)
    return np.asarray(large, np.uint8)


def edge_alpha(
    image: Image8, inside: Flags, band_px: int, least_contrast: float = _LEAST_CONTRAST
) -> NDArray[np.float32]:
    """(H, W) in [0, 1]: how much of each pixel is the inside. Changed within `band_px` of the edge, 0 or 1 elsewhere.

    image   (H, W, 3)
    inside  (H, W), the edge to within `band_px`

    Its cost follows the length of the edge, not the image.
    """
    alpha = inside.astype(np.float32)
    for box, local in _refined_tiles(image, inside, band_px, least_contrast):
        alpha[box.slices] = local
    return alpha


def _refined_tiles(
    image: PixelSource, inside: Flags, band_px: int, least_contrast: float
) -> Iterator[tuple[Box, NDArray[np.float32]]]:
    """The alpha of each tile that holds a part of the edge."""
    height, width = inside.shape
    for box in edge_tiles(inside, band_px):
        seen = box.grown(4 * band_px).clipped(height, width)
        local = _alpha_of_tile(image[seen.slices], inside[seen.slices], band_px, least_contrast)
        yield box, local[box.shifted(-seen.x0, -seen.y0).slices]


def edge_tiles(inside: Flags, band_px: int) -> Iterator[Box]:
    """Tiles that an edge passes, or comes as near as `band_px`; a few besides."""
    height, width = inside.shape
    rows, columns = -(-height // _CELL_PX), -(-width // _CELL_PX)
    padded = np.pad(inside, ((0, rows * _CELL_PX - height), (0, columns * _CELL_PX - width)), "edge")
    cells = cv2.resize(padded.view(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_AREA)
    reach = 2 * (1 + -(-band_px // _CELL_PX)) + 1
    on_edge = cv2.morphologyEx(cells, cv2.MORPH_GRADIENT, np.ones((reach, reach), np.uint8)) > 0
    in_tile = _TILE_PX // _CELL_PX
    for y, x in sorted({(int(y) // in_tile, int(x) // in_tile) for y, x in zip(*np.nonzero(on_edge), strict=True)}):
        box = Box(x * _TILE_PX, y * _TILE_PX, (x + 1) * _TILE_PX, (y + 1) * _TILE_PX)
        yield box.clipped(height, width)


def _alpha_of_tile(image: Image8, inside: Flags, band_px: int, least_contrast: float) -> NDArray[np.float32]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band_px + 1, 2 * band_px + 1))
    flags = inside.view(np.uint8)
    surely_in = np.asarray(cv2.erode(flags, disc), np.uint8)
    surely_out = np.asarray(cv2.erode(flags ^ 1, disc), np.uint8)
    places = np.flatnonzero((surely_in | surely_out) == 0)
    counted = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), np.uint8)  # the fourth channel counts pixels
    corners = _corners(places, inside.shape, 3 * band_px)
    within, within_there = _local_mean(counted, surely_in, corners)
    around, around_there = _local_mean(counted, surely_out, corners)
    between = within - around
    contrast = np.einsum("nc,nc->n", between, between)
    share = np.einsum("nc,nc->n", image.reshape(-1, 3)[places] - around, between) / np.maximum(contrast, 1.0)
    decided = within_there & around_there & (contrast >= least_contrast**2)
    alpha = inside.astype(np.float32)
    flat = alpha.reshape(-1)
    flat[places] = np.where(decided, share.clip(0, 1), flat[places])
    return alpha


def _corners(places: Places, shape: tuple[int, ...], radius_px: int) -> tuple[Places, Places, Places, Places]:
    """Of the squares around flat places: where they lie in a flat table of sums that is a row and a column larger."""
    height, width = shape
    ys, xs = np.divmod(places, width)
    top = np.maximum(ys - radius_px, 0) * (width + 1)
    bottom = np.minimum(ys + radius_px + 1, height) * (width + 1)
    left, right = np.maximum(xs - radius_px, 0), np.minimum(xs + radius_px + 1, width)
    return bottom + right, bottom + left, top + right, top + left


def _local_mean(
    counted: Image8, where: NDArray[np.uint8], corners: tuple[Places, Places, Places, Places]
) -> tuple[NDArray[np.float32], Flags]:
    """(mean colour of the chosen pixels in each of n squares, whether there are any): (n, 3) and (n,)."""
    sums = cv2.integral(cv2.bitwise_and(counted, counted, mask=where)).reshape(-1, 4)
    first, *others = (np.take(sums, corner, axis=0) for corner in corners)
    total = first - others[0] - others[1] + others[2]
    count = np.maximum(total[:, 3:], 255)
    return np.divide(total[:, :3] * 255, count, dtype=np.float32), total[:, 3] > 0
