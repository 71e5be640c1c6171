"""Diffusion models, by tiny random pipelines: found, loaded offline, equal to diffusers itself, cancelled, refused."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_pipelines as tiny
from fake_hub import FakeHub
from inpaint_models import FillOptions, get_model, list_models, load_model
from inpaint_models.diffusion import SD15
from inpaint_models.diffusion.engine import as_example, surroundings
from inpaint_models.diffusion.families import SAMPLERS
from inpaint_models.diffusion.memory import Free, spread
from inpaint_models.diffusion.recognise import VOCABULARY, entry_for
from inpaint_models.diffusion.samplers import make_scheduler
from inpaint_models.errors import (
    Cancelled,
    OutOfMemory,
    ParameterRange,
    Unavailable,
    UnsafeWeights,
    WeightsCorrupted,
    WeightsMissing,
)
from inpaint_models.loading import build
from inpaint_models.nn import torch_engine
from inpaint_models.pipeline.inpainter import Inpainter
from inpaint_models.registry import LoadContext, ModelEntry, Placement, WeightsFolder
from inpaint_models.repositories import pipeline_files
from inpaint_models.types import FloatImage, HoleMask, ParamValue, Progress, no_progress
from inpaint_models.weights import Network, locate

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS: tuple[tiny.Kind, ...] = ("sd", "base", "sd2", "sdxl", "paint-by-example", "instruct-pix2pix")
SEED = 5


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a pipeline of every kind, and with single files of those that are exchanged as such."""
    home = tmp_path_factory.mktemp("models")
    for kind in KINDS:
        tiny.saved(kind, home / kind)
    for kind in ("sd", "sd2", "sdxl", "instruct-pix2pix"):
        tiny.in_one_file(kind, home / f"{kind}.safetensors")
    tiny.vocabulary(home / VOCABULARY.name)
    return home


def loaded(place: Path, home: Path, precision: str = "float32") -> Inpainter:
    """By the path that production takes, without a connection."""
    entry = entry_for(place, home)
    files = locate(entry, home).require_ready(offline=True)
    model = build(entry, files, device="cpu", precision=precision, model_dir=home)
    assert isinstance(model, Inpainter)
    return model


def crop(side: int = 40) -> tuple[FloatImage, HoleMask]:
    image = np.random.default_rng(3).random((side, side, 3), dtype=np.float32)
    hole = np.zeros((side, side), bool)
    hole[8:24, 12:30] = True
    return image, hole


def params_of(model: Inpainter, **given: ParamValue) -> dict[str, ParamValue]:
    words = {"prompt": "a red ball"} if any(p.name == "prompt" for p in model.entry.parameters) else {}
    return model.entry.check_params({"steps": 3, **words, **given})


def of_diffusers(kind: tiny.Kind, folder: Path, params: dict[str, ParamValue]) -> FloatImage:
    """What diffusers makes of the crop when it is called by hand."""
    image, hole = crop()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = tiny.pipeline(kind, folder.with_name("words"))
        pipeline.scheduler = make_scheduler(str(params["sampler"]), dict(pipeline.scheduler.config))
        pixels, mask = torch.from_numpy(image.transpose(2, 0, 1))[None], torch.from_numpy(hole)[None, None].float()
        more: dict[str, Any] = {"image": pixels, "mask_image": mask, "prompt": params.get("prompt")}
        if kind == "paint-by-example":
            shown = as_example(surroundings(image, hole))
            more = {"image": pixels * 2 - 1, "mask_image": mask, "example_image": shown}
        elif kind == "instruct-pix2pix":
            more = {"image": pixels, "prompt": params["prompt"], "image_guidance_scale": params["image_guidance"]}
        else:
            more |= {"height": 40, "width": 40, "strength": params["strength"]}
        made = pipeline(
            **more,
            num_inference_steps=params["steps"],
            guidance_scale=params["guidance"],
            generator=torch.Generator().manual_seed(SEED),
            output_type="pt",
        )
    result: FloatImage = made.images[0].permute(1, 2, 0).numpy()
    return result


def filled(
    model: Inpainter, params: dict[str, ParamValue], *, seed: int = SEED, progress: Progress = no_progress
) -> FloatImage:
    image, hole = crop()
    return model.engine.fill(image, hole, params=params, seed=seed, progress=progress)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_what_diffusers_gives(models: Path, kind: tiny.Kind) -> None:
    model = loaded(models / kind, models)
    params = params_of(model)
    np.testing.assert_allclose(filled(model, params), of_diffusers(kind, models / kind, params), atol=1e-5)


@pytest.mark.parametrize("kind", ["sd", "sd2", "sdxl", "instruct-pix2pix"])
def test_a_single_file_gives_what_its_folder_gives(models: Path, kind: tiny.Kind) -> None:
    folder, file = loaded(models / kind, models), loaded(models / f"{kind}.safetensors", models)
    assert file.entry.parameters == folder.entry.parameters
    assert (file.entry.size.multiple_of, folder.entry.size.minimum) == (8, tiny.SIDE_PX)
    params = params_of(folder)
    np.testing.assert_allclose(filled(file, params), filled(folder, params), atol=1e-5)


@pytest.fixture(scope="module")
def sd(models: Path) -> Inpainter:
    return loaded(models / "sd", models)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_gives_a_picture_and_ends_its_progress(sd: Inpainter, sampler: str) -> None:
    told: list[tuple[str, int, int]] = []
    result = filled(sd, params_of(sd, sampler=sampler), progress=lambda *at, preview=None: told.append(at[:3]))
    assert result.shape == (40, 40, 3)
    assert np.isfinite(result).all()
    assert [step for _, step, _ in told] == sorted(step for _, step, _ in told)
    assert told[-1][1] == told[-1][2]


def test_a_part_of_the_strength_takes_a_part_of_the_steps(sd: Inpainter) -> None:
    told: list[tuple[str, int, int]] = []
    filled(sd, params_of(sd, steps=10, strength=0.5), progress=lambda *at, preview=None: told.append(at[:3]))
    assert {total for _, _, total in told} == {6}


def test_previews_are_pictures_of_the_crops_size(models: Path) -> None:
    for kind in ("sd", "paint-by-example", "instruct-pix2pix"):
        model, shown = loaded(models / kind, models), []

        def progress(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
            if preview is not None:
                shown.append(preview())  # noqa: B023  called before the next turn of the loop

        filled(model, params_of(model), progress=progress)
        assert [look.shape for look in shown] == [(40, 40, 3)] * 3
        assert all(np.isfinite(look).all() for look in shown)


def test_a_fill_is_cancelled_within_a_step_and_the_next_one_is_as_ever(sd: Inpainter, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch_engine, "QUIET_SECONDS", 0.0)
    params, asked = params_of(sd), 0
    before = filled(sd, params)

    def progress(stage: str, step: int, total: int, preview: object = None) -> None:
        nonlocal asked
        asked += stage == "denoising" and step == 1
        if asked > 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        filled(sd, params, progress=progress)
    assert asked == 4  # the last report, repeated inside the second step
    assert np.array_equal(filled(sd, params), before)


def test_another_seed_is_another_result_and_the_same_seed_the_same(sd: Inpainter) -> None:
    assert sd.entry.stochastic
    params = params_of(sd)
    assert not np.allclose(filled(sd, params, seed=6), filled(sd, params))


def test_without_words_guidance_changes_nothing(sd: Inpainter) -> None:
    near, far = (params_of(sd, prompt="", guidance=guidance) for guidance in (2.0, 20.0))
    assert np.array_equal(filled(sd, near), filled(sd, far))
    assert not np.allclose(filled(sd, params_of(sd, guidance=20.0)), filled(sd, far))


def test_an_order_without_words_is_refused(models: Path) -> None:
    model = loaded(models / "instruct-pix2pix", models)
    with pytest.raises(ParameterRange, match="Say what should change"):
        filled(model, params_of(model, prompt="  "))


def test_an_example_of_any_depth_decides_what_is_painted(models: Path) -> None:
    model = loaded(models / "paint-by-example", models)
    example = np.random.default_rng(1).integers(0, 256, (30, 50, 4), np.uint8)
    deep = example.astype(np.uint16) * 257
    shown = filled(model, params_of(model, example=example))
    assert np.array_equal(shown, filled(model, params_of(model, example=deep)))
    assert not np.allclose(shown, filled(model, params_of(model)))


def test_known_pixels_come_back_bit_by_bit(sd: Inpainter) -> None:
    image = np.random.default_rng(2).integers(0, 65536, (70, 90, 4), np.uint16)
    mask = np.zeros((70, 90), bool)
    mask[20:40, 30:60] = True
    result = sd(image, mask, FillOptions(params=params_of(sd, steps=2), feather_px=4))
    assert np.array_equal(result[~mask], image[~mask])
    assert not np.array_equal(result[mask], image[mask])


def test_half_precision_gives_nearly_the_same(models: Path, sd: Inpainter) -> None:
    halved = loaded(models / "sd", models, precision="bfloat16")
    params = params_of(sd, steps=2)
    assert np.abs(filled(halved, params) - filled(sd, params)).mean() < 0.05


# --- what is recognised, and what is refused -------------------------------------------------------------------------


def test_pipelines_in_the_model_folder_are_in_the_list(models: Path) -> None:
    ours = {entry.name for entry in list_models(model_dir=models)} - {entry.name for entry in list_models()}
    assert ours == {"sd", "base"}  # the others have the names of entries of the catalogue
    assert get_model("base", "fill", models).weights == (WeightsFolder("base", "", "main"),)


def test_a_model_is_named_by_its_folder_or_file_anywhere(models: Path, tmp_path: Path) -> None:
    model = load_model(str(models / "sd2"), model_dir=tmp_path, local_files_only=True, device="cpu")
    assert (model.entry.name, model.entry.loader) == ("sd2", SD15.loader)
    with pytest.raises(WeightsMissing, match="vocab"):
        load_model(str(models / "sd.safetensors"), model_dir=tmp_path, local_files_only=True, device="cpu")


def test_a_single_file_takes_its_vocabulary_from_another_pipeline(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the model folder or from the Hub's cache, and never from a pipeline of a kind that is not known."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    home, snapshot = tmp_path / "home", tmp_path / "cache/models--somebody--words/snapshots/1"
    for place, kind in ((home / "other", "FluxPipeline"), (snapshot, "StableDiffusionPipeline")):
        tiny.vocabulary(place / "tokenizer")
        (place / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    file = Path(shutil.copy(models / "sd.safetensors", home))
    model = loaded(file, home)
    (snapshot / "tokenizer/vocab.json").rename(snapshot / "vocab.json")
    with pytest.raises(
        WeightsMissing,
        match=r"clip-vocabulary with vocab.json and merges.txt, .*start once without --offline.*huggingface.co/openai",
    ):
        loaded(file, home)
    shutil.copytree(models / "sd", home / "words")
    tiny.vocabulary(home / "words/tokenizer")
    params = params_of(model)
    np.testing.assert_allclose(filled(model, params), filled(loaded(file, home), params), atol=1e-5)


def test_pickles_are_refused(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "sd", tmp_path / "pickled"))
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    torch.save({"x": torch.ones(1)}, folder / "unet/diffusion_pytorch_model.bin")
    torch.save({"x": torch.ones(1)}, tmp_path / "model.ckpt")
    torch.save({"x": torch.ones(1)}, tmp_path / "model.safetensors")
    for name in ("pickled", "model.ckpt", "model.safetensors"):
        with pytest.raises(UnsafeWeights, match="pickle"):
            load_model(str(tmp_path / name), model_dir=tmp_path, device="cpu", local_files_only=True)


@pytest.mark.parametrize(
    ("index", "error", "words"),
    [
        ({"_class_name": "FluxPipeline"}, WeightsCorrupted, "FluxPipeline, which cannot be used"),
        ({"_class_name": "StableDiffusionPipeline", "unet": ["os", "system"]}, UnsafeWeights, "module 'os'"),
        ([], WeightsCorrupted, "no description"),
    ],
)
def test_a_folder_of_another_kind_is_refused(
    models: Path, tmp_path: Path, index: object, error: type[Exception], words: str
) -> None:
    folder = Path(shutil.copytree(models / "sd", tmp_path / "strange"))
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(error, match=words):
        load_model(str(folder), model_dir=tmp_path, local_files_only=True)


def test_another_pipeline_in_a_models_place_is_refused(models: Path) -> None:
    files = locate(replace(SD15, weights=(WeightsFolder("sdxl", "", "main"),)), models).paths
    with pytest.raises(WeightsCorrupted, match="StableDiffusionXLInpaintPipeline, which is not what"):
        build(SD15, files, device="cpu", precision="float32", model_dir=models)


def test_a_cut_off_file_is_refused_in_a_sentence(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "sd", tmp_path / "cut"))
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(WeightsCorrupted, match="cut cannot be loaded"):
        loaded(folder, tmp_path)


def test_the_command_that_installs_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelEntry, "missing_packages", lambda entry: ("diffusers",))
    with pytest.raises(Unavailable, match=r"pip install 'lama-server\[diffusion\]'"):
        SD15.load(LoadContext(entry=SD15))


def test_a_repository_is_listed_and_fetched_and_then_needs_no_connection(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {path.relative_to(models / "sd").as_posix(): path for path in (models / "sd").rglob("*") if path.is_file()}
    siblings = [{"rfilename": name, "size": path.stat().st_size} for name, path in files.items()]
    siblings += [{"rfilename": name, "size": 1} for name in ("unet/diffusion_pytorch_model.bin", "README.md")]
    listing = json.dumps({"sha": "f" * 40, "siblings": siblings}).encode()
    served = {f"somebody/words/resolve/{'f' * 40}/{name}": path.read_bytes() for name, path in files.items()}
    network = partial(Network, plain_http_hosts=frozenset({"127.0.0.1"}))
    monkeypatch.setattr("inpaint_models.weights.downloads.Network", network)
    with FakeHub({"api/models/somebody/words/revision/main?blobs=true": listing, **served}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.root)
        entry = get_model("somebody/words", "fill", tmp_path, local_files_only=False)
        assert entry.parameters == SD15.parameters
        assert locate(entry, tmp_path).status == "missing"
        model = load_model("somebody/words", model_dir=tmp_path, device="cpu")
    assert filled(model, params_of(model)).shape == (40, 40, 3)
    kept = {path.relative_to(tmp_path / "somebody--words").as_posix() for path in tmp_path.rglob("somebody--words/*/*")}
    assert kept == files.keys() - {"model_index.json"}
    assert get_model("somebody/words", "fill", tmp_path).name == "somebody-words"
    assert load_model("somebody/words", model_dir=tmp_path, device="cpu", local_files_only=True).entry.name


def test_half_precision_files_are_chosen_where_every_part_has_them() -> None:
    plain = ["unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"]
    half = ["unet/diffusion_pytorch_model.fp16.safetensors", "vae/diffusion_pytorch_model.fp16.safetensors"]
    others = ["model_index.json", "unet/config.json", "tokenizer/merges.txt"]
    left = ["safety_checker/model.safetensors", "vae/diffusion_pytorch_model.bin", "v1.ckpt"]
    assert pipeline_files([*plain, *half, *others, *left], "x") == sorted([*half, *others])
    assert pipeline_files([*plain, half[0], *others, *left], "x") == sorted([*plain, *others])


# --- memory ----------------------------------------------------------------------------------------------------------

GIB = 2**30
PARTS = {"unet": 5 * GIB, "text_encoder": 2 * GIB, "vae": GIB}


@pytest.mark.parametrize(
    ("machine", "gpu", "offload", "words_on_cpu", "expected"),
    [
        (12, None, False, False, "whole"),
        (32, 12, False, False, "whole"),
        (32, 9, False, True, "whole"),
        (32, 8, True, False, "model"),
        (32, 4, True, False, "group"),
        (32, 2, True, False, "sequential"),
    ],
)
def test_a_pipeline_is_spread_by_what_is_free(
    machine: int, gpu: int | None, offload: bool, words_on_cpu: bool, expected: str
) -> None:
    free = Free(machine * GIB, None if gpu is None else gpu * GIB)
    assert spread("Words", PARTS, GIB, free, Placement(offload, words_on_cpu)) == expected


@pytest.mark.parametrize(
    ("machine", "gpu", "offload", "words"),
    [(8, None, False, "this machine"), (64, 8, False, "--cpu-offload"), (8, 4, True, "Offloading keeps the model")],
)
def test_what_does_not_fit_is_refused_before_it_is_loaded(
    machine: int, gpu: int | None, offload: bool, words: str
) -> None:
    free = Free(machine * GIB, None if gpu is None else gpu * GIB)
    with pytest.raises(OutOfMemory, match=words):
        spread("Words", PARTS, GIB, free, Placement(offload))


def test_no_file_is_read_where_memory_is_short(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inpaint_models.devices.free_bytes", lambda device: 100_000)
    monkeypatch.setattr("diffusers.StableDiffusionInpaintPipeline.from_pretrained", None)
    with pytest.raises(OutOfMemory, match="was not loaded"):
        loaded(models / "sd", models)


@pytest.mark.parametrize("way", ["model", "group", "sequential"])
def test_a_pipeline_that_is_spread_gives_the_same_and_goes_on_after_a_cancel(
    models: Path, sd: Inpainter, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """With the processor in the GPU's place: parts are brought and taken away all the same."""
    monkeypatch.setattr("inpaint_models.diffusion.loading.spread", lambda *_: way)
    monkeypatch.setattr(torch_engine, "QUIET_SECONDS", 0.0)
    model, params = loaded(models / "sd", models), params_of(sd)

    def progress(stage: str, step: int, total: int, preview: object = None) -> None:
        if stage == "denoising":
            raise Cancelled

    with pytest.raises(Cancelled):
        filled(model, params, progress=progress)
    np.testing.assert_allclose(filled(model, params), filled(sd, params), atol=1e-5)
