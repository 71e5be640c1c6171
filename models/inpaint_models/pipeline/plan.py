"""Which parts of an image a network gets to see. Pure: boxes and masks in, boxes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ..registry import SizeRequirement, Strategy
from ..types import Box, Mask

_CELL = 16
"""Holes nearer than this many pixels count as one: keeps the number of components of a scribble small."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a mask will be filled.

    strategy  what `auto` became
    crops     boxes in the image, disjoint, each with all of its holes inside
    max_side    a crop whose longer side exceeds this is shrunk to it for the network; None = never
    """

    strategy: Literal["crop", "resize", "original"]
    crops: tuple[Box, ...]
    max_side: int | None


def plan(mask: Mask, height: int, width: int, strategy: Strategy, size: SizeRequirement) -> Plan:
    """Crops for a mask on an image of (height, width)."""
    whole = Box(0, 0, width, height)
    if strategy.kind == "original" or (strategy.kind == "crop" and max(height, width) <= strategy.crop_above):
        return Plan("original", (whole,), None)
    if strategy.kind == "resize":
        return Plan("resize", (whole,), strategy.max_side)
    return Plan("crop", crop_boxes(hole_boxes(mask), height, width, strategy, size), strategy.max_side)


def hole_boxes(mask: Mask) -> list[Box]:
    """Boxes, in the image, around the connected groups of hole pixels."""
    cells = _any_in_cells(mask.coverage > 0)
    count, _, stats, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
    boxes = []
    for x, y, w, h, _ in stats[1:count].tolist():
        rows, columns = slice(y * _CELL, (y + h) * _CELL), slice(x * _CELL, (x + w) * _CELL)
        tight = _tight_box(mask.coverage[rows, columns] > 0)
        boxes.append(tight.shifted(mask.box.x0 + columns.start, mask.box.y0 + rows.start))
    return boxes


def crop_boxes(
    holes: Iterable[Box], height: int, width: int, strategy: Strategy, size: SizeRequirement
) -> tuple[Box, ...]:
    """Holes with their context. Overlapping crops are merged: no crop sees a piece of somebody else's hole."""
    done: list[Box] = []
    waiting = list(holes)
    while waiting:
        hole = waiting.pop()
        crop = with_context(hole, height, width, strategy, size)
        near = [other for other in done if crop.overlaps(with_context(other, height, width, strategy, size))]
        if not near:
            done.append(hole)
            continue
        done = [other for other in done if other not in near]
        for other in near:
            hole = hole.union(other)
        waiting.append(hole)
    return tuple(sorted(with_context(hole, height, width, strategy, size) for hole in done))


def with_context(hole: Box, height: int, width: int, strategy: Strategy, size: SizeRequirement) -> Box:
    """The hole and its surroundings, moved inwards at the image's edges so that no context is lost.

    Where the network wants a larger or square crop, that is real picture rather than padding if there is any.
    """
    margin = max(strategy.margin_px, round(strategy.context * max(hole.width, hole.height)))
    wanted_h, wanted_w = hole.height + 2 * margin, hole.width + 2 * margin
    if max(wanted_h, wanted_w) <= strategy.max_side:
        wanted_h, wanted_w = size.padded(wanted_h, wanted_w)
    elif size.square:
        wanted_h = wanted_w = max(wanted_h, wanted_w)
    crop_h, crop_w = min(height, wanted_h), min(width, wanted_w)
    y0 = min(max(0, (hole.y0 + hole.y1 - crop_h) // 2), height - crop_h)
    x0 = min(max(0, (hole.x0 + hole.x1 - crop_w) // 2), width - crop_w)
    return Box(x0, y0, x0 + crop_w, y0 + crop_h)


def network_size(crop: Box, max_side: int | None) -> tuple[int, int]:
    """(height, width) at which the network sees the crop, before padding."""
    longer = max(crop.height, crop.width)
    if max_side is None or longer <= max_side:
        return crop.height, crop.width
    return max(1, round(crop.height * max_side / longer)), max(1, round(crop.width * max_side / longer))


def _any_in_cells(hole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(ceil(H / cell), ceil(W / cell)): whether a cell holds any hole pixel."""
    height, width = hole.shape
    rows = np.logical_or.reduceat(hole, np.arange(0, height, _CELL), axis=0)
    return np.logical_or.reduceat(rows, np.arange(0, width, _CELL), axis=1)


def _tight_box(hole: NDArray[np.bool_]) -> Box:
    """The smallest box around the True pixels; there must be one."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
