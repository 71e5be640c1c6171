"""Weights that are missing at the start: fetched from a real line while another model works, or asked for offline."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import checkpoint_forms as forms
from browser.driver import App, OpenApp
from fake_engines import HUB_CONTENT, photo
from fake_hub import FakeHub, Fault
from inpaint_models import Inpainter, migan
from inpaint_models.migan.engine import load
from inpaint_models.registry import LoadContext, WeightsFile
from inpaint_models.types import Box
from lama_server.imaging.masks import rasterise
from lama_server.schemas.shapes import Stroke
from parity import weights
from serving import RunningServer, edit_request

LAST_BYTES = 20_000

StartServer = Callable[..., RunningServer]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub({"distant.bin": HUB_CONTENT, "guarded.bin": HUB_CONTENT, "migan.bin": HUB_CONTENT}) as hub:
        yield hub


@pytest.fixture
def start(tmp_path: Path, hub: FakeHub) -> Iterator[StartServer]:
    """A server that wants the model `distant`, which the hub has."""
    with ExitStack() as stack:

        def started(**options: Any) -> RunningServer:
            given = {"hub": hub.root, "model": "distant", "model_dir": str(tmp_path / "models"), **options}
            server = stack.enter_context(RunningServer(tmp_path / "data", given))
            server.wait_ready()
            return server

        yield started


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(photo(320, 240)).save(path)
    return path


def address(server: RunningServer) -> str:
    return f"http://127.0.0.1:{server.port}/"


def model_of_fill(app: App, number: int) -> str:
    return str(app.read(f"state.results[doc.edits[{number}].key][0].model"))


def test_a_model_that_arrives_while_another_works_takes_over(
    hub: FakeHub, start: StartServer, open_app: OpenApp, picture: Path
) -> None:
    hub.faults.append(Fault(cut_after=len(HUB_CONTENT) - LAST_BYTES))
    hub.faults.extend([Fault(status=503)] * 10_000)
    server = start()
    image = server.upload(photo()).json["id"]
    assert server.edit(image, {"model": "distant"}).code == "model.loading"

    app = open_app(address(server))
    note = app.page.locator("#model-note")
    note.get_by_text("downloading 93 %").wait_for()
    assert re.fullmatch(
        r"Distant \(none, 313 KiB\) is downloading 93 %; working with OpenCV meanwhile", note.inner_text().strip()
    )
    app.open(picture)
    app.paint([(100.0, 100.0), (140.0, 120.0)])
    app.wait_for_edits(1)
    assert model_of_fill(app, 0) == "opencv"

    hub.faults.clear()
    app.page.locator("#told", has_text="Distant is ready").wait_for()
    assert note.is_hidden()
    assert 206 in hub.statuses(), "the download went on where it was cut"
    app.paint([(200.0, 60.0), (220.0, 90.0)])
    app.wait_for_edits(2)
    assert model_of_fill(app, 1) == "distant"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MI-GAN's file in its published form, with the weights of the parity tests; the smaller of its two sizes."""
    state = forms.tensors_of(weights.state_dict(weights.read_manifest("migan"), "generator_256"))
    return forms.write_torchscript(tmp_path_factory.mktemp("published") / migan.ENTRY.weights[0].name, state)


def test_a_fresh_machine_fetches_the_small_network_and_the_picker_says_why(
    hub: FakeHub, start: StartServer, open_app: OpenApp, picture: Path, published: Path, tmp_path: Path
) -> None:
    content = hub.files[published.name] = published.read_bytes()
    hub.faults.append(Fault(cut_after=len(content) * 935 // 1000))
    hub.faults.extend([Fault(status=503)] * 10_000)
    md5 = hashlib.md5(content).hexdigest()
    app = open_app(address(start(model="auto", migan_file=[published.name, len(content), md5])))
    note = app.page.locator("#model-note")
    downloading = re.compile(r"MI-GAN \(MIT, 2\d MiB\) is downloading 93 %; working with OpenCV meanwhile")
    note.get_by_text(downloading).wait_for()
    app.open(picture)
    app.paint([(100.0, 100.0), (140.0, 120.0)])
    app.wait_for_edits(1)
    assert model_of_fill(app, 0) == "opencv"

    hub.faults.clear()
    app.page.locator("#told", has_text="MI-GAN is ready").wait_for()
    app.page.keyboard.press("Control+z")
    app.page.keyboard.press("Control+z")
    app.paint([(200.0, 60.0), (220.0, 90.0)])
    app.wait_for_edits(1)
    assert model_of_fill(app, 0) == "migan"
    assert {asked.path for asked in hub.asked} == {published.name}
    filled = np.asarray(Image.open(app.download(tmp_path / "filled.png")).convert("RGB"))
    strokes = rasterise([Stroke.model_validate(shape) for shape in app.read("doc.edits[0].shapes")], 320, 240)
    hole = strokes.hole_in(Box(0, 0, 320, 240))
    entry = replace(migan.ENTRY, weights=(WeightsFile(published.name, (), md5=md5),))
    engine = load(LoadContext(entry=entry, weights={published.name: published}))
    seed = app.read("state.results[doc.edits[0].key][0].seed")
    expected = Inpainter(entry, engine)(photo(320, 240), hole, seed=seed)
    assert np.array_equal(filled[~hole], photo(320, 240)[~hole])
    np.testing.assert_allclose(filled, expected, atol=2, err_msg="what the network itself gives for this hole")

    app.open_models()
    choice = app.page.locator("#models .choice", has_text="MI-GAN")
    assert choice.locator("input").is_checked()
    assert "The first choice on a machine without other networks" in choice.inner_text()
    assert "first choice" not in app.page.locator("#models .choice", has_text="OpenCV").inner_text()


def test_what_cannot_be_fetched_unasked_is_no_complaint(hub: FakeHub, start: StartServer, open_app: OpenApp) -> None:
    """Nobody named a model: the page works with what is there, and the picker tells the rest."""
    hub.always["migan.bin"] = Fault(status=404)
    server = start(model="auto")
    app = open_app(address(server))
    app.open_models()
    choice = app.page.locator("#models .choice", has_text="Migan")
    choice.get_by_text("could not be downloaded").wait_for()
    assert choice.get_by_role("button", name="Try again").is_visible()
    assert app.page.locator("#models .choice", has_text="OpenCV").locator("input").is_checked()
    assert app.page.locator("#model-note").is_hidden()


def test_offline_one_sentence_says_what_is_missing_and_the_file_is_found_once_it_is_there(
    hub: FakeHub, start: StartServer, open_app: OpenApp, tmp_path: Path
) -> None:
    server = start(local_files_only=True)
    image = server.upload(photo()).json["id"]
    refused = server.post_json("/api/v1/edits", edit_request(image, {"model": "distant"}))
    assert refused.code == "model.not_downloaded"
    assert "distant.bin" in refused.json["detail"]

    app = open_app(address(server))
    note = app.page.locator("#model-note")
    note.wait_for()
    assert note.inner_text().strip() == f"{refused.json['detail']} Working with OpenCV meanwhile."
    assert "into the model folder" in note.inner_text()
    assert not app.page.get_by_role("button", name="Download").and_(app.page.locator("#model-note *")).is_visible()

    (tmp_path / "models").mkdir(exist_ok=True)
    (tmp_path / "models" / "distant.bin").write_bytes(HUB_CONTENT)
    app.page.locator("#told", has_text="Distant is ready").wait_for()
    app.open_models()
    app.page.locator("#models .choice", has_text="Distant").get_by_text("in memory").wait_for()
    assert hub.asked == []


def test_the_licence_is_told_before_a_person_starts_a_download(
    hub: FakeHub, start: StartServer, open_app: OpenApp
) -> None:
    app = open_app(address(start(model="opencv")))
    app.open_models()
    choice = app.page.locator("#models .choice", has_text="Guarded")
    assert "CC BY-NC 4.0 · not for commercial use · 313 KiB" in choice.inner_text()
    choice.locator("input").check()
    app.page.keyboard.press("Escape")
    note = app.page.locator("#model-note")
    note.wait_for()
    assert "Guarded (CC BY-NC 4.0, not for commercial use, 313 KiB) is not on the server yet" in note.inner_text()
    assert hub.asked == [], "choosing a model is not agreeing to its licence"
    note.get_by_role("button", name="Download").click()
    app.page.locator("#told", has_text="Guarded is ready").wait_for()
    assert [asked.path for asked in hub.asked] == ["guarded.bin"]


def test_a_download_that_failed_says_why_and_can_be_tried_again(
    hub: FakeHub, start: StartServer, open_app: OpenApp
) -> None:
    hub.always["distant.bin"] = Fault(status=404)
    app = open_app(address(start()))
    note = app.page.locator("#model-note")
    again = note.get_by_role("button", name="Try again")
    again.wait_for()
    assert "Distant could not be downloaded" in note.inner_text()
    assert "Working with OpenCV meanwhile." in note.inner_text()
    hub.always.clear()
    again.click()
    app.page.locator("#told", has_text="Distant is ready").wait_for()
    assert note.is_hidden()


def test_weights_that_cannot_be_used_are_not_called_a_failed_download(
    hub: FakeHub, start: StartServer, open_app: OpenApp
) -> None:
    hub.always["distant.bin"] = Fault(flip=5)
    note = open_app(address(start())).page.locator("#model-note")
    note.get_by_text("Distant cannot be used: No source has the published distant.bin").wait_for()
    assert note.get_by_role("button", name="Try again").is_visible()
