"""The limits that Linux sets for groups of processes, such as those of a container."""

from __future__ import annotations

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


def left_bytes() -> Iterator[int]:
    """What each control group around this process has left of its memory limit; nothing where there is no limit."""
    for version, folder in _groups("memory"):
        limit_file, use_file, cache_line = _MEMORY_FILES[version]
        limit, used, statistics = (_words(folder / name) for name in (limit_file, use_file, "memory.stat"))
        if limit and limit[0].isdecimal() and used and used[0].isdecimal():  # "max": no limit
            cached = next((int(size) for name, size in pairwise(statistics) if name == cache_line), 0)
            yield int(limit[0]) - int(used[0]) + cached


def processors() -> Iterator[int]:
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
