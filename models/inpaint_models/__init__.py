"""Engines that fill holes in pictures: numpy in, numpy out.

    from inpaint_models import load_model
    result = load_model("opencv")(image, mask)      # image (H, W, 3) uint8, mask (H, W) with 255 = fill

What reads the catalogue alone pays for no image library: the rest is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .catalog import get_model, list_models
from .errors import ModelError
from .options import FillOptions
from .registry import ModelEntry
from .types import Box, Mask, Patch

if TYPE_CHECKING:
    from .loading import load_model
    from .pipeline.inpainter import Inpainter

__all__ = [
    "Box",
    "FillOptions",
    "Inpainter",
    "Mask",
    "ModelEntry",
    "ModelError",
    "Patch",
    "get_model",
    "list_models",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name == "load_model":
        from .loading import load_model

        return load_model
    if name == "Inpainter":
        from .pipeline.inpainter import Inpainter

        return Inpainter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
