"""GFPGAN: Wang et al., CVPR 2021, on each face that is found, and back into its place.

A face is turned upright into a square of 512 pixels, as the authors' program does. It is blended back through a soft
oval frame, so that what lies around the face stays the photo's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from ..onnx.network import OnnxNetwork
from ..protocols import Restored, StepProgress
from ..registry import LoadContext
from ..types import Box, FloatImage, ParamValue
from . import ENTRY
from .faces import SIDE_PX, Affine, FaceFinder, upright

_FADE_PX = 64
"""Width of the frame in which the new face fades out, in pixels of the square."""


class FaceEngine:
    """Deterministic."""

    def __init__(self, faces: FaceFinder, network: OnnxNetwork) -> None:
        self._faces, self._network = faces, network
        outside = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
        outside[1:-1, 1:-1] = 1
        self._weight = (cv2.distanceTransform(outside, cv2.DIST_L2, 5) / _FADE_PX).clip(0, 1).astype(np.float32)

    def restore(
        self, image: NDArray[np.uint8], *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Iterator[Restored]:
        progress("looking for faces", 0, 1)
        found = [there for face in self._faces.find(image) if (there := upright(face)) is not None]
        for index, there in enumerate(found):
            square = cv2.warpAffine(image, there, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REFLECT)
            drawn = self._drawn_anew(np.asarray(square), partial(progress, "restoring", index, len(found)))
            box, back = placed(there, *image.shape[:2])
            pixels, weight = (warped(square, back, box) for square in (drawn, self._weight))
            yield Restored(box, pixels, weight * np.float32(params["strength"]))
        progress("restoring", 1, 1)

    def _drawn_anew(self, square: NDArray[np.uint8], still_wanted: Callable[[], None]) -> FloatImage:
        """The square of a face, (512, 512, 3) in [0, 1]."""
        (name,) = self._network.inputs
        given = (square.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
        drawn, *_ = self._network.run({name: given}, still_wanted)
        return np.asarray((drawn[0].transpose(1, 2, 0).clip(-1, 1) + 1) / 2, np.float32)


def placed(there: Affine, height: int, width: int) -> tuple[Box, Affine]:
    """(the part of the image that the square covers, how the square's pixels come into it)."""
    back = np.asarray(cv2.invertAffineTransform(there), np.float64)
    corners = np.array([[0, 0], [SIDE_PX, 0], [SIDE_PX, SIDE_PX], [0, SIDE_PX]]) @ back[:, :2].T + back[:, 2]
    (x0, y0), (x1, y1) = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0)) + 1
    box = Box(int(x0), int(y0), int(x1), int(y1)).clipped(height, width)
    back[:, 2] -= box.x0, box.y0
    return box, back


def warped(square: FloatImage, back: Affine, box: Box) -> FloatImage:
    """Brought to the image's size; what is shrunk is smoothed first."""
    scale = math.sqrt(abs(np.linalg.det(back[:, :2])))
    smooth = cv2.GaussianBlur(square, (0, 0), 0.5 / scale) if scale < 1 else square
    made = cv2.warpAffine(smooth, back, (box.width, box.height), borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(made, np.float32)


def load(context: LoadContext) -> FaceEngine:
    """Raises `WeightsCorrupted`."""
    network, faces = (context.weights[file.name] for file in ENTRY.weights)
    return FaceEngine(FaceFinder(faces), OnnxNetwork(network))
