"""A photo with what edits made of it: as a record that crosses process borders, and opened for reading."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from inpaint_models.types import Box, PixelSource

from .. import codec
from ..codec.info import turned
from ..schemas.canvas import Move, Rotate
from .canvas import MovedPixels, size_after
from .layers import LayeredPixels


@dataclass(frozen=True, slots=True)
class Overlay:
    """A patch: a PNG file and where it lies on the canvas."""

    png: Path
    box: Box


@dataclass(frozen=True, slots=True)
class Raster:
    """All pixels of a canvas, with everything under it in them.

    pixels  .npy file, (H, W, 3|4) of the photo's depth
    """

    pixels: Path
    width: int
    height: int
    has_alpha: bool


Layer = Overlay | Raster | Move
"""What lies over a photo. Positions are those of the canvas that the layers below make."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image on disk with the layers over it, in drawing order.

    source  the original file, for its metadata
    pixels  .npy file, (H, W, 3|4) uint8 or uint16, read through a memory map
    info    of the original file
    """

    source: Path
    pixels: Path
    info: codec.ImageInfo
    layers: tuple[Layer, ...] = ()

    def with_layers(self, layers: Iterable[Layer]) -> Picture:
        """The same picture with more layers on top."""
        return replace(self, layers=(*self.layers, *layers))

    @property
    def shown(self) -> codec.ImageInfo:
        """What the original's description becomes by the layers: another size, turned, with alpha."""
        return shown_info(self.info, self.layers)


def edited(picture: Picture) -> codec.Edited | None:
    """What the layers did to the photo; None where they changed its canvas."""
    overlays = [layer for layer in picture.layers if isinstance(layer, Overlay)]
    if len(overlays) < len(picture.layers):
        return None
    original = np.load(picture.pixels, mmap_mode="r", allow_pickle=False)
    return codec.Edited(original, open_picture(picture), tuple(overlay.box for overlay in overlays))


def shown_info(info: codec.ImageInfo, layers: Iterable[Layer]) -> codec.ImageInfo:
    """As `Picture.shown`, without a picture."""
    for layer in layers:
        if isinstance(layer, Raster):
            info = replace(info, width=layer.width, height=layer.height, has_alpha=layer.has_alpha)
        elif not isinstance(layer, Overlay):
            width, height = size_after(layer, info.width, info.height)
            turns = layer.quarter_turns if isinstance(layer, Rotate) else 0
            info = replace(info, width=width, height=height, orientation=turned(info.orientation, turns))
    return info


def open_picture(picture: Picture) -> PixelSource:
    """The photo's pixels from its memory-mapped file with its layers over them; slices are copies. Raises `OSError`."""
    path, over = lowest(picture)
    return layered(np.load(path, mmap_mode="r", allow_pickle=False), over, lambda overlay: overlay.png.read_bytes())


def lowest(picture: Picture) -> tuple[Path, tuple[Layer, ...]]:
    """(the .npy file with the lowest pixels of which something can be seen, the layers over it)."""
    path, over = picture.pixels, picture.layers
    for index, layer in enumerate(picture.layers):
        if isinstance(layer, Raster):
            path, over = layer.pixels, picture.layers[index + 1 :]
    return path, over


def layered(pixels: PixelSource, layers: Iterable[Layer], read: Callable[[Overlay], bytes]) -> PixelSource:
    """Pixels under layers without a raster; `read` gives an overlay's PNG. Slices are copies."""
    for kind, group in groupby(layers, type):
        if kind is Overlay:
            pixels = _covered(pixels, [layer for layer in group if isinstance(layer, Overlay)], read)
            continue
        for layer in group:
            assert not isinstance(layer, Overlay | Raster)
            pixels = MovedPixels(pixels, layer)
    return pixels if isinstance(pixels, LayeredPixels) else LayeredPixels(pixels)


def _covered(pixels: PixelSource, overlays: Iterable[Overlay], read: Callable[[Overlay], bytes]) -> LayeredPixels:
    has_alpha = pixels.shape[2] == 4

    def decoded(overlay: Overlay) -> codec.Pixels:
        return codec.decode_patch(read(overlay), has_alpha=has_alpha)

    return LayeredPixels(pixels, [(overlay.box, functools.partial(decoded, overlay)) for overlay in overlays])
