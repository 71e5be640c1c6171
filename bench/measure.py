"""What every bench is made of: rows, medians of interleaved runs, peak memory of a fresh process."""

from __future__ import annotations

import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)

ROOT = Path(__file__).resolve().parent.parent

HEAD = ["engine", "what", "size", "device", "precision", "threads", "ms (median)", "n", "peak MiB", "ratio", "note"]
KEY_COLUMNS = 6
"""Columns that tell a row from all others, in every run: what is measured belongs there, results do not."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the bench's table.

    ratio     baseline time / time: above 1 is faster than `against`
    peak_mib  highest resident memory of a process that did only this
    """

    engine: str
    what: str
    ms: float
    runs: int
    size: str = ""
    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1
    peak_mib: float | None = None
    ratio: float | None = None
    against: str = ""
    note: str = ""


def interleaved(jobs: Mapping[KeyT, Callable[[], object]], *, runs: int, warm_up: int = 1) -> dict[KeyT, float]:
    """Median milliseconds of each job. The jobs take turns, so that a slow minute of the machine hits all alike."""
    times: dict[KeyT, list[float]] = {name: [] for name in jobs}
    for turn in range(warm_up + runs):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if turn >= warm_up:
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def in_fresh_process(function: str, arguments: Mapping[str, Any], *, threads: int) -> dict[str, Any]:
    """Runs "module:function" with JSON arguments in a new process; its dict, and "peak_mib" of that process."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(variables, str(threads))}
    environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / part) for part in ("", "server", "models"))
    command = [sys.executable, "-m", "bench.measure", function, json.dumps(dict(arguments))]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x {row.against}"
        peak = "" if row.peak_mib is None else f"{row.peak_mib:.0f}"
        cells = [
            row.engine, row.what, row.size, row.device, row.precision, str(row.threads),
            _three_digits(row.ms), str(row.runs), peak, ratio, row.note,
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _three_digits(ms: float) -> str:
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}"


def processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """The far side of `in_fresh_process`."""
    module, name = sys.argv[1].split(":")
    answer = getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2])) or {}
    print(json.dumps({**answer, "peak_mib": _peak_mib()}))


def _peak_mib() -> float:
    """Highest resident memory of this process since its program began."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes
    # Not ru_maxrss, which on Linux begins with what the process that started this one had.
    peak = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


if __name__ == "__main__":
    main()
