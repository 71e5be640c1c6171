"""`lama-server inpaint --find`: folders of scans without masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lama_server.exits import ExitCode
from serving import decode, encode
from test_cli import outcome


def scan(path: Path, *, specks: int) -> np.ndarray:
    pixels = np.full((200, 300, 3), (120, 140, 170), np.uint8)
    pixels += np.random.default_rng(2).integers(0, 5, pixels.shape, np.uint8)
    for index in range(specks):
        pixels[60:63, 40 + 50 * index : 43 + 50 * index] = 250
    path.write_bytes(encode(pixels))
    return pixels


def test_a_folder_of_scans_is_cleaned_and_what_was_found_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    dusty, clean = scan(scans / "a.png", specks=3), scan(scans / "b.png", specks=0)
    command = ["inpaint", str(scans), "-o", str(out), "--find", "dust,wires", "--model", "opencv"]
    code, said, _ = outcome(command, capsys)
    assert code == ExitCode.OK
    assert said.splitlines() == [
        "a.png: found 3 dust",
        "b.png: found nothing",
        "1 filled, 1 copied, 0 skipped, 0 failed",
    ]
    cleaned = decode((out / "a.png").read_bytes())
    assert cleaned.max() < 190
    far = np.ones(dusty.shape[:2], bool)
    far[50:75] = False
    np.testing.assert_array_equal(cleaned[far], dusty[far])
    np.testing.assert_array_equal(decode((out / "b.png").read_bytes()), clean)


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (["--find", "grabcut"], "--find takes a list of: text, dust, wires"),
        (["--find", "dust", "--extend", "0,9,0,9"], "--find takes no mask and no --extend"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], wanted: str
) -> None:
    scan(tmp_path / "a.png", specks=1)
    code, _, said = outcome(["inpaint", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), *more], capsys)
    assert code == ExitCode.USAGE
    assert wanted in said


def test_a_report_says_what_was_found_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scans, report = tmp_path / "scans", tmp_path / "found" / "report.json"
    scans.mkdir()
    scan(scans / "a.png", specks=1)
    scan(scans / "b.png", specks=0)
    command = ["inpaint", str(scans), "-o", str(tmp_path / "out"), "--find", "dust", "--model", "opencv"]
    code, _, _ = outcome([*command, "--report", str(report)], capsys)
    assert code == ExitCode.OK
    dusty, clean = json.loads(report.read_text())["photos"]
    (speck,) = dusty.pop("found")
    assert dusty == {"photo": "a.png", "outcome": "filled", "result": "a.png", "message": ""}
    assert speck["category"] == "dust"
    assert 0 < speck["score"] <= 1
    assert speck["x"] <= 40 < 43 <= speck["x"] + speck["w"]
    assert speck["y"] <= 60 < 63 <= speck["y"] + speck["h"]
    assert (clean["outcome"], clean["found"]) == ("copied", [])
    code, _, said = outcome([*command, "--report", str(report)], capsys)
    assert code == ExitCode.USAGE
    assert "exists. Name another file" in said
