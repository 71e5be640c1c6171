"""How many processors there are to compute with."""

from __future__ import annotations

import os
import sys


def available_processors() -> int:
    """Processors that this process may run on: fewer than the machine has in a container that is tied to some."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
