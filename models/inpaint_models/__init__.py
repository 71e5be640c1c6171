"""Engines that fill holes in pictures, select things, cut them out and enlarge: numpy in, numpy out.

    from inpaint_models import Prompts, Stroke, load_model
    result = load_model("opencv")(image, mask)      # image (H, W, 3) uint8, mask (H, W) with 255 = fill
    selected = load_model("grabcut", task="select")(image, Prompts(strokes=(Stroke(((90, 40), (95, 80)), 20),)))

Every name is imported on first use: what needs one part alone pays for no other.
"""

from __future__ import annotations

import importlib
import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalog import get_model as get_model
    from .catalog import list_models as list_models
    from .errors import ModelError as ModelError
    from .loading import load_model as load_model
    from .options import FillOptions as FillOptions
    from .pipeline.inpainter import Inpainter as Inpainter
    from .protocols import Point as Point
    from .protocols import Prompts as Prompts
    from .protocols import Stroke as Stroke
    from .registry import ModelEntry as ModelEntry
    from .types import Box as Box
    from .types import Mask as Mask
    from .types import Patch as Patch

_HOME = {
    "catalog": ("get_model", "list_models"),
    "errors": ("ModelError",),
    "loading": ("load_model",),
    "options": ("FillOptions",),
    "pipeline.inpainter": ("Inpainter",),
    "protocols": ("Point", "Prompts", "Stroke"),
    "registry": ("ModelEntry",),
    "types": ("Box", "Mask", "Patch"),
}

__all__ = sorted(itertools.chain(*_HOME.values()))


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
