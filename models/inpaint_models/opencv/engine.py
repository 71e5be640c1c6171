"""cv2.inpaint behind the engine protocol.

Telea, "An Image Inpainting Technique Based on the Fast Marching Method", 2004.
Bertalmio, Bertozzi, Sapiro, "Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting", CVPR 2001.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from ..errors import Unavailable
from ..machine import available_processors
from ..registry import LoadContext
from ..types import FloatImage, HoleMask, ParamValue, Progress

_METHODS = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}

COMPILED_FROM_PX = 16_384
"""Holes of so many pixels go to `telea`, a third of cv2.inpaint's time, for the sake of which numba is loaded then."""


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
        filled = _inpaint(image, hole, params)
        progress("filling", 1, 1)
        return filled

    def fill_batch(
        self,
        images: Sequence[FloatImage],
        holes: Sequence[HoleMask],
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> list[FloatImage]:
        """One crop on each processor: cv2.inpaint takes one, and leaves Python free meanwhile."""
        filled = []
        with ThreadPoolExecutor(available_processors()) as pool:
            waiting = [pool.submit(_inpaint, image, hole, params) for image, hole in zip(images, holes, strict=True)]
            try:
                for done, crop in enumerate(waiting):
                    progress("filling", done, len(waiting))
                    filled.append(crop.result())
                progress("filling", len(waiting), len(waiting))
            finally:
                pool.shutdown(cancel_futures=True)
        return filled


def _inpaint(image: FloatImage, hole: HoleMask, params: Mapping[str, ParamValue]) -> FloatImage:
    pixels, method, radius_px = np.rint(image * 255).astype(np.uint8), str(params["method"]), int(params["radius"])
    if method == "telea" and np.count_nonzero(hole) >= COMPILED_FROM_PX:
        from . import telea

        with contextlib.suppress(Unavailable):
            return np.divide(telea.fill(pixels, hole, radius_px), 255, dtype=np.float32)
    filled = cv2.inpaint(pixels, hole.astype(np.uint8), radius_px, _METHODS[method])
    return np.divide(filled, 255, dtype=np.float32)


def load(context: LoadContext) -> OpenCvEngine:
    return OpenCvEngine()
