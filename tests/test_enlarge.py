"""Enlarge: tiles, depths, alpha, and Lanczos against a resize of the whole image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from inpaint_models import list_models, load_model
from inpaint_models.errors import Cancelled, EngineFailed, OutOfMemory, ParameterChoice
from inpaint_models.registry import SizeRequirement, Strategy
from inpaint_models.tasks.enlarge import Enlarger

PHOTO = data.coffee()[100:221, 200:333]


@pytest.fixture(scope="module")
def lanczos() -> Enlarger:
    return load_model("lanczos", task="enlarge")


def in_tiles(model: Enlarger, side_px: int, **changes: Any) -> Enlarger:
    """The same model, used in tiles of that size."""
    return Enlarger(replace(model.entry, strategy=Strategy(margin_px=8, max_side=side_px), **changes), model.engine)


@pytest.mark.parametrize("factor", ["2", "4"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_it_is_a_resize_of_the_whole_image(lanczos: Enlarger, factor: str, depth: type) -> None:
    image = PHOTO if depth == np.uint8 else PHOTO.astype(np.uint16) * 257
    wanted = cv2.resize(
        image.astype(np.float32),
        None,
        fx=int(factor),
        fy=int(factor),
        interpolation=cv2.INTER_LANCZOS4,
    )
    large = lanczos(image, {"factor": factor})
    assert large.dtype == depth
    assert large.shape == (121 * int(factor), 133 * int(factor), 3)
    np.testing.assert_allclose(large, wanted.clip(0, np.iinfo(depth).max), atol=1)


def test_seams_of_tiles_do_not_show(lanczos: Enlarger) -> None:
    np.testing.assert_allclose(in_tiles(lanczos, 40)(PHOTO).astype(int), lanczos(PHOTO), atol=1)


def test_tiles_are_padded_to_what_a_network_takes(lanczos: Enlarger) -> None:
    fussy = in_tiles(lanczos, 50, size=SizeRequirement(minimum=64, multiple_of=32))
    inner = slice(0, -12), slice(0, -12)  # at the far edges it sees a mirror image instead of the last row
    np.testing.assert_allclose(fussy(PHOTO).astype(int)[inner], lanczos(PHOTO)[inner], atol=1)


def test_alpha_is_enlarged_with_the_colours(lanczos: Enlarger) -> None:
    alpha = np.zeros(PHOTO.shape[:2], np.uint8)
    alpha[30:90, 40:100] = 255
    large = lanczos(np.dstack([PHOTO, alpha]))
    np.testing.assert_array_equal(large[..., :3], lanczos(PHOTO))
    assert large[100:140, 120:160, 3].min() == 255
    assert large[:40, :60, 3].max() == 0


def test_a_grey_image_stays_grey(lanczos: Enlarger) -> None:
    large = lanczos(PHOTO[..., 1])
    assert large.shape == (242, 266)
    np.testing.assert_array_equal(large, lanczos(PHOTO[..., [1, 1, 1]])[..., 0])


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3)])
def test_the_smallest_images_are_answered(lanczos: Enlarger, size: tuple[int, int]) -> None:
    large = lanczos(np.full((*size, 3), 70, np.uint8), {"factor": "4"})
    np.testing.assert_array_equal(large, np.full((size[0] * 4, size[1] * 4, 3), 70))


def test_progress_goes_from_tile_to_tile_and_may_stop_it(lanczos: Enlarger) -> None:
    told: list[tuple[int, int]] = []

    def progress(stage: str, step: int, total: int, preview: Any = None) -> None:
        told.append((step, total))
        if step == 3:
            raise Cancelled("No longer wanted.")

    with pytest.raises(Cancelled):
        in_tiles(lanczos, 80)(PHOTO, progress=progress)
    assert told == [(0, 4), (1, 4), (1, 4), (2, 4), (2, 4), (3, 4)]


def test_memory_is_asked_for_first(lanczos: Enlarger) -> None:
    greedy = Enlarger(replace(lanczos.entry, bytes_per_px=10**12), lanczos.engine)
    with pytest.raises(OutOfMemory, match=r"133x121 pixels .* Use a smaller factor"):
        greedy(PHOTO)


def test_a_factor_that_is_not_offered_is_refused(lanczos: Enlarger) -> None:
    with pytest.raises(ParameterChoice, match="factor cannot be '3'"):
        lanczos(PHOTO, {"factor": "3"})


def test_an_answer_of_another_size_is_an_error(lanczos: Enlarger) -> None:
    class Lazy:
        def enlarge(self, tile: np.ndarray, **_: Any) -> np.ndarray:
            return tile

    with pytest.raises(EngineFailed, match="did not make 2 times of a tile of 133x121"):
        Enlarger(lanczos.entry, Lazy())(PHOTO)


@pytest.mark.parametrize("entry", list_models("enlarge"), ids=lambda entry: entry.name)
def test_every_model_that_enlarges_says_by_how_much(entry: Any) -> None:
    (factor,) = [parameter for parameter in entry.parameters if parameter.name == "factor"]
    assert factor.kind == "choice"
    assert all(choice.isdecimal() for choice in factor.choices)
