"""The engine `grabcut`: Rother, Kolmogorov, Blake, "GrabCut", SIGGRAPH 2004, through OpenCV.

The photo is seen only around the prompts, and there at a size at which a graph cut is quick. What the strokes cover is
probably the thing and their middle surely is; a ring at some distance is surely not. The outline of the view is then
found again at each doubling up to full size (imaging/edges.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidPrompts
from ..imaging.edges import enlarged, halvings
from ..protocols import Prompts, StepProgress, Stroke
from ..registry import LoadContext
from ..types import Box, Mask, ParamValue, PixelSource, tight_box

_VIEW_PX = 50_000
"""A graph cut's time grows faster than its pixels; of this size it takes some 60 ms."""
_ROUNDS = 2
_SURE_SHARE = 0.35
"""The middle part of a stroke's width, or of a point's dot, that is surely the thing."""
_STROKE_REACH, _BOX_REACH, _POINT_REACH = 0.4, 0.15, 0.3
"""How far around a prompt is looked, as a part of its longer side; of a point, as a part of the image's longer side."""
_DOT = 0.25
"""What a point marks, as a part of the longer side of where is looked."""
_FRAME_PX = 2

Image8 = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class OpenImage:
    """The image itself: nothing is worth keeping between two strokes."""

    image: PixelSource

    @property
    def shape(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    @property
    def size_bytes(self) -> int:
        return 0


class GrabCutEngine:
    """Deterministic."""

    def encode(self, image: PixelSource, *, progress: StepProgress) -> OpenImage:
        return OpenImage(image)

    def select(
        self, encoded: OpenImage, prompts: Prompts, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Mask:
        """Raises `InvalidPrompts` where nothing was found."""
        height, width = encoded.shape
        box = focus(prompts, height, width)
        progress("selecting", 0, 2)
        levels = halvings(np.ascontiguousarray(encoded.image[box.slices]), _VIEW_PX)
        labels = drawn(prompts, View(box, height, width, *levels[-1].shape[:2]))
        inside = cut(levels[-1], labels)
        progress("selecting", 1, 2)
        found = enlarged(inside, levels)
        inner = tight_box(found)
        if inner is None:
            raise InvalidPrompts("Nothing there differs from what is around it. Paint over more of the thing.")
        return Mask(inner.shifted(box.x0, box.y0), found[inner.slices] * np.uint8(255))


def focus(prompts: Prompts, height: int, width: int) -> Box:
    """The part of the image in which the thing is looked for."""
    boxes = [box.grown(2 + round(_BOX_REACH * max(box.width, box.height))) for box in prompts.boxes]
    boxes += [box_of(stroke, _STROKE_REACH) for stroke in prompts.strokes if stroke.add]
    reach_px = round(_POINT_REACH * max(height, width))
    boxes += [Box(int(x), int(y), int(x) + 1, int(y) + 1).grown(reach_px) for x, y, add in prompts.points if add]
    whole = boxes[0]
    for box in boxes[1:]:
        whole = whole.union(box)
    return whole.clipped(height, width)


def box_of(stroke: Stroke, reach: float) -> Box:
    """Holds the stroke and, on each side, `reach` times its longer side."""
    points = np.array(stroke.points)
    low, high = points.min(axis=0) - stroke.width_px / 2, points.max(axis=0) + stroke.width_px / 2
    reach_px = reach * float((high - low).max())
    (x0, y0), (x1, y1) = np.floor(low - reach_px), np.ceil(high + reach_px)
    return Box(int(x0), int(y0), int(x1), int(y1))


@dataclass(frozen=True, slots=True)
class View:
    """A small copy of (rows, columns) of a box of an image of (height, width)."""

    box: Box
    height: int
    width: int
    rows: int
    columns: int

    def place(self, x: float, y: float) -> tuple[int, int]:
        """(column, row) of the pixel that holds a place in the image; also beside the view."""
        column = (x - self.box.x0) * self.columns / self.box.width
        row = (y - self.box.y0) * self.rows / self.box.height
        return math.floor(column), math.floor(row)

    def length(self, length_px: float) -> int:
        """At least one pixel."""
        return max(1, round(length_px * self.columns / self.box.width))


def drawn(prompts: Prompts, view: View) -> Labels:
    """(rows, columns): what each pixel of the view surely or probably is."""
    labels = np.full((view.rows, view.columns), cv2.GC_PR_BGD, np.uint8)
    _mark_frame(labels, view)
    for box in prompts.boxes:
        (x0, y0), (x1, y1) = view.place(box.x0, box.y0), view.place(box.x1, box.y1)
        labels[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = cv2.GC_PR_FGD
    dot_px = _DOT * max(view.box.width, view.box.height)
    dots = tuple(Stroke(((x, y),), dot_px if add else _SURE_SHARE * dot_px, add) for x, y, add in prompts.points)
    marks = (*prompts.strokes, *dots)
    for label, share in ((cv2.GC_PR_FGD, 1.0), (cv2.GC_FGD, _SURE_SHARE)):
        for mark in marks:
            if mark.add:
                _draw(labels, view, mark.points, share * mark.width_px, label)
    for mark in marks:
        if not mark.add:
            _draw(labels, view, mark.points, mark.width_px, cv2.GC_BGD)
    return labels


def _mark_frame(labels: Labels, view: View) -> None:
    """What lies at the view's sides is not the thing, except at the image's own edge."""
    if view.box.x0 > 0:
        labels[:, :_FRAME_PX] = cv2.GC_BGD
    if view.box.y0 > 0:
        labels[:_FRAME_PX] = cv2.GC_BGD
    if view.box.x1 < view.width:
        labels[:, -_FRAME_PX:] = cv2.GC_BGD
    if view.box.y1 < view.height:
        labels[-_FRAME_PX:] = cv2.GC_BGD


def _draw(labels: Labels, view: View, points: Sequence[tuple[float, float]], width_px: float, label: int) -> None:
    places = np.array([view.place(x, y) for x, y in (*points, points[-1])], np.int32)  # one point alone draws nothing
    cv2.polylines(labels, [places], False, int(label), view.length(width_px))


def cut(view: Image8, labels: Labels) -> Flags:
    """(rows, columns): those parts of the foreground that are painted somewhere."""
    painted: Flags = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if painted.all() or not painted.any():
        return painted  # there is nothing to tell it from
    cv2.setRNGSeed(0)  # the colour models begin with a random k-means
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(view, labels, (0, 0, 0, 0), background, foreground, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    inside: Flags = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    count, parts = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4)
    touched = np.bincount(parts[painted & inside], minlength=count) > 0
    touched[0] = False
    kept: Flags = touched[parts]
    return kept


def load(context: LoadContext) -> GrabCutEngine:
    return GrabCutEngine()
