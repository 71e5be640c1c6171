"""Select by pointing: SAM 2.1 as transformers computes it, views, candidates, and masks at the image's own size."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from transformers import Sam2Model

import tiny_networks
from drawn_scenes import bird, overlap
from inpaint_models import Box, Point, Prompts, Stroke
from inpaint_models.catalog import get_model
from inpaint_models.errors import Cancelled, InvalidPrompts, OutOfMemory, Unavailable, WeightsCorrupted, WeightsMissing
from inpaint_models.imaging.outlines import outlined
from inpaint_models.loading import build, load_model
from inpaint_models.registry import ModelEntry, WeightsFolder
from inpaint_models.sam.marks import marks_of
from inpaint_models.tasks.select import EncodedView, Selector

SAM2, MOBILE_SAM = get_model("sam2"), get_model("mobilesam")
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


@pytest.fixture(scope="module")
def mobilesam(tmp_path_factory: pytest.TempPathFactory) -> Selector:
    files = tiny_networks.write_mobile_sam(tmp_path_factory.mktemp("models"))
    model = build(MOBILE_SAM, {file.name: file for file in files}, device="cpu", precision="auto", model_dir=None)
    assert isinstance(model, Selector)
    return model


def two_tones(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(a disc on a plain ground, whose lower half has another tone; where the disc is; where its upper half is)."""
    rows, columns = np.mgrid[0:height, 0:width] / min(height, width)
    disc = np.hypot(rows - 0.5, columns - 0.5 * width / min(height, width)) < 0.3
    upper = disc & (rows < 0.5)
    image = np.full((height, width, 3), (70, 110, 160), np.uint8)
    image[disc], image[upper] = (200, 120, 90), (215, 140, 105)
    return image, disc, upper


# the networks


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


def test_the_encoder_gets_the_picture_and_the_decoder_the_marks_as_they_were_exported(
    mobilesam: Selector, tmp_path: Path
) -> None:
    encoder, decoder = (
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for path in tiny_networks.write_mobile_sam(tmp_path)
    )
    side = cv2.resize(IMAGE, (1024, 768), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    (embedding,) = encoder.run(None, {"input_image": side})
    scale = 1024 / 400
    fixed = {
        "image_embeddings": embedding,
        "mask_input": np.zeros((1, 1, 256, 256), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
        "orig_im_size": np.array([300, 400], np.float32),
    }
    engine, seen = mobilesam.engine, mobilesam.encode(IMAGE)
    for prompts, coords, labels, meant in (
        (ON_BIRD, [[200, 150], [0.5 / scale, 0.5 / scale]], [1, -1], slice(1, 4)),
        (Prompts(boxes=(Box(100, 80, 330, 220),)), [[100, 80], [330, 220]], [2, 3], slice(0, 1)),
    ):
        given = {
            "point_coords": np.array(coords, np.float32)[None] * np.float32(scale) - np.float32(0.5),
            "point_labels": np.array([labels], np.float32),
        }
        _, scores, logits = decoder.run(None, {**fixed, **given})
        answers = engine._network.decode(seen.embedding, (300, 400), marks_of(prompts))  # type: ignore[attr-defined]
        np.testing.assert_allclose(answers.logits, logits[0, meant], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(answers.scores, scores[0, meant])


# what is selected


def test_a_point_may_mean_a_part_or_the_whole_and_the_likeliest_comes_first(mobilesam: Selector) -> None:
    image, disc, upper = two_tones(300, 400)
    encoded = mobilesam.encode(image)
    whole, part, _ = mobilesam.candidates(encoded, Prompts(points=(Point(200, 100),)), most=3)
    assert (whole.score, part.score) == pytest.approx((0.9, 0.8))
    assert overlap(whole.mask.hole_in(Box(0, 0, 400, 300)), disc) > 0.97
    assert overlap(part.mask.hole_in(Box(0, 0, 400, 300)), upper) > 0.9
    (only,) = mobilesam.candidates(encoded, Prompts(points=(Point(200, 100),)))
    assert only.mask.box == whole.mask.box


def test_points_add_and_take_away_and_a_box_or_a_stroke_points_too(mobilesam: Selector) -> None:
    image = np.full((300, 400, 3), (70, 110, 160), np.uint8)
    image[100:200, 60:140], image[100:200, 260:340] = (200, 120, 90), (60, 190, 90)
    left, right, ground = Point(100, 150), Point(300, 150), Point(200, 20, add=False)
    one, two = mobilesam(image, Prompts(points=(left,))), mobilesam(image, Prompts(points=(left, right)))
    assert one.sum() == pytest.approx(100 * 80, rel=0.02)
    assert two.sum() == pytest.approx(2 * 100 * 80, rel=0.02)
    np.testing.assert_array_equal(mobilesam(image, Prompts(points=(left, right, ground))), two)
    np.testing.assert_array_equal(
        mobilesam(image, Prompts(points=(left, Point(330, 150, add=False)))), mobilesam(image, Prompts(points=(left,)))
    )
    taken = Prompts(points=(left, right, Point(310, 130, add=False)))
    assert mobilesam(image, taken).sum() == pytest.approx(100 * 80, rel=0.02)
    assert overlap(mobilesam(image, Prompts(boxes=(Box(50, 90, 150, 210),))), one) > 0.98
    assert overlap(mobilesam(image, Prompts(strokes=(Stroke(((80, 120), (120, 180)), 9),))), one) > 0.98


@pytest.mark.parametrize("size", [(300, 400), (1500, 1100), (2400, 3200)])
def test_the_edge_is_that_of_the_picture_at_its_own_size(mobilesam: Selector, size: tuple[int, int]) -> None:
    image, disc, _ = two_tones(*size)
    found = mobilesam(image, Prompts(points=(Point(size[1] / 2, size[0] / 3),)))
    border = cv2.morphologyEx(disc.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert not ((found != disc) & ~border).any(), "within a pixel, where a cell of the answer is up to 13 wide"


def test_in_a_view_small_things_are_found_and_places_stay_those_of_the_image(mobilesam: Selector) -> None:
    image = np.full((1200, 1600, 3), (70, 110, 160), np.uint8)
    image[901:905, 1201:1207] = (200, 120, 90)
    speck = Prompts(points=(Point(1204, 903),))
    encoded = mobilesam.encode(image, view=Box(1180, 880, 1240, 925))
    assert isinstance(encoded, EncodedView)
    assert encoded.shape == (1200, 1600)
    assert mobilesam.select(encoded, speck).box == Box(1201, 901, 1207, 905)
    blind = mobilesam.select(mobilesam.encode(image), speck)
    assert blind.coverage.size > 100 * 6 * 4, "seen whole, the speck is lost"


def test_a_view_is_what_of_it_lies_in_the_image(mobilesam: Selector) -> None:
    encoded = mobilesam.encode(IMAGE, view=Box(-50, -50, 900, 250))
    assert isinstance(encoded, EncodedView)
    assert encoded.box == Box(0, 0, 400, 250)
    with pytest.raises(InvalidPrompts, match="shows nothing of the image"):
        mobilesam.encode(IMAGE, view=Box(400, 0, 500, 100))
    with pytest.raises(InvalidPrompts, match="Nothing points at a place"):
        mobilesam.select(mobilesam.encode(IMAGE, view=Box(0, 0, 100, 100)), ON_BIRD)


def test_models_that_look_around_prompts_by_themselves_need_no_view() -> None:
    grabcut = load_model("grabcut", task="select")
    encoded = grabcut.encode(IMAGE, view=Box(0, 0, 9, 9))
    (found,) = grabcut.candidates(encoded, ON_BIRD, most=4)
    assert found.score == 1
    np.testing.assert_array_equal(found.mask.coverage, grabcut.select(grabcut.encode(IMAGE), ON_BIRD).coverage)


def test_a_place_where_nothing_is_found_is_no_selection(mobilesam: Selector) -> None:
    prompts = Prompts(points=(Point(200, 150), Point(201, 150, add=False)))
    with pytest.raises(InvalidPrompts, match="Nothing was found there"):
        mobilesam.select(mobilesam.encode(IMAGE), prompts)


@pytest.mark.parametrize("network", ["sam2", "mobilesam"])
def test_encoding_and_selecting_stop_when_they_are_no_longer_wanted(
    network: str, request: pytest.FixtureRequest
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Cancelled("No longer wanted.")

    model = request.getfixturevalue(network)
    with pytest.raises(Cancelled):
        model.encode(IMAGE, stop)
    with pytest.raises(Cancelled):
        model.select(model.encode(IMAGE), ON_BIRD, progress=stop)


def test_what_does_not_fit_into_memory_is_refused_before_it_is_begun(mobilesam: Selector, monkeypatch: Any) -> None:
    monkeypatch.setattr("inpaint_models.devices.available_bytes", lambda: 500 * 2**20)
    with pytest.raises(
        OutOfMemory, match=r"MobileSAM needs about .* Close other programs, or select by a rough stroke"
    ):
        mobilesam.encode(IMAGE)


def test_specks_are_no_part_of_a_thing_and_gaps_are_closed() -> None:
    logits = np.full((256, 256), -1, np.float32)
    logits[60:200, 60:200], logits[100:104, 100:104], logits[10:13, 10:13] = 1, -1, 1
    mask = outlined(np.zeros((256, 256, 3), np.uint8), logits, (1, 1))
    assert mask is not None
    assert mask.box == Box(60, 60, 200, 200)
    assert mask.coverage.min() == 255


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


def test_a_damaged_encoder_is_refused(tmp_path: Path) -> None:
    encoder, decoder = tiny_networks.write_mobile_sam(tmp_path)
    encoder.write_bytes(encoder.read_bytes()[:-100])
    with pytest.raises(WeightsCorrupted, match=r"mobile_sam_image_encoder\.onnx cannot be run"):
        build(
            MOBILE_SAM, {file.name: file for file in (encoder, decoder)}, device="cpu", precision="auto", model_dir=None
        )


@pytest.mark.parametrize("library", ["transformers", "onnxruntime", "torch"])
def test_listing_the_models_imports_no_library_of_theirs(library: str) -> None:
    code = (
        f"import sys, inpaint_models.catalog as c; c.get_model('sam2').hindrance; sys.exit({library!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0
