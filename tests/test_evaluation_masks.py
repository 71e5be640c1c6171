"""Masks are drawn as the published evaluations draw them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inpaint_models.errors import InvalidMask
from inpaint_models.evaluation.masks import SAMPLERS, Boxes, EitherOf, FreeForm, Strokes

SEEDS = range(40)


def areas(name: str, side_px: int) -> np.ndarray:
    return np.array([SAMPLERS[name](side_px, side_px, seed).mean() for seed in SEEDS])


def parts(canvas: np.ndarray) -> np.ndarray:
    """(n, 5): x, y, width, height and area of each connected part."""
    return cv2.connectedComponentsWithStats(canvas.astype(np.uint8))[2][1:]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_mask_is_neither_empty_nor_full_nor_larger_than_published(name: str) -> None:
    for height, width in ((512, 512), (90, 160), (333, 200)):
        for seed in range(6):
            hole = SAMPLERS[name](height, width, seed)
            assert hole.shape == (height, width)
            assert hole.dtype == np.bool_
            assert 0 < hole.mean() <= SAMPLERS[name].most_area
            assert not hole.all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_seed_decides_the_mask(name: str) -> None:
    first, again, other = (SAMPLERS[name](128, 192, seed) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_samplers_have_the_published_parameters() -> None:
    thin, medium, thick = (SAMPLERS[f"lama-{kind}"].draw for kind in ("thin", "medium", "thick"))
    assert thin == Strokes(4, 70, width_px=20, length_px=100)
    assert medium == EitherOf(Strokes(4, 10, 100, 200), Boxes(1, 5, 0, 30, 150), 0.3)
    assert thick == EitherOf(Strokes(1, 5, 250, 450), Boxes(1, 4, 10, 30, 300), 0.3)
    assert SAMPLERS["lama-thin-256"].draw == Strokes(4, 50, 10, 40)
    assert SAMPLERS["lama-medium-256"].draw == EitherOf(Strokes(4, 5, 50, 100), Boxes(1, 5, 0, 10, 50), 0.3)
    assert SAMPLERS["lama-thick-256"].draw == EitherOf(Strokes(1, 5, 100, 200), Boxes(1, 3, 10, 30, 150), 0.3)
    assert SAMPLERS["mat"].draw == FreeForm(half_boxes=5, full_boxes=3, brushes=9)
    assert SAMPLERS["mat-small"].draw == FreeForm(half_boxes=3, full_boxes=2, brushes=4)
    assert all(sampler.side_px == (256 if name.endswith("256") else 512) for name, sampler in SAMPLERS.items())


def test_strokes_have_the_published_widths_and_become_wider_with_the_photo() -> None:
    for scale in (1.0, 2.0):
        widest = []
        for seed in SEEDS:
            canvas = np.zeros((1024, 1024), np.uint8)
            Strokes(1, 0, width_px=20, length_px=100)(canvas, scale, np.random.default_rng(seed))
            distance = cv2.distanceTransform(np.pad(canvas, 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            widest.append(2 * distance.max())
        # A segment is 5 to 24 pixels wide; where two meet at a sharp angle, the disc in both is larger.
        assert min(widest) >= 4 * scale
        assert 15 * scale <= np.median(widest) <= 27 * scale
        assert max(widest) <= 40 * scale


def test_boxes_keep_their_margin_and_their_sides() -> None:
    sides = []
    for seed in SEEDS:
        canvas = np.zeros((512, 512), np.uint8)
        Boxes(1, 1, margin_px=10, least_side_px=30, most_side_px=300)(canvas, 1.0, np.random.default_rng(seed))
        ((x, y, width, height, area),) = parts(canvas)
        assert area == width * height
        assert min(x, y, 512 - x - width, 512 - y - height) >= 10
        sides += [width, height]
    assert 30 <= min(sides) < 60
    assert 240 < max(sides) <= 300


def test_a_mixture_draws_boxes_as_often_as_published_and_never_both() -> None:
    boxes = 0
    mixture = EitherOf(Strokes(4, 10, 100, 200), Boxes(1, 1, 0, 30, 150), 0.3)
    for seed in range(400):
        canvas = np.zeros((256, 256), np.uint8)
        mixture(canvas, 0.5, np.random.default_rng(seed))
        found = parts(canvas)
        boxes += len(found) == 1 and found[0, 4] == found[0, 2] * found[0, 3]
    assert boxes / 400 == pytest.approx(0.3 / 1.3, abs=0.06)


def test_thicker_masks_hide_more_in_one_piece() -> None:
    def deepest(name: str) -> float:
        holes = [SAMPLERS[name](256, 256, seed).astype(np.uint8) for seed in SEEDS]
        return float(np.median([cv2.distanceTransform(np.pad(hole, 1), cv2.DIST_L2, 5).max() for hole in holes]))

    assert 2 * deepest("lama-thin") < deepest("lama-medium")
    assert 1.3 * deepest("lama-medium") < deepest("lama-thick")


def test_mats_large_masks_cover_much_more_than_its_small_ones() -> None:
    large, small = areas("mat", 256), areas("mat-small", 256)
    assert large.max() > 0.6
    assert np.median(small) < 0.7 * np.median(large)


def test_a_photo_that_is_too_small_is_refused_with_words() -> None:
    with pytest.raises(InvalidMask, match="fits into 1x1"):
        SAMPLERS["lama-thick"](1, 1, 0)
