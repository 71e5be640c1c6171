"""A network's fill gets the grain and the colour of what is around it, and nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inpaint_models import FillOptions, Inpainter, get_model, list_models
from inpaint_models.errors import Cancelled
from inpaint_models.evaluation.texture import noise_ratio, spectrum_distance
from inpaint_models.evaluation.views import view
from inpaint_models.finish import bands, surroundings
from inpaint_models.pipeline.inpainter import mask_from_array
from inpaint_models.registry import Strategy
from inpaint_models.types import AnyImage, Box, FloatImage, HoleMask, ParamValue, Progress
from lama_server.cli.inpaint import parser
from lama_server.jobs.runner import _options
from lama_server.schemas.requests import EditRequest, OneShotParams

PLAIN = FillOptions(finish=False)
Photo = NDArray[np.uint8]


@dataclass
class Painting:
    """Shows a picture of the whole image in each hole, and remembers what it was given."""

    picture: FloatImage
    seen: list[FloatImage] = field(default_factory=list)

    def fill(
        self, image: FloatImage, hole: HoleMask, *, params: Mapping[str, ParamValue], seed: int, progress: Progress
    ) -> FloatImage:
        self.seen.append(image)
        return self.picture


def network(picture: NDArray[Any], *, synthesises: bool = True) -> Inpainter:
    """Whose fills are a part of the picture; it sees the image as a whole."""
    levels = picture / 255 if picture.dtype == np.uint8 else picture
    whole = Strategy(kind="original")
    entry = replace(
        get_model("opencv"), parameters=(), strategy=whole, synthesises=synthesises, needs_known=False
    )  # fmt: skip
    return Inpainter(entry, Painting(np.asarray(levels, np.float32)))


def ellipse(height: int, width: int, x: float = 0.5, y: float = 0.5, size: float = 0.16) -> HoleMask:
    mask = np.zeros((height, width), np.uint8)
    centre, radii = (round(width * x), round(height * y)), (round(width * size), round(height * size))
    return cv2.ellipse(mask, centre, radii, 20, 0, 360, 1, -1) > 0


def camera(image: Photo, strength: float, blur_px: float = 0.6, seed: int = 1) -> Photo:
    """With noise as a camera makes: more where it is bright, of the size that demosaicing leaves, a little grey."""
    grains = np.random.default_rng(seed).normal(size=image.shape)
    grains = cv2.GaussianBlur(grains @ np.array([[0.8, 0.2, 0.1], [0.2, 0.8, 0.2], [0.1, 0.2, 0.8]]), (0, 0), blur_px)
    noisy = image + grains / grains.std() * np.sqrt(1 + strength * image)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def smooth(image: Photo) -> FloatImage:
    """What a network makes at its best: the truth, without the finest detail."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0) / np.float32(255), np.float32)


def photo_of(name: str) -> Photo:
    """scikit-image's, in three channels where it is grey."""
    return np.asarray(np.atleast_3d(getattr(skimage.data, name)()) + np.zeros(3, np.uint8))


PLACES: dict[str, tuple[float, float]] = {
    "chelsea": (0.5, 0.5),
    "coffee": (0.5, 0.5),
    "rocket": (0.5, 0.5),
    "astronaut": (0.2, 0.35),
    "camera": (0.5, 0.85),
    "gravel": (0.5, 0.5),
}


@pytest.mark.parametrize("strength", [0.1, 0.5, 1.5])
@pytest.mark.parametrize("name", PLACES)
def test_the_hole_has_the_noise_of_its_ring_and_twice_as_near_a_spectrum(name: str, strength: float) -> None:
    photo = photo_of(name)
    noisy, hole = camera(photo, strength), ellipse(photo.shape[0], photo.shape[1], *PLACES[name])
    model = network(smooth(photo))
    before, after = view(model(noisy, hole, PLAIN), hole), view(model(noisy, hole), hole)
    assert noise_ratio(before) < 0.3
    assert 0.8 <= noise_ratio(after) <= 1.25
    assert spectrum_distance(after) <= spectrum_distance(before) / 2


@pytest.mark.parametrize("blur_px", [0.01, 0.5, 0.8, 1.2])
def test_grain_of_any_size_is_matched(blur_px: float) -> None:
    plain = np.full((300, 300, 3), 120, np.uint8)
    hole = ellipse(300, 300)
    after = view(network(plain)(camera(plain, 0.3, blur_px), hole), hole)
    assert 0.9 <= noise_ratio(after) <= 1.1
    assert spectrum_distance(after) < 4


def test_a_thin_stroke_has_grain_too() -> None:
    plain = np.full((300, 300, 3), 120, np.uint8)
    hole = cv2.line(np.zeros((300, 300), np.uint8), (50, 50), (250, 200), 1, 5) > 0
    after = view(network(plain)(camera(plain, 0.3), hole), hole)
    assert 0.8 <= noise_ratio(after) <= 1.25


def test_noise_follows_the_level_as_it_does_around_the_hole() -> None:
    plain = np.full((240, 320, 3), 40, np.uint8)
    plain[:, 160:] = 200
    rng = np.random.default_rng(0)
    noisy = plain + rng.normal(size=plain.shape) * np.where(plain < 100, 2, 9)
    hole = ellipse(240, 320)
    filled = network(plain)(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), hole)
    dark, bright = (
        np.std(filled[part].astype(float) - level)
        for part, level in ((hole & (np.arange(320) < 145), 40), (hole & (np.arange(320) > 175), 200))
    )
    assert dark == pytest.approx(2, rel=0.3)
    assert bright == pytest.approx(9, rel=0.2)


@pytest.mark.parametrize("mix", [np.full((3, 3), 1 / 3), np.eye(3), np.array([[1, 0.9, 0], [0, 0.3, 0], [0, 0, 0.6]])])
def test_noise_has_the_colours_of_the_ring(mix: NDArray[np.float64]) -> None:
    plain = np.full((300, 300, 3), 120, np.uint8)
    noisy = np.rint(plain + 8 * np.random.default_rng(0).normal(size=plain.shape) @ mix).astype(np.uint8)
    hole = ellipse(300, 300)
    filled = network(plain)(noisy, hole)
    assert np.cov(filled[hole].T) == pytest.approx(np.cov(noisy[~hole].T), abs=0.15 * np.cov(noisy[~hole].T).max())


def test_grey_stays_grey() -> None:
    plain = np.full((200, 200), 120, np.uint8)
    noisy = np.rint(plain + np.random.default_rng(0).normal(size=plain.shape) * 5).astype(np.uint8)
    hole = ellipse(200, 200)
    flat = np.repeat(plain[..., None], 3, axis=2)
    assert np.std(network(flat)(noisy, hole)[hole]) == pytest.approx(5, rel=0.1)
    coloured = network(flat)(np.repeat(noisy[..., None], 3, axis=2), hole)
    assert (coloured == coloured[..., :1]).all()


def test_only_what_is_missing_is_added() -> None:
    plain = np.full((300, 300, 3), 120, np.uint8)
    noisy, other, hole = camera(plain, 0.5), camera(plain, 0.5, seed=2), ellipse(300, 300)
    kept = network(other)(noisy, hole)
    assert np.std(kept[hole].astype(float) - other[hole]) < np.std(other[hole].astype(float)) / 2
    assert 0.9 <= noise_ratio(view(kept, hole)) <= 1.15


def graphic(height: int = 300, width: int = 400) -> Photo:
    """Flat colours, a gradient, slanted edges, a circle and letters."""
    picture = np.full((height, width, 3), (246, 240, 222), np.uint8)
    picture[:, : width // 4] = np.linspace(60, 200, height).astype(np.uint8)[:, None, None]
    cv2.rectangle(picture, (120, 40), (260, 130), (30, 90, 160), -1)
    cv2.circle(picture, (250, 180), 70, (200, 60, 40), -1, cv2.LINE_AA)
    cv2.line(picture, (0, 280), (399, 100), (10, 10, 10), 3, cv2.LINE_AA)
    for row in range(3):
        cv2.putText(
            picture, "Flat graphic", (90, 200 + 40 * row), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 0), 2, cv2.LINE_AA
        )
    return picture


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("x", [0.2, 0.4, 0.6, 0.8])
def test_flat_graphics_come_back_as_they_were_filled(x: float, dtype: Any) -> None:
    picture = graphic()
    hole, model = ellipse(300, 400, x), network(picture)
    deep = picture.astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    assert (model(deep, hole) == model(deep, hole, PLAIN)).all()


def test_the_seed_decides_the_grain() -> None:
    plain, hole = np.full((200, 200, 3), 120, np.uint8), ellipse(200, 200)
    noisy, model = camera(plain, 0.5), network(plain)
    first, again, other = (model(noisy, hole, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other)[hole].mean() > 0.5


def test_grain_belongs_to_its_place_whatever_the_patch() -> None:
    whole = Box(0, 0, 200, 150)
    part = Box(50, 60, 170, 130)
    for band in range(bands.BANDS):
        assert bands.noise(7, band, part) == pytest.approx(bands.noise(7, band, whole)[part.slices], abs=1e-5)


def test_a_number_of_white_noise_is_the_sum_of_the_four_quarters_of_one_that_was_drawn() -> None:
    side = bands._BLOCK_PX
    drawn = np.random.PCG64([7, 1, 1, 1]).random_raw(3 * side**2).astype("<u8").view("<u2").reshape(side, side, 3, 4)
    assert bands._white(7, 1, Box(0, 0, side, side)) == pytest.approx(
        (drawn.sum(axis=3, dtype=np.float64) - 4 * (2**16 - 1) / 2) / (4 * (2**32 - 1) / 12) ** 0.5, abs=1e-6
    )


def test_measures_see_of_each_band_what_they_are_said_to() -> None:
    box = Box(0, 0, 512, 512)
    for band in range(bands.BANDS):
        grains = bands.noise(3, band, box)
        for measure, kernels in enumerate(bands.MEASURES):
            found = np.mean([np.var(bands.filtered(grains, kernel)) for kernel in kernels])
            assert found == pytest.approx(bands.seen()[measure, band], rel=0.1, abs=1e-3)


def test_a_photo_of_16_bits_gets_the_grain_of_its_8_bits() -> None:
    photo = camera(skimage.data.chelsea(), 0.5)
    hole, model = ellipse(*photo.shape[:2]), network(smooth(skimage.data.chelsea()))
    shallow, deep = model(photo, hole), model(photo.astype(np.uint16) * 257, hole)
    assert np.abs(shallow.astype(float) - deep / 257).max() <= 1.5


def test_engines_that_copy_are_left_alone() -> None:
    photo = camera(skimage.data.chelsea(), 0.5)
    hole, model = ellipse(*photo.shape[:2]), network(smooth(photo), synthesises=False)
    assert (model(photo, hole) == model(photo, hole, PLAIN)).all()


@settings(max_examples=40)
@given(
    st.integers(1, 120), st.integers(1, 120), st.sampled_from([0, 3, 4]), st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 10_000), st.integers(0, 4), st.floats(0, 1), st.sampled_from([0, 3, 60]),
)  # fmt: skip
def test_known_pixels_and_alpha_stay_whatever_the_hole(
    height: int, width: int, channels: int, dtype: Any, seed: int, feather: int, share: float, spread: int
) -> None:
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    shape = (height, width, channels) if channels else (height, width)
    photo = np.clip((0.5 + rng.normal(size=shape) * spread / 255) * top, 0, top).astype(dtype)
    if channels == 4:
        photo[..., 3] = rng.choice([0, top], (height, width))
    ragged = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 1 + seed % 9)
    hole = ragged <= np.quantile(ragged, share)
    model = network(np.full((height, width, 3), 0.5, np.float32))
    filled = model(photo, hole, FillOptions(seed=seed, feather_px=feather))
    assert filled.shape == photo.shape
    assert filled.dtype == dtype
    assert (filled[~hole] == photo[~hole]).all()
    if channels == 4:
        assert (filled[..., 3] == photo[..., 3]).all()
    assert (filled == model(photo, hole, FillOptions(seed=seed, feather_px=feather))).all()


@dataclass
class Level:
    """Fills with a level of 120, and remembers what it was given."""

    seen: list[tuple[FloatImage, HoleMask]] = field(default_factory=list)

    def fill(
        self, image: FloatImage, hole: HoleMask, *, params: Mapping[str, ParamValue], seed: int, progress: Progress
    ) -> FloatImage:
        self.seen.append((image, hole))
        return np.full_like(image, 120 / 255)


def in_crops(engine: Level) -> Inpainter:
    small = Strategy("crop", crop_above=0, margin_px=64, max_side=512)
    return Inpainter(
        replace(get_model("opencv"), parameters=(), strategy=small, synthesises=True, needs_known=False, reach_px=150),
        engine,
    )


def test_a_stroke_in_many_crops_has_one_grain_and_no_crop_sees_that_of_another() -> None:
    plain = np.full((500, 2600, 3), 120, np.uint8)
    noisy, engine = camera(plain, 0.5), Level()
    mask = np.zeros((500, 2600), np.uint8)
    hole = cv2.line(mask, (60, 100), (2540, 400), 1, 40) > 0
    noisy[hole] = (255, 0, 0)
    filled = in_crops(engine)(noisy, hole)
    assert len(engine.seen) > 3
    assert 0.9 <= noise_ratio(view(filled, hole)) <= 1.1
    level = [np.abs(image - 120 / 255).max(axis=2) < 2 / 255 for image, _ in engine.seen]
    flat = [cv2.erode(part.astype(np.uint8), np.ones((9, 9), np.uint8)).any() for part in level]
    assert any(flat), "a crop of the second wave sees what the first made, without grain"


def test_a_deep_hole_filled_in_rings_gets_its_grain_once() -> None:
    plain = np.full((400, 700, 3), 120, np.uint8)
    noisy, hole, engine = camera(plain, 0.5), np.zeros((400, 700), bool), Level()
    hole[:, 300:] = True
    filled = in_crops(engine)(noisy, hole)
    assert len(engine.seen) > 1
    assert np.std(filled[hole].astype(float)) == pytest.approx(np.std(noisy[~hole].astype(float)), rel=0.15)


def test_a_large_hole_is_worked_on_in_tiles_without_seams_and_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = np.full((400, 600, 3), 120, np.uint8)
    noisy, hole = camera(plain, 0.5), ellipse(400, 600, size=0.4)
    at_once = network(plain)(noisy, hole)
    monkeypatch.setattr(surroundings, "TILE_PX", 128)
    in_tiles = network(plain)(noisy, hole)
    assert np.std((at_once.astype(float) - in_tiles)[hole]) < 0.15 * np.std(at_once[hole].astype(float))
    assert 0.9 <= noise_ratio(view(in_tiles, hole)) <= 1.1
    mask, steps = mask_from_array(hole, 400, 600), 0

    def cancel(stage: str, step: int, total: int, preview: object = None) -> None:
        nonlocal steps
        if stage == "finishing":
            steps += 1
            raise Cancelled

    with pytest.raises(Cancelled):
        list(network(plain).patches(noisy, mask, FillOptions(), cancel))
    assert steps == 1


def blurred_error(filled: AnyImage, truth: Photo, hole: HoleMask) -> float:
    """Mean low-frequency difference in the hole, in levels."""
    difference = np.where(hole[..., None], filled.astype(np.float32) - truth, 0)
    weight = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 6)
    return float(np.abs(cv2.GaussianBlur(difference, (0, 0), 6)[hole] / weight[hole][:, None]).mean())


@pytest.mark.parametrize("name", ["rocket", "chelsea", "coffee"])
def test_a_fill_of_another_tint_is_brought_back(name: str) -> None:
    photo = getattr(skimage.data, name)()
    hole = ellipse(*photo.shape[:2])
    tinted = network(smooth(photo) + np.array([5, -4, 6], np.float32) / 255)
    assert (
        blurred_error(tinted(photo, hole), photo, hole) < blurred_error(tinted(photo, hole, PLAIN), photo, hole) * 0.6
    )


def test_a_step_that_changes_along_the_edge_is_followed() -> None:
    sky = np.repeat(np.linspace(120, 180, 300)[:, None, None], 400, axis=1).repeat(3, axis=2).astype(np.uint8)
    hole = ellipse(300, 400)
    ramp = np.linspace(-20, 20, 400, dtype=np.float32)[None, :, None] / 255
    model = network(sky / np.float32(255) + ramp)
    assert blurred_error(model(sky, hole), sky, hole) < 1
    assert blurred_error(model(sky, hole, PLAIN), sky, hole) > 2


@pytest.mark.parametrize("name", PLACES)
def test_a_fill_without_a_step_keeps_its_colour(name: str) -> None:
    photo = photo_of(name)
    hole = ellipse(*photo.shape[:2])
    assert blurred_error(network(photo)(photo, hole), photo, hole) < 0.5


def test_an_edge_of_the_picture_that_the_fill_continues_elsewhere_is_no_step() -> None:
    wall = np.full((300, 400, 3), 60, np.uint8)
    wall[:, 200:] = 190
    moved, hole = np.roll(wall, 6, axis=1), ellipse(300, 400)
    model = network(moved)
    difference = np.abs(model(wall, hole).astype(float) - model(wall, hole, PLAIN))
    assert difference.mean(axis=2)[hole].max() <= 4
    assert difference[hole].mean() < 1


def test_every_network_that_makes_pixels_of_photos_is_finished() -> None:
    networks = {entry.name for entry in list_models("fill") if entry.weights}
    assert {entry.name for entry in list_models() if entry.synthesises} == networks - {"manga"}


@pytest.mark.parametrize("finish", [False, True])
def test_requests_and_the_command_line_say_whether_to_finish(finish: bool) -> None:
    edit = EditRequest.model_validate({"image": "a" * 32, "finish": finish, "runs": [{"model": "lama"}]})
    for request in (edit, OneShotParams.model_validate({"finish": finish})):
        assert _options(request, 0, 0, 0, {}).finish is finish
    words = ["a.png", "b.png", "-o", "c.png", *([] if finish else ["--no-finish"])]
    assert parser().parse_args(words).no_finish is not finish
