"""A model that is not there yet: what the page says meanwhile, and how it changes over."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from driver import Server
from playwright.sync_api import Route

from conftest import OpenApp


class Shelf:
    """Stands between page and server, and says that the wanted model `big` is on its way."""

    def __init__(self) -> None:
        self.state = "downloading"
        self.done_bytes = 40

    def reply(self, real: dict[str, Any]) -> dict[str, Any]:
        models = [{**model, "aliases": []} for model in real["models"]]
        progress = {"done_bytes": self.done_bytes, "total_bytes": 100} if self.state == "downloading" else None
        big = {**models[0], "name": "big", "title": "Big", "state": self.state, "progress": progress}
        return {**real, "wanted": "big", "models": [{**big, "download_bytes": 100, "problem": None}, *models]}

    def answer_list(self, route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=json.dumps(self.reply(response.json())))

    def answer_page(self, route: Route) -> None:
        response = route.fetch()

        def changed(match: re.Match[str]) -> str:
            boot = json.loads(match.group(2))
            boot["models"] = self.reply(boot["models"])
            return match.group(1) + json.dumps(boot) + match.group(3)

        pattern = r'(<script type="application/json" id="boot">)(.*?)(</script>)'
        route.fulfill(response=response, body=re.sub(pattern, changed, response.text(), flags=re.S))


def test_the_page_works_with_another_model_until_the_wanted_one_is_there(
    open_app: OpenApp, server: Server, photos: Path
) -> None:
    shelf = Shelf()
    app = open_app()
    app.page.route("**/api/v1/models", shelf.answer_list)
    app.page.route(server.url, shelf.answer_page)
    app.page.reload()
    note = app.page.locator("#model-note")
    note.wait_for()
    assert re.fullmatch(r"Big is downloading 40 %; working with .+ meanwhile", note.inner_text().strip())
    app.open(photos / "astronaut.png")
    shelf.done_bytes = 80
    app.page.get_by_text("80 %").first.wait_for()
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    assert app.read("Object.values(state.results)[0][0].model") != "big"

    shelf.state = "ready"
    app.page.locator(".toast", has_text="Big is ready").wait_for()
    assert note.is_hidden()
    assert app.page.locator("#model-title").inner_text() == "Big"


def test_a_missing_model_is_one_press_away_and_its_licence_is_told(open_app: OpenApp, server: Server) -> None:
    shelf = Shelf()
    shelf.state = "missing"
    app = open_app()
    app.page.route("**/api/v1/models", shelf.answer_list)
    app.page.route(server.url, shelf.answer_page)
    asked: list[str] = []

    def begin(route: Route) -> None:
        asked.append(route.request.method)
        shelf.state = "downloading"
        route.fulfill(body="", content_type="application/x-ndjson")

    app.page.route("**/api/v1/models/big/download", begin)
    app.page.reload()
    note = app.page.locator("#model-note")
    note.wait_for()
    assert "Big (100 B) is not on the server yet" in note.inner_text()
    note.get_by_role("button", name="Download").click()
    app.page.get_by_text("Big is downloading").wait_for()
    assert asked == ["POST"]
    app.page.click("#model")
    choice = app.page.locator("#models .choice", has_text="Big")
    assert app.read("state.models[0].licence.name") in choice.inner_text()
