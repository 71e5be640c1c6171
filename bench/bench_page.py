"""The page in Chromium: from asking for a fill to the frame in which all of it is drawn, on 2, 24 and 48 megapixels.

One dab, two at opposite corners, twelve all over the photo, and one stroke from corner to corner, all with one brush
and with the engine that takes the least time. Two dabs should cost about twice one, wherever they are.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

from inpaint_models.machine import available_processors

from .bench_edits import SIZES, STROKE_PX, photo
from .measure import ROOT, Row

sys.path.insert(0, str(ROOT / "tests"))

from browser.driver import App, Point, launch_chromium, running_server

MEGAPIXELS = (2, 24, 48)
RUNS = 3
NOT_COUNTED = "without the 250 ms in which further strokes are waited for"

PREFS = {"brush": STROKE_PX, "brushLocked": True, "auto": False}
"""The brush has the same size in pixels of every photo, and nothing is filled before it is asked for."""

CLOCK = """
(() => {
  globalThis.drawn = new Promise((done) => addEventListener("keydown", ({ timeStamp }) => {
    const look = () => {
      const { timeline, jobs } = lama.state();
      if (timeline.steps[timeline.at].doc.edits.length === 0 || jobs.length > 0) requestAnimationFrame(look);
      else requestAnimationFrame(() => requestAnimationFrame((now) => done(now - timeStamp)));
    };
    requestAnimationFrame(look);
  }, { capture: true, once: true }));
})();
"""
"""Runs from the key that asks for the fill to the frame after the one in which the last patch was drawn."""

Strokes = Sequence[Sequence[Point]]


def rows() -> list[Row]:
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        with running_server(Path(folder) / "data", "--model", "opencv") as server:
            for megapixels in MEGAPIXELS:
                height, width = SIZES[megapixels]
                path = Path(folder) / f"{megapixels}.jpg"
                path.write_bytes(photo(height, width))
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.add_init_script(f"localStorage.setItem('lama-server.prefs', {json.dumps(json.dumps(PREFS))})")
                page.goto(server.url)
                app = App(page)
                app.settle()
                app.open(path)
                app.wait("state.image.id !== null")
                found += measured(app, megapixels, drawings(width, height))
                page.close()
        browser.close()
    return found


def drawings(width: int, height: int) -> dict[str, Strokes]:
    """What is painted, by name."""

    def at(x: float, y: float) -> Point:
        return x * width, y * height

    grid = [[at((2 * column + 1) / 8, (2 * row + 1) / 6)] for row in range(3) for column in range(4)]
    return {
        "one dab": [[at(0.1, 0.1)]],
        "two far dabs": [[at(0.1, 0.1)], [at(0.9, 0.9)]],
        "twelve dabs": grid,
        "a diagonal": [[at(0.1, 0.1), at(0.9, 0.9)]],
    }


def measured(app: App, megapixels: int, drawn: Mapping[str, Strokes]) -> list[Row]:
    times: dict[str, list[float]] = {name: [] for name in drawn}
    for turn in range(RUNS + 1):
        for name, strokes in drawn.items():
            taken_ms = fill(app, strokes)
            if turn:
                times[name].append(taken_ms)
    medians = {name: statistics.median(values) for name, values in times.items()}
    one_ms = medians["one dab"]
    size = "x".join(str(app.read(f"state.image.{side}")) for side in ("width", "height"))
    return [
        Row(
            engine="page, opencv",
            what=f"asked to drawn, {name}",
            size=size,
            ms=ms,
            runs=RUNS,
            threads=available_processors(),
            ratio=one_ms / ms,
            against="one dab",
            note=f"{megapixels} MP; {ms / one_ms:.1f} times one dab; brush of {STROKE_PX} px; {NOT_COUNTED}",
        )
        for name, ms in medians.items()
    ]


def fill(app: App, strokes: Strokes) -> float:
    """Milliseconds; the photo is as before afterwards."""
    for points in strokes:
        app.paint(points)
    app.settle()
    app.page.evaluate(CLOCK)
    app.page.keyboard.press("Enter")
    taken_ms = float(app.page.evaluate("drawn"))
    app.page.keyboard.press("Control+z")
    app.wait("doc.edits.length === 0 && doc.draft.length === 0")
    app.settle()
    return taken_ms
