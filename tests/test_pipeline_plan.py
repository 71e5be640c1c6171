"""Crops: what a network gets to see."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inpaint_models.pipeline.plan import network_size, plan, with_context
from inpaint_models.registry import SizeRequirement, Strategy
from inpaint_models.types import Box, Mask

ANY_SIZE = SizeRequirement()
WHOLE = Box(0, 0, 300, 200)
CROP = Strategy("crop", crop_above=0, margin_px=10, max_side=1000)


def mask_with(*holes: Box, box: Box = WHOLE) -> Mask:
    coverage = np.zeros((box.height, box.width), np.uint8)
    for hole in holes:
        coverage[hole.shifted(-box.x0, -box.y0).slices] = 255
    return Mask(box, coverage)


def test_boxes_are_in_the_frame_of_the_image() -> None:
    mask = mask_with(Box(210, 120, 215, 130), box=Box(200, 100, 300, 150))
    assert plan(mask, 200, 300, CROP, ANY_SIZE).crops[0].patches == (Box(210, 120, 215, 130),)


def test_context_is_kept_at_the_edges_by_moving_inwards() -> None:
    crop = with_context(Box(0, 0, 10, 10), 200, 300, CROP, ANY_SIZE)
    assert crop == Box(0, 0, 30, 30)


def test_a_network_that_wants_more_gets_picture_not_padding() -> None:
    crop = with_context(Box(100, 100, 110, 110), 2000, 2000, CROP, SizeRequirement(512, 512, square=True))
    assert (crop.width, crop.height) == (512, 512)


def test_an_image_under_the_trigger_goes_in_whole() -> None:
    planned = plan(mask_with(Box(5, 5, 9, 9)), 200, 300, Strategy("crop", crop_above=800), ANY_SIZE)
    assert planned.strategy == "original"
    assert [crop.box for crop in planned.crops] == [Box(0, 0, 300, 200)]


def test_the_side_the_network_sees_is_capped() -> None:
    assert network_size(Box(0, 0, 4000, 1000), 2000) == (500, 2000)
    assert network_size(Box(0, 0, 400, 100), 2000) == (100, 400)


boxes = st.builds(
    lambda x, y, w, h: Box(x, y, min(300, x + w), min(200, y + h)),
    st.integers(0, 299), st.integers(0, 199), st.integers(1, 60), st.integers(1, 60),
)  # fmt: skip


@given(st.lists(boxes, min_size=1, max_size=8))
def test_patches_are_disjoint_and_hold_every_hole(holes: list[Box]) -> None:
    mask = mask_with(*holes)
    inside = np.zeros((200, 300), int)
    for crop in plan(mask, 200, 300, CROP, ANY_SIZE).crops:
        assert crop.box == crop.box.clipped(200, 300)
        for patch in crop.patches:
            assert patch.intersection(crop.box) == patch
            inside[patch.slices] += 1
    assert inside.max() == 1
    assert (inside[mask.coverage > 0] == 1).all()
