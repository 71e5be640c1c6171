"""Saving under a format of choice, copying, and the mask as a file, out and in."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Route

from browser.driver import App
from browser.states import answer, ellipse

STROKE = [(60.0, 60.0), (120.0, 60.0)]
INSIDE, OUTSIDE = (90.0, 60.0), (90.0, 200.0)


@pytest.fixture
def photo(app: App, photos: Path) -> App:
    app.open(photos / "astronaut.png")
    return app


@pytest.fixture
def filled(photo: App) -> App:
    photo.paint(STROKE)
    photo.wait_for_edits(1)
    return photo


def test_save_is_busy_while_it_lasts_and_names_the_file_as_edited(filled: App) -> None:
    held: list[Route] = []
    filled.page.route("**/render*", lambda route: held.append(route))
    save = filled.page.locator(".bar [data-command=download]")
    save.click()
    filled.page.locator(".save[aria-busy=true]").wait_for()
    save.click()  # a second press while it is busy does nothing
    while not held:
        filled.page.wait_for_timeout(25)
    with filled.page.expect_download() as download:
        held[0].continue_()
    assert len(held) == 1
    assert download.value.suggested_filename == "astronaut-edited.png"
    filled.page.locator("#told", has_text="Saved as astronaut-edited.png").wait_for()
    assert save.get_attribute("aria-busy") == "false"


def test_a_photo_without_edits_keeps_its_name(photo: App) -> None:
    with photo.page.expect_download() as download:
        photo.page.keyboard.press("Control+s")
    assert download.value.suggested_filename == "astronaut.png"


@pytest.mark.parametrize(("label", "suffix", "found"), [("JPEG", "jpg", "JPEG"), ("WebP", "webp", "WEBP")])
def test_a_copy_has_the_format_and_the_quality_that_were_chosen(
    filled: App, tmp_path: Path, label: str, suffix: str, found: str
) -> None:
    sizes = []
    for quality in (20, 95):
        filled.page.locator(".save-more").click()
        filled.page.locator("#save").get_by_label(label, exact=True).check()
        filled.page.locator("#save-quality").fill(str(quality))
        told = filled.page.locator("#save").get_by_text(re.compile(r"512 × 512, about [\d.]+ KiB"))
        told.wait_for()
        filled.settle()
        about = 1024 * float(told.inner_text().split()[-2])
        with filled.page.expect_download() as download:
            filled.page.locator("#save").get_by_role("button", name="Save", exact=True).click()
        assert download.value.suggested_filename == f"astronaut-edited.{suffix}"
        download.value.save_as(tmp_path / "copy")
        with Image.open(tmp_path / "copy") as picture:
            assert (picture.format, picture.size) == (found, (512, 512))
        sizes.append((tmp_path / "copy").stat().st_size)
        assert about / 2 < sizes[-1] < about * 2
    assert sizes[0] < sizes[1] / 2
    assert not filled.page.locator("#save").is_visible()


def test_the_panel_says_what_the_file_will_be_called(filled: App) -> None:
    filled.page.keyboard.press("Control+Shift+s")
    panel = filled.page.locator("#save")
    panel.get_by_text("astronaut-edited.png").wait_for()
    panel.get_by_label("TIFF").check()
    panel.get_by_text("astronaut-edited.tif").wait_for()
    assert panel.locator("#save-quality").is_hidden()


def test_the_photo_is_copied_as_a_png(filled: App) -> None:
    filled.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    filled.page.keyboard.press("Control+c")
    filled.page.locator("#told", has_text="Copied").wait_for()
    size = filled.page.evaluate(
        """async () => {
          const [item] = await navigator.clipboard.read();
          const bitmap = await createImageBitmap(await item.getType("image/png"));
          return [bitmap.width, bitmap.height];
        }"""
    )
    assert size == [512, 512]


def save_mask(app: App, to: Path) -> NDArray[np.uint8]:
    app.page.keyboard.press("Control+Shift+s")
    with app.page.expect_download() as download:
        app.page.locator("#save").get_by_text("Save the mask").click()
    assert download.value.suggested_filename == "astronaut-mask.png"
    download.value.save_as(to)
    with Image.open(to) as picture:
        return np.asarray(picture.convert("L"))


def load_mask(app: App, mask: Path) -> None:
    app.page.keyboard.press("Control+Shift+s")
    with app.page.expect_file_chooser() as chooser:
        app.page.locator("#save").get_by_text("Load a mask").click()
    chooser.value.set_files(mask)


def test_a_mask_of_a_large_photo_is_decoded_as_fine_as_it_is_seen_and_saved_to_the_pixel(
    app: App, tmp_path: Path
) -> None:
    Image.new("RGB", (3200, 2400), "grey").save(tmp_path / "astronaut.png")
    app.open(tmp_path / "astronaut.png")
    app.settle()
    app.fill_on_release(False)
    thing = ellipse(app, (0, 0, 1, 1))
    answer(app, "select", {"type": "selected", "model": "", "ms": 0, "shapes": [thing], "shadow": []})
    app.page.locator("#stage").focus()
    app.page.keyboard.press("q")
    app.wait("state.tool === 'snap'")
    app.paint([(1400, 1200), (1800, 1200)])
    app.wait("doc.draft.length === 1")
    assert app.read("state.view.scale") <= 0.5, "it is decoded at half its size"
    inside, outside = [(1600, 1200), (40, 1200), (1600, 2360)], [(80, 80), (3120, 2320)]
    app.settle()
    assert [app.ink_at(place) for place in inside + outside] == [255, 255, 255, 0, 0]
    app.page.keyboard.press("1")
    app.wait("state.view.scale >= 1")
    app.settle()
    assert app.ink_at((1600, 1200)) == 255
    with Image.open(io.BytesIO(base64.b64decode(thing["png"]))) as picture:
        np.testing.assert_array_equal(save_mask(app, tmp_path / "mask.png"), np.asarray(picture))


def test_a_mask_goes_out_and_comes_in_and_is_filled_like_strokes(photo: App, tmp_path: Path) -> None:
    photo.fill_on_release(False)
    photo.paint(STROKE)
    mask = save_mask(photo, tmp_path / "mask.png")
    assert mask.shape == (512, 512)
    assert mask[60, 90] == 255
    assert mask[200, 90] == 0
    photo.page.keyboard.press("Delete")
    photo.wait("doc.draft.length === 0")

    load_mask(photo, tmp_path / "mask.png")
    photo.wait("doc.draft.length === 1 && doc.draft[0].kind === 'bitmap'")
    photo.settle()
    assert photo.ink_at(INSIDE) == 255
    assert photo.ink_at(OUTSIDE) == 0
    photo.page.reload()
    photo.wait("doc.draft.length === 1")
    photo.settle()
    assert photo.ink_at(INSIDE) == 255, "it outlives a reload"

    before, outside = photo.colour_at(INSIDE), photo.colour_at(OUTSIDE)
    photo.page.locator("#run").click()
    photo.wait_for_edits(1)
    photo.settle()
    assert photo.colour_at(INSIDE) != before
    assert photo.colour_at(OUTSIDE) == outside
    assert photo.ink_at(INSIDE) == 0
    assert np.array_equal(save_mask(photo, tmp_path / "again.png") >= 128, mask >= 128), "of what was removed"


def test_a_smaller_mask_of_the_same_shape_is_enlarged(photo: App, tmp_path: Path) -> None:
    photo.fill_on_release(False)
    small = np.zeros((128, 128), np.uint8)
    small[10:20, 10:30] = 255
    Image.fromarray(small).save(tmp_path / "small.png")
    load_mask(photo, tmp_path / "small.png")
    photo.wait("doc.draft.length === 1")
    assert photo.read("(({x, y, w, h}) => [x, y, w, h])(doc.draft[0])") == [40, 40, 80, 40]


def test_a_mask_that_does_not_fit_changes_nothing_and_says_why(photo: App, tmp_path: Path) -> None:
    Image.new("L", (200, 100), 255).save(tmp_path / "wide.png")
    load_mask(photo, tmp_path / "wide.png")
    note = photo.page.locator(".note")
    note.get_by_text("The mask has 200 × 100 pixels, the photo 512 × 512.").wait_for()
    Image.new("L", (512, 512), 0).save(tmp_path / "black.png")
    load_mask(photo, tmp_path / "black.png")
    note.get_by_text("Nothing is painted in black.png").wait_for()
    assert photo.read("doc.draft.length") == 0


def test_a_saved_mask_lies_where_an_extended_canvas_moved_it(photo: App, tmp_path: Path) -> None:
    photo.paint(STROKE)
    photo.wait_for_edits(1)
    before = save_mask(photo, tmp_path / "before.png") >= 128
    photo.close_panels()
    photo.page.keyboard.press("c")
    edges = {"Left edge": "Shift+ArrowLeft", "Upper edge": "Shift+ArrowUp"}
    for name, key in edges.items():
        photo.page.get_by_role("slider", name=name).press(key)
    photo.page.click(".extend .go")
    photo.wait_for_edits(3)
    photo.page.keyboard.press("b")
    added = 64
    removed = np.full((512 + added, 512 + added), True)
    removed[added:, added:] = before
    saved = save_mask(photo, tmp_path / "steps.png")
    np.testing.assert_array_equal(saved >= 128, removed)

    photo.close_panels()
    load_mask(photo, tmp_path / "steps.png")
    photo.wait_for_edits(4)
    np.testing.assert_array_equal(save_mask(photo, tmp_path / "again.png") >= 128, removed)
