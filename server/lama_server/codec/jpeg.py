"""JPEG: walk the markers without decoding. (ITU-T T.81, Annex B; JFIF 1.02; Exif 2.32, section 4.7.)"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import ImageCorrupt, ImageTooComplex, ImageTruncated, Limit, UnsupportedFormat
from .info import Header, Limits, Metadata, usable_icc
from .png import check_metadata_size
from .source import Bytes

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""The next marker in entropy-coded data: not a stuffed byte and not a restart."""

_SOS, _EOI, _COM = 0xDA, 0xD9, 0xFE
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}
_EXIF, _XMP, _ICC, _ADOBE, _JFIF = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b"Adobe", b"JFIF\0"


class Segment(NamedTuple):
    """A marker and where its payload lies; for SOS the payload is the scan header."""

    marker: int
    start: int
    end: int


class Frame(NamedTuple):
    """The fields of SOF."""

    marker: int
    width: int
    height: int
    components: int


def parse(data: Bytes, limits: Limits) -> Header:
    """Header and metadata, from what stands before the first scan."""
    frame, reader = None, _MetadataReader(limits)
    for segment in segments(data):
        if segment.marker == _SOS:
            break
        if segment.marker in _FRAMES and frame is None:
            frame = _frame(data, segment)
        reader.take(segment.marker, bytes(data[segment.start : segment.end]))
    if frame is None:
        raise ImageCorrupt("The JPEG has no picture in it. The file is damaged; export it again.")
    grey = frame.components == 1
    converted = "CMYK" if frame.components == 4 else None
    metadata = reader.result(is_grey=grey)
    return Header("jpeg", frame.width, frame.height, 8, False, grey, metadata, converted, lossless=False)


def verify(data: Bytes, limits: Limits) -> None:
    """Checks that all scans are there, up to the end marker, and not too many of them.

    What follows the end marker (more pictures of an MPO, motion photos, archives) is not looked at.
    """
    scans = 0
    for segment in segments(data):
        if segment.marker == _EOI:
            if scans == 0:
                raise ImageCorrupt("The JPEG has no picture data. The file is damaged; export it again.")
            return
        if segment.marker == _SOS:
            scans += 1
            if scans > limits.max_scans:
                raise ImageTooComplex(
                    f"The JPEG has more than {limits.max_scans} scans. Save it again as an ordinary JPEG.",
                    limit=Limit("max_scans", limits.max_scans, scans),
                )
    raise ImageTruncated("The JPEG ends too early. Copy or download the file again.")


def icc_of(data: Bytes) -> bytes | None:
    """The profile as it stands in the file, of whatever colour space."""
    reader = _MetadataReader(Limits())
    for segment in segments(data):
        if segment.marker == _SOS:
            break
        reader.take(segment.marker, bytes(data[segment.start : segment.end]))
    return reader.icc()


def segments(data: Bytes) -> Iterator[Segment]:
    """All markers of the first picture, up to and with EOI; stops quietly where the file does."""
    at, size = 2, len(data)
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            return
        marker, start = found[1][0], found.end()
        if marker == _EOI:
            yield Segment(marker, start, start)
            return
        if marker in (0x01, 0xD8):
            at = start
            continue
        if start + 2 > size:
            return
        length = int.from_bytes(data[start : start + 2])
        if length < 2:
            raise ImageCorrupt("A block of the JPEG has an impossible length. The file is damaged; export it again.")
        if start + length > size:
            return
        yield Segment(marker, start + 2, start + length)
        at = start + length


def _frame(data: Bytes, segment: Segment) -> Frame:
    block = bytes(data[segment.start : segment.end])
    if len(block) < 6:
        raise ImageCorrupt("The JPEG's frame header is cut short. The file is damaged; export it again.")
    precision, height, width, components = struct.unpack(">BHHB", block[:6])
    if segment.marker not in _HUFFMAN_FRAMES or precision != 8:
        raise UnsupportedFormat(
            f"The JPEG is of a kind that cannot be read (frame type {segment.marker:#x}, {precision} bits). "
            "Save it as an ordinary JPEG or PNG."
        )
    if 0 in (height, width) or components not in (1, 3, 4):
        raise ImageCorrupt(f"The JPEG's header is not valid: {width}x{height}, {components} channels. Export it again.")
    return Frame(segment.marker, width, height, components)


class _MetadataReader:
    """Collects what `Metadata` keeps, within the limit."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.max_metadata_bytes
        self._used = 0
        self._icc: dict[int, bytes] = {}
        self._exif: bytes | None = None
        self._xmp: bytes | None = None
        self._comment: bytes | None = None
        self._dpi: tuple[float, float] | None = None

    def take(self, marker: int, block: bytes) -> None:
        if not (0xE0 <= marker <= 0xEF or marker == _COM):
            return
        self._used += len(block)
        check_metadata_size(self._used, self._limit)
        if marker == 0xE0 and block.startswith(_JFIF) and len(block) >= 12:
            self._dpi = _dpi(block)
        elif marker == 0xE1 and block.startswith(_EXIF):
            self._exif = self._exif or block[len(_EXIF) :]
        elif marker == 0xE1 and block.startswith(_XMP):
            self._xmp = self._xmp or block[len(_XMP) :]
        elif marker == 0xE2 and block.startswith(_ICC) and len(block) > 14:
            self._icc.setdefault(block[12], block[14:])
        elif marker == _COM:
            self._comment = self._comment or block

    def icc(self) -> bytes | None:
        return b"".join(self._icc[index] for index in sorted(self._icc)) or None

    def result(self, *, is_grey: bool) -> Metadata:
        profile = usable_icc(self.icc(), is_grey=is_grey)
        return Metadata(icc=profile, exif=self._exif, xmp=self._xmp, dpi=self._dpi, comment=self._comment)


def _dpi(jfif: bytes) -> tuple[float, float] | None:
    """Unit 1 is dots per inch, 2 per centimetre, 0 an aspect ratio only."""
    unit, x, y = struct.unpack(">BHH", jfif[7:12])
    scale = {1: 1.0, 2: 2.54}.get(unit)
    return (x * scale, y * scale) if scale and x and y else None
