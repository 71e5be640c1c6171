"""The page without a mouse, for assistive technology, on touch screens and on plain http."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FileChooser

from browser.driver import ROOT, App, OpenApp, Server

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
LISTEN = """() => {
  globalThis.said = [];
  const region = document.getElementById("said");
  new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true });
}"""
"""Writes down what is read out to people who do not see the page."""
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]


def violations(app: App) -> list[str]:
    """What axe-core finds; run through the debugger, because the page's policy lets no foreign script in."""
    app.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = app.page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'][:160] for node in rule['nodes']]}"
        for rule in found["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_empty_page_and_with_a_result(open_app: OpenApp, photos: Path, scheme: str) -> None:
    app = open_app(color_scheme=scheme)
    assert violations(app) == []
    app.open(photos / "astronaut.png")
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    app.page.keyboard.press("v")
    app.page.locator("#drawer").wait_for()
    assert violations(app) == []
    app.page.locator("#model").click()
    app.page.locator("#options").wait_for()
    assert violations(app) == []
    app.page.keyboard.press("Escape")
    app.page.keyboard.press("?")
    app.page.locator("#help").wait_for()
    assert violations(app) == []


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
