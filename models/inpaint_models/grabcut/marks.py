"""What prompts say of each pixel around them: surely or probably the thing, surely or probably not.

A stroke covers the thing, or goes around it: then its ends meet, and what it encloses counts as a box does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..imaging.views import View
from ..protocols import Prompts, Stroke
from ..types import Box

_SURE_SHARE = 0.35
"""The middle part of a stroke's width, or of a point's dot, that is surely the thing."""
_STROKE_REACH, _LOOP_REACH, _BOX_REACH, _POINT_REACH = 0.6, 0.15, 0.15, 0.3
"""How far around a prompt is looked, as a part of its longer side; of a point, as a part of the image's longer side."""
_DOT = 0.2
"""What a point marks, as a part of the longer side of where is looked."""
_GAP = 0.2
"""The ends of a stroke around a thing may be that part of its length apart."""
_LEAST_ENCLOSED = 2.5
"""What a stroke around a thing encloses, as a multiple of what it covers itself."""
_FRAME_PX = 2

Labels = NDArray[np.uint8]
Flags = NDArray[np.bool_]


def focus(prompts: Prompts, height: int, width: int) -> Box:
    """The part of the image in which the thing is looked for."""
    boxes = [box.grown(2 + round(_BOX_REACH * max(box.width, box.height))) for box in prompts.boxes]
    boxes += [box_of(stroke, _LOOP_REACH if is_loop(stroke) else _STROKE_REACH) for stroke in adding(prompts.strokes)]
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


def is_loop(stroke: Stroke) -> bool:
    """Whether the stroke goes around a thing, and does not cover it."""
    points = np.array(stroke.points, np.float32)
    length_px = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
    gap_px = float(np.linalg.norm(points[0] - points[-1]))
    enclosed = abs(cv2.contourArea(points)) if len(points) > 2 else 0.0
    meets = gap_px <= max(2 * stroke.width_px, _GAP * length_px)
    return meets and enclosed > _LEAST_ENCLOSED * length_px * stroke.width_px


def adding(strokes: Iterable[Stroke]) -> Iterator[Stroke]:
    return (stroke for stroke in strokes if stroke.add)


def drawn(prompts: Prompts, view: View) -> tuple[Labels, Flags]:
    """(labels, enclosed), both (rows, columns): what each pixel is, and what is in a box or loop and not painted."""
    labels = np.full((view.rows, view.columns), cv2.GC_PR_BGD, np.uint8)
    loops = [stroke for stroke in adding(prompts.strokes) if is_loop(stroke)]
    enclosed = _enclosed(prompts.boxes, loops, view)
    if loops:
        labels[~enclosed] = cv2.GC_BGD
    _mark_frame(labels, view)
    labels[enclosed] = cv2.GC_PR_FGD
    dot_px = _DOT * max(view.box.width, view.box.height)
    dots = tuple(Stroke(((x, y),), dot_px if add else _SURE_SHARE * dot_px, add) for x, y, add in prompts.points)
    marks = [mark for mark in (*prompts.strokes, *dots) if mark not in loops]
    for label, share in ((cv2.GC_PR_FGD, 1.0), (cv2.GC_FGD, _SURE_SHARE)):
        for mark in adding(marks):
            _draw(labels, view, mark.points, share * mark.width_px, label)
            _draw(enclosed.view(np.uint8), view, mark.points, share * mark.width_px, 0)
    for mark in marks:
        if not mark.add:
            _draw(labels, view, mark.points, mark.width_px, cv2.GC_BGD)
            _draw(enclosed.view(np.uint8), view, mark.points, mark.width_px, 0)
    return labels, enclosed


def _enclosed(boxes: Iterable[Box], loops: Iterable[Stroke], view: View) -> Flags:
    enclosed = np.zeros((view.rows, view.columns), np.uint8)
    for box in boxes:
        (x0, y0), (x1, y1) = view.place(box.x0, box.y0), view.place(box.x1, box.y1)
        enclosed[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = 1
    for loop in loops:
        cv2.fillPoly(enclosed, [_places(view, loop.points)], 1)
    return enclosed.view(np.bool_)


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
    places = _places(view, (*points, points[-1]))  # one point alone draws nothing
    cv2.polylines(labels, [places], False, int(label), view.length(width_px))


def _places(view: View, points: Iterable[tuple[float, float]]) -> NDArray[np.int32]:
    return np.array([view.place(x, y) for x, y in points], np.int32)
