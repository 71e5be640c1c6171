"""IOPaint's own page against our server: what people did with it they go on doing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page

from browser.driver import Server, running_server
from browser.iopaint_page import IopaintPage
from drawn_scenes import mug

ROCKET = [(424.0, 60.0), (424.0, 110.0)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    root = tmp_path_factory.mktemp("iopaint")
    (root / "in").mkdir()
    (root / "out").mkdir()
    (root / "in" / "astronaut.png").write_bytes((photos / "astronaut.png").read_bytes())
    (root / "in" / "coffee.jpg").write_bytes((photos / "coffee.jpg").read_bytes())
    Image.fromarray(mug()[0]).save(root / "mug.png")
    return root


@pytest.fixture(scope="module")
def iopaint_server(folders: Path) -> Iterator[Server]:
    options = ("--model", "opencv", "--input", str(folders / "in"), "--output-dir", str(folders / "out"))
    with running_server(folders / "data", *options) as running:
        yield running


@pytest.fixture
def tolerated() -> list[str]:
    """Parts of console errors that a test brings about on purpose."""
    return []


@pytest.fixture
def iopaint(browser: Browser, iopaint_server: Server, tolerated: list[str]) -> Iterator[IopaintPage]:
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(said(message)) if message.type == "error" else None)
    yield IopaintPage(page, iopaint_server.url)
    page.unroute_all(behavior="ignoreErrors")
    context.close()
    assert [text for text in complaints if not any(part in text for part in tolerated)] == []


def said(message: ConsoleMessage) -> str:
    return f"{message.text} ({message.location.get('url', '')})"


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def newest_result(folders: Path) -> NDArray[np.uint8]:
    """What the server answered last with, as auto-save keeps it."""
    return pixels_of(max((folders / "out").glob("image*.png"), key=lambda path: path.stat().st_mtime_ns))


def toast(page: Page, text: str) -> None:
    page.get_by_text(text).first.wait_for()


def test_open_paint_fill_undo_redo_and_switch_model(iopaint: IopaintPage, folders: Path) -> None:
    original = pixels_of(folders / "in" / "astronaut.png")
    iopaint.open(folders / "in" / "astronaut.png")
    iopaint.wait_for_picture(original)

    answer = iopaint.paint(ROCKET)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-model"] == "opencv"
    filled = newest_result(folders)
    changed = (filled != original).any(axis=2)
    assert changed.any()
    assert not changed[:, :380].any(), "nothing changes where nobody painted"
    iopaint.wait_for_picture(filled)

    iopaint.page.keyboard.press("Control+z")
    iopaint.wait_for_picture(original)
    iopaint.page.keyboard.press("Control+Shift+z")
    iopaint.wait_for_picture(filled)

    iopaint.switch_model("patchmatch")
    again = iopaint.paint([(100.0, 400.0), (140.0, 420.0)])
    assert again.headers["x-model"] == "patchmatch"
    iopaint.wait_for_picture(newest_result(folders))
    iopaint.switch_model("cv2")


def test_a_jpeg_stays_one_and_is_saved_into_the_output_folder(iopaint: IopaintPage, folders: Path) -> None:
    iopaint.open(folders / "in" / "coffee.jpg")
    assert iopaint.paint([(300.0, 100.0), (340.0, 120.0)]).headers["content-type"] == "image/jpeg"
    iopaint.page.keyboard.press("Control+s")
    toast(iopaint.page, "Save image success")
    assert (folders / "out" / "coffee.jpg").is_file()


def test_the_file_manager_shows_the_folder_and_opens_from_it(iopaint: IopaintPage) -> None:
    iopaint.page.keyboard.press("f")
    pictures = iopaint.page.locator("img[src*=media_thumbnail_file]")
    pictures.nth(1).wait_for()
    assert pictures.count() == 2
    iopaint.page.locator("img[src*='astronaut.png']").click()
    iopaint.wait_for_size(512, 512)


def test_plugins_cut_out_select_and_enlarge(iopaint: IopaintPage, folders: Path) -> None:
    height, width, _ = pixels_of(folders / "mug.png").shape
    iopaint.open(folders / "mug.png")
    iopaint.plugin("RemoveBG", "Remove Background")
    toast(iopaint.page, "Run RemoveBG successfully")
    assert iopaint.transparent_share() > 0.2, "the backdrop is gone"
    iopaint.page.keyboard.press("Control+z")

    iopaint.plugin("RealESRGAN", "upscale 2x")
    iopaint.wait_for_size(2 * width, 2 * height)
    iopaint.page.keyboard.press("Control+z")
    iopaint.wait_for_size(width, height)

    iopaint.plugin("Interactive Segmentation")
    with iopaint.page.expect_response("**/api/v1/run_plugin_gen_mask") as selected:
        iopaint.click((width / 2, height / 2))
    assert selected.value.headers["content-type"] == "image/png"


def test_an_error_is_shown_as_a_sentence(iopaint: IopaintPage, folders: Path, tolerated: list[str]) -> None:
    tolerated.append("run_plugin_gen_image")
    iopaint.open(folders / "in" / "coffee.jpg")
    iopaint.plugin("RemoveBG", "Remove Background")
    toast(iopaint.page, "The border of the photo is not plain")
