"""A photo with the patches over it: as a record that crosses process borders, and opened for reading."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from inpaint_models.types import Box

from .. import codec
from .layers import LayeredPixels


@dataclass(frozen=True, slots=True)
class Overlay:
    """An earlier edit's patch: a PNG file and where it lies."""

    png: Path
    box: Box


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image on disk with the patches that lie over it, in drawing order.

    source  the original file, for its metadata
    pixels  .npy file, (H, W, 3|4) uint8 or uint16, read through a memory map
    """

    source: Path
    pixels: Path
    info: codec.ImageInfo
    overlays: tuple[Overlay, ...] = ()

    def with_overlays(self, overlays: Iterable[Overlay]) -> Picture:
        """The same picture with more patches on top."""
        return replace(self, overlays=(*self.overlays, *overlays))


def open_picture(picture: Picture) -> LayeredPixels:
    """The photo's pixels from its memory-mapped file with its patches over them. Raises `OSError`."""
    base = np.load(picture.pixels, mmap_mode="r", allow_pickle=False)
    read = functools.partial(_read, has_alpha=picture.info.has_alpha)
    return LayeredPixels(base, [(overlay.box, functools.partial(read, overlay)) for overlay in picture.overlays])


def _read(overlay: Overlay, has_alpha: bool) -> codec.Pixels:
    return codec.decode_patch(overlay.png.read_bytes(), has_alpha=has_alpha)
