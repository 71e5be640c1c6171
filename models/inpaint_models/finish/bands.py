"""Octave bands of noise: filters that measure them, noise that fills them, and how much of the one the other sees."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Box

Plane: TypeAlias = NDArray[np.float32]
Kernel: TypeAlias = tuple[Plane, Plane]
"""Down and across."""


def _haar(size: int) -> tuple[Plane, Plane]:
    mean = np.full(size, 1 / size, np.float32)
    return mean, mean * np.repeat(np.array([1, -1], np.float32), size // 2)


def _measuring() -> Iterable[tuple[Kernel, ...]]:
    for size in (2, 4, 8):
        mean, step = _haar(size)
        yield ((step, step),)
        yield (mean, step), (step, mean)


MEASURES: tuple[tuple[Kernel, ...], ...] = tuple(_measuring())
"""Haar filters from the finest on: diagonal, and upright with level, of 2, 4 and 8 pixels."""

_SIGMAS_PX = (0.0, 0.5, 0.85, 1.4, 2.4)
REACH_PX = 8
"""How far a pixel of noise reaches."""

BANDS = len(_SIGMAS_PX)

SIZE_OF_BAND = (2, 2, 4, 8, 8)
"""Of the Haar filters that measure each band of noise best, in pixels."""

_BLOCK_PX = 64
_FIELD = 32
_MEAN_OF_SUM = np.float32(4 * (2**16 - 1) / 2)
_SPREAD_OF_SUM = np.float32((4 * (2**32 - 1) / 12) ** 0.5)

_16, _32, _LOWER_HALF, _EVEN_QUARTERS = map(np.uint64, (16, 32, 0xFFFF_FFFF, 0x0000_FFFF_0000_FFFF))
"""To add the four quarters of a 64 bit number without an array of them."""


def filtered(image: Plane, kernel: Kernel) -> Plane:
    """(H, W) or (H, W, C). What a pixel sees reaches half the kernel up and left, and a pixel less the other way."""
    down, across = (np.ascontiguousarray(axis[::-1]) for axis in kernel)
    anchor = len(across) // 2, len(down) // 2
    return np.asarray(
        cv2.sepFilter2D(image, -1, across, down, anchor=anchor, borderType=cv2.BORDER_REFLECT), np.float32
    )


def noise(seed: int, band: int, box: Box) -> Plane:
    """(box.height, box.width, 3) noise of one band, the same at every place whatever the box.

    It is what lies between two blurs of white noise of variance 1, which each band has of its own.
    """
    white = _white(seed, band, box.grown(REACH_PX))
    inner = slice(REACH_PX, -REACH_PX)
    return _between_blurs(white, band)[inner, inner]


def _between_blurs(white: Plane, band: int) -> Plane:
    fine = _blurred(white, _SIGMAS_PX[band])
    return fine - _blurred(white, _SIGMAS_PX[band + 1]) if band + 1 < BANDS else fine


def _blurred(image: Plane, sigma_px: float) -> Plane:
    if not sigma_px:
        return image
    side = 2 * int(np.ceil(3 * sigma_px)) + 1
    return np.asarray(cv2.GaussianBlur(image, (side, side), sigma_px), np.float32)


def _white(seed: int, band: int, box: Box) -> Plane:
    """Each block of the image has a stream of its own, of those that NumPy promises to keep.

    A number is the sum of four uniform ones: as good as normal here, and its magnitude is at most 3.5.
    """
    out = np.empty((box.height, box.width, 3), np.float32)
    for row in range(box.y0 // _BLOCK_PX, -(-box.y1 // _BLOCK_PX)):
        for column in range(box.x0 // _BLOCK_PX, -(-box.x1 // _BLOCK_PX)):
            block = Box(0, 0, _BLOCK_PX, _BLOCK_PX).shifted(column * _BLOCK_PX, row * _BLOCK_PX)
            shared = block.intersection(box)
            drawn = np.random.PCG64([seed, band, row + 1, column + 1]).random_raw(_BLOCK_PX**2 * 3)
            pairs = (drawn & _EVEN_QUARTERS) + (drawn >> _16 & _EVEN_QUARTERS)
            sums = ((pairs & _LOWER_HALF) + (pairs >> _32)).astype(np.float32).reshape(_BLOCK_PX, _BLOCK_PX, 3)
            values = (sums - _MEAN_OF_SUM) / _SPREAD_OF_SUM
            out[shared.shifted(-box.x0, -box.y0).slices] = values[shared.shifted(-block.x0, -block.y0).slices]
    return out


@cache
def seen() -> NDArray[np.float64]:
    """(measures, bands): the variance that each measure finds in noise of each band, of as much as white noise has."""
    impulse = np.zeros((_FIELD, _FIELD), np.float32)
    impulse[_FIELD // 2, _FIELD // 2] = 1
    made = [_power(_between_blurs(impulse, band)) for band in range(BANDS)]
    found = [np.mean([_power(np.outer(*kernel)) for kernel in kernels], axis=0) for kernels in MEASURES]
    return np.array([[np.mean(measure * band) for band in made] for measure in found])


@cache
def seen_in_white() -> NDArray[np.float64]:
    """(measures,): the variance that each finds in white noise of variance 1."""
    return np.array([np.mean([np.square(np.outer(*kernel)).sum() for kernel in kernels]) for kernels in MEASURES])


def _power(image: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.abs(np.fft.fft2(image, (_FIELD, _FIELD))) ** 2
