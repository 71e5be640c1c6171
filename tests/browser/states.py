"""Every state of the page and every way to look at it: for the checks of accessibility, and for pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Route

from browser.driver import App

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "light": {"viewport": DESK, "color_scheme": "light"},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True},
    "phone-on-its-side": {"viewport": {"width": 844, "height": 390}, "color_scheme": "dark", "has_touch": True},
    "forced-colours": {"viewport": DESK, "forced_colors": "active"},
    "zoom-200": {"viewport": {"width": 720, "height": 450}},
    "zoom-400": {"viewport": {"width": 320, "height": 256}},
}
"""Options of a browser's context by name. A zoom of 200 % leaves half of a window, 400 % a quarter."""

STROKES = (((0.62, 0.60), (0.62, 0.80), (0.70, 0.84)), ((0.30, 0.70), (0.36, 0.72)))
"""What is painted, in shares of the photo's width and height."""


def states(app: App, photo: Path) -> Iterator[str]:
    """Leads a fresh page from state to state; gives the name of each while the page stands in it.

    The server has a folder of photos, one of them broken.
    """
    page = app.page
    page.locator("#photos .shot.broken").wait_for()
    _rest(app)
    yield "gallery"
    page.keyboard.press("Escape")
    _rest(app)
    yield "empty"
    app.open(photo)
    _rest(app)
    yield "first"
    _press(app, 0)
    yield "painting"
    held: list[Route] = []
    answer: list[Callable[[Route], None]] = [lambda route: held.append(route)]
    page.route("**/api/v1/edits", lambda route: answer[-1](route))
    page.mouse.up()
    app.wait("state.jobs.length > 0")
    _rest(app)
    yield "filling"
    page.keyboard.press("Escape")
    app.wait("state.jobs.length === 0")
    answer.append(_refuse)
    page.locator("#run").click()
    page.locator(".note").wait_for()
    _rest(app)
    yield "error"
    answer.append(lambda route: route.continue_())
    page.locator(".note").get_by_role("button", name="Try again").click()
    app.wait_for_edits(1)
    _press(app, 1)
    page.mouse.up()
    app.wait_for_edits(2)
    _rest(app)
    yield "result"
    page.keyboard.press("v")
    _rest(app)
    yield "results"
    page.keyboard.press("Escape")
    for name, opener in (("models", "#model"), ("menu", "#menu-button")):
        page.locator(opener).click()
        _rest(app)
        yield name
        page.keyboard.press("Escape")
    page.keyboard.press("Control+Shift+s")
    page.locator("#save").get_by_label("JPEG", exact=True).check()
    _rest(app)
    yield "save"
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    _rest(app)
    yield "compare"
    page.keyboard.press("/")
    page.keyboard.press("?")
    _rest(app)
    yield "help"
    page.keyboard.press("Escape")
    for route in held:
        route.abort()


def make_folder(folder: Path, pictures: Iterable[Path]) -> Path:
    """Some photos and a broken one, for a server to show."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        shutil.copy(picture, folder / f"{number}-{picture.name}")
    (folder / "0-scan-0041.png").write_bytes(b"not a picture, whatever its name says")
    return folder


def _rest(app: App) -> None:
    """Returns when nothing moves any more, but for what goes on for ever."""
    app.settle()
    app.page.evaluate(
        """() => Promise.allSettled(document.getAnimations()
          .filter(each => each.effect.getTiming().iterations !== Infinity)
          .map(each => each.finished)).then(() => null)"""
    )


def _press(app: App, which: int) -> None:
    """Paints a stroke and keeps the button down."""
    image = app.read("state.image")
    points = [(x * image["width"], y * image["height"]) for x, y in STROKES[which]]
    app.page.mouse.move(*app.on_screen(points[0]))
    app.page.mouse.down()
    for point in points[1:]:
        app.page.mouse.move(*app.on_screen(point), steps=6)


def _refuse(route: Route) -> None:
    problem = {
        "code": "engine.out_of_memory",
        "title": "The engine needs more memory",
        "detail": "It takes 6.0 GB and 3.1 GB are free.",
        "retryable": True,
        "request_id": "0123456789abcdef",
    }
    route.fulfill(status=507, content_type="application/problem+json", json=problem)
