"""Select: prompts in, the mask of a thing out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.shadows import cast_shadow
from ..protocols import Encoded, Prompts, SelectEngine, StepProgress
from ..registry import ModelEntry
from ..types import HOLE_THRESHOLD, AnyImage, Mask, PixelSource, no_progress
from .pixels import Rgb8Source, checked


@dataclass(frozen=True, slots=True)
class Selector:
    """A loaded model that selects. Holds no state: what it keeps of an image is the caller's, see `encode`."""

    entry: ModelEntry
    engine: SelectEngine[Any]
    device: str = "cpu"

    def __call__(
        self, image: AnyImage, prompts: Prompts, params: Mapping[str, object] | None = None
    ) -> NDArray[np.bool_]:
        """(H, W), True where the thing is. Arguments and errors as `encode` and `select`."""
        mask = self.select(self.encode(image), prompts, params)
        selected = np.zeros(image.shape[:2], bool)
        selected[mask.box.slices] = mask.coverage >= HOLE_THRESHOLD
        return selected

    def encode(self, image: PixelSource, progress: StepProgress = no_progress) -> Encoded:
        """What the model keeps of an image, for any number of calls of `select`.

        image  as for the `Inpainter`, or what slices like one; it may be read again at every `select`

        Raises `InvalidImage`, `OutOfMemory`, and `Cancelled` from `progress`.
        """
        encoded: Encoded = self.engine.encode(Rgb8Source(checked(image)), progress=progress)
        return encoded

    def select(
        self,
        encoded: Encoded,
        prompts: Prompts,
        params: Mapping[str, object] | None = None,
        progress: StepProgress = no_progress,
    ) -> Mask:
        """The thing that the prompts point at, 255 inside.

        Raises `InvalidPrompts` (also where nothing is found), `InvalidParameter`, and `Cancelled` from `progress`.
        """
        values = self.entry.check_params(params)
        prompts.check(*encoded.shape)
        return self.engine.select(encoded, prompts, params=values, progress=progress)

    def shadow(self, image: PixelSource, thing: Mask) -> Mask | None:
        """What the thing casts on the ground beside it; None where no shadow is to be seen. Raises `InvalidImage`."""
        return cast_shadow(Rgb8Source(checked(image)), thing)
