"""Each measure agrees with a known value or a reference, and catches the mistake that it is there for."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data
from skimage.filters import gaussian
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from inpaint_models import load_model
from inpaint_models.errors import InvalidImage, MaskSizeMismatch
from inpaint_models.evaluation import fidelity, texture, traces
from inpaint_models.evaluation.scores import METRIC, score
from inpaint_models.evaluation.views import View, signed_distance, view

Image8 = NDArray[np.uint8]
EVERYWHERE = np.ones((240, 300), np.bool_)


def photo() -> Image8:
    return np.ascontiguousarray(data.chelsea()[30:270, 80:380])


def hole(radius_px: int = 45) -> NDArray[np.bool_]:
    y, x = np.mgrid[:240, :300]
    return np.asarray((y - 120) ** 2 + (x - 150) ** 2 < radius_px**2)


def noisy(image: NDArray[Any], sigma: float, seed: int = 0) -> Image8:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.asarray(np.clip(np.rint(image + noise), 0, 255), np.uint8)


def smooth() -> NDArray[np.float64]:
    """(240, 300, 3): a soft ramp without any noise."""
    y, x = np.mgrid[:240, :300]
    return np.stack([80 + 0.2 * x, 90 + 0.2 * y, 100 + 0.1 * x], axis=2)


def filled_with(outside: Image8, inside: NDArray[Any], where: NDArray[np.bool_] | None = None) -> Image8:
    return np.where((hole() if where is None else where)[..., None], inside, outside)


def pair(a: Image8, b: Image8) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return a.astype(np.float32), b.astype(np.float32)


def test_differences_are_those_of_the_definitions() -> None:
    truth = photo()
    other = noisy(truth, 12)
    where, (a, b) = hole(), pair(other, truth)
    difference = other[where].astype(np.float64) - truth[where]
    assert fidelity.l1(a, b, where) == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert fidelity.l2(a, b, where) == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-5)
    assert fidelity.psnr(a, b, EVERYWHERE) == pytest.approx(peak_signal_noise_ratio(truth, other), rel=1e-5)
    assert fidelity.psnr(a, a, where) == pytest.approx(78.13, abs=0.01)


def test_ssim_is_that_of_scikit_image() -> None:
    truth = photo()
    other = noisy(cv2.GaussianBlur(truth, (0, 0), 1.2), 5)
    reference = structural_similarity(
        truth, other, channel_axis=2, full=True, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )[1]
    assert fidelity.ssim(*pair(other, truth), hole()) == pytest.approx(reference[hole()].mean(), abs=2e-4)


def test_ms_ssim_is_that_of_the_paper_in_other_words() -> None:
    truth = photo()
    other = noisy(cv2.GaussianBlur(truth, (0, 0), 1.2), 5)
    a, b = other.astype(np.float64), truth.astype(np.float64)

    def blurred(image: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(gaussian(image, 1.5, truncate=3.5, mode="reflect", channel_axis=2))

    expected = 1.0
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    for scale, weight in enumerate(weights):
        means, product = (blurred(a), blurred(b)), blurred(a * b)
        spread = blurred(a * a) + blurred(b * b) - means[0] ** 2 - means[1] ** 2
        found = (2 * (product - means[0] * means[1]) + 58.5225) / (spread + 58.5225)
        if scale == len(weights) - 1:
            found *= (2 * means[0] * means[1] + 6.5025) / (means[0] ** 2 + means[1] ** 2 + 6.5025)
        expected *= found.mean() ** weight
        a, b = (each[: len(each) // 2 * 2, : each.shape[1] // 2 * 2] for each in (a, b))
        a, b = ((each[::2, ::2] + each[1::2, ::2] + each[::2, 1::2] + each[1::2, 1::2]) / 4 for each in (a, b))
    assert fidelity.ms_ssim(*pair(other, truth), EVERYWHERE) == pytest.approx(expected, abs=5e-4)
    tiny = np.zeros((9, 40, 3), np.float32)
    assert math.isnan(fidelity.ms_ssim(tiny, tiny, np.ones((9, 40), np.bool_)))


def test_the_rim_is_measured_apart_from_the_depth_of_the_hole() -> None:
    truth = photo()
    damaged = truth.copy()
    damaged[signed_distance(hole()) > 20] ^= 64
    found = score(view(damaged, hole(), truth))
    assert found["l1"] > 5
    assert found["l1_rim"] == 0
    assert found["ms_ssim_rim"] > found["ms_ssim"]


def test_a_blurred_fill_is_not_sharp() -> None:
    truth = photo()
    blurred = filled_with(truth, cv2.GaussianBlur(truth, (0, 0), 3))
    for known in (truth, None):
        same = texture.sharpness(view(truth, hole(), known))
        assert texture.sharpness(view(blurred, hole(), known)) < 0.5 * same
    assert texture.sharpness(view(truth, hole(), truth)) == 1
    halved = filled_with(truth, (truth // 2).astype(np.uint8))
    assert texture.sharpness(view(halved, hole(), truth)) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("sigma", [2.0, 8.0, 20.0])
def test_noise_of_known_strength_is_found_in_spite_of_structure(sigma: float) -> None:
    grey = np.repeat(noisy(smooth()[..., :1], sigma), 3, axis=2)
    assert texture.noise(grey.astype(np.float32), hole()) == pytest.approx(sigma, rel=0.06)
    edges = np.where((np.indices((240, 300)).sum(axis=0) // 40 % 2)[..., None], 60, 160)
    busy = np.repeat(noisy(edges, sigma), 3, axis=2)
    assert texture.noise(busy.astype(np.float32), hole()) == pytest.approx(sigma, rel=0.2)


def test_a_fill_without_grain_is_told_from_one_with_the_right_grain() -> None:
    known = noisy(smooth(), 8)
    without = view(filled_with(known, np.rint(smooth()).astype(np.uint8)), hole())
    right = view(filled_with(known, noisy(smooth(), 8, seed=1)), hole())
    twice = view(filled_with(known, noisy(smooth(), 16, seed=1)), hole())
    assert texture.noise_ratio(without) < 0.1
    assert texture.noise_ratio(right) == pytest.approx(1, abs=0.1)
    assert texture.noise_ratio(twice) == pytest.approx(2, abs=0.2)
    assert texture.spectrum_distance(right) < 1
    assert texture.spectrum_distance(without) > 15


def test_grain_of_the_wrong_size_is_seen_in_the_spectrum_where_its_strength_is_right() -> None:
    known = noisy(smooth(), 4)
    coarse = gaussian(np.random.default_rng(1).normal(0, 4, (240, 300, 3)), 0.6, channel_axis=2)
    coarse *= texture.noise(known.astype(np.float32), hole()) / texture.noise(coarse.astype(np.float32), EVERYWHERE)
    wrong = view(filled_with(known, np.rint(smooth() + coarse).astype(np.uint8)), hole())
    right = view(filled_with(known, noisy(smooth(), 4, seed=1)), hole())
    assert texture.noise_ratio(wrong) == pytest.approx(1, abs=0.1)
    assert texture.spectrum_distance(wrong) > 4 * texture.spectrum_distance(right)


def test_flat_graphics_have_no_noise_that_could_differ() -> None:
    flat = np.full((240, 300, 3), (200, 120, 40), np.uint8)
    found = score(view(flat, hole(), flat))
    assert (found["noise_ratio"], found["spectrum_distance"], found["sharpness"], found["seam"]) == (1, 0, 1, 1)
    assert (found["patch_distance"], found["repetition"]) == (0, 0)


def test_a_step_in_colour_at_the_edge_is_a_seam_and_a_fill_without_one_is_none() -> None:
    truth = photo()
    assert traces.seam(view(truth, hole())) == pytest.approx(1, abs=0.25)
    for step in (6, 20):
        shifted = np.clip(truth.astype(np.int16) + step, 0, 255).astype(np.uint8)
        assert traces.seam(view(filled_with(truth, shifted), hole())) > (1.1 if step == 6 else 3)
    ground = noisy(smooth(), 1)
    faint = filled_with(ground, np.clip(ground.astype(np.int16) + 4, 0, 255).astype(np.uint8))
    assert traces.seam(view(faint, hole())) > 5


def test_a_step_elsewhere_is_no_seam() -> None:
    truth = noisy(smooth(), 2)
    truth[:, :150] //= 2
    assert traces.seam(view(truth, hole())) < 1.3


def test_the_same_block_copied_side_by_side_is_a_repetition() -> None:
    ground = np.ascontiguousarray(data.gravel()[:240, :300])
    truth = np.repeat(ground[..., None], 3, axis=2)
    block = truth[5:35, 5:35]
    tiled = filled_with(truth, np.tile(block, (8, 10, 1)))
    for known in (truth, None):
        assert traces.repetition(view(tiled, hole(), known)) > 0.8
        assert traces.repetition(view(truth, hole(), known)) == pytest.approx(0, abs=0.05)


def test_a_pattern_that_was_there_and_a_smear_are_no_repetition() -> None:
    block = data.gravel()[:30, :30, None]
    pattern = np.repeat(np.tile(block, (8, 10, 1)), 3, axis=2)
    assert traces.repetition(view(pattern, hole(), pattern)) == 0
    assert abs(traces.repetition(view(pattern, hole()))) <= 0.1
    smear = load_model("opencv")(pattern, hole(20))
    assert traces.repetition(view(smear, hole(20))) <= 0


def test_the_distance_of_patches_follows_how_wrong_they_are() -> None:
    truth = photo()
    blurred, more = (filled_with(truth, cv2.GaussianBlur(truth, (0, 0), sigma)) for sigma in (1.5, 6))
    foreign = filled_with(truth, np.ascontiguousarray(data.astronaut()[:240, :300]))
    found = [texture.patch_distance(view(each, hole(), truth)) for each in (truth, blurred, more, foreign)]
    assert found[0] == 0
    assert 0 < found[1] < found[2] < found[3]
    against_the_ring = [texture.patch_distance(view(each, hole())) for each in (truth, more)]
    assert against_the_ring[0] < against_the_ring[1]


def test_the_distance_of_patches_has_a_known_value_for_shifted_colours() -> None:
    """Sorted projections then differ by the shift's own projection, on the last level alone."""
    truth = noisy(np.full((240, 300, 3), 100.0), 4)
    shifted = filled_with(truth, (truth + 12).astype(np.uint8), EVERYWHERE)
    coarse = cv2.pyrDown(cv2.pyrDown(truth.astype(np.float32)))
    directions = np.random.default_rng(0).normal(size=(147, 128))
    directions /= np.linalg.norm(directions, axis=0)
    shift = 12 / coarse.std(axis=(0, 1))
    expected = np.abs(np.tile(shift, 49) @ directions).mean() / 3
    found = texture.patch_distance(view(shifted, EVERYWHERE, truth))
    assert found == pytest.approx(expected, rel=0.15)


def test_sixteen_bits_are_measured_in_the_same_unit() -> None:
    truth, other = photo(), noisy(photo(), 10)
    deep = [np.asarray(each.astype(np.uint16) * 257, np.uint16) for each in (other, truth)]
    assert score(view(deep[0], hole(), deep[1])) == pytest.approx(score(view(other, hole(), truth)), rel=1e-3, abs=1e-4)


def test_alpha_is_left_out_and_wrong_arrays_are_refused() -> None:
    clear = np.dstack([photo(), np.zeros((240, 300), np.uint8)])
    assert view(clear, hole()).filled.shape[2] == 3
    with pytest.raises(InvalidImage, match=r"\(240, 300\)"):
        view(photo()[..., 0], hole())
    with pytest.raises(MaskSizeMismatch, match="300x240"):
        view(photo(), hole()[:100])
    with pytest.raises(MaskSizeMismatch, match="empty"):
        view(photo(), np.zeros((240, 300), np.bool_))


def test_a_hole_of_one_pixel_has_no_figures_rather_than_wrong_ones() -> None:
    where = np.zeros((240, 300), np.bool_)
    where[100, 100] = True
    found = score(view(photo(), where, photo()))
    unknown = {name for name, value in found.items() if math.isnan(value)}
    assert {"noise_ratio", "spectrum_distance", "seam", "repetition", "patch_distance", "sharpness"} == unknown
    assert found["l1"] == 0


def test_every_figure_has_a_column() -> None:
    assert set(score(view(photo(), hole(), photo()))) < set(METRIC)


def test_a_small_hole_on_a_large_photo_is_measured_on_its_surroundings_alone() -> None:
    where = np.zeros((3000, 4000), np.bool_)
    where[1500:1520, 2000:2030] = True
    seen: View = view(np.zeros((3000, 4000, 3), np.uint8), where)
    assert seen.filled.shape == (20 + 192, 30 + 192, 3)
