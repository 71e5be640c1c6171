"""The engine `grabcut`: Rother, Kolmogorov, Blake, "GrabCut", SIGGRAPH 2004, through OpenCV.

The photo is seen only around the prompts, and there at a size at which a graph cut is quick. Marks (marks.py) and a
first guess by colour (colours.py) are where it begins. The outline of the view is then found again at each doubling up
to full size (imaging/edges.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidPrompts
from ..imaging.edges import enlarged, halvings
from ..imaging.views import View
from ..protocols import Prompts, StepProgress
from ..registry import LoadContext
from ..types import Mask, ParamValue, PixelSource, tight_box
from .colours import guessed
from .marks import Flags, Labels, drawn, focus

_VIEW_PX = 40_000
"""A graph cut's time grows faster than its pixels; of this size it takes some 60 ms."""
_ROUNDS = 2
_LARGEST_GAP = 0.05
"""Gaps in the thing are closed up to that part of its area: what shines through is to go with it."""

Image8 = NDArray[np.uint8]


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
        labels, enclosed = drawn(prompts, View(box, height, width, *levels[-1].shape[:2]))
        inside = cut(levels[-1], labels, enclosed)
        progress("selecting", 1, 2)
        found = enlarged(inside, levels)
        inner = tight_box(found)
        if inner is None:
            raise InvalidPrompts("Nothing there differs from what is around it. Paint over more of the thing.")
        return Mask(inner.shifted(box.x0, box.y0), found[inner.slices] * np.uint8(255))


def cut(view: Image8, labels: Labels, enclosed: Flags) -> Flags:
    """(rows, columns): those parts of the foreground that are painted or enclosed somewhere, without small gaps."""
    marked: Flags = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if marked.all() or not marked.any():
        return marked  # there is nothing to tell it from
    labels = guessed(view, labels, enclosed)
    cv2.setRNGSeed(0)  # the colour models begin with a random k-means
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(view, labels, (0, 0, 0, 0), background, foreground, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    inside = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    inside = cv2.morphologyEx(inside, cv2.MORPH_OPEN, cross) | (inside & marked)  # threads into the background
    return _without_gaps(_touching(inside, marked))


def _touching(inside: Image8, marked: Flags) -> Flags:
    """Those connected parts that hold a marked pixel."""
    count, parts = cv2.connectedComponents(inside, connectivity=4)
    touched = np.bincount(parts[marked & (inside > 0)], minlength=count) > 0
    touched[0] = False
    kept: Flags = touched[parts]
    return kept


def _without_gaps(thing: Flags) -> Flags:
    around = np.pad((~thing).astype(np.uint8), 1, constant_values=1)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=4)
    is_gap = stats[:, cv2.CC_STAT_AREA] <= _LARGEST_GAP * thing.sum()
    is_gap[[0, parts[0, 0]]] = False
    closed: Flags = thing | is_gap[parts[1:-1, 1:-1]]
    return closed


def load(context: LoadContext) -> GrabCutEngine:
    return GrabCutEngine()
