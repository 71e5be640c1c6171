"""A filled photo cut to the surroundings of its hole, with the regions that measures look at."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidImage, MaskSizeMismatch
from ..types import AnyImage, HoleMask, tight_box

RING_PX = 24
"""How far from the hole the known pixels are that a fill is compared with."""
RIM_PX = 8
"""How deep the outermost part of the hole is."""
_MARGIN_PX = 96
"""Context around the hole: the coarsest window of MS-SSIM reaches 80 pixels."""

Levels = NDArray[np.float32]
"""In levels of 255, whatever the photo's depth."""


@dataclass(frozen=True, slots=True)
class View:
    """What a measure sees. All arrays have the same height and width.

    filled    (H, W, 3) the result
    truth     (H, W, 3) what was there; None where what is behind the hole is not known
    hole      (H, W)
    distance  (H, W) to the hole's edge in pixels: positive inside, negative outside, never 0
    """

    filled: Levels
    truth: Levels | None
    hole: HoleMask
    distance: NDArray[np.float32]

    @property
    def rim(self) -> HoleMask:
        """The hole's outermost part."""
        return self.hole & (self.distance < RIM_PX)

    @property
    def ring(self) -> HoleMask:
        """Known pixels near the hole."""
        return ~self.hole & (self.distance > -RING_PX)

    @property
    def inner(self) -> HoleMask:
        """The hole without the pixels that touch its edge."""
        return self.distance > 1

    @property
    def outer(self) -> HoleMask:
        """The ring without the pixels that touch the hole."""
        return self.ring & (self.distance < -1)


def view(filled: AnyImage, hole: HoleMask, truth: AnyImage | None = None) -> View:
    """Raises `InvalidImage`, `MaskSizeMismatch`.

    filled, truth  (H, W, 3), or (H, W, 4), whose alpha is left out; uint8 or uint16
    hole           (H, W), not empty
    """
    for image in (filled, filled if truth is None else truth):
        if image.ndim != 3 or image.shape[2] not in (3, 4):
            raise InvalidImage(f"The image is an array of shape {image.shape}. Give (height, width, 3) or 4.")
        if image.shape[:2] != hole.shape:
            raise MaskSizeMismatch(
                f"The mask is {hole.shape[1]}x{hole.shape[0]} but an image is {image.shape[1]}x{image.shape[0]} "
                "(width x height). Give images and mask of one size."
            )
    box = tight_box(hole)
    if box is None:
        raise MaskSizeMismatch("The mask is empty, so there is nothing to measure.")
    cut = box.grown(_MARGIN_PX).clipped(*hole.shape).slices
    known = None if truth is None else levels(truth[cut])
    return View(levels(filled[cut]), known, hole[cut], signed_distance(hole[cut]))


def levels(image: AnyImage) -> Levels:
    """(H, W, 3) in [0, 255]."""
    scale = np.float32(255 / np.iinfo(image.dtype).max)
    return np.asarray(image[..., :3].astype(np.float32) * scale, np.float32)


def luma(image: Levels) -> Levels:
    """(H, W), Rec. 601."""
    return np.asarray(image @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def signed_distance(hole: HoleMask) -> NDArray[np.float32]:
    """To the nearest pixel of the other kind: 1 for pixels of the hole that touch a known one, -1 the other way."""
    inside, outside = (
        cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for region in (hole, ~hole)
    )
    return np.asarray(np.where(hole, inside, -outside), np.float32)


def shrunk(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half the size; each pixel the mean of four. An odd last row or column is left out."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    even = image[:height, :width]
    return np.asarray(cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.float32)
