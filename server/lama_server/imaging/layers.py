"""A decoded image with patches over it, seen as one array without being one.

Slicing reads from the memory-mapped file and decodes only the patches that the slice touches, so that the cost of an
edit follows its crop and not the photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np

from inpaint_models.types import Box, PixelSource

from .. import codec
from .canvas import window_of

PlacedPatch = tuple[Box, Callable[[], codec.Pixels]]
"""Where a patch lies, and what reads its pixels: of the base's depth and channels, of the box's size."""


class LayeredPixels:
    """Slices like an (H, W, C) array. Slices are the caller's own; patches are read when first touched, and kept.

    base     (H, W, C) uint8 or uint16, usually a memory map, or what slices like one
    patches  in drawing order
    """

    def __init__(self, base: PixelSource, patches: Iterable[PlacedPatch] = ()) -> None:
        self._base, self._placed = base, tuple(patches)
        self.shape: tuple[int, ...] = base.shape
        self.dtype: np.dtype[Any] = base.dtype
        self._boxes = np.array([box for box, _ in self._placed], np.int64).reshape(-1, 4)
        self._patches: dict[int, codec.Pixels] = {}

    def __getitem__(self, area: tuple[slice, slice]) -> codec.Pixels:
        """(rows, columns, C). Slices without steps. Raises `ValueError` for a patch that does not fit its box."""
        window = window_of(area, self.shape)
        out = np.array(self._base[window.slices])
        if self._placed and out.size:
            self._lay(out, window)
        return cast(codec.Pixels, out)

    def _lay(self, out: codec.Pixels, window: Box) -> None:
        """Puts the patches over a window's own pixels."""
        left, top, right, bottom = self._boxes.T
        touched = (left < window.x1) & (right > window.x0) & (top < window.y1) & (bottom > window.y0)
        for index in np.flatnonzero(touched).tolist():
            box = self._placed[index][0]
            shared = box.intersection(window)
            inner = shared.shifted(-box.x0, -box.y0)
            out[shared.shifted(-window.x0, -window.y0).slices] = self._patch(index)[inner.slices]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> codec.Pixels:
        whole = self[:, :]
        return whole if dtype is None else whole.astype(dtype)

    def _patch(self, index: int) -> codec.Pixels:
        if index not in self._patches:
            box, read = self._placed[index]
            pixels = read()
            if pixels.shape != (box.height, box.width, self.shape[2]) or pixels.dtype != self.dtype:
                raise ValueError(f"A patch of {pixels.shape} {pixels.dtype} does not fit {tuple(box)} of {self.shape}.")
            self._patches[index] = pixels
        return self._patches[index]
