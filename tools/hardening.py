"""docs/hardening.md: every bad input of tests/hardening.toml with the tests that name it in their docstrings."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
TABLE = TESTS / "hardening.toml"

_ID = re.compile(r"\bB\d{1,3}\b")

INTRODUCTION = """# Bad inputs

What a mistaken program, a hostile page or a damaged file may send, and the tests that hold what happens then: a named
error and nothing else. Afterwards the server fills as before. The ids are stable; a test names those that it holds in
its docstring, and an id that no test names has a reason instead."""


def inputs() -> dict[str, str]:
    """Id -> what it is, in the order of the table."""
    return _table()["inputs"]


def left_out() -> dict[str, str]:
    """Id -> why no test holds it."""
    return _table()["left_out"]


def held() -> dict[str, list[str]]:
    """Id -> the tests whose docstrings name it, as "tests/file.py: name"."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for name in dict.fromkeys(_ID.findall(ast.get_docstring(node) or "")):
                    found[name].append(f"{path.relative_to(TESTS.parent).as_posix()}: {node.name}")
    return dict(found)


def page(note: str) -> str:
    """The page; `note` says that it is made."""
    tests, reasons = held(), left_out()
    lines = [note, "", INTRODUCTION, "", "| Id | What comes | Held by |", "| --- | --- | --- |"]
    for name, what in inputs().items():
        by = "<br>".join(f"`{test}`" for test in tests.get(name, ())) or reasons.get(name, "")
        lines.append(f"| {name} | {what} | {by} |")
    return "\n".join(lines) + "\n"


def _table() -> dict[str, dict[str, str]]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))
