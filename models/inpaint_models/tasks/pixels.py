"""What every runner does with pixels before an engine sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import devices
from ..pipeline.inpainter import GreyAsRgb, check_image
from ..protocols import StepProgress
from ..registry import ModelEntry
from ..types import AnyImage, PixelSource


def checked(image: PixelSource) -> PixelSource:
    """The image with 3 or 4 channels. Raises `InvalidImage` as `check_image` does."""
    check_image(image)
    return GreyAsRgb(image) if len(image.shape) == 2 else image


def whole(image: PixelSource) -> AnyImage:
    """All its pixels."""
    pixels: AnyImage = np.asarray(image[0 : image.shape[0], 0 : image.shape[1]])
    return pixels


def whole_if_it_fits(image: PixelSource, entry: ModelEntry, device: str) -> AnyImage:
    """All pixels of a `checked` image. Raises `OutOfMemory` where the model needs more for them than there is."""
    height, width = image.shape[:2]
    needed = entry.bytes_per_px * height * width
    devices.check_memory(entry.title, needed, height, width, device, "Use a smaller image.")
    return whole(image)


def rgb8(pixels: AnyImage) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of an image at any depth, alpha left out."""
    colour = pixels[..., :3]
    return np.asarray(colour >> 8 if colour.dtype == np.uint16 else colour, np.uint8)


@dataclass(frozen=True, slots=True)
class Rgb8Source:
    """An image of 3 or 4 channels at any depth, read as `rgb8`."""

    image: PixelSource

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.image.shape[:2], 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __getitem__(self, rows_and_columns: tuple[slice, slice], /) -> NDArray[np.uint8]:
        return rgb8(np.asarray(self.image[rows_and_columns]))


def part_of(progress: StepProgress, index: int, count: int) -> StepProgress:
    """The share that one of several equal pieces of work has in the whole."""

    def tell(stage: str, step: int, total: int) -> None:
        progress(stage, index * total + step, count * total)

    return tell
