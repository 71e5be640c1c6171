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

from .info import Decoded as Decoded
from .info import Edited as Edited
from .info import Encoded as Encoded
from .info import ImageInfo as ImageInfo
from .info import ImageLimits as ImageLimits
from .info import Metadata as Metadata
from .info import OutputFormat as OutputFormat
from .info import Pixels as Pixels
from .info import SourceFormat as SourceFormat
from .info import WantedFormat as WantedFormat

if TYPE_CHECKING:
    from .decoding import decode as decode
    from .decoding import decode_mask as decode_mask
    from .decoding import decode_patch as decode_patch
    from .probing import probe as probe
    from .probing import read_metadata as read_metadata
    from .rendering import EncodedPreview as EncodedPreview
    from .rendering import encode as encode
    from .rendering import encode_mask as encode_mask
    from .rendering import encode_patch as encode_patch
    from .rendering import output_format as output_format
    from .rendering import preview as preview
    from .rendering import render as render
    from .rendering import thumbnail as thumbnail

_HOME = {
    "decoding": ("decode", "decode_mask", "decode_patch"),
    "probing": ("probe", "read_metadata"),
    "rendering": (
        *("EncodedPreview", "encode", "encode_mask", "encode_patch"),
        *("output_format", "preview", "render", "thumbnail"),
    ),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
