"""Stored pixels as something that can be sent to a worker: small, and opened through a memory map where it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_models.types import PixelSource

from ..errors.disk import disk_errors
from .pictures import Picture, open_picture


class LazyPixels:
    """Slices like the array that `open` gives, which is called when it is first needed.

    Raises what that raises, and `RootUnavailable` where a stored file is not there any more.
    """

    def __init__(self, open: Callable[[], PixelSource]) -> None:
        """`open` can be pickled."""
        self.open = open
        self._opened: PixelSource | None = None

    def __reduce__(self) -> tuple[type[LazyPixels], tuple[Callable[[], PixelSource]]]:
        return LazyPixels, (self.open,)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._pixels.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._pixels.dtype

    def __getitem__(self, rows_and_columns: tuple[slice, slice]) -> Any:
        with disk_errors():  # patches are read when they are needed
            return self._pixels[rows_and_columns]

    @property
    def _pixels(self) -> PixelSource:
        if self._opened is None:
            with disk_errors():
                self._opened = self.open()
        return self._opened


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """Opens a photo with the patches over it."""

    picture: Picture

    def __call__(self) -> PixelSource:
        return open_picture(self.picture)


@dataclass(frozen=True, slots=True)
class StoredArray:
    """Opens an .npy file."""

    path: Path

    def __call__(self) -> PixelSource:
        pixels: PixelSource = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return pixels


def stored_picture(picture: Picture) -> LazyPixels:
    """A photo with the patches over it."""
    return LazyPixels(StoredPicture(picture))


def stored_array(path: Path) -> LazyPixels:
    """An .npy file."""
    return LazyPixels(StoredArray(path))
