"""Edges and lines as maps of pixels: Canny's edges of a picture, and antialiased lines.

Both equal what scikit-image makes (its `canny` and `line_aa`), with which the networks were trained.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]

_SIGMA_PX = 3.0
_RADIUS_PX = 12
"""Of the Gaussian: 4 sigma."""
_LOW, _HIGH = 0.1, 0.2
"""An edge is at least as strong as the first everywhere, and as the second somewhere."""


def canny(gray: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Edges of a grey picture in [0, 1], a pixel wide. (H, W); none on its border.

    Canny, "A Computational Approach to Edge Detection", PAMI 1986.
    """
    smooth = _smoothed(gray) / (_smoothed(np.ones_like(gray)) + np.finfo(np.float64).eps)
    across, down = (
        np.asarray(cv2.Sobel(smooth, cv2.CV_64F, *axes, borderType=cv2.BORDER_REFLECT), np.float64)
        for axes in ((1, 0), (0, 1))
    )
    strength = np.sqrt(down * down + across * across)
    thin = _is_ridge(strength, down, across) & (strength >= _LOW)
    thin[[0, -1]] = thin[:, [0, -1]] = False
    _, labels = cv2.connectedComponents(thin.astype(np.uint8), connectivity=8)
    strong = np.zeros(labels.max() + 1, bool)
    strong[labels[thin & (strength >= _HIGH)]] = True
    edges: NDArray[np.bool_] = strong[labels]
    return edges


def _smoothed(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian, with nothing beyond the border."""
    kernel = np.exp(-0.5 * (np.arange(-_RADIUS_PX, _RADIUS_PX + 1) / _SIGMA_PX) ** 2)
    kernel /= kernel.sum()
    return np.asarray(cv2.sepFilter2D(image, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_CONSTANT))


def _is_ridge(
    strength: NDArray[np.float64], down: NDArray[np.float64], across: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Where no neighbour along the gradient is stronger; a neighbour between pixels is interpolated."""
    steep = np.abs(down) > np.abs(across)
    larger = np.maximum(np.abs(down), np.abs(across))
    share = np.divide(np.minimum(np.abs(down), np.abs(across)), larger, out=np.zeros_like(larger), where=larger > 0)
    turn = np.where(down * across >= 0, 1, -1)  # +1: the gradient points to the right and down, or to the left and up
    padded = np.pad(strength, 1)
    height, width = strength.shape

    def moved(rows: int, columns: int) -> NDArray[np.float64]:
        return padded[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    ridge = np.ones(strength.shape, bool)
    for sign in (1, -1):
        straight = np.where(steep, moved(sign, 0), np.where(turn > 0, moved(0, sign), moved(0, -sign)))
        diagonal = np.where(turn > 0, moved(sign, sign), moved(sign, -sign))
        ridge &= diagonal * share + straight * (1 - share) <= strength
    return ridge


def drawn_lines(lines: NDArray[np.float32], side: int) -> Map:
    """Antialiased lines, (side, side) in [0, 1] in steps of 1 / 255.

    lines  (N, 4): x0, y0, x1, y1 in pixels; fractions are cut off

    Wu's idea as in Zingl, "A Rasterizing Algorithm for Drawing Curves", 2012: along its longer axis a line covers two
    pixels in each column, each by one minus its distance from the line; a third where it steps.
    """
    canvas = np.zeros((side, side))
    x0, y0, x1, y1 = lines.astype(np.int64).T[..., None]  # (N, 1) each
    dx, dy = x1 - x0, y1 - y0
    flat = np.abs(dx) >= np.abs(dy)
    long, short = np.maximum(np.abs(dx), np.abs(dy)), np.minimum(np.abs(dx), np.abs(dy))
    length = np.where(long > 0, np.hypot(long, short), 1).astype(np.float32).astype(np.float64)  # as scikit-image does
    i = np.arange(long.max(initial=0) + 1)[None]  # steps along the longer axis
    j = (2 * i + 1) * short // np.maximum(2 * long, 1)  # and along the other
    next_j = (2 * i + 3) * short // np.maximum(2 * long, 1)
    for ahead, aside, wanted in ((0, 0, i <= long), (0, 1, i < long), (1, 0, (i < long) & (next_j > j))):
        distance = np.abs((j + aside) * long - (i + ahead) * short) / length
        along, beside = np.broadcast_to(i + ahead, j.shape), j + aside
        columns = x0 + np.sign(dx) * np.where(flat, along, beside)
        rows = y0 + np.sign(dy) * np.where(flat, beside, along)
        seen = wanted & (distance < 1) & (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
        np.maximum.at(canvas, (rows[seen], columns[seen]), 1 - distance[seen])
    return np.asarray(np.floor(canvas * 255) / 255, np.float32)
