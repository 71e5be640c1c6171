"""JPEG: walk the markers without decoding. (ITU-T T.81, Annex B; JFIF 1.02; Exif 2.32, section 4.7.)"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from ...errors import ImageCorrupt, ImageTooComplex, ImageTruncated, Limit, UnsupportedFormat
from ..info import Header, ImageLimits, Metadata, usable_icc
from ..png import check_metadata_size
from ..source import Bytes

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""The next marker in entropy-coded data: not a stuffed byte and not a restart."""

SOS, EOI, COM, DRI, DQT, DHT = 0xDA, 0xD9, 0xFE, 0xDD, 0xDB, 0xC4
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_HUFFMAN_FRAMES, PROGRESSIVE = {0xC0, 0xC1, 0xC2}, 0xC2
EXIF, XMP, ICC, ADOBE, JFIF = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b"Adobe", b"JFIF\0"


class Segment(NamedTuple):
    """A marker, where its two bytes lie and where its payload; for SOS the payload is the scan header."""

    marker: int
    at: int
    start: int
    end: int


class Component(NamedTuple):
    """A channel of the picture: its name, how many 8x8 blocks it has across and down an MCU, its quantisation table."""

    name: int
    across: int
    down: int
    table: int


class Frame(NamedTuple):
    """The fields of SOF."""

    marker: int
    width: int
    height: int
    components: tuple[Component, ...]


class Scan(NamedTuple):
    """A pass over the picture.

    names     of the components in it
    first     it holds the mean of each block, not only details or further digits
    start     of its entropy-coded data
    end       the marker after these
    restarts  how many restart markers must lie in them
    """

    names: tuple[int, ...]
    first: bool
    start: int
    end: int
    restarts: int


def parse(data: Bytes, limits: ImageLimits) -> Header:
    """Header and metadata, from what stands before the first scan."""
    frame, reader = None, _MetadataReader(limits)
    for segment in segments(data):
        if segment.marker == SOS:
            break
        if segment.marker in FRAMES and frame is None:
            frame = frame_of(bytes(data[segment.start : segment.end]), segment.marker)
        reader.take(segment.marker, bytes(data[segment.start : segment.end]))
    if frame is None:
        raise ImageCorrupt("The JPEG has no picture in it. The file is damaged; export it again.")
    grey = len(frame.components) == 1
    converted = "CMYK" if len(frame.components) == 4 else None
    metadata = reader.result(is_grey=grey)
    return Header("jpeg", frame.width, frame.height, 8, False, grey, metadata, converted, lossless=False)


def scans(data: Bytes, limits: ImageLimits) -> list[Scan]:
    """All scans, up to the end marker: not too many, and one at least that shows each component.

    What follows the end marker (more pictures of an MPO, motion photos, archives) is not looked at.
    Raises `ImageTruncated`, `ImageCorrupt`, `ImageTooComplex`.
    """
    frame, interval, found = None, 0, list[Scan]()
    for segment in segments(data):
        if found and not found[-1].end:
            found[-1] = found[-1]._replace(end=segment.at)
        if segment.marker == EOI:
            _check_shown(frame, found)
            return found
        if segment.marker == DRI:
            interval = int.from_bytes(data[segment.start : segment.end])
        elif segment.marker in FRAMES and frame is None:
            frame = frame_of(bytes(data[segment.start : segment.end]), segment.marker)
        elif segment.marker == SOS:
            found.append(_scan(data, segment, frame, interval))
            if len(found) > limits.max_scans:
                raise ImageTooComplex(
                    f"The JPEG has more than {limits.max_scans} scans. Save it again as an ordinary JPEG.",
                    limit=Limit("max_scans", limits.max_scans, len(found)),
                )
    raise ImageTruncated("The JPEG ends too early. Copy or download the file again.")


def icc_of(data: Bytes) -> bytes | None:
    """The profile as it stands in the file, of whatever colour space."""
    reader = _MetadataReader(ImageLimits())
    for segment in segments(data):
        if segment.marker == SOS:
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
        if marker == EOI:
            yield Segment(marker, start - 2, start, start)
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
        yield Segment(marker, start - 2, start + 2, start + length)
        at = start + length


def frame_of(block: bytes, marker: int) -> Frame:
    """The fields of a SOF segment. Raises `ImageCorrupt`, `UnsupportedFormat`."""
    if len(block) < 6 or len(block) < 6 + 3 * block[5]:
        raise ImageCorrupt("The JPEG's frame header is cut short. The file is damaged; export it again.")
    precision, height, width, count = struct.unpack(">BHHB", block[:6])
    if marker not in _HUFFMAN_FRAMES or precision != 8:
        raise UnsupportedFormat(
            f"The JPEG is of a kind that cannot be read (frame type {marker:#x}, {precision} bits). "
            "Save it as an ordinary JPEG or PNG."
        )
    components = tuple(
        Component(name, sampling >> 4, sampling & 15, table)
        for name, sampling, table in struct.iter_unpack("3B", block[6 : 6 + 3 * count])
    )
    sampled = all(1 <= side <= 4 for component in components for side in component[1:3])
    if 0 in (height, width) or count not in (1, 3, 4) or not sampled:
        raise ImageCorrupt(f"The JPEG's header is not valid: {width}x{height}, {count} channels. Export it again.")
    return Frame(marker, width, height, components)


def _scan(data: Bytes, segment: Segment, frame: Frame | None, interval: int) -> Scan:
    """The scan that begins here, its end yet unknown (0). (T.81, B.2.3.)"""
    block = bytes(data[segment.start : segment.end])
    names = block[1 : 1 + 2 * block[0] : 2] if block else b""
    parts = [part for part in frame.components if part.name in names] if frame is not None else []
    if frame is None or not parts or len(block) < 4 + 2 * block[0]:
        raise ImageCorrupt("A scan of the JPEG has no valid header. The file is damaged; export it again.")
    spectrum, _, precision = block[1 + 2 * block[0] :][:3]
    first = frame.marker != PROGRESSIVE or (spectrum == 0 and precision < 16)
    restarts = (_mcus(frame, parts) - 1) // interval if interval else 0
    return Scan(tuple(names), first, segment.end, 0, restarts)


def _mcus(frame: Frame, parts: list[Component]) -> int:
    """What a scan of these components is counted in: their blocks together, or one block when it is a single one."""
    across, down = (max(part[side] for part in frame.components) for side in (1, 2))
    wide, high = (parts[0].across, parts[0].down) if len(parts) == 1 else (1, 1)
    return -(-frame.width * wide // (8 * across)) * -(-frame.height * high // (8 * down))


def _check_shown(frame: Frame | None, found: list[Scan]) -> None:
    """A scan may bring fewer details than there could be, but each component must be there. (T.81, G.1.1.1.)"""
    shown = {name for scan in found if scan.first for name in scan.names}
    if frame is None or not found:
        raise ImageCorrupt("The JPEG has no picture data. The file is damaged; export it again.")
    if any(component.name not in shown for component in frame.components):
        raise ImageTruncated("A colour channel of the JPEG is missing. Copy or download the file again.")


class _MetadataReader:
    """Collects what `Metadata` keeps, within the limit."""

    def __init__(self, limits: ImageLimits) -> None:
        self._limit = limits.max_metadata_bytes
        self._used = 0
        self._icc: dict[int, bytes] = {}
        self._exif: bytes | None = None
        self._xmp: bytes | None = None
        self._comment: bytes | None = None
        self._dpi: tuple[float, float] | None = None

    def take(self, marker: int, block: bytes) -> None:
        if not (0xE0 <= marker <= 0xEF or marker == COM):
            return
        self._used += len(block)
        check_metadata_size(self._used, self._limit)
        if marker == 0xE0 and block.startswith(JFIF) and len(block) >= 12:
            self._dpi = _dpi(block)
        elif marker == 0xE1 and block.startswith(EXIF):
            self._exif = self._exif or block[len(EXIF) :]
        elif marker == 0xE1 and block.startswith(XMP):
            self._xmp = self._xmp or block[len(XMP) :]
        elif marker == 0xE2 and block.startswith(ICC) and len(block) > 14:
            self._icc.setdefault(block[12], block[14:])
        elif marker == COM:
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
