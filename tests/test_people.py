"""Find people: PP-HumanSeg's inputs and outputs as OpenCV's collection uses them, on a network that goes by colour."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx import helper

import tiny_onnx
from drawn_scenes import overlap
from inpaint_models.catalog import get_model
from inpaint_models.errors import Cancelled, WeightsCorrupted, WeightsMissing
from inpaint_models.loading import build, load_model
from inpaint_models.people.engine import windows
from inpaint_models.registry import WeightsFile
from inpaint_models.tasks.find import Finder
from inpaint_models.types import Box

PEOPLE = get_model("people")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """(1, 3, 192, 192) in [-1, 1] to (1, 2, 192, 192), probabilities: red is a person."""
    kernel = np.zeros((2, 3, 1, 1), np.float32)
    kernel[1, :, 0, 0] = 6, -3, -3
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["save_infer_model/scale_0.tmp_1"], axis=1),
    ]
    return tiny_onnx.write(
        tmp_path_factory.mktemp("models") / "human_segmentation_pphumanseg_2023mar.onnx",
        nodes,
        {"kernel": kernel, "bias": np.array([3, 0], np.float32)},
        {"x": [1, 3, 192, 192]},
        {"save_infer_model/scale_0.tmp_1": [1, 2, 192, 192]},
    )


@pytest.fixture(scope="module")
def people(file: Path) -> Finder:
    model = build(PEOPLE, {file.name: file}, device="cpu", precision="auto", model_dir=None)
    assert isinstance(model, Finder)
    return model


def crowd(height: int, width: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Two red figures and a red speck on a grey ground, and where the figures are."""
    image = np.full((height, width, 3), (120, 125, 130), np.uint8)
    figures = []
    for x in (0.3, 0.7):
        drawn = np.zeros((height, width), np.uint8)
        cv2.ellipse(drawn, (int(x * width), int(0.6 * height)), (width // 12, height // 4), 0, 0, 360, 1, -1)
        cv2.circle(drawn, (int(x * width), int(0.35 * height)), width // 20, 1, -1)
        image[drawn > 0] = (210, 60, 50)
        figures.append(drawn > 0)
    image[5:8, 5:8] = (210, 60, 50)
    return image, figures


@pytest.mark.parametrize("size", [(300, 400), (1500, 1000)])
def test_each_person_is_outlined_at_the_photos_own_size(people: Finder, size: tuple[int, int]) -> None:
    image, figures = crowd(*size)
    found = sorted(people(image), key=lambda one: one.mask.box.x0)
    assert [one.category for one in found] == ["person", "person"], "the speck is too small to be one"
    for one, figure in zip(found, figures, strict=True):
        assert overlap(one.mask.hole_in(Box(0, 0, size[1], size[0])), figure) > 0.97
        assert 0.5 < one.score <= 1


def test_people_who_are_small_in_the_photo_are_found_in_parts_of_it_and_each_of_them_once(people: Finder) -> None:
    small, figures = crowd(300, 400)
    image = np.full((1500, 2000, 3), (120, 125, 130), np.uint8)
    spots = [(0, 0), (1200, 1600), (610, 830)]
    for y, x in spots:
        image[y : y + 300, x : x + 400] = small
    found = people(cv2.resize(image, (1000, 750)))
    truths = [np.zeros(image.shape[:2], bool) for _ in range(2 * len(spots))]
    for truth, (y, x), figure in zip(truths, [spot for spot in spots for _ in figures], 3 * figures, strict=True):
        truth[y : y + 300, x : x + 400] = figure
    truths = [truth[::2, ::2] for truth in truths]
    best = [max(overlap(one.mask.hole_in(Box(0, 0, 1000, 750)), truth) for one in found) for truth in truths]
    assert len(found) == len(truths)
    assert min(best) > 0.9


@pytest.mark.parametrize("size", [(192, 192), (1500, 2000), (2000, 300), (191, 4000)])
def test_windows_hold_all_that_is_half_as_large_as_one(size: tuple[int, int]) -> None:
    whole, *others = windows(*size)
    assert whole == Box(0, 0, size[1], size[0])
    for side in {max(one.width, one.height) for one in others}:
        half, level = side // 2 - 1, [one for one in others if max(one.width, one.height) == side]
        for y, x in np.random.default_rng(side).integers(0, (max(1, size[0] - half), max(1, size[1] - half)), (200, 2)):
            thing = Box(int(x), int(y), int(x) + half, int(y) + half).clipped(*size)
            assert any(one.intersection(thing) == thing for one in level)


def test_the_network_gets_what_opencvs_collection_gives_it(people: Finder, file: Path) -> None:
    image = np.random.default_rng(4).integers(0, 256, (192, 192, 3), np.uint8)
    reference = cv2.dnn.readNetFromONNX(str(file))
    reference.setInput(cv2.dnn.blobFromImage((image.astype(np.float32) / 255 - 0.5) / 0.5))
    background, person = reference.forward("save_infer_model/scale_0.tmp_1")[0]
    engine: Any = people.engine
    np.testing.assert_array_equal(engine.lead(image), person - background)


def test_where_nobody_is_nothing_is_found(people: Finder) -> None:
    assert people(np.full((60, 80, 3), 128, np.uint8)) == []


def test_a_search_can_be_cancelled(people: Finder) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Cancelled("No longer wanted.")

    with pytest.raises(Cancelled):
        people(crowd(300, 400)[0], progress=stop)


def test_only_the_published_file_is_taken(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    load = {"task": "find", "local_files_only": True}
    with pytest.raises(WeightsCorrupted, match="6,163,938"):
        load_model("people", model_dir=file.parent, **load)  # type: ignore[call-overload]
    with pytest.raises(WeightsMissing):
        load_model("people", model_dir=tmp_path, **load)  # type: ignore[call-overload]
    (published,) = PEOPLE.weights
    assert isinstance(published, WeightsFile)
    here = replace(published, size_bytes=file.stat().st_size, sha256=sha256(file.read_bytes()).hexdigest())
    monkeypatch.setattr("inpaint_models.catalog.ENTRIES", (replace(PEOPLE, weights=(here,)),))
    assert len(load_model("people", model_dir=file.parent, **load)(crowd(300, 400)[0])) == 2  # type: ignore[call-overload]


def test_a_damaged_file_is_refused_when_it_is_loaded(tmp_path: Path, file: Path) -> None:
    broken = tmp_path / file.name
    broken.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(WeightsCorrupted, match="cannot be read by OpenCV"):
        build(PEOPLE, {file.name: broken}, device="cpu", precision="auto", model_dir=None)
