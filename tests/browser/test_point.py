"""Pointing at things: MobileSAM's own path, from files in the model folder to the outline on the page.

The files hold a network of the same inputs and outputs that goes by colour; it is listed by a package, with its hashes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Request

import tiny_networks
from browser.driver import App, OpenApp, Server, running_server

ON_LEFT, ON_GROUND, ON_DISC = (200, 240), (60, 60), (520, 100)
BLOCK, LEFT_HALF, DISC = (140, 160, 400, 320), (140, 160, 270, 320), (490, 70, 550, 130)
RIGHT_HALF = (270, 160, 400, 320)
NEARLY_PX = 3
"""The two tones are next to alike."""


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block of two tones and a disc of a third colour with its shadow, on plain ground."""
    pixels = np.full((480, 640, 3), (70, 110, 160), np.uint8)
    cv2.ellipse(pixels, (500, 134), (36, 10), 0, 0, 360, (42, 66, 96), -1)
    pixels[160:320, 140:270], pixels[160:320, 270:400] = (200, 120, 90), (215, 140, 105)
    rows, columns = np.mgrid[0:480, 0:640]
    pixels[np.hypot(rows + 0.5 - 100, columns + 0.5 - 520) < 30] = (60, 190, 90)
    path = tmp_path_factory.mktemp("things") / "things.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def pointing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, models = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("models")
    files = tiny_networks.write_mobile_sam(models)
    facts = [(file.stat().st_size, sha256(file.read_bytes()).hexdigest()) for file in files]
    (folder / "tiny_pointing.py").write_text(
        "from dataclasses import replace\n"
        "from inpaint_models.sam import MOBILE_SAM\n"
        "weights = tuple(replace(file, size_bytes=size, sha256=sum) for file, (size, sum) in "
        f"zip(MOBILE_SAM.weights, {facts}))\n"
        "ENTRY = replace(MOBILE_SAM, name='tiny', title='Tiny', weights=weights)\n"
    )
    info = folder / "tiny_pointing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-pointing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[inpaint_models.entries]\ntiny = tiny_pointing:ENTRY\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        data = tmp_path_factory.mktemp("data")
        with running_server(data, "--model", "opencv", "--model-dir", str(models)) as server:
            yield server


@pytest.fixture
def open_things(open_app: OpenApp, pointing: Server, things: Path) -> Callable[..., App]:
    """The photo is open, the tool in hand, and its model known."""

    def opened(**options: object) -> App:
        app = open_app(pointing.url, **options)
        app.open(things)
        app.settle()
        app.fill_on_release(False)
        app.page.locator("#stage").focus()
        app.page.keyboard.press("t")
        app.wait("state.tool === 'point'")
        return app

    return opened


def proposed(app: App, box: tuple[int, int, int, int]) -> None:
    """Waits until the outline is around the box."""
    x0, y0, x1, y1 = box
    sides = "(document.querySelector('.proposal').dataset.mask || '0 0 0 0').split(' ')"
    app.wait(f"{sides}.every((side, i) => Math.abs(side - {[x0, y0, x1 - x0, y1 - y0]}[i]) <= {NEARLY_PX})")


def is_nearly(found: tuple[float, ...], box: tuple[float, ...]) -> bool:
    return max(abs(one - other) for one, other in zip(found, box, strict=True)) <= 2 * NEARLY_PX


def click(app: App, place: tuple[int, int], *, alt: bool = False) -> None:
    x, y = app.on_screen(place)
    if alt:
        app.page.keyboard.down("Alt")
    app.page.mouse.click(x, y)
    if alt:
        app.page.keyboard.up("Alt")


def box_of_the_mask(app: App) -> tuple[int, int, int, int]:
    (shape,) = app.read("doc.draft")
    return shape["x"], shape["y"], shape["x"] + shape["w"], shape["y"] + shape["h"]


def test_the_outline_is_shown_under_the_pointer_and_nothing_is_painted(open_things: Callable[..., App]) -> None:
    app = open_things()
    asked = list[Request]()
    app.page.on("request", lambda request: asked.append(request) if request.url.endswith("/select") else None)
    app.page.mouse.move(*app.on_screen(ON_LEFT))
    proposed(app, BLOCK)
    shown = app.page.locator(".proposal").bounding_box()
    (x0, y0), (x1, y1) = app.on_screen(BLOCK[:2]), app.on_screen(BLOCK[2:])
    assert shown is not None
    assert is_nearly((shown["x"], shown["y"], shown["width"], shown["height"]), (x0, y0, x1 - x0, y1 - y0))
    app.page.mouse.move(*app.on_screen(ON_DISC), steps=12)
    proposed(app, DISC)
    assert app.read("doc.draft.length") == 0
    views = {str(request.post_data_json["view"]) for request in asked if request.post_data_json}
    assert len(views) == 1, "the same view each time: it is encoded once"


def test_a_click_holds_a_thing_more_add_and_take_away_and_enter_takes_it(open_things: Callable[..., App]) -> None:
    app = open_things()
    click(app, ON_DISC)
    proposed(app, DISC)
    click(app, ON_LEFT)
    proposed(app, (140, 70, 550, 320))
    click(app, ON_DISC, alt=True)
    proposed(app, BLOCK)
    assert app.read("doc.draft.length") == 0
    app.page.keyboard.press("Enter")
    app.wait("doc.draft.length === 1")
    assert is_nearly(box_of_the_mask(app), BLOCK)
    app.settle()
    assert app.ink_at(ON_LEFT) > 200
    assert app.ink_at(ON_GROUND) == 0
    app.page.keyboard.press("Enter")
    app.wait_for_edits(1)
    app.settle()
    assert app.colour_at(ON_LEFT) != [200, 120, 90, 255]
    app.page.keyboard.press("Control+z")
    app.settle()
    assert app.colour_at(ON_LEFT)[:3] == [200, 120, 90]


def test_tab_goes_from_the_whole_to_a_part_and_escape_drops_it(open_things: Callable[..., App]) -> None:
    app = open_things()
    click(app, ON_LEFT)
    proposed(app, BLOCK)
    app.page.keyboard.press("Tab")
    proposed(app, LEFT_HALF)
    app.page.get_by_role("button", name="Part or whole").click()
    app.page.keyboard.press("Escape")
    app.page.locator(".proposal").wait_for(state="hidden")
    app.page.get_by_role("button", name="Take it").wait_for(state="hidden")
    assert app.read("doc.draft.length") == 0


def test_the_shadow_of_what_was_taken_is_outlined_and_can_be_taken_too(open_things: Callable[..., App]) -> None:
    app = open_things()
    click(app, ON_DISC)
    app.page.get_by_role("button", name="Take it").click()
    app.page.locator(".proposal-shadow").wait_for()
    app.page.get_by_role("button", name="Select it too").click()
    app.wait("doc.draft.length === 2")
    shadow = app.read("doc.draft[1]")
    assert is_nearly((shadow["x"], shadow["y"], shadow["w"], shadow["h"]), (464, 117, 73, 28))
    app.page.locator(".proposal-shadow").wait_for(state="hidden")


def test_a_box_is_drawn_around_a_thing(open_things: Callable[..., App]) -> None:
    app = open_things()
    app.paint([(480, 60), (560, 140)])
    proposed(app, DISC)


def test_pointing_works_by_keyboard_alone(open_things: Callable[..., App]) -> None:
    app = open_things()
    keyboard = app.page.keyboard
    keyboard.press("ArrowLeft")
    proposed(app, BLOCK)
    keyboard.press("Enter")
    app.page.get_by_role("button", name="Take it").wait_for()
    keyboard.press("Tab")
    keyboard.press("Enter")
    app.wait("doc.draft.length === 1")
    assert any(is_nearly(box_of_the_mask(app), half) for half in (LEFT_HALF, RIGHT_HALF))


def test_a_finger_points_and_takes(open_things: Callable[..., App]) -> None:
    app = open_things(has_touch=True, viewport={"width": 390, "height": 844})
    app.page.touchscreen.tap(*app.on_screen(ON_LEFT))
    app.page.get_by_role("button", name="Take it").tap()
    app.wait("doc.draft.length === 1")
    assert is_nearly(box_of_the_mask(app), BLOCK)


def test_without_a_model_one_sentence_says_which_there_is(app: App, things: Path) -> None:
    app.open(things)
    app.settle()
    app.page.locator("#stage").focus()
    app.page.keyboard.press("t")
    app.page.locator("#told").get_by_text("Pointing needs MobileSAM (Apache-2.0, 43 MiB).").wait_for()
