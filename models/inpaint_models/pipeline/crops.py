"""Crops between the document and the engine: read, sized and padded on the way in, and brought back to their size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import AnyImage, Box, FloatImage, HoleMask, Mask, Patch, PixelSource, SourceControl
from .plan import Crop

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class CropPixels:
    """A crop that was read.

    pixels       (crop.box.height, crop.box.width, C): the document, with the patches of earlier waves over it
    to_fill      (crop.box.height, crop.box.width): the hole that is left
    image, hole  what the engine gets, of `crop.padded_size`
    allowed      likewise, which pixels it may copy; None: all that are known
    """

    crop: Crop
    pixels: AnyImage
    to_fill: HoleMask
    image: FloatImage
    hole: HoleMask
    allowed: NDArray[np.bool_] | None

    def restored(self, fill: FloatImage) -> FloatImage:
        """What the engine made of `image`, without padding and in the size of the crop's box."""
        height, width = self.crop.network_size
        return resize(fill[:height, :width], self.crop.box.height, self.crop.box.width)


def read(
    source: PixelSource, mask: Mask, crop: Crop, filled: Iterable[Patch], control: SourceControl | None = None
) -> CropPixels:
    """The crop's part of the image and of the hole; where `filled` patches lie, the hole is known again."""
    pixels: AnyImage = np.asarray(source[crop.box.slices])
    to_fill = mask.hole_in(crop.box)
    seen = [patch for patch in filled if patch.box.overlaps(crop.box)]
    pixels = lay(seen, pixels, crop.box)
    for patch in seen:
        to_fill[within(patch.box.intersection(crop.box), crop.box)] = False
    image = resize(to_float(pixels), *crop.network_size)
    hole = resize_hole(to_fill, *crop.network_size)
    allowed = None
    if control is not None:
        allowed = pad(~resize_hole(~control.allowed_in(crop.box), *crop.network_size), *crop.padded_size)
    return CropPixels(crop, pixels, to_fill, pad(image, *crop.padded_size), pad(hole, *crop.padded_size), allowed)


def lay(patches: Sequence[Patch], pixels: AnyImage, box: Box) -> AnyImage:
    """The pixels of a box with patches over them, each of which overlaps it; the very pixels where there are none."""
    if not patches:
        return pixels
    out = pixels.copy()
    for patch in patches:
        shared = patch.box.intersection(box)
        out[within(shared, box)] = patch.pixels[within(shared, patch.box)]
    return out


def to_float(image: AnyImage) -> FloatImage:
    """(H, W, 3) in [0, 1]; an alpha channel is left out."""
    return np.divide(image[..., :3], full_scale(image), dtype=np.float32)


def full_scale(image: AnyImage) -> int:
    """The value of white: 255 or 65535."""
    return int(np.iinfo(image.dtype).max)


def resize(image: FloatImage, height: int, width: int) -> FloatImage:
    """Averages when shrinking, cubic when enlarging."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height < image.shape[0] or width < image.shape[1]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, np.float32)


def resize_hole(hole: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """A pixel of the smaller mask is hole if any of the pixels under it is."""
    if hole.shape == (height, width):
        return hole
    return np.asarray(cv2.resize(hole.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0)


def pad(array: NDArray[_T], height: int, width: int) -> NDArray[_T]:
    """(H, W, ...) mirrored at the bottom and at the right, up to (height, width)."""
    missing = ((0, height - array.shape[0]), (0, width - array.shape[1]))
    if missing == ((0, 0), (0, 0)):
        return array
    return np.pad(array, (*missing, *((0, 0),) * (array.ndim - 2)), mode="symmetric")


def within(inner: Box, outer: Box) -> tuple[slice, slice]:
    """Row and column slices of `inner` in an array that holds `outer`."""
    return inner.shifted(-outer.x0, -outer.y0).slices
