"""Photographs and masks that the quality table, the contact sheet and the benchmark share. Needs scikit-image.

The photographs are the ones that scikit-image carries in its wheel: nothing is fetched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image

Photo = NDArray[np.uint8]
HoleMask = NDArray[np.bool_]
Stroke = Literal["thin", "medium", "thick"]

PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "grass.png",
    "gravel.png",
    "motorcycle_left.png",
    "rocket.jpg",
)

STROKE_WIDTHS: dict[Stroke, tuple[float, float]] = {"thin": (0.012, 0.03), "medium": (0.05, 0.09), "thick": (0.12, 0.2)}
"""Width as a share of the picture's shorter side: LaMa's narrow, medium and thick test masks (Suvorov et al. 2022)."""

_AREA = (0.05, 0.25)


def photograph(name: str) -> Photo:
    """(H, W, 3) RGB."""
    return np.asarray(Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB"))


def stroke_mask(height: int, width: int, stroke: Stroke, seed: int, area: tuple[float, float] = _AREA) -> HoleMask:
    """Random polylines of one kind until they cover a share of the picture drawn from `area`."""
    rng = np.random.default_rng(seed)
    wanted = rng.uniform(area[0], area[1] * 0.85)  # the last stroke may overshoot
    canvas = np.zeros((height, width), np.uint8)
    while canvas.mean() < wanted:
        attempt = canvas.copy()
        _draw_polyline(attempt, STROKE_WIDTHS[stroke], rng)
        if attempt.mean() <= area[1]:
            canvas = attempt
    return canvas.astype(bool)


def _draw_polyline(canvas: NDArray[np.uint8], widths: tuple[float, float], rng: np.random.Generator) -> None:
    height, width = canvas.shape
    shorter = min(height, width)
    point = rng.uniform(0, 1, 2) * (width, height)
    heading = rng.uniform(0, 2 * np.pi)
    thickness = max(1, round(shorter * rng.uniform(*widths)))
    for _ in range(rng.integers(1, 5)):
        heading += rng.uniform(-1, 1)
        following = point + shorter * rng.uniform(0.1, 0.3) * np.array([np.cos(heading), np.sin(heading)])
        start, end = (tuple(int(value) for value in np.rint(each)) for each in (point, following))
        cv2.line(canvas, start, end, 1, thickness)
        point = following


def mosaic(height: int, width: int) -> Photo:
    """A picture of any size: a photograph, mirrored at its edges and enlarged, with grain as a sensor would add."""
    base = photograph("coffee.png")
    scale = max(1.0, max(height / base.shape[0], width / base.shape[1]) / 2)
    size = (round(base.shape[1] * scale), round(base.shape[0] * scale))
    large: NDArray[Any] = cv2.resize(base, size, interpolation=cv2.INTER_CUBIC)
    pad = [(0, max(0, height - large.shape[0])), (0, max(0, width - large.shape[1])), (0, 0)]
    large = np.pad(large, pad, mode="symmetric")[:height, :width]
    grain = np.random.default_rng(0).normal(0, 3, large.shape).astype(np.float32)
    return np.clip(large + grain, 0, 255).astype(np.uint8)


def disc_mask(height: int, width: int, share: float) -> HoleMask:
    """A disc in the middle that covers a share of the picture."""
    y, x = np.ogrid[:height, :width]
    return np.asarray((y - height / 2) ** 2 + (x - width / 2) ** 2 < share * height * width / np.pi)


def polygon_mask(height: int, width: int, *polygons: tuple[tuple[int, int], ...]) -> HoleMask:
    """Filled polygons of (x, y) points."""
    canvas = np.zeros((height, width), np.uint8)
    for points in polygons:
        cv2.fillPoly(canvas, [np.array(points, np.int32)], 1)
    return canvas.astype(bool)
