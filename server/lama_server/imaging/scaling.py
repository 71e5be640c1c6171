"""Pixels in another size, a band of rows at a time, in memory that does not follow the picture.

Each side for itself: where it shrinks, a pixel is the average of the area that it covers; where it grows, it is
interpolated with a Lanczos window of three pixels to either side (Turkowski, "Filters for Common Resampling Tasks",
1990), the picture continued by its edge pixels. Colours weigh as much as they are opaque.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inpaint_models.types import Box, PixelSource

from .. import codec

Floats = NDArray[np.float32]

_LOBES = 3

_TILE_PX = 64
"""Longest side of a tile, and of what is looked at for it: products so small that no BLAS starts threads for them."""


def scaled_bands(
    source: PixelSource, width: int, height: int, check: Callable[[], None] = lambda: None
) -> Iterator[codec.Pixels]:
    """(rows, width, C) bands of the picture in the new size, from top to bottom.

    check  called before each tile; what it raises ends the work
    """
    before_h, before_w = source.shape[:2]
    down = list(_weights(before_h, height))
    across = list(_weights(before_w, width))
    for y0, rows in down:
        tiles = []
        for x0, columns in across:
            check()
            seen = Box(x0, y0, x0 + columns.shape[1], y0 + rows.shape[1])
            tiles.append(_tile(np.asarray(source[seen.slices]), rows, columns))
        yield cast(codec.Pixels, np.concatenate(tiles, axis=1))


def _tile(seen: codec.Pixels, rows: Floats, columns: Floats) -> codec.Pixels:
    """(out rows, out columns, C): rows x seen x columns, for each channel."""

    def resampled(planes: Floats) -> Floats:
        return cast(Floats, rows @ planes @ columns.T)

    top = np.iinfo(seen.dtype).max
    planes = np.moveaxis(seen, 2, 0).astype(np.float32, order="C")
    out = resampled(planes)
    if len(planes) == 4 and not (planes[3] == top).all():
        weighted, opacity = resampled(planes[:3] * planes[3]), out[3:]
        out[:3] = np.divide(weighted, opacity, out=out[:3], where=opacity > 0.5)
    return cast(codec.Pixels, np.moveaxis(np.clip(np.rint(out), 0, top), 0, 2).astype(seen.dtype))


def _weights(before: int, after: int) -> Iterator[tuple[int, Floats]]:
    """Tile by tile: (first pixel that is looked at, (pixels of the tile, pixels looked at) weights)."""
    step = before / after
    length = max(1, min(_TILE_PX, int(_TILE_PX / step)))
    for begin in range(0, after, length):
        out = np.arange(begin, min(after, begin + length))[:, None]
        first, weights = _areas(out, step, before) if after < before else _lanczos(out, step, before)
        yield first, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _areas(out: NDArray[np.int64], step: float, before: int) -> tuple[int, NDArray[np.float64]]:
    """How much of each pixel before lies under a pixel of the result."""
    first, last = int(out[0, 0] * step), min(before, math.ceil((out[-1, 0] + 1) * step))
    at = np.arange(first, last)
    return first, np.maximum(np.minimum(at + 1, (out + 1) * step) - np.maximum(at, out * step), 0.0)


def _lanczos(out: NDArray[np.int64], step: float, before: int) -> tuple[int, NDArray[np.float64]]:
    centre: Any = (out + 0.5) * step - 0.5
    at = np.arange(math.floor(centre[0, 0]) - _LOBES + 1, math.floor(centre[-1, 0]) + _LOBES + 1)
    away = at - centre
    weights = np.where(np.abs(away) < _LOBES, np.sinc(away) * np.sinc(away / _LOBES), 0.0)
    inside = np.clip(at, 0, before - 1)
    first = int(inside[0])
    folded = np.zeros((int(inside[-1]) + 1 - first, len(out)))
    np.add.at(folded, inside - first, weights.T)
    return first, folded.T
