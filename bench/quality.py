"""Quality of the engines that need no weights, beside other programs; writes docs/quality.md and out/quality.

make quality, or PYTHONPATH=server:models python -m bench.quality [--before COMMIT]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_models import FillOptions, load_model
from inpaint_models.errors import EngineFailed
from inpaint_models.evaluation.comparison import Fill, Pair, Row, compare
from inpaint_models.evaluation.masks import SAMPLERS
from inpaint_models.evaluation.report import Report
from inpaint_models.evaluation.summary import Line, summarise
from inpaint_models.evaluation.tables import as_markdown, legend, shown, table, titled_tables
from inpaint_models.loading import warm_up
from inpaint_models.types import AnyImage, HoleMask

from .earlier import Earlier
from .scenes import PHOTOGRAPHS, photograph

_ROOT = Path(__file__).resolve().parent.parent
_PAGE = _ROOT / "docs" / "quality.md"
_REPORT = _ROOT / "out" / "quality"
_SAMPLERS = ("lama-thin", "lama-medium", "lama-thick")
_MASKS_PER_PHOTOGRAPH = 2
_FIRST_SEED = 9000
_WITHOUT_STRUCTURE = ("grass.png", "gravel.png")
_PACKAGES = {"PyPatchMatch": "patchmatch", "patchmatch-cython": "patchmatch_cython"}
_ASKED = (
    "Asked of patchmatch on thick strokes of photographs with structure were an SSIM of Telea's (0.509) and a "
    "sharpness of 0.6; it reaches 0.477 and 0.44. Both together are out of reach of choosing better among its fills: "
    "even the best of 12 variants for each pair, chosen with the truth known, comes to 0.509 at a sharpness of 0.45."
)  # the figures of the run that docs/quality.md shows: to be written anew with another one
_LEFT_OUT = ("l1", "memory_mib")  # says what PSNR says; an earlier version's memory is in another process


def engines() -> dict[str, Fill]:
    """This project's own, patchmatch first."""
    opencv, patchmatch = load_model("opencv"), load_model("patchmatch")
    warm_up(patchmatch)

    def classical(method: str, image: AnyImage, hole: HoleMask) -> AnyImage:
        return opencv(image, hole, FillOptions(params={"method": method}))

    return {
        "patchmatch": patchmatch,
        "Telea": partial(classical, "telea"),
        "Navier-Stokes": partial(classical, "navier-stokes"),
    }


def others() -> dict[str, Fill]:
    """Other programs that are installed (the extra "quality"), as their documentation calls them."""
    found: dict[str, Fill] = {}
    if (module := _package("PyPatchMatch")) is not None:
        found["PyPatchMatch"] = partial(_pypatchmatch, module)
    if (module := _package("patchmatch-cython")) is not None:
        found["patchmatch-cython"] = partial(_patchmatch_cython, module)
    return found


def _package(name: str) -> Any:
    module = _PACKAGES[name]
    return None if importlib.util.find_spec(module) is None else importlib.import_module(module)


def _pypatchmatch(module: Any, image: AnyImage, hole: HoleMask) -> AnyImage:
    filled: AnyImage = module.inpaint(image, hole.astype(np.uint8) * 255, patch_size=3)  # as in its examples
    return filled


def _patchmatch_cython(module: Any, image: AnyImage, hole: HoleMask) -> AnyImage:
    """Raises `EngineFailed` where the smallest level of its pyramid is all hole."""
    try:
        filled: AnyImage = module.inpaint_pyramid(image, hole, seed=0)
    except ValueError as error:
        raise EngineFailed(str(error)) from error
    return filled


def pairs() -> Iterator[Pair]:
    """All photographs with their first masks, then all with their second ones: a stopped run has whole rounds."""
    for repeat in range(_MASKS_PER_PHOTOGRAPH):
        for index, name in enumerate(PHOTOGRAPHS):
            truth = photograph(name)
            height, width, _ = truth.shape
            for sampler in _SAMPLERS:
                hole = SAMPLERS[sampler](height, width, _FIRST_SEED + 100 * index + repeat)
                yield Pair(name, f"{sampler} {repeat + 1}", truth, hole, truth)


def measure(fills: Mapping[str, Fill], report: Report) -> list[str]:
    """Until all is measured, or Ctrl+C; says which pairs were left out, because a program could not fill them."""
    left_out = []
    try:
        for pair in pairs():
            results = list(compare(pair, fills))
            filled = [result for result in results if isinstance(result, tuple)]
            left_out += [result.words for result in results if not isinstance(result, tuple)]
            if len(filled) == len(fills):
                report.begin(pair)
                for result in filled:
                    report.add(pair, *result)
            print(pair.photo, pair.mask, flush=True)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    return left_out


def page(rows: Sequence[Row], notes: Sequence[str]) -> str:
    """docs/quality.md."""
    rows = [
        Row(r.photo, r.mask, r.engine, r.area, {k: v for k, v in r.scores.items() if k not in _LEFT_OUT}) for r in rows
    ]
    lines = summarise(rows)
    parts = ["# Quality of the engines that need no weights", "", "Written by `make quality`.", ""]
    parts += [part for note in notes for part in (note, "")]
    for title, cells in titled_tables(lines, {}):
        parts += [f"## {title}", "", *as_markdown(cells), ""]
    structured = [row for row in rows if row.kind == "lama-thick" and row.photo not in _WITHOUT_STRUCTURE]
    parts += ["## Masks: lama-thick, photographs with structure", "", "All but grass and gravel.", ""]
    parts += [*as_markdown(table(summarise(structured))), ""]
    parts += ["## SSIM and sharpness by photograph", "", *as_markdown(list(_by_photograph(rows))), ""]
    return "\n".join([*parts, "## What the columns mean", "", *(f"- {text}" for text in legend(shown(lines))), ""])


def _by_photograph(rows: Sequence[Row]) -> Iterator[list[str]]:
    """Over all masks of a photograph."""
    engines = list(dict.fromkeys(row.engine for row in rows))
    yield ["photograph", *engines]
    for photo in dict.fromkeys(row.photo for row in rows):
        lines = [_of_all_masks([row for row in rows if (row.photo, row.engine) == (photo, each)]) for each in engines]
        figures = [(line.averages["ssim"].mean, line.averages["sharpness"].mean) for line in lines]
        yield [photo.split(".")[0], *(f"{ssim:.3f}, {sharpness:.2f}" for ssim, sharpness in figures)]


def _of_all_masks(rows: Sequence[Row]) -> Line:
    (line,) = summarise([Row(row.photo, "all", row.engine, row.area, row.scores) for row in rows])
    return line


def notes(fills: Mapping[str, Fill], before: str | None, report: Report) -> list[str]:
    """What the page says before its tables."""
    count = len({row.pair for row in report.rows})
    masks = "; ".join(f"{name}: {SAMPLERS[name].about}" for name in _SAMPLERS)
    found = [
        f"{len(PHOTOGRAPHS)} photographs that scikit-image carries, {count} pairs of photograph and mask. The masks "
        f"are drawn as published ({masks}), scaled to the shorter side; no constant was chosen on them. All engines in "
        "one run, one after the other on each pair. In brackets: where the mean lies with 95 % confidence (bootstrap "
        "over the pairs). Seconds are of this one run, on a machine that did other work too; `make bench` measures "
        "speed. `lama-server evaluate` measures all of this on your own photos: see [evaluate.md](evaluate.md).",
        _ASKED,
    ]
    if before is not None:
        found.append(f"patchmatch before: as it was at commit {before}.")
    missing = [name for name in _PACKAGES if name not in fills]
    if missing:
        found.append(f"Not installed, so not in the tables: {', '.join(missing)}.")
    else:
        found.append("PyPatchMatch with a patch radius of 3, as in its examples; patchmatch-cython with its defaults.")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--before", metavar="COMMIT", help="also measure patchmatch as it was then")
    given = parser.parse_args(arguments)
    earlier: dict[str, Fill] = {} if given.before is None else {"patchmatch before": Earlier(given.before)}
    fills = {**engines(), **earlier, **others()}
    shutil.rmtree(_REPORT, ignore_errors=True)
    report = Report(_REPORT)
    left_out = [f"Left out: {words}" for words in measure(fills, report)]
    said = [*notes(fills, given.before, report), *left_out]
    report.finish(said, {})
    _PAGE.write_text(page(report.rows, said), encoding="utf-8")
    print(_REPORT / "report.html")


if __name__ == "__main__":
    main()
