"""The ground plan of the code, measured: `python -m tools.house` prints it, tests/test_layers.py holds it."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"lama_server": ROOT / "server", "inpaint_models": ROOT / "models"}

LONGEST_FUNCTION = 50
MOST_MODULES = 12


def modules(package: str) -> dict[str, Path]:
    """Dotted name -> file of every module of a package; a folder's own name stands for its __init__."""
    found = {}
    for path in sorted((PACKAGES[package] / package).rglob("*.py")):
        parts = path.relative_to(PACKAGES[package]).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """(dotted name, whether it is imported when the file is) for each import of a file; also names in modules."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    root = next(root for root in PACKAGES.values() if root in path.parents)
    package = path.relative_to(root).parts[:-1]
    deferred = {id(inner) for node in ast.walk(tree) if _is_deferred(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        eager = id(node) not in deferred
        if isinstance(node, ast.Import):
            yield from ((alias.name, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module, eager
            yield from ((f"{module}.{alias.name}", eager) for alias in node.names)


def _is_deferred(node: ast.AST) -> bool:
    """Functions and `if TYPE_CHECKING`: what is inside is not imported together with the file."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return True
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def graph(package: str) -> dict[str, set[str]]:
    """Module -> the modules of the same package that it imports, at any time."""
    known = modules(package)
    arrows = {}
    for name, path in known.items():
        found = {target for target, _ in imported(path)}
        exact = {target for target in found if target in known}
        # `from package import module` names both; the package itself is then no dependency.
        arrows[name] = {t for t in exact if t != name and not any(o.startswith(f"{t}.") for o in exact)}
    return arrows


def room(module: str) -> str:
    """The folder below the package in which a module lies; a module of the top level is a room of its own."""
    return module.split(".")[1] if "." in module else module


def rooms(package: str) -> dict[str, set[str]]:
    """Room -> the rooms that it imports."""
    arrows: dict[str, set[str]] = {}
    for module, targets in graph(package).items():
        here = arrows.setdefault(room(module), set())
        here |= {room(target) for target in targets} - {room(module), package}
    return arrows


def cycles(arrows: dict[str, set[str]]) -> list[str]:
    """Names that lie on a circle of imports."""
    left = {name: set(targets) for name, targets in arrows.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def floors(arrows: dict[str, set[str]]) -> dict[str, int]:
    """How many rooms stand on top of each other below a name; 0 imports nothing."""
    height: dict[str, int] = {}
    while len(height) < len(arrows):
        ready = {n for n, targets in arrows.items() if n not in height and targets & arrows.keys() <= height.keys()}
        if not ready:
            raise ValueError(f"These import each other in a circle: {', '.join(cycles(arrows))}.")
        height |= {n: 1 + max((height[t] for t in arrows[n] & arrows.keys()), default=-1) for n in ready}
    return height


def crowded(package: str) -> dict[str, int]:
    """Folder -> how many modules lie side by side in it, besides __init__."""
    folders = Counter(path.parent for path in modules(package).values() if path.name != "__init__.py")
    return {folder.relative_to(PACKAGES[package]).as_posix(): count for folder, count in folders.items()}


def long_functions(package: str) -> dict[str, int]:
    """Where -> lines of every function over the limit."""
    found = {}
    for path in modules(package).values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    found[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = lines
    return found


def share_of_text(package: str) -> tuple[int, float]:
    """(lines that are not blank, the share of them that is comment or docstring)."""
    total = text = 0
    for path in modules(package).values():
        source = path.read_text(encoding="utf-8")
        docs: set[int] = set()
        for node in ast.walk(ast.parse(source)):
            value = node.value if isinstance(node, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docs |= set(range(value.lineno, (value.end_lineno or value.lineno) + 1))
        for number, line in enumerate(source.splitlines(), 1):
            total += bool(line.strip())
            text += bool(line.strip()) and (number in docs or line.lstrip().startswith("#"))
    return total, text / max(total, 1)


def tree() -> str:
    """Every folder and module of both packages with the first sentence of its text, as a Markdown list."""
    lines: list[str] = []
    for package, root in PACKAGES.items():
        folder: Path | None = None
        paths = modules(package).values()
        for path in sorted(paths, key=lambda path: (str(path.parent), path.name != "__init__.py", path.name)):
            if path.parent != folder:
                folder = path.parent
                about = f": {first_sentence(path)}" if path.name == "__init__.py" else ""
                lines += ["", f"**`{folder.relative_to(root.parent).as_posix()}/`**{about}", ""]
            if path.name != "__init__.py":
                lines.append(f"- `{path.name}`: {first_sentence(path)}")
    return "\n".join(lines[1:])


def first_sentence(path: Path) -> str:
    """Of a module's text, without the full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).removesuffix(".")


def main() -> None:
    """Prints both packages' figures."""
    for package in PACKAGES:
        arrows = rooms(package)
        lines, text = share_of_text(package)
        folders = crowded(package)
        fullest = max(folders, key=folders.__getitem__)
        height = max(floors(arrows).values()) + 1 if not cycles(arrows) else f"circle: {cycles(arrows)}"
        sys.stdout.write(
            f"{package}: {len(modules(package))} modules, {len(arrows)} rooms, "
            f"{sum(map(len, arrows.values()))} arrows, "
            f"{height} floors; fullest folder {fullest} with {folders[fullest]}; "
            f"{len(long_functions(package))} long functions; "
            f"{lines} lines, {100 * text:.0f} % of them comment or docstring\n"
        )
        for module in cycles(graph(package)):
            sys.stdout.write(f"  in a circle of imports: {module}\n")


if __name__ == "__main__":
    main()
