"""Prompts as the networks take them: points with labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..protocols import Prompts, Stroke

_OUTSIDE, _INSIDE, _TOP_LEFT, _BOTTOM_RIGHT = range(4)
_OF_STROKE = 5
"""Points that stand for a stroke."""

Mark = tuple[float, float, int]


@dataclass(frozen=True, slots=True)
class Marks:
    """n places in an image and what they are.

    points  (n, 2) x and y; the middle of the first pixel is (0.5, 0.5)
    labels  (n,): 0 not the thing, 1 the thing, 2 and 3 the corners of a box around it
    """

    points: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def ambiguous(self) -> bool:
        """One point on a thing may mean a part of it."""
        return [int(label) for label in self.labels] == [_INSIDE]

    @property
    def boxed(self) -> bool:
        return _TOP_LEFT in self.labels


def marks_of(prompts: Prompts) -> Marks:
    """Of several boxes the one around all: the networks know only one."""
    marks = [(x, y, _INSIDE if add else _OUTSIDE) for x, y, add in prompts.points]
    marks += [mark for stroke in prompts.strokes for mark in _along(stroke)]
    if prompts.boxes:
        whole = prompts.boxes[0]
        for box in prompts.boxes[1:]:
            whole = whole.union(box)
        marks += [(whole.x0, whole.y0, _TOP_LEFT), (whole.x1, whole.y1, _BOTTOM_RIGHT)]
    return Marks(np.array([mark[:2] for mark in marks], np.float32), np.array([mark[2] for mark in marks], np.int64))


def _along(stroke: Stroke) -> Iterator[Mark]:
    """A few of its points, evenly spread."""
    last = len(stroke.points) - 1
    for index in sorted({round(step * last / (_OF_STROKE - 1)) for step in range(_OF_STROKE)}):
        x, y = stroke.points[index]
        yield x, y, _INSIDE if stroke.add else _OUTSIDE
