"""FcF computes what the published network computes, by stored outputs, and is an engine like the others.

Three runs at full size: the readable network as other programs run it, every stored feature compared; the same with
the noise that the training files have; and the inference form, loaded by the engine from the file that people download.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import checkpoint_forms as forms
from inpaint_models import get_model
from inpaint_models.errors import Cancelled
from inpaint_models.fcf.checkpoint import (
    blank_network,
    layouts,
    load_published,
    published_name,
    published_shapes,
)
from inpaint_models.fcf.engine import FcFEngine, load
from inpaint_models.fcf.inference import inference_form
from inpaint_models.fcf.network import FcF, FcFConfig, FourierUnit, quarters
from inpaint_models.nn.stylegan import FixedNoise
from inpaint_models.registry import LoadContext
from inpaint_models.types import FloatImage, HoleMask, no_progress
from inpaint_models.weights import read_state_dict
from parity import goldens, weights

MANIFEST = weights.read_manifest("fcf")
ATOL = MANIFEST["tolerance"]["output_max_abs"]
"""2e-4 on [-1, 1]. Reached: 4e-6 by the readable network, 6e-6 by the inference form."""

Features = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """The synthetic tensors of a complete published file."""
    return forms.tensors_of(weights.state_dict(MANIFEST, "generator"))


@pytest.fixture(scope="module")
def golden() -> goldens.Golden:
    return goldens.load("fcf", "golden_512")


def golden_input(golden: goldens.Golden) -> tuple[Tensor, Tensor]:
    image = torch.from_numpy(golden["image"]).permute(2, 0, 1)[None] / 127.5 - 1
    return image, torch.from_numpy(golden["mask"] > 127).float()[None, None]


# --- parity ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def features(published: dict[str, Tensor], golden: goldens.Golden) -> Features:
    """Results of one run of the readable network, by the golden file's names."""
    network = blank_network()
    load_published(network, published)
    recorded: Features = {}
    for name, module in network.named_modules():
        record(published_name(name), module, recorded)
    with torch.inference_mode():
        recorded["out"] = network(*golden_input(golden), torch.zeros(1, 512)).numpy()
    recorded["x_global"], recorded["w"] = recorded["encoder.b4[0]"], recorded["mapping"]
    recorded["mapping"] = recorded["w"][:, None].repeat(16, axis=1)  # the original hands one copy to each layer
    return recorded


def record(key: str, module: nn.Module, recorded: Features) -> None:
    """Keep what the module returns, as "name" or, for the parts of a tuple, "name[i]"."""

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        # The original's encoder blocks return a picture besides, which is none, between the map and the skip.
        labels = (0, 2) if re.fullmatch(r"encoder\.b\d{1,3}", key) and key != "encoder.b4" else (0, 1)
        parts = zip(labels, output, strict=True) if isinstance(output, tuple) else ()
        recorded.update({f"{key}[{i}]": part.numpy() for i, part in parts} or {key: output.numpy()})

    if key and key not in ("encoder", "synthesis"):
        module.register_forward_hook(keep)


def test_the_result_and_every_stored_feature_equal_the_reference(features: Features, golden: goldens.Golden) -> None:
    goldens.assert_close("out", features["out"], golden, atol=ATOL)
    goldens.assert_close("x_global", features["x_global"], golden, atol=1e-5)
    goldens.assert_close("w", features["w"], golden, atol=1e-6)
    stored = {key.removeprefix("act/").removesuffix("/slice") for key in golden if key.endswith("/slice")}
    assert len(stored) > 40
    for name in stored:
        goldens.assert_close(name, features[name], golden, atol=ATOL)


def test_with_a_drawn_style_and_the_noise_of_training_it_equals_the_original_program(
    published: dict[str, Tensor], golden: goldens.Golden
) -> None:
    network = blank_network(FcFConfig())
    load_published(network, published)
    lowest = network.synthesis.foreword.conv.noise
    assert isinstance(lowest, FixedNoise)
    with torch.inference_mode():
        # The original draws this one map anew for each picture.
        lowest.map = torch.from_numpy(golden["foreword_noise"])[0, 0]
        result = network(*golden_input(golden), torch.from_numpy(golden["z"])).numpy()
    goldens.assert_close("upstream", result, golden, atol=ATOL)


def test_the_inference_form_of_the_downloaded_file_equals_the_reference(
    published: dict[str, Tensor], golden: goldens.Golden, tmp_path: Path
) -> None:
    entry = get_model("fcf")
    path = forms.write_pth(tmp_path / entry.weights[0].name, published)
    engine = load(LoadContext(entry=entry, precision="float32", weights={path.name: path}))
    path.unlink()
    with torch.inference_mode():
        result = engine.network(*golden_input(golden), torch.zeros(1, 512)).numpy()
    goldens.assert_close("out", result, golden, atol=ATOL)


# --- files -----------------------------------------------------------------------------------------------------------


def test_keys_and_shapes_are_those_of_the_published_file() -> None:
    """But for the constants, and for the biases of the synthesis layers, which are never added."""
    unused = re.compile(r"resample_filter$|^synthesis\.\w+\.conv[01]?\.bias$")
    wanted = {key: shape for key, shape in weights.shapes(MANIFEST, "generator").items() if not unused.search(key)}
    assert published_shapes(blank_network(FcFConfig())) == wanted
    without_noise = {key: shape for key, shape in wanted.items() if ".noise_" not in key}
    assert layouts()[0].networks == (without_noise,)


@pytest.mark.parametrize(
    "write",
    [
        lambda path, tensors: forms.write_pth(path, tensors, legacy=True),
        lambda path, tensors: forms.write_safetensors(path, forms.under("G_ema.", tensors)),
        lambda path, tensors: forms.write_pth(path, {"G": tensors, "G_ema": tensors}),
    ],
    ids=["old torch", "safetensors of the training file", "both copies of the training file"],
)
def test_every_form_of_the_file_arrives_in_the_network(
    write: Callable[[Path, dict[str, Tensor]], Path], published: dict[str, Tensor], tmp_path: Path
) -> None:
    half = {key: value.half() for key, value in published.items()}
    path = write(tmp_path / "converted", half)
    network = blank_network()
    load_published(network, read_state_dict(path, published_shapes(network)))
    path.unlink()
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, half[published_name(name)].float()), name


def test_its_licence_is_told_before_a_download() -> None:
    licence = get_model("fcf").licence
    assert not licence.commercial_use
    assert "NVIDIA" in licence.name


# --- the engine, with a very small network ---------------------------------------------------------------------------

SIDE = 64
SMALL = FcFConfig(resolution=SIDE, widths=(32,) * 5, latent_width=6, code_width=8, noise=False)


def small_network() -> FcF:
    torch.manual_seed(0)
    network = FcF(SMALL).eval().requires_grad_(False)
    for name, value in network.named_parameters():
        if ".ffc_skip." in name:
            value.mul_(0.1)
    return network


@pytest.fixture(scope="module")
def engine() -> FcFEngine:
    return FcFEngine(small_network())


def picture(side: int = SIDE) -> FloatImage:
    return np.random.default_rng(0).random((side, side, 3), dtype=np.float32)


def hole_in(side: int = SIDE) -> HoleMask:
    hole = np.zeros((side, side), bool)
    hole[side // 4 : side // 2, side // 3 : side // 2] = True
    return hole


def fill(engine: FcFEngine, side: int = SIDE, **changes: Any) -> FloatImage:
    arguments: dict[str, Any] = {"params": {}, "seed": 0, "progress": no_progress} | changes
    return engine.fill(picture(side), hole_in(side), **arguments)


def test_the_inference_form_equals_the_readable_network() -> None:
    image = torch.from_numpy(picture()).permute(2, 0, 1)[None] * 2 - 1
    mask = torch.from_numpy(hole_in())[None, None].float()
    z = torch.randn(1, 6, generator=torch.Generator().manual_seed(1))
    readable = small_network()(image, mask, z, truncation=0.7)
    ours = inference_form(small_network())(image, mask, z, truncation=0.7)
    torch.testing.assert_close(ours, readable, atol=1e-4, rtol=1e-4)


def test_the_inference_form_refuses_a_network_with_noise() -> None:
    with pytest.raises(ValueError, match="no fixed noise"):
        inference_form(blank_network(FcFConfig()))


def test_nothing_of_the_hole_is_seen_and_no_seed_matters(engine: FcFEngine) -> None:
    other = picture()
    other[hole_in()] = 1 - other[hole_in()]
    again = engine.fill(other, hole_in(), params={}, seed=7, progress=no_progress)
    assert fill(engine).tobytes() == again.tobytes()


def test_a_larger_square_is_filled_at_the_network_s_own_size(engine: FcFEngine) -> None:
    small = fill(engine)
    large = engine.fill(
        picture().repeat(2, axis=0).repeat(2, axis=1),
        hole_in().repeat(2, axis=0).repeat(2, axis=1),
        params={},
        seed=0,
        progress=no_progress,
    )
    assert large.shape == (2 * SIDE, 2 * SIDE, 3)
    back = large.reshape(SIDE, 2, SIDE, 2, 3).mean(axis=(1, 3))
    assert np.abs(back - small).mean() < 0.1 * np.abs(small - small.mean()).mean()


def test_every_level_is_a_step_with_a_preview_of_the_picture_s_size(engine: FcFEngine) -> None:
    told: list[tuple[str, int, int]] = []
    shapes: list[tuple[int, ...]] = []

    def progress(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        told.append((stage, step, total))
        if preview is not None:
            shapes.append(preview().shape)

    fill(engine, progress=progress)
    assert told == [("encoder", 0, 5), *(("decoder", step, 5) for step in (1, 2, 3, 4, 5))]
    assert shapes == [(SIDE, SIDE, 3)] * 4


def test_a_fill_stops_at_any_level(engine: FcFEngine) -> None:
    for last in range(5):

        def progress(stage: str, step: int, total: int, preview: object = None, last: int = last) -> None:
            if step == last:
                raise Cancelled

        with pytest.raises(Cancelled):
            fill(engine, progress=progress)


def test_bfloat16_is_near_and_not_the_same(engine: FcFEngine) -> None:
    near = fill(FcFEngine(small_network(), bfloat16=True))
    assert 0 < np.abs(near - fill(engine)).mean() < 0.02


def test_transforms_are_computed_on_the_processor_where_the_device_has_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("inpaint_models.devices.has_fourier_transforms", lambda device: False)
    made = FcFEngine(small_network())
    units = [module for module in made.network.modules() if isinstance(module, FourierUnit)]
    assert units
    assert all(unit.transform_device == torch.device("cpu") for unit in units)
    assert "has no Fourier transforms" in caplog.text


def test_the_quarters_of_a_map_are_its_corners() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert quarters(x)[0, :, 0, 0].tolist() == [0, 8, 2, 10]
