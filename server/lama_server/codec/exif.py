"""EXIF in place: read the orientation, and make a block fit for an edited picture.

EXIF is a TIFF structure whose maker notes hold offsets that only the maker knows, so it is never
re-serialised: single values are overwritten where they stand. (CIPA DC-008, section 4.6.)
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import ImageError
from .info import Pixels
from .jpeg.markers import EOI, segments

ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
"""ImageWidth and ImageLength of the first directory, PixelXDimension and PixelYDimension of the one for EXIF."""

_STRIPS = 0x0111, 0x0117
"""StripOffsets and StripByteCounts."""

_JPEG = re.compile(
    rb"\xff\xd8\xff[\xc0-\xcf\xdb\xe0-\xef\xfe]|[^\xff]\xd8\xff(?:\xdb\x00[C\x84\xc5]|\xe0\x00\x10JFIF)", re.DOTALL
)
"""How a JPEG begins; some makers change the first byte."""

_SHORT, _LONG = 3, 4
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)[2-8]")
_XMP_WIDTH = re.compile(rb"((?:tiff:ImageWidth|exif:PixelXDimension)\s*(?:=\s*[\"']|>)\s*)\d+")
_XMP_HEIGHT = re.compile(rb"((?:tiff:ImageLength|exif:PixelYDimension)\s*(?:=\s*[\"']|>)\s*)\d+")

_XMP_LONG_TEXT = re.compile(rb"[A-Za-z0-9+/=&#;\s]{256,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{60}")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One IFD entry; `value_at` is where its four value bytes stand."""

    tag: int
    kind: int
    count: int
    value_at: int


def orientation(exif: bytes | None) -> int:
    """1 to 8. A broken block or an undefined value counts as 1, as every viewer has it."""
    if exif is None:
        return 1
    try:
        order = _byte_order(exif)
        entry = next((e for e in _entries(exif, order, _first_ifd(exif, order)) if e.tag == ORIENTATION), None)
        value = 1 if entry is None else _number(exif, order, entry)
    except (ValueError, struct.error):
        return 1
    return value if 1 <= value <= 8 else 1


def oriented(pixels: Pixels, orientation: int) -> Pixels:
    """Stored pixels as shown (a view where possible). EXIF 2.32, tag 0x0112."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def for_result(exif: bytes | None, width: int, height: int) -> bytes | None:
    """The block with orientation 1, of that size, and without its pictures, which still show what was removed.

    Everything else stays byte by byte. A block that cannot be followed is dropped.
    """
    if exif is None:
        return None
    out = bytearray(exif)
    try:
        order = _byte_order(exif)
        first = _first_ifd(exif, order)
        for entry in _entries(exif, order, first):
            if entry.tag == ORIENTATION:
                struct.pack_into(order + "HIHH", out, entry.value_at - 6, _SHORT, 1, 1, 0)
            elif entry.tag == _EXIF_IFD:
                with contextlib.suppress(ValueError, struct.error):
                    _set_size(out, order, _number(exif, order, entry), width, height)
        _set_size(out, order, first, width, height)
        _drop_pictures(out, order, first)
    except (ValueError, struct.error):
        return None
    return bytes(out)


def without_pictures(exif: bytes) -> bytes | None:
    """The block as it is, without its pictures; None for one that cannot be followed."""
    out = bytearray(exif)
    try:
        order = _byte_order(exif)
        _drop_pictures(out, order, _first_ifd(exif, order))
    except (ValueError, struct.error):
        return None
    return bytes(out)


def only_orientation(orientation: int) -> bytes | None:
    """A block that tells the orientation and nothing else; None for 1, which needs none."""
    if orientation == 1:
        return None
    return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, ORIENTATION, _SHORT, 1, orientation, 0, 0)


def xmp_without_pictures(xmp: bytes) -> bytes:
    """The packet without what is written in base64: thumbnails, gain maps, depth maps."""
    return _XMP_LONG_TEXT.sub(lambda found: b"" if _BASE64.search(found[0]) else found[0], xmp)


def xmp_for_result(xmp: bytes | None, width: int, height: int) -> bytes | None:
    """The packet with its copies of the orientation set to 1, and of the size to that size."""
    if xmp is None:
        return None
    upright = _XMP_ORIENTATION.sub(rb"\g<1>1", xmp_without_pictures(xmp))
    return _XMP_HEIGHT.sub(rb"\g<1>%d" % height, _XMP_WIDTH.sub(rb"\g<1>%d" % width, upright))


def _set_size(out: bytearray, order: str, ifd: int, width: int, height: int) -> None:
    """Overwrites what a directory says of the picture's size, if it does."""
    for entry in _entries(bytes(out), order, ifd):
        value = width if entry.tag in _WIDTHS else height if entry.tag in _HEIGHTS else None
        if value is not None and _number(bytes(out), order, entry) != value:
            struct.pack_into(order + "HII", out, entry.value_at - 6, _LONG, 1, value)


def _drop_pictures(out: bytearray, order: str, first_ifd: int) -> None:
    """Unlinks the second IFD and those after it, and blanks their pixels and every JPEG, in maker notes too."""
    count = struct.unpack_from(order + "H", out, first_ifd)[0]
    link_at = first_ifd + 2 + 12 * count
    if link_at + 4 <= len(out):
        second = struct.unpack_from(order + "I", out, link_at)[0]
        struct.pack_into(order + "I", out, link_at, 0)
        with contextlib.suppress(ValueError, struct.error):
            _blank_strips(out, order, second)
    for found in _JPEG.finditer(bytes(out)):
        end = _end_of_jpeg(bytes(out[found.start() :]))
        out[found.start() : found.start() + end] = bytes(end)


def _blank_strips(out: bytearray, order: str, ifd: int) -> None:
    """The pixels of a thumbnail that is not a JPEG."""
    if not 8 <= ifd < len(out):
        return
    block = bytes(out)
    found = {entry.tag: _numbers(block, order, entry) for entry in _entries(block, order, ifd) if entry.tag in _STRIPS}
    for start, size in zip(*(found.get(tag, ()) for tag in _STRIPS), strict=False):
        if 8 <= start < len(out):
            end = min(start + size, len(out))
            out[start:end] = bytes(end - start)


def _end_of_jpeg(block: bytes) -> int:
    """Bytes of the JPEG with which the block begins; all of them where its end cannot be found."""
    with contextlib.suppress(ImageError):
        for segment in segments(block):
            if segment.marker == EOI:
                return segment.end
    return len(block)


def _byte_order(exif: bytes) -> str:
    orders = {b"II*\0": "<", b"MM\0*": ">"}
    if exif[:4] not in orders:
        raise ValueError("not a TIFF structure")
    return orders[exif[:4]]


def _first_ifd(exif: bytes, order: str) -> int:
    return int(struct.unpack_from(order + "I", exif, 4)[0])


def _entries(exif: bytes, order: str, ifd: int) -> Iterator[_Entry]:
    count = struct.unpack_from(order + "H", exif, ifd)[0]
    for index in range(count):
        at = ifd + 2 + 12 * index
        tag, kind, values = struct.unpack_from(order + "HHI", exif, at)
        if at + 12 > len(exif):
            raise ValueError("the directory ends too early")
        yield _Entry(tag, kind, values, at + 8)


def _numbers(exif: bytes, order: str, entry: _Entry) -> tuple[int, ...]:
    """The SHORTs or LONGs of an entry, which stand elsewhere when there are many."""
    if entry.kind not in (_SHORT, _LONG):
        raise ValueError("not numbers")
    kind, size = ("H", 2) if entry.kind == _SHORT else ("I", 4)
    at = entry.value_at
    if size * entry.count > 4:
        at = struct.unpack_from(order + "I", exif, at)[0]
    if at + size * entry.count > len(exif):
        raise ValueError("the values lie outside of the block")
    return struct.unpack_from(f"{order}{entry.count}{kind}", exif, at)


def _number(exif: bytes, order: str, entry: _Entry) -> int:
    """A single SHORT or LONG that stands in the entry itself."""
    (value,) = _numbers(exif, order, entry)
    return value
