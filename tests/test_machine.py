"""Memory counts as free when neither the machine nor a container's limit says otherwise."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from inpaint_models import machine
from inpaint_models.machine import control_groups, windows_jobs

MIB = 2**20


class Groups:
    """Control groups as a folder of files, and a machine with 1000 MiB free."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = folder / "cgroup"
        self._own = folder / "own"
        monkeypatch.setattr(control_groups, "_CGROUPS", self.root)
        monkeypatch.setattr(control_groups, "_OWN_CGROUPS", self._own)
        monkeypatch.setattr(machine, "_free_bytes", lambda: 1000 * MIB)

    def belong_to(self, *lines: str) -> None:
        self._own.write_text("".join(f"{line}\n" for line in lines))

    def version_2(self, path: str, limit: int | str, used: int, cache: int = 0) -> None:
        self._write(self.root / path, ("memory.max", limit), ("memory.current", used), f"inactive_file {cache}")

    def version_1(self, path: str, limit: int, used: int, cache: int = 0) -> None:
        statistics = f"inactive_file 7\ntotal_inactive_file {cache}"
        files = ("memory.limit_in_bytes", limit), ("memory.usage_in_bytes", used)
        self._write(self.root / "memory" / path, *files, statistics)

    def write(self, path: str, name: str, content: str) -> None:
        (self.root / path).mkdir(parents=True, exist_ok=True)
        (self.root / path / name).write_text(f"{content}\n")

    def _write(self, folder: Path, limit: tuple[str, int | str], used: tuple[str, int], statistics: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in (limit, used):
            (folder / name).write_text(f"{value}\n")
        (folder / "memory.stat").write_text(f"anon 5\n{statistics}\n")


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    return Groups(tmp_path, monkeypatch)


def test_without_control_groups_the_machine_decides(groups: Groups) -> None:
    """As on macOS and Windows."""
    assert machine.available_bytes() == 1000 * MIB


def test_a_limit_of_version_2_leaves_what_is_not_used_and_what_is_only_cache(groups: Groups) -> None:
    groups.belong_to("0::/app.slice/server")
    groups.version_2("app.slice/server", 512 * MIB, used=300 * MIB, cache=100 * MIB)
    assert machine.available_bytes() == 312 * MIB


def test_the_tightest_of_all_groups_around_counts(groups: Groups) -> None:
    groups.belong_to("0::/outer/inner")
    groups.version_2("outer", 400 * MIB, used=350 * MIB)
    groups.version_2("outer/inner", "max", used=100 * MIB)
    assert machine.available_bytes() == 50 * MIB


def test_a_container_finds_its_limit_at_the_root_of_what_it_sees(groups: Groups) -> None:
    """Version 2 with a namespace of its own; version 1, where the path is the host's and is not there."""
    groups.belong_to("0::/")
    groups.version_2("", 300 * MIB, used=100 * MIB)
    assert machine.available_bytes() == 200 * MIB
    groups.belong_to("5:devices:/docker/123", "4:hugetlb,memory:/docker/123", "0::/elsewhere/without/files")
    groups.version_1("", 256 * MIB, used=100 * MIB, cache=20 * MIB)
    assert machine.available_bytes() == 176 * MIB


def test_a_limit_of_version_1_is_found_along_its_path(groups: Groups) -> None:
    groups.belong_to("4:memory:/a/b", "0::/")
    groups.version_1("", 2**63 - 4096, used=900 * MIB)
    groups.version_1("a/b", 128 * MIB, used=100 * MIB)
    assert machine.available_bytes() == 28 * MIB


def test_no_limit_and_a_larger_limit_leave_it_to_the_machine(groups: Groups) -> None:
    groups.belong_to("0::/a", "4:memory:/a")
    groups.version_2("a", "max", used=100 * MIB)
    groups.version_1("a", 2**63 - 4096, used=100 * MIB)
    assert machine.available_bytes() == 1000 * MIB


def test_a_group_that_is_over_its_limit_leaves_nothing(groups: Groups) -> None:
    groups.belong_to("0::/a")
    groups.version_2("a", 100 * MIB, used=101 * MIB)
    assert machine.available_bytes() == 0


@pytest.mark.parametrize("content", ["", "junk"])
def test_files_that_say_nothing_are_passed_over(groups: Groups, content: str) -> None:
    groups.belong_to("0::/a")
    groups.version_2("a", content, used=5)
    assert machine.available_bytes() == 1000 * MIB
    groups.version_2("a", 5, used=0)
    (groups.root / "a/memory.current").write_text(content)
    assert machine.available_bytes() == 1000 * MIB


def test_a_container_has_its_share_of_the_processors(groups: Groups, monkeypatch: pytest.MonkeyPatch) -> None:
    """18: `docker run --cpus 1.5` on a machine of 64."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert machine.available_processors() == 64
    groups.belong_to("0::/a/b")
    groups.write("a", "cpu.max", "max 100000")
    assert machine.available_processors() == 64
    groups.write("a", "cpu.max", "150000 100000")
    groups.write("a/b", "cpu.max", "400000 100000")
    assert machine.available_processors() == 2
    groups.belong_to("1:cpu,cpuacct:/c")
    groups.write("cpu/c", "cpu.cfs_period_us", "100000")
    groups.write("cpu/c", "cpu.cfs_quota_us", "-1")
    assert machine.available_processors() == 64
    groups.write("cpu/c", "cpu.cfs_quota_us", "300000")
    assert machine.available_processors() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert machine.available_processors() == 1


class Job:
    """A Windows job that this process is in, answered for in the layouts of winnt.h for 64 bit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._known: dict[int, bytes] = {}
        kernel = SimpleNamespace(QueryInformationJobObject=self._query)
        monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
        monkeypatch.setattr(windows_jobs, "sys", SimpleNamespace(platform="win32"))

    def limit(self, flags: int, process_bytes: int, job_bytes: int, processes: list[int]) -> None:
        basic = struct.pack("<qqI4xQQI4xQII", 0, 0, flags, 0, 0, 0, 0, 0, 0)
        self._known[9] = basic + bytes(48) + struct.pack("<4Q", process_bytes, job_bytes, 7, 7)
        self._known[3] = struct.pack(f"<II{len(processes)}Q", len(processes), len(processes), *processes)

    def cap_processors(self, flags: int, rate: int) -> None:
        self._known[15] = struct.pack("<II", flags, rate)

    def _query(self, job: None, kind: int, buffer: Any, size_bytes: int, _: None) -> int:
        known = self._known.get(kind, b"")
        buffer[: len(known)] = known
        return int(bool(known))


@pytest.fixture
def job(groups: Groups, monkeypatch: pytest.MonkeyPatch) -> Job:
    """On a machine with 1000 MiB free, where each process has committed 100 MiB."""
    memory = SimpleNamespace(vms=100 * MIB)
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: memory)
    return Job(monkeypatch)


@pytest.mark.parametrize(("flags", "left_mib"), [(0, 1000), (0x100, 200), (0x200, 400), (0x300, 200)])
def test_a_windows_job_holds_each_of_its_processes_and_all_together(job: Job, flags: int, left_mib: int) -> None:
    """18: a process that ended meanwhile counts nothing."""
    assert machine.available_bytes() == 1000 * MIB, "in no job"
    job.limit(flags, 300 * MIB, 600 * MIB, [os.getpid(), os.getppid(), 2**22 + 1])
    assert machine.available_bytes() == left_mib * MIB


@pytest.mark.parametrize(("flags", "processors"), [(0, 64), (1, 64), (5, 2)])
def test_a_windows_job_has_its_share_of_the_processors(
    job: Job, monkeypatch: pytest.MonkeyPatch, flags: int, processors: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    job.cap_processors(flags, 234)
    assert machine.available_processors() == processors


def test_a_limit_of_address_space_counts(groups: Groups) -> None:
    """X7: ulimit -v, in a process of its own, which is then bound by it."""
    code = (
        "import resource, psutil; from inpaint_models import machine; used = psutil.Process().memory_info().vms\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (90 << 20), -1)); print(machine.available_bytes() >> 20)"
    )
    environment = {"PYTHONPATH": str(Path(machine.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert 60 <= int(run.stdout) <= 90


def test_this_machine_has_some_memory_left() -> None:
    assert 0 < machine.available_bytes() <= psutil.virtual_memory().total
    assert machine._free_bytes() == pytest.approx(psutil.virtual_memory().available, abs=2**30)
