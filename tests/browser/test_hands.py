"""Keys, wheel and brush in the corners: what a hand does must mean what it looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.driver import App, OpenApp


@pytest.fixture
def open_photo(app: App, photos: Path) -> App:
    app.open(photos / "astronaut.png")
    return app


def test_the_photo_goes_on_filling_the_window_when_that_changes(open_photo: App) -> None:
    before = open_photo.read("state.view.scale")
    open_photo.page.set_viewport_size({"width": 640, "height": 480})
    open_photo.settle()
    assert open_photo.read("state.view.scale") < before
    view, room = open_photo.read("state.view"), open_photo.read("state.viewport")
    assert view["x"] >= 0
    assert view["x"] + 512 * view["scale"] <= room["width"]
    open_photo.page.keyboard.press("1")
    open_photo.settle()
    chosen = open_photo.read("state.view")
    open_photo.page.set_viewport_size({"width": 900, "height": 700})
    open_photo.settle()
    assert open_photo.read("state.view") == chosen, "a view that was chosen stays"


def test_a_wheel_on_a_scaled_screen_zooms(open_photo: App) -> None:
    before = open_photo.read("state.view.scale")
    open_photo.page.mouse.move(*open_photo.on_screen((256, 256)))
    open_photo.page.mouse.wheel(0, -66.67)
    open_photo.wait(f"state.view.scale > {before}")


def test_a_button_that_was_clicked_leaves_the_keys_to_the_photo(open_photo: App) -> None:
    open_photo.paint([(60.0, 60.0), (90.0, 60.0)])
    open_photo.wait_for_edits(1)
    open_photo.page.locator('.bar [data-command="undo"]').click()
    open_photo.settle()
    assert open_photo.page.evaluate("document.activeElement.id") == "stage"


@pytest.mark.parametrize("key", ["[", "]"])
def test_signs_that_need_alt_gr_work(open_photo: App, key: str) -> None:
    """On many keyboards [ ] and backslash are typed with AltGr, which some systems report as Ctrl and Alt."""
    before = open_photo.read("state.prefs.brush")
    open_photo.page.evaluate(
        """(key) => document.body.dispatchEvent(new KeyboardEvent("keydown", {
          key, code: "Digit8", ctrlKey: true, altKey: true, modifierAltGraph: true, bubbles: true }))""",
        key,
    )
    after = open_photo.read("state.prefs.brush")
    assert after > before if key == "]" else after < before


def test_a_brush_locked_to_the_photo_grows_and_shrinks_by_steps_and_never_past_what_can_be_sent(
    open_photo: App,
) -> None:
    page = open_photo.page
    page.locator("#menu-button").click()
    page.get_by_label("Brush grows with zoom").check()
    page.keyboard.press("Escape")
    page.locator("#stage").focus()
    for wanted in (900, 8192):
        while open_photo.read("state.prefs.brush") < wanted:
            before = open_photo.read("state.prefs.brush")
            page.keyboard.press("]")
            after = open_photo.read("state.prefs.brush")
            assert after == pytest.approx(min(8192, before * 1.1))
    open_photo.paint([(256.0, 256.0)])
    open_photo.wait("doc.draft.length + doc.edits.length === 1")
    assert open_photo.read("(doc.draft[0] ?? doc.edits[0].shapes[0]).d") == 8192


def test_compare_ends_with_its_key_whatever_was_pressed_meanwhile(open_photo: App) -> None:
    open_photo.paint([(60.0, 60.0), (90.0, 60.0)])
    open_photo.wait_for_edits(1)
    keyboard = open_photo.page.keyboard
    keyboard.down("\\")
    assert open_photo.read("state.compare.mode") == "hold"
    keyboard.down("Shift")
    keyboard.up("|")  # the same key, which makes another sign now
    keyboard.up("Shift")
    assert open_photo.read("state.compare.mode") == "off"


def test_a_stroke_beside_the_photo_is_none_and_leaves_no_ink(open_photo: App) -> None:
    open_photo.paint([(-100.0, 100.0), (-60.0, 130.0)])
    open_photo.settle()
    assert open_photo.read("[doc.draft.length, state.jobs.length]") == [0, 0]
    open_photo.fill_on_release(False)
    open_photo.paint([(-60.0, 200.0), (60.0, 200.0)])
    open_photo.settle()
    assert open_photo.read("doc.draft.length") == 1
    assert open_photo.ink_at((-30.0, 200.0)) == 0
    assert open_photo.ink_at((30.0, 200.0)) == 255


def test_the_tab_at_the_edge_draws_before_and_after_apart_and_goes_back_to_the_edge(open_photo: App) -> None:
    tab = open_photo.page.locator("#split")
    assert tab.is_hidden(), "there is nothing to compare yet"
    inside = (90.0, 60.0)
    before = open_photo.colour_at(inside)
    open_photo.paint([(60.0, 60.0), (120.0, 60.0)])
    open_photo.wait_for_edits(1)
    open_photo.settle()
    after = open_photo.colour_at(inside)
    assert after != before
    tab.wait_for()
    left = open_photo.on_screen((0, 0))[0]
    box = tab.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] / 2 == pytest.approx(left, abs=2), "it stands at the photo's edge"

    mouse, (x, y) = open_photo.page.mouse, (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.move(x, y)
    mouse.down()
    mouse.move(open_photo.on_screen((300, 0))[0], y, steps=4)
    mouse.up()
    open_photo.settle()
    assert open_photo.read("state.compare.mode") == "slider"
    assert open_photo.colour_at(inside) == before
    tab.press("Home")
    open_photo.settle()
    assert open_photo.read("state.compare.mode") == "off"
    assert open_photo.colour_at(inside) == after
    for _ in range(30):
        tab.press("ArrowRight")
    open_photo.settle()
    assert open_photo.colour_at(inside) == before
    assert int(tab.get_attribute("aria-valuenow") or 0) > 0
    open_photo.page.keyboard.press("Escape")
    open_photo.settle()
    assert open_photo.read("state.compare.mode") == "off"
    assert open_photo.colour_at(inside) == after


PLACES = """() => [...document.querySelectorAll(".bar button, .rail button, .dock, .pill, .steps")]
  .filter((each) => each.checkVisibility())
  .map((each) => [each.dataset.command ?? each.className, ...Object.values(each.getBoundingClientRect().toJSON())])"""


def test_undo_pressed_twice_in_one_place_is_undo_twice_and_nothing_has_moved(open_photo: App) -> None:
    page = open_photo.page
    places = page.evaluate(PLACES)
    for edits, y in ((1, 100.0), (2, 400.0)):
        open_photo.paint([(100.0, y), (160.0, y)])
        open_photo.wait_for_edits(edits)
    assert page.evaluate(PLACES) == places
    page.keyboard.press("v")
    page.locator("#drawer").wait_for()
    assert page.evaluate(PLACES) == places
    box = page.locator(".bar [data-command=undo]").bounding_box()
    assert box is not None
    for _ in range(2):
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    open_photo.settle()
    assert open_photo.read("[doc.edits.length, doc.draft.length, state.jobs.length]") == [0, 0, 0]
    assert page.evaluate(PLACES) == places


def test_a_phone_on_its_side_has_the_size_of_the_brush(open_app: OpenApp, photos: Path) -> None:
    app = open_app(viewport={"width": 844, "height": 390}, has_touch=True, is_mobile=True)
    app.open(photos / "astronaut.png")
    size = app.page.locator("#brush-size")
    before = app.read("state.prefs.brush")
    size.tap(position={"x": 22, "y": 30})
    app.settle()
    assert app.read("state.prefs.brush") != before


@pytest.mark.parametrize("width", [1440, 1280, 1200, 900])
def test_what_the_dock_says_its_tools_and_the_zoom_lie_side_by_side(open_photo: App, width: int) -> None:
    open_photo.page.set_viewport_size({"width": width, "height": 700})
    gaps = """() => {
        const box = (name) => document.querySelector(name).getBoundingClientRect();
        return [box(".pill").left - box(".talk").right, box(".zooms").left - box(".pill").right];
    }"""
    assert min(open_photo.page.evaluate(gaps)) >= 0
