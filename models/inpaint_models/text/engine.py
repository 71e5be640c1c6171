"""The engine `text`: Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", AAAI 2020.

The network, PP-OCRv6 small (PaddleOCR, Apache-2.0), is a file of the package rapidocr; OpenCV runs it. It marks the
inner part of each line of text. It knows letters of some 8 to 80 pixels, so the photo is looked at in several sizes,
each in tiles, and of each line the size that shows it best counts.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import Unavailable
from ..imaging.edges import halvings, shrunk_to
from ..imaging.tiles import Tile, tiles_of
from ..protocols import Finding, StepProgress
from ..registry import LoadContext
from ..types import Box, Mask, ParamValue, PixelSource

MODEL_FILE = "models/PP-OCRv6_det_small.onnx"
_MOST_PX = 6_000_000
_TILE_PX, _MARGIN_PX, _STEP_PX = 832, 64, 32
_VIEW_PX = 200_000
_SMALLEST_PX, _LARGEST_PX = 10, 90
"""Heights of lines that one size is trusted with; the largest size keeps smaller ones, and the smallest larger ones."""
_INK, _LINE = 0.3, 0.5
"""Least probability of a pixel, and in the mean of a line."""
_UNCLIP = 1.7
"""A line is that much of area / circumference larger on each side than what the network marks."""
_SAME_SHARE = 0.5
"""Of the smaller of two lines: with more of it in common they are one."""
_MOST_AREA = 0.6
"""Of the photo: what covers more is taken for text where something large is all there is, and could not be filled."""
_FLAT = 8.0
"""In levels of 255: what differs by less from its surroundings is noise, and no ink."""
_INKED_PERCENT = 92.0
"""At least the rest of a line is ink."""

Image8 = NDArray[np.uint8]
Corners = NDArray[np.float32]
"""(4, 2): x and y."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text in pixels of the image; `fits`: whether the size it was seen in is one for letters of its size."""

    corners: Corners
    score: float
    fits: bool

    @property
    def area(self) -> float:
        return float(cv2.contourArea(self.corners))


class TextEngine:
    """Deterministic."""

    def __init__(self, path: Path) -> None:
        self._network = cv2.dnn.readNetFromONNX(str(path))

    def find(
        self, image: PixelSource, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Sequence[Finding]:
        height, width = image.shape[:2]
        levels = halvings(shrunk_to(np.ascontiguousarray(image[0:height, 0:width]), _MOST_PX), _VIEW_PX)
        tiles = [tiles_of(level.shape[0], level.shape[1], _TILE_PX, _MARGIN_PX) for level in levels]
        work = [(level, tile) for level, its in zip(levels, tiles, strict=True) for tile in its]
        lines = list[Line]()
        for step, (level, tile) in enumerate(work):
            progress("finding", step, len(work))
            least = 0 if level is levels[0] else _SMALLEST_PX
            most = np.inf if level is levels[-1] else _LARGEST_PX
            to_image = np.array([width / level.shape[1], height / level.shape[0]], np.float32)
            lines += [scaled(line, tile, to_image, least, most) for line in self._lines(level[tile.seen.slices])]
        lines = [line for line in lines if line.area <= _MOST_AREA * height * width]
        return [Finding("text", line.score, mask_of(line, height, width)) for line in distinct(lines)]

    def _lines(self, pixels: Image8) -> Iterator[Line]:
        """Those in a tile, in its pixels."""
        if np.ptp(cv2.blur(pixels, (3, 3))) < _FLAT:
            return
        height, width = pixels.shape[:2]
        right, bottom = -width % _STEP_PX, -height % _STEP_PX
        padded = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        blob = cv2.dnn.blobFromImage(padded, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True)
        self._network.setInput(blob)
        probability = np.asarray(self._network.forward(), np.float32)[0, 0, :height, :width]
        yield from (line for line in lines_in(probability) if is_lettered(pixels, line))


def lines_in(probability: NDArray[np.float32]) -> Iterator[Line]:
    """Rectangles around what the network marks, in any direction."""
    ink = (probability > _INK).astype(np.uint8)
    outlines, _ = cv2.findContours(ink, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    for outline in outlines:
        middle, (w, h), angle = cv2.minAreaRect(outline)
        if min(w, h) < 2:
            continue
        x, y, width, height = cv2.boundingRect(outline)
        inside = np.zeros((height, width), np.uint8)
        cv2.fillPoly(inside, [outline - (x, y)], 1)
        score = cv2.mean(probability[y : y + height, x : x + width], inside)[0]
        if score >= _LINE:
            grow = _UNCLIP * w * h / (w + h)
            corners = np.asarray(cv2.boxPoints((middle, (w + grow, h + grow), angle)), np.float32)
            yield Line(corners, float(score), True)


def is_lettered(pixels: Image8, line: Line) -> bool:
    """Whether something in the line differs from what is around it: on a plain sky the network may see text."""
    (x0, y0), (x1, y1) = np.maximum(np.floor(line.corners.min(axis=0)), 0), np.ceil(line.corners.max(axis=0))
    grey = cv2.cvtColor(np.ascontiguousarray(pixels[int(y0) : int(y1), int(x0) : int(x1)]), cv2.COLOR_RGB2GRAY)
    off = cv2.absdiff(grey, cv2.blur(grey, (_LARGEST_PX, _LARGEST_PX)))
    return bool(np.percentile(off, _INKED_PERCENT) >= _FLAT)


def scaled(line: Line, tile: Tile, to_image: NDArray[np.float32], least: float, most: float) -> Line:
    """The line in pixels of the image, and whether its height is within limits and it is not cut by its tile."""
    sides = np.linalg.norm(line.corners - np.roll(line.corners, 1, axis=0), axis=1)
    middle = line.corners.mean(axis=0)
    fits = least <= sides.min() <= most and tile.owns(*middle)
    return Line((line.corners + np.array([tile.seen.x0, tile.seen.y0], np.float32)) * to_image, line.score, fits)


def distinct(lines: Sequence[Line]) -> list[Line]:
    """The lines that fit, the largest first, without those that lie in one that was kept."""
    kept = list[Line]()
    for line in sorted((line for line in lines if line.fits), key=lambda line: -line.area):
        if all(_shared(line, other) < _SAME_SHARE * line.area for other in kept):
            kept.append(line)
    return kept


def _shared(one: Line, other: Line) -> float:
    return float(cv2.intersectConvexConvex(one.corners, other.corners)[0])


def mask_of(line: Line, height: int, width: int) -> Mask:
    (x0, y0), (x1, y1) = np.floor(line.corners.min(axis=0)), np.ceil(line.corners.max(axis=0))
    box = Box(int(x0), int(y0), int(x1) + 1, int(y1) + 1).clipped(height, width)
    covered = np.zeros((box.height, box.width), np.uint8)
    cv2.fillPoly(covered, [np.round(line.corners - (box.x0, box.y0)).astype(np.int32)], 255)
    return Mask(box, covered)


def load(context: LoadContext) -> TextEngine:
    """Raises `Unavailable` where the package has no such file."""
    package = importlib.util.find_spec("rapidocr")
    home = Path(package.origin).parent if package and package.origin else Path()
    if not (home / MODEL_FILE).is_file():
        raise Unavailable(f"The package rapidocr holds no {MODEL_FILE}. Install version 3.10: pip install rapidocr")
    return TextEngine(home / MODEL_FILE)
