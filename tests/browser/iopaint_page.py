"""IOPaint's own page, from its wheel, in front of our server: its files come from the wheel, its requests go to us."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, Response, Route

from browser.driver import ROOT, Point

FILES = ROOT / "build" / "iopaint" / "iopaint" / "web_app"
"""Where `tools/ensure.sh iopaint` puts them."""

_FILL_MS = 120_000
"""A machine that compiles the inner loops first takes a minute of it."""

_BARS_PX = 200
"""What the page keeps free above and below a picture together."""


class IopaintPage:
    """The open page, in the words of somebody who uses it. Points are in pixels of the photo."""

    def __init__(self, page: Page, url: str) -> None:
        """Raises FileNotFoundError when the wheel is not there: browser tests never skip."""
        if not (FILES / "index.html").is_file():
            raise FileNotFoundError("IOPaint's page is needed: make test fetches it, or tools/ensure.sh iopaint.")
        self.page = page

        def serve(route: Route) -> None:
            route.fulfill(path=FILES / (route.request.url.removeprefix(url) or "index.html"))

        page.route(re.compile(f"{re.escape(url)}(assets/.*|favicon.ico)?$"), serve)
        with page.expect_response("**/api/v1/server-config"):
            page.goto(url)
        page.get_by_text("Click here or drag an image file").wait_for()

    def open(self, photo: Path) -> None:
        self.page.set_input_files("input[type=file] >> nth=0", photo)
        with Image.open(photo) as image:
            self.wait_for_size(*image.size)

    def wait_for_size(self, width: int, height: int) -> None:
        """Until a picture of that size is shown, fitted to the window and in its middle."""
        self.page.get_by_text(f"{width}x{height}", exact=True).wait_for()
        canvas = self.page.locator(f"canvas[width='{width}'][height='{height}']").first
        window = self.page.viewport_size
        assert window is not None
        scale = min(1, window["width"] / width, (window["height"] - _BARS_PX) / height)
        fitted = (window["width"] / 2, window["height"] / 2, width * scale)

        def is_fitted() -> bool:
            box = canvas.bounding_box()
            found = box and (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"])
            return found == pytest.approx(fitted, abs=1)

        self._wait(is_fitted, "a picture in the middle of the window")

    def digest(self) -> str:
        """Of the pixels that are drawn."""
        found: str = self.page.evaluate(
            "async () => { const canvas = document.querySelector('canvas');"
            " const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
            " const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', pixels));"
            " return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join(''); }"
        )
        return found

    def wait_for_picture(self, expected: NDArray[np.uint8]) -> None:
        """Until exactly that is drawn; (H, W, 3)."""
        alpha = np.full((*expected.shape[:2], 1), 255, np.uint8)
        wanted = hashlib.sha256(np.concatenate([expected, alpha], axis=2).tobytes()).hexdigest()
        self._wait(lambda: self.digest() == wanted, "the expected picture")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        for _ in range(1200):
            if condition():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"the page does not show {what}")

    def transparent_share(self) -> float:
        """Part of the picture that is seen through."""
        share: float = self.page.evaluate(
            "() => { const canvas = document.querySelector('canvas');"
            " const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
            " return pixels.filter((value, index) => index % 4 === 3 && value === 0).length / (pixels.length / 4); }"
        )
        return share

    def paint(self, points: Sequence[Point]) -> Response:
        """Drags the brush along the points; the answer to the fill that follows, once it is shown."""
        before = self.digest()
        self._wait_until_uncovered(points[0])
        with self.page.expect_response("**/api/v1/inpaint", timeout=_FILL_MS) as filled:
            self.drag(points)
        self._wait(lambda: self.digest() != before, "a fill")
        return filled.value

    def click(self, point: Point) -> None:
        self.page.mouse.click(*self._on_screen(point))

    def switch_model(self, name: str) -> None:
        self.page.keyboard.press("s")
        self.page.get_by_text(name, exact=True).click()
        self.page.get_by_role("button", name="Ok").click()
        self.page.get_by_text(f"Switch to {name} success").first.wait_for()
        self.page.get_by_text("Available models").wait_for(state="hidden")

    def plugin(self, *names: str) -> None:
        """Clicks through the menu of plugins."""
        self.page.locator("button[aria-haspopup=menu]").first.click()
        for name in names:
            self.page.get_by_role("menuitem", name=name).click()

    def _wait_until_uncovered(self, point: Point) -> None:
        """A dialog goes on swallowing strokes while it fades away."""
        under = "([x, y]) => document.elementFromPoint(x, y)?.tagName"
        self._wait(lambda: self.page.evaluate(under, self._on_screen(point)) == "CANVAS", "the picture uncovered")

    def drag(self, points: Sequence[Point]) -> None:
        mouse = self.page.mouse
        mouse.move(*self._on_screen(points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self._on_screen(point), steps=6)
        mouse.up()

    def _on_screen(self, point: Point) -> Point:
        box = self.page.locator("canvas").first.bounding_box()
        width = int(self.page.locator("canvas").first.get_attribute("width") or 0)
        assert box is not None
        scale = box["width"] / width
        return box["x"] + point[0] * scale, box["y"] + point[1] * scale
