"""`lama-server evaluate`: a report from the user's own photos, whatever lies among them."""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inpaint_models.evaluation import comparison, views
from inpaint_models.evaluation.masks import SAMPLERS
from inpaint_models.evaluation.scores import METRIC
from lama_server import codec
from lama_server.cli import evaluate, main
from lama_server.exits import ExitCode

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, name in enumerate(("a.png", "b.jpg")):
        pixels = np.random.default_rng(index).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((160, 120), Image.Resampling.BICUBIC).save(folder / name)
    return folder


def mask(path: Path) -> Path:
    pixels = np.zeros((120, 160), np.uint8)
    pixels[40:70, 60:100] = 255
    Image.fromarray(pixels).save(path)
    return path


def outcome(photos: Path, *arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    try:
        code = main(["evaluate", str(photos), "-o", str(photos.parent / "out"), *arguments])
    except SystemExit as error:
        code = int(str(error.code))
    said = capsys.readouterr()
    return code, said.out, said.err


def results(photos: Path) -> list[dict[str, str]]:
    with (photos.parent / "out" / "results.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def options() -> list[argparse.Action]:
    return [action for action in evaluate.parser()._actions if action.option_strings and action.dest != "help"]


def test_engines_are_compared_on_drawn_masks(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--engine", "opencv", "--engine", "opencv,method=navier-stokes,finish=false", "--per-photo", "2"]
    code, said, _ = outcome(photos, *given, "--sampler", "lama-thin", "--sampler", "mat-small", capsys=capsys)
    rows = results(photos)
    assert code == ExitCode.OK
    assert len(rows) == 2 * 2 * 2 * 2
    assert {row["engine"] for row in rows} == {"opencv", "opencv,method=navier-stokes,finish=false"}
    assert {row["mask"] for row in rows} == {
        f"{kind} {index}" for kind in ("lama-thin", "mat-small") for index in (1, 2)
    }
    assert {row["changed_outside"] for row in rows} == {"0"}
    assert all(row["psnr"] and row["seconds"] for row in rows)
    assert len({(row["photo"], row["mask"], row["area"]) for row in rows}) == len({row["area"] for row in rows}) == 8
    assert "report.html" in said
    page = (photos.parent / "out" / "report.html").read_text(encoding="utf-8")
    assert "LPIPS was not measured" in page
    assert "FID, U-IDS and P-IDS were not measured" in page


def test_without_words_masks_are_drawn_as_thin_medium_and_thick(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(photos, "--engine", "opencv", capsys=capsys)[0] == ExitCode.OK
    assert {row["mask"] for row in results(photos)} == {"lama-thin 1", "lama-medium 1", "lama-thick 1"}


def test_masks_beside_the_photos_are_used_and_nothing_is_known_behind_them(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask(photos / "a_mask.png")
    assert outcome(photos, "--engine", "opencv", capsys=capsys)[0] == ExitCode.OK
    (row,) = results(photos)
    assert (row["photo"], row["mask"], row["psnr"]) == ("a.png", "given", "")
    assert float(row["area"]) == pytest.approx(30 * 40 / (120 * 160), rel=1e-4)
    assert row["sharpness"]
    assert "What is behind the masks is not known" in (photos.parent / "out" / "summary.md").read_text()


@pytest.mark.parametrize("in_a_folder", [True, False])
def test_given_masks_are_measured_against_a_given_truth(
    photos: Path, capsys: pytest.CaptureFixture[str], in_a_folder: bool
) -> None:
    masks = photos.parent / "masks"
    masks.mkdir()
    for stem in ("a", "b"):
        mask(masks / f"{stem}.png")
    given = masks if in_a_folder else masks / "a.png"
    code, *_ = outcome(photos, "--masks", str(given), "--truth", str(photos), "--engine", "opencv", capsys=capsys)
    assert code == ExitCode.OK
    assert [row["photo"] for row in results(photos) if row["psnr"]] == ["a.png", "b.jpg"]


def test_what_another_program_made_is_measured_beside_the_engines(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask(photos / "a_mask.png")
    mask(photos / "b_mask.png")
    made = photos.parent / "made"
    made.mkdir()
    Image.new("RGB", (160, 120), "grey").save(made / "a_other.png")
    Image.new("RGB", (90, 90)).save(made / "b.png")
    code, _, said = outcome(photos, "--engine", "opencv", "--results", f"other={made}", capsys=capsys)
    other, *_ = (row for row in results(photos) if row["engine"] == "other")
    assert code == ExitCode.UNEXPECTED
    assert "b.jpg given other: The mask is 160x120 but an image is 90x90" in said
    assert (other["photo"], other["seconds"]) == ("a.png", "")
    assert int(other["changed_outside"]) > 0.9 * (120 * 160 - 1200)


def test_a_broken_photo_is_told_and_does_not_end_the_run(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "aa.png").write_bytes(b"words")
    code, _, said = outcome(photos, "--sampler", "lama-thin", "--engine", "opencv", capsys=capsys)
    assert code == ExitCode.UNEXPECTED
    assert "aa.png: The file is none of these" in said
    assert [row["photo"] for row in results(photos)] == ["a.png", "b.jpg"]
    assert "aa.png: The file is none of these" in (photos.parent / "out" / "report.html").read_text(encoding="utf-8")


def test_what_was_measured_before_control_c_is_in_the_report(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    view, measured = views.view, list[int]()

    def interrupted(*given: Any) -> Any:
        measured.append(1)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return view(*given)

    monkeypatch.setattr(comparison, "view", interrupted)
    code, *_ = outcome(photos, "--sampler", "lama-thin", "--per-photo", "3", "--engine", "opencv", capsys=capsys)
    assert code == 130
    assert len(results(photos)) == 2
    assert "The run was stopped before its end." in (photos.parent / "out" / "summary.md").read_text()


def test_one_photo_is_in_memory_at_a_time(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    decode = codec.decode

    def noted(path: Path, *limits: Any) -> Any:
        decoded.append(path.name)
        assert len(decoded) == 1 or len(results(photos)) == 3 * (len(decoded) - 1)
        return decode(path, *limits)

    monkeypatch.setattr(codec, "decode", noted)
    assert outcome(photos, "--engine", "opencv", capsys=capsys)[0] == ExitCode.OK
    assert decoded == ["a.png", "b.jpg"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--engine", "nothing"], ExitCode.USAGE, "no model 'nothing'"),
        (["--engine", "opencv,method"], ExitCode.USAGE, "'method' is not of the form NAME=VALUE"),
        (["--engine", "opencv,grow_px=-1"], ExitCode.USAGE, "grow_px"),
        (["--engine", "opencv,finish=perhaps"], ExitCode.USAGE, "finish must be true or false"),
        (["--engine", "opencv,radius=0"], ExitCode.USAGE, "radius"),
        (["--engine", "lama", "--offline"], ExitCode.NETWORK_NEEDED, "LaMa"),
        (["--sampler", "nothing"], ExitCode.USAGE, "invalid choice: 'nothing'"),
        (["--per-photo", "0"], ExitCode.USAGE, "'0' is not a whole number from 1 to 1000"),
        (["--seed", "-1"], ExitCode.USAGE, "'-1' is not a whole number"),
        (["--sampler", "mat", "--truth", "."], ExitCode.USAGE, "--truth and --results need given masks"),
        (["--results", "other=."], ExitCode.USAGE, "--truth and --results need given masks"),
        (["--masks", "missing"], ExitCode.USAGE, "There is no missing"),
        (["--lpips", "missing.pt"], ExitCode.FOLDER, "There is no file missing.pt"),
        (["--inception", __file__], ExitCode.WEIGHTS_CORRUPTED, "test_evaluate.py is no TorchScript file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: ExitCode, words: str
) -> None:
    home = ["--model-dir", str(photos.parent / "models")]
    found, _, said = outcome(photos, *arguments, *home, capsys=capsys)
    assert (found, words in said, said.count("\n")) == (code, True, 1), said
    assert not (photos.parent / "out").exists()


def test_photos_without_masks_in_the_folder_of_masks_are_named(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos.parent / "masks").mkdir()
    mask(photos.parent / "masks" / "a.png")
    code, _, said = outcome(photos, "--masks", str(photos.parent / "masks"), capsys=capsys)
    assert (code, "There is no mask for b.jpg." in said) == (ExitCode.USAGE, True)


def test_a_report_is_never_mixed_with_another(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos.parent / "out").mkdir()
    (photos.parent / "out" / "note").write_text("mine")
    code, _, said = outcome(photos, "--engine", "opencv", capsys=capsys)
    assert (code, "is there already" in said) == (ExitCode.USAGE, True)


def test_every_option_is_on_the_page_about_the_command() -> None:
    page = (ROOT / "docs" / "evaluate.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(-{1,2}[a-z][a-z-]*)", page))
    assert documented >= {
        flag for action in options() for flag in action.option_strings if not flag.startswith("--no-")
    }


def test_every_sampler_and_every_column_is_on_the_page_about_the_command() -> None:
    page = (ROOT / "docs" / "evaluate.md").read_text(encoding="utf-8")
    names = [*SAMPLERS, *METRIC]
    assert [name for name in names if f"`{name}`" not in page] == []
