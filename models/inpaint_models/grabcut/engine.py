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
from ..imaging.contours import contour
from ..imaging.edges import enlarged, levels_of
from ..imaging.views import View
from ..protocols import Prompts, SelectProgress, StepProgress
from ..registry import LoadContext
from ..types import Box, Mask, ParamValue, PixelSource
from .colours import guessed
from .marks import Flags, Labels, drawn, focus

_VIEW_PX = 40_000
"""A graph cut's time grows faster than its pixels; of this size it takes some 35 ms."""
_BAND_PX = 20
"""What lies farther from the edge of the cut at half the size is not cut again. With 16 boxes became a little worse."""
_LARGEST_GAP = 0.05
"""Gaps in the thing are closed up to that part of its area: what shines through is to go with it."""

_LOST = 0.1
"""Where a box or a loop says how large the thing is, a cut that leaves less of the first guess has lost it."""

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
        self, encoded: OpenImage, prompts: Prompts, *, params: Mapping[str, ParamValue], progress: SelectProgress
    ) -> Mask:
        """Raises `InvalidPrompts` where nothing was found."""
        height, width = encoded.shape
        box = focus(prompts, height, width)
        progress("selecting", 0, 3)
        levels = levels_of(encoded.image, box, _VIEW_PX)
        view: Image8 = levels[-1][:, :]
        labels, enclosed = drawn(prompts, View(box, height, width, *view.shape[:2]))
        inside = cut(view, labels, enclosed)
        progress("selecting", 1, 3)

        def show(part: Flags, where: Box) -> None:
            progress("selecting", 2, 3, lambda: contour(part, where.shifted(box.x0, box.y0)))

        found = enlarged(inside, levels, show)
        if found is None:
            raise InvalidPrompts("Nothing there differs from what is around it. Paint over more of the thing.")
        return Mask(found.box.shifted(box.x0, box.y0), found.coverage)


def cut(view: Image8, labels: Labels, enclosed: Flags) -> Flags:
    """(rows, columns): those parts of the foreground that are painted or enclosed somewhere, without small gaps."""
    marked: Flags = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if marked.all() or not marked.any():
        return marked  # there is nothing to tell it from
    guess = guessed(view, labels, enclosed)
    inside = np.bitwise_and(_coarse_to_fine(view, guess), 1)  # 1 and 3 are the thing, surely and probably
    if enclosed.any() and np.count_nonzero(inside) < _LOST * np.count_nonzero(guess & 1):
        inside = np.bitwise_and(guess, 1)
    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    opened = cv2.morphologyEx(inside, cv2.MORPH_OPEN, cross)  # without threads into the background
    inside = np.bitwise_or(opened, inside & marked)
    return _without_gaps(_touching(inside, marked))


def _coarse_to_fine(view: Image8, labels: Labels) -> Labels:
    """The labels after a graph cut at half the size and one more, with its colours, at the view's own.

    The first finds the thing and its colours in a quarter of the time, and less of the ground's grain in them.
    """
    height, width = labels.shape
    size = max(1, width // 2), max(1, height // 2)
    small = cv2.resize(view, size, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    begun = labels.copy()
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    models_from = cv2.GC_INIT_WITH_MASK
    cv2.setRNGSeed(0)  # the colour models begin with a random k-means
    if len(np.unique(np.bitwise_and(coarse, 1))) == 2:  # a narrow thing may be lost at half the size
        cv2.grabCut(small, coarse, (0, 0, 0, 0), background, foreground, 1, models_from)
        large = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
        unsure = (labels == cv2.GC_PR_FGD) | (labels == cv2.GC_PR_BGD)
        begun[unsure] = np.where(np.bitwise_and(large[unsure], 1), cv2.GC_PR_FGD, cv2.GC_PR_BGD)
        band = cv2.morphologyEx(begun & 1, cv2.MORPH_GRADIENT, np.ones((2 * _BAND_PX + 1,) * 2, np.uint8))
        begun[band == 0] &= 1  # what was probable is sure
        models_from = cv2.GC_EVAL
    cv2.grabCut(view, begun, (0, 0, 0, 0), background, foreground, 1, models_from)
    return begun


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
