"""What patches are compared by: lightness, two opponent colours and local texture strength, each in [0, 255].

Texture strength tells a meadow from a green wall of the same mean colour (Newson et al. 2014, 3.4 use the same idea).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEATURES = 4  # per pixel

_LIGHTNESS = (0.30, 0.55, 0.15)
_TEXTURE_GAIN = 4.0
_TEXTURE_RADIUS = 2


def describe(image: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W, 3) RGB in [0, 1] and (H, W) -> (H, W, 4) in [0, 255]; meaningless where not known."""
    red, green, blue = (image[..., channel] * np.float32(255) for channel in range(3))
    lightness = _LIGHTNESS[0] * red + _LIGHTNESS[1] * green + _LIGHTNESS[2] * blue
    described = np.empty((*known.shape, FEATURES), np.float32)
    described[..., 0] = lightness
    described[..., 1] = 128 + red - green
    described[..., 2] = 128 + (red + green) / 2 - blue
    described[..., 3] = _TEXTURE_GAIN * _texture(lightness, known)
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
    steps = np.zeros_like(lightness)
    steps[:, 1:] += np.abs(np.diff(lightness, axis=1)) * (known[:, 1:] & known[:, :-1])
    steps[1:] += np.abs(np.diff(lightness, axis=0)) * (known[1:] & known[:-1])
    share = box_mean(known.astype(np.float32), _TEXTURE_RADIUS)
    return np.divide(box_mean(steps, _TEXTURE_RADIUS), np.maximum(share, 1 / 25), dtype=np.float32)


def box_mean(values: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Mean over a (2 * radius + 1) square of the first two axes; the border is repeated outwards."""
    for axis in (0, 1):
        padding = [(0, 0)] * values.ndim
        padding[axis] = (radius, radius)
        padded = np.moveaxis(np.pad(values, padding, mode="edge"), axis, 0)
        length = values.shape[axis]
        total = padded[:length].copy()
        for shift in range(1, 2 * radius + 1):
            total += padded[shift : shift + length]
        total /= np.float32(2 * radius + 1)
        values = np.moveaxis(total, 0, axis)
    return values
