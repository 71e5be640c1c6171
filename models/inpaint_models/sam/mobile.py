"""MobileSAM as ONNX: Zhang et al., "Faster Segment Anything", 2023. A small encoder before SAM's own decoder.

Two files: one encodes a picture, the other answers with four masks for each set of marks.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..onnx.network import OnnxNetwork
from ..protocols import StepProgress
from ..registry import LoadContext
from ..types import no_progress
from .engine import Answers, PointEngine
from .marks import Marks

_CELLS, _CELL_PX = 256, 4
"""Of the square that it sees, and of its answers."""
_NO_MARK = -1
"""The label of the mark beside points without a box, as the decoder was trained."""

Floats = NDArray[np.float32]


class MobileSam:
    """The two halves; the picture's longer side is that of the square, whose rest the graph fills up itself."""

    side_px = _CELLS * _CELL_PX

    def __init__(self, encoder: Path, decoder: Path) -> None:
        self._encoder, self._decoder = OnnxNetwork(encoder), OnnxNetwork(decoder)

    def encode(self, image: NDArray[np.uint8], progress: StepProgress) -> tuple[Floats, int]:
        height, width = image.shape[:2]
        scale = self.side_px / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        still_wanted = partial(progress, "encoding", 0, 1)
        embedding = self._encoder.run({"input_image": small.astype(np.float32)}, still_wanted)[0]
        return embedding, embedding.nbytes

    def decode(self, embedding: Floats, size: tuple[int, int], marks: Marks) -> Answers:
        """The graph adds half a pixel to places. Its first mask is for marks that leave no doubt."""
        scale = self.side_px / max(size)
        points, labels = marks.points * np.float32(scale) - np.float32(0.5), marks.labels
        if not marks.boxed:
            points, labels = np.vstack([points, np.zeros((1, 2), np.float32)]), np.append(labels, _NO_MARK)
        given = {
            "image_embeddings": embedding,
            "point_coords": points[None],
            "point_labels": labels[None].astype(np.float32),
            "mask_input": np.zeros((1, 1, _CELLS, _CELLS), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.full(2, _CELLS, np.float32),
        }
        made = dict(zip(self._decoder.outputs, self._decoder.run(given, partial(no_progress, "", 0, 1)), strict=True))
        meant = slice(1, None) if marks.ambiguous else slice(0, 1)
        logits, scores = (made[name][0, meant] for name in ("low_res_masks", "iou_predictions"))
        return Answers(logits, scores, (scale / _CELL_PX, scale / _CELL_PX))


def load(context: LoadContext) -> PointEngine:
    """Raises `WeightsCorrupted` for files that hold something else."""
    encoder, decoder = (context.weights[artifact.name] for artifact in context.entry.weights)
    return PointEngine(context.entry, MobileSam(encoder, decoder), context.device)
