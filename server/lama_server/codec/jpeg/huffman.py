"""Huffman tables of a JPEG: for reading, for writing, and the best one for given counts. (ITU-T T.81, Annex C, K.2.)"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .refusal import NotPatchable

SHORT_BITS = 9
"""Codes up to this length, which are nearly all that occur, are found in a table that stays in the fastest cache."""

LOOKUP_SIZE = (1 << SHORT_BITS) + (1 << 16)
RUN_STEP = 128
_MAX_BITS = 16
_DHT = b"\xff\xc4"


@dataclass(frozen=True, slots=True)
class Table:
    """One Huffman table.

    body    as DHT holds it: how many codes there are of 1 to 16 bits, and the symbols in the order of their codes
    lookup  (LOOKUP_SIZE,) uint16: by the next 9 bits, then by the next 16; bits of the code << 8 | symbol, 0 = no code
    steps   the same with what an AC symbol does: all its bits << 9 | whether it holds a coefficient << 8 | places to go
            on, or RUN_STEP | n for the end of 2^n blocks and more
    codes   (256,) int64: by symbol
    sizes   (256,) int64: bits of the code, 0 = the table lacks the symbol
    """

    body: bytes
    lookup: NDArray[np.uint16]
    steps: NDArray[np.uint16]
    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def has_the_codes_of(self, other: Table) -> bool:
        """Whether all that was written with the other table can be read with this one."""
        there = other.sizes > 0
        return np.array_equal(self.codes[there], other.codes[there]) and np.array_equal(
            self.sizes[there], other.sizes[there]
        )


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
    """A table that has these symbols as well: with longer codes if there is room for them, else with all codes anew."""
    counts = list(table.body[:_MAX_BITS])
    code, longest = 0, max(size for size in range(1, 17) if counts[size - 1])
    for size, count in enumerate(counts, 1):
        if size >= longest and (1 << size) - 1 - code - count >= len(lacking):
            counts[size - 1] += len(lacking)
            return table_of(bytes(counts) + table.body[_MAX_BITS:] + bytes(lacking))
        code = (code + count) << 1
    weights = np.where(table.sizes > 0, 1 << (_MAX_BITS - table.sizes), 0)
    weights[list(lacking)] = 1
    return best_table(weights)


def best_table(counts: NDArray[np.int64]) -> Table:
    """The table that makes symbols of these (256,) counts shortest: no code over 16 bits, none of ones only."""
    weights = counts.copy()
    while max(lengths := _code_lengths(weights)) > _MAX_BITS:
        weights = (weights + 1) >> 1
    order = sorted((length, symbol) for symbol, length in enumerate(lengths[:256]) if length)
    per_size = np.bincount([length for length, _ in order], minlength=_MAX_BITS + 1)[1:]
    return table_of(bytes(per_size.tolist()) + bytes(symbol for _, symbol in order))


def segment_of(number: int, table: Table) -> bytes:
    """A DHT segment that defines one table."""
    return _DHT + (len(table.body) + 3).to_bytes(2) + bytes([(number >> 2) << 4 | number & 3]) + table.body


def _step(size: int, symbol: int) -> int:
    """What a symbol of AC with a code of `size` bits does, see `Table`."""
    zeros, bits = symbol >> 4, symbol & 15
    if bits == 0 and zeros < 15:
        return (size + zeros) << 9 | RUN_STEP | zeros
    return (size + bits) << 9 | (bits > 0) << 8 | (zeros + 1)


def _code_lengths(weights: NDArray[np.int64]) -> list[int]:
    """Bits of Huffman's code for each symbol; symbol 256 stands for the code of ones, which must stay free."""
    lengths = [0] * 257
    heap = [(int(weights[symbol]), -symbol, [symbol]) for symbol in np.flatnonzero(weights).tolist()]
    heapq.heapify(heap)
    heapq.heappush(heap, (0, -256, [256]))
    while len(heap) > 1:
        (first, _, members), (second, order, others) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in members + others:
            lengths[symbol] += 1
        heapq.heappush(heap, (first + second, order, members + others))
    return lengths
