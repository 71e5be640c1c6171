"""The page in Chromium: from opening its address until it answers, and until a first stroke is drawn on a sample photo.

First with an empty cache, as on a first visit, then again in the same browser, which has the page's files by then. The
stroke comes from this process once the photo is drawn: its row contains that way too, some milliseconds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from inpaint_models.machine import available_processors

from .measure import ROOT, Row

sys.path.insert(0, str(ROOT / "tests"))

from browser.driver import App, launch_chromium, running_server

RUNS = 7
VISITS = ("first visit", "later visit")

WATCH = """
(() => {
  const next = (true_, done) => {
    const look = () => (true_() ? requestAnimationFrame(() => done(performance.now())) : requestAnimationFrame(look));
    look();
  };
  const when = (true_) => new Promise((done) => next(true_, done));
  globalThis.answers = when(() => window.lama);
  globalThis.inked = answers.then(() => when(() => lama.stage.probeInk(540, 300) > 0));
})();
"""
"""Milliseconds since the navigation began: the page's own code has run, and a frame after it; ink is in sight."""


def rows() -> list[Row]:
    times: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        with running_server(Path(folder) / "data", "--model", "opencv") as server:
            for _ in range(RUNS + 1):
                for key, taken_ms in visits(browser, server.url).items():
                    times.setdefault(key, []).append(taken_ms)
        browser.close()
    return [
        Row(
            engine="page",
            what=f"navigation to {what}, {visit}",
            ms=statistics.median(values[1:]),
            runs=RUNS,
            threads=available_processors(),
        )
        for (visit, what), values in times.items()
    ]


def visits(browser: Browser, url: str) -> dict[tuple[str, str], float]:
    """Milliseconds by visit and by what was waited for."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(WATCH)
    found = {}
    for visit in VISITS:
        page = context.new_page()
        page.goto(url, wait_until="commit")
        found[visit, "interactive"] = float(page.evaluate("answers"))
        found[visit, "first stroke drawn"] = first_stroke(App(page))
        page.close()
    context.close()
    return found


def first_stroke(app: App) -> float:
    """Milliseconds since the navigation, on a sample photo that is opened as soon as the page answers."""
    app.page.evaluate("document.querySelector('[data-sample=beach]').click()")
    app.wait("lama.bitmaps.pyramid() !== null")
    box = app.page.locator("#stage").bounding_box()
    assert box is not None
    app.page.mouse.move(box["x"] + 540, box["y"] + 300)
    app.page.mouse.down()
    app.page.mouse.move(box["x"] + 560, box["y"] + 310)
    return float(app.page.evaluate("inked"))
