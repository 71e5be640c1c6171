"""A decoded image with patches over it, seen as one array without being one.

Slicing reads from the memory-mapped file and decodes only the patches that the slice touches, so that the cost of an
edit follows its crop and not the photo.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inpaint_models.types import AnyImage, Box

from ..codec import decode_patch
from .messages import Overlay, Picture


class LayeredPixels:
    """Slices like an (H, W, C) array. Slices are copies; patches are decoded when first touched."""

    def __init__(self, picture: Picture) -> None:
        self.info = picture.info
        self._base: AnyImage = np.load(picture.pixels, mmap_mode="r", allow_pickle=False)
        self._overlays = picture.overlays
        self._patches: dict[int, AnyImage] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        return self._base.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._base.dtype

    def __getitem__(self, area: tuple[slice, slice]) -> AnyImage:
        height, width = self.shape[:2]
        y0, y1, _ = area[0].indices(height)
        x0, x1, _ = area[1].indices(width)
        wanted = Box(x0, y0, x1, y1)
        out: AnyImage = self._base[area].copy()
        for index, overlay in enumerate(self._overlays):
            shared = wanted.intersection(_box(overlay))
            if shared.width > 0 and shared.height > 0:
                inner = shared.shifted(-overlay.x, -overlay.y)
                out[shared.shifted(-x0, -y0).slices] = self._patch(index)[inner.slices]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyImage:
        whole = self[slice(None), slice(None)]
        return whole if dtype is None else whole.astype(dtype)

    def _patch(self, index: int) -> AnyImage:
        if index not in self._patches:
            png = self._overlays[index].png.read_bytes()
            self._patches[index] = decode_patch(png, has_alpha=self.info.has_alpha)
        return self._patches[index]


def _box(overlay: Overlay) -> Box:
    return Box(overlay.x, overlay.y, overlay.x + overlay.width, overlay.y + overlay.height)
