"""The page's files: read once, served under an address that names their content, so that browsers may keep them.

The .html files are Jinja templates, filled in for each request and not served as they are.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

MEDIA_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""What is served; a file of any other kind in the tree is not."""

COMPRESSED = {".css", ".js", ".json", ".mjs", ".svg", ".webmanifest"}
"""What gzip makes smaller."""

MAIN_SCRIPT = "js/main.js"

_COMMENT = re.compile(rb"/\*.*?\*/|^[ \t]*//[^\n]*$", re.DOTALL | re.MULTILINE)
_INDENT = re.compile(rb"^[ \t]+", re.MULTILINE)
_STATIC_IMPORT = re.compile(rb'^(?:import\b|\}).*?\bfrom "(\.{1,2}/[^"]+)";$', re.MULTILINE)
"""How our own scripts are written; the frontend's linter keeps them so."""

READ = {*MEDIA_TYPES, ".html"}
"""What is read: what is served, and templates."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tree at one moment. Names are POSIX paths below the root."""

    hash: str
    files: Mapping[str, bytes]

    @property
    def asset_root(self) -> str:
        return f"/static/{self.hash}"

    def scripts(self) -> list[str]:
        """The modules that the page needs to start: the main one, and what it imports at once, however deep."""
        found: list[str] = []
        waiting = [MAIN_SCRIPT] if MAIN_SCRIPT in self.files else []
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.append(name)
                waiting += _imported(name, self.files[name])
        return sorted(found)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent. `gzipped` is None where that is no smaller."""

    content: bytes
    media_type: str
    gzipped: bytes | None


class Frontend:
    """The page's tree; read again only when a file in it changed, which happens while somebody works on it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._signature: tuple[tuple[str, int, int], ...] | None = None
        self._snapshot = Snapshot("", {})

    @functools.cached_property
    def _environment(self) -> jinja2.Environment:
        import jinja2  # with the first page: starting does without

        loader = jinja2.FunctionLoader(self._template)
        return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)

    def snapshot(self) -> Snapshot:
        """The current files."""
        paths = sorted(path for path in self._root.rglob("*") if path.suffix in READ and path.is_file())
        stats = [path.stat() for path in paths]
        names = [path.relative_to(self._root).as_posix() for path in paths]
        signature = tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in zip(names, stats, strict=True))
        if signature != self._signature:
            files = {name: path.read_bytes() for name, path in zip(names, paths, strict=True)}
            self._signature, self._snapshot = signature, Snapshot(_hash(files), files)
        return self._snapshot

    def asset(self, tree_hash: str, name: str) -> Asset | None:
        """A file of the current tree; None when the hash or the name is not known.

        The tree may not be read yet: the page may be of this server before a restart, or of another process of it.
        """
        snapshot = self._snapshot if tree_hash == self._snapshot.hash else self.snapshot()
        if tree_hash != snapshot.hash or name not in snapshot.files:
            return None
        return _asset(Path(name).suffix, snapshot.files[name])

    def file(self, name: str) -> bytes | None:
        """A file of the current tree."""
        return self.snapshot().files.get(name)

    def render(self, template: str, **values: object) -> str | None:
        """A template, which also gets `asset_root` and `scripts`; None when the tree does not have it."""
        snapshot = self.snapshot()
        if template not in snapshot.files:
            return None
        known = {"asset_root": snapshot.asset_root, "scripts": snapshot.scripts()}
        return self._environment.get_template(template).render(**known, **values)

    def _template(self, name: str) -> tuple[str, str | None, Any] | None:
        content = self._snapshot.files.get(name)
        if content is None:
            return None
        current = self._snapshot
        return content.decode("utf-8"), None, lambda: self._snapshot is current


def find_frontend() -> Path:
    """The tree of this installation: beside the package in a wheel, at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "frontend"
    return installed if installed.is_dir() else package.parents[1] / "frontend"


@functools.cache
def _asset(suffix: str, content: bytes) -> Asset | None:
    """Scripts go out without comments and indents, which are half of them; lines keep their numbers."""
    media_type = MEDIA_TYPES.get(suffix)
    if media_type is None:
        return None
    if suffix in (".js", ".mjs"):
        content = _COMMENT.sub(lambda comment: b"\n" * comment[0].count(b"\n"), content)
        content = _INDENT.sub(b"", content)
    gzipped = gzip.compress(content, 9, mtime=0) if suffix in COMPRESSED else content
    return Asset(content, media_type, gzipped if len(gzipped) < len(content) else None)


def _imported(name: str, script: bytes) -> Iterator[str]:
    for match in _STATIC_IMPORT.finditer(script):
        yield posixpath.normpath(posixpath.join(posixpath.dirname(name), match[1].decode()))


def _hash(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
    return digest.hexdigest()[:16]
