"""Parallel work in chunks that depend on the amount of work alone, so that results do not depend on the threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

_CHUNKS = 8
_SMALLEST = 256  # items per chunk; below, handing out work costs more than the work
_LARGEST = 32_768  # items per chunk; keeps each call short, so that a cancelled job stops soon


@dataclass(frozen=True)
class Chunks:
    """Runs a job over item ranges. `poll` is called between chunks and may raise to stop the work.

    pool  None: in the caller's thread, without the cost of handing out work
    """

    pool: ThreadPoolExecutor | None
    poll: Callable[[], None]

    def run(self, job: Callable[[int, int], None], items: int) -> None:
        """Calls job(low, high) for consecutive ranges that cover range(items); returns when all are done."""
        ranges = pairwise(chunk_cuts(items))
        if self.pool is None:
            for low, high in ranges:
                job(low, high)
                self.poll()
            return
        futures = [self.pool.submit(job, low, high) for low, high in ranges]
        try:
            for future in futures:
                future.result()
                self.poll()
        finally:
            _settle(futures)


def chunk_cuts(items: int) -> list[int]:
    """Band limits from 0 to `items`, ascending."""
    chunks = max(1, min(_CHUNKS, items // _SMALLEST), -(-items // _LARGEST))
    return [items * chunk // chunks for chunk in range(chunks + 1)]


def _settle(futures: list[Future[None]]) -> None:
    """Waits until nothing writes to the shared arrays any more; what has not begun never will."""
    running = [future for future in futures if not future.cancel()]
    for future in running:
        future.exception()
