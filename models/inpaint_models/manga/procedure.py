"""From a grey page to a grey fill: lines, screen map, several passes of the semantic network, appearance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from .lines import LineExtractor
from .network import AppearanceNetwork, ScreenEncoder, SemanticNetwork

PASSES = 5
_EROSIONS = 3
"""3x3 erosions at a time."""

OnStep = Callable[[str, Callable[[], Tensor] | None], None]
"""Told the part that begins, and how to get the page as far as it is known, (1, 1, H, W) in [-1, 1], if it is."""


class Networks(NamedTuple):
    line: LineExtractor
    screen: ScreenEncoder
    semantic: SemanticNetwork
    appearance: AppearanceNetwork


def fill_page(
    networks: Networks, gray: Tensor, mask: Tensor, noise: Tensor, *, passes: int = PASSES, on_step: OnStep
) -> Tensor:
    """The page drawn anew, (1, 1, H, W) in [-1, 1]; only its hole is of use.

    gray   (1, 1, H, W) in [-1, 1]
    mask   (1, 1, H, W), 1 = hole
    noise  (1, 1, H, W) standard normal
    """
    on_step("lines", None)
    line = extracted_lines(networks.line, gray)
    on_step("screen", None)
    gray, line = whitened(gray, mask), whitened(line, mask)
    screen = networks.screen(gray, line)
    for index, unknown in enumerate(masks_of_passes(mask, passes)):
        on_step("semantics", (lambda lines=line: within(lines, gray, mask)) if index else None)  # type: ignore[misc]
        drawn = networks.semantic(screen, line, unknown, noise)
        screen, line = within(drawn[0], screen, mask), within(drawn[1], line, mask)
    on_step("appearance", lambda: within(line, gray, mask))
    page: Tensor = networks.appearance(gray, *drawn, mask)  # as drawn, outside the hole too
    return page


def extracted_lines(network: LineExtractor, gray: Tensor) -> Tensor:
    """Lines in [-1, 1] of a page in [-1, 1]."""
    found: Tensor = network((gray + 1) * 127.5)
    return found.clamp(0, 255) / 127.5 - 1


def whitened(x: Tensor, mask: Tensor) -> Tensor:
    """White paper in the hole."""
    return x * (1 - mask) + mask


def within(drawn: Tensor, known: Tensor, mask: Tensor) -> Tensor:
    return drawn * mask + known * (1 - mask)


def masks_of_passes(mask: Tensor, passes: int) -> Iterator[Tensor]:
    """What each pass is told to be unknown: 1 deep in the hole, 1/2 where a pass before has drawn already.

    With each pass the part of 1 shrinks by a step, until it has at most its share of the hole.
    """
    left, whole = mask, float(mask.sum())
    for done in range(passes):
        while float(left.sum()) > whole * (1 - done / passes):
            left = eroded(left)
        yield (mask + left) / 2


def eroded(mask: Tensor) -> Tensor:
    """A few pixels less on all sides; beyond the picture's border the hole goes on."""
    for _ in range(_EROSIONS):
        mask = 1 - F.max_pool2d(1 - mask, 3, stride=1, padding=1)
    return mask
