"""Select by pointing: SAM 2.1 as transformers computes it, views, candidates, and masks at the image's own size."""

from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Sam2Model

import tiny_networks
from drawn_scenes import bird
from inpaint_models import Box, Point, Prompts
from inpaint_models.catalog import get_model
from inpaint_models.errors import Unavailable, WeightsCorrupted, WeightsMissing
from inpaint_models.loading import build, load_model
from inpaint_models.registry import ModelEntry, WeightsFolder
from inpaint_models.sam.marks import marks_of
from inpaint_models.tasks.select import Selector

SAM2 = get_model("sam2")
IMAGE, COVERED = bird()
ON_BIRD = Prompts(points=(Point(200, 150),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "sam2.1-hiera-tiny"
    tiny_networks.write_sam2(place)
    return place


@pytest.fixture(scope="module")
def sam2(folder: Path) -> Selector:
    model = build(SAM2, {folder.name: folder}, device="cpu", precision="float32", model_dir=None)
    assert isinstance(model, Selector)
    return model


def published(folder: Path, entry: ModelEntry = SAM2) -> ModelEntry:
    """The entry, as if the files in the folder were those that Meta publishes."""
    (weights,) = entry.weights
    assert isinstance(weights, WeightsFolder)
    files = tuple(
        replace(
            file,
            size_bytes=(folder / file.path).stat().st_size,
            sha256=sha256((folder / file.path).read_bytes()).hexdigest(),
        )
        for file in weights.files
    )
    return replace(entry, weights=(replace(weights, files=files),))


# the network


@pytest.mark.parametrize(
    ("prompts", "asked"),
    [
        (ON_BIRD, {"input_points": [[200, 150]], "input_labels": [1], "multimask_output": True}),
        (
            Prompts(points=(Point(200, 150), Point(30, 40, add=False))),
            {"input_points": [[200, 150], [30, 40]], "input_labels": [1, 0], "multimask_output": False},
        ),
        (Prompts(boxes=(Box(100, 80, 330, 220),)), {"input_boxes": [100, 80, 330, 220], "multimask_output": False}),
    ],
    ids=["a point", "a point on it and one beside it", "a box"],
)
def test_the_answers_are_those_of_the_library(
    sam2: Selector, folder: Path, prompts: Prompts, asked: dict[str, Any]
) -> None:
    side = tiny_networks.SAM2_SIDE_PX
    engine: Any = sam2.engine
    scale = side / torch.tensor([400.0, 300.0])
    asked = dict(asked)
    if "input_points" in asked:
        asked["input_points"] = torch.tensor(asked["input_points"], dtype=torch.float32)[None, None] * scale - 0.5
        asked["input_labels"] = torch.tensor(asked["input_labels"])[None, None]
    else:
        asked["input_boxes"] = (torch.tensor(asked["input_boxes"]).reshape(2, 2) * scale - 0.5).reshape(1, 1, 4)
    made = Sam2Model.from_pretrained(folder).eval()(pixel_values=engine._network.prepared(IMAGE), **asked)
    encoded: Any = sam2.encode(IMAGE)
    answers = engine._network.decode(encoded.embedding, (300, 400), marks_of(prompts))
    np.testing.assert_allclose(answers.logits, made.pred_masks[0, 0].detach(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(answers.scores, made.iou_scores[0, 0].detach(), rtol=0, atol=1e-5)
    assert np.ptp(answers.logits) > 1e-2


def test_a_picture_is_prepared_as_the_library_does_with_torchvision(sam2: Selector) -> None:
    side = tiny_networks.SAM2_SIDE_PX
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    pixels = torch.from_numpy(IMAGE).permute(2, 0, 1)[None]
    wanted = torch.nn.functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    engine: Any = sam2.engine
    off = (engine._network.prepared(IMAGE) * deviation + mean) * 255 - wanted
    assert off.abs().max() < 1.01, "one level, by rounding"
    assert off.abs().mean() < 0.5


# the files


def test_the_published_folder_is_found_checked_and_loaded_without_a_connection(folder: Path, monkeypatch: Any) -> None:
    entry = published(folder)
    monkeypatch.setattr("inpaint_models.catalog.ENTRIES", (entry,))
    model = load_model("sam2", task="select", device="cpu", model_dir=folder.parent, local_files_only=True)
    assert model(IMAGE, ON_BIRD).shape == (300, 400)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_file_with_another_hash_is_refused(folder: Path, tmp_path: Path, monkeypatch: Any, file: str) -> None:
    entry = published(folder)
    shutil.copytree(folder, tmp_path / folder.name)
    changed = tmp_path / folder.name / file
    changed.write_bytes(changed.read_bytes()[:-2] + b" }")
    monkeypatch.setattr("inpaint_models.catalog.ENTRIES", (entry,))
    with pytest.raises(WeightsCorrupted, match="SHA-256"):
        load_model("sam2", task="select", device="cpu", model_dir=tmp_path, local_files_only=True)


def test_missing_weights_are_named_with_their_size(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"sam2\.1-hiera-tiny"):
        load_model("sam2", task="select", model_dir=tmp_path, local_files_only=True)


def test_a_folder_of_another_network_is_refused(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / folder.name
    shutil.copytree(folder, place)
    from safetensors.torch import load_file, save_file

    tensors = load_file(place / "model.safetensors")
    save_file({key: value for key, value in tensors.items() if "iou_token" not in key}, place / "model.safetensors")
    with pytest.raises(WeightsCorrupted, match=r"lacks 1 tensors of SAM 2\.1, such as mask_decoder\.iou_token"):
        build(SAM2, {"a": place}, device="cpu", precision="float32", model_dir=None)
    (place / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(WeightsCorrupted, match=r"cannot be loaded|lacks"):
        build(SAM2, {"a": place}, device="cpu", precision="float32", model_dir=None)


def test_without_the_extra_one_sentence_says_what_to_do(folder: Path, monkeypatch: Any) -> None:
    missing = replace(SAM2, requires=("no_such_package",))
    with pytest.raises(
        Unavailable, match=r"^SAM 2.1 needs no_such_package. Install it: pip install 'lama-server\[select\]'$"
    ):
        build(missing, {"a": folder}, device="cpu", precision="float32", model_dir=None)
