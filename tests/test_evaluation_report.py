"""Means with their intervals, tables, the page, and the measures that need a network."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inpaint_models.errors import EngineFailed, UnsafeWeights
from inpaint_models.evaluation import networks
from inpaint_models.evaluation.comparison import Failure, Pair, Row, compare
from inpaint_models.evaluation.report import Report
from inpaint_models.evaluation.summary import average, summarise
from inpaint_models.evaluation.tables import CSV_HEAD, table, titled_tables
from inpaint_models.types import AnyImage, HoleMask


def row(engine: str, photo: int, kind: str = "thin", **scores: float) -> Row:
    return Row(f"{photo}.png", f"{kind} 1", engine, 0.1, scores)


def pair(mask: str = "thin 1", *, truth: bool = True) -> Pair:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    hole = np.zeros((60, 80), np.bool_)
    hole[20:40, 30:55] = True
    return Pair("a<b>.png", mask, image, hole, image if truth else None)


def grey(image: AnyImage, hole: HoleMask) -> AnyImage:
    return np.where(hole[..., None], np.uint8(128), image)


def unharmed(truth: AnyImage, image: AnyImage, hole: HoleMask) -> AnyImage:
    return truth


def everything_grey(image: AnyImage, hole: HoleMask) -> AnyImage:
    return np.full_like(image, 128)


def refuses(image: AnyImage, hole: HoleMask) -> AnyImage:
    raise EngineFailed("It is too hot.")


def test_the_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    holds = sum(low <= 5 <= high for low, high in (_interval(rng.normal(5, 2, 40)) for _ in range(200)))
    assert 180 <= holds <= 199


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    found = average(values)
    return found.low, found.high


def test_the_mean_of_ratios_is_geometric() -> None:
    assert average(np.array([0.5, 2.0]), geometric=True).mean == pytest.approx(1)
    assert average(np.array([0.5, 2.0])).mean == 1.25
    single = average(np.array([3.0]))
    assert (single.mean, single.low, single.high, single.count) == (3, 3, 3, 1)


def test_engines_are_compared_over_the_pairs_that_both_filled() -> None:
    rows = [row("first", n, psnr=20 + n, sharpness=0.5) for n in range(3)]
    rows += [row("second", n, psnr=21 + n, sharpness=1.0) for n in range(1, 4)]
    first, second = summarise(rows)
    assert first.averages["psnr"].mean == 21
    assert second.averages["psnr"].mean == 23
    assert not first.differences
    difference = second.differences["psnr"]
    assert (difference.mean, difference.low, difference.high, difference.count) == (1, 1, 1, 2)
    assert second.differences["sharpness"].mean == pytest.approx(2)


def test_what_could_not_be_measured_is_left_out_of_the_mean() -> None:
    (line,) = summarise([row("one", 0, psnr=20, seam=float("nan")), row("one", 1, psnr=float("nan"))])
    assert line.averages["psnr"].count == 1
    assert "seam" not in line.averages


def test_the_best_of_each_column_is_marked_by_what_is_good_there() -> None:
    rows = [row("a", 0, psnr=20, l1=9, sharpness=0.5, repetition=0.2, seam=1.0)]
    rows += [row("b", 0, psnr=21, l1=8, sharpness=3.0, repetition=-0.1, seam=1.0)]
    head, a, b = table(summarise(rows))
    marked = {name: (x.startswith("**"), y.startswith("**")) for name, x, y in zip(head, a, b, strict=True)}
    assert (marked["PSNR"], marked["L1"], marked["repeats"]) == ((False, True),) * 3
    assert marked["sharpness"] == (True, False)
    assert marked["seam"] == (False, False)
    titles = [title for title, _ in titled_tables(summarise(rows), {})]
    assert titles == ["Masks: thin", "Masks: thin, differences to a over the same pairs"]


def test_an_engine_sees_nothing_of_what_is_behind_the_mask() -> None:
    seen: list[AnyImage] = []

    def spy(image: AnyImage, hole: HoleMask) -> AnyImage:
        seen.append(image[hole])
        return image

    list(compare(pair(), {"spy": spy}))
    assert not seen[0].any()


def test_an_engine_that_touches_known_pixels_is_found_out() -> None:
    (good, _), (bad, _) = (
        each for each in compare(pair(), {"good": grey, "bad": everything_grey}) if isinstance(each, tuple)
    )
    assert good.scores["changed_outside"] == 0
    assert bad.scores["changed_outside"] > 0.9 * (60 * 80 - 500)


def scores_of_a_greedy_engine() -> Mapping[str, float]:
    held: list[NDArray[np.uint8]] = []

    def greedy(image: AnyImage, hole: HoleMask) -> AnyImage:
        held.append(np.ones(64 << 20, np.uint8))
        return image

    (found,) = compare(pair(), {"greedy": greedy})
    assert isinstance(found, tuple)
    return found[0].scores


def test_time_and_memory_of_a_fill_are_measured() -> None:
    # In a process of its own: here, what earlier tests left is let go of at any time and hides what the fill takes.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        scores = fresh.submit(scores_of_a_greedy_engine).result()
    assert 50 <= scores["memory_mib"] <= 200
    assert scores["seconds"] > 0


def test_an_engine_that_fails_is_told_and_the_others_go_on() -> None:
    first, second = compare(pair(), {"refuses": refuses, "grey": grey})
    assert first == Failure("a<b>.png", "It is too hot.", "thin 1", "refuses")
    assert isinstance(second, tuple)


def filled_report(folder: Path) -> Report:
    report = Report(folder)
    for mask in ("thin 1", "thin 2"):
        one = pair(mask)
        report.begin(one)
        for result in compare(one, {"refuses": refuses, "grey": grey, "worse": everything_grey}):
            report.fail(result) if isinstance(result, Failure) else report.add(one, *result)
    return report


def test_the_page_opens_without_any_other_place(tmp_path: Path) -> None:
    report = filled_report(tmp_path / "out")
    report.finish(["Two pairs & a note."], {"grey": {"fid": 1.5, "u_ids": 0.25, "p_ids": 0.0}})
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "://" not in page
    assert "<script" not in page
    sources = re.findall(r'src="([^"]+)"', page)
    assert len(sources) == len(set(sources)) == 2 * 4
    assert all((tmp_path / "out" / source).read_bytes()[:2] == b"\xff\xd8" for source in sources)
    assert "a&lt;b&gt;.png" in page
    assert "<b>.png" not in page
    assert "Two pairs &amp; a note." in page
    assert page.count("It is too hot.") == 2
    assert "$" not in page


def test_rows_are_on_the_disk_before_the_report_is_finished(tmp_path: Path) -> None:
    report = filled_report(tmp_path / "out")
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_HEAD
    assert [(each["mask"], each["engine"]) for each in rows] == [(r.mask, r.engine) for r in report.rows]
    assert [float(each["l1"]) for each in rows] == pytest.approx([r.scores["l1"] for r in report.rows], rel=1e-5)
    assert rows[0]["lpips"] == ""


def test_the_summary_holds_every_mean_and_every_difference(tmp_path: Path) -> None:
    lines = filled_report(tmp_path / "out").finish([], {})
    with (tmp_path / "out" / "summary.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(line.averages) + len(line.differences) for line in lines)
    text = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert all(f"| {line.engine} |" in text for line in lines)


class Inception(torch.nn.Module):
    """Stands for the network: three numbers of a picture."""

    def forward(self, image: torch.Tensor, return_features: bool) -> torch.Tensor:
        return image.mean(dim=(2, 3)) if return_features else image


class Vgg(torch.nn.Module):
    """Stands for the network: all pixels."""

    def forward(self, image: torch.Tensor, resize_images: bool, return_lpips: bool) -> torch.Tensor:
        return (image / 255).flatten(1)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """TorchScript, as the networks are published."""
    paths = tmp_path / "inception.pt", tmp_path / "vgg16.pt"
    for path, network in zip(paths, (Inception(), Vgg()), strict=True):
        torch.jit.script(network).save(str(path))
    return paths


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_networks_are_read_from_files_and_measure_over_all_pairs(files: tuple[Path, Path]) -> None:
    found = networks.load(*files)
    for seed in range(6):
        image = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        one = Pair("p", f"thin {seed}", image, pair().hole[:40, :50], image)
        same, other = (
            each[0].scores
            for each in compare(one, {"same": partial(unharmed, image), "grey": grey}, found)
            if isinstance(each, tuple)
        )
        assert (same["lpips"], other["lpips"] > 1) == (0, True)
    totals = found.of_all_pairs()
    assert totals["same"]["fid"] == pytest.approx(0, abs=1e-6)
    assert totals["grey"]["fid"] > 1
    assert totals["same"]["p_ids"] == 0


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_file_that_is_no_network_is_refused_and_a_missing_one_measures_nothing(tmp_path: Path) -> None:
    (tmp_path / "vgg16.pt").write_bytes(b"words")
    with pytest.raises(UnsafeWeights, match=r"vgg16.pt is no TorchScript file"):
        networks.load(None, tmp_path / "vgg16.pt")
    nothing = networks.load(None, None)
    (found, _) = next(each for each in compare(pair(), {"grey": grey}, nothing) if isinstance(each, tuple))
    assert np.isnan(found.scores["lpips"])
    assert nothing.of_all_pairs() == {}


def features(count: int, seed: int, mean: float = 0.0, scale: float = 1.0, size: int = 8) -> Any:
    return np.random.default_rng(seed).normal(mean, scale, (count, size))


def test_the_frechet_distance_is_the_closed_form_of_normal_distributions() -> None:
    real, fake = features(400, 0), features(400, 1, mean=0.5, scale=2)
    a, b = np.cov(real.T), np.cov(fake.T)
    root = np.sqrt(np.linalg.eigvals(a @ b).real).sum()
    expected = ((real.mean(axis=0) - fake.mean(axis=0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * root
    assert networks.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)
    few = features(5, 0, size=64), features(5, 1, size=64)  # fewer pictures than features
    assert networks.frechet_distance(*few) > 0
    assert networks.frechet_distance(few[0], few[0]) == pytest.approx(0, abs=1e-9)


def test_discriminative_scores_are_half_for_equal_distributions_and_none_for_others() -> None:
    same = networks.inception_discriminative_scores(features(500, 0), features(500, 1))
    assert same == pytest.approx((0.5, 0.5), abs=0.08)
    assert networks.inception_discriminative_scores(features(500, 0), features(500, 1, mean=6)) == (0, 0)


def test_the_support_vector_machine_is_at_its_minimum() -> None:
    inputs = np.concatenate([features(60, 0), features(60, 1, mean=0.7)])
    signs = np.repeat([1.0, -1.0], 60)
    found = networks._linear_svm(inputs, signs)
    with_bias = torch.tensor(np.c_[inputs, np.ones(120)])
    weights = torch.tensor(found, requires_grad=True)
    slack = (1 - torch.tensor(signs) * (with_bias @ weights)).clamp(min=0)
    (0.5 * weights.square().sum() + slack.square().sum()).backward()
    assert weights.grad is not None
    assert float(weights.grad.abs().max()) < 1e-8
