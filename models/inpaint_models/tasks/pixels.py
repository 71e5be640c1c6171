"""What every runner does with pixels before an engine sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import devices
from ..errors import InvalidImage, OutOfMemory
from ..registry import ModelEntry
from ..types import AnyImage, FloatImage, PixelSource, Progress


def check_source(source: PixelSource) -> None:
    """Raises `InvalidImage` unless it is (H, W, 3 or 4) of uint8 or uint16."""
    shape, dtype = tuple(source.shape), source.dtype
    if len(shape) != 3 or shape[2] not in (3, 4) or dtype not in (np.uint8, np.uint16) or 0 in shape:
        raise InvalidImage(
            f"The image is an array of shape {shape} and type {dtype}. "
            "Give (height, width, 3) RGB or (height, width, 4) RGBA of uint8 or uint16."
        )


def whole(source: PixelSource) -> AnyImage:
    """All pixels of a source."""
    pixels: AnyImage = np.asarray(source[0 : source.shape[0], 0 : source.shape[1]])
    return pixels


def rgb8(pixels: AnyImage) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of an image at any depth, alpha left out; the image itself where it is that already."""
    colour = pixels[..., :3]
    return (colour if colour.dtype == np.uint8 else colour >> 8).astype(np.uint8, copy=False)


@dataclass(frozen=True, slots=True)
class Rgb8Source:
    """A source of any depth, read as `rgb8`."""

    source: PixelSource

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.source.shape[:2], 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __getitem__(self, rows_and_columns: tuple[slice, slice], /) -> NDArray[np.uint8]:
        return rgb8(np.asarray(self.source[rows_and_columns]))


def check_memory(entry: ModelEntry, needed_bytes: int, device: str, advice: str) -> None:
    """Raises `OutOfMemory`, with the advice, where that much is not free on the device."""
    free = devices.free_bytes(device)
    if free is not None and needed_bytes > 0.8 * free:
        whose = "this machine" if device == "cpu" else "the GPU"
        raise OutOfMemory(
            f"{entry.title} needs about {needed_bytes / 2**30:.1f} GiB for this image and {free / 2**30:.1f} GiB are "
            f"free on {whose}. {advice}"
        )


def part_of(progress: Progress, index: int, count: int) -> Progress:
    """The share that one of several equal pieces of work has in the whole."""

    def tell(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        progress(stage, index * total + step, count * total)

    return tell
