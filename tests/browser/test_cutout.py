"""What is done to the whole photo at once: cut out as a step, before a colour, as a mask; enlarged beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Route

from browser.driver import App
from drawn_scenes import mug, overlap

MUG, COVERED = mug()
CORNER = (20.5, 20.5)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mug") / "mug.png"
    Image.fromarray(MUG).save(path)
    return path


def choose(app: App, photo: Path, model: str) -> None:
    """By the keyboard, as far as the model."""
    app.open(photo)
    app.settle()
    app.page.locator("#stage").focus()
    app.page.keyboard.press("d")
    app.page.locator(".cutout select").first.select_option(model)


def do_it(app: App) -> None:
    app.page.get_by_role("button", name="Do it").focus()
    app.page.keyboard.press("Enter")


def test_a_cut_out_is_a_step_that_is_seen_filled_over_undone_and_downloaded(
    app: App, product: Path, tmp_path: Path
) -> None:
    choose(app, product, "backdrop")
    before = app.colour_at(CORNER)
    do_it(app)
    app.wait_for_edits(1)
    app.settle()
    assert app.colour_at(CORNER) != before, "the checkerboard"
    cut = np.asarray(Image.open(app.download(tmp_path / "cut.png")))
    assert overlap(cut[..., 3] > 127, COVERED > 0.5) > 0.98
    app.page.keyboard.press("b")
    app.fill_on_release(True)
    app.paint([(150, 150), (170, 160)])
    app.wait_for_edits(2)
    app.settle()
    for _ in range(2):
        app.page.keyboard.press("Control+z")
    app.wait("doc.edits.length === 0")
    app.settle()
    assert app.colour_at(CORNER) == before


def test_a_colour_comes_behind_the_subject(app: App, product: Path) -> None:
    choose(app, product, "backdrop")
    app.page.get_by_label("Background", exact=True).select_option("colour")
    app.page.get_by_label("Background colour").fill("#00ff80")
    do_it(app)
    app.wait_for_edits(1)
    app.settle()
    assert np.abs(np.array(app.colour_at(CORNER), int) - (0, 255, 128)).max() <= 2


def test_the_subject_is_selected_and_turned_round(app: App, product: Path) -> None:
    choose(app, product, "backdrop")
    app.fill_on_release(False)
    app.page.get_by_label("Background", exact=True).select_option("select")
    do_it(app)
    app.wait("doc.draft.length === 1")
    app.settle()
    y, x = (float(np.mean(axis)) for axis in np.nonzero(COVERED > 0.5))
    middle = x, y
    assert app.ink_at(middle) > 200
    app.page.locator("#stage").focus()
    app.page.keyboard.press("i")
    app.settle()
    assert app.ink_at(middle) == 0
    assert app.ink_at(CORNER) > 200


def test_an_enlarged_photo_is_opened_beside_the_other(app: App, product: Path) -> None:
    choose(app, product, "lanczos")
    app.page.get_by_label("How many times as large").select_option("4")
    do_it(app)
    app.wait("state.image.width === 1600")
    assert app.read("state.image.name") == "mug-4x.png"
    assert app.read("state.gallery.items.length") == 2


def test_what_takes_long_is_cancelled(app: App, product: Path) -> None:
    choose(app, product, "lanczos")
    held: list[Route] = []
    app.page.route("**/api/v1/edits", lambda route: held.append(route))
    do_it(app)
    stop = app.page.locator(".cutout").get_by_role("button", name="Cancel")
    stop.click()
    app.page.locator(".cutout .go:enabled").wait_for()
    assert not stop.is_visible()
    assert app.read("doc.edits.length") == 0
    for route in held:
        route.abort()


def test_a_model_without_its_file_says_how_it_is_got(app: App, product: Path) -> None:
    choose(app, product, "u2netp")
    do_it(app)
    told = app.page.locator("#told-text", has_text="lama-server download u2netp (4.4 MiB, Apache-2.0)")
    told.wait_for()
