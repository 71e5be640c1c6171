"""`lama-server inpaint --model` with models that fill nothing: cut out, enlarge, restore."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tiny_onnx
from drawn_scenes import mug
from inpaint_models import load_model
from lama_server.exits import ExitCode
from serving import decode, encode
from test_cli import outcome

PRODUCT, _ = mug()


@pytest.fixture
def products(tmp_path: Path) -> Path:
    folder = tmp_path / "products"
    folder.mkdir()
    (folder / "a.png").write_bytes(encode(PRODUCT))
    (folder / "b.jpg").write_bytes(encode(PRODUCT, "JPEG"))
    return folder


def test_a_folder_is_cut_out_and_a_jpeg_becomes_a_png(products: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = products.parent / "out"
    command = ["inpaint", str(products), "-o", str(out), "--model", "backdrop"]
    assert outcome(command, capsys)[0] == ExitCode.OK
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png"]
    cut = load_model("backdrop", task="matte").cut_out(PRODUCT)
    np.testing.assert_array_equal(decode((out / "a.png").read_bytes()), cut)
    assert outcome(command, capsys)[1] == "0 filled, 0 copied, 2 skipped, 0 failed\n"


def test_before_a_colour_a_jpeg_stays_one(products: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = products.parent / "out"
    command = ["inpaint", str(products), "-o", str(out), "--model", "backdrop", "--param", "background=#ffffff"]
    assert outcome(command, capsys)[0] == ExitCode.OK
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.jpg"]
    assert decode((out / "a.png").read_bytes())[0, 0].tolist() == [255, 255, 255]


def test_a_photo_is_enlarged_by_a_network_from_the_model_folder(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_onnx.enlarger(tmp_path / "models" / "real-esrgan" / "mine.onnx", 2)
    command = ["inpaint", str(products / "a.png"), "-o", str(tmp_path / "large.png"), "--model", "real-esrgan"]
    assert outcome([*command, "--model-dir", str(tmp_path / "models"), "--local-files-only"], capsys)[0] == ExitCode.OK
    model = load_model("real-esrgan", task="enlarge", model_dir=tmp_path / "models", local_files_only=True)
    np.testing.assert_array_equal(decode((tmp_path / "large.png").read_bytes()), model(PRODUCT))


def test_a_canvas_that_would_be_too_large_is_refused(
    products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["inpaint", str(products / "a.png"), "-o", str(tmp_path / "large.png"), "--model", "lanczos"]
    code, _, said = outcome([*command, "--param", "factor=4", "--max-megapixels", "1"], capsys)
    assert code == ExitCode.UNEXPECTED
    assert "The canvas would be 1600x1200" in said


@pytest.mark.parametrize("more", [["--find", "dust"], ["--extend", "0,9,0,9"], ["mask.png"]])
def test_such_a_model_takes_no_mask(products: Path, capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    command = ["inpaint", str(products / "a.png"), *more, "-o", str(products.parent / "out"), "--model", "lanczos"]
    code, _, said = outcome(command, capsys)
    assert code == ExitCode.USAGE
    assert "works on the whole photo: it takes no mask" in said


def test_a_report_needs_a_search(products: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["inpaint", str(products / "a.png"), "-o", str(products.parent / "out"), "--report", "r.json"]
    code, _, said = outcome(command, capsys)
    assert code == ExitCode.USAGE
    assert "give --find too" in said
