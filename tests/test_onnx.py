"""Networks in files of ONNX: told from other files, run as onnxruntime runs them, stopped, and refused when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import tiny_onnx
from inpaint_models.errors import Cancelled, EngineFailed, WeightsCorrupted
from inpaint_models.onnx.network import OnnxNetwork
from inpaint_models.weights.formats import check_content

IMAGE = np.random.default_rng(1).random((1, 3, 24, 33), np.float32)


def still_wanted() -> None:
    pass


def test_a_network_gives_what_onnxruntime_gives(tmp_path: Path) -> None:
    path = tiny_onnx.enlarger(tmp_path / "a.onnx", 2)
    network = OnnxNetwork(path)
    assert list(network.inputs) == ["image"]
    assert list(network.outputs) == ["large"]
    wanted = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"image": IMAGE})
    np.testing.assert_array_equal(network.run({"image": IMAGE}, still_wanted)[0], wanted[0])


def test_a_run_that_is_no_longer_wanted_ends(tmp_path: Path) -> None:
    def stop() -> None:
        raise Cancelled("No longer wanted.")

    network = OnnxNetwork(tiny_onnx.enlarger(tmp_path / "a.onnx", 2))
    with pytest.raises(Cancelled):
        network.run({"image": IMAGE}, stop)
    assert network.run({"image": IMAGE}, still_wanted)[0].shape == (1, 3, 48, 66)


def test_an_input_of_another_shape_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    network = OnnxNetwork(tiny_onnx.matte(tmp_path / "a.onnx", 32))
    with pytest.raises(EngineFailed, match=r"a\.onnx failed in onnxruntime"):
        network.run({"input.1": IMAGE}, still_wanted)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cut off"),
        (b"\x08", "cut off"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"\x80\x04\x95", "neither ONNX"),
        (b"PK\x03\x04", "neither ONNX"),
    ],
)
def test_what_is_no_onnx_is_told_from_its_first_bytes(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with path.open("rb") as handle, pytest.raises(WeightsCorrupted, match=why):
        check_content(handle, path.name)


def test_a_damaged_file_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    path = tiny_onnx.enlarger(tmp_path / "a.onnx", 2)
    path.write_bytes(path.read_bytes()[:-60])
    with path.open("rb") as handle:
        check_content(handle, path.name)
    with pytest.raises(WeightsCorrupted, match=r"a\.onnx cannot be run by onnxruntime"):
        OnnxNetwork(path)
