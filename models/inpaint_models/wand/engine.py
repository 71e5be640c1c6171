"""The engine `wand`: a flood fill, in a window at full size, or from a small copy of the photo up to its own size.

What is small is exact at once. What leaves the window is flooded in the copy, and then decided pixel by pixel along its
edge at each doubling, so that a sky takes about as long as a button.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidPrompts
from ..imaging.contours import contour
from ..imaging.edges import MOST_REFINED_PX, edge_tiles, halvings
from ..protocols import Prompts, SelectProgress, StepProgress
from ..registry import LoadContext
from ..types import Box, Mask, ParamValue, PixelSource, tight_box

_VIEW_PX = 400_000
_WINDOW_PX = 400
"""How far around a point it is looked at full size."""
_MOST_SEEDS = 24
"""Of a stroke: neighbouring places have much the same colour."""
_BAND_PX = 3

Image8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The image, its half, its quarter ..., and a view."""

    levels: Sequence[Image8]

    @property
    def shape(self) -> tuple[int, int]:
        return self.levels[0].shape[0], self.levels[0].shape[1]

    @property
    def size_bytes(self) -> int:
        return sum(level.nbytes for level in self.levels[1:])


class WandEngine:
    """Deterministic."""

    def encode(self, image: PixelSource, *, progress: StepProgress) -> Pyramid:
        progress("selecting", 0, 1)
        whole = np.asarray(image[0 : image.shape[0], 0 : image.shape[1]])
        return Pyramid(halvings(whole, _VIEW_PX))

    def select(
        self, encoded: Pyramid, prompts: Prompts, *, params: Mapping[str, ParamValue], progress: SelectProgress
    ) -> Mask:
        """Raises `InvalidPrompts` where a box is all that was given."""
        height, width = encoded.shape
        tolerance = int(params["tolerance"])
        seeds = [(place, add) for place, add in places(prompts) if 0 <= place[0] < width and 0 <= place[1] < height]
        if not any(add for _, add in seeds):
            raise InvalidPrompts("The wand needs a point or a stroke on the colour that it is to select.")
        found = np.zeros((height, width), bool)

        def show(inside: Flags) -> None:
            if len(seeds) == 1:
                progress("selecting", 0, 1, lambda: contour(inside, Box(0, 0, width, height)))

        for step, (place, add) in enumerate(sorted(seeds, key=lambda seed: not seed[1])):
            progress("selecting", step, len(seeds))
            if found[place[1], place[0]] != add:
                part = flooded(encoded.levels, place, tolerance, show)
                where, covered = found[part.box.slices], part.coverage.view(np.bool_)
                np.logical_or(where, covered, out=where) if add else np.logical_and(where, ~covered, out=where)
        inner = tight_box(found)
        if inner is None:
            raise InvalidPrompts("Everything that was added was taken away again.")
        return Mask(inner, found[inner.slices] * np.uint8(255))


def places(prompts: Prompts) -> Iterator[tuple[Place, bool]]:
    """((x, y), whether it adds) of every point, and of places along every stroke."""
    for x, y, add in prompts.points:
        yield (int(x), int(y)), add
    for stroke in prompts.strokes:
        for x, y in stroke.points[:: 1 + len(stroke.points) // _MOST_SEEDS]:
            yield (int(x), int(y)), stroke.add


def flooded(levels: Sequence[Image8], place: Place, tolerance: int, show: Callable[[Flags], None]) -> Mask:
    """What is connected to the place and has its colour. `show` gets it as it is in the last level, if it is large."""
    image = levels[0]
    height, width = image.shape[:2]
    x, y = place
    around = Box(x - 1, y - 1, x + 2, y + 2).clipped(height, width)
    colour = np.median(image[around.slices].reshape(-1, 3), axis=0).astype(int)
    window = Box(x, y, x + 1, y + 1).grown(_WINDOW_PX).clipped(height, width)
    inside = flood(image[window.slices], (x - window.x0, y - window.y0), colour, tolerance)
    inner = tight_box(inside) or Box(0, 0, 1, 1)
    if not _leaves(inner.shifted(window.x0, window.y0), window, height, width):
        return Mask(inner.shifted(window.x0, window.y0), inside[inner.slices].view(np.uint8))
    view = levels[-1]
    small = min(view.shape[1] - 1, x * view.shape[1] // width), min(view.shape[0] - 1, y * view.shape[0] // height)
    seen = flood(view, small, colour, tolerance)
    show(seen)
    grown = grown_up(seen, levels, colour, tolerance)
    grown[window.slices] |= inside
    return Mask(Box(0, 0, width, height), grown.view(np.uint8))


def flood(image: Image8, place: Place, colour: NDArray[np.int_], tolerance: int) -> Flags:
    """(H, W): the pixels within tolerance of the colour that are connected to the place, which is one of them."""
    similar = like(image, colour, tolerance).astype(np.uint8)
    similar[place[1], place[0]] = 1
    cv2.floodFill(similar, None, place, 2)
    return np.equal(similar, 2)


def like(image: Image8, colour: NDArray[np.int_], tolerance: int) -> Flags:
    low, high = np.maximum(colour - tolerance, 0), np.minimum(colour + tolerance, 255)
    return cv2.inRange(image, tuple(map(int, low)), tuple(map(int, high))) > 0


def grown_up(inside: Flags, levels: Sequence[Image8], colour: NDArray[np.int_], tolerance: int) -> Flags:
    """A mask of the last level at the size of the first; near its edge, every pixel is decided by its own colour."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _BAND_PX + 1, 2 * _BAND_PX + 1))
    for level in reversed(levels[:-1]):
        size = level.shape[1], level.shape[0]
        larger = cv2.resize(inside.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        inside = larger.view(np.bool_)
        if inside.size > MOST_REFINED_PX:
            continue
        larger = larger.copy()
        for box in edge_tiles(inside, _BAND_PX):
            seen = box.grown(2 * _BAND_PX).clipped(*inside.shape)
            part = larger[seen.slices]
            band = cv2.morphologyEx(part, cv2.MORPH_GRADIENT, disc) > 0
            decided = np.where(band, like(level[seen.slices], colour, tolerance), part > 0)
            inside[box.slices] = decided[box.shifted(-seen.x0, -seen.y0).slices]
    return inside


def _leaves(inner: Box, window: Box, height: int, width: int) -> bool:
    """Whether what lies in `inner` goes on beyond the window."""
    left, above = inner.x0 == window.x0 > 0, inner.y0 == window.y0 > 0
    return left or above or inner.x1 == window.x1 < width or inner.y1 == window.y1 < height


def load(context: LoadContext) -> WandEngine:
    return WandEngine()
