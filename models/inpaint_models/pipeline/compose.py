"""Masks and compositing. Pure: arrays in, arrays out; no pixel outside the grown mask is ever changed."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import AnyImage, Box, FloatImage, Mask

_T = TypeVar("_T", bound=np.generic)

HOLE_THRESHOLD = 128
"""A mask value from here on means hole; below it, known."""


def grow(mask: Mask, radius_px: int, height: int, width: int) -> Mask:
    """The mask dilated by a disc, inside an image of (height, width)."""
    if radius_px <= 0:
        return mask
    box = mask.box.grown(radius_px).clipped(height, width)
    canvas = np.zeros((box.height, box.width), np.uint8)
    canvas[mask.box.shifted(-box.x0, -box.y0).slices] = mask.coverage
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
    return Mask(box, np.asarray(cv2.dilate(canvas, disc), np.uint8))


def alpha(hole: NDArray[np.bool_], feather_px: int, at_edge: tuple[bool, bool, bool, bool]) -> NDArray[np.float32]:
    """How much of the fill shows at each pixel: 0 outside the hole, rising to 1 over `feather_px` inside it.

    at_edge  whether the (left, top, right, bottom) side of the array is the image's own edge, which is no seam
    """
    if feather_px <= 0:
        return hole.astype(np.float32)
    left, top, right, bottom = (int(not edge) for edge in at_edge)
    padded = np.pad(hole, ((top, bottom), (left, right))).astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    depth = depth[top : top + hole.shape[0], left : left + hole.shape[1]]
    return np.where(hole, np.clip(depth / (feather_px + 1), 0, 1), 0).astype(np.float32)


def composite(image: AnyImage, fill: FloatImage, opacity: NDArray[np.float32]) -> AnyImage:
    """The image with the fill over it, rounded to the image's depth.

    image    (H, W, 3) or (H, W, 4); an alpha channel is kept as it is
    fill     (H, W, 3) in [0, 1]
    opacity  (H, W); where it is 0 the image comes back bit by bit
    """
    top = full_scale(image)
    out = image.copy()
    hole = opacity > 0
    a = opacity[hole][:, None]
    mixed = image[hole][:, :3] * (1 - a) + np.clip(fill[hole], 0, 1) * (a * top)
    out[hole, :3] = np.clip(np.rint(mixed), 0, top).astype(image.dtype)
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


def box_within(inner: Box, outer: Box) -> tuple[slice, slice]:
    """Row and column slices of `inner` in an array that holds `outer`."""
    return inner.shifted(-outer.x0, -outer.y0).slices
