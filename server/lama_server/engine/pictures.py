"""Pictures as workers get them, opened."""

from __future__ import annotations

import functools

import numpy as np

from inpaint_models.types import Box

from .. import codec
from ..layers import Layer, LayeredPixels
from .messages import Overlay, Picture


def open_picture(picture: Picture) -> LayeredPixels:
    """The photo's pixels from its memory-mapped file with its patches over them. Raises `OSError`."""
    base = np.load(picture.pixels, mmap_mode="r", allow_pickle=False)
    return LayeredPixels(base, [_layer(overlay, picture.info.has_alpha) for overlay in picture.overlays])


def _layer(overlay: Overlay, has_alpha: bool) -> Layer:
    box = Box(overlay.x, overlay.y, overlay.x + overlay.width, overlay.y + overlay.height)
    return box, functools.partial(_read, overlay, has_alpha)


def _read(overlay: Overlay, has_alpha: bool) -> codec.Pixels:
    return codec.decode_patch(overlay.png.read_bytes(), has_alpha=has_alpha)
