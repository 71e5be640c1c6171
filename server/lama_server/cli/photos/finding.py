"""What --find does: finders instead of a mask, and a line on what they found in each photo."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from inpaint_models import load_model
from inpaint_models.catalog import get_model, list_models
from inpaint_models.errors import ModelError
from inpaint_models.protocols import Finding
from inpaint_models.types import Box, Mask, PixelSource

from ...errors import MaskEmpty


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
