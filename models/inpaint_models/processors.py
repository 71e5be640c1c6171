"""How many processors there are to compute with."""

from __future__ import annotations

import os
import sys


def available_processors() -> int:
    """Processors that this process may use: fewer than the machine has where it is tied to some, or told to use fewer.

    OMP_NUM_THREADS says so to everything that computes in threads; torch and OpenBLAS read it themselves.
    """
    found = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(found, int(told)) if told.isdecimal() and int(told) > 0 else found
