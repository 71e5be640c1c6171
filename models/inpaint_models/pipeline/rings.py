"""Deep holes at the image's edge, as an extended canvas has them: filled in rings, each from what those before it made.

A network continues a picture only so far. What lies beyond that is filled once the pixels before it are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..finish.surroundings import MARGIN_PX as GRAIN_MARGIN_PX
from ..types import AnyImage, Box, FloatImage, Mask, Patch, PixelSource
from .compose import composite, opacity
from .crops import lay, to_float
from .fill import Fill, ShareOfProgress
from .plan import FillPlan


@dataclass(frozen=True, slots=True)
class Rings:
    """A hole by its distance from what is known.

    box      as of the mask
    ring_of  (box.height, box.width) uint8; 1 is the innermost ring, 0 is known
    """

    box: Box
    ring_of: NDArray[np.uint8]
    count: int

    def ring(self, number: int) -> Mask:
        """One ring, counted from 1."""
        return self._mask(self.ring_of == number)

    def rest(self, number: int) -> Mask:
        """That ring with all beyond it: what is still hole when its turn comes."""
        return self._mask(self.ring_of >= number)

    def _mask(self, hole: NDArray[np.bool_]) -> Mask:
        trimmed = Mask(self.box, hole * np.uint8(255)).trimmed()
        assert trimmed is not None, "every ring has a pixel"
        return trimmed


def rings_of(mask: Mask, reach_px: int, height: int, width: int) -> Rings | None:
    """The rings of a mask on an image of (height, width), none deeper than `reach_px`.

    None where one fill reaches everything: the hole is known all around, or nowhere deeper than that.
    """
    box = mask.box
    if max(box.width, box.height) <= reach_px or not _at_edge(mask, height, width):
        return None
    around = box.grown(1).clipped(height, width)
    hole = mask.hole_in(around)
    if hole.all():
        return None
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    count = math.ceil(float(depth.max()) / reach_px)
    if count < 2:
        return None
    ring_of = np.ceil(depth * (count / float(depth.max()))).clip(0, 255).astype(np.uint8)
    inner = box.shifted(-around.x0, -around.y0)
    return Rings(box, ring_of[inner.slices], min(count, 255))


def _at_edge(mask: Mask, height: int, width: int) -> bool:
    """Whether the hole touches the image's edge, beyond which nothing is known."""
    sides = (
        Box(0, 0, width, 1),
        Box(0, height - 1, width, height),
        Box(0, 0, 1, height),
        Box(width - 1, 0, width, height),
    )
    return any(mask.hole_in(side).any() for side in sides)


@dataclass(frozen=True, slots=True)
class RingFill:
    """A fill in rings.

    fill   of all of the hole; its plan says which patches come out
    plans  one for each ring
    """

    fill: Fill
    rings: Rings
    plans: Sequence[FillPlan]

    def patches(self, most_px: float) -> Iterator[Patch]:
        """As `Fill.patches`, when all rings are filled."""
        fill, drawn = self.fill, Overlaid(self.fill.source)
        for number, planned in enumerate(self.plans, 1):
            progress = ShareOfProgress(fill.progress, number - 1, 1, len(self.plans))
            ring = replace(
                fill,
                source=drawn,
                mask=self.rings.rest(number),
                plan=planned,
                feather_px=0,
                progress=progress,
                grained=False,
            )
            drawn.patches.extend(list(ring.patches(most_px)))
        for box in (box for crop in fill.plan.crops for box in crop.patches):
            shown = opacity(fill.mask, box, fill.feather_px, *fill.source.shape[:2])
            filled = self._with_grain(drawn, box) if fill.grained else to_float(drawn[box.slices])
            yield Patch(box, composite(np.asarray(fill.source[box.slices]), filled, shown), fill.plan.strategy)

    def _with_grain(self, drawn: PixelSource, box: Box) -> FloatImage:
        frame = box.grown(GRAIN_MARGIN_PX).clipped(*self.fill.source.shape[:2])
        pixels = np.asarray(self.fill.source[frame.slices])
        return self.fill.with_grain(pixels, to_float(drawn[frame.slices]), frame, box)


@dataclass(frozen=True, slots=True)
class Overlaid:
    """A source with patches over it; later ones cover earlier ones."""

    source: PixelSource
    patches: list[Patch] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    def __getitem__(self, area: tuple[slice, slice], /) -> AnyImage:
        (y0, y1, _), (x0, x1, _) = (side.indices(n) for side, n in zip(area, self.shape[:2], strict=True))
        box = Box(x0, y0, x1, y1)
        return lay([patch for patch in self.patches if patch.box.overlaps(box)], np.asarray(self.source[area]), box)
