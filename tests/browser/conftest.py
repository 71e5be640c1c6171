"""A real server, a real browser, and a page that may not complain: an error in its console fails the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from browser.driver import PATIENCE_S, App, OpenApp, Server, launch_chromium, running_server
from serving import RunningServer


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that do not break it."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "out").mkdir()
    with running_server(folder / "data", "--model", "opencv", "--output-dir", str(folder / "out")) as server:
        yield server


@pytest.fixture(scope="module")
def varied_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Starts with an engine that gives another result for each seed."""
    with running_server(tmp_path_factory.mktemp("varied"), "--model", "patchmatch") as server:
        yield server


@pytest.fixture
def fake_server(tmp_path: Path) -> Iterator[RunningServer]:
    """Fills with the fake painter, which does what a test tells it to."""
    with RunningServer(tmp_path / "fake", {"model": "painter"}) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def tolerated() -> list[str]:
    """Patterns of console errors that a test brings about on purpose."""
    return []


@pytest.fixture
def open_app(browser: Browser, server: Server, tolerated: list[str]) -> Iterator[OpenApp]:
    """open_app(url=..., script=..., **context options) -> App on a page of its own."""
    complaints: list[str] = []
    contexts = []

    def listen(page: Page) -> None:
        def on_console(message: ConsoleMessage) -> None:
            if message.type == "error":
                complaints.append(f"{message.text} ({message.location.get('url', '')})")

        page.on("console", on_console)
        page.on("pageerror", lambda error: complaints.append(error.stack or str(error)))

    def open_page(url: str | None = None, script: str | None = None, **options: Any) -> App:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(1000 * PATIENCE_S)
        contexts.append(context)
        page = context.new_page()
        listen(page)
        if script:
            page.add_init_script(script)
        page.goto(url or server.url)
        app = App(page)
        app.settle()  # a browser drops what is typed before it has drawn the page once
        return app

    yield open_page
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")  # a request that is under way must not fail the next test
        context.close()
    left = [text for text in complaints if not any(re.search(pattern, text) for pattern in tolerated)]
    assert left == [], "\n".join(left)


@pytest.fixture
def app(open_app: OpenApp) -> App:
    return open_app()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with real photographs: astronaut.png, coffee.jpg, chelsea.jpg."""
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(skimage.data.astronaut()).save(folder / "astronaut.png")
    Image.fromarray(skimage.data.coffee()).save(folder / "coffee.jpg", quality=92)
    Image.fromarray(skimage.data.chelsea()).save(folder / "chelsea.jpg", quality=92)
    return folder


@pytest.fixture(scope="session")
def large_photo(photos: Path) -> Path:
    """24 megapixels: a photograph, enlarged, with grain so that it does not compress to nothing."""
    photo = Image.fromarray(skimage.data.rocket()).resize((6000, 4000), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0).integers(-6, 7, (500, 750, 1), dtype=np.int16)
    pixels = np.asarray(photo, dtype=np.int16) + np.tile(grain, (8, 8, 1))
    path = photos / "large.jpg"
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=88)
    return path
