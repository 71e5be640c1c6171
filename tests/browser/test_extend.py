"""The canvas is extended by its edges, by a shape or by a size, and what is new is filled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browser.driver import App, OpenApp


@pytest.fixture
def app(open_app: OpenApp, photos: Path) -> App:
    app = open_app(reduced_motion="reduce")  # the view is where it goes at once
    app.open(photos / "astronaut.png")
    app.page.click("[data-command=tool-extend]")
    app.page.wait_for_selector(".frame")
    app.settle()
    return app


def drag(app: App, handle: str, dx: float, dy: float) -> None:
    """By so many pixels of the photo."""
    app.settle()
    box = app.page.locator(f".handle.{handle}[role=slider]").bounding_box()
    assert box
    x, y, scale = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, app.read("state.view.scale")
    app.page.mouse.move(x, y)
    app.page.mouse.down()
    app.page.mouse.move(x + dx * scale, y + dy * scale, steps=5)
    app.page.mouse.up()


def pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(path).convert("RGB"))


def test_edges_are_dragged_filled_undone_and_downloaded(app: App, photos: Path, tmp_path: Path) -> None:
    before = pixels(photos / "astronaut.png")
    drag(app, "left", -100, 40)
    drag(app, "bottom", 0, 61)
    margins = app.read("state.margins")
    assert (margins["top"], margins["right"]) == (0, 0)
    assert abs(margins["left"] - 100) <= 2
    assert abs(margins["bottom"] - 61) <= 2
    app.page.click(".extend .go")
    app.wait_for_edits(2)
    app.settle()
    after = pixels(app.download(tmp_path / "extended.png"))
    left, height = margins["left"], before.shape[0]
    assert after.shape == (height + margins["bottom"], before.shape[1] + left, 3)
    np.testing.assert_array_equal(after[:height, left:], before)
    mirrored = np.pad(before, ((0, margins["bottom"]), (left, 0), (0, 0)), mode="symmetric")
    assert (after != mirrored).any(), "what is new was filled"
    seen = app.colour_at((left + 256.5, 200.5))
    assert np.abs(np.array(seen, int) - before[200, 256]).max() < 60

    app.page.keyboard.press("Control+z")
    app.wait("doc.edits.length === 0 && doc.draft.length === 0")
    app.settle()
    np.testing.assert_array_equal(pixels(app.download(tmp_path / "old.png")), before)
    app.page.keyboard.press("Control+Shift+z")
    app.wait("doc.edits.length === 2")
    np.testing.assert_array_equal(pixels(app.download(tmp_path / "again.png")), after)


def test_fills_from_before_move_with_the_photo_and_a_reload_finds_all(app: App, tmp_path: Path) -> None:
    app.page.keyboard.press("b")
    app.paint([(100.0, 100.0), (160.0, 100.0)])
    app.wait_for_edits(1)
    app.settle()
    filled = pixels(app.download(tmp_path / "filled.png"))
    app.page.keyboard.press("c")
    app.page.get_by_role("radio", name="16:9").click()
    app.page.click(".extend .go")
    app.wait_for_edits(3)
    app.settle()
    left = app.read("doc.edits[1].extend.left")
    assert left > 0
    wide = pixels(app.download(tmp_path / "wide.png"))
    np.testing.assert_array_equal(wide[:, left : left + filled.shape[1]], filled)
    app.page.keyboard.press("b")
    app.paint([(left + 300.0, 300.0), (left + 340.0, 300.0)])
    app.wait_for_edits(4)
    app.settle()
    app.page.reload()
    app.wait("state.image !== null && doc.edits.length === 4")
    app.settle()
    assert app.page.locator("#file-size").inner_text().startswith(f"{wide.shape[1]} ×")
    again = pixels(app.download(tmp_path / "again.png"))
    assert again.shape == wide.shape
    np.testing.assert_array_equal(again[:200], wide[:200])
    assert (again[280:320, left + 290 : left + 350] != wide[280:320, left + 290 : left + 350]).any()


def test_edges_answer_to_the_keyboard_and_sizes_can_be_typed(app: App) -> None:
    right = app.page.get_by_role("slider", name="Right edge")
    right.press("ArrowRight")
    right.press("Shift+ArrowRight")
    assert app.read("state.margins.right") == 72
    right.press("Shift+ArrowLeft")
    right.press("Shift+ArrowLeft")
    assert app.read("state.margins.right") == 0, "the photo is not cut"
    assert app.page.locator(".extend .go").is_disabled()
    height = app.page.get_by_label("Height")
    height.fill("600")
    height.press("Enter")
    assert app.read("[state.margins.top, state.margins.bottom]") == [44, 44]
    app.page.get_by_role("radio", name="Free").click()
    assert app.read("state.margins.top") == 0


def test_the_photo_stays_where_it_is_seen_when_its_canvas_grows(app: App) -> None:
    app.page.keyboard.press("1")
    app.settle()
    place = app.on_stage((0, 0))
    app.page.get_by_label("Width").fill("600")
    app.page.get_by_label("Width").press("Enter")
    app.page.click(".extend .go")
    app.wait_for_edits(2)
    app.settle()
    left = app.read("doc.edits[0].extend.left")
    assert left == 44
    assert app.on_stage((left, 0)) == pytest.approx(place, abs=0.01)


def test_a_canvas_beyond_the_servers_limit_is_refused_in_words_and_nothing_is_lost(
    app: App, tolerated: list[str]
) -> None:
    tolerated.append("422")
    app.page.get_by_label("Width").fill("90000")
    app.page.get_by_label("Width").press("Enter")
    app.page.click(".extend .go")
    note = app.page.locator("#notes .note")
    note.wait_for()
    assert "90000" in note.inner_text()
    assert app.read("doc.edits.length") == 0
    assert app.read("state.margins.left") > 0
