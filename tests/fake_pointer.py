"""A model that is pointed at things and needs no weights: it takes what has the colour of the point."""

from __future__ import annotations

import cv2
import numpy as np

from inpaint_models.protocols import StepProgress
from inpaint_models.registry import LoadContext
from inpaint_models.sam.engine import Answers, PointEngine
from inpaint_models.sam.marks import Marks


class Colours:
    """Stands for the two halves of a network: what has the colour of the points that add, exactly or nearly."""

    side_px = 128

    def encode(self, image: np.ndarray, progress: StepProgress) -> tuple[np.ndarray, int]:
        small = cv2.resize(image, (self.side_px, self.side_px), interpolation=cv2.INTER_AREA).astype(np.float32)
        return small, small.nbytes

    def decode(self, embedding: np.ndarray, size: tuple[int, int], marks: Marks) -> Answers:
        cells_per_px = self.side_px / size[1], self.side_px / size[0]
        found = np.full((2, self.side_px, self.side_px), -1, np.float32)
        for (x, y), label in zip(marks.points * np.array(cells_per_px, np.float32), marks.labels, strict=True):
            off = np.abs(embedding - embedding[int(y), int(x)]).sum(axis=2)
            for answer, near in zip(found, (120, 20), strict=True):
                answer[off < near] = 1 if label == 1 else -1
        return Answers(found, np.array([0.9, 0.7], np.float32), cells_per_px)


def load(context: LoadContext) -> PointEngine:
    return PointEngine(context.entry, Colours(), context.device)
