"""Enlarge: an image in, the same image at twice or four times its sides out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .. import devices
from ..errors import EngineFailed
from ..pipeline.crops import full_scale, pad, resize, to_float, within
from ..pipeline.inpainter import luma
from ..protocols import EnlargeEngine, StepProgress
from ..registry import ModelEntry
from ..types import AnyImage, Box, ParamValue, PixelSource, no_progress
from .pixels import checked, part_of


@dataclass(frozen=True, slots=True)
class Enlarger:
    """A loaded model that enlarges, used tile by tile: its memory follows the tile, not the image."""

    entry: ModelEntry
    engine: EnlargeEngine
    device: str = "cpu"

    def __call__(
        self, image: PixelSource, params: Mapping[str, object] | None = None, progress: StepProgress = no_progress
    ) -> AnyImage:
        """The image with both sides `factor` times as long, in its own depth and channels.

        image  as for the `Inpainter`, or what slices like one

        Raises `InvalidImage`, `InvalidParameter`, `OutOfMemory`, `EngineFailed`, and `Cancelled` from `progress`.
        """
        source = checked(image)
        values = self.entry.check_params(params)
        factor = int(str(values["factor"]))
        height, width, channels = source.shape
        self._check_memory(height, width, factor**2 * channels * source.dtype.itemsize)
        out: AnyImage = np.empty((height * factor, width * factor, channels), source.dtype)
        boxes = tiles(height, width, self.entry.strategy.max_side)
        for index, box in enumerate(boxes):
            seen = box.grown(self.entry.strategy.margin_px).clipped(height, width)
            tile = np.asarray(source[seen.slices])
            large = self._enlarged(tile, factor, values, part_of(progress, index, len(boxes)))
            out[box.times(factor).slices] = large[within(box.times(factor), seen.times(factor))]
        return luma(out) if len(image.shape) == 2 else out

    def _enlarged(
        self, tile: AnyImage, factor: int, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> AnyImage:
        """The whole tile, at its depth; alpha is enlarged for itself."""
        height, width = tile.shape[:2]
        padded = pad(to_float(tile), *self.entry.size.padded(height, width))
        large = self.engine.enlarge(padded, params=params, progress=progress)
        if large.shape != (padded.shape[0] * factor, padded.shape[1] * factor, 3) or not np.isfinite(large).all():
            raise EngineFailed(f"{self.entry.title} did not make {factor} times of a tile of {width}x{height}.")
        large = large[: height * factor, : width * factor]
        if tile.shape[2] == 4:
            alpha = np.divide(tile[..., 3], full_scale(tile), dtype=np.float32)
            large = np.dstack([large, resize(alpha, height * factor, width * factor)])
        top = full_scale(tile)
        rounded: AnyImage = np.rint(np.clip(large, 0, 1) * np.float32(top)).astype(tile.dtype)
        return rounded

    def _check_memory(self, height: int, width: int, out_bytes_per_px: int) -> None:
        side = self.entry.strategy.max_side + 2 * self.entry.strategy.margin_px
        tile_px = min(height, side) * min(width, side)
        needed = out_bytes_per_px * height * width + self.entry.bytes_per_px * tile_px
        advice = "Use a smaller factor or a smaller image."
        devices.check_memory(self.entry.title, needed, height, width, self.device, advice)


def tiles(height: int, width: int, side_px: int) -> tuple[Box, ...]:
    """Boxes of at most that side which together are the image."""
    return tuple(
        Box(x, y, min(x + side_px, width), min(y + side_px, height))
        for y in range(0, height, side_px)
        for x in range(0, width, side_px)
    )
