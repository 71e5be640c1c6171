"""`make bench`: a table for each engine and one of edits from request to last byte; ratios are within this run."""

from __future__ import annotations

import argparse
import importlib
import platform
from datetime import date
from pathlib import Path

from inpaint_models.machine import available_processors
from lama_server import __version__

from .measure import processor_name, table

HISTORY = Path(__file__).parent / "history"
"""One file a day on which results were kept: how speed and memory went over time."""

SUITES = {path.stem.removeprefix("bench_"): path.stem for path in sorted(Path(__file__).parent.glob("bench_*.py"))}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(SUITES), action="append", help="a part; may be given again")
    parser.add_argument("--keep", action="store_true", help="write the tables to bench/history/ as well")
    arguments = parser.parse_args()
    machine = f"{platform.system()} {platform.machine()}, {processor_name()} x {available_processors()}"
    said = [f"{machine}, Python {platform.python_version()}, lama-server {__version__}\n\n"]
    print(said[0], end="")
    for name in arguments.only or sorted(SUITES):
        said.append(table(importlib.import_module(f"bench.{SUITES[name]}").rows()) + "\n\n")
        print(said[-1], end="", flush=True)
    if arguments.keep:
        HISTORY.mkdir(exist_ok=True)
        (HISTORY / f"{date.today().isoformat()}.md").write_text("".join(said), encoding="utf-8")


if __name__ == "__main__":
    main()
