"""The engine `people`: Chu et al., "PP-HumanSeg", WACV 2022 workshops, run by OpenCV.

The network sees the photo as a square of 192 pixels, stretched, and tells people from all else. What hangs together is
one person, or several who touch; the outline is found again at full size.
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
from ..protocols import Finding, StepProgress
from ..registry import LoadContext
from ..types import ParamValue, PixelSource

_SIDE_PX = 192
_SEEN_PX = 1_000_000
_LEAST_AREA = 0.002
"""Of the photo: what is smaller is too little for the network to be sure of."""

Floats = NDArray[np.float32]


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
        height, width = image.shape[:2]
        progress("finding", 0, 2)
        lead = self.lead(image)
        progress("finding", 1, 2)
        cells_per_px = _SIDE_PX / width, _SIDE_PX / height
        found = list[Finding]()
        for where in _apart(lead > 0):
            mask = outlined(image, np.where(where, lead, -1).astype(np.float32), cells_per_px)
            if mask is not None:
                found.append(Finding("person", float((1 + lead[where].mean()) / 2), mask))
        return found

    def lead(self, image: PixelSource) -> Floats:
        """(192, 192) in [-1, 1]: by how much likelier a person is there than none."""
        seen = shrunk_to(np.ascontiguousarray(image[0 : image.shape[0], 0 : image.shape[1]]), _SEEN_PX)
        small = cv2.resize(seen, (_SIDE_PX, _SIDE_PX)).astype(np.float32)
        self._network.setInput(cv2.dnn.blobFromImage((small / 255 - 0.5) / 0.5))
        background, person = np.asarray(self._network.forward(), np.float32)[0]
        lead: Floats = person - background
        return lead


def _apart(where: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Its connected parts that are large enough."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(where.view(np.uint8), connectivity=8)
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_AREA] >= _LEAST_AREA * where.size:
            yield parts == part


def load(context: LoadContext) -> PeopleEngine:
    """Raises `WeightsCorrupted`."""
    (path,) = context.weights.values()
    return PeopleEngine(path)
