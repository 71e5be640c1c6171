"""A part of an image made small, so that work on it takes as long for any photo."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Box, PixelSource

_READ_WHOLE_FACTOR = 2
"""Of an image that is reduced by no more every row is read."""

Image8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class View:
    """A small copy of (rows, columns) of a box of an image of (height, width)."""

    box: Box
    height: int
    width: int
    rows: int
    columns: int

    def place(self, x: float, y: float) -> tuple[int, int]:
        """(column, row) of the pixel that holds a place in the image; also beside the view."""
        column = (x - self.box.x0) * self.columns / self.box.width
        row = (y - self.box.y0) * self.rows / self.box.height
        return math.floor(column), math.floor(row)

    def length(self, length_px: float) -> int:
        """At least one pixel."""
        return max(1, round(length_px * self.columns / self.box.width))


@dataclass(frozen=True, slots=True)
class Cutout:
    """A box of an image, as an image."""

    image: PixelSource
    box: Box

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.box.height, self.box.width, *self.image.shape[2:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.image.dtype

    def __getitem__(self, rows_and_columns: tuple[slice, slice], /) -> Any:
        rows, columns = rows_and_columns
        (y0, y1, _), (x0, x1, _) = rows.indices(self.box.height), columns.indices(self.box.width)
        return self.image[Box(x0, y0, x1, y1).shifted(self.box.x0, self.box.y0).slices]


@dataclass(frozen=True, slots=True)
class Reduced:
    """A box of an image at 1 / factor of its size, a power of two: slices like an image, and reads only what is sliced.

    image  slices to (h, w, 3) uint8
    """

    image: PixelSource
    box: Box
    factor: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.box.height // self.factor, self.box.width // self.factor, 3

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __getitem__(self, rows_and_columns: tuple[slice, slice], /) -> Image8:
        (y0, y1, _), (x0, x1, _) = (
            part.indices(size) for part, size in zip(rows_and_columns, self.shape, strict=False)
        )
        read = Box(*(self.factor * edge for edge in (x0, y0, x1, y1))).shifted(self.box.x0, self.box.y0)
        part = self.image[read.slices]
        while part.shape[0] > y1 - y0:
            part = shrunk(part, part.shape[0] // 2, part.shape[1] // 2)
        return np.ascontiguousarray(part)

    def sampled(self) -> Image8:
        """All of it, where it is much smaller from one row of the image for each of its own: to read all takes long."""
        height, width = self.shape[:2]
        if self.factor <= _READ_WHOLE_FACTOR:
            return self[0:height, 0:width]
        x0, x1 = self.box.x0, self.box.x0 + width * self.factor
        middle = self.box.y0 + self.factor // 2
        rows = np.empty((height, x1 - x0, 3), np.uint8)
        for row in range(height):
            y0 = middle + row * self.factor
            rows[row] = self.image[y0 : y0 + 1, x0:x1]
        return shrunk(rows, height, width)


def shrunk(image: Image8, height: int, width: int) -> Image8:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
