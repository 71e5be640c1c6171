"""docs/adding-a-model.md, followed to the letter in a copy of the library: one folder, one line, one test file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs/adding-a-model.md").read_text(encoding="utf-8")
BLOCKS = {
    path: (language, text)
    for language, path, text in re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
}
"""Path -> (language, content) of every block of the guide that names a file."""
CATALOGUE = "models/inpaint_models/catalog.py"


def applied(diff: str, text: str) -> str:
    """The text with the diff's added lines after the lines that the diff shows before them."""
    before = "".join(line[1:] for line in diff.splitlines(keepends=True) if line.startswith(" "))
    after = "".join(line[1:] for line in diff.splitlines(keepends=True))
    assert text.count(before) == 1, f"the guide shows a place that is not in the catalogue: {before}"
    return text.replace(before, after)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the library to which the guide's files were added."""
    root = tmp_path_factory.mktemp("guide")
    library = root / "models/inpaint_models"
    shutil.copytree(ROOT / "models/inpaint_models", library, ignore=shutil.ignore_patterns("__pycache__"))
    for path, (language, text) in BLOCKS.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(applied(text, target.read_text(encoding="utf-8")) if language == "diff" else text, "utf-8")
    return root


def run(copy: Path, *command: str) -> str:
    """What a Python program says that imports the copy, and this tree's server."""
    paths = os.pathsep.join((str(copy / "models"), str(ROOT / "server")))
    done = subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": paths, "LAMA_SERVER_MODEL_DIR": str(copy / "weights")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_model_is_one_folder_one_line_and_one_test_file() -> None:
    (line,) = (line for line in BLOCKS[CATALOGUE][1].splitlines() if line.startswith("+"))
    assert "toy" in line
    others = BLOCKS.keys() - {CATALOGUE, "tests/test_toy.py"}
    assert {str(Path(path).parent) for path in others} == {"models/inpaint_models/toy"}


def test_the_guide_tells_the_true_size_of_the_change() -> None:
    for path, (language, text) in BLOCKS.items():
        added = 1 if language == "diff" else len(text.splitlines())
        assert re.search(rf"^ {re.escape(path)} +\| +{added} \++$", GUIDE, re.MULTILINE), (path, added)


def test_the_models_own_tests_pass(copy: Path) -> None:
    assert "3 passed" in run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_toy.py")


def test_the_server_needs_to_know_nothing_more(copy: Path) -> None:
    listed = run(copy, "-m", "lama_server", "models")
    assert "toy" in listed
    assert "lets the surroundings flow in" in listed or "Toy" in listed
