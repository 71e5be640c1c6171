"""cv2.inpaint behind the engine protocol.

Telea, "An Image Inpainting Technique Based on the Fast Marching Method", 2004.
Bertalmio, Bertozzi, Sapiro, "Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting", CVPR 2001.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from ..registry import LoadContext
from ..types import FloatImage, HoleMask, ParamValue, Progress

_METHODS = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}


class OpenCvEngine:
    """Works in 8 bit, the only depth at which cv2.inpaint takes colour."""

    def fill(
        self,
        image: FloatImage,
        hole: HoleMask,
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage:
        progress("filling", 0, 1)
        pixels = np.rint(image * 255).astype(np.uint8)
        filled = cv2.inpaint(pixels, hole.astype(np.uint8), float(params["radius"]), _METHODS[str(params["method"])])
        progress("filling", 1, 1)
        return np.divide(filled, 255, dtype=np.float32)


def load(context: LoadContext) -> OpenCvEngine:
    return OpenCvEngine()
