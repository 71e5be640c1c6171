"""The engine `people`: Chu et al., "PP-HumanSeg", WACV 2022 workshops, run by OpenCV.

The network sees a square of 192 pixels, stretched, and tells people from all else. It is shown the whole photo, and
then windows of a half and a quarter of its longer side: who is small in the photo is large in one of them. What hangs
together is one person, or several who touch; the outline is found again at full size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsCorrupted
from ..imaging.edges import shrunk_to
from ..imaging.outlines import outlined
from ..imaging.views import Cutout
from ..protocols import Finding, StepProgress
from ..registry import LoadContext
from ..types import Box, Mask, ParamValue, PixelSource

_SIDE_PX = 192
_SEEN_PX = 1_000_000
_LEAST_AREA = 0.002
"""Of what the network is shown: what is smaller is too little for it to be sure of."""
_PARTS = (2, 4)
"""Of the photo's longer side that a window shows."""

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


class PeopleEngine:
    """Deterministic."""

    def __init__(self, path: Path) -> None:
        """Raises `WeightsCorrupted` for what OpenCV cannot run."""
        try:
            self._network = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise WeightsCorrupted(f"{path.name} cannot be read by OpenCV. Download it again.") from error

    def find(
        self, image: PixelSource, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Sequence[Finding]:
        seen = windows(*image.shape[:2])
        found = list[Finding]()
        for step, window in enumerate(seen):
            progress("finding", step, len(seen))
            for one in self._in_window(image, window):
                if not any(_same(one.mask, other.mask) for other in found):
                    found.append(one)
        return found

    def _in_window(self, image: PixelSource, window: Box) -> Iterator[Finding]:
        shown = Cutout(image, window)
        lead = self.lead(shown)
        cells_per_px = _SIDE_PX / window.width, _SIDE_PX / window.height
        for where in _apart(lead > 0):
            if _is_cut(where, window, *image.shape[:2]):
                continue
            mask = outlined(shown, np.where(where, lead, -1).astype(np.float32), cells_per_px)
            if mask is not None:
                moved = Mask(mask.box.shifted(window.x0, window.y0), mask.coverage)
                yield Finding("person", float((1 + lead[where].mean()) / 2), moved)

    def lead(self, image: PixelSource) -> Floats:
        """(192, 192) in [-1, 1]: by how much likelier a person is there than none."""
        seen = shrunk_to(np.ascontiguousarray(image[0 : image.shape[0], 0 : image.shape[1]]), _SEEN_PX)
        small = cv2.resize(seen, (_SIDE_PX, _SIDE_PX)).astype(np.float32)
        self._network.setInput(cv2.dnn.blobFromImage((small / 255 - 0.5) / 0.5))
        background, person = np.asarray(self._network.forward(), np.float32)[0]
        lead: Floats = person - background
        return lead


def windows(height: int, width: int) -> list[Box]:
    """The whole image first; then what half overlaps, so that what is half as large as one lies in one as a whole."""
    boxes = [Box(0, 0, width, height)]
    for part in _PARTS:
        side = max(height, width) // part
        if side >= _SIDE_PX:
            rows, columns = _starts(height, side), _starts(width, side)
            boxes += [Box(x, y, x + side, y + side).clipped(height, width) for y in rows for x in columns]
    return boxes


def _starts(length: int, side: int) -> list[int]:
    last = max(0, length - side)
    count = -(-2 * last // side)
    return sorted({round(index * last / max(1, count)) for index in range(count + 1)})


def _is_cut(where: Flags, window: Box, height: int, width: int) -> bool:
    """Whether somebody goes on beyond a side of the window that is no side of the image."""
    return bool(
        (where[0].any() and window.y0 > 0)
        or (where[-1].any() and window.y1 < height)
        or (where[:, 0].any() and window.x0 > 0)
        or (where[:, -1].any() and window.x1 < width)
    )


def _same(one: Mask, other: Mask) -> bool:
    """Whether two masks share half of the smaller one."""
    shared = one.box.intersection(other.box)
    if not shared.area:
        return False
    smaller = min(int(np.count_nonzero(mask.coverage)) for mask in (one, other))
    return 2 * int((one.hole_in(shared) & other.hole_in(shared)).sum()) >= smaller


def _apart(where: Flags) -> Iterator[Flags]:
    """Its connected parts that are large enough."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(where.view(np.uint8), connectivity=8)
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_AREA] >= _LEAST_AREA * where.size:
            yield parts == part


def load(context: LoadContext) -> PeopleEngine:
    """Raises `WeightsCorrupted`."""
    (path,) = context.weights.values()
    return PeopleEngine(path)
