"""Engines that fill holes in pictures, select things, cut them out and enlarge: numpy in, numpy out.

    from inpaint_models import Prompts, Stroke, load_model
    result = load_model("opencv")(image, mask)      # image (H, W, 3) uint8, mask (H, W) with 255 = fill
    selected = load_model("grabcut", task="select")(image, Prompts(strokes=(Stroke(((90, 40), (95, 80)), 20),)))

Every name is imported on first use: what needs one part alone pays for no other.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalog import get_model, list_models
    from .errors import ModelError
    from .loading import load_model
    from .options import FillOptions
    from .pipeline.inpainter import Inpainter
    from .protocols import Point, Prompts, Stroke
    from .registry import ModelEntry
    from .types import Box, Mask, Patch

__all__ = [
    "Box",
    "FillOptions",
    "Inpainter",
    "Mask",
    "ModelEntry",
    "ModelError",
    "Patch",
    "Point",
    "Prompts",
    "Stroke",
    "get_model",
    "list_models",
    "load_model",
]

_HOME = {
    "Box": "types",
    "FillOptions": "options",
    "Inpainter": "pipeline.inpainter",
    "Mask": "types",
    "ModelEntry": "registry",
    "ModelError": "errors",
    "Patch": "types",
    "Point": "protocols",
    "Prompts": "protocols",
    "Stroke": "protocols",
    "get_model": "catalog",
    "list_models": "catalog",
    "load_model": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
