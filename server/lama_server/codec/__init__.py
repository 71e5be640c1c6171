"""Image files to arrays and back, with nothing lost on the way.

    info = probe(path)                              header only: cheap, safe on hostile files
    decoded = decode(path)                          pixels as shown, 8 or 16 bit, RGB or RGBA
    data = render(path, decoded.pixels, info)       the same kind of file again, metadata kept
    encoded = encode(path, info, edited)            the same, and a JPEG keeps all blocks that the edit did not touch

What reads, decodes and encodes is imported on first use, and OpenCV only when a 16 bit file is decoded: the idle web
process does without all of it, and never decodes or encodes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .info import (
    Decoded,
    Edited,
    Encoded,
    ImageInfo,
    ImageLimits,
    Metadata,
    OutputFormat,
    Pixels,
    SourceFormat,
    WantedFormat,
)

if TYPE_CHECKING:
    from .decoding import decode, decode_mask, decode_patch
    from .probing import probe, read_metadata
    from .rendering import EncodedPreview, encode, encode_mask, encode_patch, output_format, preview, render, thumbnail

__all__ = [
    "Decoded",
    "Edited",
    "Encoded",
    "EncodedPreview",
    "ImageInfo",
    "ImageLimits",
    "Metadata",
    "OutputFormat",
    "Pixels",
    "SourceFormat",
    "WantedFormat",
    "decode",
    "decode_mask",
    "decode_patch",
    "encode",
    "encode_mask",
    "encode_patch",
    "output_format",
    "preview",
    "probe",
    "read_metadata",
    "render",
    "thumbnail",
]

_MODULES = {
    "decode": ".decoding",
    "decode_mask": ".decoding",
    "decode_patch": ".decoding",
    "probe": ".probing",
    "read_metadata": ".probing",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES.get(name, ".rendering"), __name__), name)
