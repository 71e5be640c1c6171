"""Several results for one mask: variations by seed, and one model against another."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.driver import App, OpenApp, Point, Server
from serving import RunningServer

STROKE = [(424.0, 60.0), (424.0, 110.0)]


@pytest.fixture
def app(open_app: OpenApp, varied_server: Server, photos: Path) -> App:
    app = open_app(varied_server.url)
    app.open(photos / "astronaut.png")
    return app


def test_four_variations_arrive_one_after_another_and_the_choice_can_be_undone(
    open_app: OpenApp, fake_server: RunningServer, photos: Path
) -> None:
    app = open_app(f"http://127.0.0.1:{fake_server.port}/")
    app.open(photos / "astronaut.png")
    app.behave("stay")
    app.open_tuning()
    app.page.get_by_label("Results per fill").fill("4")
    app.close_panels()
    app.paint(STROKE)
    for count in range(1, 5):
        fake_server.let_go()
        app.wait(f"Object.values(state.results)[0]?.length === {count}")  # as they come, not all at once
    app.wait_for_edits(1)
    tiles = app.page.get_by_role("radio").and_(app.page.locator(".result"))
    assert tiles.count() == 4
    pictures = app.page.evaluate("[...document.querySelectorAll('.result canvas')].map((each) => each.toDataURL())")
    assert len(set(pictures)) == 4, "each tile shows its result"
    first = app.read("doc.edits[0].chosen")
    assert len(set(app.read("Object.values(state.results)[0].map(result => result.seed)"))) == 4

    tiles.nth(0).focus()
    app.page.keyboard.press("ArrowRight")
    app.settle()
    second = app.read("doc.edits[0].chosen")
    assert second != first
    assert tiles.nth(1).get_attribute("aria-checked") == "true"
    tiles.nth(3).click()
    fourth = app.read("doc.edits[0].chosen")
    assert fourth not in {first, second}

    app.page.keyboard.press("Control+z")
    app.settle()
    assert app.read("doc.edits[0].chosen") == first, "looking through them was one step"
    assert tiles.count() == 4, "no result is lost by undo"


def test_a_result_is_seen_on_the_photo_while_the_pointer_is_over_it(app: App) -> None:
    app.paint(STROKE)
    app.wait_for_edits(1)
    app.page.locator("#fills button[aria-current]").click()
    app.page.select_option("#again-model", "opencv")
    app.page.click("#again")
    app.wait("Object.values(state.results)[0].length === 2 && state.jobs.length === 0")
    tiles, steps = app.page.locator(".result"), app.read("state.timeline.steps.length")
    app.page.mouse.move(10, 400)
    app.settle()
    pixel = (424.5, 85.5)
    shown = app.colour_at(pixel)
    tiles.nth(0).hover()
    app.wait("state.peek !== null")
    app.settle()
    seen = app.colour_at(pixel)
    app.page.mouse.move(10, 400)
    app.wait("state.peek === null")
    app.settle()
    assert app.colour_at(pixel) == shown
    assert app.read("state.timeline.steps.length") == steps, "looking changes nothing"
    tiles.nth(0).click()
    app.settle()
    assert app.colour_at(pixel) == seen


def test_details_of_a_result_come_into_sight_with_model_time_and_seed(app: App) -> None:
    app.page.set_viewport_size({"width": 1280, "height": 400})
    app.paint(STROKE)
    app.wait_for_edits(1)
    app.page.keyboard.press("v")
    app.page.locator("#drawer summary").click()
    seed = app.read("Object.values(state.results)[0][0].seed")
    for words in ("PatchMatch", " s", str(seed)):
        app.page.locator("#result-facts dd", has_text=words).first.wait_for()
    app.settle()
    last = app.page.locator("#result-facts dd").last.bounding_box()
    assert last is not None
    assert last["y"] + last["height"] <= 400


def test_more_adds_seeds_and_leaves_the_choice_alone(app: App) -> None:
    app.paint(STROKE)
    app.wait_for_edits(1)
    chosen = app.read("doc.edits[0].chosen")
    app.page.locator("#fills button[aria-current]").click()
    app.page.locator("#more").click()
    app.wait("Object.values(state.results)[0].length === 5 && state.jobs.length === 0")
    assert app.read("doc.edits[0].chosen") == chosen


def test_old_strokes_are_filled_again_by_another_model(app: App) -> None:
    app.paint(STROKE)
    app.wait_for_edits(1)
    app.page.locator("#fills button[aria-current]").click()
    app.page.select_option("#again-model", "opencv")
    app.page.click("#again")
    app.wait("Object.values(state.results)[0].length === 2 && state.jobs.length === 0")
    assert app.read("Object.values(state.results)[0].map(result => result.model)") == ["patchmatch", "opencv"]
    assert app.read("doc.edits[0].chosen === Object.values(state.results)[0][1].edit")
    app.page.keyboard.press("Control+z")
    app.settle()
    assert app.read("doc.edits[0].chosen === Object.values(state.results)[0][0].edit")


@pytest.mark.parametrize(("later", "left"), [(STROKE, [1, 1]), ([(60.0, 60.0), (90.0, 60.0)], [2, 0])])
def test_another_result_of_an_earlier_fill_gives_back_the_strokes_that_lie_over_it(
    app: App, later: list[Point], left: list[int]
) -> None:
    app.paint(STROKE)
    app.wait_for_edits(1)
    app.paint(later)
    app.wait_for_edits(2)
    app.fill_on_release(False)
    app.page.locator("#fills button[aria-current]").first.click()
    app.page.select_option("#again-model", "opencv")
    app.page.click("#again")
    app.wait("state.results[doc.edits[0].key].length === 2 && state.jobs.length === 0")
    assert app.read("doc.edits.length") == 2, "a result for an earlier fill changes nothing until it is chosen"
    app.page.locator(".result").nth(1).click()
    app.settle()
    assert app.read("[doc.edits.length, doc.draft.length]") == left
    app.page.keyboard.press("Control+z")
    app.settle()
    assert app.read("[doc.edits.length, doc.draft.length]") == [2, 0]


def test_the_parameters_of_a_model_are_asked_for_and_sent(app: App) -> None:
    app.open_models()
    app.page.locator("#models input[value=opencv]").check()
    app.page.click("#tune")
    app.page.get_by_label("Radius").fill("7")
    app.page.keyboard.press("Tab")
    app.close_panels()
    app.paint(STROKE)
    app.wait_for_edits(1)
    [result] = app.read("Object.values(state.results)[0]")
    assert result["model"] == "opencv"
    assert result["params"] == {"radius": 7}
