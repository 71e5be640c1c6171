"""Faces drawn anew: found, turned upright, put back into their places, and nothing else of the photo touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

import tiny_onnx
from inpaint_models import get_model, load_model
from inpaint_models.errors import Cancelled, WeightsMissing
from inpaint_models.gfpgan.faces import FaceFinder, upright
from inpaint_models.loading import build
from inpaint_models.registry import WeightsFile
from inpaint_models.tasks.restore import Restorer

FACE_PX = 96
PHOTO = np.ascontiguousarray(data.coffee()[:320, :480] // 4)
PHOTO[128:160, 192:224] = 250
"""Dark but for one bright square, which is a face to the tiny network."""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "gfpgan_1.4.onnx": tiny_onnx.redrawer(tmp_path / "gfpgan_1.4.onnx"),
        "face_detection_yunet_2023mar.onnx": tiny_onnx.face_finder(tmp_path / "yunet.onnx", FACE_PX),
    }


@pytest.fixture
def model(files: dict[str, Path]) -> Restorer:
    made = build(get_model("gfpgan"), files, device="cpu", precision="auto", model_dir=None)
    assert isinstance(made, Restorer)
    return made


def test_a_face_is_found_where_opencv_finds_it(files: dict[str, Path]) -> None:
    path = files["face_detection_yunet_2023mar.onnx"]
    detector = cv2.FaceDetectorYN.create(str(path), "", (480, 320), 0.7, 0.3, 200)
    _, wanted = detector.detect(np.ascontiguousarray(PHOTO[..., ::-1]))
    (found,) = FaceFinder(path).find(PHOTO)
    np.testing.assert_array_equal(found, wanted[0, 4:14].reshape(5, 2))
    assert np.abs(found.mean(axis=0) - (208, 144)).max() < 10


def test_a_face_in_a_large_photo_is_found_in_a_smaller_view(files: dict[str, Path]) -> None:
    large = PHOTO.repeat(10, axis=0).repeat(10, axis=1)
    faces = FaceFinder(files["face_detection_yunet_2023mar.onnx"]).find(large)
    assert len(faces) >= 1
    assert all(1900 < x < 2260 and 1260 < y < 1620 for x, y in (face.mean(axis=0) for face in faces))


def test_the_face_is_drawn_anew_and_the_rest_is_the_same_to_the_bit(model: Restorer) -> None:
    made = model(PHOTO)
    changed = (made != PHOTO).any(axis=2)
    np.testing.assert_allclose(made[139:150, 203:214].astype(int), 255 - PHOTO[139:150, 203:214].astype(int), atol=2)
    assert not changed[:, :20].any()
    assert not changed[:, 420:].any()


def test_strength_mixes_the_old_face_in(model: Restorer) -> None:
    np.testing.assert_array_equal(model(PHOTO, {"strength": 0}), PHOTO)
    half = model(PHOTO, {"strength": 0.5})
    np.testing.assert_allclose(half[139:150, 203:214].astype(int), 127, atol=2)


def test_depth_alpha_and_grey_are_kept(model: Restorer) -> None:
    deep = np.dstack([PHOTO, PHOTO[..., :1]]).astype(np.uint16) * 257
    made = model(deep)
    assert made.dtype == np.uint16
    np.testing.assert_array_equal(made[..., 3], deep[..., 3])
    assert model(PHOTO[..., 0]).shape == PHOTO.shape[:2]


def test_a_photo_without_faces_stays_as_it_is(model: Restorer) -> None:
    dark = PHOTO[:, :160]
    np.testing.assert_array_equal(model(dark), dark)


def test_a_turned_face_is_made_upright() -> None:
    template = np.array([[193, 240], [319, 240], [256, 314], [201, 371], [313, 371]], np.float32)
    turn = cv2.getRotationMatrix2D((100.0, 50.0), 30, 0.25)
    seen = template @ turn[:, :2].T.astype(np.float32) + turn[:, 2].astype(np.float32)
    there = upright(seen)
    assert there is not None
    np.testing.assert_allclose(seen @ there[:, :2].T + there[:, 2], template, atol=1)


def test_a_restoration_can_be_cancelled(model: Restorer) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Cancelled("No longer wanted.")

    with pytest.raises(Cancelled):
        model(PHOTO, progress=stop)


def test_both_published_files_are_needed(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"gfpgan_1\.4\.onnx .* and face_detection_yunet_2023mar\.onnx"):
        load_model("gfpgan", task="restore", model_dir=tmp_path, local_files_only=True)
    assert all(isinstance(file, WeightsFile) and file.sha256 for file in get_model("gfpgan").weights)
