"""Models as people think of them: kinds with pictures, all models as a list, options in a panel of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.driver import App, OpenApp, Server, running_server

STROKE = [(424.0, 60.0), (424.0, 110.0)]


@pytest.fixture
def app(open_app: OpenApp, varied_server: Server, photos: Path) -> App:
    app = open_app(varied_server.url)
    app.open(photos / "astronaut.png")
    return app


def test_a_kind_is_chosen_by_its_picture_and_tells_how_long_it_took_here(app: App) -> None:
    assert app.page.locator("#model-title").inner_text() == "Natural"
    app.page.click("#model")
    cards = app.page.locator("#kinds .kind")
    cards.first.wait_for()
    assert [name.inner_text() for name in cards.locator("b").all()][:3] == ["Quick", "Natural", "Creative"]
    assert app.page.evaluate(
        "() => Promise.all([...document.querySelectorAll('.kind img')].map((each) => each.decode())).then(() => true)"
    ), "every picture is there"
    assert "not for commercial use" in cards.nth(2).inner_text()
    cards.nth(0).click()
    assert app.read("state.prefs.model") == "opencv"
    assert app.page.locator("#model-title").inner_text() == "Quick"
    assert "not tried here yet" in cards.nth(0).inner_text()
    app.close_panels()
    app.paint(STROKE)
    app.wait_for_edits(1)
    app.page.click("#model")
    assert "s here" in cards.nth(0).inner_text()
    app.page.keyboard.press("Tab")
    cards.nth(0).locator("input").press("ArrowRight")
    assert app.read("state.prefs.model") == "patchmatch"


def test_all_models_are_one_press_away(app: App) -> None:
    app.page.click("#model")
    app.page.click("#all-models")
    assert app.page.locator("#kinds").is_hidden()
    assert app.page.locator("#models .choice", has_text="manga").count() > 0
    app.page.click("#all-models")
    assert app.page.locator("#models").is_hidden()


def test_a_seed_can_be_set_and_gives_the_same_result_again(app: App) -> None:
    app.open_tuning()
    seed = app.page.get_by_label("Seed", exact=True)
    seed.fill("12")
    seed.press("Tab")
    app.page.get_by_label("Results per fill").fill("2")
    app.close_panels()
    for _ in range(2):
        app.paint(STROKE)
        app.wait_for_edits(1)
        app.settle()
        assert app.read("Object.values(state.results).at(-1).map((result) => result.seed)") == [12, 13]
        app.page.keyboard.press("Control+z")
        app.wait("doc.edits.length === 0")
    app.open_tuning()
    seed.fill("")
    seed.press("Tab")
    assert app.read("state.prefs.seeds") == {}


def test_a_server_that_holds_to_one_model_offers_no_other(open_app: OpenApp, photos: Path, tmp_path: Path) -> None:
    with running_server(tmp_path / "data", "--model", "opencv", "--disable-model-switch") as server:
        app = open_app(server.url)
        app.open(photos / "astronaut.png")
        app.open_models()
        offered = app.page.locator('input[name="model"]')
        assert [each.get_attribute("value") for each in offered.all()] == ["opencv"]
        app.close_panels()
        app.paint(STROKE)
        app.wait_for_edits(1)
