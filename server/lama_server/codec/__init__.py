"""Image files to arrays and back, with nothing lost on the way.

    info = probe(path)                              header only: cheap, safe on hostile files
    decoded = decode(path)                          pixels as shown, 8 or 16 bit, RGB or RGBA
    data = render(path, decoded.pixels, info)       the same kind of file again, metadata kept

OpenCV is imported only when a 16 bit file is decoded: the web process probes and never pays for it.
"""

from .decoding import decode, decode_mask, decode_patch
from .info import Decoded, ImageInfo, ImageLimits, Metadata, OutputFormat, Pixels, SourceFormat, WantedFormat
from .probing import probe, read_metadata
from .rendering import EncodedPreview, encode_mask, encode_patch, output_format, preview, render

__all__ = [
    "Decoded",
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
    "encode_mask",
    "encode_patch",
    "output_format",
    "preview",
    "probe",
    "read_metadata",
    "render",
]
