"""The canvas after a change of it: its size, and its pixels where they are only moved. Nothing is copied beforehand.

A slice reads what it shows from the canvas before the change and from there alone, so that a fill on an extended and
turned photo costs what it costs on the photo.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from inpaint_models.types import Box, PixelSource

from .. import codec
from ..errors import Limit, ParamOutOfRange
from ..schemas.canvas import Crop, Extend, Move, Rotate, Scale


class MovedPixels:
    """Slices like the (H, W, C) array that the canvas is after the change. Slices may be views of the source."""

    def __init__(self, source: PixelSource, change: Move) -> None:
        height, width, channels = source.shape
        new_width, new_height = size_after(change, width, height)
        self.shape: tuple[int, ...] = (new_height, new_width, channels)
        self.dtype = source.dtype
        self._source, self._change = source, change

    def __getitem__(self, area: tuple[slice, slice]) -> codec.Pixels:
        """(rows, columns, C). Slices without steps."""
        window, change = window_of(area, self.shape), self._change
        if window.area == 0:
            return cast(codec.Pixels, np.empty((window.height, window.width, self.shape[2]), self.dtype))
        if isinstance(change, Crop):
            return cast(codec.Pixels, self._source[window.shifted(change.x, change.y).slices])
        if isinstance(change, Rotate):
            return _turned(self._source, window, change.quarter_turns)
        return _mirrored(self._source, window.shifted(-change.left, -change.top))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> codec.Pixels:
        return self[:, :].astype(dtype or self.dtype, copy=False)


def size_after(change: Move | Scale, width: int, height: int) -> tuple[int, int]:
    """(width, height) of the canvas after the change."""
    if isinstance(change, Extend):
        return width + change.left + change.right, height + change.top + change.bottom
    if isinstance(change, Crop):
        return change.w, change.h
    if isinstance(change, Rotate):
        return (height, width) if change.quarter_turns % 2 else (width, height)
    return change.width, change.height


def check_change(change: Move | Scale, width: int, height: int, limits: codec.ImageLimits) -> None:
    """Whether the change can be made to a canvas of that size. Raises `ParamOutOfRange`."""
    if isinstance(change, Crop):
        for name, begin, length, most in (("w", change.x, change.w, width), ("h", change.y, change.h, height)):
            if begin + length > most:
                raise ParamOutOfRange(
                    f"The crop ends at pixel {begin + length} of {most}. Keep it inside the canvas, {width}x{height}.",
                    pointer=f"/canvas/{name}",
                )
    check_size(*size_after(change, width, height), limits, "/canvas")


def check_size(width: int, height: int, limits: codec.ImageLimits, pointer: str) -> None:
    """Whether a canvas may have that size, which is asked for in the field `pointer`. Raises `ParamOutOfRange`."""
    size, broken = (width, height), None
    if min(size) < limits.min_side:
        broken = Limit("min_side", limits.min_side, min(size))
    elif max(size) > limits.max_side:
        broken = Limit("max_side", limits.max_side, max(size))
    elif size[0] * size[1] > limits.max_pixels:
        broken = Limit("max_pixels", limits.max_pixels, size[0] * size[1])
    if broken is not None:
        raise ParamOutOfRange(
            f"The canvas would be {size[0]}x{size[1]}. Its sides may be {limits.min_side} to {limits.max_side} pixels "
            f"long, and it may have {limits.max_pixels} pixels in all.",
            pointer=pointer,
            limit=broken,
        )


def window_of(area: tuple[slice, slice], shape: tuple[int, ...]) -> Box:
    """Which part of an (H, W, ...) array two slices mean. Raises `ValueError` for slices with steps."""
    rows, columns = area
    y0, y1, y_step = rows.indices(shape[0])
    x0, x1, x_step = columns.indices(shape[1])
    if (y_step, x_step) != (1, 1):
        raise ValueError("Layered pixels are sliced without steps.")
    return Box(x0, y0, max(x0, x1), max(y0, y1))


def _turned(source: PixelSource, window: Box, quarter_turns: int) -> codec.Pixels:
    """A window of the turned canvas. Clockwise, the source's bottom left corner becomes the top left one."""
    height, width = source.shape[:2]
    x0, y0, x1, y1 = window
    before = {
        1: Box(y0, height - x1, y1, height - x0),
        2: Box(width - x1, height - y1, width - x0, height - y0),
        3: Box(width - y1, x0, width - y0, x1),
    }[quarter_turns]
    return cast(codec.Pixels, np.ascontiguousarray(np.rot90(source[before.slices], -quarter_turns)))


def _mirrored(source: PixelSource, window: Box) -> codec.Pixels:
    """A window that may reach beyond the source, where mirror images of it follow one another."""
    height, width = source.shape[:2]
    if window.clipped(height, width) == window:
        return cast(codec.Pixels, source[window.slices])
    rows, columns = _reflected(window.y0, window.y1, height), _reflected(window.x0, window.x1, width)
    seen = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    return cast(codec.Pixels, source[seen.slices][np.ix_(rows - seen.y0, columns - seen.x0)])


def _reflected(begin: int, end: int, length: int) -> Any:
    """Which of `length` pixels is seen from `begin` to `end`, as `numpy.pad` with mode "symmetric" has them."""
    at = np.arange(begin, end) % (2 * length)
    return np.minimum(at, 2 * length - 1 - at)
