"""The way every engine is used: cut crops, bring them to the network's size, run, composite inside the mask only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import devices
from ..errors import EmptyMask, InvalidImage, InvalidMask, MaskCoversImage, MaskSizeMismatch, OutOfMemory
from ..options import FillOptions
from ..registry import ModelEntry, Strategy
from ..types import (
    AnyImage,
    Box,
    Engine,
    FloatImage,
    HoleMask,
    Mask,
    ParamValue,
    Patch,
    PatchProgress,
    PixelSource,
    no_progress,
)
from . import compose as blending
from . import plan as geometry


@dataclass(frozen=True, slots=True)
class Inpainter:
    """A loaded model with everything around it. Holds no state: safe to use from one thread at a time.

    device  "cpu", "cuda", "cuda:1" or "mps": where the engine computes, whose memory a fill must fit into
    """

    entry: ModelEntry
    engine: Engine
    device: str = "cpu"

    def __call__(
        self, image: AnyImage, mask: NDArray[np.uint8] | NDArray[np.bool_], options: FillOptions | None = None
    ) -> AnyImage:
        """A copy of the image with the masked part replaced.

        image  (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16
        mask   (H, W) bool, or uint8 with 128 and more meaning: fill this

        Pixels outside the (grown) mask come back bit by bit. Raises `InvalidInput`, `OutOfMemory`, `EngineFailed`.
        """
        check_image(image)
        patch = self.patch(image, mask_from_array(mask, image.shape[0], image.shape[1]), options or FillOptions())
        out = image.copy()
        out[patch.box.slices] = patch.pixels
        return out

    def patch(
        self, source: PixelSource, mask: Mask, options: FillOptions, progress: PatchProgress = no_progress
    ) -> Patch:
        """The changed part only: its cost follows the mask, not the image.

        Reads from `source` no more than the crops. Calls `progress` between the engine's steps, which may raise
        `Cancelled`. Raises as `__call__`.
        """
        height, width = source.shape[:2]
        params = self.entry.check_params(options.params)
        mask = trimmed(blending.grow(binary(mask), options.grow_px, height, width))
        self._check_known(mask, height, width)
        strategy = chosen_strategy(self.entry.strategy, options)
        plan = geometry.plan(mask, height, width, strategy, self.entry.size)
        opacity = blending.alpha(mask.coverage > 0, options.feather_px, touching(mask.box, height, width))
        pixels = np.array(source[mask.box.slices])
        for index, crop in enumerate(plan.crops):
            inside = crop.intersection(mask.box)
            part, shown = blending.box_within(inside, mask.box), blending.box_within(inside, crop)
            base, part_opacity = pixels[part].copy(), opacity[part]

            def preview_patch(
                fill: FloatImage,
                inside: Box = inside,
                shown: tuple[slice, slice] = shown,
                base: AnyImage = base,
                part_opacity: NDArray[np.float32] = part_opacity,
            ) -> Patch:
                return Patch(inside, blending.composite(base, fill[shown], part_opacity), plan.strategy)

            told = _CropProgress(progress, index, len(plan.crops), preview_patch)
            fill = self._fill_crop(source, mask, crop, plan.max_side, params, options.seed, told)
            pixels[part] = blending.composite(base, fill[shown], part_opacity)
        return Patch(mask.box, pixels, plan.strategy)

    def _fill_crop(
        self,
        source: PixelSource,
        mask: Mask,
        crop: Box,
        max_side: int | None,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: _CropProgress,
    ) -> FloatImage:
        """The engine's answer for a crop, in the crop's size."""
        height, width = geometry.network_size(crop, max_side)
        padded_h, padded_w = self.entry.size.padded(height, width)
        self._check_memory(padded_h, padded_w)
        progress("preparing", 0, 1)
        image = blending.resize(blending.to_float(source[crop.slices]), height, width)
        progress("preparing", 0, 1)
        hole = blending.resize_hole(hole_in_crop(mask, crop), height, width)

        def back(fill: FloatImage) -> FloatImage:
            return blending.resize(fill[:height, :width], crop.height, crop.width)

        def report(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
            progress(stage, step, total, None if preview is None else lambda: back(preview()))

        fill = self.engine.fill(
            blending.pad(image, padded_h, padded_w),
            blending.pad(hole, padded_h, padded_w),
            params=params,
            seed=seed,
            progress=report,
        )
        return back(fill)

    def _check_known(self, mask: Mask, height: int, width: int) -> None:
        if self.entry.needs_known and mask.box == Box(0, 0, width, height) and mask.coverage.all():
            raise MaskCoversImage(
                f"The mask covers the whole image ({width}x{height}), and {self.entry.title} fills from what is "
                "around the hole. Leave some of the picture unmasked."
            )

    def _check_memory(self, height: int, width: int) -> None:
        needed, free = self.entry.bytes_per_px * height * width, devices.free_bytes(self.device)
        if free is not None and needed > 0.8 * free:
            whose = "this machine" if self.device == "cpu" else "the GPU"
            raise OutOfMemory(
                f"{self.entry.title} needs about {needed / 2**30:.1f} GiB for {width}x{height} pixels and "
                f"{free / 2**30:.1f} GiB are free on {whose}. Use the strategy crop, or a smaller max_side."
            )


@dataclass(frozen=True, slots=True)
class _CropProgress:
    """One crop's share of the whole progress."""

    listener: PatchProgress
    index: int
    crops: int
    as_patch: Callable[[FloatImage], Patch]

    def __call__(self, stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        shown = None if preview is None else lambda: self.as_patch(preview())
        self.listener(stage, self.index * total + step, self.crops * total, shown)


def check_image(image: AnyImage) -> None:
    """Raises `InvalidImage` unless it is (H, W, 3 or 4) of uint8 or uint16."""
    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype not in (np.uint8, np.uint16) or not image.size:
        raise InvalidImage(
            f"The image is an array of shape {image.shape} and type {image.dtype}. "
            "Give (height, width, 3) RGB or (height, width, 4) RGBA of uint8 or uint16."
        )


def mask_from_array(mask: NDArray[np.uint8] | NDArray[np.bool_], height: int, width: int) -> Mask:
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


def binary(mask: Mask) -> Mask:
    """The mask with nothing but 0 and 255."""
    return Mask(mask.box, np.where(mask.coverage >= blending.HOLE_THRESHOLD, np.uint8(255), np.uint8(0)))


def trimmed(mask: Mask) -> Mask:
    """The mask in the smallest box around its hole. Raises `EmptyMask`."""
    rows, columns = np.flatnonzero(mask.coverage.any(axis=1)), np.flatnonzero(mask.coverage.any(axis=0))
    if rows.size == 0:
        raise EmptyMask("The mask is empty: nothing in it is white. Paint over what should go.")
    inner = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return Mask(inner.shifted(mask.box.x0, mask.box.y0), mask.coverage[inner.slices])


def hole_in_crop(mask: Mask, crop: Box) -> HoleMask:
    """(crop.height, crop.width); True = fill."""
    hole = np.zeros((crop.height, crop.width), bool)
    shared = crop.intersection(mask.box)
    hole[blending.box_within(shared, crop)] = mask.coverage[blending.box_within(shared, mask.box)] > 0
    return hole


def touching(box: Box, height: int, width: int) -> tuple[bool, bool, bool, bool]:
    """Whether the box's (left, top, right, bottom) side lies on the image's edge."""
    return box.x0 == 0, box.y0 == 0, box.x1 == width, box.y1 == height


def chosen_strategy(default: Strategy, options: FillOptions) -> Strategy:
    """The model's own strategy with what the caller changed."""
    kind = default.kind if options.strategy == "auto" else options.strategy
    return replace(
        default,
        kind=kind,
        margin_px=default.margin_px if options.margin_px is None else options.margin_px,
        context=default.context if options.margin_px is None else 0.0,
        max_side=default.max_side if options.max_side is None else options.max_side,
        crop_above=default.crop_above if options.crop_above is None else options.crop_above,
    )
