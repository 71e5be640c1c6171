"""Select by an outline or by a colour, loops of GrabCut, and shadows, on scenes of which the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from drawn_scenes import bird, mug, overlap
from inpaint_models import Box, Mask, Point, Prompts, Stroke, load_model
from inpaint_models.errors import Cancelled, InvalidPrompts
from inpaint_models.protocols import Polygon
from inpaint_models.tasks.select import Selector
from inpaint_models.types import tight_box

BIRD, COVERED = bird()
TRUTH = COVERED > 0.5
MUG, MUG_COVERED = mug()


@pytest.fixture(scope="module")
def grabcut() -> Selector:
    return load_model("grabcut", task="select")


@pytest.fixture(scope="module")
def lasso() -> Selector:
    return load_model("lasso", task="select")


@pytest.fixture(scope="module")
def wand() -> Selector:
    return load_model("wand", task="select")


def outline(truth: np.ndarray, count: int, scale: float = 1.0) -> list[tuple[float, float]]:
    """Places along the edge of the truth, the first again at the end."""
    (edge,), _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    places = [tuple(scale * edge[index * len(edge) // count, 0].astype(float)) for index in range(count)]
    return [*places, places[0]]


# a stroke around a thing


def test_a_stroke_around_a_thing_selects_what_is_in_it(grabcut: Selector) -> None:
    middle = np.array([205.0, 155.0])
    loop = [tuple(middle + 1.25 * (np.array(place) - middle)) for place in outline(TRUTH, 24)]
    assert overlap(grabcut(BIRD, Prompts(strokes=(Stroke(tuple(loop), 8),))), TRUTH) > 0.9
    open_loop = tuple(loop[:-2])
    assert overlap(grabcut(BIRD, Prompts(strokes=(Stroke(open_loop, 8),))), TRUTH) > 0.9


def test_nothing_outside_a_loop_is_selected(grabcut: Selector) -> None:
    two = np.hstack([BIRD, BIRD])
    loop = tuple((x, y) for x, y in ((90, 70), (330, 70), (340, 220), (90, 220), (90, 75)))
    found = grabcut(two, Prompts(strokes=(Stroke(loop, 6),)))
    assert overlap(found[:, :400], TRUTH) > 0.9
    assert not found[:, 400:].any()


def test_what_shines_through_a_thing_goes_with_it(grabcut: Selector) -> None:
    spotted = BIRD.copy()
    spotted[150:156, 200:206] = (90, 130, 70)
    assert grabcut(spotted, Prompts(strokes=(Stroke(((150, 130), (260, 175)), 24),)))[152, 203]


# along an outline


@pytest.mark.parametrize("scale", [1, 5])
def test_the_outline_runs_along_edges_between_a_few_points(lasso: Selector, scale: int) -> None:
    image, covered = bird(300 * scale, 400 * scale)
    points = tuple(Point(x, y) for x, y in outline(TRUTH, 10, scale))
    straight = np.zeros(covered.shape, np.uint8)
    cv2.fillPoly(straight, [np.array([point[:2] for point in points], np.int32)], 1)
    found, truth = lasso(image, Prompts(points=points)), covered > 0.5
    assert overlap(found, truth) > 0.95
    assert overlap(found, truth) > overlap(straight > 0, truth)


def test_a_stroke_along_the_outline_does_as_well(lasso: Selector) -> None:
    stroke = Stroke(tuple(outline(TRUTH, 80)), 6)
    assert overlap(lasso(BIRD, Prompts(strokes=(stroke,))), TRUTH) > 0.95


def test_a_further_point_looks_for_one_more_piece_only(lasso: Selector) -> None:
    points = tuple(Point(x, y) for x, y in outline(TRUTH, 8))
    encoded: Any = lasso.encode(BIRD)
    lasso.select(encoded, Prompts(points=points[:4]))
    before = dict(encoded.pieces)
    lasso.select(encoded, Prompts(points=points[:5]))
    assert len(encoded.pieces) == len(before) + 1
    assert all(encoded.pieces[key] is piece for key, piece in before.items())


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(points=(Point(20, 20),)),
        Prompts(points=(Point(20, 20), Point(20, 20))),
        Prompts(boxes=(Box(10, 10, 40, 40),)),
    ],
)
def test_an_outline_needs_two_places(lasso: Selector, prompts: Prompts) -> None:
    with pytest.raises(InvalidPrompts, match="two points"):
        lasso(BIRD, prompts)


@pytest.mark.parametrize("size", [(1, 9), (2, 2), (40, 3)])
def test_outlines_in_the_smallest_images_are_answered(lasso: Selector, size: tuple[int, int]) -> None:
    last = Point(size[1] - 0.5, size[0] - 0.5)
    assert lasso(np.zeros((*size, 3), np.uint8), Prompts(points=(Point(0.5, 0.5), last))).any()


# by colour


def flag(height: int, width: int) -> np.ndarray:
    """Three stripes with noise; the middle one is light."""
    image = np.zeros((height, width, 3), np.int16)
    image[:] = np.repeat([(160, 40, 40), (230, 230, 225), (40, 60, 150)], [height // 3] * 3, axis=0)[:, None]
    return np.clip(image + np.random.default_rng(4).normal(0, 3, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "prompts"),
    [
        ("wand", Prompts(points=(Point(10, 1200),))),
        ("lasso", Prompts(points=(Point(5, 800), Point(3190, 800), Point(3190, 1599), Point(5, 1599), Point(5, 800)))),
    ],
)
def test_these_tools_tell_an_outline_before_the_mask(name: str, prompts: Prompts) -> None:
    told: list[Polygon] = []

    def listen(stage: str, step: int, total: int, preview: Callable[[], Polygon] | None = None) -> None:
        if preview is not None:
            told.append(preview())

    selector = load_model(name, task="select")
    mask = selector.select(selector.encode(flag(2400, 3200)), prompts, progress=listen)
    (outline,) = told
    around = np.zeros((2400, 3200), np.uint8)
    cv2.fillPoly(around, [np.rint(outline).astype(np.int32)], 1)
    assert overlap(around > 0, mask.hole_in(Box(0, 0, 3200, 2400))) > 0.98


@pytest.mark.parametrize("scale", [1, 8])
def test_the_wand_takes_one_colour_as_far_as_it_goes(wand: Selector, scale: int) -> None:
    image = flag(300 * scale, 400 * scale)
    found = wand(image, Prompts(points=(Point(10, 150 * scale),)))
    truth = np.zeros(image.shape[:2], bool)
    truth[100 * scale : 200 * scale] = True
    assert overlap(found, truth) > 0.995


def test_a_wider_tolerance_takes_more(wand: Selector) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    at = Prompts(points=(Point(128, 10),))
    widths = [int(wand(ramp, at, {"tolerance": tolerance})[10].sum()) for tolerance in (0, 10, 40)]
    assert widths == [1, 21, 81]


def test_the_wand_stops_where_a_colour_is_not_connected(wand: Selector) -> None:
    image = flag(300, 400)
    image[:, 200:204] = 0
    found = wand(image, Prompts(points=(Point(10, 150),)))
    assert not found[:, 200:].any()


def test_places_that_take_away_win(wand: Selector) -> None:
    image = flag(300, 400)
    prompts = Prompts(points=(Point(10, 150), Point(10, 50), Point(300, 50, add=False)))
    found = wand(image, prompts)
    assert found[150].all()
    assert not found[50].any()


def test_a_stroke_takes_all_colours_along_it(wand: Selector) -> None:
    path = tuple((200.0, float(y)) for y in range(20, 180, 4))
    found = wand(flag(300, 400), Prompts(strokes=(Stroke(path, 10),)))
    assert found[:190].mean() > 0.98
    assert not found[210:].any()


def test_the_wand_needs_a_place(wand: Selector) -> None:
    with pytest.raises(InvalidPrompts, match="needs a point or a stroke"):
        wand(BIRD, Prompts(boxes=(Box(10, 10, 40, 40),)))


@pytest.mark.parametrize("name", ["lasso", "wand"])
def test_these_selections_can_be_cancelled(name: str) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Cancelled("No longer wanted.")

    selector: Selector = load_model(name, task="select")
    with pytest.raises(Cancelled):
        selector.select(selector.encode(BIRD), Prompts(points=(Point(5, 5), Point(90, 90))), progress=stop)


# shadows


def as_mask(flags: np.ndarray) -> Mask:
    box = tight_box(flags)
    assert box is not None
    return Mask(box, flags[box.slices] * np.uint8(255))


def beside_its_shadow(light: float) -> tuple[np.ndarray, Mask, np.ndarray]:
    """(image, thing, shadow) of a box on uneven ground in slanting light, of which that share is left in the shadow."""
    noise = np.random.default_rng(3).normal(0, 1, (400, 600)).astype(np.float32)
    ground = np.array([150, 135, 110]) + cv2.GaussianBlur(noise, (0, 0), 2)[..., None] * 30
    shadow = np.zeros((400, 600), np.float32)
    cv2.fillPoly(shadow, [np.array([(250, 300), (330, 300), (470, 350), (400, 352)], np.int32)], 1)
    image = ground * (1 - (1 - light) * cv2.GaussianBlur(shadow, (0, 0), 2)[..., None])
    thing = np.zeros((400, 600), bool)
    thing[180:301, 250:331] = True
    image[thing] = (60, 90, 160)
    return np.clip(image, 0, 255).astype(np.uint8), as_mask(thing), (shadow > 0.5) & ~thing


def test_the_shadow_of_a_thing_is_found_without_the_thing(grabcut: Selector) -> None:
    image, thing, truth = beside_its_shadow(0.55)
    shadow = grabcut.shadow(image, thing)
    assert shadow is not None
    whole = Box(0, 0, 600, 400)
    assert overlap(shadow.hole_in(whole), truth) > 0.75
    assert not (shadow.hole_in(whole) & thing.hole_in(whole)).any()


def test_a_shadow_of_the_same_hue_is_found_at_any_depth(grabcut: Selector) -> None:
    shadow = grabcut.shadow(MUG.astype(np.uint16) * 257, as_mask(MUG_COVERED > 0.5))
    assert shadow is not None
    assert shadow.box.y1 > 230


def test_a_thing_in_even_light_has_no_shadow(grabcut: Selector) -> None:
    image, thing, _ = beside_its_shadow(1.0)
    assert grabcut.shadow(image, thing) is None


def test_a_dark_puddle_of_another_colour_is_no_shadow(grabcut: Selector) -> None:
    image, thing, truth = beside_its_shadow(1.0)
    image[truth] = (20, 40, 110)
    assert grabcut.shadow(image, thing) is None
