"""Who may import whom: lama_server -> inpaint_models -> torch, numpy; never upwards."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "models" / "inpaint_models"
SERVER = ROOT / "server" / "lama_server"

LEAVES = ("settings", "schemas", "problems", "errors", "shapes", "exits")

WEB = {"fastapi", "starlette", "uvicorn", "pydantic", "jinja2", "typer", "lama_server"}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(absolute module name, whether it is imported when the file is) for each import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    root = SERVER.parent if SERVER in path.parents else LIBRARY.parent
    package = list(path.relative_to(root).parts[:-1])
    deferred = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        eager = id(node) not in deferred
        if isinstance(node, ast.Import):
            yield from ((alias.name, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join(package[: len(package) - node.level + 1])
            module = f"{base}.{node.module}" if node.module else base
            yield module, eager
            yield from ((f"{module}.{alias.name}", eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module), eager


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


@pytest.mark.parametrize("path", files(LIBRARY), ids=lambda p: str(p.relative_to(LIBRARY)))
def test_the_library_knows_nothing_of_the_web(path: Path) -> None:
    assert not [name for name, _ in imports(path) if name.split(".")[0] in WEB]


@pytest.mark.parametrize("path", files(LIBRARY), ids=lambda p: str(p.relative_to(LIBRARY)))
def test_torch_is_imported_only_where_an_engine_lives(path: Path) -> None:
    eager = [name for name, at_import in imports(path) if at_import and name.split(".")[0] == "torch"]
    an_engine = path.parent != LIBRARY and path.parent.name != "weights" and path.name != "__init__.py"
    assert an_engine or not eager, f"{path.name} imports torch as soon as it is imported itself"


@pytest.mark.parametrize("path", files(SERVER), ids=lambda p: str(p.relative_to(SERVER)))
def test_the_server_never_imports_torch_itself(path: Path) -> None:
    assert not [name for name, _ in imports(path) if name.split(".")[0] == "torch"]


@pytest.mark.parametrize("name", LEAVES)
def test_a_leaf_of_the_server_imports_nothing_of_it_but_leaves(name: str) -> None:
    leaves = tuple(f"lama_server.{leaf}" for leaf in LEAVES)
    ours = [module for module, _ in imports(SERVER / f"{name}.py") if module.startswith("lama_server.")]
    assert not [module for module in ours if not module.startswith(leaves)]


ORDER = ("cli", "server", "app", "routes", "engine", "documents", "masks", "codec", "saving")
"""From the top down: nobody imports what stands to the left."""


@pytest.mark.parametrize("name", ORDER)
def test_the_server_imports_downwards_only(name: str) -> None:
    above = tuple(f"lama_server.{part}" for part in ORDER[: ORDER.index(name)])
    paths = files(SERVER / name) if (SERVER / name).is_dir() else [SERVER / f"{name}.py"]
    found = {module for path in paths for module, at_import in imports(path) if at_import}
    assert not {module for module in found if module in above or module.startswith(tuple(f"{a}." for a in above))}


def test_the_catalogue_costs_no_image_library_and_no_torch() -> None:
    code = "import json, sys, inpaint_models.catalog; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(LIBRARY.parent)},
    )
    assert not {"torch", "cv2", "numba", "PIL"} & set(json.loads(run.stdout))
