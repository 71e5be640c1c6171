"""Which parts of an image the engine gets to see, and in which order. Pure: boxes and masks in, boxes out.

What a crop costs is counted in pixels of the image: those that the engine sees, and a fixed sum for the call. A crop
that has to be shrunk costs all of its pixels, and as many times more as its area is shrunk, because what shrinking
saves in time it takes from the detail. Two holes get crops of their own where that is cheaper than one crop around
both; a thin stroke is tiled along its length.

A crop may see holes that other crops fill. Those of its own wave and of later ones are hole to it, so that no pixel of
what is to go is ever taken for known. Those of earlier waves are filled by then, and known: crops that share a seam are
in different waves, and so the second continues what the first began. A stroke's tiles alternate between two waves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import NothingToCopy
from ..registry import SizeRequirement, Strategy
from ..types import Box, Mask, SourceControl
from .regions import Cells, Lengths, Price, cells_of, in_pixels, split

CALL_PX = 4_096
"""What a call of the engine costs beside its pixels, counted in pixels."""

PATCH_PX = 65_536
"""What a patch costs beside its pixels: a file, a message and a download, counted in pixels that are encoded."""

BATCH_STEP_PX = 64
"""Sides of crops are multiples of this where that makes crops of equal sizes for an engine that takes batches."""


@dataclass(frozen=True, slots=True)
class Crop:
    """What is shown to the engine at once.

    box           in the image, with the context
    patches       the smallest boxes around the parts of the hole that are filled from it; disjoint among all crops
    network_size  (height, width) at which the engine sees the box
    padded_size   (height, width) after padding to what the engine accepts
    wave          it reads what the crops of earlier waves filled
    """

    box: Box
    patches: tuple[Box, ...]
    network_size: tuple[int, int]
    padded_size: tuple[int, int]
    wave: int = 0


@dataclass(frozen=True, slots=True)
class FillPlan:
    """How a mask will be filled.

    strategy  what `auto` became
    crops     in the order in which they are filled: by wave, then by size
    """

    strategy: Literal["crop", "resize", "original"]
    crops: tuple[Crop, ...]

    @property
    def patches(self) -> int:
        """How many there will be."""
        return sum(len(crop.patches) for crop in self.crops)

    def batches(self, most_px: float) -> Iterator[Sequence[Crop]]:
        """The crops in turn: as many of one wave and one size at once as hold no more than `most_px` pixels."""
        for (_, size), group in groupby(self.crops, lambda crop: (crop.wave, crop.padded_size)):
            alike = list(group)
            at_once = max(1, int(most_px // (size[0] * size[1])))
            yield from (alike[start : start + at_once] for start in range(0, len(alike), at_once))


def plan(
    mask: Mask,
    height: int,
    width: int,
    strategy: Strategy,
    size: SizeRequirement,
    *,
    in_batches: bool = False,
    control: SourceControl | None = None,
    unknown: Mask | None = None,
) -> FillPlan:
    """Crops for a mask on an image of (height, width). Raises `EmptyMask`, `NothingToCopy`.

    in_batches  the engine fills crops of equal sizes together, so crops of similar sizes are made equal
    control     crops hold all that is to be copied from, and enough where something is not to be
    unknown     what crops cannot be filled from, where that is more than the mask
    """
    unknown = unknown or mask
    cells = cells_of(mask)
    everything = Box(0, 0, cells.occupied.shape[1], cells.occupied.shape[0])
    kind = strategy.kind
    if kind == "crop" and max(height, width) <= strategy.crop_above:
        kind = "original"
    if kind != "crop":
        max_side = strategy.max_side if kind == "resize" else None
        patches = _patches(mask, cells, everything)
        return FillPlan(kind, (_crop(Box(0, 0, width, height), patches, max_side, size),))
    groups = [
        _patches(mask, cells, part) for part in split(cells, everything, _crop_price(height, width, strategy, size))
    ]
    groups.sort()
    holes = [around(patches) for patches in groups]
    step_px = BATCH_STEP_PX if in_batches and len(groups) > 1 else 1
    crops = [
        _crop(
            seeing_sources(
                seeing_known(unknown, hole, height, width, strategy, size, step_px), unknown, height, width, control
            ),
            patches,
            strategy.max_side,
            size,
            wave,
        )
        for hole, patches, wave in zip(holes, groups, _waves(holes), strict=True)
    ]
    return FillPlan("crop", tuple(sorted(crops, key=lambda crop: (crop.wave, crop.padded_size, crop.box))))


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return Box(min(x0), min(y0), max(x1), max(y1))


def with_context(
    hole: Box, height: int, width: int, strategy: Strategy, size: SizeRequirement, step_px: int = 1
) -> Box:
    """The hole and its surroundings, moved inwards at the image's edges so that no context is lost.

    Where the network wants a larger or square crop, that is real picture rather than padding if there is any.
    """
    sides = wanted_sides(np.array(hole.height), np.array(hole.width), strategy, size, step_px)
    crop_h, crop_w = min(height, int(sides[0])), min(width, int(sides[1]))
    y0 = min(max(0, (hole.y0 + hole.y1 - crop_h) // 2), height - crop_h)
    x0 = min(max(0, (hole.x0 + hole.x1 - crop_w) // 2), width - crop_w)
    return Box(x0, y0, x0 + crop_w, y0 + crop_h)


def wanted_sides(
    heights: Lengths, widths: Lengths, strategy: Strategy, size: SizeRequirement, step_px: int = 1
) -> tuple[Lengths, Lengths]:
    """(heights, widths) of the crops of holes of these sizes, in an image without end.

    Up to half of the context gives way where nothing has to be shrunk then.
    """
    margin = np.maximum(strategy.margin_px, np.rint(strategy.context * np.maximum(heights, widths))).astype(np.int64)
    most = strategy.max_side - strategy.max_side % size.multiple_of

    def with_margins(sides: Lengths) -> Lengths:
        wanted = _rounded_up(sides + 2 * margin, step_px)
        return np.where((sides + margin <= most) & (most < wanted), most, wanted)

    tall, wide = with_margins(heights), with_margins(widths)
    if size.square:
        tall = wide = np.maximum(tall, wide)
    return _padded(tall, strategy, size), _padded(wide, strategy, size)


def _padded(sides: Lengths, strategy: Strategy, size: SizeRequirement) -> Lengths:
    """Up to what the network takes, unless that would have to be shrunk again."""
    padded = _rounded_up(np.maximum(sides, size.minimum), size.multiple_of)
    return np.where(padded <= strategy.max_side, padded, sides)


def _rounded_up(sides: Lengths, step_px: int) -> Lengths:
    return -(-sides // step_px) * step_px


def network_size(crop: Box, max_side: int | None) -> tuple[int, int]:
    """(height, width) at which the network sees the crop, before padding."""
    longer = max(crop.height, crop.width)
    if max_side is None or longer <= max_side:
        return crop.height, crop.width
    return max(1, round(crop.height * max_side / longer)), max(1, round(crop.width * max_side / longer))


def patch_price(heights: Lengths, widths: Lengths) -> NDArray[np.float64]:
    """What patches of these sizes cost, in pixels."""
    return np.asarray(heights * widths + PATCH_PX, np.float64)


def _patches(mask: Mask, cells: Cells, part: Box) -> tuple[Box, ...]:
    return tuple(sorted(in_pixels(mask, cells, box) for box in split(cells, part, patch_price)))


def _crop_price(height: int, width: int, strategy: Strategy, size: SizeRequirement) -> Price:
    """What the crops of holes cost, see the top of this file."""

    def price(heights: Lengths, widths: Lengths) -> NDArray[np.float64]:
        tall, wide = wanted_sides(heights, widths, strategy, size)
        tall, wide = (
            _padded(np.minimum(sides, limit), strategy, size) for sides, limit in ((tall, height), (wide, width))
        )
        shrunk = np.maximum(1, np.maximum(tall, wide) / strategy.max_side)
        return np.asarray(tall * wide * shrunk**2 + CALL_PX, np.float64)

    return price


def seeing_known(
    mask: Mask, hole: Box, height: int, width: int, strategy: Strategy, size: SizeRequirement, step_px: int
) -> Box:
    """The hole with its context; a wider one where all of it is hole, so that there is something to fill from."""
    crop = with_context(hole, height, width, strategy, size, step_px)
    while crop.area < height * width and mask.hole_in(crop).all():
        crop = crop.grown(max(crop.height, crop.width)).clipped(height, width)
    return crop


def seeing_sources(crop: Box, mask: Mask, height: int, width: int, control: SourceControl | None) -> Box:
    """The crop, widened to hold what is to be copied from; without such a wish, as much that may be as there is hole.

    Raises `NothingToCopy` where the image has no pixel that is known and may be copied.
    """
    if control is None:
        return crop
    if control.include is not None:
        crop = crop.union(control.include.box)
    while True:
        hole = mask.hole_in(crop)
        allowed = np.count_nonzero(control.allowed_in(crop) & ~hole)
        whole = crop.area == height * width or control.include is not None
        if whole or allowed >= np.count_nonzero(hole):
            break
        crop = crop.grown(max(crop.height, crop.width)).clipped(height, width)
    if not allowed:
        raise NothingToCopy("Nothing is left to copy from. Mark more of the picture to copy from, or exclude less.")
    return crop


def _crop(box: Box, patches: tuple[Box, ...], max_side: int | None, size: SizeRequirement, wave: int = 0) -> Crop:
    shown = network_size(box, max_side)
    return Crop(box, patches, shown, size.padded(*shown), wave)


def _waves(holes: Sequence[Box]) -> list[int]:
    """The first wave for each hole in which none that it touches is filled."""
    x0, y0, x1, y1 = np.array(holes).T
    touching = (x0[:, None] <= x1) & (x0 <= x1[:, None]) & (y0[:, None] <= y1) & (y0 <= y1[:, None])
    waves: list[int] = []
    for index in range(len(holes)):
        taken = {waves[other] for other in np.flatnonzero(touching[index, :index])}
        waves.append(next(wave for wave in count() if wave not in taken))
    return waves
