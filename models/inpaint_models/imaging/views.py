"""A part of an image made small, so that work on it takes as long for any photo."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..types import Box


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
