"""What this process may use of the machine it runs on: memory and processors, inside a container too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
"""Files of a control group's limit and use, and the line of its memory.stat that tells what of that is mere cache."""


def available_bytes() -> int:
    """Memory that this process may still take without pushing others out, or itself over a container's limit."""
    import psutil  # not needed by those who only count processors

    return max(0, min([psutil.virtual_memory().available, *_left_in_cgroups()]))


def available_processors() -> int:
    """Processors that this process may use: fewer than the machine has where it is tied to some, or told to use fewer.

    OMP_NUM_THREADS says so to everything that computes in threads; torch and OpenBLAS read it themselves.
    """
    found = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(found, int(told)) if told.isdecimal() and int(told) > 0 else found


def _left_in_cgroups() -> Iterator[int]:
    """What each control group around this process has left of its memory limit; nothing where there is no limit.

    https://docs.kernel.org/admin-guide/cgroup-v2.html, "Memory", and cgroup-v1/memory.html for the older version.
    """
    try:
        lines = _OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)  # "0::/a/b" in version 2, "4:memory:/a/b" in version 1
        if not controllers:
            yield from _left_along(_CGROUPS, path, *_VERSION_2)
        elif "memory" in controllers.split(","):
            yield from _left_along(_CGROUPS / "memory", path, *_VERSION_1)


def _left_along(root: Path, path: str, limit_file: str, use_file: str, cache_line: str) -> Iterator[int]:
    """The group's own limit and those of all groups around it.

    Inside a container `root` may be the container's own group while `path` tells where the host has it: then only the
    limit at `root` is found, and that is the right one.
    """
    group = root / path.strip("/")
    for folder in (group, *group.parents):
        try:
            limit = (folder / limit_file).read_text(encoding="ascii").strip()
            used = int((folder / use_file).read_text(encoding="ascii"))
            statistics = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            continue  # not mounted here, or the root of all groups, which has no limit
        if limit.isdecimal():  # "max": no limit
            cached = sum(int(line.split()[1]) for line in statistics if line.split()[0] == cache_line)
            yield int(limit) - used + cached
        if folder == root:
            return
