"""Cutting out by networks: the bits that rembg gives, colours behind the subject, the published files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage import data

import tiny_onnx
from inpaint_models import get_model, list_models, load_model
from inpaint_models.cutout.engine import PREPARATIONS, CutOutEngine
from inpaint_models.errors import ParameterType, Unavailable, WeightsCorrupted
from inpaint_models.loading import build
from inpaint_models.onnx.network import OnnxNetwork
from inpaint_models.tasks.matte import Matter
from inpaint_models.types import no_progress

PHOTO = data.coffee()[::4, ::4]
GOLDEN = Path(__file__).parent / "parity" / "cutout.npz"
"""What the sessions of rembg 2.0.86 make of PHOTO with the same tiny networks, (100, 150) uint8 by model."""
NETWORKS = list(PREPARATIONS)


def matter(folder: Path, name: str) -> Matter:
    """A model with a tiny network in its file."""
    path = tiny_onnx.matte(folder / f"{name}.onnx", PREPARATIONS[name].side)
    entry = get_model(name)
    loaded = build(entry, {entry.weights[0].name: path}, device="cpu", precision="auto", model_dir=None)
    assert isinstance(loaded, Matter)
    return loaded


@pytest.mark.parametrize("name", NETWORKS)
def test_the_alpha_is_that_of_rembg_to_the_bit(tmp_path: Path, name: str) -> None:
    alpha = matter(tmp_path, name)(PHOTO)
    with np.load(GOLDEN) as golden:
        np.testing.assert_array_equal(np.rint(alpha * 255), golden[name])


def test_a_photo_of_one_colour_is_no_error(tmp_path: Path) -> None:
    alpha = matter(tmp_path, "u2netp")(np.zeros((9, 7, 3), np.uint8))
    assert alpha.shape == (9, 7)


def test_a_colour_is_put_behind_the_subject(tmp_path: Path) -> None:
    model = matter(tmp_path, "u2netp")
    deep = PHOTO.astype(np.uint16) * 257
    alpha = model(deep)[..., None]
    wanted = deep * alpha + np.array([0x20, 0xFF, 0x00]) * 257 * (1 - alpha)
    made = model.cut_out(deep, {"background": "#20ff00"})
    assert made.dtype == np.uint16
    np.testing.assert_allclose(made, wanted, atol=1)


@pytest.mark.parametrize("entry", list_models("matte"), ids=lambda entry: entry.name)
def test_every_model_that_cuts_out_takes_a_colour(entry: object) -> None:
    checked = entry.check_params({"background": "#0aF3f2"})  # type: ignore[attr-defined]
    assert checked["background"] == "#0aF3f2"
    for wrong in ("white", "#fff", "#12345g", 3):
        with pytest.raises(ParameterType, match=r"a colour such as #ffffff|a text"):
            entry.check_params({"background": wrong})  # type: ignore[attr-defined]


def test_the_published_file_is_known_by_its_hash(tmp_path: Path) -> None:
    tiny_onnx.matte(tmp_path / "u2netp.onnx", 320)
    with pytest.raises(WeightsCorrupted, match=r"u2netp\.onnx has .* the published file has 4,574,861"):
        load_model("u2netp", task="matte", model_dir=tmp_path, local_files_only=True)


def test_a_file_of_ones_own_is_taken_from_the_models_folder(tmp_path: Path) -> None:
    tiny_onnx.matte(tmp_path / "u2netp" / "mine.onnx", 320)
    mine = load_model("u2netp", task="matte", model_dir=tmp_path, local_files_only=True)
    np.testing.assert_array_equal(mine(PHOTO), matter(tmp_path, "u2netp")(PHOTO))


def test_without_the_package_the_refusal_says_what_to_install() -> None:
    entry = replace(get_model("u2netp"), requires=("onnxruntime_that_is_not_there",))
    with pytest.raises(Unavailable, match=r"pip install 'lama-server\[onnx\]'"):
        build(entry, {}, device="cpu", precision="auto", model_dir=None)


def test_logits_go_through_a_sigmoid(tmp_path: Path) -> None:
    network = OnnxNetwork(tiny_onnx.matte(tmp_path / "a.onnx", 320))
    plain = PREPARATIONS["u2netp"]
    alphas = [
        CutOutEngine(network, one).matte(PHOTO, params={}, progress=no_progress)
        for one in (plain, replace(plain, logits=True))
    ]
    assert np.abs(alphas[0] - alphas[1]).max() > 0.02
    assert all(alpha.min() == 0 and alpha.max() == 1 for alpha in alphas)
