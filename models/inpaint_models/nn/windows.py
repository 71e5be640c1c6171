"""Parts of maps: decoders work only around the hole, because everything in them is local."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Window(NamedTuple):
    """A half-open part of a map: rows y0 to y1, columns x0 to x1."""

    y0: int
    y1: int
    x0: int
    x1: int

    def cut(self, x: Tensor) -> Tensor:
        return x[..., self.y0 : self.y1, self.x0 : self.x1]

    def doubled(self) -> Window:
        return Window(*(2 * edge for edge in self))

    def within(self, outer: Window) -> Window:
        """The same place counted from the corner of `outer`."""
        return Window(self.y0 - outer.y0, self.y1 - outer.y0, self.x0 - outer.x0, self.x1 - outer.x0)

    def shrunk(self, scale: int, margin: int, height: int, width: int) -> Window:
        """What covers it on a map that is `scale` times smaller and (height, width) large, grown by a margin."""
        return Window(
            max(0, self.y0 // scale - margin),
            min(height, -(-self.y1 // scale) + margin),
            max(0, self.x0 // scale - margin),
            min(width, -(-self.x1 // scale) + margin),
        )


def hole_window(known: Tensor) -> Window:
    """The smallest window around all pixels that are not known; `known` is (1, 1, H, W) with at least one such."""
    hole = known[0, 0] < 1
    rows, columns = hole.any(dim=1).nonzero(), hole.any(dim=0).nonzero()
    return Window(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
