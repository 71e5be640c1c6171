"""Select: prompts in, the mask of a thing out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidPrompts
from ..imaging.shadows import cast_shadow
from ..imaging.views import Cutout
from ..protocols import Candidate, Encoded, Prompts, ProposingEngine, SelectEngine, SelectProgress, StepProgress
from ..registry import ModelEntry
from ..types import HOLE_THRESHOLD, AnyImage, Box, Mask, ParamValue, PixelSource, no_progress
from .pixels import Rgb8Source, checked


@dataclass(frozen=True, slots=True)
class EncodedView:
    """What a model keeps of a box of an image of (height, width)."""

    encoded: Encoded
    box: Box
    shape: tuple[int, int]

    @property
    def size_bytes(self) -> int:
        return self.encoded.size_bytes


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

    def encode(
        self, image: PixelSource, progress: StepProgress = no_progress, view: Box | None = None
    ) -> Encoded | EncodedView:
        """What the model keeps of an image, for any number of calls of `select`.

        image  as for the `Inpainter`, or what slices like one; it may be read again at every `select`
        view   the part in which things are pointed at; the smaller it is, the smaller are the things that a model finds
               which is pointed at things. Others look around the prompts by themselves

        Raises `InvalidImage`, `InvalidPrompts` for a view beside the image, `OutOfMemory`, and `Cancelled` from
        `progress`.
        """
        source = Rgb8Source(checked(image))
        if view is None or self.entry.gesture != "point":
            encoded: Encoded = self.engine.encode(source, progress=progress)
            return encoded
        height, width = source.shape[:2]
        box = view.clipped(height, width)
        if not box.area:
            raise InvalidPrompts(f"The view {tuple(view)} shows nothing of the image ({width}x{height}).")
        return EncodedView(self.engine.encode(Cutout(source, box), progress=progress), box, (height, width))

    def select(
        self,
        encoded: Encoded | EncodedView,
        prompts: Prompts,
        params: Mapping[str, object] | None = None,
        progress: SelectProgress = no_progress,
    ) -> Mask:
        """The thing that the prompts point at, 255 inside. Errors as `candidates`."""
        return self.candidates(encoded, prompts, params, progress)[0].mask

    def candidates(
        self,
        encoded: Encoded | EncodedView,
        prompts: Prompts,
        params: Mapping[str, object] | None = None,
        progress: SelectProgress = no_progress,
        most: int = 1,
    ) -> Sequence[Candidate]:
        """The things that the prompts may mean, the likeliest first; more than one from a model that proposes some.

        Raises `InvalidPrompts` (also where nothing is found), `InvalidParameter`, and `Cancelled` from `progress`.
        """
        values = self.entry.check_params(params)
        prompts.check(*encoded.shape)
        if isinstance(encoded, EncodedView):
            x0, y0 = encoded.box[:2]
            seen = prompts.shifted(-x0, -y0)
            seen.check(*encoded.encoded.shape)
            return [
                replace(found, mask=Mask(found.mask.box.shifted(x0, y0), found.mask.coverage))
                for found in self._asked(encoded.encoded, seen, values, progress, most)
            ]
        return self._asked(encoded, prompts, values, progress, most)

    def _asked(
        self, encoded: Encoded, prompts: Prompts, values: Mapping[str, ParamValue], progress: SelectProgress, most: int
    ) -> Sequence[Candidate]:
        if self.entry.gesture != "point":
            return [Candidate(self.engine.select(encoded, prompts, params=values, progress=progress), 1.0)]
        engine = cast("ProposingEngine[Any]", self.engine)
        return engine.candidates(encoded, prompts, most, params=values, progress=progress)

    def shadow(self, image: PixelSource, thing: Mask) -> Mask | None:
        """What the thing casts on the ground beside it; None where no shadow is to be seen. Raises `InvalidImage`."""
        return cast_shadow(Rgb8Source(checked(image)), thing)
