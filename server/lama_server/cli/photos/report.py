"""What --report does: what was found in each photo, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import BatchInvalid
from ...schemas.base import wire_box
from ...store import saving
from .batch import Event


class Report:
    """A file that did not exist before."""

    def __init__(self, path: Path) -> None:
        """Raises `BatchInvalid`."""
        if path.exists():
            raise BatchInvalid(f"The report {path} exists. Name another file, or move that one away.")
        self._path, self._photos = path, list[dict[str, Any]]()

    def add(self, event: Event) -> None:
        found = event.made.found.findings if event.made.found else ()
        self._photos.append(
            {
                "photo": event.job.image.name,
                "outcome": event.made.outcome,
                "result": event.made.result.name if event.made.result else None,
                "message": event.made.message,
                "found": [
                    {"category": one.category, "score": round(one.score, 3), **wire_box(one.mask.box)} for one in found
                ],
            }
        )

    def write(self) -> None:
        """Raises `SaveError`."""
        folder, text = self._path.parent.resolve(), json.dumps({"photos": self._photos}, indent=1, ensure_ascii=False)
        saving.make_directory(folder)
        saving.save_new(folder, self._path.stem, self._path.suffix, f"{text}\n".encode())
