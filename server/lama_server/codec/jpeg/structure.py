"""What a JPEG file is made of, as far as its blocks can be changed where they lie: strict, as nothing may be guessed.

(ITU-T T.81, Annexes B and G.1; JFIF 1.02; Adobe's APP14 as in ITU-T T.872, 6.5.3.)
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..info import ImageLimits
from ..source import Bytes
from .huffman import Table, tables_of
from .markers import ADOBE, COM, DHT, DQT, DRI, EOI, FRAMES, JFIF, PROGRESSIVE, SOS, Frame, Segment, frame_of, segments
from .refusal import NotPatchable

SEQUENTIAL, DC_FIRST, DC_REFINE, AC_FIRST, AC_REFINE = range(5)
"""Kinds of scans. The order counts: those up to DC_FIRST code DC differences, those from AC_FIRST runs of blocks."""

_DC_ONLY = (DC_FIRST, DC_REFINE)
_NOT_YET = 99
_MOST_SEGMENTS = 10_000
_MOST_BLOCKS_IN_MCU = 10
_RESTART = re.compile(rb"\xff+([\xd0-\xd7])")
_STRAY_MARKER = re.compile(rb"\xff([^\x00]|\Z)", re.DOTALL)

Colours = Literal["grey", "ycc", "rgb"]


@dataclass(frozen=True, slots=True)
class Plane:
    """The blocks of one channel, row by row.

    across, down   blocks in an MCU, where a scan holds several channels
    step_x, step_y pixels of the picture to a sample
    rows, columns  of blocks, with those that only fill up the last MCUs
    shown          rows, columns of blocks that show a part of the picture
    base           number of the first block, among those of all channels
    quantisation   (64,) float32, in zigzag order
    interleaved    some scan holds it with other channels, and with them the blocks that fill up MCUs
    """

    across: int
    down: int
    step_x: int
    step_y: int
    rows: int
    columns: int
    shown: tuple[int, int]
    base: int
    quantisation: NDArray[np.float32]
    interleaved: bool


@dataclass(frozen=True, slots=True)
class ScanData:
    """A scan as it stands in the file.

    header       its SOS segment, with the marker
    planes       numbers of its channels
    tables       (DC, AC) for each of them: numbers as in `huffman.tables_of`
    huffman      the tables in force, by these numbers; has all that the scan needs
    first, last  of the zigzag positions in it (Ss, Se)
    shift        how many low bits are left to later scans (Al)
    interval     MCUs between restart markers, 0 = none
    start, end   of its entropy-coded data in the file
    """

    header: bytes
    kind: int
    planes: tuple[int, ...]
    tables: tuple[tuple[int, int], ...]
    huffman: dict[int, Table]
    first: int
    last: int
    shift: int
    interval: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Structure:
    """A parsed file: `pieces` are its segments, up to the end marker, and its scans, in file order."""

    width: int
    height: int
    mcu_width: int
    mcu_height: int
    colours: Colours
    planes: tuple[Plane, ...]
    pieces: tuple[Segment | ScanData, ...]

    @property
    def scans(self) -> tuple[ScanData, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, ScanData))

    @property
    def blocks(self) -> int:
        return sum(plane.rows * plane.columns for plane in self.planes)

    def mcus(self, scan: ScanData) -> tuple[int, int]:
        """(rows, columns) of what a scan is counted in: blocks where it holds one channel only."""
        if len(scan.planes) == 1:
            return self.planes[scan.planes[0]].shown
        return -(-self.height // self.mcu_height), -(-self.width // self.mcu_width)


def read_structure(data: Bytes, limits: ImageLimits) -> Structure:
    """Raises `NotPatchable` for what is damaged or not handled, `ImageError` where `segments` and `frame_of` do."""
    reader, following = _Reader(), None
    for segment, following in pairwise(segments(data)):
        if len(reader.pieces) > _MOST_SEGMENTS or reader.scans > limits.max_scans:
            raise NotPatchable("it has too many parts")
        reader.take(segment, bytes(data[segment.start : segment.end]), following.at)
    if following is None or following.marker != EOI:
        raise NotPatchable("it ends too early")
    return reader.result(len(data))


def entropy_coded(data: Bytes, scan: ScanData) -> list[bytes]:
    """The scan's data from one restart marker to the next, without the zeros that are stuffed after each 0xFF."""
    whole = data[scan.start : scan.end].rstrip(b"\xff")
    parts = _RESTART.split(whole) if scan.interval else [whole]
    if any(marker[0] & 7 != index & 7 for index, marker in enumerate(parts[1::2])):
        raise NotPatchable("its restart markers are out of order")
    if any(_STRAY_MARKER.search(part) for part in parts[::2]):
        raise NotPatchable("a marker stands among its picture data")
    return [part.replace(b"\xff\x00", b"\xff") for part in parts[::2]]


@dataclass(slots=True)
class _Reader:
    """What has been read so far.

    quantisation, huffman  the tables in force, by number
    used                   channel -> its quantisation table
    shifts                 (channels, 64): low bits of each coefficient that are still to come
    """

    pieces: list[Segment | ScanData] = field(default_factory=list)
    scans: int = 0
    frame: Frame | None = None
    quantisation: dict[int, bytes] = field(default_factory=dict)
    used: dict[int, bytes] = field(default_factory=dict)
    huffman: dict[int, Table] = field(default_factory=dict)
    shifts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 64), np.int64))
    interval: int = 0
    jfif: bool = False
    adobe: int | None = None

    def take(self, segment: Segment, payload: bytes, following: int) -> None:
        """A segment; if it begins a scan, its data end at the `following` marker."""
        marker = segment.marker
        if marker == SOS:
            self.scans += 1
            self.pieces.append(self._scan(segment, payload, following))
            return
        self.pieces.append(segment)
        if marker == DQT:
            self.quantisation |= _quantisation_tables(payload)
        elif marker == DHT:
            self.huffman |= tables_of(payload)
        elif marker == DRI and len(payload) == 2:
            self.interval = int.from_bytes(payload)
        elif marker in FRAMES and self.frame is None:
            self.frame = _checked(frame_of(payload, marker))
            self.shifts = np.full((len(self.frame.components), 64), _NOT_YET)
        elif marker == 0xE0 and payload.startswith(JFIF) and len(payload) >= 14:
            self.jfif = True
        elif marker == 0xEE and payload.startswith(ADOBE) and len(payload) >= 12:
            self.adobe = payload[11]
        elif not (0xE0 <= marker <= 0xEF or marker == COM):
            raise NotPatchable(f"it has a segment of type {marker:#x}")

    def result(self, size: int) -> Structure:
        """Of the whole file, of that many bytes."""
        if self.frame is None or self.scans == 0 or self.shifts.any():
            raise NotPatchable("its scans do not hold all digits of the picture")
        width, height, parts = self.frame.width, self.frame.height, self.frame.components
        most_across, most_down = max(part.across for part in parts), max(part.down for part in parts)
        planes = list[Plane]()
        for index, part in enumerate(parts):
            step_x, step_y = most_across // part.across, most_down // part.down
            planes.append(
                Plane(
                    part.across,
                    part.down,
                    step_x,
                    step_y,
                    rows=-(-height // (8 * most_down)) * part.down,
                    columns=-(-width // (8 * most_across)) * part.across,
                    shown=(-(-height // (8 * step_y)), -(-width // (8 * step_x))),
                    base=sum(plane.rows * plane.columns for plane in planes),
                    quantisation=_values(self.used[index]),
                    interleaved=any(index in scan.planes and len(scan.planes) > 1 for scan in self._scans()),
                )
            )
        found = Structure(
            width, height, 8 * most_across, 8 * most_down, self._colours(), tuple(planes), tuple(self.pieces)
        )
        if found.blocks > 8 * size:  # each takes a bit at least
            raise NotPatchable("it is too short for its size")
        return found

    def _scans(self) -> list[ScanData]:
        return [piece for piece in self.pieces if isinstance(piece, ScanData)]

    def _scan(self, segment: Segment, payload: bytes, following: int) -> ScanData:
        count = payload[0] if payload else 0
        if self.frame is None or not 1 <= count <= 4 or len(payload) != 4 + 2 * count:
            raise NotPatchable("a scan has no valid header")
        names = [part.name for part in self.frame.components]
        chosen = list(struct.iter_unpack("BB", payload[1:-3]))
        first, last, high, shift = payload[-3], payload[-2], payload[-1] >> 4, payload[-1] & 15
        if (
            any(name not in names or table & 0xCC for name, table in chosen)
            or len({name for name, _ in chosen}) < count
        ):
            raise NotPatchable("a scan has no valid header")
        planes = tuple(names.index(name) for name, _ in chosen)
        kind = _kind(self.frame, count, first, last, high, shift)
        tables = tuple((table >> 4, 4 + (table & 15)) for _, table in chosen)
        needed = {pair[0] for pair in tables if kind <= DC_FIRST} | {pair[1] for pair in tables if kind not in _DC_ONLY}
        if not needed <= self.huffman.keys():
            raise NotPatchable("a Huffman table is missing")
        self._note_digits(planes, slice(first, last + 1), high, shift)
        header = b"\xff\xda" + (len(payload) + 2).to_bytes(2) + payload
        huffman = {number: self.huffman[number] for number in needed}
        interval = self.interval
        return ScanData(
            header, kind, planes, tables, huffman, first, last, shift, interval, start=segment.end, end=following
        )

    def _note_digits(self, planes: tuple[int, ...], band: slice, high: int, shift: int) -> None:
        """Raises `NotPatchable` where a scan brings digits twice, or before those above them. (T.81, G.1.1.1.)"""
        assert self.frame is not None
        for index in planes:
            if (self.shifts[index, band] != (high or _NOT_YET)).any():
                raise NotPatchable("its scans do not go together")
            self.shifts[index, band] = shift
            table = self.quantisation.get(self.frame.components[index].table)
            if table is None or self.used.setdefault(index, table) != table:
                raise NotPatchable("a quantisation table is missing, or changes between scans")

    def _colours(self) -> Colours:
        """As libjpeg finds it."""
        assert self.frame is not None
        names = bytes(part.name for part in self.frame.components)
        if len(names) == 1:
            return "grey"
        if self.jfif or self.adobe not in (None, 0):
            return "ycc"
        return "rgb" if self.adobe == 0 or names == b"RGB" else "ycc"


def _checked(frame: Frame) -> Frame:
    parts = frame.components
    across, down = [part.across for part in parts], [part.down for part in parts]
    if len(parts) == 4:
        raise NotPatchable("its colours are CMYK")
    if any(max(across) % part.across or max(down) % part.down for part in parts):
        raise NotPatchable("its channels are sampled in odd proportions")
    blocks = sum(part.across * part.down for part in parts)
    if len({part.name for part in parts}) < len(parts) or (len(parts) > 1 and blocks > _MOST_BLOCKS_IN_MCU):
        raise NotPatchable("its channels are not valid")
    return frame


def _kind(frame: Frame, count: int, first: int, last: int, high: int, shift: int) -> int:
    """Of a scan. Raises `NotPatchable` for parameters that are not allowed. (T.81, table B.3.)"""
    if frame.marker != PROGRESSIVE:
        if (first, last, high, shift) != (0, 63, 0, 0):
            raise NotPatchable("a scan has no valid header")
        return SEQUENTIAL
    dc = first == 0
    if (
        shift > 13
        or not first <= last <= 63
        or dc != (last == 0)
        or (count > 1 and not dc)
        or high not in (0, shift + 1)
    ):
        raise NotPatchable("a scan has no valid header")
    return (DC_REFINE if high else DC_FIRST) if dc else (AC_REFINE if high else AC_FIRST)


def _quantisation_tables(payload: bytes) -> dict[int, bytes]:
    """Number -> the values, each of two bytes. Raises `NotPatchable`."""
    found, at = dict[int, bytes](), 0
    while at < len(payload):
        wide, number = payload[at] >> 4, payload[at] & 15
        values = payload[at + 1 : at + 65 + 64 * min(wide, 1)]
        if wide > 1 or number > 3 or len(values) != 64 << wide:
            raise NotPatchable("a quantisation table is not valid")
        found[number] = values if wide else b"".join(bytes([0, value]) for value in values)
        at += 1 + len(values)
    return found


def _values(table: bytes) -> NDArray[np.float32]:
    values = np.frombuffer(table, ">u2").astype(np.float32)
    if not values.all():
        raise NotPatchable("a quantisation table holds a zero")
    return values
