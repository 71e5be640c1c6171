"""The words every engine shares: boxes, masks, patches and the protocols an engine lives between.

Sizes are (height, width), points (x, y), boxes (x0, y0, x1, y1) and half-open. Images are RGB everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
"""(H, W, 3) RGB in [0, 1]."""

HoleMask = NDArray[np.bool_]
"""(H, W); True marks the hole, the pixels to fill."""

AnyImage = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W, 3) RGB or (H, W, 4) RGBA at its native depth."""

ParamValue = int | float | bool | str | AnyImage
"""Of a model's parameter; an array for a picture."""

HOLE_THRESHOLD = 128
"""A mask value from here on means hole; below it, known."""


class Box(NamedTuple):
    """A half-open pixel rectangle: x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        return max(0, self.width) * max(0, self.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices, to index an image of the same frame."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grown(self, margin_px: int) -> Box:
        return Box(self.x0 - margin_px, self.y0 - margin_px, self.x1 + margin_px, self.y1 + margin_px)

    def clipped(self, height: int, width: int) -> Box:
        return Box(max(0, self.x0), max(0, self.y0), min(width, self.x1), min(height, self.y1))

    def shifted(self, dx: int, dy: int) -> Box:
        return Box(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def times(self, factor: int) -> Box:
        return Box(*(factor * edge for edge in self))

    def union(self, other: Box) -> Box:
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def intersection(self, other: Box) -> Box:
        """May be empty: then its area is 0."""
        return Box(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def overlaps(self, other: Box) -> bool:
        return self.intersection(other).width > 0 and self.intersection(other).height > 0


def tight_box(hole: HoleMask) -> Box | None:
    """The smallest box around the True pixels, in the array's frame; None where there are none."""
    rows = np.flatnonzero(hole.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(hole[rows[0] : rows[-1] + 1].any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask known only inside its box, so that a small edit on a large photo stays small.

    box       where it lies in the image; everything outside is known
    coverage  (box.height, box.width) uint8; `HOLE_THRESHOLD` and more = hole, less = known
    """

    box: Box
    coverage: NDArray[np.uint8]

    def hole_in(self, box: Box) -> HoleMask:
        """(box.height, box.width): which pixels of a part of the image are hole."""
        hole = np.zeros((box.height, box.width), bool)
        shared = box.intersection(self.box)
        if shared.area:
            part = self.coverage[shared.shifted(-self.box.x0, -self.box.y0).slices]
            np.greater_equal(part, HOLE_THRESHOLD, out=hole[shared.shifted(-box.x0, -box.y0).slices])
        return hole

    def trimmed(self) -> Mask | None:
        """The same in the smallest box around its hole; None where there is none."""
        inner = tight_box(self.coverage >= HOLE_THRESHOLD)
        return inner and Mask(inner.shifted(self.box.x0, self.box.y0), self.coverage[inner.slices])


@dataclass(frozen=True, slots=True)
class SourceControl:
    """Where an engine that copies may copy from, beside known pixels only.

    include  nothing but what this covers; None: anywhere
    exclude  never what this covers, whether included or not
    """

    include: Mask | None = None
    exclude: Mask | None = None

    def allowed_in(self, box: Box) -> NDArray[np.bool_]:
        """(box.height, box.width): which pixels of a part of the image may be copied."""
        allowed = np.ones((box.height, box.width), bool) if self.include is None else self.include.hole_in(box)
        return allowed if self.exclude is None else allowed & ~self.exclude.hole_in(box)


@dataclass(frozen=True, slots=True)
class Patch:
    """One region of what an edit changed: finished pixels, already blended, to be laid over the image.

    box       where it lies in the image
    pixels    (box.height, box.width, C) at the image's own depth and channel count
    strategy  how the network saw the image: "crop", "resize" or "original"
    of        how many patches the edit will have
    """

    box: Box
    pixels: AnyImage
    strategy: str
    of: int = 1


class PixelSource(Protocol):
    """Anything that slices like an image array; an ndarray or a memory map is one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, rows_and_columns: tuple[slice, slice], /) -> Any: ...


class Progress(Protocol):
    """Told where a fill stands; raises `Cancelled` when the result is no longer wanted.

    Engines call it between steps, at least every quarter of a second where they can. `preview` makes the
    current estimate of the crop on demand, for those who show one.
    """

    def __call__(self, stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None: ...


class PatchProgress(Protocol):
    """As `Progress`, for callers of the `Inpainter`: the preview is a patch in the image's frame."""

    def __call__(self, stage: str, step: int, total: int, preview: Callable[[], Patch] | None = None) -> None: ...


def no_progress(stage: str, step: int, total: int, preview: Callable[[], Any] | None = None) -> None:
    """A progress without a listener."""


class Engine(Protocol):
    """A loaded model: one crop in, one crop out.

    The crop arrives in the size that the entry's `SizeRequirement` asks for; result values outside the hole
    are ignored. The same arguments and seed give the same result on the same device.
    """

    def fill(
        self,
        image: FloatImage,
        hole: HoleMask,
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage: ...


@runtime_checkable
class CopyingEngine(Engine, Protocol):
    """An engine that can be told what to copy from; its entry has `source_control`."""

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
        """As `fill`, from `allowed` pixels only, (H, W). Raises `NothingToCopy`."""
        ...


@runtime_checkable
class BatchEngine(Engine, Protocol):
    """An engine that fills several crops of one size in one call, each as `fill` would alone, within rounding.

    `progress` counts the steps of the whole batch; its preview is that of the first crop.
    """

    def fill_batch(
        self,
        images: Sequence[FloatImage],
        holes: Sequence[HoleMask],
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> list[FloatImage]: ...
