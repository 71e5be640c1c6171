"""Saves an edited JPEG by changing the blocks that the edit touched: all others keep their coefficients, for ever."""

from __future__ import annotations

import contextlib
import logging
import time

import numpy as np

from inpaint_models.errors import Unavailable

from ...errors import ImageError
from ..info import Edited, ImageLimits
from ..source import Bytes
from .blocks import Edit
from .coding import (
    Changes,
    Check,
    Coefficients,
    StripedScan,
    WrittenScan,
    coded_scan,
    is_as_wanted,
    read_scans,
    write_scan,
)
from .entropy import KERNELS
from .huffman import segment_of, tables_of
from .kept import kept
from .markers import DHT, Segment
from .refusal import NotPatchable
from .structure import ScanData, Structure, read_structure

log = logging.getLogger(__name__)

_SLOW_S = 2.0


def prepare() -> None:
    """Compiles the inner loops, or loads them where they were kept on disk; the first patch would do it otherwise."""
    began = time.monotonic()
    with contextlib.suppress(Unavailable):  # said when a file cannot be patched
        for kernel in KERNELS:
            kernel.prepare()
    taken_s = time.monotonic() - began
    if taken_s > _SLOW_S:
        log.warning("Compiled what patches JPEGs in %.0f s; it is kept for later starts.", taken_s)


def patch(data: Bytes, edited: Edited, orientation: int, check: Check, *, strip: bool = False) -> bytes:
    """The file with the edit in it: the same tables, scans and restart markers, and its metadata without pictures.

    orientation  of the file; its tag stays, as nothing is turned
    strip        leaves out metadata but for the colour profile and the orientation
    check        raises `Cancelled` when the result is no longer wanted

    The result is read again and compared, so that a fault of this module cannot damage a photo unnoticed. Raises
    `NotPatchable`.
    """
    try:
        structure = read_structure(data, ImageLimits())
        edit = Edit(edited, structure, orientation, check)
        scans, old = read_scans(data, structure, edit.changes, check)
        new = edit.new_coefficients(old)
        written = [write_scan(scan, edit.changes, new, check) for scan in scans]
        result = _assembled(data, structure, written, orientation, strip=strip)
        check()
        _verify(scans, written, result, edit.changes, new)
    except ImageError as error:
        raise NotPatchable("it is damaged") from error
    except Unavailable as error:
        raise NotPatchable("numba is not installed") from error
    return result


def _assembled(
    data: Bytes, structure: Structure, written: list[WrittenScan], orientation: int, *, strip: bool
) -> bytes:
    """The file. A Huffman table is defined where it stood, and before a scan that needs it otherwise.

    What stood somewhere and no scan needs any more is left out: with every edit there would be more of it.
    """
    out, in_force, scans = [b"\xff\xd8"], dict[int, bytes](), iter(written)
    needed = _needed_tables(data, structure, written)
    for piece in structure.pieces:
        if isinstance(piece, ScanData):
            scan = next(scans)
            for number, table in scan.tables.items():
                if in_force.get(number) != table.body:
                    in_force[number] = table.body
                    out.append(segment_of(number, table))
            out += [piece.header, scan.data]
            continue
        if piece.marker == DHT:
            if piece not in needed:
                continue
            in_force |= needed[piece]
        payload = bytes(data[piece.start : piece.end])
        result = kept(piece.marker, payload, orientation, strip=strip)
        if result is not None:
            out.append(bytes([0xFF, piece.marker]) + (len(result) + 2).to_bytes(2) + result)
    return b"".join([*out, b"\xff\xd9"])


def _needed_tables(data: Bytes, structure: Structure, written: list[WrittenScan]) -> dict[Segment, dict[int, bytes]]:
    """Number -> table, of each segment with a table that a scan needs as it stands there."""
    origin, tables, needed = dict[int, Segment](), dict[Segment, dict[int, bytes]](), set[Segment]()
    scans = iter(written)
    for piece in structure.pieces:
        if isinstance(piece, ScanData):
            for number, table in next(scans).tables.items():
                if number in origin and tables[origin[number]][number] == table.body:
                    needed.add(origin[number])
        elif piece.marker == DHT:
            found = tables_of(bytes(data[piece.start : piece.end]))
            tables[piece] = {number: table.body for number, table in found}
            origin |= dict.fromkeys(tables[piece], piece)
    return {piece: tables[piece] for piece in needed}


def _verify(
    scans: tuple[StripedScan, ...], written: list[WrittenScan], result: bytes, changes: Changes, new: Coefficients
) -> None:
    """Raises `NotPatchable` where a block is not what it should be."""
    structure, again = read_structure(result, ImageLimits()), np.zeros_like(new)
    for source, scan, found in zip(scans, written, structure.scans, strict=True):
        coded = coded_scan(result, structure, found)
        if not is_as_wanted(source, coded, scan.strips, changes, new, again):
            raise NotPatchable("a block that should stay changed")
    if not np.array_equal(again, new):
        raise NotPatchable("its scans cannot hold the new blocks")
