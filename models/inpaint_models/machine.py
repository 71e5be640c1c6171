"""What this process may use of the machine it runs on: memory and processors, inside a container too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_MEMORY_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
"""Of each version: the files of a group's limit and use, and the name in its memory.stat for what is mere cache."""


def available_bytes() -> int:
    """Memory that this process may still take without pushing others out, or itself over a limit that it was given."""
    import psutil  # not needed by those who only count processors

    return max(0, min([psutil.virtual_memory().available, *_left_of_address_space(), *_left_in_groups()]))


def available_processors() -> int:
    """Processors that this process may use: fewer than the machine has where it is tied to some, or told to use fewer.

    OMP_NUM_THREADS says so to everything that computes in threads; torch and OpenBLAS read it themselves. A container's
    share of the processors' time counts in whole processors.
    """
    found = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min([found, *_processors_in_groups(), *([int(told)] if told.isdecimal() and int(told) > 0 else [])])


def _left_of_address_space() -> Iterator[int]:
    """What `ulimit -v` leaves, where there is such a limit; macOS and Windows do not hold processes to one."""
    if sys.platform != "linux":
        return
    import resource

    import psutil

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield limit - int(psutil.Process().memory_info().vms)


def _left_in_groups() -> Iterator[int]:
    """What each control group around this process has left of its memory limit; nothing where there is no limit."""
    for version, folder in _groups("memory"):
        limit_file, use_file, cache_line = _MEMORY_FILES[version]
        limit, used, statistics = (_words(folder / name) for name in (limit_file, use_file, "memory.stat"))
        if limit and limit[0].isdecimal() and used and used[0].isdecimal():  # "max": no limit
            cached = next((int(size) for name, size in pairwise(statistics) if name == cache_line), 0)
            yield int(limit[0]) - int(used[0]) + cached


def _processors_in_groups() -> Iterator[int]:
    """How many processors' time each control group around this process may take; nothing where that is not limited."""
    for version, folder in _groups("cpu"):
        names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        shares = [word for name in names for word in _words(folder / name)]
        if len(shares) == 2 and all(share.isdecimal() for share in shares):  # "max" or -1: no limit
            yield max(1, -(-int(shares[0]) // max(1, int(shares[1]))))


def _groups(controller: str) -> Iterator[tuple[int, Path]]:
    """(version, folder) of the control groups that limit this process in one respect: its own and all around it.

    Inside a container the root may be the container's own group while the path tells where the host has it: then only
    the files at the root are found, and those are the right ones.
    https://docs.kernel.org/admin-guide/cgroup-v2.html, "Memory" and "CPU", and cgroup-v1 for the older version.
    """
    try:
        lines = _OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)  # "0::/a/b" in version 2, "4:memory:/a/b" in version 1
        if controllers and controller not in controllers.split(","):
            continue
        root = _CGROUPS / controller if controllers else _CGROUPS
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            yield (1 if controllers else 2), folder
            if folder == root:
                break


def _words(file: Path) -> list[str]:
    """Nothing where it is not mounted here, or belongs to the root of all groups, which has no limits."""
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []
