"""Matte: an image in, its subject's alpha out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import EngineFailed
from ..pipeline.crops import full_scale
from ..protocols import AlphaMap, MatteEngine, StepProgress
from ..registry import ModelEntry
from ..types import AnyImage, PixelSource, no_progress
from .pixels import checked, rgb8, whole_if_it_fits


@dataclass(frozen=True, slots=True)
class Matter:
    """A loaded model that tells subject from background."""

    entry: ModelEntry
    engine: MatteEngine
    device: str = "cpu"

    def __call__(
        self, image: PixelSource, params: Mapping[str, object] | None = None, progress: StepProgress = no_progress
    ) -> AlphaMap:
        """(H, W) in [0, 1], 1 where the subject is; what was transparent before stays so.

        image  as for the `Inpainter`, or what slices like one

        Raises `InvalidImage`, `UnsuitableImage`, `InvalidParameter`, `OutOfMemory`, and `Cancelled` from `progress`.
        """
        return self._alpha(whole_if_it_fits(checked(image), self.entry, self.device), params, progress)

    def cut_out(
        self, image: PixelSource, params: Mapping[str, object] | None = None, progress: StepProgress = no_progress
    ) -> AnyImage:
        """(H, W, 4) at the image's depth: its colours with the alpha of `__call__`. Errors as there.

        With the parameter `background` (H, W, 3): the subject before that colour.
        """
        pixels = whole_if_it_fits(checked(image), self.entry, self.device)
        alpha = self._alpha(pixels, params, progress)
        colour = str((params or {}).get("background", ""))
        if colour:
            return _before(pixels, alpha, colour)
        out = np.empty((*pixels.shape[:2], 4), pixels.dtype)
        out[..., :3] = pixels[..., :3]
        out[..., 3] = np.rint(alpha * np.float32(full_scale(pixels)))
        return out

    def _alpha(self, pixels: AnyImage, params: Mapping[str, object] | None, progress: StepProgress) -> AlphaMap:
        values = self.entry.check_params(params)
        height, width, channels = pixels.shape
        alpha = self.engine.matte(rgb8(pixels), params=values, progress=progress)
        if alpha.shape != (height, width) or not np.isfinite(alpha).all():
            raise EngineFailed(f"{self.entry.title} gave no alpha for the {width}x{height} image.")
        alpha = np.clip(alpha, 0, 1)
        if channels == 4:
            alpha = alpha * np.divide(pixels[..., 3], full_scale(pixels), dtype=np.float32)
        return alpha.astype(np.float32, copy=False)


def _before(pixels: AnyImage, alpha: AlphaMap, colour: str) -> AnyImage:
    """(H, W, 3): the pixels before a colour, #rrggbb."""
    top = full_scale(pixels)
    behind = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) * np.float32(top / 255)
    composite: AnyImage = np.rint(behind + alpha[..., None] * (pixels[..., :3] - behind)).astype(pixels.dtype)
    return composite
