"""A conversion keeps every tensor, replaces nothing, and its result is what the model takes from then on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import checkpoint_forms as forms
from inpaint_models.catalog import families, get_model, list_models
from inpaint_models.errors import InvalidInput, UnsafeWeights, WeightsCorrupted, WeightsMissing
from inpaint_models.ldm import DECODE_FILE, DIFFUSION_FILE, ENCODE_FILE
from inpaint_models.registry import Layout, Licence, ModelEntry, WeightsFile
from inpaint_models.weights import convert, drop_damaged, locate, read_state_dict
from inpaint_models.weights.conversion import layout_of
from parity.weights import read_manifest, shapes

SHAPES = {"a.weight": (2, 3), "b.bias": (2,)}


def layouts() -> tuple[Layout, ...]:
    """One file with a network of two tensors."""
    return (Layout((SHAPES,)),)


ENTRY = ModelEntry(
    name="tiny",
    title="Tiny",
    tagline="",
    description="",
    licence=Licence("MIT", ""),
    loader="nowhere:load",
    layouts=f"{__name__}:layouts",
    weights=(WeightsFile("tiny.pt", (), 123, "0" * 64),),
)


def tensors() -> dict[str, Tensor]:
    return {"generator.a.weight": torch.arange(6.0).reshape(2, 3), "generator.b.bias": torch.ones(2).half()}


@pytest.mark.parametrize("form", ["pth", "lightning", "torchscript", "safetensors"])
def test_every_form_is_converted_and_then_found(tmp_path: Path, form: str) -> None:
    write = {
        "pth": forms.write_pth,
        "lightning": forms.write_lightning,
        "torchscript": forms.write_torchscript,
        "safetensors": forms.write_safetensors,
    }[form]
    source = write(tmp_path / "mine.bin", tensors())
    made = convert(source, ENTRY, model_dir=tmp_path / "models", allow_torchscript=True)
    assert made == tmp_path / "models/tiny/mine.safetensors"
    assert locate(ENTRY, tmp_path / "models").paths == {"tiny.pt": made}
    state = read_state_dict(made, {"a.weight": (2, 3), "b.bias": (2,)})
    torch.testing.assert_close(state["a.weight"], tensors()["generator.a.weight"], rtol=0, atol=0)
    assert state["b.bias"].dtype == torch.float16


def test_tensors_that_share_memory_or_are_strided_are_written_whole(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    torch.save(tensors() | {"whole": base, "part": base[1:], "turned": base.T}, tmp_path / "a.pth")
    made = convert(tmp_path / "a.pth", ENTRY, tmp_path / "a.safetensors", model_dir=tmp_path)
    state = read_state_dict(made, {"whole": (3, 4), "part": (2, 4), "turned": (4, 3)})
    assert torch.equal(state["turned"], base.T)
    assert torch.equal(state["part"], base[1:])


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    out = forms.write_safetensors(tmp_path / "out.safetensors", {"kept": torch.ones(1)})
    with pytest.raises(InvalidInput, match="exists"):
        convert(forms.write_pth(tmp_path / "a.pth", tensors()), ENTRY, out, model_dir=tmp_path)
    assert read_state_dict(out, {"kept": (1,)})


def test_unknown_torchscript_needs_a_word(tmp_path: Path) -> None:
    with pytest.raises(UnsafeWeights, match="allow-torchscript"):
        convert(forms.write_torchscript(tmp_path / "a.pt", tensors()), ENTRY, model_dir=tmp_path)


def test_what_cannot_be_converted_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        convert(tmp_path / "nothing.pt", ENTRY, model_dir=tmp_path)
    with pytest.raises(WeightsCorrupted, match="no tensors"):
        convert(forms.write_pth(tmp_path / "a.pth", {}), ENTRY, model_dir=tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_damaged_copy_is_dropped_and_made_anew(tmp_path: Path) -> None:
    source, home = forms.write_pth(tmp_path / "a.pth", tensors()), tmp_path / "models"
    expected = {"a.weight": (2, 3)}
    read_state_dict(source, expected, copies_in=home)
    assert drop_damaged(home) == ()
    (copy,) = (home / "converted").glob("*")
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert drop_damaged(home) == (copy,)
    assert not copy.exists()
    read_state_dict(source, expected, copies_in=home)
    assert copy.exists()


def test_a_file_of_another_model_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    home = tmp_path / "models"
    mat = forms.write_pth(tmp_path / "mat.pth", {"G_ema.synthesis.first_stage.conv_first.weight": torch.ones(3)})
    with pytest.raises(WeightsCorrupted, match=r"no file of LaMa: mat\.pth looks like MAT, but LaMa was expected"):
        convert(mat, get_model("lama"), model_dir=home, families=families())
    with pytest.raises(WeightsCorrupted, match=r"a\.weight is \(9, 9\), expected \(2, 3\)"):
        convert(
            forms.write_pth(tmp_path / "b.pth", tensors() | {"generator.a.weight": torch.ones(9, 9)}),
            ENTRY,
            model_dir=home,
        )
    assert not home.exists()


def test_a_published_program_is_opened_for_its_own_model_alone(tmp_path: Path) -> None:
    path = forms.write_torchscript(tmp_path / "a.pt", tensors())
    sum_ = hashlib.sha256(path.read_bytes()).hexdigest()
    own = replace(ENTRY, alternatives=((WeightsFile("other.pt", (), sha256=sum_),),))
    assert convert(path, own, model_dir=tmp_path / "models").exists()
    with pytest.raises(UnsafeWeights, match=sum_):
        convert(path, ENTRY, tmp_path / "out.safetensors", model_dir=tmp_path)


def test_a_model_without_weights_has_nothing_to_convert(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="OpenCV needs no weights"):
        convert(forms.write_pth(tmp_path / "a.pth", tensors()), get_model("opencv"), model_dir=tmp_path)


def parts() -> tuple[Layout, ...]:
    """A checkpoint of two networks, or a file for each; the first file may hold both as well."""
    one, two = {"a.weight": (2, 3)}, {"b.bias": (2,)}
    return Layout(({"whole.a.weight": (2, 3)}, two)), Layout((one,), "one.pt"), Layout((two,), "two.pt")


@pytest.mark.parametrize(
    ("name", "prefix", "wanted", "made"),
    [
        ("x", "whole.", ("a.weight", "b.bias"), "x"),
        ("x", "", ("a.weight",), "one"),
        ("x", "", ("b.bias",), "two"),
        ("two", "", ("a.weight", "b.bias"), "two"),
    ],
)
def test_a_part_of_a_model_gets_the_name_under_which_it_is_looked_for(
    tmp_path: Path, name: str, prefix: str, wanted: tuple[str, ...], made: str
) -> None:
    files = (WeightsFile("one.pt", ()), WeightsFile("two.pt", ()))
    entry = replace(ENTRY, layouts=f"{__name__}:parts", weights=files, alternatives=((WeightsFile("all.ckpt", ()),),))
    source = forms.write_pth(tmp_path / f"{name}.pth", {prefix + key: torch.ones(SHAPES[key]) for key in wanted})
    home = tmp_path / "models"
    assert convert(source, entry, model_dir=home) == home / "tiny" / f"{made}.safetensors"
    assert locate(entry, home).status == ("ready" if made == "x" else "missing")


@pytest.mark.parametrize("entry", list_models(), ids=lambda entry: entry.name)
def test_every_model_with_weights_knows_what_its_files_hold(entry: ModelEntry) -> None:
    tensors = any(isinstance(file, WeightsFile) and not file.name.endswith(".onnx") for file in entry.weights)
    assert tensors == bool(entry.layouts)
    if entry.layouts:
        assert all(len(network) >= 8 for layout in entry.known_layouts() for network in layout.networks)


def published(folder: str, *sections: str) -> dict[str, tuple[int, ...]]:
    """Key -> shape of everything in a published file."""
    manifest = read_manifest(folder)
    return {key: shape for section in sections for key, shape in shapes(manifest, section).items()}


FILES = {
    "lama": published("lama", "generator"),
    "mat": published("mat", "generator"),
    "fcf": published("fcf", "generator"),
    "zits": {
        f"{section}.{key}": shape
        for section in ("str_encoder", "generator")
        for key, shape in published("zits", section).items()
    },
    "manga": published("manga", "semantic", "manga", "screen_enc"),
    "ldm": published("ldm", "unet", "first_stage", "schedule", "ema", "cond_stage"),
}


@pytest.mark.parametrize("model", FILES)
@pytest.mark.parametrize("file", FILES)
def test_a_published_file_is_taken_for_its_own_model_alone(file: str, model: str) -> None:
    entry = get_model(model)
    if file == model:
        assert layout_of(Path("any.ckpt"), FILES[file], entry) == entry.known_layouts()[0]
        return
    with pytest.raises(WeightsCorrupted, match=f"This is no file of {entry.title}"):
        layout_of(Path("any.ckpt"), FILES[file], entry)


@pytest.mark.parametrize(
    ("name", "prefix", "beginnings", "file"),
    [
        ("x.pt", "model.", ("encoder.", "quant_conv."), ENCODE_FILE),
        ("x.pt", "model.", ("decoder.", "post_quant_conv.", "quantize."), DECODE_FILE),
        ("cond_stage_model_decode.pt", "model.", ("",), DECODE_FILE),
        ("cond_stage_model_encode.pt", "", ("",), ENCODE_FILE),
    ],
)
def test_the_halves_of_an_autoencoder_are_told_apart(
    name: str, prefix: str, beginnings: tuple[str, ...], file: str
) -> None:
    """By what is in them; where both hold the whole autoencoder, by their names."""
    whole = {key.removeprefix("first_stage_model."): shape for key, shape in published("ldm", "first_stage").items()}
    found = {prefix + key: shape for key, shape in whole.items() if key.startswith(beginnings)}
    assert layout_of(Path(name), found, get_model("ldm")).file == file


def test_a_unet_without_its_autoencoder_is_one_of_three_files() -> None:
    assert layout_of(Path("x.pt"), published("ldm", "unet"), get_model("ldm")).file == DIFFUSION_FILE
