"""What engines in torch have in common: batches equal single fills, NaN is repeated or refused, cancelling is heard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inpaint_models import devices, get_model
from inpaint_models.errors import Cancelled, EngineFailed, OutOfMemory
from inpaint_models.lama.engine import LamaEngine
from inpaint_models.lama.network import FFCResNetGenerator
from inpaint_models.mat.engine import MATEngine
from inpaint_models.mat.inference import InferenceMAT
from inpaint_models.nn import torch_engine
from inpaint_models.nn.torch_engine import Batch, BatchTorchEngine, on_meta, place, shapes_of, to_tensors
from inpaint_models.nn.winograd import TiledConvolution
from inpaint_models.types import FloatImage, HoleMask, ParamValue, no_progress
from test_mat_engine import small_network

pytestmark = pytest.mark.usefixtures("one_thread")


class Brightener(BatchTorchEngine):
    """Answers with a brighter crop, through one network of one weight."""

    title = "Brightener"

    def __init__(self, gain: float = 1.5, dtype: torch.dtype = torch.float32) -> None:
        super().__init__("cpu", dtype)
        self.network = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.constant_(self.network.weight, 1 / 3)
        self.gain = gain
        self.pulse.watch([self.network])
        self.computed_in: list[torch.dtype] = []

    @torch.inference_mode()
    def run(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        image, _ = to_tensors(batch.images, batch.holes, self.device)
        self.pulse.report("filling", 0, 2, lambda: image)
        self.computed_in.append(dtype)
        filled: Tensor = self.network(image).to(dtype) * self.gain
        self.pulse.report("filling", 2, 2)
        return filled


def crops(count: int, side: int = 16) -> tuple[list[FloatImage], list[HoleMask]]:
    """Different images with different holes."""
    stream = np.random.default_rng(5)
    images = [stream.random((side, side, 3), dtype=np.float32) for _ in range(count)]
    holes = [np.zeros((side, side), bool) for _ in range(count)]
    for index, hole in enumerate(holes):
        hole[side // 4 : side // 2 + index, side // 8 * (1 + index) : side // 2] = True
    return images, holes


def fill(engine: Brightener, progress: Callable[..., None] = no_progress) -> FloatImage:
    (image,), (hole,) = crops(1)
    return engine.fill(image, hole, params={}, seed=0, progress=progress)


def test_an_answer_is_clamped_to_what_an_image_may_hold() -> None:
    filled = fill(Brightener(3.0))
    assert filled.shape == (16, 16, 3)
    assert filled.dtype == np.float32
    assert filled.max() == 1.0


def test_a_crop_without_a_hole_comes_back_as_it_is() -> None:
    (image,), (hole,) = crops(1)
    assert Brightener().fill(image, np.zeros_like(hole), params={}, seed=0, progress=no_progress) is image


def test_what_overflows_in_half_precision_is_computed_again_in_float32() -> None:
    half = Brightener(1e6, torch.float16)
    assert np.array_equal(fill(half), fill(Brightener(1e6)))
    assert half.computed_in == [torch.float16, torch.float32]


def test_what_is_not_finite_in_float32_either_is_an_error_and_computed_once() -> None:
    engine = Brightener(np.nan)
    with pytest.raises(EngineFailed, match="Brightener gave values that are not numbers"):
        fill(engine)
    assert engine.computed_in == [torch.float32]


def test_memory_that_runs_out_is_said_with_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: object) -> None:
        raise RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")

    engine = Brightener()
    monkeypatch.setattr(engine, "run", run_out)
    with pytest.raises(OutOfMemory, match="Brightener on 16x16 pixels"):
        fill(engine)


def test_a_fill_in_the_progress_of_another_does_not_take_over_its_precision() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        within = fill(Brightener())
    assert np.array_equal(within, fill(Brightener()))


def test_previews_are_images() -> None:
    shown: list[FloatImage] = []

    def progress(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        if preview is not None:
            shown.append(preview())

    fill(Brightener(), progress)
    np.testing.assert_array_equal(shown, crops(1)[0])


def test_a_watched_module_asks_whether_the_fill_is_still_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "QUIET_SECONDS", 0.0)
    told: list[int] = []

    def progress(stage: str, step: int, total: int, preview: object = None) -> None:
        told.append(step)
        if len(told) == 2:
            raise Cancelled

    engine = Brightener()
    with pytest.raises(Cancelled):
        fill(engine, progress)
    assert told == [0, 0], "the last report is repeated while the network runs"
    fill(engine)
    assert len(told) == 2, "the next fill has a progress of its own"


def test_a_network_on_the_meta_device_has_shapes_and_no_memory() -> None:
    network = on_meta(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    assert shapes_of(network)["0.weight"] == (4, 3, 3, 3)
    assert all(value.is_meta for value in network.state_dict().values())
    assert not network.training


def test_a_network_is_placed_in_the_order_that_suits_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for layout in (torch.channels_last, torch.contiguous_format):
        monkeypatch.setattr(devices, "map_layout", lambda device, layout=layout: layout)
        placed = place(nn.Conv2d(3, 4, 3), torch.device("cpu"), torch.float16)
        assert placed.weight.is_contiguous(memory_format=layout)
        assert placed.weight.dtype == torch.float16


@pytest.mark.parametrize("padding", [0, 1])
def test_tiled_convolutions_of_a_batch_equal_torch_s(padding: int) -> None:
    stream = torch.Generator().manual_seed(1)
    x = torch.randn(3, 8, 13, 22, generator=stream)
    kernel = torch.randn(5, 8, 3, 3, generator=stream) / 8
    (ours,) = TiledConvolution()(x, [kernel], padding=padding)
    torch.testing.assert_close(ours, torch.conv2d(x, kernel, padding=padding), rtol=0, atol=1e-4)


def small_lama() -> LamaEngine:
    torch.manual_seed(0)
    state = FFCResNetGenerator(n_blocks=2, base_channels=8).state_dict()
    return LamaEngine(lambda: state, device="cpu", dtype=torch.float32)


def small_mat() -> MATEngine:
    return MATEngine(InferenceMAT(small_network()))


@pytest.mark.parametrize(
    ("engine", "name", "given", "side"),
    [
        (small_lama, "lama", {}, 64),
        (small_lama, "lama", {}, 200),
        (small_lama, "lama", {"refine": True, "refine_iterations": 1}, 64),
        (small_mat, "mat", {"truncation": 0.8}, 128),
    ],
    ids=["lama", "lama, tiled", "lama, refined", "mat"],
)
def test_a_batch_is_filled_as_each_of_its_crops_alone(
    engine: Callable[[], LamaEngine | MATEngine], name: str, given: dict[str, ParamValue], side: int
) -> None:
    made, params, (images, holes) = engine(), get_model(name).check_params(given), crops(3, side)
    told: list[float] = []

    def progress(stage: str, step: int, total: int, preview: object = None) -> None:
        told.append(step / total)

    together = made.fill_batch(images, holes, params=params, seed=11, progress=progress)
    alone = [
        made.fill(image, hole, params=params, seed=11, progress=no_progress)
        for image, hole in zip(images, holes, strict=True)
    ]
    np.testing.assert_allclose(together, alone, rtol=0, atol=2e-5)
    assert told == sorted(told)
    assert told[-1] == 1.0
