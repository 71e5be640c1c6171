"""Writes constraints.txt from the environment that runs this: exactly what the tests were run with."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "constraints.txt"
HEADER = """\
# The versions that the tests are run with: pip install --constraint constraints.txt --editable '.[dev]'
# Written by `python -m tools.constraints`; pyproject.toml holds lower bounds only.
"""
SKIPPED = {"lama-server", "pip", "setuptools", "wheel"}


def main() -> None:
    pins = {
        dist.metadata["Name"].lower().replace("_", "-"): dist.version.split("+")[0]
        for dist in distributions()
        if dist.metadata["Name"].lower() not in SKIPPED
    }
    TARGET.write_text(HEADER + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins)), encoding="utf-8")


if __name__ == "__main__":
    main()
