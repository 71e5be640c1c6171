"""From a network's coarse answer to a mask at the image's own size, whose edge lies on the edge in the picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Box, Mask, PixelSource, tight_box
from .edges import edge_alpha, enlarged, halvings

_FINER = 2
"""Of the view in which the answer is read, as a multiple of the answer's own resolution."""
_AROUND_CELLS = 3
"""How far around the answer its edge may come to lie."""
_BAND_PX = 2
"""How far an edge may be off in an image that is not larger than the answer."""
_LEAST_VIEW_PX = 64 * 64
_SPECK = 0.01
"""Parts that are smaller than that share of the largest are noise."""

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


def outlined(image: PixelSource, logits: Floats, cells_per_px: tuple[float, float]) -> Mask | None:
    """The mask where the logits are over 0; None where that is nowhere.

    logits        (rows, columns); its first cell begins in the image's corner
    cells_per_px  of the logits and the image, (horizontally, vertically)
    """
    rough = tight_box(logits > 0)
    if rough is None:
        return None
    height, width = image.shape[:2]
    around, (across, down) = rough.grown(_AROUND_CELLS), cells_per_px
    corner = math.floor(around.x0 / across), math.floor(around.y0 / down)
    box = Box(*corner, math.ceil(around.x1 / across), math.ceil(around.y1 / down)).clipped(height, width)
    if not box.area:
        return None
    view_px = max(_LEAST_VIEW_PX, round(_FINER**2 * box.area * across * down))
    levels = halvings(np.ascontiguousarray(image[box.slices]), view_px)
    inside = without_specks(_read(logits, box, cells_per_px, *levels[-1].shape[:2]) > 0)
    if len(levels) > 1:
        found = enlarged(inside, levels)
    else:
        found = Mask(
            box.shifted(-box.x0, -box.y0), (edge_alpha(levels[0], inside, _BAND_PX) >= 0.5) * np.uint8(255)
        ).trimmed()
    return found and Mask(found.box.shifted(box.x0, box.y0), found.coverage)


def _read(logits: Floats, box: Box, cells_per_px: tuple[float, float], rows: int, columns: int) -> Floats:
    """(rows, columns): the logits in a view of a box of the image, between their cells by interpolation."""
    (across, down), half = cells_per_px, 0.5
    per_column, per_row = across * box.width / columns, down * box.height / rows
    to_cells = np.array(
        [
            [per_column, 0, across * box.x0 + half * per_column - half],
            [0, per_row, down * box.y0 + half * per_row - half],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    read = cv2.warpAffine(logits, to_cells, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read, np.float32)


def without_specks(inside: Flags) -> Flags:
    """Without parts that are very much smaller than the largest, and with such gaps closed."""
    kept = _large_parts(inside)
    closed: Flags = ~_large_parts(~kept) if not kept.all() else kept
    return closed


def _large_parts(flags: Flags) -> Flags:
    _, parts, stats, _ = cv2.connectedComponentsWithStats(flags.view(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    large = areas >= _SPECK * areas.max()
    large[0] = False
    kept: Flags = large[parts]
    return kept
