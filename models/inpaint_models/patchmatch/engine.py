"""The engine `patchmatch`: exemplar-based completion on the CPU, deterministic for a seed.

Solve where each pixel of the hole comes from (solver.py), copy at full size and depth, even out the seams (seams.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import MaskCoversImage, NothingToCopy
from ..machine import available_processors
from ..machine.compiled import require_numba
from ..registry import LoadContext
from ..types import FloatImage, HoleMask, ParamValue, Progress
from .chunks import Chunks
from .features import to_colour
from .matching import PATCH
from .pyramid import distance_to_known, fill_smoothly
from .seams import blended
from .settings import PatchMatchSettings
from .solver import find_source_map, is_stroke

_STEPS = 100  # progress is told in hundredths


@dataclass(frozen=True)
class PatchMatchEngine:
    """`threads` changes the speed, never the result."""

    threads: int = field(default_factory=available_processors)
    settings: PatchMatchSettings = field(default_factory=PatchMatchSettings)

    def fill(
        self,
        image: FloatImage,
        hole: HoleMask,
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage:
        """Raises MaskCoversImage when nothing is known."""
        return self._filled(image, hole, None, seed, progress)

    def fill_from(
        self,
        image: FloatImage,
        hole: HoleMask,
        allowed: NDArray[np.bool_],
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage:
        """See `CopyingEngine`."""
        return self._filled(image, hole, allowed, seed, progress)

    def _filled(
        self, image: FloatImage, hole: HoleMask, allowed: NDArray[np.bool_] | None, seed: int, progress: Progress
    ) -> FloatImage:
        if hole.all():
            raise MaskCoversImage(
                f"The mask covers all of the {hole.shape[1]}x{hole.shape[0]} picture, so there is nothing to copy "
                "from. Leave some of it unmasked."
            )
        if not hole.any():
            return image.copy()
        report = _Report(progress, image, hole)
        with ThreadPoolExecutor(self.threads) as pool:
            chunks = Chunks(pool if self.threads > 1 else None, report.poll)
            source_map = find_source_map(
                image, hole, allowed, seed=seed, settings=self.settings, chunks=chunks, report=report.round_done
            )
            if source_map is None and allowed is not None:
                raise NothingToCopy(
                    f"Not one whole patch of {PATCH}x{PATCH} pixels may be copied. Mark a larger part of the picture "
                    "to copy from, or exclude less."
                )
            if source_map is None:
                filled = fill_smoothly(image, ~hole)[hole]
            else:
                cuts = self.settings.regions and not is_stroke(distance_to_known(hole)[hole], self.settings)
                filled = blended(image, hole, source_map, self.settings, chunks, cuts=cuts)
        report.finished()
        out = image.copy()
        out[hole] = np.clip(filled, 0, 1)
        return out


class _Report:
    """Turns the solver's work into the caller's progress."""

    def __init__(self, progress: Progress, image: FloatImage, hole: HoleMask) -> None:
        self._progress = progress
        self._image = image
        self._hole = hole
        self._step = 0
        self.poll()

    def poll(self) -> None:
        """Tells where we stand, again: the caller may raise Cancelled."""
        self._progress("matching", self._step, _STEPS)

    def round_done(self, done: int, total: int, features: NDArray[np.uint8]) -> None:
        self._step = (_STEPS - 1) * done // total
        self._progress("matching", self._step, _STEPS, lambda: self._preview(features))

    def finished(self) -> None:
        self._progress("blending", _STEPS, _STEPS)

    def _preview(self, features: NDArray[np.uint8]) -> FloatImage:
        """The estimate at the crop's size, under the known pixels."""
        height, width = self._hole.shape
        enlarged = cv2.resize(to_colour(features), (width, height), interpolation=cv2.INTER_LINEAR)
        return np.where(self._hole[..., None], enlarged, self._image)


def load(context: LoadContext) -> PatchMatchEngine:
    """Raises Unavailable where numba is missing."""
    require_numba()
    return PatchMatchEngine()
