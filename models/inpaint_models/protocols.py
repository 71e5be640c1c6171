"""What a loaded model can do besides filling (`types.Engine`): one protocol for each task, and what they take.

Callers use the runners of tasks/, which check and convert: an engine gets RGB of the stated type, whatever the photo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from .types import Box, FloatImage, Mask, ParamValue, PixelSource

AlphaMap = NDArray[np.float32]
"""(H, W) in [0, 1]; 1 is the subject."""


class StepProgress(Protocol):
    """As `types.Progress`, of work that has nothing to show before it is done."""

    def __call__(self, stage: str, step: int, total: int) -> None: ...


class Point(NamedTuple):
    """A place in the image, in pixels; the middle of the first pixel is (0.5, 0.5). `add` = False takes away."""

    x: float
    y: float
    add: bool = True


@dataclass(frozen=True, slots=True)
class Stroke:
    """A brush's path with a round tip; `add` = False takes away."""

    points: tuple[tuple[float, float], ...]
    width_px: float
    add: bool = True


@dataclass(frozen=True, slots=True)
class Prompts:
    """What a person pointed at; at least one of them adds."""

    points: tuple[Point, ...] = ()
    boxes: tuple[Box, ...] = ()
    strokes: tuple[Stroke, ...] = ()


class Encoded(Protocol):
    """An image as a select engine keeps it between two clicks; everything else about it is the engine's own."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image."""

    @property
    def size_bytes(self) -> int:
        """What it holds beyond the image itself; callers that keep several count with it."""


EncodedT = TypeVar("EncodedT", bound=Encoded)


class SelectEngine(Protocol[EncodedT]):
    """Encodes an image once, and then finds the thing that prompts point at, as often as they change."""

    def encode(self, image: PixelSource, *, progress: StepProgress) -> EncodedT:
        """image  slices to (h, w, 3) uint8 RGB; it may be kept, and read later."""

    def select(
        self, encoded: EncodedT, prompts: Prompts, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Mask:
        """The thing, in a box of its own. Raises `InvalidPrompts` where nothing is found."""


class MatteEngine(Protocol):
    """Tells the subject of an image from its background."""

    def matte(self, image: NDArray[np.uint8], *, params: Mapping[str, ParamValue], progress: StepProgress) -> AlphaMap:
        """image  (H, W, 3) RGB. Raises `UnsuitableImage` where it is no image for this engine."""


class EnlargeEngine(Protocol):
    """Makes a tile larger by the parameter `factor`, a choice of whole numbers that every such model has."""

    def enlarge(self, tile: FloatImage, *, params: Mapping[str, ParamValue], progress: StepProgress) -> FloatImage:
        """tile  (H, W, 3) in the size that the entry's `SizeRequirement` asks for; (H * factor, W * factor, 3) back."""
