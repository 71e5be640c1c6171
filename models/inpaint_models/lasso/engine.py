"""The engine `lasso`: Mortensen and Barrett, "Intelligent Scissors for Image Composition", 1995, through OpenCV.

Each piece of the outline, from one point to the next, is the cheapest path in a small view of its own surroundings.
Pieces are kept, so that a further point costs one more piece. The area is then decided at full size along its edge.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidPrompts
from ..imaging.edges import MOST_REFINED_PX, edge_alpha, shrunk_to
from ..imaging.views import View
from ..protocols import Prompts, SelectProgress, StepProgress, Stroke
from ..registry import LoadContext
from ..types import Box, Mask, ParamValue, PixelSource, tight_box

_VIEW_PX = 60_000
"""Of one piece: a path through it takes some 20 ms."""
_REACH, _LEAST_REACH_PX = 0.35, 24
"""How far beside the straight line a piece may go, as a part of its length."""
_CANNY = 32, 100
_MOST_PIECES = 256
_LARGEST_BAND_PX = 8
_STRIDE = 3
"""Points that stand for a stroke are that many of its widths apart."""

Place = tuple[int, int]
Piece = NDArray[np.float32]
"""(n, 2): x and y of places in the image."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """The image, and the pieces of outlines that were looked for in it."""

    image: PixelSource
    pieces: OrderedDict[tuple[Place, Place], tuple[Piece, float]] = field(default_factory=OrderedDict)

    @property
    def shape(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    @property
    def size_bytes(self) -> int:
        return sum(piece.nbytes for piece, _ in self.pieces.values())

    def between(self, start: Place, end: Place) -> tuple[Piece, float]:
        """(the piece, how many pixels of the image one of its view was)."""
        if (start, end) not in self.pieces:
            self.pieces[start, end] = cheapest_path(self.image, start, end)
        self.pieces.move_to_end((start, end))
        while len(self.pieces) > _MOST_PIECES:
            self.pieces.popitem(last=False)
        return self.pieces[start, end]


class LassoEngine:
    """Deterministic."""

    def encode(self, image: PixelSource, *, progress: StepProgress) -> Outlines:
        return Outlines(image)

    def select(
        self, encoded: Outlines, prompts: Prompts, *, params: Mapping[str, ParamValue], progress: SelectProgress
    ) -> Mask:
        """Raises `InvalidPrompts` unless there are two different points in the image."""
        places = anchors(prompts, *encoded.shape)
        if len(set(places)) < 2:
            raise InvalidPrompts("Put at least two points along the outline of the thing, or draw along it.")
        pieces, scales = list[Piece](), list[float]()
        for step, (start, end) in enumerate(itertools.pairwise(places)):
            progress("selecting", step, len(places))
            piece, scale = encoded.between(start, end)
            pieces.append(piece)
            scales.append(scale)
        outline = np.concatenate(pieces)
        progress("selecting", len(places) - 1, len(places), lambda: tuple((float(x), float(y)) for x, y in outline))
        return area(encoded.image, outline, max(scales))


def anchors(prompts: Prompts, height: int, width: int) -> list[Place]:
    """The points in their order, and those that stand for strokes, all in the image."""
    points = [(x, y) for x, y, add in prompts.points if add]
    points += [point for stroke in prompts.strokes if stroke.add for point in stepped(stroke)]
    return [(min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1)) for x, y in points]


def stepped(stroke: Stroke) -> list[tuple[float, float]]:
    """Points of the stroke that are some widths apart. A loop ends where it began."""
    kept = [stroke.points[0]]
    for point in stroke.points:
        if math.dist(kept[-1], point) >= _STRIDE * stroke.width_px:
            kept.append(point)
    closes = len(kept) > 2 and math.dist(kept[0], stroke.points[-1]) <= 2 * _STRIDE * stroke.width_px
    return [*kept, kept[0] if closes else stroke.points[-1]]


def cheapest_path(image: PixelSource, start: Place, end: Place) -> tuple[Piece, float]:
    """Along edges from one place to another, and how many pixels of the image one of the view was."""
    height, width = image.shape[:2]
    reach_px = max(_LEAST_REACH_PX, round(_REACH * math.dist(start, end)))
    around = Box(*start, start[0] + 1, start[1] + 1).union(Box(*end, end[0] + 1, end[1] + 1))
    box = around.grown(reach_px).clipped(height, width)
    small = shrunk_to(np.ascontiguousarray(image[box.slices]), _VIEW_PX)
    view = View(box, height, width, *small.shape[:2])
    if min(view.rows, view.columns) < 3:  # OpenCV's gradients need more
        return np.array([start, end], np.float32) + 0.5, 1.0
    tool = cv2.segmentation.IntelligentScissorsMB()
    tool.setEdgeFeatureCannyParameters(*_CANNY)
    tool.applyImage(small)
    tool.buildMap(view.place(*start))
    path = tool.getContour(view.place(*end)).reshape(-1, 2).astype(np.float32)
    scale = np.array([box.width / view.columns, box.height / view.rows], np.float32)
    return (path + 0.5) * scale + np.array([box.x0, box.y0], np.float32), float(scale.max())


def area(image: PixelSource, outline: Piece, scale: float) -> Mask:
    """What the outline goes around; where it was found in a smaller view, its edge is found again at full size."""
    band_px = min(_LARGEST_BAND_PX, math.ceil(scale))
    (x0, y0), (x1, y1) = np.floor(outline.min(axis=0)), np.ceil(outline.max(axis=0))
    box = Box(int(x0), int(y0), int(x1) + 1, int(y1) + 1).grown(4 * band_px).clipped(*image.shape[:2])
    inside = np.zeros((box.height, box.width), np.uint8)
    cv2.fillPoly(inside, [np.floor(outline - (box.x0, box.y0)).astype(np.int32)], 1)
    found = inside.astype(bool)
    if scale > 1 and inside.size <= MOST_REFINED_PX:
        found = edge_alpha(np.ascontiguousarray(image[box.slices]), found, band_px) >= 0.5
    inner = tight_box(found)
    if inner is None:
        raise InvalidPrompts("The outline goes around nothing. Put its points farther apart.")
    return Mask(inner.shifted(box.x0, box.y0), found[inner.slices] * np.uint8(255))


def load(context: LoadContext) -> LassoEngine:
    return LassoEngine()
