"""Enlarging by networks in ONNX: as onnxruntime does, either factor from any scale, tiles, files that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
from skimage import data

import tiny_onnx
from inpaint_models import get_model, load_model
from inpaint_models.errors import Cancelled, WeightsCorrupted
from inpaint_models.loading import build
from inpaint_models.registry import Strategy
from inpaint_models.tasks.enlarge import Enlarger

PHOTO = np.ascontiguousarray(data.coffee()[100:188, 200:296])


def enlarger(path: Path, side_px: int = 256) -> Enlarger:
    """The production entry with that file, in tiles of that size."""
    entry = replace(get_model("real-esrgan"), strategy=Strategy(margin_px=16, max_side=side_px))
    model = build(entry, {path.name: path}, device="cpu", precision="auto", model_dir=None)
    assert isinstance(model, Enlarger)
    return model


def run_directly(path: Path, image: np.ndarray) -> np.ndarray:
    """(H, W, 3) in [0, 1] through onnxruntime alone."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (large,) = session.run(None, {"image": image.transpose(2, 0, 1)[None]})
    return np.asarray(large[0].transpose(1, 2, 0)).clip(0, 1)


def test_twice_is_what_onnxruntime_gives(tmp_path: Path) -> None:
    path = tiny_onnx.enlarger(tmp_path / "a.onnx", 2)
    wanted = np.rint(run_directly(path, np.divide(PHOTO, 255, dtype=np.float32)) * 255)
    np.testing.assert_array_equal(enlarger(path)(PHOTO), wanted)


def test_four_times_by_a_network_for_twice_is_two_passes(tmp_path: Path) -> None:
    path = tiny_onnx.enlarger(tmp_path / "a.onnx", 2)
    wanted = run_directly(path, run_directly(path, np.divide(PHOTO, 255, dtype=np.float32)))
    np.testing.assert_array_equal(enlarger(path)(PHOTO, {"factor": "4"}), np.rint(wanted * 255))


def test_twice_by_a_network_for_four_times_is_its_average(tmp_path: Path) -> None:
    path = tiny_onnx.enlarger(tmp_path / "a.onnx", 4)
    large = run_directly(path, np.divide(PHOTO, 255, dtype=np.float32))
    wanted = cv2.resize(large, (192, 176), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(enlarger(path)(PHOTO, {"factor": "2"}), np.rint(wanted * 255))


def test_seams_of_tiles_do_not_show(tmp_path: Path) -> None:
    path = tiny_onnx.enlarger(tmp_path / "a.onnx", 2)
    np.testing.assert_array_equal(enlarger(path, 32)(PHOTO), enlarger(path)(PHOTO))


def test_an_odd_photo_of_16_bits_with_alpha_keeps_both(tmp_path: Path) -> None:
    deep = np.dstack([PHOTO, PHOTO[..., :1]])[:33, :47].astype(np.uint16) * 257
    large = enlarger(tiny_onnx.enlarger(tmp_path / "a.onnx", 2))(deep)
    assert large.dtype == np.uint16
    assert large.shape == (66, 94, 4)


def test_an_enlargement_can_be_cancelled(tmp_path: Path) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Cancelled("No longer wanted.")

    with pytest.raises(Cancelled):
        enlarger(tiny_onnx.enlarger(tmp_path / "a.onnx", 2))(PHOTO, progress=stop)


def test_any_network_that_enlarges_works_from_the_models_folder(tmp_path: Path) -> None:
    path = tiny_onnx.enlarger(tmp_path / "real-esrgan" / "three-times.onnx", 3)
    model = load_model("real-esrgan", task="enlarge", model_dir=tmp_path, local_files_only=True)
    large = run_directly(path, np.divide(PHOTO, 255, dtype=np.float32))
    wanted = np.rint(cv2.resize(large, (192, 176), interpolation=cv2.INTER_AREA) * 255)
    np.testing.assert_array_equal(model(PHOTO), wanted)


def test_the_published_file_is_known_by_its_hash(tmp_path: Path) -> None:
    tiny_onnx.enlarger(tmp_path / "real_esrgan_x4.onnx", 4)
    with pytest.raises(WeightsCorrupted, match=r"real_esrgan_x4\.onnx has .* 67,051,616"):
        load_model("real-esrgan", task="enlarge", model_dir=tmp_path, local_files_only=True)


def test_networks_of_another_kind_are_refused(tmp_path: Path) -> None:
    fixed = tiny_onnx.enlarger(tmp_path / "fixed.onnx", 2, (128, 96))
    with pytest.raises(WeightsCorrupted, match=r"fixed\.onnx takes pictures of 96x128 pixels only"):
        enlarger(fixed)
    with pytest.raises(WeightsCorrupted, match=r"same\.onnx makes .* does not enlarge"):
        enlarger(tiny_onnx.enlarger(tmp_path / "same.onnx", 1))
    with pytest.raises(WeightsCorrupted, match="does not take one RGB picture"):
        enlarger(tiny_onnx.face_finder(tmp_path / "faces.onnx", 64))
