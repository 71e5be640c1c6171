"""Select: prompts in, the mask of a thing out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidPrompts
from ..protocols import Encoded, Prompts, SelectEngine, StepProgress
from ..registry import ModelEntry
from ..types import HOLE_THRESHOLD, AnyImage, Box, Mask, PixelSource, no_progress
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
        check_prompts(prompts, *encoded.shape)
        return self.engine.select(encoded, prompts, params=values, progress=progress)


def check_prompts(prompts: Prompts, height: int, width: int) -> None:
    """Raises `InvalidPrompts` unless something is added, inside the image, by finite numbers."""
    numbers = [*_coordinates(prompts), *(stroke.width_px for stroke in prompts.strokes)]
    if not all(math.isfinite(number) for number in numbers):
        raise InvalidPrompts("A point, box or stroke holds a number that is not finite.")
    if any(not stroke.points or stroke.width_px <= 0 for stroke in prompts.strokes):
        raise InvalidPrompts("A stroke needs at least one point and a width of more than 0 pixels.")
    if not any(box.overlaps(Box(0, 0, width, height)) for box in adding_boxes(prompts)):
        raise InvalidPrompts(
            f"Nothing points at a place in the image ({width}x{height}). Send a point, a box or a stroke that adds."
        )


def adding_boxes(prompts: Prompts) -> Iterator[Box]:
    """The boxes of all that adds, in whole pixels."""
    for point in prompts.points:
        if point.add:
            yield Box(math.floor(point.x), math.floor(point.y), math.floor(point.x) + 1, math.floor(point.y) + 1)
    yield from prompts.boxes
    for stroke in prompts.strokes:
        if stroke.add:
            columns, rows = zip(*stroke.points, strict=True)
            reach = stroke.width_px / 2
            yield Box(
                math.floor(min(columns) - reach),
                math.floor(min(rows) - reach),
                math.ceil(max(columns) + reach),
                math.ceil(max(rows) + reach),
            )


def _coordinates(prompts: Prompts) -> Iterator[float]:
    for point in prompts.points:
        yield from (point.x, point.y)
    for box in prompts.boxes:
        yield from box
    for stroke in prompts.strokes:
        for place in stroke.points:
            yield from place
