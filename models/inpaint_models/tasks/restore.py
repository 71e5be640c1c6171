"""Restore: an image in, the same with parts of it drawn anew out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import EngineFailed
from ..pipeline.crops import full_scale
from ..pipeline.inpainter import luma
from ..protocols import RestoreEngine, StepProgress
from ..registry import ModelEntry
from ..types import AnyImage, PixelSource, no_progress
from .pixels import checked, rgb8, whole_if_it_fits


@dataclass(frozen=True, slots=True)
class Restorer:
    """A loaded model that restores."""

    entry: ModelEntry
    engine: RestoreEngine
    device: str = "cpu"

    def __call__(
        self, image: PixelSource, params: Mapping[str, object] | None = None, progress: StepProgress = no_progress
    ) -> AnyImage:
        """The image at its own depth and size; what the model leaves alone is the same to the bit, alpha included.

        image  as for the `Inpainter`, or what slices like one

        Raises `InvalidImage`, `InvalidParameter`, `OutOfMemory`, `EngineFailed`, and `Cancelled` from `progress`.
        """
        values = self.entry.check_params(params)
        pixels = whole_if_it_fits(checked(image), self.entry, self.device)
        out = pixels.copy()
        for part in self.engine.restore(rgb8(pixels), params=values, progress=progress):
            if not np.isfinite(part.pixels).all():
                raise EngineFailed(f"{self.entry.title} gave values that are no colours.")
            there = out[part.box.slices][..., :3]
            drawn = part.pixels.clip(0, 1) * np.float32(full_scale(out))
            there[:] = np.rint(there + part.weight[..., None] * (drawn - there))
        return luma(out) if len(image.shape) == 2 else out
