"""The page without a mouse, for assistive technology, on touch screens and on plain http."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FileChooser, Route

from browser.driver import App, OpenApp, Server

LISTEN = """() => {
  globalThis.said = [];
  const region = document.getElementById("said");
  new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true });
}"""
"""Writes down what is read out to people who do not see the page."""


def tab_to(app: App, selector: str) -> None:
    """Presses Tab until the focus is there."""
    for _ in range(40):
        if app.page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            return
        app.page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reached {selector}")


def test_a_photo_is_filled_and_downloaded_with_the_keyboard_alone(app: App, photos: Path, tmp_path: Path) -> None:
    keyboard = app.page.keyboard
    app.page.evaluate(LISTEN)
    choosers: list[FileChooser] = []
    app.page.on("filechooser", lambda chooser: choosers.append(chooser))  # Playwright refuses built-in methods
    tab_to(app, "#empty [data-command=open]")
    keyboard.press("Enter")
    while not choosers:
        app.page.wait_for_timeout(25)
    choosers[0].set_files(photos / "astronaut.png")
    app.wait("state.image !== null")
    keyboard.press("r")
    tab_to(app, "#stage")
    keyboard.press("Shift+ArrowLeft")
    keyboard.press("Enter")
    for key in ("Shift+ArrowRight", "Shift+ArrowDown", "ArrowDown"):
        keyboard.press(key)
    keyboard.press("Enter")
    app.wait_for_edits(1)
    assert app.read("doc.edits[0].shapes[0].kind") == "rect"
    assert any(words.startswith("Done in") for words in app.page.evaluate("() => said"))
    keyboard.press("Escape")
    assert app.download(tmp_path / "result.png").stat().st_size > 0


def test_arrow_keys_move_inside_a_toolbar_and_tab_leaves_it(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    app.page.get_by_role("button", name="Paint", exact=True).focus()
    app.page.keyboard.press("ArrowDown")
    assert app.page.evaluate("() => document.activeElement.textContent") == "Erase"
    app.page.keyboard.press("Tab")
    assert app.page.evaluate("() => document.activeElement.closest('#dock') !== null")


def test_a_pinch_zooms_without_leaving_a_dab_and_one_finger_paints(open_app: OpenApp, photos: Path) -> None:
    app = open_app(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    app.open(photos / "astronaut.png")
    app.fill_on_release(False)
    devtools = app.page.context.new_cdp_session(app.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers: list[dict[str, Any]] = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    before = app.read("state.view.scale")
    touch("touchStart", (150, 400))
    touch("touchStart", (150, 400), (250, 400))
    for spread in range(10, 60, 10):
        touch("touchMove", (150 - spread, 400), (250 + spread, 400))
    touch("touchEnd")
    app.wait("!state.painting")
    assert app.read("doc.draft.length") == 0
    assert app.read("state.view.scale") == pytest.approx(before * 2, rel=0.05)

    touch("touchStart", (150, 400))
    for step in range(1, 6):
        touch("touchMove", (150 + 12 * step, 400 + 4 * step))
    touch("touchEnd")
    app.wait("doc.draft.length === 1")

    touch("touchStart", (100, 300))
    touch("touchStart", (100, 300), (180, 300))
    touch("touchEnd")
    app.wait("doc.draft.length === 0")  # two fingers, tapped: undo


def test_everything_works_on_plain_http_in_the_home_network(
    open_app: OpenApp, server: Server, photos: Path, tmp_path: Path, tolerated: list[str]
) -> None:
    tolerated.append("Cross-Origin-Opener-Policy")  # a browser says that it does without on plain http
    app = open_app(server.lan_url)
    assert app.page.evaluate("() => isSecureContext") is False
    app.open(photos / "astronaut.png")
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    app.page.keyboard.press("Control+c")
    app.page.locator("#told", has_text="copies pictures only over https").wait_for()
    assert app.download(tmp_path / "result.png").stat().st_size > 0
    app.page.reload()
    app.wait("state.image !== null && doc.edits.length === 1")


FOCUSED = "document.activeElement.id"


def test_the_photo_has_the_focus_once_it_is_open_and_is_two_keys_away_from_the_top(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    assert app.page.evaluate(FOCUSED) == "stage"
    app.page.click("#menu-button")
    with app.page.expect_file_chooser() as chooser:
        app.page.locator("#menu [data-command=open]").click()
    chooser.value.set_files(photos / "coffee.jpg")
    app.wait("state.image.name === 'coffee.jpg'")
    assert app.page.evaluate(FOCUSED) == "stage"
    first = app.page.locator("a[href], button, input, [tabindex]").first
    assert first.inner_text() == "Skip to the photo"
    first.press("Enter")
    assert app.page.evaluate(FOCUSED) == "stage"


@pytest.mark.parametrize("window", [(720, 450), (640, 512), (960, 540), (390, 664), (320, 256)])
def test_a_zoomed_page_leaves_at_least_half_of_the_height_to_the_photo(
    open_app: OpenApp, photos: Path, window: tuple[int, int]
) -> None:
    app = open_app(viewport={"width": window[0], "height": window[1]})
    app.open(photos / "astronaut.png")
    assert app.page.evaluate("document.getElementById('stage').clientHeight") >= window[1] / 2


def test_at_400_per_cent_a_photo_is_painted_undone_and_saved_with_what_is_in_sight(
    open_app: OpenApp, photos: Path
) -> None:
    app = open_app(viewport={"width": 320, "height": 256})
    app.open(photos / "astronaut.png")
    app.page.locator("#brush-size").fill("20")
    app.paint([(60.0, 60.0), (190.0, 60.0)])
    app.wait_for_edits(1)
    app.page.locator(".bar [data-command=undo]").click()
    app.wait("doc.edits.length === 0")
    app.page.locator(".bar [data-command=redo]").click()
    app.wait("doc.edits.length === 1")
    with app.page.expect_download():
        app.page.locator(".bar [data-command=download]").click()


OUT_OF_SIGHT = """() => [...document.querySelectorAll(".rail .tool, .pill .shapes .button, #brush-size")]
  .filter(each => each.checkVisibility())
  .filter(each => {
    const inner = each.getBoundingClientRect();
    const outer = each.closest(".rail, .pill").getBoundingClientRect();
    return inner.bottom > Math.min(outer.bottom, innerHeight) + 1 || inner.top < outer.top - 1;
  })
  .map(each => each.outerHTML.slice(0, 80))"""


def test_at_400_per_cent_all_tools_are_in_sight(open_app: OpenApp, varied_server: Server, photos: Path) -> None:
    """With a model that copies, which has the most of them."""
    app = open_app(varied_server.url, viewport={"width": 320, "height": 256})
    app.open(photos / "astronaut.png")
    assert app.page.evaluate(OUT_OF_SIGHT) == []
    app.page.keyboard.press("q")
    app.wait("state.tool === 'snap'")
    assert app.page.locator(".rail .tool:visible").count() == 8
    assert app.page.evaluate(OUT_OF_SIGHT) == []


CONTRAST = """(selector) => {
  const luminance = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map((each) => each / 255);
    const [r, g, b] = parts.map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(document.querySelector(selector));
  const [a, b] = [luminance(style.color), luminance(style.backgroundColor)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colours_keep_the_words_of_the_strong_buttons_and_the_ground_of_the_page(
    open_app: OpenApp, photos: Path, scheme: str
) -> None:
    app = open_app(forced_colors="active", color_scheme=scheme)
    app.open(photos / "astronaut.png")
    app.settle()
    for selector in (".save", ".save span", ".save svg"):
        shown = app.page.locator(selector)
        assert shown.is_visible()
    assert app.page.evaluate(CONTRAST, ".save") >= 4.5
    ground = app.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).slice(0, 3)")
    assert app.read("lama.stage.probe(2, 2).slice(0, 3)") == ground


@pytest.mark.parametrize("width", [1440, 1000, 390])
def test_a_long_name_stays_in_its_place(open_app: OpenApp, photos: Path, width: int) -> None:
    app = open_app(viewport={"width": width, "height": 800})
    long = photos / f"{'a very long name without an end '.strip() * 6}{'x' * 60}.png"
    shutil.copy(photos / "astronaut.png", long)
    app.open(long)
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    boxes = app.page.evaluate(
        """() => [...document.querySelectorAll(".bar > *")].map(each => each.getBoundingClientRect())
          .map(({ left, right }) => [left, right])"""
    )
    assert all(left >= 0 and right <= width for left, right in boxes)
    assert all(one[1] <= other[0] + 1 for one, other in pairwise(boxes)), "no part of the bar lies on another"
    assert app.page.evaluate("document.documentElement.scrollWidth") <= width


def refusal(problem: dict[str, Any]) -> Callable[[Route], None]:
    return lambda route: route.fulfill(status=507, content_type="application/problem+json", json=problem)


def test_there_is_one_note_and_it_stays_until_it_is_dealt_with(app: App, photos: Path, tolerated: list[str]) -> None:
    tolerated.append("507")
    app.open(photos / "astronaut.png")
    for title in ("It failed", "There is no room"):
        problem = {"code": "test.failed", "title": title, "retryable": True}
        app.page.route("**/api/v1/edits", refusal(problem))
        app.paint([(60.0, 60.0), (90.0, 60.0)])
        app.page.locator(".note", has_text=title).wait_for()
        assert app.page.locator(".note").count() == 1
    app.page.unroute("**/api/v1/edits")
    app.page.clock.install()
    app.page.clock.fast_forward(600_000)
    app.page.locator(".note").get_by_role("button", name="Try again").click()
    app.page.clock.resume()
    app.wait_for_edits(1)
    assert app.page.locator(".note").count() == 0


def test_forced_colours_and_reduced_motion_change_nothing_that_matters(open_app: OpenApp, photos: Path) -> None:
    app = open_app(forced_colors="active", reduced_motion="reduce")
    app.open(photos / "astronaut.png")
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    app.settle()
    running = app.page.evaluate("() => document.getAnimations().filter(each => each.playState === 'running').length")
    assert running == 0


def test_every_word_passes_through_translation(open_app: OpenApp, server: Server) -> None:
    app = open_app(f"{server.url}?lang=pseudo")
    app.page.locator("#empty").wait_for()
    shown = app.page.locator("#empty h1, #empty p:visible, .switch span").all_inner_texts()
    assert [words for words in shown if words.strip() and "⟦" not in words] == []
