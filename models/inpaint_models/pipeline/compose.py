"""The one place where pixels of the document change. Pure: no pixel outside the grown mask is ever another one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import AnyImage, Box, FloatImage, Mask
from .crops import full_scale, within
from .plan import patch_price
from .regions import cells_of, in_pixels, split


def grow(mask: Mask, radius_px: int, height: int, width: int) -> Mask:
    """The mask dilated by a disc, inside an image of (height, width), at a cost that follows the hole, not the box.

    Raises `EmptyMask`.
    """
    if radius_px <= 0:
        return mask
    box = mask.box.grown(radius_px).clipped(height, width)
    coverage = np.zeros((box.height, box.width), np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
    cells = cells_of(mask)
    for part in split(cells, Box(0, 0, cells.occupied.shape[1], cells.occupied.shape[0]), patch_price):
        piece = in_pixels(mask, cells, part)
        reach = piece.grown(radius_px).clipped(height, width)
        canvas = np.zeros((reach.height, reach.width), np.uint8)
        canvas[within(piece, reach)] = mask.hole_in(piece) * np.uint8(255)
        coverage[within(reach, box)] |= np.asarray(cv2.dilate(canvas, disc), np.uint8)
    return Mask(box, coverage)


def opacity(mask: Mask, patch: Box, feather_px: int, height: int, width: int) -> NDArray[np.float32]:
    """How much of the fill shows at each pixel of a patch on an image of (height, width).

    0 outside the hole, rising to 1 over `feather_px` inside it. The image's own edge and a seam between two patches
    of one hole are no edges of the hole.
    """
    if feather_px <= 0:
        return mask.hole_in(patch).astype(np.float32)
    around = patch.grown(feather_px + 1).clipped(height, width)  # what lies further out changes nothing
    depth = cv2.distanceTransform(mask.hole_in(around).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.minimum(depth[within(patch, around)] / (feather_px + 1), 1, dtype=np.float32)


def composite(image: AnyImage, fill: FloatImage, shown: NDArray[np.float32]) -> AnyImage:
    """The image with the fill over it, rounded to the image's depth.

    image  (H, W, 3) or (H, W, 4); an alpha channel is kept as it is
    fill   (H, W, 3) in [0, 1]
    shown  (H, W) opacity; where it is 0 the image comes back bit by bit
    """
    top = full_scale(image)
    out = image.copy()
    hole = np.flatnonzero(shown)
    a = shown.reshape(-1)[hole][:, None]
    pixels = image.reshape(-1, image.shape[2]).take(hole, axis=0)
    new = np.clip(fill.reshape(-1, 3).take(hole, axis=0), 0, 1)
    pixels[:, :3] = np.rint(pixels[:, :3] * (1 - a) + new * (a * top))
    out.reshape(-1, image.shape[2])[hole] = pixels
    return out
