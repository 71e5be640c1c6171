"""The way every engine is used: plan, read crops, run, compose inside the mask only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import devices
from ..errors import InvalidImage, InvalidMask, MaskCoversImage, MaskSizeMismatch, SourceControlUnsupported
from ..options import FillOptions
from ..registry import ModelEntry, Strategy
from ..types import (
    HOLE_THRESHOLD,
    AnyImage,
    BatchEngine,
    Box,
    Engine,
    Mask,
    Patch,
    PatchProgress,
    PixelSource,
    SourceControl,
    no_progress,
)
from . import compose
from .fill import Fill
from .plan import FillPlan, plan
from .rings import RingFill, rings_of

_BATCH_SHARE = 0.5
"""How much of the free memory a batch of crops may take."""

MaskArray = NDArray[np.uint8] | NDArray[np.bool_]

ANYWHERE = SourceControl()

_BATCH_PX = 2048 * 2048
"""Pixels of a batch at most: it is finished, and can be cancelled and shown, at once or not at all."""


@dataclass(frozen=True, slots=True)
class Inpainter:
    """A loaded model with everything around it. Holds no state: safe to use from one thread at a time.

    device  "cpu", "cuda", "cuda:1" or "mps": where the engine computes, whose memory a fill must fit into
    """

    entry: ModelEntry
    engine: Engine
    device: str = "cpu"

    def __call__(
        self,
        image: AnyImage,
        mask: MaskArray,
        options: FillOptions | None = None,
        *,
        seed: int | None = None,
        source_include: MaskArray | None = None,
        source_exclude: MaskArray | None = None,
    ) -> AnyImage:
        """A copy of the image with the masked part replaced.

        image  (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey, uint8 or uint16; grey is filled as RGB and comes back grey
        mask   (H, W) bool, or uint8 with 128 and more meaning: fill this
        seed   instead of the one in `options`
        source_include, source_exclude  like the mask: copy from here only, and never from here. A raster that covers
               nothing says nothing. For models with `source_control`; the others raise `SourceControlUnsupported`

        Pixels outside the (grown) mask come back bit by bit. Raises `InvalidInput`, `OutOfMemory`, `EngineFailed`.
        """
        check_image(image)
        options = options or FillOptions()
        if seed is not None:
            options = replace(options, seed=seed)
        out = image.copy()
        source = image if image.ndim == 3 else GreyAsRgb(image)
        control = SourceControl(
            *(
                None if part is None else mask_from_array(part, *image.shape[:2]).trimmed()
                for part in (source_include, source_exclude)
            )
        )
        for patch in self.patches(source, mask_from_array(mask, *image.shape[:2]), options, control=control):
            out[patch.box.slices] = patch.pixels if image.ndim == 3 else luma(patch.pixels)
        return out

    def patches(
        self,
        source: PixelSource,
        mask: Mask,
        options: FillOptions,
        progress: PatchProgress = no_progress,
        *,
        control: SourceControl = ANYWHERE,
    ) -> Iterator[Patch]:
        """The changed regions, each as soon as it is finished; their cost follows the hole, not the image.

        Boxes of patches are disjoint and hold all of the hole. Everything that can be refused is refused before this
        returns, and nothing is filled before the first patch is asked for. Reads from `source` no more than the crops,
        one batch at a time. Calls `progress` between the engine's steps, which may raise `Cancelled`. Raises as
        `__call__`.
        """
        height, width = source.shape[:2]
        params = self.entry.check_params(options.params)
        mask = compose.grow(mask, options.grow_px, height, width)
        self._check_known(mask, height, width)
        wanted = self._checked(control)
        strategy = chosen_strategy(self.entry.strategy, options)
        size = self.entry.size_for(params)
        planned = plan(mask, height, width, strategy, size, in_batches=self._fills_in_batches, control=wanted)
        finish = options.finish and self.entry.synthesises
        fill = Fill(
            self.engine,
            source,
            mask,
            planned,
            params,
            options.seed,
            options.feather_px,
            progress,
            wanted,
            tuned=finish,
            grained=finish,
        )
        most_px = self._most_px_at_once(strategy) if len(planned.crops) > 1 else 0
        rings = rings_of(mask, self.entry.reach_px, height, width) if strategy.kind == "crop" else None
        if rings is None:
            self._check_memory(planned)
            return fill.patches(most_px)
        plans = [
            plan(rings.ring(number), height, width, strategy, size, control=wanted, unknown=rings.rest(number))
            for number in range(1, rings.count + 1)
        ]
        for each in plans:
            self._check_memory(each)
        return RingFill(fill, rings, plans).patches(most_px)

    def _check_known(self, mask: Mask, height: int, width: int) -> None:
        whole = Box(0, 0, width, height)
        if self.entry.needs_known and mask.box == whole and mask.coverage.min() >= HOLE_THRESHOLD:
            raise MaskCoversImage(
                f"The mask covers the whole image ({width}x{height}), and {self.entry.title} fills from what is "
                "around the hole. Leave some of the picture unmasked."
            )

    def _checked(self, control: SourceControl) -> SourceControl | None:
        """None where it says nothing."""
        if control == ANYWHERE:
            return None
        if not self.entry.source_control:
            raise SourceControlUnsupported(
                f"{self.entry.title} copies nothing from the picture, so it cannot be told where to copy from. Leave "
                "the sources out, or choose a model that takes them, for example patchmatch."
            )
        return control

    def _check_memory(self, planned: FillPlan) -> None:
        if not self.entry.bytes_per_px:  # to ask takes as long as to encode a small patch
            return
        height, width = max((crop.padded_size for crop in planned.crops), key=lambda size: size[0] * size[1])
        needed = self.entry.bytes_per_px * height * width
        advice = "Use the strategy crop, or a smaller max_side."
        devices.check_memory(self.entry.title, needed, height, width, self.device, advice)

    @property
    def _fills_in_batches(self) -> bool:
        """Whether several crops are filled in one call, where the engine can.

        Not by a network on a processor, which one crop keeps as busy as four: with LaMa at 256 and 448 pixels four at
        once took 0.94 to 1.01 times as long as one by one, and crops of equal sizes are larger.
        """
        return isinstance(self.engine, BatchEngine) and (self.device != "cpu" or not self.entry.weights)

    def _most_px_at_once(self, strategy: Strategy) -> float:
        """Pixels of a batch: never more than the largest crop may have, nor than fit into memory. 0: no batches."""
        if not self._fills_in_batches:
            return 0
        fitting = _BATCH_SHARE * devices.free_bytes(self.device) / max(1, self.entry.bytes_per_px)
        return float(min(strategy.max_side**2, _BATCH_PX, fitting))


@dataclass(frozen=True, slots=True)
class GreyAsRgb:
    """A (H, W) source, read as (H, W, 3)."""

    image: PixelSource

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.image.shape, 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.image.dtype

    def __getitem__(self, rows_and_columns: tuple[slice, slice], /) -> AnyImage:
        rgb: AnyImage = np.repeat(np.asarray(self.image[rows_and_columns])[..., None], 3, axis=2)
        return rgb


def luma(pixels: AnyImage) -> AnyImage:
    """(H, W, 3) -> (H, W), Rec. 601. The weights sum to one, so R = G = B comes back exactly."""
    weighted = pixels.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    grey = (weighted + 32768) >> 16
    return grey.astype(np.uint8) if pixels.dtype == np.uint8 else grey.astype(np.uint16)


def check_image(image: PixelSource) -> None:
    """Raises `InvalidImage` unless it is (H, W), (H, W, 3) or (H, W, 4) of uint8 or uint16."""
    usable_shape = len(image.shape) == 2 or (len(image.shape) == 3 and image.shape[2] in (3, 4))
    if not usable_shape or image.dtype not in (np.uint8, np.uint16) or 0 in image.shape:
        raise InvalidImage(
            f"The image is an array of shape {image.shape} and type {image.dtype}. "
            "Give (height, width, 3) RGB, (height, width, 4) RGBA or (height, width) grey of uint8 or uint16."
        )


def mask_from_array(mask: MaskArray, height: int, width: int) -> Mask:
    """A mask over a whole image. Raises `InvalidMask`."""
    if mask.ndim != 2 or mask.dtype not in (np.uint8, np.bool_):
        raise InvalidMask(
            f"The mask is an array of shape {mask.shape} and type {mask.dtype}. Give (height, width) of bool or uint8."
        )
    if mask.shape != (height, width):
        raise MaskSizeMismatch(
            f"The mask is {mask.shape[1]}x{mask.shape[0]} but the image is {width}x{height} (width x height). "
            "Send a mask of the image's size."
        )
    coverage = mask.view(np.uint8) * np.uint8(255) if mask.dtype == np.bool_ else mask
    return Mask(Box(0, 0, width, height), coverage.astype(np.uint8, copy=False))


def chosen_strategy(default: Strategy, options: FillOptions) -> Strategy:
    """The model's own strategy with what the caller changed."""
    kind = default.kind if options.strategy == "auto" else options.strategy
    wanted = {name: getattr(options, name) for name in ("margin_px", "max_side", "crop_above")}
    changed = {name: value for name, value in wanted.items() if value is not None}
    context = 0.0 if "margin_px" in changed else default.context
    return replace(default, kind=kind, context=context, **changed)
