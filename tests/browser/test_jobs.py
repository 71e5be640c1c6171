"""Several fills at once: what does not touch is a fill of its own, and regions are seen as they are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Request, Route

from browser.driver import PATIENCE_S, App, OpenApp, Point, Server, running_server
from fake_engines import photo
from serving import RunningServer

PHOTO = (1600, 1200)
FAR: list[Point] = [(100.0, 100.0), (1500.0, 1100.0), (100.0, 1100.0), (1500.0, 100.0)]
"""Further apart than any model looks."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.png"
    Image.fromarray(photo(160, 120)).resize(PHOTO).save(path)
    return path


@pytest.fixture
def held(app: App, large: Path) -> Iterator[list[Route]]:
    """A page whose requests to fill go no further until a test lets them."""
    app.open(large)
    app.wait("state.image.id !== null")
    routes: list[Route] = []
    app.page.route("**/api/v1/edits", lambda route: routes.append(route))
    yield routes
    app.page.unroute("**/api/v1/edits")


def until(app: App, true: Callable[[], bool]) -> None:
    """Lets the browser go on until it is."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        app.page.wait_for_timeout(25)


def paint_one_by_one(app: App, places: list[Point]) -> None:
    """Each asked for on its own."""
    for place in places:
        app.paint([place])
        app.wait("!state.armed")


def strokes(route: Route) -> int:
    return len(asked(route)["mask"]["shapes"])


def asked(route: Route) -> dict[str, Any]:
    body = route.request.post_data_json
    assert isinstance(body, dict)
    return body


def test_strokes_that_do_not_touch_are_fills_of_their_own_and_two_are_under_way(app: App, held: list[Route]) -> None:
    paint_one_by_one(app, FAR)
    until(app, lambda: len(held) == 2)
    assert [strokes(route) for route in held] == [1, 1]
    assert app.read("[state.jobs.length, state.queued.length]") == [2, 2]
    app.wait("document.getElementById('working-text').textContent.includes('1 of 4')")
    names = {route.request.headers["x-client-id"] for route in held}
    assert len(names) == 2, "a server with two workers may fill both at once"
    held[1].continue_()  # the second is done before the first
    until(app, lambda: len(held) == 3)
    assert len(asked(held[2])["parents"]) == 1
    app.wait("document.getElementById('working-text').textContent.includes('2 of 4')")
    held[0].continue_()
    until(app, lambda: len(held) == 4)
    held[2].continue_()
    held[3].continue_()
    app.wait_for_edits(4)

    for left in (3, 2, 1, 0):
        app.page.keyboard.press("Control+z")
        assert app.read("[doc.edits.length, doc.draft.length]") == [left, 0]
        where = app.read("doc.edits.map((edit) => edit.shapes[0].p.map((at) => Math.round(at / 400)))")
        assert sorted(where) == sorted([round(x / 100), round(y / 100)] for x, y in FAR[:left]), "the last goes first"
    for _ in FAR:
        app.page.keyboard.press("Control+Shift+z")
    app.settle()
    assert app.read("[doc.edits.length, state.jobs.length]") == [4, 0], "nothing is filled again"


def test_strokes_that_touch_while_they_wait_become_one_fill(app: App, held: list[Route]) -> None:
    paint_one_by_one(app, [*FAR[:3], (120.0, 1110.0), FAR[3]])
    until(app, lambda: len(held) == 2)
    held[0].continue_()
    until(app, lambda: len(held) == 3)
    assert strokes(held[2]) == 2
    for route in (held[1], held[2]):
        route.continue_()
    until(app, lambda: len(held) == 4)
    held[3].continue_()
    app.wait_for_edits(4)


def test_a_stroke_that_a_running_fill_could_see_waits_for_it(app: App, held: list[Route]) -> None:
    paint_one_by_one(app, [FAR[0], (300.0, 100.0)])
    assert app.read("[state.jobs.length, state.queued.length]") == [1, 1]
    held[0].continue_()
    until(app, lambda: len(held) == 2)
    assert len(asked(held[1])["parents"]) == 1, "it sees the first one filled"
    held[1].continue_()
    app.wait_for_edits(2)


def test_one_of_several_fills_is_cancelled_or_all(app: App, held: list[Route]) -> None:
    paint_one_by_one(app, FAR[:3])
    until(app, lambda: len(held) == 2)
    app.page.get_by_role("button", name="Cancel last").click()
    assert app.read("[state.jobs.length, state.queued.length]") == [2, 0]
    app.page.keyboard.press("Shift+Escape")
    app.wait("state.jobs.length === 1")
    assert app.page.get_by_role("button", name="Cancel last").is_hidden()
    app.page.keyboard.press("Escape")
    app.wait("state.jobs.length === 0")
    assert app.read("[doc.edits.length, doc.draft.length]") == [0, 3], "what was painted is kept"


def test_undo_of_a_stroke_ends_its_fill_and_no_other(app: App, held: list[Route]) -> None:
    paint_one_by_one(app, FAR[:2])
    until(app, lambda: len(held) == 2)
    app.page.keyboard.press("Control+z")
    app.wait("state.jobs.length === 1")
    held[0].continue_()
    app.wait_for_edits(1)
    assert app.read("doc.draft.length") == 0


def test_a_fill_begins_anew_when_another_result_is_chosen_for_a_fill_under_it(app: App, held: list[Route]) -> None:
    app.paint([FAR[0]])
    until(app, lambda: len(held) == 1)
    held[0].continue_()
    app.wait_for_edits(1)
    app.page.locator("#fills button[aria-current]").click()
    app.page.click("#again")
    until(app, lambda: len(held) == 2)
    held[1].continue_()
    app.wait("Object.values(state.results)[0].length === 2 && state.jobs.length === 0")
    first, second = app.read("Object.values(state.results)[0].map((result) => result.edit)")
    app.paint([FAR[1]])
    until(app, lambda: len(held) == 3)
    shown = app.read("doc.edits[0].chosen")
    assert asked(held[2])["parents"] == [shown]
    app.page.locator(".result").nth(0 if shown == second else 1).click()
    until(app, lambda: len(held) == 4)
    assert asked(held[3])["parents"] == [first if shown == second else second]
    held[3].continue_()
    app.wait_for_edits(2)


@pytest.fixture
def slow_app(open_app: OpenApp, fake_server: RunningServer, large: Path) -> Iterator[App]:
    """A page whose engine stays at each region."""
    app = open_app(f"http://127.0.0.1:{fake_server.port}/")
    app.open(large)
    app.behave("stay")
    yield app
    app.page.context.close()  # before its server ends


def test_regions_of_one_fill_are_seen_as_they_are_done_and_fetched_once(
    slow_app: App, fake_server: RunningServer
) -> None:
    app = slow_app
    fetched: list[str] = []
    app.page.on("request", lambda request: fetched.append(request.url) if "/patches/" in request.url else None)
    app.fill_on_release(False)
    places = FAR[:3]
    for place in places:
        app.paint([place])
    before = [app.colour_at(place) for place in places]
    app.page.keyboard.press("Enter")
    fake_server.let_go()
    app.wait("state.jobs[0]?.early.length === 1")
    app.settle()
    assert app.read("[doc.edits.length, state.jobs[0].regions]") == [0, 3]
    assert sum(app.colour_at(place) != old for place, old in zip(places, before, strict=True)) == 1
    assert "of 3" in app.page.locator("#working-text").inner_text()
    fake_server.let_go(2)
    app.wait_for_edits(1)
    app.settle()
    assert all(app.colour_at(place) != old for place, old in zip(places, before, strict=True))
    assert len(fetched) == len(set(fetched)) == 3
    app.page.keyboard.press("Control+z")
    app.settle()
    assert [app.colour_at(place) for place in places] == before


def test_a_cancelled_fill_leaves_none_of_its_regions(slow_app: App, fake_server: RunningServer) -> None:
    app = slow_app
    app.fill_on_release(False)
    for place in FAR[:3]:
        app.paint([place])
    before = [app.colour_at(place) for place in FAR[:3]]
    app.page.keyboard.press("Enter")
    fake_server.let_go()
    app.wait("state.jobs[0]?.early.length === 1")
    app.page.keyboard.press("Escape")
    app.wait("state.jobs.length === 0")
    app.settle()
    assert [app.colour_at(place) for place in FAR[:3]] == before
    assert app.read("[lama.bitmaps.counts().patches, doc.draft.length]") == [0, 3]


@pytest.fixture
def saving_server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "out").mkdir()
    arguments = ("--model", "patchmatch", "--output-dir", str(tmp_path / "out"))
    with running_server(tmp_path / "data", *arguments) as server:
        yield server


def test_only_the_chosen_result_is_saved_once_the_person_goes_on(
    open_app: OpenApp, saving_server: Server, photos: Path
) -> None:
    app = open_app(saving_server.url)
    saves: list[Any] = []

    def note(request: Request) -> None:
        if request.url.endswith("/save"):
            saves.append(request.post_data_json)

    app.page.on("request", note)
    out = saving_server.data_dir.parent / "out"
    app.open(photos / "astronaut.png")
    app.open_tuning()
    app.page.get_by_label("Results per fill").fill("3")
    app.close_panels()
    app.paint([(424.0, 60.0), (424.0, 110.0)])
    app.wait_for_edits(1)
    app.settle()
    app.page.locator(".result").nth(2).click()
    chosen = app.read("doc.edits[0].chosen")
    assert (list(out.iterdir()), saves) == ([], []), "nothing is saved while results are looked through"
    app.page.click("#drawer-close")
    app.wait("state.savedAs !== null")
    assert saves == [{"edits": [chosen]}]
    assert [path.name for path in out.iterdir()] == [app.read("state.savedAs")]

    app.settle()
    app.page.reload()
    app.wait("doc.edits.length === 1")
    app.settle()
    app.page.keyboard.press("Control+z")
    app.page.keyboard.press("Control+Shift+z")
    app.settle()
    assert len(saves) == 1, "what is saved is not saved again"


def test_fills_beside_each_other_are_saved_as_one_picture(
    open_app: OpenApp, saving_server: Server, large: Path
) -> None:
    app = open_app(saving_server.url)
    app.open(large)
    app.wait("state.image.id !== null")
    held: list[Route] = []
    app.page.route("**/api/v1/edits", lambda route: held.append(route))
    paint_one_by_one(app, FAR[:2])
    until(app, lambda: len(held) == 2)
    for route in held:
        route.continue_()
    app.wait_for_edits(2)
    app.wait("state.savedAs !== null")
    (saved,) = (saving_server.data_dir.parent / "out").iterdir()
    with Image.open(saved) as picture, Image.open(large) as original:
        changed = [picture.getpixel((int(x), int(y))) != original.getpixel((int(x), int(y))) for x, y in FAR]
    assert changed == [True, True, False, False]
