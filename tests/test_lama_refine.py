"""Feature refinement against the stored run of the reference, on a reduced LaMa (3 blocks, 16 base channels)."""

import numpy as np
import pytest
import torch
from torch import Tensor

from inpaint_models.errors import Cancelled
from inpaint_models.lama.inference import FoldedGenerator
from inpaint_models.lama.network import FFCResNetGenerator
from inpaint_models.lama.refine import (
    RefinementSettings,
    RefinementStep,
    at_size_of,
    pyramid,
    refine,
    trusted,
    working_sizes,
)
from parity import goldens, weights

GOLDEN_SETTINGS = RefinementSettings(min_side=256)


@pytest.fixture(scope="module")
def golden() -> goldens.Golden:
    return goldens.load("lama_refiner", "golden_small_512")


@pytest.fixture(scope="module")
def reduced_lama() -> FFCResNetGenerator:
    tensors = weights.state_dict(weights.read_manifest("lama_refiner"), "generator")
    network = FFCResNetGenerator(n_blocks=3, base_channels=16)
    network.load_state_dict({key.removeprefix("generator."): torch.from_numpy(t) for key, t in tensors.items()})
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tiny_lama() -> FFCResNetGenerator:
    torch.manual_seed(0)
    return FFCResNetGenerator(n_blocks=2, base_channels=4).eval().requires_grad_(False)


def picture_and_mask(golden: goldens.Golden) -> tuple[Tensor, Tensor]:
    image = torch.from_numpy(golden["image"]).permute(2, 0, 1)[None] / 255
    return image, torch.from_numpy(golden["mask"] > 127).float()[None, None]


def random_picture(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Noise with a square hole in its middle half."""
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 1, height, width)
    mask[..., height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1
    return image, mask


def last(steps: list[RefinementStep]) -> Tensor:
    return steps[-1].image


def test_pyramid_and_trusted_area_equal_the_reference(golden: goldens.Golden) -> None:
    coarse, fine = pyramid(*picture_and_mask(golden), GOLDEN_SETTINGS)
    goldens.assert_close("scale0_image", coarse.image.numpy(), golden, atol=1e-6)
    assert np.array_equal(coarse.mask[0, 0].numpy() > 0, golden["scale0_mask"] > 0)
    assert np.array_equal(trusted(fine.mask)[0, 0].numpy(), golden["eroded_mask"] > 0)


def test_fifteen_passes_of_a_reduced_network_end_where_the_reference_does(
    golden: goldens.Golden, reduced_lama: FFCResNetGenerator
) -> None:
    assert_follows(golden, list(refine(reduced_lama, *picture_and_mask(golden), settings=GOLDEN_SETTINGS)))


def test_eight_passes_of_big_lama_in_its_inference_form_end_where_the_reference_does() -> None:
    golden = goldens.load("lama_refiner", "golden_big_256")
    tensors = weights.state_dict(weights.read_manifest("lama"), "generator")
    state = {key.removeprefix("generator."): torch.from_numpy(value) for key, value in tensors.items()}
    network = FoldedGenerator(state, device=torch.device("cpu"), dtype=torch.float32)
    settings = RefinementSettings(iterations=8, min_side=128)
    assert_follows(golden, list(refine(network, *picture_and_mask(golden), settings=settings)))


def assert_follows(golden: goldens.Golden, steps: list[RefinementStep]) -> None:
    """Between two passes the loss falls by a hundred times the tolerance.

    Where a gradient is near zero the optimiser may step either way, so a few pixels may differ by more than the rest.
    """
    coarsest, *descent = steps
    goldens.assert_close("scale0_inpainted", coarsest.image.numpy(), golden, atol=1e-4)
    np.testing.assert_allclose([step.loss.item() for step in descent], golden["losses"], rtol=0, atol=1e-5)
    goldens.assert_close("inpainted", last(steps).numpy(), golden, atol=5e-3, mean_atol=5e-5)


@pytest.mark.parametrize(
    ("height", "width", "levels"), [(512, 4000, 1), (723, 900, 1), (725, 900, 2), (1024, 1100, 2), (8000, 8000, 3)]
)
def test_a_level_is_added_for_each_doubling_of_the_shorter_side(height: int, width: int, levels: int) -> None:
    assert len(working_sizes(height, width, RefinementSettings(budget_px=height * width))) == levels


@pytest.mark.parametrize(("height", "width"), [(50, 70), (129, 97), (200, 300)])
def test_planned_sizes_are_those_of_the_pyramid(height: int, width: int) -> None:
    settings = RefinementSettings(min_side=32, budget_px=20_000)
    levels = pyramid(*random_picture(height, width), settings)
    assert working_sizes(height, width, settings) == [tuple(level.image.shape[2:]) for level in levels]


def test_odd_sizes_are_refined_and_known_pixels_stay(tiny_lama: FFCResNetGenerator) -> None:
    image, mask = random_picture(70, 107)
    steps = list(refine(tiny_lama, image, mask, settings=RefinementSettings(iterations=3, min_side=32)))
    assert len(steps) == 1 + 3
    assert last(steps).shape == image.shape
    known = mask.expand_as(image) == 0
    assert torch.equal(last(steps)[known], image[known])
    assert steps[3].loss < steps[1].loss


def test_computing_blocks_again_gives_the_same_picture(tiny_lama: FFCResNetGenerator) -> None:
    image, mask = random_picture(64, 64)
    settings = RefinementSettings(iterations=3, min_side=32)
    kept = last(list(refine(tiny_lama, image, mask, settings=settings, keep_activations=True)))
    computed_again = last(list(refine(tiny_lama, image, mask, settings=settings, keep_activations=False)))
    assert torch.equal(kept, computed_again)


def test_a_picture_over_the_budget_comes_back_in_its_own_size(tiny_lama: FFCResNetGenerator) -> None:
    image, mask = random_picture(160, 120)
    settings = RefinementSettings(iterations=2, min_side=32, budget_px=80 * 60)
    small = last(list(refine(tiny_lama, image, mask, settings=settings)))
    assert small.shape == (1, 3, 80, 60)
    result = at_size_of(image, mask, small)
    assert result.shape == image.shape
    known = mask.expand_as(image) == 0
    assert torch.equal(result[known], image[known])


def test_a_hole_too_thin_to_be_trusted_is_filled_all_the_same(tiny_lama: FFCResNetGenerator) -> None:
    image, mask = random_picture(64, 64)
    mask.zero_()
    mask[..., 30:33, :] = 1
    steps = list(refine(tiny_lama, image, mask, settings=RefinementSettings(iterations=3, min_side=32)))
    assert all(torch.isfinite(step.loss) for step in steps)
    assert torch.isfinite(last(steps)).all()


def test_work_is_counted_in_equal_steps_up_to_the_total(tiny_lama: FFCResNetGenerator) -> None:
    """Two blocks and the upsampling part, as dear as four; a level has four times the area of the one before."""
    image, mask = random_picture(128, 128)
    reported: list[tuple[int, int]] = []
    settings = RefinementSettings(iterations=2, min_side=32)
    steps = list(refine(tiny_lama, image, mask, settings=settings, report=lambda *at: reported.append(at)))
    assert [step.done for step in steps] == [12, 12 + 4 * 48, 204 + 4 * 12, 252 + 16 * 48, 1020 + 16 * 12]
    assert {step.total for step in steps} == {1212}
    coarsest, forward, backward = (0, 2, 4), (12, 32, 52), (132, 180, 192)
    assert reported[:9] == [(done, 1212) for done in (*coarsest, *forward, *backward)]
    assert len(reported) == 3 + 2 * (3 + 3 + 3)


@pytest.mark.parametrize("calls", [1, 4, 9])
def test_it_stops_where_the_report_says_so(tiny_lama: FFCResNetGenerator, calls: int) -> None:
    """Three reports in the single pass, three forward and three backward in an iteration: all kinds are met."""
    left = calls

    def report(_done: int, _total: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Cancelled

    image, mask = random_picture(64, 64)
    with pytest.raises(Cancelled):
        list(refine(tiny_lama, image, mask, settings=RefinementSettings(iterations=9, min_side=32), report=report))
    assert left == 0
