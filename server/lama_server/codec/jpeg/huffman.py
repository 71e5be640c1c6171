"""Huffman tables of a JPEG: for reading, for writing, and with more symbols. (ITU-T T.81, Annex C.)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .refusal import NotPatchable

SHORT_BITS = 9
"""Codes up to this length, which are nearly all that occur, are found in a table that stays in the fastest cache."""

LOOKUP_SIZE = (1 << SHORT_BITS) + (1 << 16)
RUN_STEP = 128
COMMON_BITS = 13
_MAX_BITS = 16
_MOST_BITS_OF_AC = 10
_DHT = b"\xff\xc4"


@dataclass(frozen=True, slots=True)
class Table:
    """One Huffman table.

    body    as DHT holds it: how many codes there are of 1 to 16 bits, and the symbols in the order of their codes
    lookup  (LOOKUP_SIZE,) uint16: by the next 9 bits, then by the next 16; bits of the code << 8 | symbol, 0 = no code
    steps   the same with what an AC symbol does: rarity (bits of the code over COMMON_BITS) << 14 | all its bits << 9
            | whether it holds a coefficient << 8 | places to go on, or RUN_STEP | n for the end of 2^n blocks and more
    codes   (256,) int64: by symbol
    sizes   (256,) int64: bits of the code, 0 = the table lacks the symbol
    """

    body: bytes
    lookup: NDArray[np.uint16]
    steps: NDArray[np.uint16]
    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def keeps_codes_up_to(self, other: Table) -> int:
        """Up to how many bits all codes of the other table are in this one too; 16 = all of them."""
        changed = (other.sizes > 0) & ((self.codes != other.codes) | (self.sizes != other.sizes))
        return int(other.sizes[changed].min()) - 1 if changed.any() else _MAX_BITS


def tables_of(payload: bytes) -> Iterator[tuple[int, Table]]:
    """(number, table) of each table of a DHT segment: 0 to 3 are for DC, 4 to 7 for AC. Raises `NotPatchable`."""
    at = 0
    while at < len(payload):
        kind, number, total = payload[at] >> 4, payload[at] & 15, sum(payload[at + 1 : at + 17])
        end = at + 17 + total
        if kind > 1 or number > 3 or total > 256 or end > len(payload):
            raise NotPatchable("a Huffman table is not valid")
        yield 4 * kind + number, table_of(payload[at + 1 : end])
        at = end


def table_of(body: bytes) -> Table:
    """Raises `NotPatchable` when there are more codes than fit."""
    full, codes, sizes = np.zeros((2, 1 << _MAX_BITS), np.uint16), np.zeros(256, np.int64), np.zeros(256, np.int64)
    code, symbols = 0, iter(body[_MAX_BITS:])
    for size, count in enumerate(body[:_MAX_BITS], 1):
        for symbol in (next(symbols) for _ in range(count)):
            if code >= 1 << size:
                raise NotPatchable("a Huffman table holds more codes than there can be")
            span = slice(code << (_MAX_BITS - size), (code + 1) << (_MAX_BITS - size))
            full[:, span] = [[size << 8 | symbol], [_step(size, symbol)]]
            codes[symbol], sizes[symbol] = code, size
            code += 1
        code <<= 1
    short = full[:, :: 1 << (_MAX_BITS - SHORT_BITS)].copy()
    short[:, short[0] >> 8 > SHORT_BITS] = 0
    lookup, steps = np.concatenate([short, full], axis=1)
    return Table(body, lookup, steps, codes, sizes)


def with_symbols(table: Table, lacking: Sequence[int]) -> Table:
    """A table that has these symbols as well, with codes of 16 bits; as few of its own symbols as can be get others."""
    counts, symbols = list(table.body[:_MAX_BITS]), table.body[_MAX_BITS:]
    for stays in range(_MAX_BITS, 0, -1):
        room = (1 << _MAX_BITS) - sum(count << (_MAX_BITS - size) for size, count in enumerate(counts[:stays], 1))
        moved = sum(counts[stays:])
        if moved + len(lacking) < room:  # the code of ones stays free
            break
    if moved + len(lacking) > 255:
        raise NotPatchable("a Huffman table is full")
    counts[stays:] = [0] * (_MAX_BITS - stays)
    counts[-1] += moved + len(lacking)
    return table_of(bytes(counts) + symbols + bytes(lacking))


def segment_of(number: int, table: Table) -> bytes:
    """A DHT segment that defines one table."""
    return _DHT + (len(table.body) + 3).to_bytes(2) + bytes([(number >> 2) << 4 | number & 3]) + table.body


def _step(size: int, symbol: int) -> int:
    """What a symbol of AC with a code of `size` bits does, see `Table`; 0 for one that 8 bit files cannot have."""
    zeros, bits = symbol >> 4, symbol & 15
    if bits == 0 and zeros < 15:
        return max(0, size - COMMON_BITS) << 14 | (size + zeros) << 9 | RUN_STEP | zeros
    if bits > _MOST_BITS_OF_AC:
        return 0
    return max(0, size - COMMON_BITS) << 14 | (size + bits) << 9 | (bits > 0) << 8 | (zeros + 1)
