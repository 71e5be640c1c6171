"""What patches are compared by: lightness, two opponent colours and local texture strength, each in [0, 255].

Texture strength tells a meadow from a green wall of the same mean colour (Newson et al. 2014, 3.4 use the same idea).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ..machine.compiled import Array, kernel

FEATURES = 4  # per pixel

_LIGHTNESS = (0.30, 0.55, 0.15)
_OPPONENT = np.array(
    [
        [255 * _LIGHTNESS[0], 255 * _LIGHTNESS[1], 255 * _LIGHTNESS[2], 0],
        [255, -255, 0, 128],
        [127.5, 127.5, -255, 128],
        [0, 0, 0, 0],
    ],
    np.float32,
)
"""RGB in [0, 1] and 1 -> the features but for texture."""

_TEXTURE_GAIN = 4.0
_TEXTURE_RADIUS = 2


def describe(
    image: NDArray[np.float32], known: NDArray[np.bool_], poll: Callable[[], None] = lambda: None
) -> NDArray[np.float32]:
    """(H, W, 3) RGB in [0, 1] and (H, W) -> (H, W, 4) in [0, 255]; meaningless where not known."""
    described = np.asarray(cv2.transform(np.ascontiguousarray(image), _OPPONENT), np.float32)
    poll()
    described[..., 3] = _texture(np.ascontiguousarray(described[..., 0]), known)
    return described


def to_colour(described: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(..., 4) -> (..., 3) RGB in [0, 1]; the inverse of describe but for rounding and clipped chroma."""
    lightness = described[..., 0].astype(np.float32)
    red_green = described[..., 1].astype(np.float32) - 128
    yellow_blue = described[..., 2].astype(np.float32) - 128
    yellow = lightness + _LIGHTNESS[2] * yellow_blue + (_LIGHTNESS[1] - _LIGHTNESS[0]) / 2 * red_green
    colour = np.stack([yellow + red_green / 2, yellow - red_green / 2, yellow - yellow_blue], axis=-1)
    return np.asarray(np.clip(colour / 255, 0, 1), np.float32)


def to_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Rounded and clipped."""
    return np.asarray(np.clip(values + np.float32(0.5), 0, 255), np.uint8)


def _texture(lightness: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean absolute step between neighbours that are both known, over a 5x5 window's known pixels."""
    steps, share = np.empty_like(lightness), np.empty_like(lightness)
    _steps(lightness, known, steps, share)
    share = np.maximum(box_mean(share, _TEXTURE_RADIUS), np.float32(1 / 25))
    return box_mean(steps, _TEXTURE_RADIUS) * np.float32(_TEXTURE_GAIN) / share


@kernel("void(float32[:, ::1], boolean[:, ::1], float32[:, ::1], float32[:, ::1])")
def _steps(lightness: Array, known: Array, steps: Array, share: Array) -> None:
    """To the left and to the upper neighbour; share is 1 where known."""
    for y in range(lightness.shape[0]):
        for x in range(lightness.shape[1]):
            step = np.float32(0)
            if x and known[y, x] and known[y, x - 1]:
                step += abs(lightness[y, x] - lightness[y, x - 1])
            if y and known[y, x] and known[y - 1, x]:
                step += abs(lightness[y, x] - lightness[y - 1, x])
            steps[y, x] = step
            share[y, x] = np.float32(known[y, x])


def box_mean(values: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Mean over a (2 * radius + 1) square of the first two axes; the border is repeated outwards."""
    side = 2 * radius + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)
