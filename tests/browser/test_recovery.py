"""Work survives a reload, and the server's sudden end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Browser

from browser.driver import App, OpenApp, Server, running_server

REFUSED = r"net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|INCOMPLETE_CHUNKED\w*|SOCKET_NOT_CONNECTED)"
ROCKET = (424.0, 120.0)
"""Bright, before a dark ground: a fill shows."""


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "data", "--model", "opencv") as server:
        yield server


def test_a_killed_server_comes_back_and_the_page_goes_on(
    open_app: OpenApp, own_server: Server, photos: Path, tmp_path: Path, tolerated: list[str]
) -> None:
    tolerated.append(REFUSED)
    app = open_app(own_server.url)
    app.open(photos / "astronaut.png")
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    app.fill_on_release(False)
    app.paint([(60.0, 160.0), (90.0, 160.0)])

    own_server.kill()
    app.page.keyboard.press("Enter")
    app.page.locator("#unreachable").wait_for()
    assert app.read("doc.draft.length === 1 && doc.edits.length === 1 && state.jobs.length > 0")
    app.paint([(60.0, 260.0), (90.0, 260.0)])  # painting goes on without a server
    assert app.read("doc.draft.length") == 2

    own_server.start()
    app.wait_for_edits(2)
    assert app.page.locator("#unreachable").is_hidden()
    assert app.read("doc.draft.length") == 1, "what was painted meanwhile waits"
    app.page.keyboard.press("Enter")
    app.wait_for_edits(3)
    assert app.download(tmp_path / "after.png").stat().st_size > 0


def test_a_restarted_server_asks_for_its_token_again_and_the_work_is_there(
    browser: Browser, photos: Path, tmp_path: Path
) -> None:
    token = "given/with+signs&letters"
    with running_server(tmp_path / "data", "--model", "opencv", "--token", token) as server:
        page = browser.new_page()
        app = App(page)
        page.goto(f"{server.url}#token={quote(token, safe='')}")
        page.locator("#stage").wait_for()
        page.wait_for_load_state()
        app.settle()
        assert "token" not in page.url
        app.open(photos / "astronaut.png")
        app.paint([(60.0, 60.0), (90.0, 60.0)])
        app.wait_for_edits(1)
        app.settle()

        server.kill()
        app.paint([(60.0, 160.0), (90.0, 160.0)])
        page.locator("#unreachable").wait_for()
        server.start()
        page.locator("#token").fill("wrong")
        page.get_by_role("button", name="Open").click()
        page.get_by_text("The token is wrong.").wait_for()
        page.locator("#token").fill(token)
        page.get_by_role("button", name="Open").click()
        page.locator("#stage").wait_for()
        page.wait_for_load_state()
        app.wait("doc.edits.length === 1 && doc.draft.length === 1")
        page.close()


def test_an_emptied_store_gets_the_photo_again_without_a_word(
    open_app: OpenApp, own_server: Server, photos: Path, tolerated: list[str]
) -> None:
    tolerated.append("404")
    app = open_app(own_server.url)
    app.open(photos / "chelsea.jpg")
    app.wait("state.image.id !== null")
    own_server.kill()
    own_server.data_dir = own_server.data_dir.with_name("another")
    own_server.start()
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    assert app.page.locator(".note").count() == 0


def test_a_reload_brings_back_photo_fills_strokes_and_their_history(
    open_app: OpenApp, photos: Path, tmp_path: Path
) -> None:
    app = open_app()
    app.open(photos / "astronaut.png")
    app.settle()
    original = np.asarray(app.colour_at(ROCKET))
    app.paint([(ROCKET[0], 60.0), (ROCKET[0], 180.0)])
    app.wait_for_edits(1)
    app.fill_on_release(False)
    app.paint([(60.0, 160.0), (90.0, 160.0)])
    app.settle()
    filled = np.asarray(app.colour_at(ROCKET))
    saved = app.download(tmp_path / "before.png").read_bytes()
    app.page.reload()
    app.wait("state.image !== null")
    app.settle()
    assert app.read("[doc.edits.length, doc.draft.length]") == [1, 1]
    assert app.ink_at((75, 160)) == 255
    again = np.asarray(app.colour_at(ROCKET))  # not the same value: the photo is shown a little smaller now
    assert np.abs(again - filled).max() * 4 < np.abs(again - original).max()
    assert app.download(tmp_path / "after.png").read_bytes() == saved
    app.page.keyboard.press("Control+z")
    app.page.keyboard.press("Control+z")
    app.settle()
    assert app.read("[doc.edits.length, doc.draft.length]") == [0, 0]
    assert app.read("state.prefs.auto") is False


def test_a_new_window_offers_the_last_session(open_app: OpenApp, photos: Path) -> None:
    app = open_app()
    app.open(photos / "coffee.jpg")
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    app.settle()
    second = app.page.context.new_page()
    second.goto(app.page.url)
    second.get_by_role("button", name="Continue coffee.jpg").click()
    second.locator("#fills button[aria-current]").wait_for()
    second.close()
