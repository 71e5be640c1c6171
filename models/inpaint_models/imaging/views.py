"""A part of an image made small, so that work on it takes as long for any photo."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Box, PixelSource

_SAMPLED_ROWS = 2
"""Of each row of a sampled copy: they are read, and not the rest."""

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
        part = np.ascontiguousarray(self.image[read.slices])
        while part.shape[0] > y1 - y0:
            part = shrunk(part, part.shape[0] // 2, part.shape[1] // 2)
        return part

    def sampled(self) -> Image8:
        """All of it, from a few rows of the image for each of its own: to read them all takes long."""
        height, width = self.shape[:2]
        if self.factor <= _SAMPLED_ROWS:
            return self[0:height, 0:width]
        x0, x1 = self.box.x0, self.box.x0 + width * self.factor
        middle = self.box.y0 + (self.factor - _SAMPLED_ROWS) // 2
        rows = np.empty((height, width * self.factor // 2, 3), np.uint8)
        for row in range(height):
            y0 = middle + row * self.factor
            rows[row] = shrunk(np.ascontiguousarray(self.image[y0 : y0 + _SAMPLED_ROWS, x0:x1]), 1, rows.shape[1])[0]
        return shrunk(rows, height, width)


def shrunk(image: Image8, height: int, width: int) -> Image8:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
