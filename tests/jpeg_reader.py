"""A slow and simple reader of a JPEG's coefficients, to check what the codec wrote without any of its code.

Bit by bit, with dictionaries, straight from ITU-T T.81: Annex B (markers), F.2 (sequential) and G.2 (progressive).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Codes = dict[tuple[int, int], int]
"""(bits, code) -> symbol."""


@dataclass
class Channel:
    """One component; `blocks` is (rows, columns, 64) in zigzag order, with those that fill up the last MCUs."""

    across: int
    down: int
    table: int
    blocks: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0, 64), np.int64))
    shown: tuple[int, int] = (0, 0)


@dataclass
class Picture:
    """What was read: `segments` are (marker, payload) up to the end, `tail` what follows it."""

    width: int = 0
    height: int = 0
    channels: dict[int, Channel] = field(default_factory=dict)
    segments: list[tuple[int, bytes]] = field(default_factory=list)
    tail: bytes = b""

    def shown_blocks(self) -> list[NDArray[np.int64]]:
        """(rows, columns, 64) of each channel, without blocks beyond the picture."""
        return [channel.blocks[: channel.shown[0], : channel.shown[1]] for channel in self.channels.values()]


class Bits:
    """The bits of a stretch of entropy-coded data."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data.replace(b"\xff\x00", b"\xff"))
        self._at = 0

    def take(self, count: int) -> int:
        if self._at + count > len(self._bits):
            raise ValueError("the data end too early")
        text = self._bits[self._at : self._at + count]
        self._at += count
        return int(text, 2) if count else 0

    def symbol(self, codes: Codes) -> int:
        code = 0
        for size in range(1, 17):
            code = code << 1 | self.take(1)
            if (size, code) in codes:
                return codes[size, code]
        raise ValueError("no code")

    def number(self, size: int) -> int:
        bits = self.take(size)
        return bits if size == 0 or bits >= 1 << (size - 1) else bits - (1 << size) + 1


def read(data: bytes) -> Picture:
    """Raises `ValueError`, `KeyError` or `IndexError` for what is damaged."""
    picture, at, interval = Picture(), 2, 0
    codes: dict[int, Codes] = {}
    while True:
        marker = data[at + 1]
        if data[at] != 0xFF:
            raise ValueError("no marker")
        if marker == 0xD9:
            picture.tail = data[at + 2 :]
            return picture
        size = int.from_bytes(data[at + 2 : at + 4])
        payload = data[at + 4 : at + 2 + size]
        picture.segments.append((marker, payload))
        at += 2 + size
        if marker in (0xC0, 0xC1, 0xC2):
            _frame(picture, payload)
        elif marker == 0xC4:
            codes |= _tables(payload)
        elif marker == 0xDD:
            interval = int.from_bytes(payload)
        elif marker == 0xDA:
            found = re.compile(rb"\xff[^\x00\xd0-\xd7]").search(data, at)
            assert found is not None
            _scan(picture, payload, re.split(rb"\xff[\xd0-\xd7]", data[at : found.start()]), codes, interval)
            at = found.start()


def _frame(picture: Picture, payload: bytes) -> None:
    picture.height, picture.width = struct.unpack(">HH", payload[1:5])
    for name, factors, table in struct.iter_unpack("BBB", payload[6:]):
        picture.channels[name] = Channel(factors >> 4, factors & 15, table)
    across, down = (max(getattr(c, side) for c in picture.channels.values()) for side in ("across", "down"))
    for channel in picture.channels.values():
        mcus = -(-picture.height // (8 * down)), -(-picture.width // (8 * across))
        channel.blocks = np.zeros((mcus[0] * channel.down, mcus[1] * channel.across, 64), np.int64)
        samples = -(-picture.height * channel.down // down), -(-picture.width * channel.across // across)
        channel.shown = -(-samples[0] // 8), -(-samples[1] // 8)


def _tables(payload: bytes) -> dict[int, Codes]:
    found, at = {}, 0
    while at < len(payload):
        codes: Codes = {}
        code, symbol = 0, at + 17
        for size in range(1, 17):
            for _ in range(payload[at + size]):
                codes[size, code] = payload[symbol]
                code, symbol = code + 1, symbol + 1
            code <<= 1
        found[payload[at]] = codes
        at = symbol
    return found


def _scan(picture: Picture, header: bytes, stretches: list[bytes], codes: dict[int, Codes], interval: int) -> None:
    chosen = [(picture.channels[name], table) for name, table in struct.iter_unpack("BB", header[1:-3])]
    first, last, high, low = header[-3], header[-2], header[-1] >> 4, header[-1] & 15
    mcus = list(_mcus(picture, chosen))
    interval = interval or len(mcus)
    progressive = any(marker == 0xC2 for marker, _ in picture.segments)
    for index, stretch in enumerate(stretches):
        bits, run, previous = Bits(stretch), 0, dict.fromkeys(map(id, (c for c, _ in chosen)), 0)
        for mcu in mcus[index * interval : (index + 1) * interval]:
            for channel, table, row, column in mcu:
                block = channel.blocks[row, column]
                if first == 0:
                    if high:
                        block[0] |= bits.take(1) << low
                    else:
                        previous[id(channel)] += bits.number(bits.symbol(codes[table >> 4]))
                        block[0] = previous[id(channel)] << low
                if last:
                    ac = codes[16 | table & 15]
                    run = _ac(bits, block, ac, max(first, 1), last, high, low, run, progressive=progressive)


def _mcus(picture: Picture, chosen: list[tuple[Channel, int]]) -> Iterator[list[tuple[Channel, int, int, int]]]:
    """For each MCU its blocks: (channel, tables, row, column)."""
    if len(chosen) == 1:
        channel, table = chosen[0]
        for row in range(channel.shown[0]):
            for column in range(channel.shown[1]):
                yield [(channel, table, row, column)]
        return
    rows, columns = (
        chosen[0][0].blocks.shape[0] // chosen[0][0].down,
        chosen[0][0].blocks.shape[1] // chosen[0][0].across,
    )
    for y in range(rows):
        for x in range(columns):
            yield [
                (channel, table, y * channel.down + dy, x * channel.across + dx)
                for channel, table in chosen
                for dy in range(channel.down)
                for dx in range(channel.across)
            ]


def _ac(
    bits: Bits, block: NDArray[np.int64], codes: Codes, first: int, last: int, high: int, low: int, run: int,
    *, progressive: bool,
) -> int:  # fmt: skip
    """Reads the AC coefficients of a block; returns how many blocks after it have no more."""
    k = first
    while k <= last and run == 0:
        zeros, size = divmod(bits.symbol(codes), 16)
        if size == 0 and zeros < 15:
            run = (1 << zeros) + bits.take(zeros)
            if run > 1 and not progressive:
                raise ValueError("a run in a sequential scan")
            break
        value = bits.number(size) if not high else (2 * bits.take(1) - 1 if size else 0)
        while zeros or (high and block[k]):
            if high and block[k]:
                _refine(bits, block, k, low)
            else:
                zeros -= 1
            k += 1
        if k > last:
            raise ValueError("a run beyond the block")
        block[k] = value << low
        k += 1
    if run == 0:
        return 0
    for rest in range(k, last + 1):
        if high and block[rest]:
            _refine(bits, block, rest, low)
    return run - 1


def _refine(bits: Bits, block: NDArray[np.int64], k: int, low: int) -> None:
    if bits.take(1):
        block[k] += 1 << low if block[k] > 0 else -(1 << low)
