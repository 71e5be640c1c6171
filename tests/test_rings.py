"""What lies far beyond a picture's edge is filled in rings, each from what the ring before it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inpaint_models import FillOptions, Inpainter, get_model
from inpaint_models.errors import Cancelled
from inpaint_models.pipeline.rings import rings_of
from inpaint_models.registry import Strategy
from inpaint_models.types import Box, FloatImage, HoleMask, Mask, ParamValue, Patch, Progress

REACH_PX = 20


class Stepping:
    """Fills each crop with the mean of what is known in it, and a tenth more."""

    def __init__(self) -> None:
        self.calls = 0

    def fill(
        self, image: FloatImage, hole: HoleMask, *, params: Mapping[str, ParamValue], seed: int, progress: Progress
    ) -> FloatImage:
        self.calls += 1
        assert not hole.all(), "there is something to fill from"
        progress("filling", 1, 1)
        return np.full_like(image, image[~hole].max() + 0.1)


def model(engine: Stepping, kind: str = "crop") -> Inpainter:
    strategy = Strategy(kind, crop_above=0, margin_px=8, max_side=4096)  # type: ignore[arg-type]
    entry = replace(get_model("opencv"), strategy=strategy, parameters=(), reach_px=REACH_PX)
    return Inpainter(entry, engine)


def extended(left: int, top: int, right: int, bottom: int, dtype: Any = np.uint8) -> tuple[NDArray[Any], NDArray[Any]]:
    """(a dark picture on a larger canvas, the mask of what is new)."""
    image = np.random.default_rng(0).integers(0, 30, (40, 50, 3)).astype(dtype)
    mask = np.full((40 + top + bottom, 50 + left + right), 255, np.uint8)
    mask[top : top + 40, left : left + 50] = 0
    return np.pad(image, ((top, bottom), (left, right), (0, 0)), mode="symmetric"), mask


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("margins", [(0, 0, 90, 0), (70, 45, 0, 0), (30, 61, 47, 90)])
def test_the_picture_stays_and_all_of_the_border_is_filled(margins: tuple[int, int, int, int], dtype: Any) -> None:
    image, mask = extended(*margins, dtype=dtype)
    image[mask > 0] = 0
    filled = model(Stepping())(image, mask)
    np.testing.assert_array_equal(filled[mask == 0], image[mask == 0])
    assert (filled[mask > 0] > 0).all()


def test_every_ring_continues_the_one_before_it() -> None:
    image, mask = extended(0, 0, 60, 0)
    filled = model(engine := Stepping())(image, mask)
    first, second, third = filled[20, 60, 0], filled[20, 80, 0], filled[20, 100, 0]
    assert first < second < third
    assert engine.calls == 3


def test_patches_of_rings_do_not_overlap_and_hold_the_hole() -> None:
    image, mask = extended(30, 61, 47, 90)
    covered = np.zeros(mask.shape, int)
    drawn = Mask(Box(0, 0, mask.shape[1], mask.shape[0]), mask)
    for patch in model(Stepping()).patches(image, drawn, FillOptions()):
        covered[patch.box.slices] += 1
    assert covered.max() == 1
    assert (covered[mask > 0] == 1).all()


def test_a_soft_edge_is_soft_towards_the_picture_and_nowhere_else() -> None:
    image, mask = extended(0, 0, 60, 0)
    hard = model(Stepping())(image, mask)
    soft = model(Stepping())(image, mask, FillOptions(feather_px=5))
    np.testing.assert_array_equal(soft[:, 60:], hard[:, 60:])
    assert (soft[:, 50:54] != hard[:, 50:54]).any()


@pytest.mark.parametrize(
    "mask",
    [
        Mask(Box(30, 30, 90, 90), np.full((60, 60), 255, np.uint8)),  # known all around
        Mask(Box(0, 0, 15, 100), np.full((100, 15), 255, np.uint8)),  # at the edge, and no deeper than the reach
        Mask(Box(0, 0, 100, 100), np.full((100, 100), 255, np.uint8)),  # nothing is known
    ],
)
def test_other_holes_are_filled_at_once(mask: Mask) -> None:
    assert rings_of(mask, REACH_PX, 100, 100) is None


def test_rings_hold_the_hole_once_and_none_is_deeper_than_the_reach() -> None:
    _, coverage = extended(0, 33, 90, 0)
    mask = Mask(Box(0, 0, coverage.shape[1], coverage.shape[0]), coverage)
    rings = rings_of(mask, REACH_PX, *coverage.shape)
    assert rings is not None
    parts = [rings.ring(number).hole_in(mask.box) for number in range(1, rings.count + 1)]
    np.testing.assert_array_equal(np.sum(parts, axis=0), coverage > 0)
    for number, part in enumerate(parts, 1):
        known = ~rings.rest(number).hole_in(mask.box)
        depth = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        assert depth[part].max() <= REACH_PX * 1.1 + 2


def test_a_whole_view_needs_no_rings() -> None:
    image, mask = extended(0, 0, 60, 0)
    model(engine := Stepping(), "resize")(image, mask)
    assert engine.calls == 1


def test_progress_counts_all_rings_and_can_cancel_between_them() -> None:
    image, mask = extended(0, 0, 60, 0)
    drawn = Mask(Box(0, 0, mask.shape[1], mask.shape[0]), mask)
    shares: list[float] = []

    def stop(stage: str, step: int, total: int, preview: Any = None) -> None:
        shares.append(step / total)
        if step * 2 > total:
            raise Cancelled

    with pytest.raises(Cancelled):
        list[Patch](model(Stepping()).patches(image, drawn, FillOptions(), stop))
    assert shares == sorted(shares)
    assert 0.5 < shares[-1] < 1
