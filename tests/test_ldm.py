"""Latent diffusion around its networks: samplers, engine and published file forms, on small twins of the networks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import checkpoint_forms as forms
from inpaint_models.errors import Cancelled, EngineFailed, WeightsCorrupted
from inpaint_models.ldm import CHECKPOINT_FILE, DECODE_FILE, DIFFUSION_FILE, ENCODE_FILE, ENTRY, engine, inference
from inpaint_models.ldm.autoencoder import Autoencoder
from inpaint_models.ldm.checkpoint import ema_key, load_weights
from inpaint_models.ldm.engine import LdmEngine, start_noise, whole_cells
from inpaint_models.ldm.inference import GatheredConv3x3, to_inference_form
from inpaint_models.ldm.samplers import MAX_STEPS, SAMPLERS, evenly_spaced, signal_levels
from inpaint_models.ldm.unet import UNetModel
from inpaint_models.nn import torch_engine
from inpaint_models.nn.latents import fit_colours
from inpaint_models.nn.tiled import TiledConv3x3
from inpaint_models.nn.winograd import TiledConvolution
from inpaint_models.registry import LoadContext, files_of
from inpaint_models.types import FloatImage, HoleMask, ParamValue, no_progress
from inpaint_models.weights import read_state_dict

pytestmark = pytest.mark.usefixtures("one_thread")

PARAMS: dict[str, ParamValue] = {"steps": 3, "sampler": "ddim"}


def small_unet() -> UNetModel:
    return UNetModel(width=32, multipliers=(1, 2), blocks=1)


def small_autoencoder() -> Autoencoder:
    return Autoencoder(width=32, codes=64)


@pytest.fixture(scope="module")
def networks() -> tuple[UNetModel, Autoencoder]:
    torch.manual_seed(5)
    return small_unet(), small_autoencoder()


@pytest.fixture
def ldm(networks: tuple[UNetModel, Autoencoder]) -> LdmEngine:
    unet, autoencoder = small_unet(), small_autoencoder()
    unet.load_state_dict(networks[0].state_dict())
    autoencoder.load_state_dict(networks[1].state_dict())
    return LdmEngine(unet, autoencoder)


def picture() -> tuple[FloatImage, HoleMask]:
    rng = np.random.default_rng(3)
    hole = np.zeros((64, 96), bool)
    hole[20:40, 30:70] = True
    return rng.random((64, 96, 3), np.float32), hole


def fill(ldm: LdmEngine, *, seed: int = 1, sampler: str = "ddim", progress: Any = no_progress) -> FloatImage:
    image, hole = picture()
    return ldm.fill(image, hole, params={"steps": 3, "sampler": sampler}, seed=seed, progress=progress)


def tiled(conv: nn.Conv2d) -> TiledConv3x3:
    return TiledConv3x3(conv, TiledConvolution())


@pytest.mark.parametrize("form", [tiled, GatheredConv3x3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(8, 12), (7, 10), (1, 3)])
@torch.inference_mode()
def test_convolutions_by_matrix_products_equal_torch_s(
    form: Callable[[nn.Conv2d], nn.Module], bias: bool, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "CHUNK_BYTES", 1 << 14)  # so that there are several chunks
    torch.manual_seed(6)
    conv = nn.Conv2d(24, 40, kernel_size=3, padding=1, bias=bias)
    x = torch.randn(1, 24, *size)
    torch.testing.assert_close(form(conv)(x), conv(x), rtol=0, atol=2e-5)


@torch.inference_mode()
def test_the_inference_form_is_the_same_function(networks: tuple[UNetModel, Autoencoder]) -> None:
    unet = small_unet()
    unet.load_state_dict(networks[0].state_dict())
    to_inference_form(unet)
    assert sum(isinstance(module, TiledConv3x3) for module in unet.modules()) > 10
    joined, time = torch.randn(1, 7, 16, 24), torch.tensor([301])
    torch.testing.assert_close(unet(joined, time), networks[0](joined, time), rtol=0, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3, 9, 20, 27, 36, 101, 333, MAX_STEPS])
def test_a_schedule_has_exactly_the_steps_asked_for(count: int) -> None:
    steps = evenly_spaced(count)
    timesteps = [step.timestep for step in steps]
    assert len(steps) == count
    assert timesteps == sorted(set(timesteps), reverse=True)
    assert 1 == timesteps[-1] <= timesteps[0] < 1000
    assert all(step.alpha < step.alpha_prev for step in steps)


@pytest.mark.parametrize("count", [0, MAX_STEPS + 1])
def test_a_schedule_that_cannot_be_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"not {count}"):
        evenly_spaced(count)


@pytest.mark.parametrize("sampler", ["ddim", "plms"])
def test_a_perfect_denoiser_is_followed_exactly(sampler: str) -> None:
    levels = signal_levels()
    clean = torch.randn(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def noisy(timestep: int) -> Tensor:
        level = float(levels[timestep])
        return math.sqrt(level) * clean + math.sqrt(1 - level) * noise

    def denoise(x: Tensor, timestep: int) -> Tensor:
        level = float(levels[timestep])
        return (x - math.sqrt(level) * clean) / math.sqrt(1 - level)

    schedule = evenly_spaced(7)
    samples = list(SAMPLERS[sampler](denoise, noisy(schedule[0].timestep), schedule))
    assert len(samples) == 7
    for sample in samples:
        torch.testing.assert_close(sample.estimate, clean)
    torch.testing.assert_close(samples[-1].x, noisy(0))


@pytest.mark.parametrize(("sampler", "evaluations"), [("ddim", 6), ("plms", 7)])
def test_plms_costs_one_evaluation_more_than_steps(sampler: str, evaluations: int) -> None:
    asked: list[int] = []

    def denoise(x: Tensor, timestep: int) -> Tensor:
        asked.append(timestep)
        return x * 0.1

    list(SAMPLERS[sampler](denoise, torch.ones(1, 3, 2, 2), evenly_spaced(6)))
    assert len(asked) == evaluations


@pytest.mark.parametrize("sampler", ["ddim", "plms"])
def test_the_seed_decides_the_answer(ldm: LdmEngine, sampler: str) -> None:
    first = fill(ldm, seed=1, sampler=sampler)
    assert first.shape == (64, 96, 3)
    assert first.dtype == np.float32
    assert 0 <= first.min() <= first.max() <= 1
    assert fill(ldm, seed=1, sampler=sampler).tobytes() == first.tobytes()
    assert fill(ldm, seed=2, sampler=sampler).tobytes() != first.tobytes()


def test_start_noise_never_changes() -> None:
    noise = start_noise(7, 2, 2).flatten()
    np.testing.assert_allclose(noise[:3], [0.983802318572998, -1.4327963590621948, 0.2325132191181183], rtol=1e-6)
    assert start_noise(2**63 - 1, 8, 8).shape == (1, 3, 8, 8)


def test_what_was_in_the_hole_does_not_matter(ldm: LdmEngine) -> None:
    image, hole = picture()
    other = image.copy()
    other[hole] = 1
    fills = [ldm.fill(each, hole, params=PARAMS, seed=1, progress=no_progress) for each in (image, other)]
    assert fills[0].tobytes() == fills[1].tobytes()


def test_a_scratch_between_the_mask_s_samples_is_seen() -> None:
    hole = np.zeros((8, 12), bool)
    hole[3, 5:7] = True
    cells = whole_cells(hole)
    assert cells[::4, ::4].tolist() == [[False, True, False], [False, False, False]]
    assert cells.sum() == 16


def test_progress_rises_to_its_end_and_shows_previews(ldm: LdmEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "QUIET_SECONDS", 3600.0)
    told: list[tuple[str, int, int]] = []
    shown: list[FloatImage] = []

    def progress(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        told.append((stage, step, total))
        if preview is not None:
            shown.append(preview())

    fill(ldm, progress=progress)
    assert told == [
        ("encoding", 0, 5),
        ("denoising", 1, 5),
        ("denoising", 2, 5),
        ("denoising", 3, 5),
        ("denoising", 4, 5),
        ("decoding", 4, 5),
        ("decoding", 5, 5),
    ]
    assert [image.shape for image in shown] == [(64, 96, 3)] * 3
    assert all(np.isfinite(image).all() and 0 <= image.min() <= image.max() <= 1 for image in shown)


def test_a_fill_is_cancelled_between_steps(ldm: LdmEngine) -> None:
    def progress(stage: str, step: int, total: int, preview: object = None) -> None:
        if step == 2:
            raise Cancelled("Nobody waits.")

    with pytest.raises(Cancelled):
        fill(ldm, progress=progress)


def test_a_fill_is_cancelled_inside_a_network(ldm: LdmEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "QUIET_SECONDS", 0.0)
    asked: list[str] = []

    def progress(stage: str, step: int, total: int, preview: object = None) -> None:
        asked.append(stage)
        if asked.count("denoising") == 10:
            raise Cancelled("Nobody waits.")

    with pytest.raises(Cancelled):
        fill(ldm, progress=progress)
    assert len(asked) > 10 + 5  # the encoder's blocks asked, too


def poisoned(unet: nn.Module, dtype: torch.dtype) -> None:
    """Lets the network answer NaN, as an overflow would, whenever it computes in `dtype`."""

    def spoil(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output * torch.nan if output.dtype == dtype else output

    unet.register_forward_hook(spoil)


def test_an_overflow_in_half_precision_is_repeated_in_full(networks: tuple[UNetModel, Autoencoder]) -> None:
    unet, autoencoder = small_unet(), small_autoencoder()
    unet.load_state_dict(networks[0].state_dict())
    autoencoder.load_state_dict(networks[1].state_dict())
    half = LdmEngine(unet, autoencoder, dtype=torch.bfloat16)
    before = fill(half)
    computed_in: list[torch.dtype] = []
    unet.register_forward_hook(lambda module, inputs, output: computed_in.append(output.dtype))
    poisoned(unet, torch.bfloat16)
    repeated = fill(half)
    assert computed_in == [torch.bfloat16] + 3 * [torch.float32]
    assert np.abs(repeated - before).mean() < 0.02
    assert fill(half).tobytes() == repeated.tobytes() != before.tobytes()
    assert next(unet.parameters()).dtype == torch.bfloat16


def test_values_that_are_no_picture_are_an_error(ldm: LdmEngine) -> None:
    poisoned(ldm._unet, torch.float32)
    with pytest.raises(EngineFailed, match="NaN"):
        fill(ldm)


def test_colours_of_a_preview_are_fitted_to_the_known_cells() -> None:
    generator = torch.Generator().manual_seed(4)
    latents = torch.randn(1, 3, 8, 8, generator=generator)
    mixing = torch.randn(3, 3, generator=generator)
    colours = torch.einsum("ij,bjhw->bihw", mixing, latents) + 0.5
    hole = torch.zeros(1, 1, 8, 8)
    hole[..., 2:5, 2:5] = 1
    colours = colours * (1 - hole) + 99 * hole
    fitted = fit_colours(latents, colours, hole)
    torch.testing.assert_close(fitted[:3].T, mixing.double(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(fitted[3], torch.full((3,), 0.5).double(), rtol=1e-3, atol=1e-3)


def test_colours_are_fitted_where_the_device_has_no_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Apple GPUs: nothing is made float64 before it has been brought to the processor."""
    brought: list[int] = []
    bring, widen = torch.Tensor.cpu, torch.Tensor.double

    def cpu(x: torch.Tensor) -> torch.Tensor:
        copy = bring(x).clone()
        brought.append(copy.data_ptr())
        return copy

    def double(x: torch.Tensor) -> torch.Tensor:
        assert x.data_ptr() in brought
        return widen(x)

    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    monkeypatch.setattr(torch.Tensor, "double", double)
    fit_colours(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 4, 4))
    assert len(brought) == 3


def test_colours_are_defined_where_nothing_is_known() -> None:
    assert torch.isfinite(fit_colours(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 4, 4))).all()


Networks = tuple[UNetModel, Autoencoder]


def checkpoint(networks: Networks, *, averaged: bool = True) -> dict[str, Tensor]:
    """The tensors of the official file. Next to the moving average lie the plain, other values of training."""
    unet, autoencoder = (network.state_dict() for network in networks)
    plain = {key: value + 1 for key, value in unet.items()} if averaged else unet
    tensors = forms.under("model.diffusion_model.", plain)
    tensors |= forms.under("first_stage_model.", autoencoder) | forms.under("cond_stage_model.", autoencoder)
    tensors |= {"betas": torch.ones(1000), "alphas_cumprod": torch.ones(1000)}
    if averaged:
        tensors |= {f"model_ema.{ema_key(key)}": value for key, value in unet.items()}
        tensors |= {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7)}
    return tensors


def write_torchscript_files(networks: Networks, folder: Path, *, whole: bool) -> dict[str, Path]:
    """The three files. Each half of the autoencoder with the other one in it, or alone."""
    unet, autoencoder = (network.state_dict() for network in networks)
    encoding = {key: value for key, value in autoencoder.items() if key.startswith(("encoder.", "quant_conv."))}
    decoding = {key: value for key, value in autoencoder.items() if key not in encoding}
    files = {
        ENCODE_FILE: forms.under("model.", autoencoder if whole else encoding),
        DECODE_FILE: forms.under("model.", autoencoder if whole else decoding),
        DIFFUSION_FILE: forms.under("model.diffusion_model.", unet),
    }
    return {name: forms.write_torchscript(folder / name, tensors) for name, tensors in files.items()}


def assert_loads(files: dict[str, Path], networks: Networks, known: Collection[str] = ()) -> None:
    with torch.device("meta"):
        unet, autoencoder = small_unet(), small_autoencoder()
    load_weights(unet, autoencoder, files, partial(read_state_dict, known_hashes=known))
    for ours, theirs in zip((unet, autoencoder), networks, strict=True):
        for key, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[key], value), key


@pytest.mark.parametrize("averaged", [True, False])
def test_the_official_checkpoint_is_read(networks: Networks, tmp_path: Path, averaged: bool) -> None:
    path = forms.write_lightning(tmp_path / "last.ckpt", checkpoint(networks, averaged=averaged))
    assert_loads({CHECKPOINT_FILE: path}, networks)


def test_a_safetensors_conversion_of_the_checkpoint_is_read(networks: Networks, tmp_path: Path) -> None:
    tensors = {key: value.clone() for key, value in checkpoint(networks).items()}
    assert_loads({CHECKPOINT_FILE: forms.write_safetensors(tmp_path / "ldm.safetensors", tensors)}, networks)


@pytest.mark.parametrize("whole", [True, False])
def test_the_three_torchscript_files_are_read(networks: Networks, tmp_path: Path, whole: bool) -> None:
    files = write_torchscript_files(networks, tmp_path, whole=whole)
    known = frozenset(hashlib.md5(path.read_bytes()).hexdigest() for path in files.values())
    assert_loads(files, networks, known)


def test_the_published_torchscript_files_are_known_by_their_hashes() -> None:
    assert {file.md5 for file in files_of(ENTRY.weights)} <= ENTRY.published_sums


def test_a_checkpoint_without_a_tensor_is_refused_by_its_name(networks: Networks, tmp_path: Path) -> None:
    tensors = checkpoint(networks)
    for twin in ("first_stage_model", "cond_stage_model"):  # they are copies of each other, so either would do
        del tensors[f"{twin}.decoder.conv_in.weight"]
    path = forms.write_pth(tmp_path / "cut.ckpt", {"state_dict": tensors})
    with pytest.raises(WeightsCorrupted, match=r"decoder\.conv_in\.weight"):
        assert_loads({CHECKPOINT_FILE: path}, networks)


def test_the_loader_makes_an_engine_that_fills(
    networks: Networks, ldm: LdmEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "UNetModel", small_unet)
    monkeypatch.setattr(engine, "Autoencoder", small_autoencoder)
    path = forms.write_pth(tmp_path / "ldm.ckpt", checkpoint(networks))
    loaded = ENTRY.load(LoadContext(entry=ENTRY, precision="float32", weights={CHECKPOINT_FILE: path}))
    assert fill(loaded).tobytes() == fill(ldm).tobytes()
