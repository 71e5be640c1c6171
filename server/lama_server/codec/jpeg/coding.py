"""Reads and writes the scans of a JPEG, with all that the compiled loops need laid out for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..source import Bytes
from . import entropy
from .entropy import END, INTERVAL, MCU, POS, PRED, TOUCHED
from .huffman import COMMON_BITS, LOOKUP_SIZE, Table, with_symbols
from .refusal import NotPatchable
from .structure import AC_FIRST, AC_REFINE, ScanData, Structure, entropy_coded

_MCUS_AT_ONCE = 1 << 16
_CHUNK_WORDS = 1 << 18
_NOTHING = np.zeros(0, np.int64)

Check = Callable[[], None]
"""Raises `Cancelled` when the result is no longer wanted."""

Ints = NDArray[np.int64]
Coefficients = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Changes:
    """Which blocks of a file are to be changed.

    slots   (blocks,) int32: the row of a block in arrays of coefficients, -1 for those that stay
    blocks  (count,) the other way round
    """

    slots: NDArray[np.int32]
    blocks: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class CodedScan:
    """A scan as the compiled loops take it; see `entropy`.

    fields, parts  what describes the scan and its channels
    tables, steps  of its Huffman tables, by number
    words, ends    its data without stuffing, as big-endian words, and the byte where each stretch between restarts ends
    """

    data: ScanData
    fields: Ints
    parts: Ints
    tables: NDArray[np.uint16]
    steps: NDArray[np.uint16]
    words: NDArray[np.uint32]
    ends: Ints

    def read(
        self, strips: Ints, chosen: NDArray[np.intp], changes: Changes, before: Ints, coefficients: Coefficients
    ) -> Ints:
        """A digest for each of the strips that are chosen by number; `coefficients` gets what is to be changed."""
        digests = np.zeros(len(chosen), np.int64)
        entropy.read_strips(
            self.words, self.tables, self.fields, self.parts, changes.slots, before, coefficients, strips,
            chosen.astype(np.int64), digests,
        )  # fmt: skip
        return digests


@dataclass(frozen=True, slots=True)
class StripedScan:
    """A scan with its strips, and which AC levels of its channel are not 0 before it (only for those that refine)."""

    scan: CodedScan
    strips: Ints
    before: Ints


@dataclass(frozen=True, slots=True)
class WrittenScan:
    """Entropy-coded data with restart markers, the Huffman tables for them by number, and the strips."""

    data: bytes
    tables: dict[int, Table]
    strips: Ints


def read_scans(
    data: Bytes, structure: Structure, changes: Changes, check: Check
) -> tuple[tuple[StripedScan, ...], Coefficients]:
    """All scans, and the (count, 64) coefficients of what is to be changed. Raises `NotPatchable` for damaged ones."""
    coefficients, nonzero = np.zeros((len(changes.blocks), 64), np.int16), dict[tuple[int, int], Ints]()
    found = []
    for part in structure.scans:
        plane = structure.planes[part.planes[0]]
        before = nonzero[part.planes[0], part.shift + 1] if part.kind == AC_REFINE else _NOTHING
        after = _NOTHING
        if part.kind >= AC_FIRST and part.shift:
            after = nonzero.setdefault((part.planes[0], part.shift), np.zeros(plane.rows * plane.columns, np.int64))
        scan = coded_scan(data, structure, part)
        strips = _skipped(scan, changes, before, after, check)
        scan.read(strips, np.flatnonzero(strips[:, TOUCHED]), changes, before, coefficients)
        found.append(StripedScan(scan, strips, before))
    return tuple(found), coefficients


def coded_scan(data: Bytes, structure: Structure, scan: ScanData) -> CodedScan:
    """Raises `NotPatchable` where markers stand wrong."""
    rows, columns = structure.mcus(scan)
    planes, alone, total = [structure.planes[index] for index in scan.planes], len(scan.planes) == 1, rows * columns
    parts = [
        (plane.base, plane.columns, *((1, 1) if alone else (plane.across, plane.down)), *pair)
        for plane, pair in zip(planes, scan.tables, strict=True)
    ]
    fields = np.array([scan.kind, scan.first, scan.last, scan.shift, columns, total, scan.interval or total], np.int64)
    tables, steps = np.zeros((2, 8, LOOKUP_SIZE), np.uint16)
    for number, table in scan.huffman.items():
        tables[number], steps[number] = table.lookup, table.steps
    stretches = entropy_coded(data, scan)
    if len(stretches) != -(-total // fields[INTERVAL]):
        raise NotPatchable("a restart marker is missing, or is one too many")
    ends = np.cumsum([len(stretch) for stretch in stretches], dtype=np.int64)
    padding = bytes(4 * entropy.PADDING_WORDS + -int(ends[-1]) % 4)
    words = np.frombuffer(b"".join([*stretches, padding]), ">u4").astype(np.uint32)
    return CodedScan(scan, fields, np.array(parts, np.int64), tables, steps, words, ends)


def write_scan(source: StripedScan, changes: Changes, new: Coefficients, check: Check) -> WrittenScan:
    """The scan with the new coefficients, under its own Huffman tables if they have codes for all that it needs."""
    tables = source.scan.data.huffman
    counts, written = _written(source, changes, new, tables, check)
    lacking = {number: np.flatnonzero((counts[number] > 0) & (table.sizes == 0)) for number, table in tables.items()}
    if not any(len(symbols) for symbols in lacking.values()):
        return written
    wider = {
        number: with_symbols(table, lacking[number].tolist()) if len(lacking[number]) else table
        for number, table in tables.items()
    }
    return _written(source, changes, new, wider, check)[1]


def is_as_wanted(
    source: StripedScan, result: CodedScan, written: Ints, changes: Changes, new: Coefficients, again: Coefficients
) -> bool:
    """Whether a scan that was written and is read again says of all blocks that stay what it said in the source.

    written  the strips of the result
    new      what blocks that are to be changed became
    again    gets what the scan says of these
    """
    scan, strips = source.scan, source.strips
    starts = strips[:, MCU] % scan.fields[INTERVAL] == 0
    begins = np.where(starts, 0, np.roll(written[:, END], 1))
    begins[starts] = np.concatenate([[0], 8 * result.ends[:-1]])
    stops = written[np.roll(starts, -1), END]
    if (written[:, POS] != begins).any() or (-(-stops // 8) != result.ends).any() or written[starts, PRED:].any():
        return False
    same = _copyable(source, result.data.huffman)
    entropy.compare_strips(scan.words, strips, result.words, written, same)
    rest = np.flatnonzero(same == 0)
    before = source.before.copy()
    if before.size:
        plane, shift = scan.parts[0], scan.data.shift + 1
        mine = (changes.blocks >= plane[entropy.BASE]) & (changes.blocks < plane[entropy.BASE] + before.size)
        known = np.abs(new[mine].astype(np.int64)) >> shift != 0
        before[changes.blocks[mine] - plane[entropy.BASE]] = known @ (np.int64(1) << np.arange(64))
    old = scan.read(strips, rest, changes, source.before, np.zeros_like(new))
    return bool(old.all()) and np.array_equal(old, result.read(written, rest, changes, before, again))


def _skipped(scan: CodedScan, changes: Changes, before: Ints, after: Ints, check: Check) -> Ints:
    """The strips of a scan. Raises `NotPatchable` where its data are damaged."""
    fields, mcus = scan.fields, int(scan.fields[entropy.MCUS])
    most = mcus // entropy.STRIP_MCUS + mcus // _MCUS_AT_ONCE + len(scan.ends) + 2
    strips, state = np.zeros((most, entropy.STRIP_FIELDS), np.int64), np.zeros(entropy.READ_FIELDS, np.int64)
    while state[MCU] < mcus:
        check()
        until = min(mcus, int(state[MCU]) + _MCUS_AT_ONCE)
        if scan.data.kind < AC_FIRST:
            entropy.skip_mcus(
                scan.words, scan.ends, scan.tables, scan.steps, fields, scan.parts, changes.slots, strips, state, until
            )
        else:
            entropy.skip_bands(
                scan.words, scan.ends, scan.steps, fields, scan.parts, changes.slots, before, after, strips, state,
                until,
            )  # fmt: skip
        if state[POS] < 0:
            break
    if state[POS] < 0 or state[entropy.RUN]:
        raise NotPatchable("its picture data are damaged")
    strips = strips[: state[entropy.NEXT_STRIP]].copy()
    strips[-1, END] = state[POS]
    return strips


def _written(
    source: StripedScan, changes: Changes, new: Coefficients, tables: dict[int, Table], check: Check
) -> tuple[Ints, WrittenScan]:
    """(how often each symbol is needed, the scan). Where a table lacks a symbol the data are of no use."""
    scan, strips = source.scan, source.strips
    codes, counts = np.zeros((2, 8, 256), np.int64)
    for number, table in tables.items():
        codes[number] = table.sizes << 16 | table.codes
    longest = int(np.diff(strips[:, MCU], append=scan.fields[entropy.MCUS]).max())
    blocks = int((scan.parts[:, entropy.ACROSS] * scan.parts[:, entropy.DOWN]).sum())
    out = np.empty(_CHUNK_WORDS + (longest * blocks * entropy.BLOCK_BYTES + entropy.SPARE_BYTES) // 4, np.uint32)
    ends, held = np.zeros(len(scan.ends), np.int64), np.zeros((2, entropy.HELD_BLOCKS), np.int64)
    written, may_copy = np.zeros_like(strips), _copyable(source, tables)
    state, chunks = np.zeros(entropy.WRITE_FIELDS, np.int64), list[bytes]()
    while state[entropy.WRITTEN] < len(strips):
        check()
        entropy.write_strips(
            scan.words, scan.tables, codes, scan.fields, scan.parts, changes.slots, source.before, new, strips, written,
            counts, out, ends, held, state, may_copy,
        )  # fmt: skip
        chunks.append(out[: state[entropy.WORDS]].astype(">u4").tobytes())
        state[entropy.EMITTED] += state[entropy.WORDS]
        state[entropy.WORDS] = 0
    chunks.append((int(state[entropy.BITS]) << (32 - int(state[entropy.BIT_COUNT]))).to_bytes(4))
    return counts, WrittenScan(_stuffed(b"".join(chunks), ends.tolist()), tables, written)


def _copyable(source: StripedScan, tables: dict[int, Table]) -> NDArray[np.uint8]:
    """Which strips have no changed block, and say the same with these tables: 1, else 0."""
    own = source.scan.data.huffman
    stay = {number: tables[number].keeps_codes_up_to(table) for number, table in own.items()}
    if any(bits < 16 for number, bits in stay.items() if number < 4):  # the rarity of strips is that of AC codes
        return np.zeros(len(source.strips), np.uint8)
    common = source.strips[:, entropy.RARITY] <= min(stay.values(), default=16) - COMMON_BITS
    return np.asarray(common & (source.strips[:, TOUCHED] == 0)).astype(np.uint8)


def _stuffed(raw: bytes, ends: list[int]) -> bytes:
    """Data as they stand in a file: a zero after each 0xFF, and restart markers between stretches."""
    pieces = []
    for index, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        if index:
            pieces.append(bytes([0xFF, 0xD0 + (index - 1) % 8]))
        pieces.append(raw[start:end].replace(b"\xff", b"\xff\x00"))
    return b"".join(pieces)
