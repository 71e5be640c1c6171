"""More fills than there is room for as pictures of their own: they become part of the photo's tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from browser.driver import App, OpenApp, Point

SMALL_MEMORY = "Object.defineProperty(Navigator.prototype, 'deviceMemory', { get: () => 1 / 64 });"
"""A device on which decoded patches may take half a mebibyte."""

ROWS = [150.0, 300.0, 450.0, 600.0, 750.0, 900.0, 1050.0]


def places(count: int = len(ROWS)) -> list[Point]:
    return [(800.0, y) for y in ROWS[:count]]


def colours(app: App) -> list[list[int]]:
    return [app.colour_at(place) for place in places()]


def alike(some: list[list[int]], others: list[list[int]]) -> list[bool]:
    return [bool(np.abs(np.subtract(a, b)).max() <= 6) for a, b in zip(some, others, strict=True)]


@pytest.fixture
def filled(open_app: OpenApp, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[App, list[list[int]]]:
    """A photo with bright lines that were removed, one after another; and the colours before that."""
    app = open_app(script=SMALL_MEMORY)
    pixels = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((1600, 1200))).copy()
    for y in ROWS:
        pixels[int(y) - 15 : int(y) + 15, 300:1300] = (255, 0, 255)
    if request.param == "RGBA":
        pixels = np.dstack([pixels, np.full((1200, 1600), 200, np.uint8)])
    Image.fromarray(pixels).save(tmp_path / "lines.png")
    app.open(tmp_path / "lines.png")
    app.settle()
    before = colours(app)
    for count, y in enumerate(ROWS, 1):
        app.paint([(280.0, y), (1320.0, y)])
        app.wait_for_edits(count)
    app.settle()
    return app, before


def decodes(app: App) -> int:
    """Once nothing is being decoded any more."""
    seen = -1
    while seen != (now := int(app.read("lama.bitmaps.decodes()"))):
        seen = now
        app.page.wait_for_timeout(300)
        app.settle()
    return seen


@pytest.mark.parametrize("filled", ["RGB", "RGBA"], indirect=True)
def test_frames_need_no_decoding_however_many_fills_are_in_sight(filled: tuple[App, list[list[int]]]) -> None:
    app, before = filled
    counted = decodes(app)
    after = colours(app)
    assert alike(after, before) == [False] * len(ROWS)
    held = app.read("lama.bitmaps.counts().decoded")
    assert 0 < held < len(ROWS)
    app.page.mouse.move(640, 400)
    for delta in (-300, -300, 300, 300, 200, -200):
        app.page.mouse.wheel(0, delta)
        app.settle()
    app.page.keyboard.press("0")
    app.settle()
    assert app.read("lama.bitmaps.decodes()") == counted
    assert app.read("lama.bitmaps.counts().decoded") == held
    assert all(alike(colours(app), after))

    app.page.keyboard.down("\\")
    app.settle()
    assert all(alike(colours(app), before))
    app.page.keyboard.up("\\")
    app.settle()
    assert all(alike(colours(app), after))
    app.page.keyboard.press("/")
    app.settle()
    left, right = (310.0, ROWS[0]), (1290.0, ROWS[0])
    assert (app.colour_at(left)[1] < 60, app.colour_at(right)[1] < 60) == (True, False), "the line, and no line"
    assert app.read("lama.bitmaps.decodes()") == counted


@pytest.mark.parametrize("filled", ["RGB"], indirect=True)
def test_undo_past_what_was_drawn_into_the_photo_is_exact(filled: tuple[App, list[list[int]]]) -> None:
    app, before = filled
    decodes(app)
    after = colours(app)
    for left in reversed(range(len(ROWS))):
        app.page.keyboard.press("Control+z")
        decodes(app)
        now = colours(app)
        assert alike(now, after) == [index < left for index in range(len(ROWS))]
        assert alike(now, before) == [index >= left for index in range(len(ROWS))]
    for _ in ROWS:
        app.page.keyboard.press("Control+Shift+z")
    decodes(app)
    assert all(alike(colours(app), after))

    app.page.reload()
    app.wait(f"doc.edits.length === {len(ROWS)}")
    app.settle()
    decodes(app)
    assert alike(colours(app), before) == [False] * len(ROWS)
