"""What this process may use of the machine it runs on: memory and processors, inside a container too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from . import control_groups, windows_jobs


def available_bytes() -> int:
    """Memory that this process may still take without pushing others out, or itself over a limit that it was given."""
    left = (*_left_of_address_space(), *control_groups.left_bytes(), *windows_jobs.left_bytes())
    return max(0, min([_free_bytes(), *left]))


def available_processors() -> int:
    """Processors that this process may use: fewer than the machine has where it is tied to some, or told to use fewer.

    OMP_NUM_THREADS says so to everything that computes in threads; torch and OpenBLAS read it themselves. A container's
    share of the processors' time counts in whole processors.
    """
    found = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    limits = [*control_groups.processors(), *windows_jobs.processors(found)]
    return min([found, *limits, *([int(told)] if told.isdecimal() and int(told) > 0 else [])])


def _free_bytes() -> int:
    """Of the machine. Linux is read here: psutil would be a tenth of what an idle worker takes."""
    if sys.platform == "linux":
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                return 1024 * int(amount.split()[0])
    import psutil

    return int(psutil.virtual_memory().available)


def _left_of_address_space() -> Iterator[int]:
    """What `ulimit -v` leaves, where there is such a limit; macOS and Windows do not hold processes to one."""
    if sys.platform != "linux":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        import psutil

        yield limit - int(psutil.Process().memory_info().vms)
