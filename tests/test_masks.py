"""Shapes become the pixels that a canvas would draw."""

from __future__ import annotations

import base64
import io
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pydantic import TypeAdapter, ValidationError

from inpaint_models.errors import Cancelled
from inpaint_models.imaging.contours import contour
from inpaint_models.types import Box
from lama_server import codec
from lama_server.errors import ApiError, ImageError, Limit, MaskBitmapInvalid, MaskEmpty, MaskSizeWrong, TooManyPixels
from lama_server.imaging import masks
from lama_server.imaging.masks import box_of, check_bounds, from_raster, polygon_of, rasterise
from lama_server.schemas.shapes import Shape
from lama_server.settings import Limits

SHAPES: TypeAdapter[list[Shape]] = TypeAdapter(list[Shape])


def shapes(*items: dict[str, Any]) -> list[Shape]:
    return SHAPES.validate_python(list(items))


def coded(points: list[tuple[float, float]]) -> list[int]:
    """Points in pixels as they travel: quarters, first absolute, then differences."""
    quarters = [(round(x * 4), round(y * 4)) for x, y in points]
    out = list(quarters[0])
    for (x0, y0), (x1, y1) in pairwise(quarters):
        out += [x1 - x0, y1 - y0]
    return out


def stroke(points: list[tuple[float, float]], d: float, op: str = "add") -> dict[str, Any]:
    return {"kind": "stroke", "op": op, "d": d, "p": coded(points)}


def poly(points: list[tuple[float, float]], op: str = "add") -> dict[str, Any]:
    return {"kind": "poly", "op": op, "p": coded(points)}


def rect(x: int, y: int, w: int, h: int, op: str = "add") -> dict[str, Any]:
    return {"kind": "rect", "op": op, "x": x, "y": y, "w": w, "h": h}


def bitmap(picture: Any, x: int, y: int, op: str = "add") -> dict[str, Any]:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    height, width = picture.shape
    png = base64.b64encode(out.getvalue()).decode()
    return {"kind": "bitmap", "op": op, "x": x, "y": y, "w": width, "h": height, "png": png}


def whole(mask: Any, width: int, height: int) -> Any:
    """The mask on the whole image, as bool."""
    out = np.zeros((height, width), bool)
    out[mask.box.slices] = mask.coverage > 0
    return out


def distance_to(points: list[tuple[float, float]], width: int, height: int) -> Any:
    """Independent oracle: the distance of every pixel centre to the line, by brute force."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    best = np.full((height, width), np.inf)
    quarters = [(round(px * 4) / 4, round(py * 4) / 4) for px, py in points]
    for (x0, y0), (x1, y1) in zip(quarters, quarters[1:] or quarters, strict=False):
        dx, dy = x1 - x0, y1 - y0
        share = np.clip(((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        best = np.minimum(best, np.hypot(x - x0 - share * dx, y - y0 - share * dy))
    return best


def overlap(a: Any, b: Any) -> float:
    return float((a & b).sum() / (a | b).sum())


PATHS = st.lists(
    st.tuples(st.integers(-80, 480).map(lambda v: v / 4), st.integers(-80, 400).map(lambda v: v / 4)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150)
@given(points=PATHS, d=st.floats(1, 60))
def test_a_stroke_is_every_pixel_centre_within_its_radius(points: list[tuple[float, float]], d: float) -> None:
    distance = distance_to(points, 120, 100)
    try:
        drawn = whole(rasterise(shapes(stroke(points, d)), 120, 100), 120, 100)
    except MaskEmpty:
        drawn = np.zeros((100, 120), bool)
    undecided = np.abs(distance - d / 2) < 1e-6
    assert np.array_equal(drawn[~undecided], (distance <= d / 2)[~undecided])


@pytest.mark.parametrize("d", [10, 17.5, 40, 60])
def test_a_stroke_agrees_with_an_antialiased_drawing(d: float) -> None:
    """Pillow, many times larger, averaged: the coverage that a canvas computes."""
    points, scale = [(40.25, 40.5), (80, 50), (90.75, 85), (60, 80.25)], 24
    image = Image.new("L", (130 * scale, 130 * scale))
    draw = ImageDraw.Draw(image)
    draw.line([(x * scale, y * scale) for x, y in points], 255, round(d * scale))
    for x, y in points:
        r = d / 2 * scale
        draw.ellipse((x * scale - r, y * scale - r, x * scale + r, y * scale + r), 255)
    expected = np.asarray(image.reduce(scale)) >= 128
    drawn = whole(rasterise(shapes(stroke(points, d)), 130, 130), 130, 130)
    assert overlap(drawn, expected) >= 0.99


def test_a_dot_is_a_disc_of_the_right_area() -> None:
    mask = rasterise(shapes(stroke([(50, 50)], 40)), 100, 100)
    assert (mask.box.x0, mask.box.x1) == (30, 70)
    assert (mask.coverage > 0).sum() == pytest.approx(math.pi * 400, rel=0.01)
    assert set(np.unique(mask.coverage)) == {0, 255}


@settings(max_examples=80)
@given(points=st.lists(st.tuples(st.integers(-20, 120), st.integers(-20, 120)), min_size=3, max_size=9))
def test_a_polygon_is_filled_by_its_winding_number(points: list[tuple[int, int]]) -> None:
    y, x = np.mgrid[0:100, 0:100] + 0.5
    angle = np.zeros((100, 100))
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        cross = (x0 - x) * (y1 - y) - (y0 - y) * (x1 - x)
        dot = (x0 - x) * (x1 - x) + (y0 - y) * (y1 - y)
        angle += np.arctan2(cross, dot)
    on_edge = np.zeros((100, 100), bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        on_edge |= distance_to([(x0, y0), (x1, y1)], 100, 100) < 1e-6
    expected = np.abs(angle) > math.pi
    try:
        drawn = whole(rasterise(shapes(poly([(float(a), float(b)) for a, b in points])), 100, 100), 100, 100)
    except MaskEmpty:
        drawn = np.zeros((100, 100), bool)
    assert np.array_equal(drawn[~on_edge], expected[~on_edge])


def test_a_lasso_that_crosses_itself_has_no_hole() -> None:
    star = [(50 + 40 * math.sin(i * 4 * math.pi / 5), 50 - 40 * math.cos(i * 4 * math.pi / 5)) for i in range(5)]
    assert whole(rasterise(shapes(poly(star)), 100, 100), 100, 100)[50, 50]


@pytest.mark.parametrize("scale", [1, 3])
def test_the_outline_of_parts_with_holes_is_one_polygon_around_all_of_them(scale: int) -> None:
    inside = np.zeros((60, 80), bool)
    inside[5:40, 5:50] = True
    inside[10:30, 10:30] = False
    inside[14:20, 14:20] = True
    inside[45:60, 60:80] = True
    shape = polygon_of(contour(inside, Box(7, 9, 7 + 80 * scale, 9 + 60 * scale)))
    drawn = rasterise([shape], 300, 300).hole_in(Box(7, 9, 7 + 80 * scale, 9 + 60 * scale))
    wrong = drawn ^ inside.repeat(scale, axis=0).repeat(scale, axis=1)
    assert wrong.sum() <= 4 * scale**2, "the corners of the hole"


def test_specks_have_no_outline() -> None:
    specks = np.zeros((30, 30), bool)
    specks[1::3, 1::3] = True
    assert contour(specks, Box(0, 0, 300, 300)) == ()


def test_an_outline_of_gravel_has_a_bounded_number_of_parts() -> None:
    specks = np.kron(np.indices((100, 100)).sum(axis=0) % 2, np.ones((3, 3))) > 0
    assert len(contour(specks, Box(0, 0, 300, 300))) < 10_000


def test_shapes_are_applied_in_their_order() -> None:
    add, cut = rect(10, 10, 20, 20), rect(15, 15, 5, 5, "sub")
    assert not whole(rasterise(shapes(add, cut), 50, 50), 50, 50)[17, 17]
    assert whole(rasterise(shapes(add, cut, rect(16, 16, 2, 2)), 50, 50), 50, 50)[17, 17]
    assert whole(rasterise(shapes(cut, add), 50, 50), 50, 50)[17, 17], "erased before it was painted"


def test_the_box_is_tight_and_clipped_to_the_image() -> None:
    mask = rasterise(shapes(rect(-5, -5, 15, 12), stroke([(300, 300)], 20)), 100, 80)
    assert tuple(mask.box) == (0, 0, 10, 7)
    assert mask.coverage.shape == (7, 10)
    assert mask.coverage.all()


def test_erasing_shrinks_the_box() -> None:
    mask = rasterise(shapes(rect(10, 10, 40, 10), rect(30, 0, 40, 40, "sub")), 100, 80)
    assert tuple(mask.box) == (10, 10, 30, 20)


@pytest.mark.parametrize(
    "items",
    [
        [],
        [rect(10, 10, 5, 5, "sub")],
        [rect(200, 10, 5, 5)],
        [rect(10, 10, 5, 5), rect(0, 0, 50, 50, "sub")],
        [poly([(10, 10), (20, 20)])],
        [stroke([(10, 10)], 0.5)],
    ],
)
def test_a_mask_that_marks_nothing_is_an_error(items: list[dict[str, Any]]) -> None:
    with pytest.raises(MaskEmpty, match="Paint over"):
        rasterise(shapes(*items), 100, 80)


def test_a_bitmap_is_placed_and_thresholded() -> None:
    picture = np.zeros((6, 8), np.uint8)
    picture[1:3, 2:5] = 200
    item = bitmap(picture, 10, 20)
    assert tuple(rasterise(shapes(item), 100, 80).box) == (12, 21, 15, 23)
    moved = {**item, "x": -3, "y": 77}
    assert tuple(rasterise(shapes(moved), 100, 80).box) == (0, 78, 2, 80)
    with pytest.raises(MaskSizeWrong):
        rasterise(shapes({**item, "w": 9}), 100, 80)
    with pytest.raises(MaskBitmapInvalid):
        rasterise(shapes({**item, "png": "not base64!"}), 100, 80)
    with pytest.raises(ImageError):
        rasterise(shapes({**item, "png": base64.b64encode(b"no picture").decode()}), 100, 80)


def test_a_small_edit_on_a_huge_image_takes_little_memory() -> None:
    import tracemalloc

    tracemalloc.start()
    mask = rasterise(shapes(stroke([(15_000, 9_000), (15_050, 9_020)], 30)), 16_000, 10_000)
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()
    assert mask.box.width < 100


def test_a_very_long_stroke_is_worked_on_in_pieces() -> None:
    points = [(500 + 400 * math.cos(i / 40), 500 + 400 * math.sin(i / 40)) for i in range(4000)]
    drawn = whole(rasterise(shapes(stroke(points, 150)), 1000, 1000), 1000, 1000)
    y, x = np.mgrid[0:1000, 0:1000] + 0.5
    ring = np.abs(np.hypot(x - 500, y - 500) - 400) <= 75
    assert overlap(drawn, ring) > 0.998


def test_a_line_across_a_huge_image_is_counted_in_bands() -> None:
    import tracemalloc

    tracemalloc.start()
    mask = rasterise(shapes(stroke([(0, 0), (5987.25, 3991.75)], 12)), 6000, 4000)
    assert tracemalloc.get_traced_memory()[1] < 4 * 6000 * 4000
    tracemalloc.stop()
    assert (mask.coverage > 0).sum() == pytest.approx(12 * math.hypot(5987.25, 3991.75), rel=0.005)
    assert all(mask.coverage[y, y * 3 // 2] for y in range(3990))


@settings(max_examples=60)
@given(points=PATHS, d=st.floats(1, 60), crossings=st.integers(1, 60))
def test_bands_of_rows_change_nothing(points: list[tuple[float, float]], d: float, crossings: int) -> None:
    items = shapes(rect(0, 0, 120, 100), stroke(points, d, "sub"), poly(points))
    expected = rasterise(items, 120, 100)
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(masks, "_BAND_CROSSINGS", crossings)
        banded = rasterise(items, 120, 100)
    assert banded.box == expected.box
    assert np.array_equal(banded.coverage, expected.coverage)


@pytest.mark.parametrize("op", ["add", "sub"])
def test_a_stroke_touches_each_of_its_pixels_once_and_no_others(monkeypatch: pytest.MonkeyPatch, op: str) -> None:
    """P6: a thin line across 24 megapixels costs its own pixels, erased as well as painted."""
    touched, paint = 0, masks._paint

    def counting(canvas: Any, begins: Any, ends: Any, value: np.uint8) -> None:
        nonlocal touched
        touched += int((ends - begins).sum())
        paint(canvas, begins, ends, value)

    monkeypatch.setattr(masks, "_paint", counting)
    line = stroke([(0, 0), (3000, 3990), (5990, 10), (10, 20)], 12, op)
    mask = rasterise(shapes(rect(0, 0, 6000, 4000), line) if op == "sub" else shapes(line), 6000, 4000)
    marked = int((mask.coverage > 0).sum())
    assert touched == (6000 * 4000 - marked if op == "sub" else marked)


@pytest.mark.parametrize("op", ["add", "sub"])
def test_a_bitmap_is_decoded_once_in_memory_that_the_photo_bounds(monkeypatch: pytest.MonkeyPatch, op: str) -> None:
    """P5: about what decoding the photo takes; a picture of many bands is still decoded once."""
    import tracemalloc

    width, height, decoded = 3000, 2000, 0
    decode = codec.decode_mask

    def counting(*args: Any) -> Any:
        nonlocal decoded
        decoded += 1
        return decode(*args)

    monkeypatch.setattr(codec, "decode_mask", counting)
    picture = np.zeros((height, width), bool)
    picture[5:, 7:] = True
    items = shapes(rect(0, 0, width, height), bitmap(picture, 0, 0, op))
    tracemalloc.start()
    mask = rasterise(items, width, height)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert decoded == 1
    assert peak_bytes < 10 * width * height
    assert (mask.coverage > 0).sum() == (width * height if op == "add" else width * height - picture.sum())


def test_a_bitmap_beside_the_photo_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "decode_mask", None)
    rasterise(shapes(rect(0, 0, 9, 9), bitmap(np.ones((6, 8), bool), 100, 0)), 100, 80)


def test_the_pixel_limit_holds_for_bitmaps() -> None:
    """P5: on the header, before anything is decoded."""
    limits = codec.ImageLimits(max_pixels=1000, min_side=1)
    with pytest.raises(TooManyPixels):
        rasterise(shapes(bitmap(np.ones((40, 50), bool), 0, 0)), 100, 80, limits=limits)


LONG = [(50 + 40 * math.cos(i), 50 + 40 * math.sin(i)) for i in range(9000)]
SHORT_BITMAP = bitmap(np.ones((6, 8), bool), 10, 10)


@pytest.mark.parametrize(
    "items",
    [
        [stroke(LONG, 30)],
        [poly(LONG)],
        [rect(0, 0, 100, 100), stroke(LONG, 30, "sub")],
        [rect(0, 0, 100, 100), poly(LONG, "sub")],
        [rect(0, 0, 9, 9)] * 10,
        [SHORT_BITMAP] * 10,
        [rect(0, 0, 100, 100), *[{**SHORT_BITMAP, "op": "sub"}] * 9],
    ],
    ids=["stroke", "lasso", "erased stroke", "erased lasso", "rectangles", "bitmaps", "erased bitmaps"],
)
def test_rasterising_ends_when_it_is_unwanted(items: list[dict[str, Any]]) -> None:
    """P6: between shapes, and within a long one."""
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 4:
            raise Cancelled("unwanted")

    with pytest.raises(Cancelled):
        rasterise(shapes(*items), 100, 100, check)
    assert asked == 4


def refused(items: list[dict[str, Any]], width: int, height: int) -> Any:
    with pytest.raises(ApiError) as caught:
        check_bounds(shapes(*items), width, height, Limits())
    assert caught.value.code == "param.out_of_range"
    return caught.value


def claimed(w: int, h: int, op: str = "add") -> dict[str, Any]:
    """A bitmap that says it is of that size."""
    return {"kind": "bitmap", "op": op, "x": 0, "y": 0, "w": w, "h": h, "png": "AAAA"}


@pytest.mark.parametrize("op", ["add", "sub"])
def test_a_bitmap_larger_than_the_photo_is_refused_by_name(op: str) -> None:
    """P5."""
    check_bounds(shapes(claimed(64, 48, op)), 64, 48, Limits())
    assert refused([rect(0, 0, 5, 5), claimed(65, 48, op)], 64, 48).pointer == "/mask/shapes/1/w"
    problem = refused([claimed(64, 11_000, op)], 64, 48)
    assert problem.pointer == "/mask/shapes/0/h"
    assert "11000 pixels high, the photo 48" in problem.detail


def test_bitmaps_together_are_bounded_by_the_photo() -> None:
    """P6."""
    photos = Limits().bitmap_photos
    check_bounds(shapes(*[claimed(64, 48)] * photos), 64, 48, Limits())
    problem = refused([*[claimed(64, 48)] * photos, claimed(32, 24, "sub")], 64, 48)
    assert problem.pointer == "/mask/shapes"
    assert problem.limit == Limit("bitmap_photos", photos, photos + 0.2)


def test_a_day_of_painting_is_within_the_bounds_and_a_scribble_made_to_take_long_is_not() -> None:
    """P6: 2,000 broad strokes of 60 points on 48 megapixels are fine."""
    path = [(3000 + 40.0 * i, 2000 + 300 * math.sin(i / 5)) for i in range(60)]
    check_bounds(shapes(*[stroke(path, 200)] * 2000), 8000, 6000, Limits())
    zigzag = [(4.0 * (i % 1000), 6000.0 * (i % 2)) for i in range(12_000)]
    for item in (stroke(zigzag, 2), stroke(zigzag, 2, "sub"), poly(zigzag)):
        problem = refused([item], 8000, 6000)
        assert problem.limit.name == "outline_rows"
        assert problem.limit.actual >= 6000 * 11_999
    check_bounds(shapes(stroke([(x, y - 7000) for x, y in zigzag], 2)), 8000, 6000, Limits())


def test_a_raster_mask_is_trimmed_to_what_it_marks() -> None:
    picture = np.zeros((60, 80), np.uint8)
    picture[10:20, 30:50] = 255
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    mask = from_raster(out.getvalue(), 80, 60)
    assert tuple(mask.box) == (30, 10, 50, 20)
    with pytest.raises(MaskSizeWrong, match="Send a mask of the image's size"):
        from_raster(out.getvalue(), 60, 80)
    out = io.BytesIO()
    Image.fromarray(picture * 0).save(out, "PNG")
    with pytest.raises(MaskEmpty):
        from_raster(out.getvalue(), 80, 60)


@pytest.mark.parametrize(
    "item",
    [
        {"kind": "stroke", "d": 0, "p": [0, 0]},
        {"kind": "stroke", "d": 10, "p": [0, 0, 1]},
        {"kind": "stroke", "d": 10, "p": []},
        {"kind": "stroke", "d": float("inf"), "p": [0, 0]},
        {"kind": "stroke", "d": 10, "p": [0.5, 0]},
        {"kind": "stroke", "d": 10, "p": [10**9, 0]},
        {"kind": "rect", "x": 0, "y": 0, "w": 0, "h": 5},
        {"kind": "rect", "x": 0, "y": 0, "w": 5, "h": 5, "extra": 1},
        {"kind": "circle", "x": 0, "y": 0},
        {"op": "xor", "kind": "rect", "x": 0, "y": 0, "w": 5, "h": 5},
    ],
)
def test_a_malformed_shape_is_refused(item: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        shapes(item)


def test_a_shape_far_outside_still_has_a_box() -> None:
    (shape,) = shapes({"kind": "stroke", "d": 10, "p": [0, 0] + [400_000, 400_000] * 10})
    assert box_of(shape).width > 0
    mask = rasterise([shape], 100, 100)
    assert mask.box.x1 == 100
