"""The engine `wires`: ridge pixels that run in one direction, joined over gaps, kept where they are long and thin."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..imaging.edges import shrunk_to
from ..protocols import Finding, StepProgress
from ..registry import LoadContext
from ..types import Box, Mask, ParamValue, PixelSource
from .ridges import Ridges, ridges

_VIEW_PX = 3_000_000
_DIRECTIONS = 12
_SPREAD = math.radians(14)
"""How far from its direction a line's pixels may run; more than half a step, so that a sagging wire stays whole."""
_LEAST_STRENGTH = 5.0
_CLEAR = 4.0
"""How much stronger than the median ridge around it a pixel is."""
_JOINED = 15
"""Gaps along a line up to that many pixels are bridged."""
_LEAST_LENGTH = 0.15
"""As a part of the view's longer side."""
_MOST_WIDTH_PX = 7.0
_MOST_BEND = 0.02
"""How far off a parabola a wire's pixels are, as a part of its length."""
_LEAST_FILLED = 0.7
"""How much of its length has ridge pixels."""
_GROW_PX = 2

Flags = NDArray[np.bool_]


class WiresEngine:
    """Deterministic."""

    def find(
        self, image: PixelSource, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Sequence[Finding]:
        height, width = image.shape[:2]
        progress("finding", 0, _DIRECTIONS + 1)
        view = shrunk_to(np.asarray(image[0:height, 0:width]), _VIEW_PX)
        seen = ridges(np.asarray(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), np.uint8))
        clear = seen.strength > np.maximum(_LEAST_STRENGTH, _CLEAR * _usual(seen.strength))
        lines = list[tuple[Flags, float]]()
        for step in range(_DIRECTIONS):
            progress("finding", step + 1, _DIRECTIONS + 1)
            lines += lines_along(seen, clear, step * math.pi / _DIRECTIONS)
        return [Finding("wire", score, mask) for mask, score in _grown(lines, clear.shape, height, width)]


def _usual(strength: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W): how strong ridges are around: much in foliage, next to nothing in a sky."""
    return np.asarray(cv2.boxFilter(np.minimum(strength, 20.0), cv2.CV_32F, (41, 41)), np.float32)


def lines_along(seen: Ridges, clear: Flags, direction: float) -> Iterator[tuple[Flags, float]]:
    """(the pixels, the score) of each line that runs about in a direction, in radians from the x axis downwards."""
    off = np.abs(np.mod(seen.angle - direction + np.pi / 2, np.pi) - np.pi / 2)
    along = (clear & (off < _SPREAD)).astype(np.uint8)
    joined = cv2.morphologyEx(along, cv2.MORPH_CLOSE, _line_kernel(direction))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    least = _LEAST_LENGTH * max(clear.shape)
    for part in range(1, count):
        x, y, w, h, _ = (int(value) for value in stats[part])
        if math.hypot(w, h) < least:
            continue
        box = Box(x, y, x + w, y + h)
        own = parts[box.slices] == part
        score = score_of(own, along[box.slices] > 0, seen.strength[box.slices], direction, least)
        if score > 0:
            pixels = np.zeros(clear.shape, bool)
            pixels[box.slices] = own
            yield pixels, score


def score_of(own: Flags, ridge: Flags, strength: NDArray[np.float32], direction: float, least: float) -> float:
    """How surely the part is a wire; 0 when it is too short, too thick, too broken or too crooked for one."""
    y, x = np.nonzero(own)
    along = x * math.cos(direction) + y * math.sin(direction)
    across = y * math.cos(direction) - x * math.sin(direction)
    length = float(np.ptp(along))
    if length < least or len(x) / length > _MOST_WIDTH_PX:
        return 0.0
    fitted = np.polyval(np.polyfit(along, across, 2), along)
    bend = float(np.percentile(np.abs(across - fitted), 90))
    bins = np.unique(np.floor(along[ridge[y, x]] / 4))
    filled = 4 * len(bins) / length
    if bend > max(2.5, _MOST_BEND * length) or filled < _LEAST_FILLED:
        return 0.0
    contrast = float(strength[own & ridge].mean())
    return float(min(1.0, filled) * (1 - math.exp(-length / (2 * least))) * (1 - math.exp(-contrast / 12)))


def _line_kernel(direction: float) -> NDArray[np.uint8]:
    kernel = np.zeros((_JOINED, _JOINED), np.uint8)
    middle = _JOINED // 2
    dx, dy = round(math.cos(direction) * middle), round(math.sin(direction) * middle)
    cv2.line(kernel, (middle - dx, middle - dy), (middle + dx, middle + dy), 1)
    return kernel


def _grown(
    lines: Sequence[tuple[Flags, float]], shape: tuple[int, ...], height: int, width: int
) -> Iterator[tuple[Mask, float]]:
    """Lines in the image's pixels, a little wider than they are; what was found in two directions is one line."""
    together = np.zeros(shape, np.uint8)
    scores = np.zeros(shape, np.float32)
    for pixels, score in lines:
        together[pixels] = 255
        scores[pixels] = np.maximum(scores[pixels], score)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _GROW_PX + 1,) * 2)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(together, disc), connectivity=8)
    to_x, to_y = width / shape[1], height / shape[0]
    for part in range(1, count):
        x, y, w, h, _ = (int(value) for value in stats[part])
        small = Box(x, y, x + w, y + h)
        own = (parts[small.slices] == part).astype(np.uint8) * np.uint8(255)
        x0, y0, x1, y1 = round(x * to_x), round(y * to_y), round((x + w) * to_x), round((y + h) * to_y)
        large = cv2.resize(own, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        yield Mask(Box(x0, y0, x1, y1), np.asarray(large, np.uint8)), float(scores[small.slices][own > 0].max())


def load(context: LoadContext) -> WiresEngine:
    return WiresEngine()
