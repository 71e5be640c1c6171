"""Kept results of the bench can be compared row by row."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.compare import compare, main, rows_of
from bench.measure import Row, table
from bench.quality import page

from inpaint_models.evaluation import comparison
from inpaint_models.evaluation.scores import METRIC

OLD = [
    Row("lama", "inference form", 1234.4, 5, size="512x512", threads=2, peak_mib=700, ratio=1.5, against="eager"),
    Row("lama", "inference form", 100, 5, size="512x512", threads=2, precision="bfloat16"),
    Row("opencv", "telea", 4.321, 3, note="levels of 255"),
]


def kept(rows: list[Row]) -> str:
    return f"Linux x86_64, Python 3\n\n{table(rows)}\n\n{table([Row('mat', 'readable, hole of a quarter', 50, 3)])}\n\n"


def test_a_row_is_known_by_what_was_measured_and_not_by_what_came_out() -> None:
    found = rows_of(kept(OLD))
    assert list(found.values()) == [(1234, 700), (100, None), (4.32, None), (50.0, None)]
    assert len({key[:6] for key in found}) == len(found)
    with pytest.raises(ValueError, match=r"'lama, .*' is there twice"):
        rows_of(kept([OLD[0], OLD[0]]))


def test_rows_that_became_slower_are_marked_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = [
        Row("lama", "inference form", 1310, 5, size="512x512", threads=2, peak_mib=1400),
        Row("lama", "inference form", 104, 5, size="512x512", threads=2, precision="bfloat16"),
        Row("opencv", "navier-stokes", 4.321, 3),
    ]
    lines, slower = compare(kept(OLD), kept(new))
    told = {line.split(" | ")[0].removeprefix("| "): line for line in lines[2:]}
    assert slower == 1
    assert "1.06x | 2.00x | **slower**" in told["lama, inference form, 512x512, cpu, float32, 2"]
    assert "1.04x |  |  |" in told["lama, inference form, 512x512, cpu, bfloat16, 2"]
    assert told["opencv, telea, cpu, float32, 1"].endswith("gone |")
    assert told["opencv, navier-stokes, cpu, float32, 1"].endswith("new |")
    for name, rows in (("old", OLD), ("new", new)):
        (tmp_path / name).write_text(kept(rows))
    assert main([str(tmp_path / "old"), str(tmp_path / "new")]) == 1
    assert "Rows more than 5% slower: 1" in capsys.readouterr().out
    assert main([str(tmp_path / "old"), str(tmp_path / "old")]) == 0


def test_the_page_of_quality_has_every_engine_every_kind_of_mask_and_every_photograph() -> None:
    kinds, engines, photos = ("lama-thin", "lama-thick"), ("patchmatch", "Telea"), ("grass.png", "coffee.png")
    rows = [
        comparison.Row(photo, f"{kind} {index}", engine, 0.1, dict.fromkeys(METRIC, 0.5 + 0.1 * (photo == "grass.png")))
        for index in (1, 2)
        for photo in photos
        for kind in kinds
        for engine in engines
    ]
    text = page(rows, ["A note."])
    assert all(f"## Masks: {kind}\n" in text for kind in kinds)
    assert "| patchmatch | 4 | 0.55 (" in text
    # Grass has no structure, so that coffee alone is left.
    assert "| Telea | 2 | 0.50 (0.50 to 0.50) |" in text.partition("photographs with structure")[2]
    assert "| grass | 0.600, 0.60 | 0.600, 0.60 |" in text
