"""The limits that Windows sets for jobs: groups of processes, such as those of a container or a service.

https://learn.microsoft.com/windows/win32/api/jobapi2/nf-jobapi2-queryinformationjobobject tells their layout.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator

_PROCESSES, _LIMITS, _CPU_RATE = 3, 9, 15
"""Kinds of information about a job."""

_LIMITS_LAYOUT = struct.Struct("@qqINNINII 6Q 4N")
"""JOBOBJECT_EXTENDED_LIMIT_INFORMATION: times, flags, working sets, processes, affinity, classes; transfers; memory."""

_PROCESS_MEMORY, _JOB_MEMORY = 0x100, 0x200
_CPU_RATE_IS_CAPPED = 0x1 | 0x4
_CPU_RATE_OF_ALL = 10_000
_MOST_PROCESSES = 1000


def left_bytes() -> Iterator[int]:
    """What the limits of this process's job leave: for each of its processes, and for all of them together."""
    found = _query(_LIMITS, _LIMITS_LAYOUT.size)
    if not found:
        return
    values = _LIMITS_LAYOUT.unpack(found)
    flags, of_each, of_all = values[2], values[15], values[16]
    if flags & _PROCESS_MEMORY:
        yield of_each - _committed_bytes(None)
    if flags & _JOB_MEMORY:
        yield of_all - sum(_committed_bytes(process) for process in _processes())


def processors(found: int) -> Iterator[int]:
    """How many processors' time the job may take, of those that were found; nothing where that is not limited."""
    if rate := _query(_CPU_RATE, 8):
        flags, share = struct.unpack("=II", rate)
        if flags & _CPU_RATE_IS_CAPPED == _CPU_RATE_IS_CAPPED:
            yield max(1, -(-found * share // _CPU_RATE_OF_ALL))


def _processes() -> tuple[int, ...]:
    """Ids of the job's processes."""
    list_layout = f"@2I{_MOST_PROCESSES}N"
    found = _query(_PROCESSES, struct.calcsize(list_layout))
    _, count, *processes = struct.unpack(list_layout, found) if found else (0, 0)
    return tuple(processes[:count])


def _committed_bytes(process: int | None) -> int:
    """0 for one that ended, or of another user."""
    import psutil

    try:
        return int(psutil.Process(process).memory_info().vms)
    except psutil.Error:
        return 0


def _query(kind: int, size_bytes: int) -> bytes:
    """Nothing on other systems, in no job, and where the system does not know that kind."""
    if sys.platform != "win32":
        return b""
    import ctypes

    buffer = ctypes.create_string_buffer(size_bytes)
    answered = ctypes.windll.kernel32.QueryInformationJobObject(None, kind, buffer, size_bytes, None)
    return buffer.raw if answered else b""
