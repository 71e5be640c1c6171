"""What the commands print: sizes for people, tables, and one progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

_REDRAW_S = 0.1
_BAR_CELLS = 24
_LINE_EVERY_PERCENT = 10


def size_text(count: int | None) -> str:
    """ "196 MiB"; a dash where the size is not known, and for nothing at all."""
    if not count:
        return "-"
    for unit, bytes_per in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= bytes_per:
            value = count / bytes_per
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{count} B"


def duration_text(seconds: float) -> str:
    """ "42 s", "3 min 5 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest cell; the last one is not padded."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class Bar:
    """A progress bar on a terminal; elsewhere, such as in a log, a line every ten percent.

    amount_text  makes "88 MiB" of a count
    """

    stream: TextIO
    amount_text: Callable[[int], str] = str
    clock: Callable[[], float] = time.monotonic
    _label: str = ""
    _began_s: float = 0.0
    _began_at: int = 0
    _drawn_s: float = float("-inf")
    _told_percent: int = field(default=-_LINE_EVERY_PERCENT)
    _width: int = 0

    def show(self, label: str, done: int, total: int | None) -> None:
        """Shows where it stands. A new label begins a new count, so that its speed and rest are its own."""
        now = self.clock()
        if label != self._label:
            self.end()
            self._label, self._began_s, self._began_at = label, now, done
            self._told_percent, self._drawn_s = -_LINE_EVERY_PERCENT, float("-inf")
        finished = total is not None and done >= total
        if self.stream.isatty():
            if finished or now - self._drawn_s >= _REDRAW_S:
                self._drawn_s = now
                self._draw(f"{label}  {self._state(done, total, now)}")
        elif total and 100 * done // total >= self._told_percent + _LINE_EVERY_PERCENT:
            self._told_percent = 100 * done // total // _LINE_EVERY_PERCENT * _LINE_EVERY_PERCENT
            self.stream.write(f"{label}: {self._told_percent} %\n")

    def end(self) -> None:
        """Leaves the line, so that other text can follow."""
        if self._width:
            self.stream.write("\n")
            self.stream.flush()
            self._width = 0

    def _state(self, done: int, total: int | None, now: float) -> str:
        amount = self.amount_text(done)
        if not total:
            return amount
        share = min(1.0, done / total)
        filled = round(share * _BAR_CELLS)
        bar = "#" * filled + "." * (_BAR_CELLS - filled)
        return f"[{bar}] {100 * share:3.0f} %  {amount} of {self.amount_text(total)}{self._rest(done, total, now)}"

    def _rest(self, done: int, total: int, now: float) -> str:
        """How long it will take, once there is something to judge by."""
        passed, came = now - self._began_s, done - self._began_at
        if passed < 1 or came <= 0 or done >= total:
            return ""
        return f"  {duration_text((total - done) * passed / came)} left"

    def _draw(self, text: str) -> None:
        self.stream.write(f"\r{text.ljust(self._width)}")
        self.stream.flush()
        self._width = max(self._width, len(text))
