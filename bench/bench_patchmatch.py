"""The exemplar engine: first call, warm, one and two threads, beside Telea and a biharmonic fill."""

from __future__ import annotations

import os
import tempfile
import time
from functools import partial

import cv2
from skimage.restoration import inpaint_biharmonic

from inpaint_models import Inpainter, get_model, load_model

from .measure import Row, in_fresh_process, interleaved
from .scenes import HoleMask, Photo, disc_mask, mosaic

_SCENES = (
    # height, width, share of the hole, runs
    (512, 512, 0.20, 5),
    (1024, 1024, 0.20, 3),
    (3000, 4000, 0.02, 3),
)


def rows() -> list[Row]:
    found = [_compiling()]
    for height, width, share, runs in _SCENES:
        for threads in (1, 2):
            scene = {"height": height, "width": width, "share": share, "threads": threads}
            peak_mib = in_fresh_process(f"{__name__}:fill_once", scene, threads=threads)["peak_mib"]
            wanted = {**scene, "runs": runs, "biharmonic": threads == 1}
            times = in_fresh_process(f"{__name__}:compare", wanted, threads=threads)
            found += _rows_of(times, f"{width}x{height}, hole {share:.0%}", threads, runs, peak_mib)
    return found


def compare(height: int, width: int, share: float, threads: int, runs: int, biharmonic: bool) -> dict[str, float]:
    """Milliseconds of each engine; the jobs take turns."""
    image, hole = mosaic(height, width), disc_mask(height, width, share)
    started = time.perf_counter()
    patchmatch = _patchmatch(threads)
    patchmatch(image, hole)
    first_ms = (time.perf_counter() - started) * 1000
    telea = load_model("opencv")
    cv2.setNumThreads(threads)
    times = interleaved(
        {"patchmatch": lambda: patchmatch(image, hole), "telea": lambda: telea(image, hole)}, runs=runs, warm_up=0
    )
    times["first"] = first_ms
    if biharmonic:
        times["biharmonic"] = _biharmonic_ms(image, hole)
    return times


def fill_once(height: int, width: int, share: float, threads: int) -> dict[str, float]:
    """One fill and nothing else, for the peak memory of its process."""
    _patchmatch(threads)(mosaic(height, width), disc_mask(height, width, share))
    return {}


def first_on_this_machine() -> dict[str, float]:
    """Milliseconds of the first small fill where nothing is compiled yet."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["NUMBA_CACHE_DIR"] = cache  # read when numba is imported, and so before the engine is
        started = time.perf_counter()
        _patchmatch(1)(mosaic(128, 128), disc_mask(128, 128, 0.1))
        return {"ms": (time.perf_counter() - started) * 1000}


def _patchmatch(threads: int) -> Inpainter:
    from inpaint_models.patchmatch.engine import PatchMatchEngine  # imports numba

    return Inpainter(get_model("patchmatch"), PatchMatchEngine(threads=threads))


def _compiling() -> Row:
    found = in_fresh_process(f"{__name__}:first_on_this_machine", {}, threads=1)
    return Row(
        engine="patchmatch",
        what="first fill on a machine, with compiling",
        ms=found["ms"],
        runs=1,
        size="128x128, hole 10%",
        peak_mib=found["peak_mib"],
        note="done in the background after start",
    )


def _rows_of(times: dict[str, float], size: str, threads: int, runs: int, peak_mib: float) -> list[Row]:
    mine = times["patchmatch"]
    row = partial(Row, size=size, threads=threads)
    found = [
        row("patchmatch", "first call of a process", times["first"], 1, note="code from the cache"),
        row("patchmatch", "warm", mine, runs, peak_mib=peak_mib, ratio=times["telea"] / mine, against="telea"),
        row("opencv", "telea", times["telea"], runs),
    ]
    if "biharmonic" in times:
        ratio = mine / times["biharmonic"]
        found.append(row("scikit-image", "biharmonic", times["biharmonic"], 1, ratio=ratio, against="patchmatch"))
    return found


def _biharmonic_ms(image: Photo, hole: HoleMask) -> float:
    started = time.perf_counter()
    inpaint_biharmonic(image / 255, hole, channel_axis=2)
    return (time.perf_counter() - started) * 1000
