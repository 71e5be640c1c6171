"""`make bench`: a table for each engine and one of edits from request to last byte; ratios are within this run."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
from pathlib import Path

from .measure import processor_name, table

SUITES = {path.stem.removeprefix("bench_"): path.stem for path in sorted(Path(__file__).parent.glob("bench_*.py"))}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(SUITES), action="append", help="a part; may be given again")
    arguments = parser.parse_args()
    machine = f"{platform.system()} {platform.machine()}, {processor_name()} x {os.cpu_count()}"
    print(f"{machine}, Python {platform.python_version()}\n")
    for name in arguments.only or sorted(SUITES):
        print(table(importlib.import_module(f"bench.{SUITES[name]}").rows()), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
