"""Find: an image in, masks of all things of a sort out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..protocols import FindEngine, Finding, StepProgress
from ..registry import ModelEntry
from ..types import PixelSource, no_progress
from .pixels import Rgb8Source, checked


@dataclass(frozen=True, slots=True)
class Finder:
    """A loaded model that finds."""

    entry: ModelEntry
    engine: FindEngine
    device: str = "cpu"

    def __call__(
        self,
        image: PixelSource,
        params: Mapping[str, object] | None = None,
        progress: StepProgress = no_progress,
    ) -> list[Finding]:
        """The surest first; none is no error.

        image  as for the `Inpainter`, or what slices like one

        Raises `InvalidImage`, `InvalidParameter`, `OutOfMemory`, and `Cancelled` from `progress`.
        """
        values = self.entry.check_params(params)
        found = self.engine.find(Rgb8Source(checked(image)), params=values, progress=progress)
        return sorted(found, key=lambda finding: -finding.score)
