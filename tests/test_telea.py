"""Telea's fill, compiled: what cv2.inpaint makes of the holes for which it takes long."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inpaint_models.errors import Unavailable
from inpaint_models.opencv import engine, telea
from inpaint_models.types import HoleMask, no_progress


def scene(height: int, width: int) -> NDArray[np.uint8]:
    """Waves of three colours with noise over them."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 17) + np.cos(y / 23), np.sin((x + y) / 31), np.cos(x / 41) * np.sin(y / 13)], axis=-1)
    noise = np.random.default_rng(0).normal(0, 4, waves.shape)
    return np.clip(128 + 50 * waves + noise, 0, 255).astype(np.uint8)


def stroke(height: int, width: int, width_px: int) -> HoleMask:
    hole = np.zeros((height, width), np.uint8)
    cv2.line(hole, (width // 4, height // 4), (3 * width // 4, 3 * height // 4), 255, width_px)
    return hole > 0


def brighter(image: NDArray[np.uint8], hole: HoleMask, radius_px: int = 5) -> NDArray[np.int64]:
    """How much brighter cv2.inpaint makes each sample of the hole; asserts that nothing else is touched."""
    filled = telea.fill(image, hole, radius_px)
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    return (cv2.inpaint(image, hole.astype(np.uint8), radius_px, cv2.INPAINT_TELEA).astype(np.int64) - filled)[hole]


@pytest.mark.parametrize("radius_px", [3, 5, 20])
def test_a_stroke_is_filled_as_cv2_fills_it_but_for_the_half_level_that_it_adds(radius_px: int) -> None:
    hole = stroke(160, 220, 40)
    found = brighter(scene(160, 220), hole, radius_px)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[hole]
    assert abs(found[depth <= 1].mean() - 0.5) < 0.1
    assert (found >= -3).all()
    assert (found <= 3 + depth[:, None]).all()


def test_many_small_holes_are_filled_as_cv2_fills_them() -> None:
    hole = np.zeros((200, 200), np.uint8)
    for x, y in np.random.default_rng(1).integers(10, 190, (60, 2)).tolist():
        cv2.circle(hole, (x, y), 4, 255, -1)
    assert np.abs(brighter(scene(200, 200), hole > 0)).max() <= 4


def test_at_the_edge_of_the_image_it_differs_by_little() -> None:
    """cv2.inpaint takes the second row of an image for its first."""
    hole = np.zeros((120, 120), np.bool_)
    hole[:40, :30] = hole[80:, 90:] = hole[50:60] = True
    assert np.abs(brighter(scene(120, 120), hole)).mean() < 3


def test_it_is_nearer_to_the_truth_than_cv2() -> None:
    y, x = np.mgrid[0:160, 0:220]
    truth = np.repeat((100 + 30 * np.sin(x / 60) + 20 * np.cos(y / 50))[..., None], 3, axis=2).astype(np.uint8)
    hole = stroke(160, 220, 40)
    errors = [
        np.abs(made.astype(np.int64) - truth)[hole].mean()
        for made in (telea.fill(truth, hole, 5), cv2.inpaint(truth, hole.astype(np.uint8), 5, cv2.INPAINT_TELEA))
    ]
    assert errors[0] < errors[1]


@pytest.mark.parametrize("value", [0, 101, 254, 255])
def test_an_even_picture_stays_even(value: int) -> None:
    image = np.full((90, 90, 3), value, np.uint8)
    np.testing.assert_array_equal(telea.fill(image, stroke(90, 90, 20), 5), image)


def test_only_large_holes_are_filled_by_the_compiled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    image, filled = scene(200, 300), []

    def spied(pixels: NDArray[np.uint8], hole: HoleMask, radius_px: int) -> NDArray[np.uint8]:
        filled.append(int(hole.sum()))
        raise Unavailable("numba is not installed")

    monkeypatch.setattr(telea, "fill", spied)
    for hole in (stroke(200, 300, 8), stroke(200, 300, 120)):
        for method in ("telea", "navier-stokes"):
            out = engine.OpenCvEngine().fill(
                np.divide(image, 255, dtype=np.float32),
                hole,
                params={"method": method, "radius": 5},
                seed=0,
                progress=no_progress,
            )
            known = cv2.inpaint(image, hole.astype(np.uint8), 5, engine._METHODS[method])
            np.testing.assert_array_equal(np.rint(out * 255), known)
    assert filled == [stroke(200, 300, 120).sum()]
