"""Where a hole lies: boxes that are disjoint, hold all of it, and cost less than one around everything."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inpaint_models.errors import EmptyMask
from inpaint_models.pipeline.compose import grow
from inpaint_models.pipeline.plan import patch_price
from inpaint_models.pipeline.regions import CELL_PX, MOST_PIECES, cells_of, in_pixels, split
from inpaint_models.types import Box, Mask, tight_box


def mask_of(coverage: NDArray[np.uint8], x0: int = 0, y0: int = 0) -> Mask:
    height, width = coverage.shape
    return Mask(Box(x0, y0, x0 + width, y0 + height), coverage)


def boxes_of(mask: Mask) -> list[Box]:
    cells = cells_of(mask)
    everything = Box(0, 0, cells.occupied.shape[1], cells.occupied.shape[0])
    return sorted(in_pixels(mask, cells, part) for part in split(cells, everything, patch_price))


def drawn(height: int, width: int, *lines: tuple[int, int, int, int, int]) -> NDArray[np.uint8]:
    """Strokes (x0, y0, x1, y1, width); one between equal points is a dab."""
    coverage = np.zeros((height, width), np.uint8)
    for x0, y0, x1, y1, thickness in lines:
        cv2.line(coverage, (x0, y0), (x1, y1), 255, thickness)
    return coverage


strokes = st.lists(
    st.tuples(
        st.integers(0, 1399), st.integers(0, 1099), st.integers(0, 1399), st.integers(0, 1099), st.integers(1, 60)
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40)
@given(strokes, st.integers(0, 50), st.integers(0, 50))
def test_boxes_are_disjoint_and_tight_and_hold_every_pixel(
    lines: list[tuple[int, int, int, int, int]], x0: int, y0: int
) -> None:
    mask = mask_of(drawn(1100, 1400, *lines), x0, y0)
    times = np.zeros((1150, 1450), int)
    for box in boxes_of(mask):
        times[box.slices] += 1
        assert tight_box(mask.hole_in(box)) == Box(0, 0, box.width, box.height)
    assert times.max() == 1
    assert (times[mask.box.slices][mask.coverage > 0] == 1).all()


@settings(max_examples=40)
@given(strokes)
def test_boxes_never_cost_more_than_one_around_everything(lines: list[tuple[int, int, int, int, int]]) -> None:
    mask = mask_of(drawn(1100, 1400, *lines))
    x0, y0, w, h = cv2.boundingRect(mask.coverage)
    whole = Box(x0, y0, x0 + w, y0 + h).grown(CELL_PX)
    assert sum(map(price, boxes_of(mask))) <= price(whole)


def price(box: Box) -> float:
    return float(patch_price(np.array(box.height), np.array(box.width)))


def test_dabs_far_apart_are_two_boxes_and_near_ones_one() -> None:
    far = mask_of(drawn(1000, 3000, (100, 100, 100, 100, 60), (2900, 900, 2900, 900, 60)))
    near = mask_of(drawn(1000, 3000, (100, 100, 100, 100, 60), (250, 180, 250, 180, 60)))
    assert len(boxes_of(far)) == 2
    assert len(boxes_of(near)) == 1


@pytest.mark.parametrize(
    "coverage",
    [
        drawn(4000, 4000, (100, 100, 3900, 3900, 60)),
        drawn(4000, 4000, (100, 3900, 3900, 100, 60)),
        drawn(4000, 4000, (100, 100, 3900, 100, 60), (100, 100, 100, 3900, 60)),
        drawn(4000, 4000, (100, 100, 3900, 100, 60), (3900, 100, 3900, 3900, 60), (100, 3900, 3900, 3900, 60),
              (100, 100, 100, 3900, 60)),
    ],
    ids=["falling", "rising", "corner", "frame"],
)  # fmt: skip
def test_a_thin_stroke_is_tiled_along_its_length(coverage: NDArray[np.uint8]) -> None:
    boxes = boxes_of(mask_of(coverage))
    assert sum(box.area for box in boxes) < coverage.size / 4
    assert len(boxes) < 40


def test_a_blob_is_never_cut() -> None:
    assert boxes_of(mask_of(drawn(3000, 3000, (1500, 1500, 1500, 1500, 2500)))) == [Box(250, 250, 2751, 2751)]


def test_a_thick_stroke_is_not_cut_across() -> None:
    assert len(boxes_of(mask_of(drawn(4000, 4000, (600, 600, 3400, 3400, 900))))) == 1


@settings(max_examples=40)
@given(*[st.integers(0, 239) for _ in range(4)], st.integers(1, 15))
def test_a_short_stroke_is_one_box_and_no_cut_of_it_is_priced(x0: int, y0: int, x1: int, y1: int, width: int) -> None:
    asked: list[object] = []

    def area(heights: NDArray[np.int64], widths: NDArray[np.int64]) -> NDArray[np.float64]:
        asked.append(heights)
        return np.asarray(heights * widths, np.float64)

    cells = cells_of(mask_of(drawn(240, 240, (x0, y0, x1, y1, width))))
    assert len(split(cells, Box(0, 0, 15, 15), area)) == len(asked) == 1


def test_a_small_hole_beside_a_long_stroke_is_a_box_of_its_own() -> None:
    mask = mask_of(drawn(4000, 4000, (100, 100, 3900, 3900, 60), (3800, 200, 3800, 200, 60)))
    (beside,) = (box for box in boxes_of(mask) if box.x0 > 3700 and box.y1 < 300)
    assert (beside.width, beside.height) == (61, 61)


def test_dust_is_put_together_to_a_bounded_number_of_pieces() -> None:
    coverage = np.zeros((3000, 4000), np.uint8)
    coverage[::60, ::60] = 255
    cells = cells_of(mask_of(coverage))
    assert cv2.connectedComponents(cells.occupied.astype(np.uint8))[0] - 1 <= MOST_PIECES
    assert len(boxes_of(mask_of(coverage))) <= MOST_PIECES


@pytest.mark.parametrize("coverage", [np.zeros((40, 50), np.uint8), np.full((5, 5), 127, np.uint8),
                                      np.zeros((0, 0), np.uint8)], ids=["black", "dark", "nothing"])  # fmt: skip
@pytest.mark.parametrize("radius_px", [0, 3])
def test_an_empty_mask_is_refused(coverage: NDArray[np.uint8], radius_px: int) -> None:
    with pytest.raises(EmptyMask, match="nothing in it is white"):
        cells_of(grow(mask_of(coverage), radius_px, 100, 100))


@settings(max_examples=40)
@given(strokes, st.integers(1, 30))
def test_growing_in_parts_is_growing_at_once(lines: list[tuple[int, int, int, int, int]], radius_px: int) -> None:
    coverage = drawn(1100, 1400, *lines)
    grown = grow(mask_of(coverage), radius_px, 1100, 1400)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
    np.testing.assert_array_equal(grown.hole_in(Box(0, 0, 1400, 1100)), cv2.dilate(coverage, disc) > 0)
