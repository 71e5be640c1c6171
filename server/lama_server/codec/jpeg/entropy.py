"""The inner loops that read and write entropy-coded scans, compiled. (ITU-T T.81, Annexes F.1, F.2, G.1 and G.2.)

A scan is handled in *strips* of a few MCUs. A strip begins where no run of empty blocks is under way, so that its bits
can be copied as they are when no block in it changed. Most of a scan is only skipped, to find its strips; what an edit
touches is read to levels.

*Levels* are what a scan says of a block: in a first scan the coefficients without the low bits that come later; in one
that refines AC coefficients 1 or -1 where one ceases to be 0, and 2 + the next bit where it was none before.
"""

from __future__ import annotations

import numpy as np

from inpaint_models.machine.compiled import Array, Number, inlined, kernel

from .huffman import RUN_STEP, SHORT_BITS
from .structure import AC_FIRST, AC_REFINE, DC_FIRST, DC_REFINE, SEQUENTIAL

KIND, FIRST, LAST, SHIFT, COLUMNS, MCUS, INTERVAL, SCAN_FIELDS = range(8)
"""Fields that describe a scan. INTERVAL is all MCUs where there are no restart markers."""

BASE, STRIDE, ACROSS, DOWN, DC_TABLE, AC_TABLE, PART_FIELDS = range(7)
"""Fields that describe a channel of a scan."""

MCU, POS, END, TOUCHED, PRED, RARITY, STRIP_FIELDS = 0, 1, 2, 3, 4, 8, 9
"""Fields of a strip: its first MCU and bit, the bit after it, whether a block in it is to be changed or was written
anew, DC of the block before it for each channel, and the rarity of its AC codes: no less than that of the longest."""

NEXT_STRIP, RUN, READ_FIELDS = 2, 3, 8
"""State of a reader, with the fields MCU, POS and PRED of a strip: strips begun, blocks of a run still to come. A POS
of -1 says that the data are damaged."""

WRITTEN, BITS, BIT_COUNT, WORDS, EMITTED, PENDING, HELD, OUT_PRED, WRITE_FIELDS = 0, 1, 2, 3, 4, 5, 6, 7, 11
"""State of a writer: strips written, bits that fill no word yet and their number, words in `out`, words taken from it
before, a run of empty blocks that is not written yet, bits that follow it, and DC of the last block by channel."""

STRIP_MCUS = 32
"""A strip is longer where a run of empty blocks is, and shorter where restart markers stand closer."""

BLOCK_BYTES = 212
"""No block takes more: 16 + 11 bits for DC and 63 times 16 + 10 for AC."""

SPARE_BYTES = 64

PADDING_WORDS = 10 * BLOCK_BYTES // 4 + 8
"""What an MCU can read beyond the end of damaged data."""

MOST_DC = 2047
LONGEST_RUN = 0x7FFF
HELD_BLOCKS = 1023

_WEIGHTS = np.random.default_rng(64).integers(-(2**63), 2**63, 65) | 1
_MIX = _WEIGHTS[64]
"""What digests are made with: any odd numbers."""


@inlined
def _window(words: Array, pos: Number) -> Number:
    """The next 33 bits or more, from the top of 64."""
    at = pos >> 5
    return ((np.int64(words[at]) << 32) | np.int64(words[at + 1])) << (pos & 31)


@inlined
def _top(window: Number, count: Number) -> Number:
    """The first `count` (0 to 16) bits of a window."""
    return (window >> 1 >> (63 - count)) & ((1 << count) - 1)


@inlined
def _entry(tables: Array, table: Number, window: Number) -> Number:
    """Of a `lookup` or `steps`; 0 = no code."""
    entry = np.int64(tables[table, (window >> (64 - SHORT_BITS)) & ((1 << SHORT_BITS) - 1)])
    return entry if entry else np.int64(tables[table, (1 << SHORT_BITS) + ((window >> 48) & 0xFFFF)])


@inlined
def _difference(window: Number, entry: Number) -> Number:
    """The signed number after a code of DC (its symbol is the number's size) or AC. (F.2.2.1, EXTEND.)"""
    size = entry & 15
    bits = _top(window << (entry >> 8), size)
    return bits if size == 0 or bits >> (size - 1) else bits - (1 << size) + 1


@inlined
def _ones(bits: Number) -> Number:
    """How many bits are set."""
    count = bits - ((bits >> 1) & 0x5555555555555555)
    count = (count & 0x3333333333333333) + ((count >> 2) & 0x3333333333333333)
    count = (count + (count >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (count * 0x0101010101010101 >> 56) & 0xFF


@inlined
def _begin_strip(scan: Array, ends: Array, state: Array, strips: Array, mcu: Number, pos: Number) -> Number:
    """Notes where a strip begins, in the next stretch of data where a restart marker stands. Returns its first bit."""
    strip, stretch = state[NEXT_STRIP], mcu // scan[INTERVAL]
    if strip > 0:
        strips[strip - 1, END] = pos
    if mcu == stretch * scan[INTERVAL]:
        pos = ends[stretch - 1] * 8 if stretch > 0 else 0
        for channel in range(4):
            state[PRED + channel] = 0
    for channel in range(4):
        strips[strip, PRED + channel] = state[PRED + channel]
    strips[strip, MCU], strips[strip, POS] = mcu, pos
    state[NEXT_STRIP] = strip + 1
    return pos


@inlined
def _skip_ac(
    words: Array, steps: Array, table: Number, pos: Number, first: Number, last: Number
) -> tuple[Number, Number, Number, Number]:
    """(next bit or -1, length of a run of empty blocks that begins with the rest of this, its levels not 0, rarity)."""
    k, found, run, rarity = first, np.int64(0), np.int64(0), np.int64(0)
    while k <= last:
        window = _window(words, pos)
        entry = _entry(steps, table, window)
        bits, step, rarity = (entry >> 9) & 31, entry & 0xFF, rarity | entry >> 14
        if step >= RUN_STEP:
            power = step - RUN_STEP
            run = (np.int64(1) << power) + _top(window << (bits - power), power)
            pos += bits
            break
        k += step
        if entry == 0 or k > last + 1:
            return np.int64(-1), run, found, rarity
        pos += bits
        found |= ((entry >> 8) & 1) << (k - 1)
    return pos, run, found, rarity


@inlined
def _skip_refined(
    words: Array, steps: Array, table: Number, pos: Number, first: Number, last: Number, before: Number, run: Number
) -> tuple[Number, Number, Number, Number]:
    """As `_skip_ac`, for a scan that has another bit for each level that was not 0 `before`; `run` is under way."""
    band, found, rarity = (np.int64(2) << last) - (np.int64(1) << first), np.int64(0), np.int64(0)
    rest = band
    while run == 0 and rest:
        window = _window(words, pos)
        entry = _entry(steps, table, window)
        bits, step, rarity = (entry >> 9) & 31, entry & 0xFF, rarity | entry >> 14
        pos += bits
        if step >= RUN_STEP:
            power = step - RUN_STEP
            run = (np.int64(1) << power) + _top(window << (bits - power), power)
            break
        free = rest & ~before
        for _ in range(step - 1):
            free &= free - 1
        new = free & -free
        passed = rest & (new - 1) if new else rest
        if entry == 0 or (new == 0 and (entry >> 8) & 1):
            return np.int64(-1), run, found, rarity
        found |= new if (entry >> 8) & 1 else 0
        pos += _ones(passed & before)
        rest &= ~(passed | new)
    if run > 0:
        pos += _ones(rest & before)
    return pos, run, found, rarity


@inlined
def _skip_block(
    words: Array, tables: Array, steps: Array, kind: Number, parts: Array, channel: Number, state: Array, pos: Number
) -> tuple[Number, Number]:
    """(the bit after a block of a scan that holds DC, -1 where it is damaged; rarity)."""
    rarity = np.int64(0)
    if kind == DC_REFINE:
        return pos + 1, rarity
    window = _window(words, pos)
    entry = _entry(tables, parts[channel, DC_TABLE], window)
    if entry == 0 or entry & 0xFF > 11:
        return np.int64(-1), rarity
    state[PRED + channel] += _difference(window, entry)
    pos += (entry >> 8) + (entry & 0xFF)
    if abs(state[PRED + channel]) > MOST_DC:
        return np.int64(-1), rarity
    if kind == SEQUENTIAL:
        pos, run, _, rarity = _skip_ac(words, steps, parts[channel, AC_TABLE], pos, 1, 63)
        if run > 1:
            pos = np.int64(-1)
    return pos, rarity


@kernel(
    "void(uint32[::1], int64[::1], uint16[:, ::1], uint16[:, ::1], int64[::1], int64[:, ::1], int32[::1],"
    " int64[:, ::1], int64[::1], int64)"
)
def skip_mcus(
    words: Array, ends: Array, tables: Array, steps: Array, scan: Array, parts: Array, slots: Array, strips: Array,
    state: Array, until: Number,
) -> None:  # fmt: skip
    """Skips MCUs from state[MCU] up to `until`, for scans that hold DC.

    words, ends    the data without stuffing as big-endian words, and the byte at which each stretch of them ends
    tables, steps  of each Huffman table
    slots          block -> its row in arrays of coefficients, -1 = not to be changed
    strips         gets the strips
    """
    kind, pos, mcu = scan[KIND], state[POS], state[MCU]
    while mcu < until and pos >= 0:
        if mcu % STRIP_MCUS == 0 or mcu % scan[INTERVAL] == 0:
            pos = _begin_strip(scan, ends, state, strips, mcu, pos)
        for channel in range(parts.shape[0]):
            stride, across = parts[channel, STRIDE], parts[channel, ACROSS]
            corner = parts[channel, BASE] + mcu // scan[COLUMNS] * parts[channel, DOWN] * stride
            corner += mcu % scan[COLUMNS] * across
            for row in range(corner, corner + parts[channel, DOWN] * stride, stride):
                for number in range(row, row + across):
                    if slots[number] >= 0:
                        strips[state[NEXT_STRIP] - 1, TOUCHED] = 1
                    if pos >= 0:
                        pos, rarity = _skip_block(words, tables, steps, kind, parts, channel, state, pos)
                        strips[state[NEXT_STRIP] - 1, RARITY] |= rarity
        if pos > ends[mcu // scan[INTERVAL]] * 8:
            pos = np.int64(-1)
        mcu += 1
    state[MCU], state[POS] = mcu, pos


@kernel(
    "void(uint32[::1], int64[::1], uint16[:, ::1], int64[::1], int64[:, ::1], int32[::1], int64[::1], int64[::1],"
    " int64[:, ::1], int64[::1], int64)"
)
def skip_bands(
    words: Array, ends: Array, steps: Array, scan: Array, parts: Array, slots: Array, before: Array, after: Array,
    strips: Array, state: Array, until: Number,
) -> None:  # fmt: skip
    """As `skip_mcus`, for scans of AC alone, which hold one channel.

    before, after  block of the channel -> which of its levels are not 0 before and after this scan; may be empty
    """
    table, refines, first, last = parts[0, AC_TABLE], scan[KIND] == AC_REFINE, scan[FIRST], scan[LAST]
    pos, run, mcu, following = state[POS], state[RUN], state[MCU], state[MCU]
    while mcu < until and pos >= 0:
        row, column = mcu // scan[COLUMNS], mcu % scan[COLUMNS]
        if mcu % scan[INTERVAL] == 0 or (mcu >= following and run == 0):
            pos = _begin_strip(scan, ends, state, strips, mcu, pos) if run == 0 else np.int64(-1)
            following = mcu + STRIP_MCUS
        number = row * parts[0, STRIDE] + column
        if slots[parts[0, BASE] + number] >= 0:
            strips[state[NEXT_STRIP] - 1, TOUCHED] = 1
        known, found, rarity = np.int64(0), np.int64(0), np.int64(0)
        if pos >= 0 and refines:
            known = before[number]
            pos, run, found, rarity = _skip_refined(words, steps, table, pos, first, last, known, run)
        elif pos >= 0 and run == 0:
            pos, run, found, rarity = _skip_ac(words, steps, table, pos, first, last)
        strips[state[NEXT_STRIP] - 1, RARITY] |= rarity
        if after.size:
            after[number] |= known | found
        if run > 0:
            run -= 1
        if pos > ends[mcu // scan[INTERVAL]] * 8:
            pos = np.int64(-1)
        mcu += 1
    state[MCU], state[POS], state[RUN] = mcu, pos, run


@inlined
def _read_dc(words: Array, tables: Array, table: Number, state: Array, channel: Number, level: Array) -> None:
    window = _window(words, state[POS])
    entry = _entry(tables, table, window)
    state[PRED + channel] += _difference(window, entry)
    state[POS] += (entry >> 8) + (entry & 0xFF)
    level[0] = state[PRED + channel]


@inlined
def _read_ac(
    words: Array, tables: Array, table: Number, state: Array, first: Number, last: Number, level: Array
) -> None:
    """The AC levels of a block. Sets RUN when a run of empty blocks begins with its rest."""
    k = first
    while k <= last:
        window = _window(words, state[POS])
        entry = _entry(tables, table, window)
        used, zeros, size = entry >> 8, (entry >> 4) & 15, entry & 15
        if size == 0 and zeros < 15:
            state[RUN] = (1 << zeros) + _top(window << used, zeros)
            state[POS] += used + zeros
            return
        k += zeros
        if size and k <= last:
            level[k] = _difference(window, entry)
        state[POS] += used + size
        k += 1


@inlined
def _read_next_bits(words: Array, state: Array, known: Number, first: Number, stop: Number, level: Array) -> None:
    """The next bit of each level that is not 0."""
    for k in range(first, stop):
        if (known >> k) & 1:
            level[k] = 2 + _top(_window(words, state[POS]), 1)
            state[POS] += 1


@inlined
def _read_refined(
    words: Array, tables: Array, table: Number, state: Array, first: Number, last: Number, known: Number, level: Array
) -> None:
    """As `_read_ac`, with another bit for each level that was not 0 before."""
    k = first
    while k <= last and state[RUN] == 0:
        window = _window(words, state[POS])
        entry = _entry(tables, table, window)
        used, zeros, size = entry >> 8, (entry >> 4) & 15, entry & 15
        if size == 0 and zeros < 15:
            state[RUN] = (1 << zeros) + _top(window << used, zeros)
            state[POS] += used + zeros
            break
        state[POS] += used + size
        stop = k
        while stop <= last and (zeros > 0 or (known >> stop) & 1):
            zeros -= 1 - ((known >> stop) & 1)
            stop += 1
        _read_next_bits(words, state, known, k, stop, level)
        if size and stop <= last:
            level[stop] = 2 * _top(window << used, 1) - 1
        k = stop + 1
    if state[RUN] > 0:
        _read_next_bits(words, state, known, k, last + 1, level)


@inlined
def _read_block(
    words: Array, tables: Array, scan: Array, parts: Array, state: Array, channel: Number, known: Number, level: Array
) -> None:
    """The levels of a block that was skipped before, and so is known to be whole."""
    kind = scan[KIND]
    for k in range(scan[FIRST], scan[LAST] + 1):
        level[k] = 0
    if kind == DC_REFINE:
        level[0] = _top(_window(words, state[POS]), 1)
        state[POS] += 1
    elif kind <= DC_FIRST:
        _read_dc(words, tables, parts[channel, DC_TABLE], state, channel, level)
    if kind == AC_REFINE:
        _read_refined(words, tables, parts[channel, AC_TABLE], state, scan[FIRST], scan[LAST], known, level)
    elif state[RUN] == 0 and kind in (SEQUENTIAL, AC_FIRST):
        _read_ac(words, tables, parts[channel, AC_TABLE], state, max(scan[FIRST], 1), scan[LAST], level)
    if state[RUN] > 0:
        state[RUN] -= 1


@inlined
def _keep(scan: Array, level: Array, coefficients: Array, slot: Number) -> None:
    """Puts the levels of a block into its coefficients."""
    kind, shift = scan[KIND], scan[SHIFT]
    for k in range(scan[FIRST], scan[LAST] + 1):
        if kind == DC_REFINE:
            coefficients[slot, k] |= level[k] << shift
        elif kind == AC_REFINE and level[k] > 1:
            bit = (level[k] - 2) << shift
            coefficients[slot, k] += bit if coefficients[slot, k] > 0 else -bit
        elif kind != AC_REFINE or level[k]:
            coefficients[slot, k] = level[k] << shift


@inlined
def _levels(scan: Array, coefficients: Array, slot: Number, level: Array) -> None:
    """What a scan says of a block with these coefficients."""
    kind, shift = scan[KIND], scan[SHIFT]
    for k in range(scan[FIRST], scan[LAST] + 1):
        value = np.int64(coefficients[slot, k])
        size = abs(value) >> shift
        if k == 0:
            level[k] = (value >> shift) & 1 if kind == DC_REFINE else value >> shift
        elif kind == AC_REFINE and size > 1:
            level[k] = 2 + (size & 1)
        else:
            level[k] = size if value > 0 else -size


@inlined
def _block_number(scan: Array, parts: Array, channel: Number, mcu: Number, sub: Number) -> Number:
    """Of block `sub` of an MCU, among those of its channel."""
    across = parts[channel, ACROSS]
    row = mcu // scan[COLUMNS] * parts[channel, DOWN] + sub // across
    return row * parts[channel, STRIDE] + mcu % scan[COLUMNS] * across + sub % across


@kernel(
    "void(uint32[::1], uint16[:, ::1], int64[::1], int64[:, ::1], int32[::1], int64[::1], int16[:, ::1],"
    " int64[:, ::1], int64[::1], int64[::1])"
)
def read_strips(
    words: Array, tables: Array, scan: Array, parts: Array, slots: Array, before: Array, coefficients: Array,
    strips: Array, chosen: Array, digests: Array,
) -> None:  # fmt: skip
    """Reads the `chosen` strips, by their numbers.

    coefficients  gets what the scan says of the blocks that are to be changed
    digests       gets a number for each strip, made of all its other blocks; 0 where it does not end as it should
    """
    level, state = np.zeros(64, np.int64), np.zeros(READ_FIELDS, np.int64)
    for index in range(chosen.size):
        strip, digest = chosen[index], np.int64(1)
        stop = strips[strip + 1, MCU] if strip + 1 < strips.shape[0] else scan[MCUS]
        for field in range(READ_FIELDS):
            state[field] = strips[strip, field]
        state[RUN] = 0
        for mcu in range(state[MCU], stop):
            for channel in range(parts.shape[0]):
                for sub in range(parts[channel, ACROSS] * parts[channel, DOWN]):
                    number = _block_number(scan, parts, channel, mcu, sub)
                    slot = slots[parts[channel, BASE] + number]
                    known = before[number] if scan[KIND] == AC_REFINE else np.int64(0)
                    if state[POS] <= strips[strip, END]:
                        _read_block(words, tables, scan, parts, state, channel, known, level)
                    if slot >= 0:
                        _keep(scan, level, coefficients, slot)
                        continue
                    mixed = np.int64(0)
                    for k in range(scan[FIRST], scan[LAST] + 1):
                        mixed += level[k] * _WEIGHTS[k]
                    digest = (digest ^ mixed) * _MIX
        whole = state[POS] == strips[strip, END] and state[RUN] == 0
        if stop < scan[MCUS] and stop % scan[INTERVAL]:
            for channel in range(4):
                whole = whole and state[PRED + channel] == strips[strip + 1, PRED + channel]
        digests[index] = digest | 1 if whole else 0


@kernel("void(uint32[::1], int64[:, ::1], uint32[::1], int64[:, ::1], uint8[::1])")
def compare_strips(words: Array, strips: Array, other_words: Array, others: Array, same: Array) -> None:
    """Sets same[strip] to 0 unless both have the same bits after the same DC."""
    for strip in range(strips.shape[0]):
        pos, end, at = strips[strip, POS], strips[strip, END], others[strip, POS]
        equal = same[strip] and end - pos == others[strip, END] - at
        for channel in range(4):
            equal = equal and strips[strip, PRED + channel] == others[strip, PRED + channel]
        while equal and pos < end:
            differing = _window(words, pos) ^ _window(other_words, at)
            equal = ((differing >> 32) & 0xFFFFFFFF) >> (32 - min(end - pos, 32)) == 0
            pos, at = pos + 32, at + 32
        same[strip] = equal


@inlined
def _put(out: Array, state: Array, value: Number, size: Number) -> None:
    """Writes `size` (0 to 32) bits."""
    bits, count = (state[BITS] << size) | value, state[BIT_COUNT] + size
    if count >= 32:
        count -= 32
        out[state[WORDS]] = bits >> count
        state[WORDS] += 1
    state[BITS], state[BIT_COUNT] = bits & ((np.int64(1) << count) - 1), count


@inlined
def _put_symbol(
    out: Array, state: Array, codes: Array, counts: Array, table: Number, symbol: Number, value: Number, size: Number
) -> None:
    """Writes a symbol's code and `size` (0 to 15) bits after it; a symbol without a code is only counted."""
    counts[table, symbol] += 1
    code = codes[table, symbol]
    _put(out, state, (code & 0xFFFF) << size | (value & ((1 << size) - 1)), (code >> 16) + size)


@inlined
def _put_next_bits(out: Array, state: Array, value: Number, size: Number) -> None:
    """Writes up to 63 bits."""
    _put(out, state, (value >> 32) & 0x7FFFFFFF, max(size - 32, 0))
    _put(out, state, value & 0xFFFFFFFF, min(size, 32))


@inlined
def _size(value: Number) -> Number:
    """Bits of a number without its sign."""
    size, rest = 0, abs(value)
    while rest:
        rest >>= 1
        size += 1
    return size


@inlined
def _put_run(out: Array, state: Array, codes: Array, counts: Array, held: Array, table: Number) -> None:
    """Writes the run of empty blocks that is pending, with the bits that belong to it."""
    size = _size(state[PENDING]) - 1
    _put_symbol(out, state, codes, counts, table, size << 4, state[PENDING], size)
    for index in range(state[HELD]):
        _put_next_bits(out, state, held[0, index], held[1, index])
    state[PENDING] = state[HELD] = 0


@inlined
def _put_ac(
    out: Array, state: Array, codes: Array, counts: Array, held: Array, table: Number, scan: Array, level: Array
) -> None:
    zeros = 0
    for k in range(max(scan[FIRST], 1), scan[LAST] + 1):
        if level[k] == 0:
            zeros += 1
            continue
        if state[PENDING] > 0:
            _put_run(out, state, codes, counts, held, table)
        while zeros > 15:
            _put_symbol(out, state, codes, counts, table, 0xF0, 0, 0)
            zeros -= 16
        size = _size(level[k])
        _put_symbol(out, state, codes, counts, table, zeros << 4 | size, level[k] - (level[k] < 0), size)
        zeros = 0
    state[PENDING] += zeros > 0


@inlined
def _put_refined(
    out: Array, state: Array, codes: Array, counts: Array, held: Array, table: Number, scan: Array, level: Array
) -> None:
    """The next bits of levels that were not 0 wait until the block's next symbol, or its end, is written."""
    zeros, waiting, count, newest = 0, np.int64(0), 0, 0
    for k in range(scan[FIRST], scan[LAST] + 1):
        if abs(level[k]) == 1:
            newest = k
    for k in range(scan[FIRST], scan[LAST] + 1):
        if level[k] == 0:
            zeros += 1
            continue
        while (zeros > 15 and k <= newest) or abs(level[k]) == 1:
            if state[PENDING] > 0:
                _put_run(out, state, codes, counts, held, table)
            sized = zeros <= 15
            symbol = zeros << 4 | 1 if sized else 0xF0
            _put_symbol(out, state, codes, counts, table, symbol, np.int64(level[k] > 0), np.int64(sized))
            _put_next_bits(out, state, waiting, count)
            zeros, waiting, count = zeros - 16, np.int64(0), 0
            if sized:
                zeros = 0
                break
        if level[k] > 1:
            waiting, count = waiting << 1 | (level[k] - 2), count + 1
    if zeros or count:
        held[0, state[HELD]], held[1, state[HELD]] = waiting, count
        state[HELD] += count > 0
        state[PENDING] += 1


@inlined
def _put_block(
    out: Array, state: Array, codes: Array, counts: Array, held: Array, scan: Array, parts: Array, channel: Number,
    level: Array,
) -> None:  # fmt: skip
    kind, table = scan[KIND], parts[channel, AC_TABLE]
    if kind == DC_REFINE:
        _put(out, state, level[0], 1)
    elif kind <= DC_FIRST:
        difference = level[0] - state[OUT_PRED + channel]
        state[OUT_PRED + channel] = level[0]
        size = _size(difference)
        _put_symbol(out, state, codes, counts, parts[channel, DC_TABLE], size, difference - (difference < 0), size)
    if kind == AC_REFINE:
        _put_refined(out, state, codes, counts, held, table, scan, level)
    elif kind in (SEQUENTIAL, AC_FIRST):
        _put_ac(out, state, codes, counts, held, table, scan, level)
    if state[PENDING] > 0 and (kind == SEQUENTIAL or state[PENDING] == LONGEST_RUN or state[HELD] == HELD_BLOCKS):
        _put_run(out, state, codes, counts, held, table)


@inlined
def _put_copy(words: Array, pos: Number, end: Number, out: Array, state: Array) -> None:
    """Writes the bits from `pos` up to `end` as they are."""
    bits, count, at = state[BITS], state[BIT_COUNT], state[WORDS]
    while end - pos >= 32:
        bits = (bits << 32) | ((_window(words, pos) >> 32) & 0xFFFFFFFF)
        out[at] = bits >> count
        bits &= (np.int64(1) << count) - 1
        pos, at = pos + 32, at + 1
    state[BITS], state[WORDS] = bits, at
    _put(out, state, ((_window(words, pos) >> 32) & 0xFFFFFFFF) >> (32 - (end - pos)), end - pos)


@inlined
def _end_stretch(out: Array, state: Array, out_ends: Array, stretch: Number) -> None:
    """Fills up the last byte before a restart marker, or the scan's end, with ones."""
    missing = -state[BIT_COUNT] & 7
    _put(out, state, (1 << missing) - 1, missing)
    out_ends[stretch] = (state[EMITTED] + state[WORDS]) * 4 + state[BIT_COUNT] // 8
    for channel in range(4):
        state[OUT_PRED + channel] = 0


@inlined
def _put_mcu(
    words: Array, tables: Array, codes: Array, scan: Array, parts: Array, slots: Array, before: Array,
    coefficients: Array, counts: Array, out: Array, held: Array, state: Array, reader: Array, level: Array, mcu: Number,
) -> None:  # fmt: skip
    """Reads an MCU and writes it, with the new coefficients of blocks that are to be changed."""
    for channel in range(parts.shape[0]):
        for sub in range(parts[channel, ACROSS] * parts[channel, DOWN]):
            number = _block_number(scan, parts, channel, mcu, sub)
            slot = slots[parts[channel, BASE] + number]
            known = before[number] if scan[KIND] == AC_REFINE else np.int64(0)
            _read_block(words, tables, scan, parts, reader, channel, known, level)
            if slot >= 0:
                _levels(scan, coefficients, slot, level)
            _put_block(out, state, codes, counts, held, scan, parts, channel, level)


@kernel(
    "void(uint32[::1], uint16[:, ::1], int64[:, ::1], int64[::1], int64[:, ::1], int32[::1], int64[::1],"
    " int16[:, ::1], int64[:, ::1], int64[:, ::1], int64[:, ::1], uint32[::1], int64[::1], int64[:, ::1], int64[::1],"
    " uint8[::1])"
)
def write_strips(
    words: Array, tables: Array, codes: Array, scan: Array, parts: Array, slots: Array, before: Array,
    coefficients: Array, strips: Array, written: Array, counts: Array, out: Array, out_ends: Array, held: Array,
    state: Array, may_copy: Array,
) -> None:  # fmt: skip
    """Writes strips from state[WRITTEN] on, as many as `out` has room for.

    codes         (8, 256): by table and symbol, size of the code << 16 | code
    coefficients  what blocks that are to be changed become
    written       gets the strips as they are in `out`
    counts        (8, 256) gets how often each symbol is needed, but in strips that are copied
    out_ends      gets the byte at which each stretch ends
    may_copy      which strips can be copied, if the DC before them did not change
    """
    level, reader = np.zeros(64, np.int64), np.zeros(READ_FIELDS, np.int64)
    blocks = 0
    for channel in range(parts.shape[0]):
        blocks += parts[channel, ACROSS] * parts[channel, DOWN]
    for strip in range(state[WRITTEN], strips.shape[0]):
        last = strip + 1 == strips.shape[0]
        first, stop = strips[strip, MCU], scan[MCUS] if last else strips[strip + 1, MCU]
        if state[WORDS] * 4 + (stop - first) * blocks * BLOCK_BYTES + SPARE_BYTES > out.size * 4:
            return
        same = may_copy[strip] != 0
        written[strip, MCU], written[strip, POS] = first, (state[EMITTED] + state[WORDS]) * 32 + state[BIT_COUNT]
        for channel in range(4):
            written[strip, PRED + channel] = state[OUT_PRED + channel]
            same = same and state[OUT_PRED + channel] == strips[strip, PRED + channel]
        written[strip, TOUCHED] = not same
        if same:
            _put_copy(words, strips[strip, POS], strips[strip, END], out, state)
            for channel in range(4):
                state[OUT_PRED + channel] = 0 if last else strips[strip + 1, PRED + channel]
        else:
            for field in range(READ_FIELDS):
                reader[field] = 0 if field == RUN else strips[strip, field]
            for mcu in range(first, stop):
                _put_mcu(
                    words, tables, codes, scan, parts, slots, before, coefficients, counts, out, held, state, reader,
                    level, mcu,
                )  # fmt: skip
            if state[PENDING] > 0:
                _put_run(out, state, codes, counts, held, parts[0, AC_TABLE])
        written[strip, END] = (state[EMITTED] + state[WORDS]) * 32 + state[BIT_COUNT]
        if last or stop % scan[INTERVAL] == 0:
            _end_stretch(out, state, out_ends, (stop - 1) // scan[INTERVAL])
        state[WRITTEN] += 1


KERNELS = (skip_mcus, skip_bands, read_strips, compare_strips, write_strips)
