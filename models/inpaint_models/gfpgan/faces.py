"""Where faces are, and each of them upright in a square."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsCorrupted

SIDE_PX = 512
_VIEW_PX = 1600
"""Longest side in which faces are looked for; YuNet finds those of some 10 to 300 pixels."""
_SCORE, _OVERLAP, _MOST = 0.7, 0.3, 200

_TEMPLATE = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ],
    np.float32,
)
"""Where eyes, nose and corners of the mouth lie in the squares that GFPGAN was trained on (FFHQ at 512 pixels)."""

Landmarks = NDArray[np.float32]
"""(5, 2), x and y: the eye that is left in the image, the right one, the nose, the mouth's left and right corner."""

Affine = NDArray[np.float64]
"""(2, 3): pixels of the image to those of the square."""


class FaceFinder:
    """YuNet (Wu et al., Machine Intelligence Research 2023) through OpenCV."""

    def __init__(self, path: Path) -> None:
        """Raises `WeightsCorrupted`."""
        content = np.frombuffer(path.read_bytes(), np.uint8)
        try:
            self._detector = cv2.FaceDetectorYN.create(
                "onnx", content, np.empty(0, np.uint8), (320, 320), _SCORE, _OVERLAP, _MOST
            )
        except cv2.error as error:
            raise WeightsCorrupted(f"{path.name} cannot be read by OpenCV: {error.err}.") from error

    def find(self, image: NDArray[np.uint8]) -> list[Landmarks]:
        """In pixels of the RGB image, the surest face first."""
        height, width = image.shape[:2]
        scale = min(1.0, _VIEW_PX / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        view = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
        self._detector.setInputSize(size)
        _, faces = self._detector.detect(np.ascontiguousarray(view[..., ::-1]))
        return [] if faces is None else [face[4:14].reshape(5, 2) / np.float32(scale) for face in faces]


def upright(landmarks: Landmarks) -> Affine | None:
    """Turns, scales and moves the face into the square; None where its points lie in one place."""
    found, _ = cv2.estimateAffinePartial2D(landmarks, _TEMPLATE, method=cv2.LMEDS)
    return None if found is None else np.asarray(found, np.float64)
