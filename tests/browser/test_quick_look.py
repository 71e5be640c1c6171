"""A quick look in the page: what a quick model makes of the strokes is in the picture while a slow one works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from browser.driver import App, OpenApp
from fake_engines import HUB_CONTENT, photo
from serving import RunningServer, within

STROKE, OTHER_STROKE = [(60.0, 60.0), (100.0, 60.0)], [(200.0, 160.0), (240.0, 160.0)]
INSIDE, OUTSIDE = (80.0, 60.0), (80.0, 120.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """With the slow `distant` and the quick `migan` in memory."""
    for name in ("distant", "migan"):
        (tmp_path / f"{name}.bin").write_bytes(HUB_CONTENT)
    options = {"hub": "http://127.0.0.1:9", "model": "distant", "model_dir": str(tmp_path), "local_files_only": True}
    with RunningServer(tmp_path / "data", options) as server:
        assert within(60, lambda: len(server.ask("GET", "/readyz").json["workers"][0]["loaded"]) == 2)
        yield server


@pytest.fixture
def app(open_app: OpenApp, server: RunningServer, tmp_path: Path) -> Iterator[App]:
    """A photo in a page, filled when a test lets it."""
    Image.fromarray(photo(320, 240)).resize((960, 720)).save(tmp_path / "picture.png")
    app = open_app(f"http://127.0.0.1:{server.port}/")
    app.open(tmp_path / "picture.png")
    app.behave("stay")
    yield app
    app.page.context.close()  # before its server ends


def work_slowly(app: App, seconds: float) -> None:
    app.open_tuning()
    app.page.get_by_label("Behaviour").select_option("silent")
    app.page.get_by_label("Seconds").fill(str(seconds))
    app.close_panels()


def test_the_look_is_in_the_picture_until_the_result_takes_its_place(app: App, server: RunningServer) -> None:
    outside = app.colour_at(OUTSIDE)
    app.paint(STROKE)
    app.wait("lama.bitmaps.estimates().length === 1")
    app.settle()
    assert app.colour_at(INSIDE) == [0, 0, 255]
    assert app.ink_at(INSIDE) == 0, "no ink hides it"
    assert app.colour_at(OUTSIDE) == outside
    assert app.read("doc.edits.length === 0 && state.jobs.length > 0"), "it is no step of the timeline"

    server.let_go()
    app.wait_for_edits(1)
    app.settle()
    assert app.colour_at(INSIDE)[1:] == [0, 0]
    assert app.read("lama.bitmaps.estimates().length") == 0


def test_a_look_goes_with_its_job_and_can_be_switched_off(app: App) -> None:
    before = app.colour_at(INSIDE)
    app.paint(STROKE)
    app.wait("lama.bitmaps.estimates().length === 1")
    app.page.keyboard.press("Escape")
    app.wait("state.jobs.length === 0")
    app.settle()
    assert app.read("lama.bitmaps.estimates().length") == 0
    assert app.colour_at(INSIDE) == before
    assert app.ink_at(INSIDE) == 255, "the strokes are back"

    work_slowly(app, 1)
    app.page.click("#menu-button")
    app.page.get_by_label("Quick look while a slow model works").uncheck()
    app.page.keyboard.press("Escape")
    asked: list[str] = []
    app.page.on("request", lambda request: asked.append(request.url) if "/previews/" in request.url else None)
    app.paint(OTHER_STROKE)
    app.wait_for_edits(1)
    assert not asked
