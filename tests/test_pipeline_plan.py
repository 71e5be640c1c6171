"""Crops: what a network gets to see."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_models import get_model
from inpaint_models.pipeline.plan import around, network_size, plan, seeing_known, with_context
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


def stroke(height: int, width: int, *points: tuple[int, int], thickness: int = 60) -> Mask:
    coverage = np.zeros((height, width), np.uint8)
    cv2.polylines(coverage, [np.array(points, np.int32)], False, 255, thickness)
    return Mask(Box(0, 0, width, height), coverage)


boxes = st.builds(
    lambda x, y, w, h: Box(x, y, min(300, x + w), min(200, y + h)),
    st.integers(0, 299), st.integers(0, 199), st.integers(1, 60), st.integers(1, 60),
)  # fmt: skip
points = st.lists(st.tuples(st.integers(0, 1999), st.integers(0, 1499)), min_size=2, max_size=6)
strategies = st.builds(
    Strategy, st.sampled_from(["crop", "crop", "crop", "resize", "original"]), crop_above=st.sampled_from([0, 1700]),
    margin_px=st.integers(8, 200), max_side=st.sampled_from([256, 1024, 16384]), context=st.sampled_from([0.0, 1.0]),
)  # fmt: skip
sizes = st.sampled_from([ANY_SIZE, SizeRequirement(16, 8), SizeRequirement(512, 512, square=True)])


@settings(max_examples=60)
@given(points, points, st.integers(1, 80), strategies, sizes, st.booleans())
def test_patches_are_disjoint_and_hold_every_hole_and_lie_in_their_crops(
    first: list[tuple[int, int]],
    second: list[tuple[int, int]],
    thickness: int,
    strategy: Strategy,
    size: SizeRequirement,
    in_batches: bool,
) -> None:
    coverage = np.maximum(*(stroke(1500, 2000, *line, thickness=thickness).coverage for line in (first, second)))
    mask = Mask(Box(0, 0, 2000, 1500), coverage)
    planned = plan(mask, 1500, 2000, strategy, size, in_batches=in_batches)
    filled = np.zeros((1500, 2000), int)
    for crop in planned.crops:
        assert crop.box == crop.box.clipped(1500, 2000)
        assert crop.padded_size == size.padded(*crop.network_size)
        for patch in crop.patches:
            assert patch.intersection(crop.box) == patch
            filled[patch.slices] += 1
    assert filled.max() == 1
    assert (filled[coverage > 0] == 1).all()


@settings(max_examples=40)
@given(st.lists(boxes, min_size=1, max_size=8))
def test_small_holes_too(holes: list[Box]) -> None:
    mask = mask_with(*holes)
    filled = np.zeros((200, 300), int)
    for crop in plan(mask, 200, 300, CROP, ANY_SIZE).crops:
        for patch in crop.patches:
            filled[patch.slices] += 1
    assert filled.max() == 1
    assert (filled[mask.coverage > 0] == 1).all()


def test_holes_share_a_crop_where_that_shows_the_engine_fewer_pixels() -> None:
    near = plan(mask_with(Box(10, 10, 20, 20), Box(60, 10, 70, 20)), 200, 300, CROP, ANY_SIZE)
    assert [crop.box for crop in near.crops] == [Box(0, 0, 80, 30)]
    wide = Box(0, 0, 3000, 2000)
    far = plan(mask_with(Box(10, 10, 20, 20), Box(2900, 10, 2910, 20), box=wide), 2000, 3000, CROP, ANY_SIZE)
    assert [crop.box for crop in far.crops] == [Box(0, 0, 30, 30), Box(2890, 0, 2920, 30)]


@pytest.mark.parametrize("name", ["opencv", "patchmatch", "lama", "mat", "ldm"])
def test_a_diagonal_across_48_megapixels_costs_its_length(name: str) -> None:
    entry = get_model(name)
    planned = plan(stroke(6000, 8000, (40, 40), (7960, 5960)), 6000, 8000, entry.strategy, entry.size)
    assert sum(crop.box.area for crop in planned.crops) < 6000 * 8000 / 2
    assert sum(patch.area for crop in planned.crops for patch in crop.patches) < 6000 * 8000 / 10
    assert all(crop.network_size == (crop.box.height, crop.box.width) for crop in planned.crops)


@pytest.mark.parametrize("thickness", [40, 120])
@pytest.mark.parametrize("end", [(3200, 500), (600, 2800), (3700, 2700)], ids=["level", "upright", "slanted"])
@pytest.mark.parametrize("name", ["migan", "fcf", "mat", "lama", "ldm", "manga"])
def test_no_tile_of_a_stroke_is_shrunk(name: str, end: tuple[int, int], thickness: int) -> None:
    entry = get_model(name)
    planned = plan(stroke(3000, 4000, (600, 500), end, thickness=thickness), 3000, 4000, entry.strategy, entry.size)
    assert len(planned.crops) > 1
    assert all(crop.network_size == (crop.box.height, crop.box.width) for crop in planned.crops)


def test_context_gives_way_before_detail_does_down_to_half_of_it() -> None:
    fcf = get_model("fcf")
    for side, wanted in ((100, 512), (256, 512), (300, 512), (384, 512), (390, 390 + 256)):
        crop = with_context(Box(1000, 1000, 1000 + side, 1000 + side), 3000, 3000, fcf.strategy, fcf.size)
        assert (crop.width, crop.height) == (wanted, wanted)


def test_a_blob_is_shown_whole() -> None:
    disc = stroke(4000, 4000, (2000, 2000), (2000, 2000), thickness=3000)
    lama = get_model("lama")
    assert len(plan(disc, 4000, 4000, lama.strategy, lama.size).crops) == 1


@pytest.mark.parametrize("kind", ["resize", "original"])
def test_a_whole_image_has_a_patch_for_each_region(kind: Literal["resize", "original"]) -> None:
    mask = mask_with(Box(10, 10, 20, 20), Box(2900, 1900, 2910, 1905), box=Box(0, 0, 3000, 2000))
    (crop,) = plan(mask, 2000, 3000, Strategy(kind, max_side=600), ANY_SIZE).crops
    assert crop.box == Box(0, 0, 3000, 2000)
    assert crop.patches == (Box(10, 10, 20, 20), Box(2900, 1900, 2910, 1905))
    assert crop.network_size == ((400, 600) if kind == "resize" else (2000, 3000))


@pytest.mark.parametrize("name", ["opencv", "lama"])
def test_parts_of_a_hole_that_touch_are_filled_one_after_the_other(name: str) -> None:
    entry = get_model(name)
    frame = stroke(6000, 8000, (100, 100), (7900, 100), (7900, 5900), (100, 5900), (100, 100))
    crops = plan(frame, 6000, 8000, entry.strategy, entry.size).crops
    assert [crop.wave for crop in crops] == sorted(crop.wave for crop in crops)
    for index, crop in enumerate(crops):
        for other in crops[:index]:
            apart = not around(crop.patches).grown(1).overlaps(around(other.patches))
            assert apart or other.wave < crop.wave
    assert 2 <= len({crop.wave for crop in crops}) <= 4


def test_crops_of_small_holes_have_one_size_for_engines_that_take_batches() -> None:
    rng = np.random.default_rng(0)
    holes = [Box(x, y, x + 20 + w, y + 20 + h) for (x, y), (w, h) in zip(
        [(500 * i + 200, 700 * j + 200) for i in range(5) for j in range(2)], rng.integers(0, 30, (10, 2)).tolist(),
        strict=True,
    )]  # fmt: skip
    mask = mask_with(*holes, box=Box(0, 0, 3000, 2000))
    lama = get_model("lama")
    alone = plan(mask, 2000, 3000, lama.strategy, lama.size)
    together = plan(mask, 2000, 3000, lama.strategy, lama.size, in_batches=True)
    assert len({crop.padded_size for crop in alone.crops}) > 2
    assert {crop.padded_size for crop in together.crops} == {(448, 448)}
    assert [len(batch) for batch in together.batches(4 * 448 * 448)] == [4, 4, 2]
    assert [len(batch) for batch in together.batches(0)] == [1] * 10


def test_a_batch_never_holds_two_waves() -> None:
    lama = get_model("lama")
    line = stroke(6000, 8000, (40, 40), (7960, 5960))
    planned = plan(line, 6000, 8000, lama.strategy, lama.size, in_batches=True)
    batches = list(planned.batches(1e9))
    assert sum(map(len, batches)) == len(planned.crops)
    assert all(len({(crop.wave, crop.padded_size) for crop in batch}) == 1 for batch in batches)


def test_a_crop_that_would_be_all_hole_is_widened_until_something_is_known() -> None:
    coverage = np.full((400, 600), 255, np.uint8)
    coverage[:, 590:] = 0
    mask = Mask(Box(0, 0, 600, 400), coverage)
    crop = seeing_known(mask, Box(100, 100, 120, 120), 400, 600, CROP, ANY_SIZE, 1)
    assert not mask.hole_in(crop).all()
    coverage[:] = 255
    assert seeing_known(mask, Box(100, 100, 120, 120), 400, 600, CROP, ANY_SIZE, 1) == Box(0, 0, 600, 400)
