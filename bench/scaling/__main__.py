"""`python -m bench.scaling` makes the tables of docs/scaling.md anew; --measure and --check measure here first."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .page import MEASURED, PAGE, TABLES, measured, with_tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="engines and server on this machine; some minutes")
    parser.add_argument("--check", action="store_true", help="a server under load against the simulation; a minute")
    arguments = parser.parse_args()
    known = measured() if MEASURED.exists() else {}
    if arguments.measure:
        from .measuring import measure

        for part in measure():
            known |= part
            _keep(known)
    if arguments.check:
        from .agreement import compare

        known["agreement"] = compare()
        _keep(known)
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), known, TABLES), encoding="utf-8")


def _keep(known: dict[str, Any]) -> None:
    MEASURED.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
