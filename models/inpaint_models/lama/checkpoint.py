"""What a file of LaMa's weights holds."""

from __future__ import annotations

from ..nn.torch_engine import on_meta, shapes_of
from ..registry import Layout
from .network import FFCResNetGenerator


def layouts() -> tuple[Layout, ...]:
    """The generator; the same for photographs and for drawings."""
    return (Layout((shapes_of(on_meta(FFCResNetGenerator)),)),)
