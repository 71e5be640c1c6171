"""Where fills copy from is painted: from here only in green, never from here in red, where the model can be told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browser.driver import App, OpenApp, Point, Server, running_server

HOLE: list[Point] = [(150.0, 100.0), (150.0, 140.0)]
LEFT_HALF: list[Point] = [(40.0, 20.0), (40.0, 220.0)]


@pytest.fixture(scope="module")
def copying_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("copying"), "--model", "patchmatch") as server:
        yield server


@pytest.fixture
def app(open_app: OpenApp, copying_server: Server, tmp_path: Path) -> App:
    """Green on the left, blue on the right: what is copied tells where it came from."""
    pixels = np.random.default_rng(0).integers(0, 40, (240, 300, 3), dtype=np.uint8)
    pixels[:, :100, 1] += 180
    pixels[:, 100:, 2] += 180
    Image.fromarray(pixels).save(tmp_path / "halves.png")
    app = open_app(copying_server.url)
    app.open(tmp_path / "halves.png")
    return app


def filled_colour(app: App, to: Path) -> list[int]:
    app.settle()
    pixels = np.asarray(Image.open(app.download(to)).convert("RGB"))
    return [int(value) for value in pixels[105:135, 145:155].reshape(-1, 3).mean(axis=0)]


def test_a_fill_copies_from_where_it_was_told_to(app: App, tmp_path: Path) -> None:
    app.page.click("#source-tool")
    app.paint(LEFT_HALF)
    assert app.read("[doc.source.include.length, doc.draft.length]") == [1, 0]
    app.settle()
    assert app.ink_at((40, 100)) == 255
    app.page.keyboard.press("b")
    app.paint(HOLE)
    app.wait_for_edits(1)
    _, green, blue = filled_colour(app, tmp_path / "green.png")
    assert green > 120 > blue
    assert app.read("doc.source.include.length") == 1, "it holds until it is cleared"

    app.page.keyboard.press("Control+z")
    app.wait("doc.edits.length === 0")
    app.page.keyboard.press("s")
    app.page.click(".sources [data-command=clear]")
    app.page.keyboard.press("a")
    app.paint(LEFT_HALF)
    assert app.read("[doc.source.include.length, doc.source.exclude.length]") == [0, 1]
    app.page.keyboard.press("b")
    app.paint(HOLE)
    app.wait_for_edits(1)
    _, green, blue = filled_colour(app, tmp_path / "blue.png")
    assert blue > 120 > green
    for _ in range(2):
        app.page.keyboard.press("Control+z")
    app.wait("doc.source.exclude.length === 0")


def test_the_tool_is_there_for_models_that_copy(app: App) -> None:
    assert app.page.locator("#source-tool").is_visible()
    app.page.click("#source-tool")
    app.paint(LEFT_HALF)
    app.open_models()
    app.page.locator("#models input[value=opencv]").check()
    app.close_panels()
    assert app.page.locator("#source-tool").is_hidden()
    assert app.read("state.tool") == "brush"
    app.settle()
    assert app.ink_at((40, 100)) == 0
    app.paint(HOLE)
    app.wait_for_edits(1)
