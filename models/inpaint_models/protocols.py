"""What a loaded model can do besides filling (`types.Engine`): one protocol for each task, and what they take.

Callers use the runners of tasks/, which check and convert: an engine gets RGB of the stated type, whatever the photo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidPrompts
from .types import Box, FloatImage, Mask, ParamValue, PixelSource

AlphaMap = NDArray[np.float32]
"""(H, W) in [0, 1]; 1 is the subject."""


class StepProgress(Protocol):
    """As `types.Progress`, of work that has nothing to show before it is done."""

    def __call__(self, stage: str, step: int, total: int) -> None: ...


Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) in the image; what it winds around is inside. Slits of no width join parts and holes."""


class SelectProgress(Protocol):
    """As `types.Progress`; the preview is the outline of the thing, as fine as a window shows it, before its mask."""

    def __call__(self, stage: str, step: int, total: int, preview: Callable[[], Polygon] | None = None) -> None: ...


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

    def check(self, height: int, width: int) -> None:
        """Raises `InvalidPrompts` unless something is added, inside the image, by finite numbers."""
        places = chain((point[:2] for point in self.points), self.boxes, *(stroke.points for stroke in self.strokes))
        widths = (stroke.width_px for stroke in self.strokes)
        if not all(map(math.isfinite, chain(chain.from_iterable(places), widths))):
            raise InvalidPrompts("A point, box or stroke holds a number that is not finite.")
        if any(not stroke.points or stroke.width_px <= 0 for stroke in self.strokes):
            raise InvalidPrompts("A stroke needs at least one point and a width of more than 0 pixels.")
        if not any(box.overlaps(Box(0, 0, width, height)) for box in self._adding()):
            raise InvalidPrompts(
                f"Nothing points at a place in the image ({width}x{height}). Send a point, a box or a stroke that adds."
            )

    def shifted(self, dx: float, dy: float) -> Prompts:
        """The same marks from another origin; whole pixels for boxes."""
        points = tuple(Point(x + dx, y + dy, add) for x, y, add in self.points)
        boxes = tuple(box.shifted(int(dx), int(dy)) for box in self.boxes)
        strokes = tuple(
            replace(stroke, points=tuple((x + dx, y + dy) for x, y in stroke.points)) for stroke in self.strokes
        )
        return Prompts(points, boxes, strokes)

    def _adding(self) -> Iterator[Box]:
        """Boxes of all that adds, in whole pixels."""
        for x, y, adds in self.points:
            if adds:
                yield Box(math.floor(x), math.floor(y), math.floor(x) + 1, math.floor(y) + 1)
        yield from self.boxes
        for stroke in self.strokes:
            if stroke.add:
                columns, rows = zip(*stroke.points, strict=True)
                reach = stroke.width_px / 2
                x0, y0 = math.floor(min(columns) - reach), math.floor(min(rows) - reach)
                yield Box(x0, y0, math.ceil(max(columns) + reach), math.ceil(max(rows) + reach))


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
        self, encoded: EncodedT, prompts: Prompts, *, params: Mapping[str, ParamValue], progress: SelectProgress
    ) -> Mask:
        """The thing, in a box of its own. Raises `InvalidPrompts` where nothing is found."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the things that prompts may mean, a part or the whole; `score` in [0, 1]: how sure the engine is."""

    mask: Mask
    score: float


class ProposingEngine(SelectEngine[EncodedT], Protocol):
    """Also tells what else the prompts may mean."""

    def candidates(
        self,
        encoded: EncodedT,
        prompts: Prompts,
        most: int,
        *,
        params: Mapping[str, ParamValue],
        progress: StepProgress,
    ) -> Sequence[Candidate]:
        """At most as many, at least one, the likeliest first: that is what `select` gives. Errors as there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person may want gone.

    category  a word for all of its sort: "text", "dust", "scratch", "wire"
    score     in [0, 1]: how sure the engine is
    """

    category: str
    score: float
    mask: Mask


class FindEngine(Protocol):
    """Finds all things of a sort in an image."""

    def find(
        self, image: PixelSource, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Sequence[Finding]:
        """image  slices to (h, w, 3) uint8 RGB. Their masks may overlap."""


class MatteEngine(Protocol):
    """Tells the subject of an image from its background."""

    def matte(self, image: NDArray[np.uint8], *, params: Mapping[str, ParamValue], progress: StepProgress) -> AlphaMap:
        """image  (H, W, 3) RGB. Raises `UnsuitableImage` where it is no image for this engine."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A part of an image drawn anew.

    pixels  (box.height, box.width, 3) in [0, 1]
    weight  (box.height, box.width) in [0, 1]: how much of them shows
    """

    box: Box
    pixels: FloatImage
    weight: NDArray[np.float32]


class RestoreEngine(Protocol):
    """Draws damaged parts of an image anew, and leaves the rest."""

    def restore(
        self, image: NDArray[np.uint8], *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Iterator[Restored]:
        """image  (H, W, 3) RGB. One part after the other; none is no error."""


class EnlargeEngine(Protocol):
    """Makes a tile larger by the parameter `factor`, a choice of whole numbers that every such model has."""

    def enlarge(self, tile: FloatImage, *, params: Mapping[str, ParamValue], progress: StepProgress) -> FloatImage:
        """tile  (H, W, 3) in the size that the entry's `SizeRequirement` asks for; (H * factor, W * factor, 3) back."""
