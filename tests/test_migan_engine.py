"""MI-GAN as an engine: bands and windows, sizes beyond the trained one, progress, precision, on a small network."""

from typing import Any

import numpy as np
import pytest
import torch

from inpaint_models import get_model
from inpaint_models.errors import Cancelled
from inpaint_models.migan import inference
from inpaint_models.migan.engine import MIGANEngine
from inpaint_models.migan.inference import InferenceMIGAN, doubled
from inpaint_models.migan.network import MIGAN, Upsample, masked_input
from inpaint_models.types import FloatImage, HoleMask, no_progress

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 64
ENTRY = get_model("migan")


@pytest.fixture(scope="module")
def network() -> MIGAN:
    torch.manual_seed(0)
    network = MIGAN(SIDE).eval().requires_grad_(False)
    for name, value in network.named_parameters():
        value.copy_(torch.randn(value.shape) * (0.1 if value.dim() < 2 else value[0].numel() ** -0.5))
        if name.endswith("noise_strength"):
            value.fill_(0.3)
    return network


def picture(height: int = SIDE, width: int = SIDE) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


HOLES = {
    "in the middle": (20, 40, 24, 50),
    "a single pixel": (33, 34, 7, 8),
    "in a corner": (0, 9, 50, 64),
    "everything": (0, 64, 0, 64),
}


@pytest.mark.parametrize("band_values", [1, 1 << 30], ids=["narrow bands", "one band"])
@pytest.mark.parametrize(
    ("hole", "scale"),
    [*((hole, 1) for hole in HOLES.values()), (HOLES["in the middle"], 2)],
    ids=[*HOLES, "twice the trained size"],
)
def test_bands_and_windows_change_nothing(
    network: MIGAN, monkeypatch: pytest.MonkeyPatch, hole: tuple[int, ...], scale: int, band_values: int
) -> None:
    monkeypatch.setattr(inference, "BAND_VALUES", band_values)
    image, known = picture(SIDE * scale, SIDE * scale), torch.ones(1, 1, SIDE * scale, SIDE * scale)
    y0, y1, x0, x1 = (edge * scale for edge in hole)
    known[..., y0:y1, x0:x1] = 0
    with torch.inference_mode():
        whole = network(masked_input(image, known))
        ours = InferenceMIGAN(network)(image, known)
    inside = (known == 0).expand_as(image)
    assert (ours - whole)[inside].abs().max() < 1e-5 * max(1.0, float(whole.abs().max()))
    assert torch.equal(ours[~inside], image[~inside])


def test_doubling_equals_the_filter_at_the_border_too() -> None:
    x = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(doubled(x), Upsample()(x))


@pytest.fixture
def engine(network: MIGAN) -> MIGANEngine:
    return MIGANEngine(InferenceMIGAN(network))


def crop() -> tuple[FloatImage, HoleMask]:
    image = np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32)
    hole = np.zeros((SIDE, SIDE), bool)
    hole[20:40, 24:50] = True
    return image, hole


def fill(engine: MIGANEngine, progress: Any = no_progress, **given: Any) -> FloatImage:
    image, hole = crop()
    return engine.fill(given.get("image", image), hole, params={}, seed=0, progress=progress)


def test_what_lies_under_the_hole_does_not_matter(engine: MIGANEngine) -> None:
    image, hole = crop()
    changed = image.copy()
    changed[hole] = 0.5
    assert np.array_equal(fill(engine), fill(engine, image=changed))
    np.testing.assert_allclose(fill(engine)[~hole], image[~hole], atol=1e-6)


def test_progress_goes_through_the_levels_and_may_stop_the_fill(engine: MIGANEngine) -> None:
    heard: list[tuple[int, int]] = []
    fill(engine, lambda stage, step, total, preview=None: heard.append((step, total)))
    assert heard == [(step, 10) for step in range(11)]

    def stop(stage: str, step: int, total: int, preview: object = None) -> None:
        if step == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        fill(engine, stop)


def test_half_precision_is_near_and_one_that_overflows_is_computed_again(network: MIGAN) -> None:
    engine = MIGANEngine(InferenceMIGAN(network), dtype=torch.bfloat16)
    full = fill(MIGANEngine(InferenceMIGAN(network)))
    assert 0 < np.abs(fill(engine) - full).mean() < 0.02
    for name, value in engine.networks[torch.bfloat16].named_buffers():
        if name.endswith("to_rgb.bias"):
            value.fill_(torch.inf)
    assert np.array_equal(fill(engine), full)


def test_a_crop_is_a_square_that_the_network_takes() -> None:
    assert ENTRY.size.padded(300, 500) == (512, 512)
    assert ENTRY.strategy.max_side == 512
