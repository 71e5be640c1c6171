"""Ridges: pixels of lines, with the direction in which the line runs.

Across a line the second derivative of the brightness, smoothed to the line's width, is large, and along it small:
the eigenvalues of the Hessian (Lindeberg, "Edge Detection and Ridge Detection with Automatic Scale Selection", 1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_SIGMAS_PX = (0.8, 1.6, 3.0)
"""A line of about 2 to 3 times a sigma answers most."""
_ALIKE = 0.5
"""How much the two sides of a line may differ, as a part of how much the line differs from them."""
_SIDE = 2.5
"""Where the sides are looked at, in sigmas from the middle."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ridges:
    """strength  (H, W), levels of 255 by which a line differs from its sides; 0 where there is none
    angle        (H, W), direction of the line in [0, pi), from the x axis downwards
    """

    strength: Floats
    angle: Floats


def ridges(grey: NDArray[np.uint8]) -> Ridges:
    """Of the width, of those looked for, that answers most at each pixel."""
    plane = grey.astype(np.float32)
    strength, angle = np.zeros_like(plane), np.zeros_like(plane)
    rows, columns = np.indices(plane.shape, np.float32)
    for sigma in _SIGMAS_PX:
        smooth = cv2.GaussianBlur(plane, (0, 0), sigma)
        xx, yy = cv2.Sobel(smooth, cv2.CV_32F, 2, 0) / 4, cv2.Sobel(smooth, cv2.CV_32F, 0, 2) / 4
        xy = cv2.Sobel(smooth, cv2.CV_32F, 1, 1) / 4
        across = 0.5 * np.arctan2(2 * xy, xx - yy)
        root = np.sqrt((xx - yy) ** 2 / 4 + xy**2)
        middle = (xx + yy) / 2
        across = np.where(middle < 0, across + np.pi / 2, across)  # of the eigenvalue that is larger in magnitude
        steep = np.abs(middle) + root
        dx, dy = np.cos(across) * _SIDE * sigma, np.sin(across) * _SIDE * sigma
        left = cv2.remap(smooth, columns - dx, rows - dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        right = cv2.remap(smooth, columns + dx, rows + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        off = np.abs(smooth - (left + right) / 2)
        is_line = (np.abs(left - right) < _ALIKE * off) & (steep > 0) & ((np.abs(middle) - root) < 0.4 * steep)
        answer = np.where(is_line, off, 0)
        stronger = answer > strength
        strength[stronger] = answer[stronger]
        angle[stronger] = np.mod(across[stronger] + np.pi / 2, np.pi)
    return Ridges(strength, angle)
