"""Words and an example picture in the page, with a tiny Stable Diffusion and a tiny Paint by Example."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

import tiny_pipelines as tiny
from browser.driver import App, OpenApp
from browser.iopaint_page import IopaintPage
from fake_engines import photo
from inpaint_models.diffusion.families import SAMPLERS
from serving import RunningServer, decode, encode

STROKE = [(60.0, 60.0), (100.0, 60.0)]
PASTE = """(form, content) => {
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([new Uint8Array(content)], "pasted.png", { type: "image/png" }));
  form.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}"""
OTHER = [(200.0, 160.0), (240.0, 160.0)]


@pytest.fixture(scope="module")
def models_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("models")
    tiny.saved("sd", home / "words")
    tiny.saved("paint-by-example", home / "example")
    settings = {"real_engines": True, "model": "words", "model_dir": str(home), "local_files_only": True}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")  # the networks are too small for more
        with RunningServer(tmp_path_factory.mktemp("data"), {**settings, "precision": "float32"}) as running:
            running.wait_ready()
            yield running


@pytest.fixture
def app(open_app: OpenApp, models_server: RunningServer, tmp_path: Path) -> Iterator[App]:
    Image.fromarray(photo(320, 240)).save(tmp_path / "picture.png")
    app = open_app(f"http://127.0.0.1:{models_server.port}/")
    app.open(tmp_path / "picture.png")
    yield app
    app.page.context.close()


def choose(app: App, model: str) -> None:
    app.open_models()
    app.page.locator(f'input[name="model"][value="{model}"]').check()
    app.close_panels()


def few_steps(app: App) -> None:
    app.open_tuning()
    app.page.get_by_label("Steps", exact=True).fill("2")
    app.page.keyboard.press("Tab")
    app.close_panels()


def results(app: App) -> list[dict[str, object]]:
    found: list[dict[str, object]] = app.read("Object.values(state.results).flat()")
    return found


def test_words_are_said_under_the_photo_and_create_fills(app: App) -> None:
    few_steps(app)
    row = app.page.locator("#words")
    row.wait_for()
    app.paint(STROKE)
    app.settle()
    assert app.read("doc.edits.length === 0 && state.jobs.length === 0 && !state.armed"), "words say when"
    row.get_by_label("What should be there instead").fill("a red ball")
    app.page.keyboard.press("Enter")
    app.wait_for_edits(1)
    (result,) = results(app)
    assert (result["model"], result["params"]) == ("words", {"steps": 2, "prompt": "a red ball"})

    app.paint(OTHER)
    row.get_by_label("What should be there instead").fill("snow")
    row.get_by_role("button", name="Create").click()
    app.wait_for_edits(2)
    assert app.read("state.prefs.words") == ["snow", "a red ball"]
    assert app.page.locator("#words-earlier option").evaluate_all("all => all.map((each) => each.value)") == [
        "snow",
        "a red ball",
    ]


def test_the_row_is_there_for_models_that_take_words_only(app: App) -> None:
    app.page.locator("#words").wait_for()
    choose(app, "opencv")
    app.page.locator("#words").wait_for(state="hidden")
    app.paint(STROKE)
    app.wait_for_edits(1)
    choose(app, "words")
    app.page.locator("#words").wait_for()
    assert app.page.locator("#auto").is_disabled()


def test_an_example_is_picked_pasted_or_taken_from_the_photo(
    app: App, models_server: RunningServer, tmp_path: Path
) -> None:
    choose(app, "example")
    few_steps(app)
    row = app.page.locator("#words")
    picture, other = (encode(np.full((30, 40, 3), grey, np.uint8)) for grey in (90, 200))
    row.get_by_label("Example picture").first.set_input_files(
        {"name": "example.png", "mimeType": "image/png", "buffer": picture}
    )
    row.get_by_alt_text("Example picture").wait_for()
    app.paint(STROKE)
    row.get_by_role("button", name="Create").click()
    app.wait_for_edits(1)
    (result,) = results(app)
    picked = app.read("state.prefs.params.example.example")
    assert result["params"] == {"steps": 2, "example": picked}

    row.get_by_role("button", name="Without the example").click()
    row.locator("form").evaluate(PASTE, list(other))
    row.get_by_alt_text("Example picture").wait_for()
    pasted = app.read("state.prefs.params.example.example")
    assert pasted not in ("", picked)
    assert app.read("doc.edits.length") == 1, "it was not opened as a photo"

    shown = np.asarray(Image.open(app.download(tmp_path / "shown.png")).convert("RGB"), int)
    row.get_by_role("button", name="Without the example").click()
    app.paint(STROKE)
    row.get_by_role("button", name="What is painted").click()
    row.get_by_alt_text("Example picture").wait_for()
    taken = app.read("state.prefs.params.example.example")
    assert taken not in ("", picked, pasted)
    assert app.read("doc.draft.length") == 0, "what became the example is no longer to be filled"
    part = decode(models_server.ask("GET", f"/api/v1/images/{taken}/original").body)[..., :3].astype(int)
    height, width, _ = part.shape
    top, left = 60 - height // 2, 80 - width // 2
    assert np.abs(part - shown[top : top + height, left : left + width]).mean() < 20, "as it is shown, with the fill"


def test_a_fill_with_words_shows_itself_and_is_cancelled(app: App) -> None:
    app.open_tuning()
    app.page.get_by_label("Steps", exact=True).fill("200")
    app.page.keyboard.press("Tab")
    app.close_panels()
    app.paint(STROKE)
    app.page.locator("#words").get_by_role("button", name="Create").click()
    app.wait("lama.bitmaps.estimates().length === 1")
    app.page.locator("#stage").focus()
    app.page.keyboard.press("Escape")
    app.wait("state.jobs.length === 0")
    assert app.read("doc.edits.length") == 0
    assert app.read("doc.draft.length") == 1


def test_iopaints_page_gives_words_too(browser: Browser, models_server: RunningServer, tmp_path: Path) -> None:
    Image.fromarray(photo(320, 240)).save(tmp_path / "picture.png")
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    iopaint = IopaintPage(context.new_page(), f"http://127.0.0.1:{models_server.port}/")
    iopaint.open(tmp_path / "picture.png")
    iopaint.drag(STROKE)
    page = iopaint.page
    page.get_by_placeholder("I want to repaint of...").fill("a red ball")
    with page.expect_response("**/api/v1/inpaint") as filled:
        page.get_by_role("button", name="Paint", exact=True).click()
    assert (filled.value.status, filled.value.headers["x-model"]) == (200, "words")
    sent = filled.value.request.post_data_json or {}
    assert sent["prompt"] == "a red ball"
    assert sent["sd_sampler"] in SAMPLERS
    context.close()
