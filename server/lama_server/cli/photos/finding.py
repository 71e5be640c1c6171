"""What --find does: finders instead of a mask, and a line on what they found in each photo."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_models import load_model
from inpaint_models.catalog import get_model, list_models
from inpaint_models.errors import ModelError
from inpaint_models.protocols import Finding
from inpaint_models.types import Box, Mask, PixelSource

from ...errors import BatchInvalid, MaskEmpty
from ...schemas.replies import wire_box
from ...store import saving
from .batch import Event


@dataclass(frozen=True, slots=True)
class FoundMask:
    """`mask` is None where nothing was found."""

    findings: Sequence[Finding]
    mask: Mask | None

    @property
    def text(self) -> str:
        """How many of each sort, for people."""
        counts = Counter(one.category for one in self.findings)
        return ", ".join(f"{count} {category}" for category, count in sorted(counts.items())) or "nothing"

    def hole(self) -> Mask:
        """Raises `MaskEmpty`."""
        if self.mask is None:
            raise MaskEmpty("Nothing was found.")
        return self.mask


Find = Callable[[PixelSource], FoundMask]


def names(text: str) -> list[str]:
    """What --find takes. Raises argparse's error."""
    wanted = [name.strip() for name in text.split(",")]
    try:
        return [get_model(name, "find").name for name in wanted]
    except ModelError as error:
        known = ", ".join(entry.name for entry in list_models("find"))
        raise argparse.ArgumentTypeError(f"{error} --find takes a list of: {known}") from None


def finding(wanted: Sequence[str]) -> Find:
    """Loads the finders. Raises `Unavailable`."""
    finders = [load_model(name, task="find", local_files_only=True) for name in wanted]

    def find(image: PixelSource) -> FoundMask:
        found = [one for finder in finders for one in finder(image)]
        return FoundMask(found, _together([one.mask for one in found]))

    return find


class Report:
    """What was found in each photo, as JSON in a file that did not exist before."""

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


def _together(masks: Sequence[Mask]) -> Mask | None:
    """All of them as one."""
    if not masks:
        return None
    box = reduce(Box.union, (mask.box for mask in masks))
    coverage = np.zeros((box.height, box.width), np.uint8)
    for mask in masks:
        part = coverage[mask.box.shifted(-box.x0, -box.y0).slices]
        np.maximum(part, mask.coverage, out=part)
    return Mask(box, coverage)
