"""The page that asks for the token, before anybody is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser

from browser.access import FINGER_PX, OUTSIDE, SMALL, violations
from browser.driver import Server, running_server

GROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("closed")
    with running_server(data, "--model", "opencv", "--token", "a-token-of-this-file") as server:
        yield server


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", [(1280, 800), (320, 256)])
def test_it_looks_like_the_product_and_is_accessible(
    browser: Browser, closed_server: Server, scheme: Literal["light", "dark"], window: tuple[int, int]
) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": window[0], "height": window[1]})
    page.goto(closed_server.url)
    assert page.evaluate(GROUND) == {"light": "rgb(235, 235, 235)", "dark": "rgb(25, 25, 25)"}[scheme]
    assert not [*violations(page), *page.evaluate(OUTSIDE), *page.evaluate(SMALL, FINGER_PX)]
    page.locator("#token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    page.get_by_text("The token is wrong.").wait_for()
    assert page.evaluate("document.activeElement.id") == "token"
    assert not violations(page), "nor when it complains"
    page.close()


def test_it_has_the_theme_that_was_chosen(browser: Browser, closed_server: Server) -> None:
    page = browser.new_page(color_scheme="light")
    page.add_init_script("""localStorage.setItem("lama-server.prefs", '{"theme": "dark"}')""")
    page.goto(closed_server.url)
    assert page.evaluate(GROUND) == "rgb(25, 25, 25)"
    page.close()
