"""The exemplar engine on pictures whose right answer is known, and at the edges of what can be filled."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from inpaint_models import FillOptions, Inpainter, get_model
from inpaint_models.errors import Cancelled, MaskCoversImage
from inpaint_models.patchmatch.engine import PatchMatchEngine
from inpaint_models.types import AnyImage, Box, FloatImage, HoleMask, Mask, no_progress


@pytest.fixture(scope="module")
def engine() -> PatchMatchEngine:
    engine = PatchMatchEngine()
    fill(engine, tiles(64, 64), disc(64, 64, 9))  # compiles, which takes seconds that no test means to measure
    return engine


def fill(engine: PatchMatchEngine, image: FloatImage, hole: HoleMask, seed: int = 0) -> FloatImage:
    return engine.fill(image, hole, params={}, seed=seed, progress=no_progress)


def photo_like(height: int, width: int, seed: int = 7) -> FloatImage:
    """Smooth blobs with grain: no part equals another, and every part has texture."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 16 + 2, width // 16 + 2, 3)).astype(np.float32)
    blobs: FloatImage = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return np.clip(blobs * 0.8 + 0.1 + rng.normal(0, 0.03, blobs.shape), 0, 1).astype(np.float32)


def disc(height: int, width: int, radius: float, centre: tuple[float, float] | None = None) -> HoleMask:
    y, x = np.ogrid[:height, :width]
    cy, cx = centre or (height / 2, width / 2)
    return (y - cy) ** 2 + (x - cx) ** 2 < radius**2


def tiles(height: int, width: int) -> FloatImage:
    """A repeated pattern of period 13 x 17."""
    tile = np.random.default_rng(1).random((13, 17, 3)).astype(np.float32)
    smooth: FloatImage = cv2.GaussianBlur(tile, (3, 3), 0).astype(np.float32)
    return np.tile(smooth, (height // 13 + 1, width // 17 + 1, 1))[:height, :width]


def test_a_hole_in_a_repeated_pattern_is_restored_nearly_exactly(engine: PatchMatchEngine) -> None:
    image, hole = tiles(208, 221), disc(208, 221, 40)
    damaged = np.where(hole[..., None], np.float32(0.5), image)
    error = np.abs(fill(engine, damaged, hole) - image)[hole]
    assert np.median(error) < 1 / 255, np.percentile(error, [50, 90, 99])
    assert (error < 4 / 255).mean() > 0.97, np.percentile(error, [50, 90, 99])


@pytest.mark.parametrize("seed", range(4))
def test_a_wall_is_not_filled_with_what_stands_elsewhere(engine: PatchMatchEngine, seed: int) -> None:
    """The shuttle behind the astronaut: nothing of her hair or face, all of it brown, may stray onto the wall."""
    image = skimage.data.astronaut().astype(np.float32) / 255
    hole = np.zeros(image.shape[:2], np.bool_)
    hole[:290, 346:498] = True
    wall = fill(engine, image, hole, seed)[:200, 346:498]
    assert not (wall[..., 0] - wall[..., 2] > 0.15).any()


@pytest.mark.parametrize("slope", [0.0, 0.35, -0.8])
def test_a_straight_edge_that_crosses_the_hole_is_continued(engine: PatchMatchEngine, slope: float) -> None:
    y, x = np.mgrid[:200, :200]
    above = y < 100 + slope * (x - 100)
    grain = np.random.default_rng(0).normal(0, 0.01, (200, 200, 3))
    image = (np.where(above[..., None], (0.85, 0.8, 0.75), (0.2, 0.3, 0.25)) + grain).astype(np.float32)
    hole = disc(200, 200, 30)
    filled = fill(engine, np.where(hole[..., None], np.float32(0), image), hole)
    wrong = (np.abs(filled - image).mean(axis=2) > 0.15) & hole
    assert wrong.sum() < 0.03 * hole.sum(), f"{wrong.sum()} of {hole.sum()} pixels are on the wrong side"


def test_what_was_under_the_mask_plays_no_part(engine: PatchMatchEngine) -> None:
    image, hole = photo_like(96, 128), disc(96, 128, 20)
    white, black = (np.where(hole[..., None], np.float32(value), image) for value in (1, 0))
    np.testing.assert_array_equal(fill(engine, white, hole), fill(engine, black, hole))


def test_the_fill_is_as_textured_as_its_surroundings(engine: PatchMatchEngine) -> None:
    image, hole = photo_like(160, 160), disc(160, 160, 32)
    filled = fill(engine, image, hole)

    def energy(picture: FloatImage) -> float:
        inner = disc(160, 160, 28)
        return float((np.abs(np.diff(picture, axis=1)).mean(axis=2)[:, :][inner[:, 1:]]).mean())

    assert 0.7 < energy(filled) / energy(image) < 1.4


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_threads() -> None:
    image, hole = photo_like(240, 300), disc(240, 300, 60)
    answers = [fill(PatchMatchEngine(threads=threads), image, hole, seed=3) for threads in (1, 2, 5)]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_another_seed_gives_another_answer(engine: PatchMatchEngine) -> None:
    image, hole = photo_like(160, 200), disc(160, 200, 40)
    first, second = fill(engine, image, hole, seed=1), fill(engine, image, hole, seed=2)
    differs = np.abs(first - second).max(axis=2)[hole] > 4 / 255
    assert differs.mean() > 0.2


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint16, 3), (np.uint8, 4)])
def test_known_pixels_come_back_unchanged(engine: PatchMatchEngine, dtype: Any, channels: int) -> None:
    top = np.iinfo(dtype).max
    image: AnyImage = np.rint(photo_like(150, 190) * top).astype(dtype)
    if channels == 4:
        image = np.concatenate([image, np.full((150, 190, 1), 77, dtype)], axis=2)
    hole = disc(150, 190, 22)
    filled = Inpainter(get_model("patchmatch"), engine)(image, hole, FillOptions(seed=5))
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    assert (filled[hole] != image[hole]).any()


def test_sixteen_bit_pictures_are_copied_at_their_depth(engine: PatchMatchEngine) -> None:
    image = np.rint(tiles(208, 221) * 65535).astype(np.uint16)
    hole = disc(208, 221, 30)
    damaged = np.where(hole[..., None], np.uint16(0), image)
    filled = Inpainter(get_model("patchmatch"), engine)(damaged, hole)
    error = np.abs(filled.astype(int) - image)[hole]
    assert np.median(error) < 65535 / 1024, np.percentile(error, [50, 90, 99])


def half_known(height: int, width: int) -> HoleMask:
    hole = np.ones((height, width), bool)
    hole[:9, :9] = False
    return hole


def framed(height: int, width: int) -> HoleMask:
    hole = np.ones((height, width), bool)
    hole[12:-12, 12:-12] = False
    return hole


def lattice(height: int, width: int) -> HoleMask:
    """Nowhere a whole patch of known pixels."""
    hole = np.zeros((height, width), bool)
    hole[::5] = hole[:, ::5] = True
    return hole


DEGENERATE: dict[str, HoleMask] = {
    "almost nothing known": half_known(80, 90),
    "one known pixel": ~disc(40, 40, 0.9),
    "touches all borders": framed(80, 90),
    "no whole patch known": lattice(60, 70),
    "one pixel": disc(60, 70, 0.9),
    "one pixel wide": np.eye(64, 80, dtype=bool),
    "smaller than a patch": disc(7, 5, 1.5),
    "one row": np.arange(30)[None] > 20,
    "smaller than two patches": disc(12, 14, 3),
    "half": np.arange(120)[None] > np.full((90, 1), 59),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_odd_masks_are_filled_with_colours_of_the_picture(engine: PatchMatchEngine, name: str) -> None:
    hole = DEGENERATE[name]
    image = photo_like(*hole.shape)
    image[hole] = 1
    filled = fill(engine, image, hole)
    assert filled.shape == image.shape
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    known = image[~hole]
    assert (filled[hole] >= known.min(axis=0)).all()
    assert (filled[hole] <= known.max(axis=0)).all()


@pytest.mark.parametrize("colour", [0.0, 0.25, 1.0])
def test_a_constant_picture_stays_constant(engine: PatchMatchEngine, colour: float) -> None:
    hole = disc(70, 90, 20)
    image = np.where(hole[..., None], np.float32(0.6), np.full((70, 90, 3), colour, np.float32))
    np.testing.assert_allclose(fill(engine, image, hole), colour, atol=1e-3)


def test_a_mask_over_everything_is_a_named_error(engine: PatchMatchEngine) -> None:
    with pytest.raises(MaskCoversImage, match="90x70"):
        fill(engine, photo_like(70, 90), np.ones((70, 90), bool))


def test_a_crop_larger_than_the_solver_takes_is_copied_at_full_size(engine: PatchMatchEngine) -> None:
    small = PatchMatchEngine(settings=type(engine.settings)(max_pixels=40_000))
    image, hole = photo_like(401, 523), disc(401, 523, 50)
    filled = fill(small, image, hole)
    step = np.abs(np.diff(filled, axis=1)).mean(axis=2)[hole[:, 1:]].mean()
    assert step > 0.7 * np.abs(np.diff(image, axis=1)).mean(), "the fill is blurred"


def test_previews_are_whole_crops_that_keep_the_known_pixels(engine: PatchMatchEngine) -> None:
    image, hole = photo_like(120, 150), disc(120, 150, 40)
    previews: list[FloatImage] = []
    steps: list[int] = []

    def progress(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        assert 0 <= step <= total
        steps.append(step)
        if preview is not None:
            previews.append(preview())

    engine.fill(image, hole, params={}, seed=0, progress=progress)
    assert steps == sorted(steps)
    assert len(previews) > 10
    for preview in previews:
        assert preview.shape == image.shape
        assert preview.dtype == np.float32
        np.testing.assert_array_equal(preview[~hole], image[~hole])


@pytest.mark.parametrize("after", [1, 3, 40])
def test_a_cancelled_fill_stops_at_the_next_poll(engine: PatchMatchEngine, after: int) -> None:
    polls = 0

    def progress(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        nonlocal polls
        polls += 1
        if polls >= after:
            raise Cancelled("no longer wanted")

    with pytest.raises(Cancelled):
        engine.fill(photo_like(300, 300), disc(300, 300, 90), params={}, seed=0, progress=progress)
    assert polls == after


def test_a_fill_of_12_megapixels_can_be_cancelled_every_half_second(engine: PatchMatchEngine) -> None:
    """In processor time on one thread, which other work on the machine does not lengthen."""
    photo = cv2.resize((photo_like(750, 1000) * 255).astype(np.uint8), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    mask = Mask(Box(0, 0, 4000, 3000), disc(3000, 4000, 276).astype(np.uint8) * 255)
    polls: list[float] = []
    model = Inpainter(get_model("patchmatch"), PatchMatchEngine(threads=1))
    small = Mask(Box(1900, 1400, 2100, 1600), disc(200, 200, 60).astype(np.uint8) * 255)
    list(model.patches(photo, small, FillOptions()))  # compiles, or reads what was compiled
    begun = time.process_time()
    list(model.patches(photo, mask, FillOptions(), lambda *_: polls.append(time.process_time())))
    waits = np.diff([begun, *polls, time.process_time()])
    assert waits.size > 100
    assert waits.max() < 0.5


def test_a_small_mask_on_a_large_photo_costs_its_surroundings_only(engine: PatchMatchEngine) -> None:
    class Photo:
        """48 MP of which only slices exist."""

        shape = (6000, 8000, 3)
        dtype = np.dtype(np.uint8)
        read = 0

        def __getitem__(self, index: tuple[slice, slice]) -> NDArray[np.uint8]:
            height, width = (part.stop - part.start for part in index)
            self.read += height * width
            return np.rint(photo_like(height, width) * 255).astype(np.uint8)

    photo = Photo()
    hole = disc(60, 60, 28)
    mask = Mask(Box(4000, 3000, 4060, 3060), hole.astype(np.uint8) * 255)
    (patch,) = Inpainter(get_model("patchmatch"), engine).patches(photo, mask, FillOptions())
    assert patch.pixels.shape[:2] == (patch.box.height, patch.box.width)
    assert photo.read < 80_000
