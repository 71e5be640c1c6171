"""Takes the README's pictures of the page: docs/images/{empty,painting,result,compare,results,phone,iopaint}.webp.

Run as `make screenshots`. Drives the real server with a real photograph (scikit-image's rocket) and an engine that
needs no weights, so that the pictures can be taken on any machine, offline.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import skimage.data
from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser.driver import App, launch_chromium, running_server  # noqa: E402
from browser.iopaint_page import IopaintPage  # noqa: E402

IMAGES = ROOT / "docs" / "images"
QUALITY = 95
DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=844)
ROCKET = [(323.0, 120.0), (324.0, 250.0), (323.0, 385.0)]
"""From its tip down to the pad: the sky all round it can be continued."""


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        photo = Path(folder) / "rocket.jpg"
        Image.fromarray(skimage.data.rocket()).save(photo, quality=95)
        browser = launch_chromium(playwright)
        with running_server(Path(folder) / "data", "--model", "patchmatch") as server:
            desktop = browser.new_context(viewport=DESKTOP, color_scheme="light").new_page()
            desktop.goto(server.url)
            take_desktop(App(desktop), photo)
            phone = browser.new_context(viewport=PHONE, color_scheme="dark", has_touch=True).new_page()
            phone.goto(server.url)
            take_phone(App(phone), photo)
            take_iopaint(IopaintPage(browser.new_context(viewport=DESKTOP).new_page(), server.url), photo)
        browser.close()


def take_desktop(app: App, photo: Path) -> None:
    keep(app.page, "empty")
    app.open(photo)
    app.fill_on_release(False)
    app.page.locator("#brush-size").fill("60")
    paint_rocket(app)
    keep(app.page, "painting")
    app.page.mouse.up()
    app.page.keyboard.press("Enter")
    app.wait_for_edits(1)
    app.page.keyboard.press("0")
    app.page.mouse.move(1200, 400)
    keep(app.page, "result")
    app.page.keyboard.press("/")
    move_divider(app.page, 32)
    leave(app.page)
    keep(app.page, "compare")
    app.page.keyboard.press("/")
    app.page.keyboard.press("v")
    app.page.keyboard.press("0")
    app.page.keyboard.press("m")
    app.wait("state.jobs.length === 0 && Object.values(state.results)[0].length === 5")
    leave(app.page)
    keep(app.page, "results")


def take_phone(app: App, photo: Path) -> None:
    app.open(photo)
    paint_rocket(app)
    app.settle()
    keep(app.page, "phone")
    app.page.mouse.up()
    app.wait_for_edits(1)


def take_iopaint(page: IopaintPage, photo: Path) -> None:
    page.open(photo)
    page.paint(ROCKET)
    page.page.mouse.move(1000, 500)
    keep(page.page, "iopaint")


def paint_rocket(app: App) -> None:
    """Leaves the button pressed: the stroke can be seen."""
    app.page.mouse.move(*app.on_screen(ROCKET[0]))
    app.page.mouse.down()
    for point in ROCKET[1:]:
        app.page.mouse.move(*app.on_screen(point), steps=8)


def move_divider(page: Page, by_px: float) -> None:
    """Drags the line between before and after to the right."""
    box = page.locator(".split-knob").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by_px, y, steps=4)
    page.mouse.up()


def leave(page: Page) -> None:
    """Nothing has the focus: no picture shows a ring around what the keyboard reached."""
    page.evaluate("() => document.activeElement.blur()")


def keep(page: Page, name: str) -> None:
    """As WebP, which keeps what is pink as it is; a screenshot that shows a photo stays below 150 KiB that way."""
    page.wait_for_timeout(500)
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").save(IMAGES / f"{name}.webp", quality=QUALITY, method=6, use_sharp_yuv=True)


if __name__ == "__main__":
    main()
