"""Maps in bands of rows that stay in a core's cache, one thread for each band.

Where a network walks through large maps and computes little, torch's own way, all threads on one operator after
another, spends its time on fresh memory and on waiting for the slowest thread at the end of every operator.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import torch


class Band(NamedTuple):
    """Rows y0 to y1 of a map, and with the margin that is computed as well and thrown away: top to bottom."""

    y0: int
    y1: int
    top: int
    bottom: int


def bands(rows: int, height: int, margin: int) -> list[Band]:
    """All rows in bands of at most `height`."""
    cuts = [(y0, min(rows, y0 + height)) for y0 in range(0, rows, height)]
    return [Band(y0, y1, max(0, y0 - margin), min(rows, y1 + margin)) for y0, y1 in cuts]


def for_each(work: Callable[[Band], None], parts: list[Band]) -> None:
    """Does the work for every band, on a processor's threads; without gradients. Raises what it raises."""
    threads = torch.get_num_threads()
    if threads == 1 or len(parts) == 1:
        for band in parts:
            work(band)
        return

    @torch.inference_mode()
    def one(band: Band) -> None:
        work(band)

    for _ in _pool(threads).map(one, parts):
        pass


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads in which torch computes alone. The number of threads belongs to each thread, except for later ones."""
    pool = ThreadPoolExecutor(threads, "bands", initializer=torch.set_num_threads, initargs=(1,))
    for _ in pool.map(lambda _: torch.get_num_threads(), range(threads)):
        pass
    torch.set_num_threads(threads)  # what threads that begin from now on start with
    return pool
