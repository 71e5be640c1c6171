"""The levels of the coarse-to-fine solve, and how a level without a coarser one begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..machine.compiled import Array, kernel
from .features import box_mean, describe, to_bytes
from .matching import PATCH, Patches, find_patches
from .settings import PatchMatchSettings


@dataclass(frozen=True)
class PyramidLevel:
    """One size of the picture.

    features  (H, W, FEATURES); anything inside the hole
    distance     (H, W) distance to the nearest known pixel, 0 there
    """

    features: NDArray[np.uint8]
    distance: NDArray[np.float32]
    patches: Patches

    @property
    def shape(self) -> tuple[int, int]:
        return self.distance.shape[0], self.distance.shape[1]

    @property
    def hole(self) -> NDArray[np.bool_]:
        return self.distance > 0


def build(
    image: NDArray[np.float32],
    hole: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    settings: PatchMatchSettings,
    poll: Callable[[], None],
) -> list[PyramidLevel]:
    """Levels from full size to the coarsest one. The full size must have at least one patch of `usable` pixels."""
    values, known = describe(image, ~hole, poll), ~hole
    poll()
    levels = [_level(values, hole, usable, poll)]
    reach = float(levels[0].distance.max())
    while min(known.shape) // 2 >= settings.coarsest_side_px:
        if reach <= settings.reach_px and known.size <= settings.small_pixels:
            break
        (values, known), usable = halve(values, known), halve_all(usable)
        level = _level(values, ~known, usable, poll)
        if level.patches.sources.size < 4 * PATCH * PATCH:
            break
        levels.append(level)
        reach /= 2
    return levels


def _level(
    values: NDArray[np.float32],
    hole: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    poll: Callable[[], None],
) -> PyramidLevel:
    features = to_bytes(values)
    poll()
    patches = find_patches(hole, usable)
    poll()
    return PyramidLevel(features, distance_to_known(hole), patches)


def distance_to_known(hole: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance of every pixel to the nearest known one; 0 where known."""
    return np.asarray(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def halve_all(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) -> (H // 2, W // 2): whether all four of 2x2 pixels are set."""
    height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    both = pixels[0:height:2] & pixels[1:height:2]
    return both[:, 0:width:2] & both[:, 1:width:2]


def halve(
    values: NDArray[np.float32], known: NDArray[np.bool_], *, need: int = 4
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(H, W, C) -> (H // 2, W // 2, C): 2x2 means over known pixels; known where `need` of the four are."""
    height, width = known.shape[0] // 2, known.shape[1] // 2
    half = np.empty((height, width, values.shape[2]), np.float32)
    half_known = np.empty((height, width), np.bool_)
    _halve(np.ascontiguousarray(values), np.ascontiguousarray(known), need, half, half_known)
    return half, half_known


@kernel("void(float32[:, :, ::1], boolean[:, ::1], int64, float32[:, :, ::1], boolean[:, ::1])")
def _halve(
    values: Array,
    known: Array,
    need: int,
    half: Array,
    half_known: Array,
) -> None:
    for y in range(half.shape[0]):
        for x in range(half.shape[1]):
            count = 0
            half[y, x] = 0
            for dy in range(2):
                for dx in range(2):
                    if known[2 * y + dy, 2 * x + dx]:
                        count += 1
                        for channel in range(values.shape[2]):
                            half[y, x, channel] += values[2 * y + dy, 2 * x + dx, channel]
            half_known[y, x] = count >= need
            for channel in range(values.shape[2]):
                half[y, x, channel] /= np.float32(max(count, 1))


def fill_smoothly(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W, C) with what is not known interpolated from ever coarser means (push-pull); one pixel must be known."""
    if known.all():
        return values
    height, width = known.shape
    odd = ((0, height % 2), (0, width % 2))
    coarse = fill_smoothly(*halve(np.pad(values, (*odd, (0, 0)), mode="edge"), np.pad(known, odd, mode="edge"), need=1))
    fine = box_mean(coarse.repeat(2, axis=0).repeat(2, axis=1), 1)[:height, :width]
    return np.where(known[..., None], values, fine)
