"""What a file of LaMa's weights holds."""

from __future__ import annotations

import torch

from ..registry import Layout
from .network import FFCResNetGenerator


def layouts() -> tuple[Layout, ...]:
    """The generator; the same for photographs and for drawings."""
    with torch.device("meta"):
        return (Layout(({key: tuple(value.shape) for key, value in FFCResNetGenerator().state_dict().items()},)),)
