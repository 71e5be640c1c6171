"""MAT as an engine: the inference form, noise from the seed, progress and precision, on a very small network."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from inpaint_models import devices
from inpaint_models.errors import Cancelled, EngineFailed, OutOfMemory
from inpaint_models.mat.engine import MATEngine, draw
from inpaint_models.mat.inference import InferenceMAT
from inpaint_models.mat.network import MAT, STAGES, DropoutMasks, MATConfig, StageConfig
from inpaint_models.nn.stylegan import Resample, resampling_convolution, transposed
from inpaint_models.nn.stylegan_inference import FEWEST_TILED_CHANNELS, Convolver
from inpaint_models.nn.torch_engine import wants_bfloat16
from inpaint_models.nn.windows import hole_box, shrunk
from inpaint_models.types import Box, FloatImage, HoleMask, no_progress
from parity import goldens

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 128
CONFIG = MATConfig(
    resolution=SIDE,
    channels=4,
    heads=2,
    stages=(
        StageConfig(2, 4, 16, "keep"),
        StageConfig(2, 4, 8, "down"),
        StageConfig(2, 4, 4, "down"),
        StageConfig(2, 4, 8, "up"),
        StageConfig(2, 4, 16, "up"),
    ),
    latent_width=6,
    mapping_layers=2,
    unet_widths=(4, 4, 6, 8),
    noise=False,
)


def small_network() -> MAT:
    torch.manual_seed(0)
    network = MAT(CONFIG).eval().requires_grad_(False)
    for name, value in network.named_parameters():
        if name.endswith(".bias"):
            value.add_(0.1 * torch.randn(value.shape))
    return network


@pytest.fixture(scope="module")
def engine() -> MATEngine:
    return MATEngine(InferenceMAT(small_network()))


def picture(side: int = SIDE) -> FloatImage:
    return np.random.default_rng(0).random((side, side, 3), dtype=np.float32)


def hole_at(rows: slice, columns: slice, side: int = SIDE) -> HoleMask:
    hole = np.zeros((side, side), bool)
    hole[rows, columns] = True
    return hole


MIDDLE = hole_at(slice(50, 71), slice(60, 67))


def fill(engine: MATEngine, hole: HoleMask = MIDDLE, **changes: Any) -> FloatImage:
    arguments: dict[str, Any] = {"params": {"truncation": 1.0}, "seed": 0, "progress": no_progress} | changes
    return engine.fill(picture(hole.shape[0]), hole, **arguments)


@pytest.mark.parametrize(
    "hole",
    [
        MIDDLE,
        hole_at(slice(64, 65), slice(64, 65)),
        hole_at(slice(0, 9), slice(0, 30)),
        hole_at(slice(100, 128), slice(127, 128)),
        hole_at(slice(None), slice(None)),
        hole_at(slice(10, 12), slice(20, 22)) | hole_at(slice(90, 97), slice(100, 103)),
        hole_at(slice(201, 230), slice(40, 77), side=2 * SIDE),
    ],
    ids=["middle", "one pixel", "corner", "edge", "everything", "two", "larger than trained"],
)
def test_the_inference_form_equals_the_readable_network_wherever_the_hole_is(hole: HoleMask) -> None:
    known = torch.from_numpy(~hole)[None, None].float()
    image = torch.from_numpy(picture(hole.shape[0])).permute(2, 0, 1)[None] * 2 - 1
    noise = draw(7, 6, CONFIG.dropout_shapes((hole.shape[0], hole.shape[1])))
    keep = DropoutMasks(torch.from_numpy(noise.tokens), torch.from_numpy(noise.features))
    arguments = (image.contiguous(), known, torch.from_numpy(noise.z), keep)

    readable = small_network()(*arguments, truncation=0.7)
    ours = InferenceMAT(small_network())(*arguments, truncation=0.7)

    torch.testing.assert_close(ours, readable, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("resample", ["keep", "up", "down"])
@pytest.mark.parametrize("channels", [8, FEWEST_TILED_CHANNELS])
def test_a_folded_convolution_equals_the_readable_one(channels: int, resample: Resample, kernel: int) -> None:
    """Narrow and wide: wide ones go another way."""
    stream = torch.Generator().manual_seed(1)
    x = torch.randn(1, channels, 30, 26, generator=stream)
    weight = torch.randn(channels, channels, kernel, kernel, generator=stream) / channels
    bias = torch.randn(channels, generator=stream)
    expected = resampling_convolution(x, weight, resample) + bias.view(1, -1, 1, 1)
    given = transposed(weight) if resample == "up" else weight
    ours = Convolver()(x, given, bias, resample)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def test_the_inference_form_refuses_a_network_with_noise() -> None:
    with pytest.raises(ValueError, match="no fixed noise"):
        InferenceMAT(MAT(MATConfig(resolution=SIDE, channels=2, heads=1, unet_widths=(2, 2, 2, 2))))


def test_the_window_of_a_hole_is_the_smallest_around_it() -> None:
    known = torch.from_numpy(~MIDDLE)[None, None].float()
    assert hole_box(known) == Box(60, 50, 67, 71)
    assert shrunk(Box(60, 50, 67, 71), 4, 8, 32, 32) == Box(15 - 8, 12 - 8, 17 + 8, 18 + 8)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_answer(engine: MATEngine) -> None:
    first, again, other = fill(engine, seed=1), fill(engine, seed=1), fill(engine, seed=2)
    assert first.tobytes() == again.tobytes()
    assert np.abs(first - other)[MIDDLE].max() > 0.01


def test_a_seed_means_the_same_noise_for_ever() -> None:
    noise = draw(240, 512, MATConfig().dropout_shapes((512, 512)))
    np.testing.assert_array_equal(noise.z, goldens.load("mat", "golden_512")["z"])
    assert (noise.tokens.shape, noise.features.shape) == ((1, 256, 180), (1, 512, 16, 16))
    assert noise.tokens[0, 0, :16].tolist() == [1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert noise.features[0, 0, 0].tolist() == [0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0]
    assert noise.tokens.mean() == pytest.approx(0.5, abs=0.01)


def test_seeds_beyond_32_bits_and_negative_ones_wrap() -> None:
    shapes = CONFIG.dropout_shapes((SIDE, SIDE))
    for seed, same in ((2**32 + 5, 5), (-1, 2**32 - 1)):
        assert draw(seed, 6, shapes).z.tolist() == draw(same, 6, shapes).z.tolist()


def test_the_answer_is_a_picture_and_known_pixels_stay(engine: MATEngine) -> None:
    result = fill(engine)
    assert result.dtype == np.float32
    assert result.shape == (SIDE, SIDE, 3)
    assert 0 <= result.min() <= result.max() <= 1
    np.testing.assert_allclose(result[~MIDDLE], picture()[~MIDDLE], atol=1e-6)


def test_the_layout_of_maps_does_not_matter(engine: MATEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fill(engine)
    monkeypatch.setattr(devices, "map_layout", lambda device: torch.contiguous_format)
    np.testing.assert_allclose(fill(engine), expected, rtol=0, atol=1e-5)


def test_memory_that_runs_out_is_named(engine: MATEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(engine.network, "forward", run_out)
    with pytest.raises(OutOfMemory, match="MAT on 128x128"):
        fill(engine)


def test_without_a_hole_the_picture_comes_back(engine: MATEngine) -> None:
    np.testing.assert_array_equal(fill(engine, np.zeros_like(MIDDLE)), picture())


def test_every_part_is_a_step_and_the_last_has_a_preview_of_the_coarse_picture(engine: MATEngine) -> None:
    told: list[tuple[str, int, int]] = []
    previews: list[FloatImage] = []

    def progress(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        told.append((stage, step, total))
        if preview is not None:
            previews.append(preview())

    result = fill(engine, progress=progress)

    assert told == [(stage, step, 8) for step, stage in enumerate(STAGES)] + [("refinement", 8, 8)]
    assert len(previews) == 1
    assert previews[0].shape == result.shape
    np.testing.assert_allclose(previews[0][~MIDDLE], picture()[~MIDDLE], atol=1e-6)


@pytest.mark.parametrize("last", range(8))
def test_a_fill_stops_before_any_part(engine: MATEngine, last: int) -> None:
    seen: list[int] = []

    def progress(stage: str, step: int, total: int, preview: object = None) -> None:
        seen.append(step)
        if step == last:
            raise Cancelled

    with pytest.raises(Cancelled):
        fill(engine, progress=progress)
    assert seen == list(range(last + 1))


@pytest.mark.parametrize("truncation", [1.0, 0.5])
def test_bfloat16_is_near_and_not_the_same(engine: MATEngine, truncation: float) -> None:
    params = {"truncation": truncation}
    exact = fill(engine, params=params)
    near = fill(MATEngine(engine.network, bfloat16=True), params=params)
    assert 0 < np.abs(near - exact).max() < 0.1


class _Broken(InferenceMAT):
    """Answers with NaN, in half the bits only or always."""

    def __init__(self, *, always: bool) -> None:
        super().__init__(small_network())
        self.always = always

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        result = super().forward(*args, **kwargs)
        return result * torch.nan if self.always or torch.is_autocast_enabled("cpu") else result


@pytest.mark.parametrize(
    ("wanted", "fast", "expected"),
    [
        ("auto", torch.float32, False),
        ("auto", torch.bfloat16, True),
        ("auto", torch.float16, False),
        ("float16", torch.float16, True),
        ("float32", torch.float32, False),
    ],
)
def test_half_the_bits_are_bfloat16_where_that_is_fast_or_wanted(
    wanted: str, fast: torch.dtype, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "choose_precision", lambda precision, device: fast)
    assert wants_bfloat16(wanted, "cpu") is expected


def test_a_nan_in_half_the_bits_is_repeated_in_full_precision(engine: MATEngine) -> None:
    result = fill(MATEngine(_Broken(always=False), bfloat16=True))
    assert result.tobytes() == fill(engine).tobytes()


def test_a_nan_in_full_precision_is_an_error() -> None:
    with pytest.raises(EngineFailed, match="no picture"):
        fill(MATEngine(_Broken(always=True), bfloat16=True))
