"""`python -m bench.compare OLD NEW`: two results that were kept, row by row; ends with 1 where a row became slower.

A row is known by its first six columns. Ratios are new to old: 1.10x in time is a tenth slower.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .measure import HEAD, KEY_COLUMNS

SLOWER = 1.05
"""From this ratio of times on a row is marked; less is noise on most machines."""

Key = tuple[str, ...]
_MS, _PEAK = HEAD.index("ms (median)"), HEAD.index("peak MiB")


def rows_of(text: str) -> dict[Key, tuple[float, float | None]]:
    """Key -> (milliseconds, MiB at the peak) of every row of the tables in a file that `make bench` kept."""
    found: dict[Key, tuple[float, float | None]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != len(HEAD) or cells == HEAD or cells[0].startswith("-"):
            continue
        key = tuple(cells[:KEY_COLUMNS])
        if key in found:
            raise ValueError(f"The row {_name(key)!r} is there twice; rows need keys of their own.")
        found[key] = float(cells[_MS]), float(cells[_PEAK]) if cells[_PEAK] else None
    return found


def compare(old: str, new: str) -> tuple[list[str], int]:
    """(lines of a Markdown table, how many rows became slower)."""
    before, after = rows_of(old), rows_of(new)
    lines = ["| row | old ms | new ms | time | memory | |", "| --- | --- | --- | --- | --- | --- |"]
    slower = 0
    for key in [*before, *(key for key in after if key not in before)]:
        if key not in before or key not in after:
            ms, _ = before.get(key) or after[key]
            cells = [f"{ms:g}", "", "", "", "gone"] if key in before else ["", f"{ms:g}", "", "", "new"]
        else:
            (old_ms, old_mib), (new_ms, new_mib) = before[key], after[key]
            ratio = new_ms / old_ms
            slower += ratio > SLOWER
            memory = f"{new_mib / old_mib:.2f}x" if old_mib and new_mib else ""
            mark = "**slower**" if ratio > SLOWER else ""
            cells = [f"{old_ms:g}", f"{new_ms:g}", f"{ratio:.2f}x", memory, mark]
        lines.append("| " + " | ".join([_name(key), *cells]) + " |")
    return lines, slower


def _name(key: Key) -> str:
    return ", ".join(filter(None, key))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("old", type=Path, help="a file of bench/history/")
    parser.add_argument("new", type=Path, help="another one, of the same machine")
    given = parser.parse_args(arguments)
    old, new = (path.read_text(encoding="utf-8") for path in (given.old, given.new))
    lines, slower = compare(old, new)
    for label, text in (("old", old), ("new", new)):
        print(f"{label}: {text.partition(chr(10))[0]}")
    print("", *lines, "", f"Rows more than {SLOWER - 1:.0%} slower: {slower}", sep="\n")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
