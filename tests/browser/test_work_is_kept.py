"""Corners in which work was lost, or went to another photo than the one in sight."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Route

from browser.driver import PATIENCE_S, App, OpenApp, Server, running_server

STROKE = [(60.0, 60.0), (90.0, 60.0)]


def wait_for(app: App, true: Callable[[], bool]) -> None:
    """Lets the browser go on until it is."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        app.page.wait_for_timeout(10)


def names(app: App) -> list[str]:
    listed: list[str] = app.read("state.gallery.items.map((item) => item.name)")
    return listed


HOLD_FIRST_PHOTO = """
globalThis.Worker = class extends Worker {
  addEventListener(type, listener) {
    super.addEventListener(type, (event) => {
      if (event.data?.value?.levels && !window.releaseFirst) window.releaseFirst = () => listener(event);
      else listener(event);
    });
  }
};
"""
"""The photo that is decoded first is kept back until the test gives it free."""


def test_the_photo_chosen_last_is_the_one_in_sight_whichever_is_decoded_first(open_app: OpenApp, photos: Path) -> None:
    app = open_app(script=HOLD_FIRST_PHOTO)
    app.page.set_input_files("#files", photos / "coffee.jpg")
    app.wait("window.releaseFirst !== undefined")
    app.open(photos / "astronaut.png")
    app.wait("lama.bitmaps.pyramid()?.width === 512")
    app.page.evaluate("window.releaseFirst()")
    app.settle()
    assert app.read("[state.image.name, lama.bitmaps.pyramid().width]") == ["astronaut.png", 512]
    app.paint(STROKE)
    app.wait_for_edits(1)
    assert app.read("state.results[doc.edits[0].key][0].patches.every((patch) => patch.x < 512)")


def test_the_open_photo_stays_in_sight_until_the_next_one_is_decoded(app: App, large_photo: Path, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    app.page.set_input_files("#files", large_photo)
    app.wait("state.opening === 'reading'")
    assert app.read("[state.image.name, lama.bitmaps.pyramid().width]") == ["astronaut.png", 512]
    app.wait("state.image.name === 'large.jpg'")
    assert app.read("lama.bitmaps.pyramid().width") == 6000


def test_a_stroke_belongs_to_the_photo_that_it_began_on(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    app.fill_on_release(False)
    mouse = app.page.mouse
    mouse.move(*app.on_screen((60, 60)))
    mouse.down()
    mouse.move(*app.on_screen((90, 60)))
    app.open(photos / "coffee.jpg")
    mouse.move(*app.on_screen((120, 80)))
    mouse.up()
    assert app.read("doc.draft.length") == 0


@pytest.mark.parametrize("broken", ["no picture", "too small"])
def test_a_photo_that_cannot_be_opened_leaves_the_open_one_alone(
    app: App, photos: Path, tmp_path: Path, tolerated: list[str], broken: str
) -> None:
    tolerated.append("415|422")
    path = tmp_path / "broken.png"
    if broken == "too small":  # the browser shows it, the server refuses it a moment later
        Image.new("RGB", (8, 8)).save(path)
    else:
        path.write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    app.open(photos / "astronaut.png")
    app.paint(STROKE)
    app.wait_for_edits(1)
    app.page.set_input_files("#files", path)
    app.page.locator(".note").wait_for()
    app.wait("state.image?.name === 'astronaut.png' && state.opening === ''")
    app.settle()
    assert app.read("doc.edits.length") == 1
    assert names(app) == ["astronaut.png"]


def test_of_several_files_the_first_that_is_a_picture_is_opened(
    app: App, photos: Path, tmp_path: Path, tolerated: list[str]
) -> None:
    tolerated.append("415|422")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    app.page.set_input_files("#files", [tmp_path / "broken.png", photos / "coffee.jpg", photos / "chelsea.jpg"])
    app.wait("state.image?.name === 'coffee.jpg'")
    assert names(app) == ["coffee.jpg", "chelsea.jpg"]


def test_a_reload_brings_back_the_list_of_photos(app: App, photos: Path) -> None:
    app.page.set_input_files("#files", [photos / "astronaut.png", photos / "coffee.jpg", photos / "chelsea.jpg"])
    app.wait("state.image?.name === 'astronaut.png'")
    app.paint(STROKE)
    app.wait_for_edits(1)
    app.settle()
    app.page.reload()
    app.wait("state.image?.name === 'astronaut.png'")
    assert names(app) == ["astronaut.png", "coffee.jpg", "chelsea.jpg"]
    assert app.read("state.gallery.at") == 0
    app.page.click("#file")
    app.page.get_by_role("button", name="chelsea.jpg").click()
    app.wait("state.image?.name === 'chelsea.jpg'")
    app.page.click("#file")
    app.page.get_by_role("button", name="astronaut.png").click()
    app.wait("state.image?.name === 'astronaut.png' && doc.edits.length === 1")


def test_only_the_newest_sessions_stay_in_the_browser(app: App, photos: Path) -> None:
    """Two more than are kept, each in a list of its own, as day after day."""
    for index in range(7):
        app.open(photos / ("astronaut.png" if index % 2 else "coffee.jpg"))
        app.settle()
        app.page.evaluate("sessionStorage.clear()")
        app.page.reload()
        app.settle()
    app.open(photos / "chelsea.jpg")
    app.settle()
    count = """() => new Promise((done) => {
      const request = indexedDB.open("lama-server", 1);
      request.onsuccess = () => {
        const transaction = request.result.transaction(["sessions", "blobs"]);
        const sessions = transaction.objectStore("sessions").getAllKeys();
        const blobs = transaction.objectStore("blobs").getAllKeys();
        transaction.oncomplete = () => done([sessions.result.length, blobs.result.length]);
      };
    })"""
    sessions, files = app.page.evaluate(count)
    assert sessions <= 6
    assert files <= 6


def test_a_reload_during_a_fill_goes_on_with_it(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    app.fill_on_release(False)
    app.paint(STROKE)
    app.fill_on_release(True)
    app.settle()
    app.page.reload()
    app.wait_for_edits(1)
    assert app.read("doc.draft.length") == 0


def test_undo_and_redo_during_a_fill_leave_nothing_painted_and_unfilled(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    held: list[Route] = []
    app.page.route("**/api/v1/edits", lambda route: held.append(route))
    app.paint(STROKE)
    wait_for(app, lambda: len(held) == 1)
    app.page.keyboard.press("Control+z")
    app.page.keyboard.press("Control+Shift+z")
    wait_for(app, lambda: len(held) == 2)
    held[1].continue_()
    app.wait_for_edits(1)
    assert app.read("doc.draft.length") == 0


def test_leaving_a_photo_during_its_fill_is_told_and_the_fill_is_made_on_return(app: App, photos: Path) -> None:
    app.page.set_input_files("#files", [photos / "astronaut.png", photos / "coffee.jpg"])
    app.wait("state.image?.name === 'astronaut.png'")
    held: list[Route] = []
    app.page.route("**/api/v1/edits", lambda route: held.append(route))
    app.paint(STROKE)
    wait_for(app, lambda: len(held) == 1)
    app.page.click("#file")
    app.page.get_by_role("button", name="coffee.jpg").click()
    app.wait("state.image?.name === 'coffee.jpg'")
    assert "astronaut.png" in app.page.locator("#told").inner_text()
    app.page.unroute("**/api/v1/edits")
    app.page.click("#file")
    app.page.get_by_role("button", name="astronaut.png").click()
    app.wait("state.image?.name === 'astronaut.png'")
    app.wait_for_edits(1)


@pytest.fixture
def server_with_photo(large_photo: Path, tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "data", "--model", "opencv", "--input", str(large_photo)) as server:
        yield server


def test_the_photo_given_at_start_has_its_own_pixels_and_its_work_survives_a_reload(
    open_app: OpenApp, server_with_photo: Server
) -> None:
    app = open_app(server_with_photo.url)
    app.wait("state.image !== null")
    assert app.read("[state.image.asPreview, lama.bitmaps.pyramid().width]") == [False, 6000]
    app.paint([(600.0, 600.0), (900.0, 600.0)])
    app.wait_for_edits(1)
    app.settle()
    app.page.reload()
    app.wait("state.image !== null")
    assert app.read("doc.edits.length") == 1


def test_one_undo_after_a_fill_gives_the_photo_as_it_was(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    app.paint(STROKE)
    app.wait_for_edits(1)
    app.page.keyboard.press("Control+z")
    app.settle()
    assert app.read("[doc.edits.length, doc.draft.length]") == [0, 0]
    app.page.wait_for_timeout(500)
    assert app.read("state.jobs.length === 0 && doc.draft.length === 0"), "nothing fills it again"


def test_a_transparent_photo_is_seen_on_a_checkerboard_and_patches_do_not_pile_up(app: App, tmp_path: Path) -> None:
    pixels = np.zeros((300, 300, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[..., 3] = 128
    pixels[100:140, 100:140] = (0, 0, 255, 128)
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    app.open(tmp_path / "clear.png")
    app.settle()
    light, dark = app.colour_at((30.0, 30.0)), app.colour_at((30.0, 30.0 + 8 / app.read("state.view.scale")))
    assert light != dark, "two fields of the checkerboard show through"
    app.paint([(120.0, 120.0)])
    app.wait_for_edits(1)
    app.settle()
    box = app.read("(({x, y, w, h}) => [x, y, w, h])(state.results[doc.edits[0].key][0].patches[0])")
    known = (box[0] + 1.0, box[1] + 1.0)  # in the patch's corner, where the round dab does not reach
    app.page.keyboard.down("\\")
    app.settle()
    before = app.colour_at(known)
    app.page.keyboard.up("\\")
    app.settle()
    assert app.colour_at(known) == before
