"""Matte: what the runner checks, and the plain backdrop on scenes of which the truth is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from skimage import data

from drawn_scenes import mug, overlap
from inpaint_models import load_model
from inpaint_models.errors import Cancelled, EngineFailed, OutOfMemory, UnsuitableImage
from inpaint_models.tasks.matte import Matter

IMAGE, COVERED = mug()


@pytest.fixture(scope="module")
def backdrop() -> Matter:
    return load_model("backdrop", task="matte")


@pytest.mark.parametrize("height", [120, 300, 1200])
def test_a_mug_is_cut_out_without_its_shadow(backdrop: Matter, height: int) -> None:
    image, covered = mug(height, height * 4 // 3)
    alpha = backdrop(image)
    assert overlap(alpha > 0.5, covered > 0.5) > 0.98
    assert np.abs(alpha - covered).mean() < 0.005


def test_the_edge_is_as_soft_as_in_the_photo(backdrop: Matter) -> None:
    alpha = backdrop(IMAGE)
    mixed = (COVERED > 0.2) & (COVERED < 0.8)
    assert mixed.sum() > 20
    assert np.abs(alpha - COVERED)[mixed].mean() < 0.1


def test_the_shadow_stays_where_it_is_wanted(backdrop: Matter) -> None:
    kept = backdrop(IMAGE, {"shadow": 0.0})
    shade = IMAGE[234, 290].astype(int)  # beside the mug's foot
    assert (shade < 200).all()
    assert kept[234, 290] == 1
    assert backdrop(IMAGE)[234, 290] == 0


def test_a_grey_mug_is_not_taken_for_its_shadow(backdrop: Matter) -> None:
    image, covered = mug(colour=(150, 150, 150))
    assert (backdrop(image)[covered == 1] == 1).mean() > 0.98


def test_what_the_thing_encloses_is_kept_unless_asked(backdrop: Matter) -> None:
    in_handle = (150, 252)
    assert IMAGE[in_handle].min() > 200
    assert backdrop(IMAGE)[in_handle] == 1
    assert backdrop(IMAGE, {"holes": True})[in_handle] == 0


@pytest.mark.parametrize("photo", ["coffee", "chelsea", "astronaut"])
def test_a_photo_without_a_plain_backdrop_is_refused(backdrop: Matter, photo: str) -> None:
    with pytest.raises(UnsuitableImage, match=r"The border of the photo is not plain: \d+% of it"):
        backdrop(getattr(data, photo)())


def test_an_empty_backdrop_has_no_subject(backdrop: Matter) -> None:
    assert not backdrop(np.full((40, 50, 3), 210, np.uint8)).any()


def test_a_subject_that_the_photo_cuts_off_is_kept(backdrop: Matter) -> None:
    cut_off = IMAGE[:200]
    assert overlap(backdrop(cut_off) > 0.5, COVERED[:200] > 0.5) > 0.98


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_the_smallest_images_are_answered(backdrop: Matter, size: tuple[int, int]) -> None:
    assert backdrop(np.full((*size, 3), 99, np.uint8)).shape == size


def test_a_cut_out_keeps_colours_and_depth(backdrop: Matter) -> None:
    deep = IMAGE.astype(np.uint16) * 257
    cut = backdrop.cut_out(deep)
    assert cut.dtype == np.uint16
    np.testing.assert_array_equal(cut[..., :3], deep)
    np.testing.assert_array_equal(cut[..., 3], np.rint(backdrop(IMAGE) * 65535))


def test_what_was_transparent_stays_so(backdrop: Matter) -> None:
    clear = np.dstack([IMAGE, np.full(IMAGE.shape[:2], 255, np.uint8)])
    clear[:, :200, 3] = 0
    alpha = backdrop(clear)
    assert not alpha[:, :200].any()
    np.testing.assert_array_equal(alpha[:, 200:], backdrop(IMAGE)[:, 200:])


def test_a_grey_scan_is_cut_out_in_colour_channels(backdrop: Matter) -> None:
    cut = backdrop.cut_out(IMAGE[..., 0])
    assert cut.shape == (*IMAGE.shape[:2], 4)
    assert overlap(cut[..., 3] > 127, COVERED > 0.5) > 0.9


def test_a_matte_can_be_cancelled(backdrop: Matter) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Cancelled("No longer wanted.")

    with pytest.raises(Cancelled):
        backdrop(IMAGE, progress=stop)


def test_memory_is_asked_for_first(backdrop: Matter) -> None:
    greedy = Matter(replace(backdrop.entry, bytes_per_px=10**12), backdrop.engine)
    with pytest.raises(OutOfMemory, match=r"400x300 pixels .* Use a smaller image"):
        greedy(IMAGE)


@pytest.mark.parametrize("answer", [np.zeros((3, 3), np.float32), np.full((300, 400), np.nan, np.float32)])
def test_an_answer_that_is_no_alpha_is_an_error(backdrop: Matter, answer: np.ndarray) -> None:
    class Wrong:
        def matte(self, image: np.ndarray, **_: Any) -> np.ndarray:
            return answer

    with pytest.raises(EngineFailed, match="no alpha for the 400x300 image"):
        Matter(backdrop.entry, Wrong())(IMAGE)
