"""`make bench`: a table for each engine and one of edits from request to last byte; ratios are within this run."""

from __future__ import annotations

import argparse
import importlib
import platform
from pathlib import Path

from .measure import table

SUITES = {path.stem.removeprefix("bench_"): path.stem for path in sorted(Path(__file__).parent.glob("bench_*.py"))}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(SUITES), action="append", help="a part; may be given again")
    arguments = parser.parse_args()
    print(f"{platform.system()} {platform.machine()}, {_processor()}, Python {platform.python_version()}\n")
    for name in arguments.only or sorted(SUITES):
        print(table(importlib.import_module(f"bench.{SUITES[name]}").rows()), end="\n\n", flush=True)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor()
    lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.processor()


if __name__ == "__main__":
    main()
