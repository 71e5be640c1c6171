"""The colour of the surroundings along the hole's edge: a low-frequency step there is taken out of the fill.

The step is the difference of what the photo and the fill come to at the edge, each carried on in a straight line
from two strips along it. A membrane through it (as in seamless cloning, Perez et al. 2003), stiff where the step is
known well and loose where texture or an edge of the picture hides it, is added to the whole fill.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import AnyImage, FloatImage, HoleMask, tight_box
from .bands import Plane
from .cells import LUMA

_CELL_PX = 4
_MOST_CELLS = 192
"""Of a side of the grid; a larger hole has larger cells."""

_SMOOTH_CELLS = 3.0
"""How far along the edge a step is averaged."""

_ALIKE_CELLS = 3
"""Along the edge so many cells tell no more than one: they share pixels, and what makes them differ is as large."""

_LARGEST = 32.0
"""In levels of 255: where photo and fill differ so much they show different things; of less, 9 at most are taken."""

_USUAL = 8.0
"""In levels of 255: steps that networks make."""

_STEEP = 4.0
"""Squared difference, in levels of 255, of two strips on one side: with more, a straight line through them errs."""

_REVISIONS = 2
"""How often votes are weighed again by how near they are to what was agreed on."""

_UNSEEN = 1.25
"""In levels of 255: a step that is left alone; of larger ones, ever less is left."""

_EXACT = 0.5
"""In levels of 255: no step is known better."""

_LEAST_PX = 0.5
"""A strip with less in a cell and its neighbours is not there."""

_STIFFNESS = 4.0
_SWEEPS = 12


def in_tune(pixels: AnyImage, fill: FloatImage, hole: HoleMask) -> FloatImage:
    """The fill, without the step along its edge.

    pixels  (H, W, 3 or 4) the photo
    fill    (H, W, 3) in [0, 1]; only what is in the hole counts, and changes
    hole    (H, W)
    """
    box = tight_box(hole)
    if box is None:
        return fill
    side_px = _CELL_PX
    while max(box.height, box.width) > _MOST_CELLS * side_px:
        side_px *= 2
    near = box.grown(3 * side_px).clipped(*hole.shape)
    inside = hole[near.slices]
    step, weight = _agreed(*_votes(pixels[near.slices], fill[near.slices], inside, side_px))
    change = _membrane(step, weight, _strip(fill[near.slices], np.float32(1), inside, side_px)[1] > 0)
    change *= np.maximum(0, 1 - np.square(_UNSEEN / np.maximum(np.abs(change), 1e-6)))
    if not change.any():
        return fill
    size = change.shape[1] * side_px, change.shape[0] * side_px
    by_pixel = cv2.resize(change, size, interpolation=cv2.INTER_LINEAR)[: near.height, : near.width]
    out = fill.copy()
    out[near.slices][inside] += by_pixel[inside] / np.float32(255)
    return out


def _votes(pixels: AnyImage, fill: FloatImage, hole: HoleMask, side_px: int) -> tuple[Plane, Plane]:
    """By how much the fill falls short at each cell along the edge, (h, w, 3), and its trust, (h, w)."""
    usable = ~hole & (pixels[..., 3] > 0) if pixels.shape[2] == 4 else ~hole
    scale = np.float32(255 / np.iinfo(pixels.dtype).max)
    (near_out, out_count), (far_out, far_out_count) = _strips(pixels, scale, usable, ~hole, side_px)
    (near_in, in_count), (far_in, far_in_count) = _strips(fill, np.float32(255), hole, hole, side_px)
    near, far = near_out - near_in, far_out - far_in
    has_far = (far_out_count > 0) & (far_in_count > 0)
    votes = np.where(has_far[..., None], 1.5 * near - 0.5 * far, near)
    votes *= np.maximum(0, 1 - (np.abs(votes).max(axis=2, keepdims=True) / _LARGEST) ** 2) ** 2
    slopes = np.square((near_out - far_out) @ LUMA) + np.square((near_in - far_in) @ LUMA)
    trust = np.where((out_count > 0) & (in_count > 0), 1 / (1 + slopes / _STEEP), 0)
    return np.asarray(votes, np.float32), np.asarray(trust, np.float32)


def _agreed(votes: Plane, trust: Plane) -> tuple[Plane, Plane]:
    """The step that neighbours along the edge agree on, (h, w, 3), and its weight, (h, w).

    An edge of the picture that meets the hole makes some vote for much more than the others, who then count for more.
    """
    mean = _around(votes, trust)
    for _ in range(_REVISIONS):
        apart = np.square((votes - mean) @ LUMA)
        mean = _around(votes, np.asarray(trust / (1 + apart / _STEEP), np.float32))
    variance = _around(np.square((votes - mean) @ LUMA)[..., None], trust)[..., 0]
    near = cv2.GaussianBlur(trust, (0, 0), _SMOOTH_CELLS, borderType=cv2.BORDER_CONSTANT)
    voters = np.maximum(near * (4 * np.pi * _SMOOTH_CELLS**2 / _ALIKE_CELLS), 1)
    return mean, np.asarray(trust * _STIFFNESS / (variance / voters + _EXACT**2), np.float32)


def _around(values: Plane, weight: Plane) -> Plane:
    """Weighted mean near each cell, (h, w, C)."""
    total = cv2.GaussianBlur(values * weight[..., None], (0, 0), _SMOOTH_CELLS, borderType=cv2.BORDER_CONSTANT)
    count = cv2.GaussianBlur(weight, (0, 0), _SMOOTH_CELLS, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(total.reshape(values.shape) / np.maximum(count, 1e-6)[..., None], np.float32)


def _strips(
    image: NDArray[Any], scale: np.float32, usable: HoleMask, side: HoleMask, side_px: int
) -> list[tuple[Plane, Plane]]:
    """Two strips, each as wide as a cell, of the usable pixels on one side of the edge."""
    distance = cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    near, far = distance <= side_px, distance <= 2 * side_px
    return [_strip(image, scale, region, side_px) for region in (usable & near, usable & far & ~near)]


def _strip(image: NDArray[Any], scale: np.float32, region: HoleMask, side_px: int) -> tuple[Plane, Plane]:
    """Mean in levels of 255, (h, w, 3), and count of pixels, (h, w), in a cell and those that touch it."""
    rows, columns = (-(-side // side_px) for side in region.shape)
    row, column = np.nonzero(region)
    cell = row // side_px * columns + column // side_px
    values = image[row, column, :3] * scale
    sums = [np.bincount(cell, of, rows * columns).reshape(rows, columns) for of in (None, *values.T)]
    around = np.asarray(cv2.blur(np.stack(sums, axis=2), (3, 3), borderType=cv2.BORDER_CONSTANT), np.float32)
    around[around[..., 0] < _LEAST_PX / 9] = 0
    return np.asarray(around[..., 1:] / np.maximum(around[..., :1], _LEAST_PX / 9), np.float32), around[..., 0]


def _membrane(step: Plane, weight: Plane, part: NDArray[np.bool_]) -> Plane:
    """(h, w, 3): smooth inside the part, near the step where it has weight; coarse to fine."""
    height, width = part.shape
    if max(height, width) <= 2:
        change = np.zeros_like(step)
    else:
        even = ((0, height % 2), (0, width % 2))
        pull, total, some = (
            _quartered(np.pad(plane, even + ((0, 0),) * (plane.ndim - 2)))
            for plane in (step * weight[..., None], weight, part.astype(np.float32))
        )
        mean = np.asarray(pull / np.maximum(total, 1e-9)[..., None], np.float32)
        coarse = _membrane(mean, total, some > 0)
        double = cv2.resize(coarse, (coarse.shape[1] * 2, coarse.shape[0] * 2), interpolation=cv2.INTER_LINEAR)
        change = np.asarray(double[:height, :width], np.float32)
    inside = part.astype(np.float32)[..., None]
    held, cross = weight[..., None], np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)
    beside = cv2.filter2D(inside, -1, cross, borderType=cv2.BORDER_CONSTANT)[..., None]
    prior = np.where(held > 0, _STIFFNESS / _USUAL**2, 0)
    for _ in range(_SWEEPS):
        pulled = cv2.filter2D(change * inside, -1, cross, borderType=cv2.BORDER_CONSTANT) + held * step
        change = inside * pulled / np.maximum(beside + held + prior, 1e-9)
    return np.asarray(change, np.float32)


def _quartered(plane: Plane) -> Plane:
    """Sums of two by two."""
    return np.asarray(plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2], np.float32)
