"""LaMa as an engine: checkpoint forms, progress, cancelling, refinement, the way out of half precision."""

import gc
import hashlib
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import checkpoint_forms as forms
from inpaint_models import FillOptions, Inpainter, catalog, devices, get_model
from inpaint_models.errors import Cancelled, EngineFailed, OutOfMemory
from inpaint_models.lama import engine
from inpaint_models.lama.engine import LamaEngine
from inpaint_models.lama.inference import FoldedGenerator
from inpaint_models.lama.network import FFCResNetGenerator
from inpaint_models.lama.refine import RefinementSettings, refine
from inpaint_models.registry import LoadContext, files_of
from inpaint_models.types import FloatImage, ParamValue
from parity import weights

ENTRY = get_model("lama")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return FFCResNetGenerator(n_blocks=2, base_channels=8).state_dict()


@pytest.fixture(scope="module")
def lama(state: dict[str, Tensor]) -> LamaEngine:
    return LamaEngine(lambda: state, device="cpu", dtype=torch.float32)


def test_transforms_that_the_device_lacks_are_computed_on_the_processor(
    state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    built: list[torch.device] = []

    class Spy(FoldedGenerator):
        def __init__(self, *args: Any, transform_device: torch.device, **options: Any) -> None:
            built.append(transform_device)
            super().__init__(*args, transform_device=transform_device, **options)

    monkeypatch.setattr(engine, "FoldedGenerator", Spy)
    monkeypatch.setattr(devices, "has_fourier_transforms", lambda device: False)
    LamaEngine(lambda: state, device="cpu:0", dtype=torch.float32)
    assert built == [torch.device("cpu")]
    assert "no Fourier transforms" in caplog.text


class Heard:
    """A progress that remembers what it was told and stops after so many calls."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.reports: list[tuple[str, int, int]] = []
        self.previews: list[FloatImage] = []
        self._stop_after = stop_after

    def __call__(self, stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        self.reports.append((stage, step, total))
        if preview is not None:
            self.previews.append(preview())
        if len(self.reports) == self._stop_after:
            raise Cancelled


def crop(side: int) -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
    hole = np.zeros((side, side), bool)
    hole[side // 4 : side // 2, side // 4 : side // 2] = True
    return image, hole


def fill(lama: LamaEngine, side: int = 64, *, progress: Any = None, **given: ParamValue) -> np.ndarray:
    params = ENTRY.check_params(given)
    return lama.fill(*crop(side), params=params, seed=0, progress=progress or Heard())


def test_the_answer_is_a_picture_of_the_crops_size(lama: LamaEngine) -> None:
    filled = fill(lama)
    assert filled.shape == (64, 64, 3)
    assert filled.dtype == np.float32
    assert 0 <= filled.min() < filled.max() <= 1


def test_what_lies_under_the_hole_does_not_matter(lama: LamaEngine) -> None:
    image, hole = crop(64)
    changed = image.copy()
    changed[hole] = 0.5
    params = ENTRY.check_params({})
    first, second = (lama.fill(x, hole, params=params, seed=0, progress=Heard()) for x in (image, changed))
    assert np.array_equal(first, second)


def test_progress_goes_through_the_blocks_to_the_end(lama: LamaEngine) -> None:
    heard = Heard()
    fill(lama, progress=heard)
    assert heard.reports == [("filling", step, 4) for step in range(5)]


def test_refinement_gets_the_crop_as_it_is_and_pads_every_size_of_it_itself(
    lama: LamaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sides that the network cannot take, at either of two sizes; without refinement they are padded before."""
    small = RefinementSettings(iterations=3, min_side=32)
    monkeypatch.setattr(engine, "refinement_settings", lambda _params: small)
    photo = np.random.default_rng(3).integers(0, 256, (67, 109, 3), np.uint8)
    mask = np.zeros((67, 109), bool)
    mask[10:60, 30:90] = True

    filled = Inpainter(ENTRY, lama)(photo, mask, FillOptions(params={"refine": True}, finish=False))
    image = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    *_, expected = refine(lama._network, image, torch.from_numpy(mask).float()[None, None], settings=small)
    levels = expected.image[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(filled - levels)[mask].max() < 0.6


@pytest.mark.parametrize("refine", [False, True])
def test_a_fill_can_be_cancelled_between_blocks(lama: LamaEngine, refine: bool) -> None:
    heard = Heard(stop_after=2)
    with pytest.raises(Cancelled):
        fill(lama, progress=heard, refine=refine)
    assert len(heard.reports) == 2


def test_refinement_reports_each_pass_with_a_preview(lama: LamaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = RefinementSettings(iterations=3, min_side=32)
    monkeypatch.setattr(engine, "refinement_settings", lambda params: settings)
    heard = Heard()
    filled = fill(lama, progress=heard, refine=True)
    assert {stage for stage, _, _ in heard.reports} == {"refining"}
    steps = [step for _, step, _ in heard.reports]
    assert steps == sorted(steps)
    assert len(set(steps)) > 3 * (1 + settings.iterations), "between blocks, forward and backward"
    assert heard.reports[-1][1] == heard.reports[-1][2]
    assert len(heard.previews) == 4
    assert np.array_equal(heard.previews[-1], filled)


def test_refinement_parameters_become_settings() -> None:
    params = ENTRY.check_params({"refine_iterations": 7, "refine_scales": 2, "refine_megapixels": 0.5})
    settings = engine.refinement_settings(params)
    assert (settings.iterations, settings.scales, settings.budget_px) == (7, 2, 500_000)


def test_refinement_is_refused_when_memory_cannot_hold_it(lama: LamaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "free_bytes", lambda device: 4_000_000)
    with pytest.raises(OutOfMemory, match="refine_megapixels"):
        fill(lama, refine=True)


def test_refinement_with_little_memory_gives_the_same_picture(
    lama: LamaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "refinement_settings", lambda params: RefinementSettings(iterations=2, min_side=32))
    plenty = fill(lama, refine=True)
    monkeypatch.setattr(devices, "free_bytes", lambda device: 20_000_000)
    assert np.array_equal(fill(lama, refine=True), plenty)


def with_large_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Features beyond float16's largest number, 65,504, which full precision takes easily."""
    return {**state, "model.1.bn_l.bias": state["model.1.bn_l.bias"] + 1e6}


def test_an_answer_that_is_not_finite_is_computed_again_in_full_precision(state: dict[str, Tensor]) -> None:
    large = with_large_weights(state)
    half = fill(LamaEngine(lambda: large, device="cpu", dtype=torch.float16))
    full = fill(LamaEngine(lambda: large, device="cpu", dtype=torch.float32))
    assert np.array_equal(half, full)


@pytest.mark.parametrize("reason", ["not finite", "refined"])
def test_a_copy_in_full_precision_goes_with_the_fill_that_needed_it(
    state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """The memory budget counts with one network."""
    made: list[weakref.ref[FoldedGenerator]] = []

    def watched(*args: Any, **kwargs: Any) -> FoldedGenerator:
        network = FoldedGenerator(*args, **kwargs)
        made.append(weakref.ref(network))
        return network

    monkeypatch.setattr(engine, "FoldedGenerator", watched)
    monkeypatch.setattr(engine, "refinement_settings", lambda params: RefinementSettings(iterations=1, min_side=32))
    used = with_large_weights(state) if reason == "not finite" else state
    half = LamaEngine(lambda: used, device="cpu", dtype=torch.float16)
    fill(half, refine=reason == "refined")
    gc.collect()
    assert len(made) == 2, "the copy was needed"
    assert [network() is not None for network in made] == [True, False]


def test_an_answer_that_is_never_finite_is_an_error(state: dict[str, Tensor]) -> None:
    broken = {**state, "model.1.bn_l.bias": torch.full_like(state["model.1.bn_l.bias"], torch.nan)}
    with pytest.raises(EngineFailed, match="not numbers"):
        fill(LamaEngine(lambda: broken, device="cpu", dtype=torch.float32))


FORMS: Mapping[str, Callable[[Path, Mapping[str, Tensor]], Path]] = {
    "big-lama.safetensors": forms.write_safetensors,
    "best.ckpt": forms.write_lightning,
    "lama.pth": forms.write_pth,
    "big-lama.pt": forms.write_torchscript,
}


def published(monkeypatch: pytest.MonkeyPatch, path: Path) -> LoadContext:
    """The catalogue as if the file were the published one, TorchScript being opened by its hash only."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (file,) = files_of(ENTRY.weights)
    entry = replace(ENTRY, weights=(replace(file, size_bytes=path.stat().st_size, sha256=digest, md5=None),))
    monkeypatch.setattr(catalog, "ENTRIES", (entry,))
    return LoadContext(entry=entry, precision="float32", weights={path.name: path})


def test_big_lama_is_loaded_from_a_torchscript_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form and the keys of the published big-lama.pt, at full size, through the loader."""
    tensors = weights.state_dict(weights.read_manifest("lama"), "generator")
    state = {key: torch.from_numpy(value) for key, value in tensors.items()}
    path = forms.write_torchscript(tmp_path / "big-lama.pt", forms.under("model.", state))
    loaded = engine.load(published(monkeypatch, path))
    path.unlink()
    bare = {key.removeprefix("generator."): value for key, value in state.items()}
    assert np.array_equal(fill(loaded, 32), fill(LamaEngine(lambda: bare, device="cpu", dtype=torch.float32), 32))


@pytest.mark.parametrize("prefix", ["generator.", "model.generator.", "model.", ""])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_and_prefix_is_loaded(
    tmp_path: Path, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, name: str, prefix: str
) -> None:
    monkeypatch.setattr(engine, "FFCResNetGenerator", lambda: FFCResNetGenerator(n_blocks=2, base_channels=8))
    path = FORMS[name](tmp_path / name, forms.under(prefix, state))
    expected = LamaEngine(lambda: state, device="cpu", dtype=torch.float32)
    assert np.array_equal(fill(engine.load(published(monkeypatch, path)), 32), fill(expected, 32))
