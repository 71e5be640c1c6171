"""The first minute: a demonstration, photos to try, tools that come with the photo, and one hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.driver import App, OpenApp

LOOPS = """[...document.querySelectorAll(".demo *")].flatMap((each) => each.getAnimations())
  .filter(({ playState, effect }) => playState === "running" && effect.getTiming().iterations === Infinity).length"""
STROKE = [(300.0, 300.0), (400.0, 300.0)]


@pytest.mark.parametrize(("motion", "moving"), [("no-preference", 3), ("reduce", 0)])
def test_the_demonstration_goes_round_unless_nothing_is_to_move(open_app: OpenApp, motion: str, moving: int) -> None:
    app = open_app(reduced_motion=motion)
    assert app.read(LOOPS) == moving
    assert app.page.locator(".demo :is(video, audio)").count() == 0


@pytest.mark.parametrize("sample", ["beach", "meadow"])
def test_a_sample_brings_the_tools_and_one_hint_which_the_first_stroke_ends(app: App, sample: str) -> None:
    tools, hint = app.page.locator(".rail .tool, #pill"), app.page.locator("#hint")
    assert not any(each.is_visible() for each in tools.all())
    app.page.locator(f"[data-sample={sample}]").click()
    app.wait("state.image !== null")
    app.page.get_by_role("button", name="Paint", exact=True).wait_for()
    assert hint.inner_text() == "Paint over anything"
    app.paint(STROKE)
    app.wait_for_edits(1)
    assert hint.is_hidden()
    app.settle()
    app.page.reload()
    app.wait("state.image !== null")
    app.settle()
    assert hint.is_hidden(), "it is not said twice"


@pytest.mark.parametrize("place", [(5, 5), (1275, 795)])
def test_the_whole_window_takes_what_is_dropped(app: App, photos: Path, place: tuple[int, int]) -> None:
    devtools = app.page.context.new_cdp_session(app.page)
    data = {"items": [], "files": [str(photos / "coffee.jpg")], "dragOperationsMask": 1}
    curtain = app.page.get_by_text("Drop to open")
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": place[0], "y": place[1], "data": data})
        if kind == "dragOver":
            curtain.wait_for()
    app.wait("state.image?.name === 'coffee.jpg'")
    assert curtain.is_hidden()
