"""Tools of the page: corners, the inverted mask, the brush sized by Alt, and edges that are seen while they are set."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.driver import App, OpenApp, Point

CORNERS: list[Point] = [(100.0, 100.0), (220.0, 100.0), (220.0, 200.0), (100.0, 200.0)]


@pytest.fixture
def app(open_app: OpenApp, photos: Path) -> App:
    app = open_app()
    app.open(photos / "astronaut.png")
    app.fill_on_release(False)
    return app


def click(app: App, point: Point) -> None:
    app.page.mouse.click(*app.on_screen(point))


def test_an_outline_of_corners_is_closed_where_it_began(app: App) -> None:
    app.page.click("[data-command=tool-polygon]")
    for corner in CORNERS:
        click(app, corner)
    assert app.read("doc.draft.length") == 0
    assert app.page.locator(".outline polygon").get_attribute("points")
    click(app, CORNERS[0])
    app.settle()
    assert app.read("doc.draft.map(({kind}) => kind)") == ["poly"]
    assert app.ink_at((160, 150)) == 255
    assert app.ink_at((240, 150)) == 0
    assert not app.page.locator(".outline polygon").get_attribute("points")


def test_corners_answer_to_the_keyboard(app: App) -> None:
    app.page.keyboard.press("k")
    for corner in [*CORNERS, (400.0, 400.0)]:
        click(app, corner)
    app.page.keyboard.press("Backspace")
    app.page.keyboard.press("Enter")
    app.settle()
    assert app.ink_at((160, 150)) == 255
    assert app.ink_at((250, 260)) == 0, "the last corner was taken back"
    click(app, CORNERS[0])
    click(app, CORNERS[1])
    app.page.keyboard.press("Escape")
    app.settle()
    assert app.read("doc.draft.length") == 1
    click(app, CORNERS[0])
    app.page.keyboard.press("b")
    assert app.read("state.painting") is False, "another tool gives the outline up"


def test_what_is_painted_is_inverted_and_inverted_back(app: App) -> None:
    app.paint([(100.0, 100.0), (160.0, 100.0)])
    app.page.keyboard.press("i")
    app.settle()
    assert app.ink_at((130, 100)) == 0
    assert app.ink_at((300, 300)) == 255
    app.page.click("[data-command=invert]")
    app.settle()
    assert app.ink_at((130, 100)) == 255
    assert app.ink_at((300, 300)) == 0


def test_alt_and_a_drag_size_the_brush_and_paint_nothing(app: App) -> None:
    before = app.read("state.prefs.brush")
    x, y = app.on_screen((200, 200))
    app.page.keyboard.down("Alt")
    app.page.mouse.move(x, y)
    app.page.mouse.down()
    app.page.mouse.move(x + 30, y, steps=5)
    label = app.page.locator(".ring-size.shown")
    label.wait_for()
    app.page.mouse.up()
    app.page.keyboard.up("Alt")
    assert app.read("state.prefs.brush") == pytest.approx(before + 60)
    assert app.read("doc.draft.length") == 0


def test_a_slider_that_moves_shows_the_brush_in_the_middle_as_large_as_it_becomes(app: App) -> None:
    box = app.page.locator("#brush-size").bounding_box()
    stage = app.page.locator("#stage").bounding_box()
    assert box is not None
    assert stage is not None
    y = box["y"] + box["height"] / 2
    app.page.mouse.move(box["x"] + 0.3 * box["width"], y)
    app.page.mouse.down()
    seen = []
    for share in (0.4, 0.6, 0.8):
        app.page.mouse.move(box["x"] + share * box["width"], y)
        ring, brush = app.read("[document.querySelector('.ring.middle')?.getBoundingClientRect(), state.prefs.brush]")
        assert ring["width"] == pytest.approx(brush, abs=0.5)
        assert ring["x"] + ring["width"] / 2 == pytest.approx(stage["x"] + stage["width"] / 2, abs=1)
        seen.append(brush)
    app.page.mouse.up()
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("painted", [True, False])
def test_growth_and_soft_edge_are_seen_on_the_photo_while_they_are_set(app: App, painted: bool) -> None:
    x, y, width, height = app.read("[state.view.x, state.view.y, state.viewport.width, state.viewport.height]")
    scale, radius = app.read("state.view.scale"), app.read("state.prefs.brush / state.view.scale / 2")
    middle = ((width / 2 - x) / scale, (height / 2 - y) / scale) if not painted else (60.0, 256.0)
    if painted:
        app.paint([middle])
        app.settle()
    beside = (middle[0], middle[1] + radius + 20)
    assert app.ink_at(beside) == 0
    app.open_tuning()
    app.page.get_by_label("Grow the strokes").press_sequentially("40")
    app.wait("state.edge?.growPx === 40")
    app.wait(f"lama.stage.probeInk({beside[0] * scale + x}, {beside[1] * scale + y}) === 255")
    app.wait("state.edge === null")
    app.settle()
    assert app.ink_at(beside) == 0
    assert app.ink_at(middle) == (255 if painted else 0)
