"""The tags of a TIFF's directory, and what they say of the picture."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from PIL import Image, TiffImagePlugin

from ..info import ImageLimits, Metadata, usable_icc
from ..png import check_metadata_size
from ..source import Bytes

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
X_DPI, Y_DPI, PLANAR, DPI_UNIT, PREDICTOR = 282, 283, 284, 296, 317
TILE_OFFSETS, TILE_BYTES, EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC = 324, 325, 338, 339, 700, 34675
DESCRIPTIVE = (270, 271, 272, 305, 306, 315, 316, 33432, 34665, 34853)
"""Description, make, model, software, date, artist, host, copyright, and the pointers to EXIF and GPS."""

DEFLATES = (8, 32946)
MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2
ASSOCIATED, UNASSOCIATED = 1, 2
UNSIGNED, FLOATING = 1, 3
INTERLEAVED = 1
STRIP_TARGET = 2**20
"""Bytes of pixels that are packed or unpacked at a time."""


_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Of a value of each type."""


def first_directory(file: BinaryIO) -> Any:
    """The tags of the file's first picture."""
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    return tags


def is_cut(data: Bytes) -> bool:
    """Whether the first directory, or a value that it points to, ends beyond the file: Pillow leaves such tags out."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack(order + "L", data[4:8])
    (count,) = struct.unpack(order + "H", data[at : at + 2])
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if entry + 12 > len(data):
            return True
        kind, values, place = struct.unpack(order + "2xHLL", data[entry : entry + 12])
        size = values * _BYTES.get(kind, 0)
        if size > 4 and place + size > len(data):
            return True
    return False


def metadata_of(source: Image.Exif, tags: Any, limits: ImageLimits, *, is_grey: bool) -> Metadata:
    """What travels into results; `source` is the same directory, and follows it to those of EXIF and GPS."""
    icc, xmp = tags.get(ICC), tags.get(XMP)
    xmp = xmp if isinstance(xmp, bytes) else None
    exif = Image.Exif()
    for tag in (0x0112, *DESCRIPTIVE):
        if tag in (34665, 34853):
            if nested := source.get_ifd(tag):
                exif.get_ifd(tag).update(nested)
                exif[tag] = dict(nested)
        elif tag in source:
            exif[tag] = source[tag]
    block = exif.tobytes().removeprefix(b"Exif\0\0") if len(exif) else None
    check_metadata_size(sum(len(part) for part in (icc, xmp, block) if part), limits.max_metadata_bytes)
    return Metadata(icc=usable_icc(icc, is_grey=is_grey), exif=block, xmp=xmp, dpi=_dpi(tags))


def _dpi(tags: Any) -> tuple[float, float] | None:
    """Resolution in dots per inch; None where it has no unit but the ratio of the sides."""
    to_inches = {2: 1.0, 3: 2.54}.get(tags.get(DPI_UNIT, 2))
    x, y = (float(tags.get(tag, 0)) for tag in (X_DPI, Y_DPI))
    return (x * to_inches, y * to_inches) if to_inches and x > 0 and y > 0 else None


def bits_of(tags: Any) -> tuple[int, ...]:
    return every(tags.get(BITS)) or (1,)


def extra_of(tags: Any) -> tuple[int, ...]:
    return every(tags.get(EXTRA_SAMPLES))


def every(value: Any) -> tuple[int, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
