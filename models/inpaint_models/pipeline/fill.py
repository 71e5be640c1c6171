"""A planned fill, step by step: read a batch of crops, run the engine, compose the patches, tell how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..finish.colour import in_tune
from ..finish.grain import with_grain
from ..types import (
    AnyImage,
    Box,
    Engine,
    FloatImage,
    Mask,
    ParamValue,
    Patch,
    PatchProgress,
    PixelSource,
    SourceControl,
)
from .compose import composite, opacity
from .crops import CropPixels, read, within
from .plan import FillPlan, around
from .run import run


@dataclass(frozen=True, slots=True)
class Fill:
    """What a fill needs to know; holds nothing that changes.

    tuned    a step of colour at the hole's edge is taken out
    grained  patches come with the grain of what is around them
    """

    engine: Engine
    source: PixelSource
    mask: Mask
    plan: FillPlan
    params: Mapping[str, ParamValue]
    seed: int
    feather_px: int
    progress: PatchProgress
    control: SourceControl | None = None
    tuned: bool = False
    grained: bool = False

    def patches(self, most_px: float) -> Iterator[Patch]:
        """Finished patches, as soon as there are any. A batch of crops has no more than `most_px` pixels.

        Crops of later waves see fills without their feather, which lets through what is to go, and without grain,
        which a network takes for structure.
        """
        filled: list[Patch] = []
        last_wave, done = self.plan.crops[-1].wave, 0
        for batch in self.plan.batches(most_px):
            progress = ShareOfProgress(self.progress, done, len(batch), len(self.plan.crops))
            progress("preparing", 0, 1)
            crops = [read(self.source, self.mask, crop, filled, self.control) for crop in batch]
            progress("preparing", 0, 1)
            for crop, fill in zip(crops, self._run(crops, progress), strict=True):
                restored = crop.restored(fill)
                if self.tuned:
                    restored = in_tune(crop.pixels, restored, crop.to_fill)
                for box in crop.crop.patches:
                    patch = self._patch(crop, restored, box, self.feather_px, grained=self.grained)
                    if crop.crop.wave < last_wave:
                        bare = not (self.feather_px or self.grained)
                        filled.append(patch if bare else self._patch(crop, restored, box, feather_px=0))
                    yield patch
            done += len(batch)

    def _run(self, crops: list[CropPixels], progress: ShareOfProgress) -> list[FloatImage]:
        def report(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
            progress(stage, step, total, None if preview is None else lambda: self._preview(crops[0], preview()))

        images, holes = [crop.image for crop in crops], [crop.hole for crop in crops]
        return run(self.engine, images, holes, crops[0].allowed, params=self.params, seed=self.seed, progress=report)

    def _preview(self, crop: CropPixels, fill: FloatImage) -> Patch:
        return self._patch(crop, crop.restored(fill), around(crop.crop.patches), self.feather_px)

    def _patch(
        self, crop: CropPixels, restored: FloatImage, box: Box, feather_px: int, *, grained: bool = False
    ) -> Patch:
        frame = crop.crop.box
        part = within(box, frame)
        fill = self.with_grain(crop.pixels, restored, frame, box) if grained else restored[part]
        shown = opacity(self.mask, box, feather_px, *self.source.shape[:2])
        pixels = composite(crop.pixels[part], fill, shown)
        return Patch(box, pixels, self.plan.strategy, self.plan.patches)

    def with_grain(self, pixels: AnyImage, restored: FloatImage, frame: Box, box: Box) -> FloatImage:
        """The fill of a box in a frame, with grain as around the whole hole: what was filled before has none."""
        return with_grain(
            pixels,
            restored,
            self.mask.hole_in(frame),
            box.shifted(-frame.x0, -frame.y0),
            corner=(frame.x0, frame.y0),
            seed=self.seed,
            tell=lambda step, total: self.progress("finishing", step, total),
        )


@dataclass(frozen=True, slots=True)
class ShareOfProgress:
    """The share of `size` equal pieces of work, after `done`, in the progress of `count`."""

    listener: PatchProgress
    done: int
    size: int
    count: int

    def __call__(self, stage: str, step: int, total: int, preview: Callable[[], Patch] | None = None) -> None:
        self.listener(stage, self.done * total + self.size * step, self.count * total, preview)
