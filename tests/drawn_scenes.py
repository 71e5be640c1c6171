"""Pictures of which the truth is known, because they are drawn."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image8 = NDArray[np.uint8]
Truth = NDArray[np.float32]
"""(H, W) in [0, 1]: how much of each pixel the thing covers."""


def mug(height: int = 300, width: int = 400, colour: tuple[int, int, int] = (70, 110, 150)) -> tuple[Image8, Truth]:
    """A mug with a label and a handle, and its shadow, before a backdrop that gets darker towards its corners.

    The truth counts the opening of the handle as covered.
    """
    rows, columns = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    back = 238 - 40 * ((columns - 0.5) ** 2 + (rows - 0.5) ** 2)[..., None] + np.array([0, -1, -4])
    shade = np.zeros((height, width), np.float32)
    cv2.ellipse(shade, _at(0.55, 0.78, height, width), _at(0.25, 0.06, height, width), 0, 0, 360, 0.4, -1)
    back = back * (1 - cv2.GaussianBlur(shade, (0, 0), height / 40)[..., None])
    fine = np.zeros((4 * height, 4 * width), np.float32)
    cv2.rectangle(fine, _at(0.35, 0.25, *fine.shape), _at(0.6, 0.78, *fine.shape), 1, -1)
    cv2.ellipse(fine, _at(0.6, 0.5, *fine.shape), _at(0.1, 0.14, *fine.shape), 0, 0, 360, 1, -1)
    closed = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    cv2.ellipse(fine, _at(0.63, 0.5, *fine.shape), _at(0.045, 0.09, *fine.shape), 0, 0, 360, 0, -1)
    covers = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)[..., None]
    thing = np.array(colour) * (0.7 + 0.5 * columns[..., None])
    label = (np.abs(columns - 0.47) < 0.08) & (np.abs(rows - 0.5) < 0.1)
    thing[label] = (240, 238, 230)
    return _noisy(thing * covers + back * (1 - covers), 2.0), np.asarray(closed, np.float32)


def bird(height: int = 300, width: int = 400) -> tuple[Image8, Truth]:
    """A reddish bird on grass, both with texture."""
    fine = np.zeros((2 * height, 2 * width), np.float32)
    cv2.ellipse(fine, _at(0.5, 0.5, *fine.shape), _at(0.19, 0.13, *fine.shape), 20, 0, 360, 1, -1)
    cv2.circle(fine, _at(0.33, 0.38, *fine.shape), _at(0.06, 0, *fine.shape)[0], 1, -1)
    tail = [_at(0.65, 0.57, *fine.shape), _at(0.8, 0.67, *fine.shape), _at(0.75, 0.55, *fine.shape)]
    cv2.fillPoly(fine, [np.array(tail, np.int32)], 1)
    covers = np.asarray(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    grass = np.array([90, 130, 70]) + _texture(height, width, 3, seed=1) * np.array([20, 25, 15])
    plumage = np.array([170, 90, 60]) + _texture(height, width, 5, seed=2) * np.array([20, 12, 10])
    return _noisy(plumage * covers[..., None] + grass * (1 - covers[..., None]), 4.0), covers


def overlap(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((found & truth).sum() / (found | truth).sum())


def _at(x: float, y: float, height: int, width: int) -> tuple[int, int]:
    return round(x * width), round(y * height)


def _texture(height: int, width: int, grain_px: float, seed: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), grain_px)
    return np.asarray(smooth / smooth.std(), np.float32)[..., None]


def _noisy(image: NDArray[np.floating], sigma: float) -> Image8:
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.asarray(np.clip(np.rint(image + noise), 0, 255), np.uint8)
