"""WebP: walk the RIFF chunks without decoding. (WebP Container Specification; RFC 6386, 9.1; lossless, section 3.)"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..errors import ImageAnimated, ImageCorrupt, ImageTruncated
from .info import Header, ImageLimits, Metadata, usable_icc
from .png import check_metadata_size
from .source import Bytes

_ANIMATED, _ALPHA = 0x02, 0x10
_EXIF_PREFIX = b"Exif\0\0"


def parse(data: Bytes, limits: ImageLimits) -> Header:
    """Header and metadata; picture data is skipped over."""
    found: dict[bytes, bytes] = {}
    used = 0
    for kind, start, end in _chunks(data):
        if kind in (b"ICCP", b"EXIF", b"XMP "):
            used += end - start
            check_metadata_size(used, limits.max_metadata_bytes)
            found.setdefault(kind, bytes(data[start:end]))
        elif kind in (b"VP8X", b"VP8 ", b"VP8L"):
            found.setdefault(kind, bytes(data[start : min(end, start + 10)]))
        elif kind in (b"ANIM", b"ANMF"):
            raise ImageAnimated("The WebP is animated. Send a still picture.")
    width, height, alpha = _shape(found)
    metadata = Metadata(
        icc=usable_icc(found.get(b"ICCP"), is_grey=False),
        exif=found[b"EXIF"].removeprefix(_EXIF_PREFIX) if b"EXIF" in found else None,
        xmp=found.get(b"XMP "),
    )
    return Header("webp", width, height, 8, alpha, False, metadata, lossless=b"VP8L" in found)


def verify(data: Bytes) -> None:
    """Checks that the file is as long as it says. Raises `ImageTruncated`."""
    if 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise ImageTruncated("The WebP ends too early. Copy or download the file again.")


def _shape(found: dict[bytes, bytes]) -> tuple[int, int, bool]:
    """(width, height, has alpha). Raises `ImageAnimated`, `ImageCorrupt`."""
    if len(extended := found.get(b"VP8X", b"")) == 10:
        if extended[0] & _ANIMATED:
            raise ImageAnimated("The WebP is animated. Send a still picture.")
        width, height = (1 + int.from_bytes(extended[at : at + 3], "little") for at in (4, 7))
        return width, height, bool(extended[0] & _ALPHA)
    if len(lossy := found.get(b"VP8 ", b"")) == 10 and lossy[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", lossy[6:10])
        return width & 0x3FFF, height & 0x3FFF, False
    if len(lossless := found.get(b"VP8L", b"")) >= 5 and lossless[0] == 0x2F:
        bits = int.from_bytes(lossless[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), bool(bits >> 28 & 1)
    raise ImageCorrupt("The WebP has no readable header. The file is damaged; export it again.")


def _chunks(data: Bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of every chunk; the last may reach beyond the file."""
    at, size = 12, len(data)
    while at + 8 <= size:
        kind, length = struct.unpack("<4sI", data[at : at + 8])
        yield kind, at + 8, at + 8 + length
        at += 8 + length + (length & 1)
