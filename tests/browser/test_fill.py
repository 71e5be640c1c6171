"""The main job: open a photograph, paint over something, get it filled; undo, redo, compare, download."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Request, Route

from browser.driver import App, OpenApp, Server
from lama_server.imaging.masks import rasterise
from lama_server.schemas.shapes import Stroke

ROCKET = [(424.0, 40.0), (424.0, 120.0), (418.0, 200.0)]
"""Across the model of a rocket in the background of the astronaut's portrait."""


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def covered(app: App, height: int, width: int, grow_px: int) -> NDArray[np.bool_]:
    """What the first edit's strokes cover, grown as the model grows them."""
    shapes = [Stroke.model_validate(shape) for shape in app.read("doc.edits[0].shapes")]
    mask = rasterise(shapes, width, height)
    hole = np.zeros((height, width), bool)
    box = mask.box
    hole[box.y0 : box.y1, box.x0 : box.x1] = mask.coverage > 0
    for _ in range(grow_px):
        padded = np.pad(hole, 1)
        hole = np.logical_or.reduce(
            [padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        )
    return hole


def test_what_is_painted_changes_and_every_other_pixel_is_identical(app: App, photos: Path, tmp_path: Path) -> None:
    app.open(photos / "astronaut.png")
    before = app.colour_at((424, 120))
    app.paint(ROCKET)
    app.wait_for_edits(1)
    app.settle()
    after = app.colour_at((424, 120))
    assert after != before

    app.page.keyboard.press("Control+z")
    app.settle()
    assert app.colour_at((424, 120)) == before
    assert app.ink_at((424, 120)) == 0, "one undo takes back all of it"
    app.page.keyboard.press("Control+Shift+z")
    app.settle()
    assert app.colour_at((424, 120)) == after

    app.page.keyboard.down("\\")
    app.settle()
    assert app.colour_at((424, 120)) == before
    app.page.keyboard.up("\\")
    app.settle()
    assert app.colour_at((424, 120)) == after

    original = pixels_of(photos / "astronaut.png")
    result = pixels_of(app.download(tmp_path / "result.png"))
    model = app.read("state.models.find(model => model.name === 'opencv')")
    height, width, _ = original.shape
    hole = covered(app, height, width, grow_px=model["grow_px"])
    changed = (result != original).any(axis=2)
    assert not changed[~hole].any(), f"{changed[~hole].sum()} pixels outside the mask changed"
    assert changed[hole].mean() > 0.5


def test_the_finished_fill_is_saved_and_the_page_says_where(app: App, server: Server, photos: Path) -> None:
    app.open(photos / "chelsea.jpg")
    app.paint([(60.0, 60.0), (90.0, 70.0)])
    app.wait_for_edits(1)
    app.wait("state.savedAs !== null")
    name = app.read("state.savedAs")
    assert name in app.page.locator("#saved").inner_text()
    saved = server.data_dir.parent / "out" / name
    assert pixels_of(saved).shape == pixels_of(photos / "chelsea.jpg").shape


def test_the_page_says_when_a_whole_jpeg_was_encoded_anew(app: App, photos: Path, tmp_path: Path) -> None:
    def answer(route: Route) -> None:
        response = route.fetch()
        assert response.headers["x-jpeg"] == "patched"
        route.fulfill(response=response, headers={**response.headers, "x-jpeg": 'reencoded; reason="too odd"'})

    app.open(photos / "coffee.jpg")
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    app.page.route("**/render?*", answer)
    app.download(tmp_path / "result.jpg")
    app.page.locator("#told", has_text="encoded anew: too odd").wait_for()


def test_strokes_collect_until_fill_is_pressed_in_manual_mode(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    app.fill_on_release(False)
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.paint([(60.0, 110.0), (90.0, 110.0)])
    app.page.wait_for_timeout(500)
    assert app.read("state.jobs.length === 0 && doc.draft.length === 2")
    assert "2 strokes" in app.page.locator("#talk").inner_text()
    app.page.locator("#run").click()
    app.wait_for_edits(1)
    assert app.read("doc.draft.length") == 0


def test_dabs_far_apart_are_patches_of_one_fill_and_survive_a_reload(app: App, photos: Path, tmp_path: Path) -> None:
    app.open(photos / "astronaut.png")
    app.fill_on_release(False)
    places = [(424.0, 120.0), (60.0, 460.0)]
    before = [app.colour_at(place) for place in places]
    for x, y in places:
        app.paint([(x, y), (x + 4, y + 4)])
    asked: list[str] = []
    app.page.on("request", lambda request: asked.append(request.url) if "/patches/" in request.url else None)
    app.page.keyboard.press("Enter")
    app.wait_for_edits(1)
    app.settle()
    boxes = app.read("Object.values(state.results)[0][0].patches")
    assert len(boxes) == len(asked) == app.read("lama.bitmaps.counts().patches") == 2
    after = [app.colour_at(place) for place in places]
    assert all(new != old for new, old in zip(after, before, strict=True))

    app.page.keyboard.press("Control+z")
    app.settle()
    assert [app.colour_at(place) for place in places] == before
    app.page.keyboard.press("Control+Shift+z")
    app.page.reload()
    app.wait("doc.edits.length === 1 && state.image !== null")
    app.settle()
    restored = [app.colour_at(place) for place in places]
    assert np.allclose(restored, after, atol=16), (
        "the photo is fitted anew, so that pixels are mixed a little otherwise"
    )
    assert not np.allclose(restored, before, atol=16)
    assert len(asked) == 2, "both were kept in the browser"

    result, original = pixels_of(app.download(tmp_path / "a.png")).copy(), pixels_of(photos / "astronaut.png")
    for box in boxes:
        part = slice(box["y"], box["y"] + box["h"]), slice(box["x"], box["x"] + box["w"])
        assert not np.array_equal(result[part], original[part])
        result[part] = original[part]
    assert np.array_equal(result, original)


def test_shift_click_joins_by_a_straight_line_and_the_right_button_erases(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    app.fill_on_release(False)
    app.paint([(100.0, 100.0)])
    app.settle()
    assert app.ink_at((100, 100)) == 255, "a click is a dab"
    app.page.keyboard.down("Shift")
    app.paint([(300.0, 100.0)])
    app.page.keyboard.up("Shift")
    app.settle()
    assert app.ink_at((200, 100)) == 255
    app.paint([(200.0, 60.0), (200.0, 140.0)], button="right")
    app.settle()
    assert app.ink_at((200, 100)) == 0
    assert app.ink_at((150, 100)) == 255
    app.page.keyboard.press("Delete")
    app.settle()
    assert app.ink_at((150, 100)) == 0
    app.page.keyboard.press("Control+z")
    app.settle()
    assert app.ink_at((150, 100)) == 255


def test_rectangle_and_lasso_fill_what_they_enclose(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    app.fill_on_release(False)
    app.page.keyboard.press("r")
    app.paint([(20.0, 20.0), (80.0, 60.0)])
    app.page.keyboard.press("l")
    app.paint([(120.0, 20.0), (180.0, 20.0), (180.0, 80.0), (120.0, 80.0)])
    app.settle()
    assert [app.ink_at(point) for point in ((50, 40), (150, 50), (100, 40))] == [255, 255, 0]
    assert app.read("doc.draft.map(shape => shape.kind)") == ["rect", "poly"]


def test_painting_goes_on_while_a_fill_runs_and_becomes_the_next_fill(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")

    def late(route: Route) -> None:
        app.page.wait_for_timeout(400)
        route.continue_()

    app.page.route("**/api/v1/edits", late)
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait("state.jobs.length > 0")
    app.paint([(60.0, 160.0), (90.0, 160.0)])
    app.wait_for_edits(2)
    assert app.read("doc.edits.map(edit => edit.shapes.length)") == [1, 1]


def test_a_failed_fill_keeps_what_was_painted_and_offers_to_try_again(
    app: App, photos: Path, tolerated: list[str]
) -> None:
    tolerated.append("503")
    problem = {"code": "worker.crashed", "title": "The engine stopped", "detail": "It ended.", "retryable": True}
    app.open(photos / "astronaut.png")
    app.page.route(
        "**/api/v1/edits",
        lambda route: route.fulfill(status=503, body=json.dumps(problem), content_type="application/problem+json"),
        times=1,
    )
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    retry = app.page.get_by_role("button", name="Try again")
    retry.wait_for()
    assert "The engine stopped" in app.page.locator("#notes").inner_text()
    assert app.read("doc.draft.length") == 1
    retry.click()
    app.wait_for_edits(1)


def test_cancel_keeps_what_was_painted(app: App, photos: Path) -> None:
    app.open(photos / "astronaut.png")
    app.page.route("**/api/v1/edits", lambda route: None)  # never resulted
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait("state.jobs.length > 0")
    app.page.keyboard.press("Escape")
    app.wait("state.jobs.length === 0")
    assert app.read("doc.draft.length") == 1
    assert app.read("doc.edits.length") == 0
    app.page.get_by_role("button", name="Remove", exact=True).wait_for()  # fails where there are two


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_file_comes_in_by_drop_and_by_paste(app: App, photos: Path, how: str) -> None:
    content = list((photos / "chelsea.jpg").read_bytes())
    transfer = app.page.evaluate_handle(
        """content => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(content)], "cat.jpg", { type: "image/jpeg" }));
            return transfer;
        }""",
        content,
    )
    key = "clipboardData" if how == "paste" else "dataTransfer"
    kind = "ClipboardEvent" if how == "paste" else "DragEvent"
    app.page.evaluate(
        f"transfer => dispatchEvent(new {kind}({how!r}, {{ {key}: transfer, bubbles: true, cancelable: true }}))",
        transfer,
    )
    app.wait("state.image?.name === 'cat.jpg'")
    assert app.read("[state.image.width, state.image.height]") == [451, 300]


def test_several_files_wait_in_the_list_and_keep_their_work(app: App, photos: Path) -> None:
    app.page.set_input_files("#files", [photos / "astronaut.png", photos / "coffee.jpg"])
    app.wait("state.image?.name === 'astronaut.png'")
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)
    app.page.click("#file")
    app.page.get_by_role("button", name="coffee.jpg").click()
    app.wait("state.image?.name === 'coffee.jpg' && doc.edits.length === 0")
    app.page.click("#file")
    app.page.locator("#photos").get_by_title("astronaut.png").click()
    app.wait("state.image?.name === 'astronaut.png' && doc.edits.length === 1")


def test_a_format_the_browser_cannot_read_is_shown_by_the_server(app: App, photos: Path, tmp_path: Path) -> None:
    with Image.open(photos / "astronaut.png") as image:
        image.save(tmp_path / "scan.tiff")
    app.open(tmp_path / "scan.tiff")
    app.settle()
    assert app.read("[state.image.width, state.image.height]") == [512, 512]
    with Image.open(photos / "astronaut.png") as image:
        expected = np.array(image.getpixel((300, 300)), dtype=int)
    assert np.abs(expected - app.colour_at((300.5, 300.5))).max() < 40
    app.paint([(60.0, 60.0), (90.0, 60.0)])
    app.wait_for_edits(1)


def test_a_file_that_is_no_picture_is_refused_with_a_reason(app: App, tmp_path: Path, tolerated: list[str]) -> None:
    tolerated.append("415|422")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    app.page.set_input_files("#files", tmp_path / "broken.png")
    app.page.locator(".note").wait_for()
    assert app.read("state.image") is None
    assert app.page.locator("#empty").is_visible()


def test_markup_in_the_name_of_a_file_is_text(app: App, photos: Path, tmp_path: Path) -> None:
    """B104: in the list of files, in messages, and in the name of the result."""
    name = "<img src=x onerror=document.title=`run`>.png"
    shutil.copy(photos / "astronaut.png", tmp_path / name)
    app.open(tmp_path / name)
    app.paint(ROCKET)
    app.wait_for_edits(1)
    app.settle()
    assert app.page.locator("img[src=x]").count() == 0
    assert app.page.title() != "run"


def test_the_photo_given_at_start_is_open(open_app: OpenApp, server: Server, photos: Path) -> None:
    first = open_app()
    first.open(photos / "coffee.jpg")
    first.wait("state.image.id !== null")
    image = first.read("state.image.id")
    second = open_app()
    second.page.route("**/", lambda route: _with_open_image(route, image))
    second.page.reload()
    second.wait("state.image !== null")
    assert second.read("state.image.name") == "coffee.jpg"
    second.paint([(60.0, 60.0), (90.0, 60.0)])
    second.wait_for_edits(1)


def _with_open_image(route, image: str) -> None:  # type: ignore[no-untyped-def]
    response = route.fetch()
    route.fulfill(response=response, body=response.text().replace('"open_image": null', f'"open_image": "{image}"'))


def test_a_photo_that_browsers_show_differently_is_shown_as_it_will_be_saved(app: App, tmp_path: Path) -> None:
    """A WebP with an EXIF orientation: browsers leave it lying, the server turns it."""
    tags = Image.Exif()
    tags[0x0112] = 6
    lying = np.zeros((120, 200, 3), np.uint8)
    lying[:, :100] = (255, 0, 0)
    Image.fromarray(lying).save(tmp_path / "turned.webp", lossless=True, exif=tags)
    app.open(tmp_path / "turned.webp")
    app.wait("state.image?.asPreview")
    assert app.read("[state.image.width, state.image.height]") == [120, 200]
    app.settle()
    assert app.colour_at((60, 40))[0] > 200
    assert app.colour_at((60, 160))[0] < 50
    app.settle()
    app.page.reload()
    app.wait("state.image?.asPreview")
    app.settle()
    assert app.colour_at((60, 40))[0] > 200


def test_a_tab_names_itself_so_that_its_fills_run_in_order(
    open_app: OpenApp, photos: Path, server: Server, tolerated: list[str]
) -> None:
    """Also on a page without a secure context."""
    tolerated.append("Cross-Origin-Opener-Policy header has been ignored")
    names: list[set[str]] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/api/v1/edits"):
            names[-1].add(request.headers["x-client-id"])

    for url in (server.url, server.lan_url):
        app = open_app(url=url)
        names.append(set())
        app.page.on("request", note)
        app.open(photos / "astronaut.png")
        for count, x in enumerate((100.0, 200.0), 1):
            app.paint([(x, 100.0), (x, 140.0)])
            app.wait_for_edits(count)
    assert [len(own) for own in names] == [1, 1]
    assert names[0] != names[1]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for own in names for name in own)
