"""Select: what the runner checks, and GrabCut on scenes of which the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from drawn_scenes import bird, overlap
from inpaint_models import Box, Point, Prompts, Stroke, load_model
from inpaint_models.errors import Cancelled, InvalidImage, InvalidPrompts, UnknownParameter, WrongTask
from inpaint_models.protocols import Polygon
from inpaint_models.tasks.select import Selector

IMAGE, COVERED = bird()
TRUTH = COVERED > 0.5
ROUGH = Stroke(((130, 115), (165, 135), (240, 170), (270, 175)), 30)


@pytest.fixture(scope="module")
def grabcut() -> Selector:
    return load_model("grabcut", task="select")


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(strokes=(ROUGH,)),
        Prompts(strokes=(Stroke(((130, 115), (240, 165)), 12),)),
        Prompts(boxes=(Box(100, 85, 330, 215),)),
        Prompts(points=(Point(200, 150),)),
    ],
    ids=["wide stroke that leaves the bird", "thin stroke inside", "box", "point"],
)
def test_a_bird_on_grass_is_found(grabcut: Selector, prompts: Prompts) -> None:
    assert overlap(grabcut(IMAGE, prompts), TRUTH) > 0.9


def test_a_large_photo_is_refined_to_its_own_pixels(grabcut: Selector) -> None:
    image, covered = bird(1800, 2400)
    stroke = Stroke(tuple((6 * x, 6 * y) for x, y in ROUGH.points), 6 * ROUGH.width_px)
    truth, found = covered > 0.5, grabcut(image, Prompts(strokes=(stroke,)))
    assert overlap(found, truth) > 0.98
    rows = np.flatnonzero(truth[:, 1200])
    assert np.abs(np.flatnonzero(found[:, 1200])[[0, -1]] - rows[[0, -1]]).max() <= 2


def test_the_same_stroke_finds_the_same_pixels(grabcut: Selector) -> None:
    prompts = Prompts(strokes=(ROUGH,))
    np.testing.assert_array_equal(grabcut(IMAGE, prompts), grabcut(IMAGE, prompts))


@pytest.mark.parametrize(
    "image",
    [
        IMAGE.astype(np.uint16) * 257,
        np.dstack([IMAGE, np.full(IMAGE.shape[:2], 9, np.uint8)]),
    ],
    ids=["16 bit", "alpha"],
)
def test_depth_and_alpha_change_nothing(grabcut: Selector, image: np.ndarray) -> None:
    prompts = Prompts(strokes=(ROUGH,))
    np.testing.assert_array_equal(grabcut(image, prompts), grabcut(IMAGE, prompts))


def test_a_grey_image_is_taken(grabcut: Selector) -> None:
    assert grabcut(IMAGE[..., 0], Prompts(strokes=(ROUGH,))).any()


def test_an_image_is_encoded_once_for_any_number_of_prompts(grabcut: Selector) -> None:
    encoded = grabcut.encode(IMAGE)
    assert encoded.shape == IMAGE.shape[:2]
    wide = grabcut.select(encoded, Prompts(strokes=(ROUGH,)))
    less = grabcut.select(encoded, Prompts(strokes=(ROUGH, Stroke(((130, 90), (130, 140)), 30, add=False))))
    assert 0 < less.hole_in(Box(0, 0, 400, 300)).sum() < wide.hole_in(Box(0, 0, 400, 300)).sum()


def test_what_is_taken_away_is_not_selected(grabcut: Selector) -> None:
    found = grabcut(IMAGE, Prompts(strokes=(ROUGH,), points=(Point(130, 115, add=False),)))
    assert not found[115, 130]
    assert found[150, 200]


def test_only_the_surroundings_of_the_prompts_are_read(grabcut: Selector) -> None:
    large = np.zeros((3000, 4000, 3), np.uint8)
    large[1000:1300, 2000:2400] = IMAGE
    source = Watched(large)
    stroke = Stroke(tuple((x + 2000, y + 1000) for x, y in ROUGH.points), ROUGH.width_px)
    mask = grabcut.select(grabcut.encode(source), Prompts(strokes=(stroke,)))
    assert 0 < source.read_px < 400 * 300
    assert overlap(mask.hole_in(Box(2000, 1000, 2400, 1300)), TRUTH) > 0.9


def test_of_a_large_thing_edges_and_a_few_rows_are_read(grabcut: Selector) -> None:
    source = Watched(IMAGE.repeat(10, axis=0).repeat(10, axis=1))
    stroke = Stroke(tuple((10 * x, 10 * y) for x, y in ROUGH.points), 10 * ROUGH.width_px)
    mask = grabcut.select(grabcut.encode(source), Prompts(strokes=(stroke,)))
    assert overlap(mask.hole_in(Box(0, 0, 4000, 3000))[5::10, 5::10], TRUTH) > 0.9
    assert source.read_px < 0.7 * 4000 * 3000


def test_the_outline_of_a_large_thing_is_told_when_little_has_been_read(grabcut: Selector) -> None:
    source = Watched(IMAGE.repeat(10, axis=0).repeat(10, axis=1))
    stroke = Stroke(tuple((10 * x, 10 * y) for x, y in ROUGH.points), 10 * ROUGH.width_px)
    told: list[tuple[Polygon, int]] = []

    def listen(stage: str, step: int, total: int, preview: Callable[[], Polygon] | None = None) -> None:
        if preview is not None:
            told.append((preview(), source.read_px))

    mask = grabcut.select(grabcut.encode(source), Prompts(strokes=(stroke,)), progress=listen)
    ((outline, read_px),) = told
    assert read_px < 0.8 * source.read_px
    around = np.zeros((3000, 4000), np.uint8)
    cv2.fillPoly(around, [np.rint(outline).astype(np.int32)], 1)
    assert overlap(around > 0, mask.hole_in(Box(0, 0, 4000, 3000))) > 0.95


class Watched:
    """An image that counts the pixels that are read of it."""

    def __init__(self, image: np.ndarray) -> None:
        self._image, self.shape, self.dtype, self.read_px = image, image.shape, image.dtype, 0

    def __getitem__(self, rows_and_columns: tuple[slice, slice]) -> np.ndarray:
        part = self._image[rows_and_columns]
        self.read_px += part.shape[0] * part.shape[1]
        return part


def test_a_thing_at_the_edge_of_the_photo_is_followed_to_it(grabcut: Selector) -> None:
    cut_off, truth = IMAGE[:, 150:], TRUTH[:, 150:]
    found = grabcut(cut_off, Prompts(strokes=(Stroke(((5, 140), (90, 170)), 30),)))
    assert overlap(found, truth) > 0.9
    assert found[130:140, 0].all()


def test_a_thing_in_a_box_is_not_lost_to_a_ground_of_its_colours(grabcut: Selector) -> None:
    noise = np.random.default_rng(3).normal(0, 18, (300, 400, 1))
    ground = np.where(np.indices((300, 400)).sum(axis=0)[..., None] // 40 % 2, 150, 110)
    truth = np.hypot(*(np.indices((300, 400)) - np.array([150, 200])[:, None, None])) < 22
    image = np.where(truth[..., None], 200, ground) + noise
    found = grabcut(image.clip(0, 255).astype(np.uint8).repeat(3, axis=2), Prompts(boxes=(Box(174, 124, 226, 176),)))
    assert overlap(found, truth) > 0.85


@pytest.mark.parametrize("size", [(1207, 1603), (3003, 4007)], ids=["refined at every size", "enlarged at the end"])
def test_a_thing_in_the_far_corner_of_odd_sides_is_followed_to_the_last_pixel(
    grabcut: Selector, size: tuple[int, int]
) -> None:
    image = np.full((*size, 3), (90, 140, 90), np.uint8)
    truth = np.zeros(size, bool)
    truth[size[0] // 2 :, size[1] // 2 :] = True
    image[truth] = (200, 60, 50)
    stroke = Stroke(((0.6 * size[1], 0.6 * size[0]), (0.9 * size[1], 0.9 * size[0])), 0.2 * size[0])
    found = grabcut(image, Prompts(strokes=(stroke,)))
    np.testing.assert_array_equal(found[-9:, -9:], True)
    assert overlap(found, truth) > 0.99


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        (Prompts(), "Nothing points at a place"),
        (Prompts(points=(Point(10, 10, add=False),)), "Nothing points at a place"),
        (Prompts(points=(Point(401, 10),)), r"in the image \(400x300\)"),
        (Prompts(boxes=(Box(20, 20, 20, 40),)), "Nothing points at a place"),
        (Prompts(strokes=(Stroke(((-90, -90), (-50, -50)), 20),)), "Nothing points at a place"),
        (Prompts(strokes=(Stroke((), 20),)), "at least one point"),
        (Prompts(strokes=(Stroke(((5, 5),), 0),)), "width of more than 0"),
        (Prompts(strokes=(Stroke(((5, float("nan")),), 3),)), "not finite"),
        (Prompts(points=(Point(float("inf"), 3),)), "not finite"),
    ],
)
def test_prompts_that_say_nothing_are_refused(grabcut: Selector, prompts: Prompts, said: str) -> None:
    with pytest.raises(InvalidPrompts, match=said):
        grabcut(IMAGE, prompts)


def test_a_stroke_may_leave_the_photo(grabcut: Selector) -> None:
    assert grabcut(IMAGE, Prompts(strokes=(Stroke(((-50, 150), (500, 150)), 20),))).any()


@pytest.mark.parametrize("image", [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3))])
def test_what_is_no_image_is_refused(grabcut: Selector, image: np.ndarray) -> None:
    with pytest.raises(InvalidImage):
        grabcut.encode(image)


def test_a_parameter_that_it_does_not_have_is_refused(grabcut: Selector) -> None:
    with pytest.raises(UnknownParameter, match="grabcut has no parameter"):
        grabcut(IMAGE, Prompts(strokes=(ROUGH,)), {"radius": 3})


def test_one_colour_everywhere_gives_at_least_what_was_painted(grabcut: Selector) -> None:
    assert grabcut(np.full((50, 60, 3), 80, np.uint8), Prompts(strokes=(Stroke(((20, 25), (40, 25)), 8),))).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2)])
def test_the_smallest_images_are_answered(grabcut: Selector, size: tuple[int, int]) -> None:
    found = grabcut(np.zeros((*size, 3), np.uint8), Prompts(points=(Point(0.5, 0.5),)))
    assert found.shape == size
    assert found[0, 0]


def test_a_selection_can_be_cancelled(grabcut: Selector) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Cancelled("No longer wanted.")

    with pytest.raises(Cancelled):
        grabcut.select(grabcut.encode(IMAGE), Prompts(strokes=(ROUGH,)), progress=stop)


def test_a_model_is_loaded_for_its_own_task_only() -> None:
    with pytest.raises(WrongTask, match="GrabCut is there to select, not to fill"):
        load_model("grabcut")
    with pytest.raises(WrongTask, match="OpenCV is there to fill, not to select"):
        load_model("opencv", task="select")
