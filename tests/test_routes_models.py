"""Models and their weights: states, downloads, and what works meanwhile. Also sessions and --input."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fake_engines import ENTRIES, entry, photo
from inpaint_models import grabcut, opencv
from inpaint_models.errors import DownloadFailed
from inpaint_models.registry import ModelEntry, WeightsFile
from lama_server.app import create_app
from lama_server.model_manager.manager import DownloadReport, ModelManager
from lama_server.settings import Settings
from serving import RunningServer, edit_request, encode

LOCAL = "http://127.0.0.1"


class SlowWeights:
    """Weights that arrive when the test says so."""

    def __init__(self) -> None:
        self.go, self.fails, self.calls = threading.Event(), False, 0

    def find(self, entry: ModelEntry) -> Mapping[str, Path] | None:
        return None

    def download(self, entry: ModelEntry, report: DownloadReport, cancelled: Callable[[], bool]) -> Mapping[str, Path]:
        self.calls += 1
        report(250, 1000)
        assert self.go.wait(60)
        if self.fails:
            raise DownloadFailed("No source has the file.")
        return {"remote.bin": Path("remote.bin")}


@pytest.fixture
def weights() -> SlowWeights:
    return SlowWeights()


@pytest.fixture
def client(tmp_path: Path, weights: SlowWeights, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    settings = Settings(**{"data_dir": tmp_path, "model": "painter", **getattr(request, "param", {})})
    with TestClient(create_app(settings, entries=ENTRIES, weights=weights), LOCAL) as started:
        yield started
        weights.go.set()


def state(client: TestClient, name: str) -> dict[str, Any]:
    return next(model for model in client.get("/api/v1/models").json()["models"] if model["name"] == name)


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Have(SlowWeights):
    """Weights of these models are on the machine."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def find(self, entry: ModelEntry) -> Mapping[str, Path] | None:
        return {f"{entry.name}.bin": Path(f"{entry.name}.bin")} if entry.name in self.names else None


@pytest.mark.parametrize(
    ("have", "given", "wanted", "current"),
    [
        ((), {}, "migan", "opencv"),
        (("migan",), {}, "migan", "migan"),
        (("lama",), {}, "lama", "lama"),
        (("lama", "migan"), {}, "lama", "lama"),
        ((), {"local_files_only": True}, "opencv", "opencv"),
        ((), {"model": "opencv"}, "opencv", "opencv"),
        ((), {"model": "lama"}, "lama", "opencv"),
    ],
)
def test_auto_takes_the_best_network_there_is_or_has_the_small_one_fetched(
    tmp_path: Path, have: tuple[str, ...], given: dict[str, Any], wanted: str, current: str
) -> None:
    files = (WeightsFile("x.bin", ("https://example.org/x.bin",)),)
    networks = (entry("lama", weights=files), entry("migan", weights=files))
    manager = ModelManager((opencv.ENTRY, *networks), Have(*have), Settings(data_dir=tmp_path, **given))
    asyncio.run(manager.refresh())
    assert (manager.wanted.name, manager.current.name) == (wanted, current)
    reasons = {model.name for model in manager.reply().models if model.reason}
    assert reasons == ({"migan"} if wanted == "migan" else set())


def test_models_are_described_with_their_state(client: TestClient) -> None:
    painter, remote = state(client, "painter"), state(client, "remote")
    assert painter["state"] in ("ready", "loaded")
    assert painter["licence"] == {"name": "none", "url": "https://example.org/licence", "commercial_use": True}
    assert painter["parameters"][0]["choices"][0] == "paint"
    assert (remote["state"], remote["download_bytes"], remote["progress"]) == ("missing", 1000, None)


def test_a_download_is_joined_and_ends_in_ready(client: TestClient, weights: SlowWeights) -> None:
    answers: list[list[str]] = []

    def watch() -> None:
        answers.append(client.post("/api/v1/models/remote/download").text.splitlines())

    watchers = [threading.Thread(target=watch) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    until(lambda: state(client, "remote")["progress"] == {"done_bytes": 250, "total_bytes": 1000})
    assert state(client, "remote")["state"] == "downloading"
    weights.go.set()
    for watcher in watchers:
        watcher.join()
    assert weights.calls == 1
    assert all('"state":"ready"' in lines[-1] for lines in answers)
    assert state(client, "remote")["state"] == "ready"


def test_a_failed_download_says_why_and_can_be_tried_again(client: TestClient, weights: SlowWeights) -> None:
    weights.fails = True
    weights.go.set()
    lines = client.post("/api/v1/models/remote/download").text.splitlines()
    assert '"state":"failed"' in lines[-1]
    assert state(client, "remote")["problem"]["code"] == "model.download_failed"
    weights.fails = False
    assert '"state":"ready"' in client.post("/api/v1/models/remote/download").text.splitlines()[-1]


def test_an_unknown_model_cannot_be_downloaded(client: TestClient) -> None:
    for name in ("nothing", "..%2fx", "x" * 10_00):
        reply = client.post(f"/api/v1/models/{name}/download")
        assert reply.json()["code"] in ("model.unknown", "route.not_found")


@pytest.mark.parametrize("client", [{"model": "remote"}], indirect=True)
def test_a_model_asked_for_at_start_is_fetched_while_another_works(client: TestClient, weights: SlowWeights) -> None:
    """B121."""
    reply = client.get("/api/v1/models").json()
    assert (reply["wanted"], reply["current"]) == ("remote", "painter")
    assert state(client, "remote")["state"] == "downloading"
    body = {"image": "0" * 64, "mask": {"shapes": [{"kind": "rect", "x": 0, "y": 0, "w": 9, "h": 9}]}}
    image = client.post("/api/v1/images?name=a.png", content=encode(photo())).json()["id"]
    refused = client.post("/api/v1/edits", json={**body, "image": image, "runs": [{"model": "remote"}]})
    assert refused.json()["code"] == "model.loading"
    assert refused.headers["retry-after"]
    weights.go.set()
    until(lambda: client.get("/api/v1/models").json()["current"] == "remote")


@pytest.mark.parametrize("client", [{"model": "remote", "local_files_only": True}], indirect=True)
def test_offline_nothing_is_fetched_and_it_is_said_what_to_do(client: TestClient, weights: SlowWeights) -> None:
    reply = client.post("/api/v1/models/remote/download")
    assert reply.json()["code"] == "model.not_downloaded"
    assert reply.json()["detail"] == (
        "Remote needs remote.bin (0 MiB), which is not on this machine, and the server is offline: fetch it from "
        "https://example.org/remote.bin and put it into the model folder (lama-server models says where that is), or "
        "start once without --offline."
    )
    assert state(client, "remote")["problem"]["code"] == "model.not_downloaded"
    assert state(client, "painter")["problem"] is None
    assert client.get("/api/v1/models").json()["current"] == "painter"
    assert weights.calls == 0


class Folder:
    """Weights that are in a folder, or not."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def find(self, entry: ModelEntry) -> Mapping[str, Path] | None:
        paths = {file.name: self.home / file.name for file in entry.weights}
        return paths if all(path.is_file() for path in paths.values()) else None

    def download(self, entry: ModelEntry, report: DownloadReport, cancelled: Callable[[], bool]) -> Mapping[str, Path]:
        found = self.find(entry)
        assert found is not None
        return found


FUSSY = entry(
    "fussy",
    loader="fake_engines:load_checked",
    weights=(WeightsFile("fussy.bin", ("https://example.org/fussy.bin",), size_bytes=1000),),
)


@pytest.fixture(params=[{}])
def fussy(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """A server that was asked for a model whose file does not load."""
    (tmp_path / "fussy.bin").write_bytes(b"bad")
    settings = Settings(**{"data_dir": tmp_path / "data", "model": "fussy", **request.param})
    app = create_app(settings, entries=(*ENTRIES, FUSSY), weights=Folder(tmp_path))
    with TestClient(app, LOCAL) as started:
        until(lambda: started.get("/readyz").status_code == 200)
        yield started


def edit_of(client: TestClient, model: str) -> Any:
    image = client.post("/api/v1/images?name=a.png", content=encode(photo())).json()["id"]
    return client.post("/api/v1/edits", json=edit_request(image, {"model": model}))


def test_a_model_whose_file_does_not_load_makes_way_and_says_why(fussy: TestClient) -> None:
    why = "fussy.bin looks like another model. It is tried again once the file is replaced or taken away."
    listed = fussy.get("/api/v1/models").json()
    assert (listed["wanted"], listed["current"]) == ("fussy", "painter")
    assert state(fussy, "fussy")["state"] == "failed"
    assert state(fussy, "fussy")["problem"]["code"] == "model.weights_corrupted"
    assert state(fussy, "fussy")["problem"]["detail"] == why
    check = fussy.get("/readyz").json()["checks"]["model"]
    assert check == {"ok": True, "code": None, "detail": f"{why} Working with Painter meanwhile."}
    refused = edit_of(fussy, "fussy")
    assert (refused.json()["code"], refused.json()["detail"]) == ("model.weights_corrupted", why)
    assert '"type":"result"' in edit_of(fussy, "painter").text


def test_a_file_that_did_not_load_is_tried_again_once_it_is_another(fussy: TestClient, tmp_path: Path) -> None:
    (tmp_path / "fussy.bin").write_bytes(b"good")
    until(lambda: state(fussy, "fussy")["state"] == "loaded")
    assert fussy.get("/api/v1/models").json()["current"] == "fussy"
    assert state(fussy, "fussy")["problem"] is None
    assert fussy.get("/readyz").json()["checks"]["model"]["detail"] == "ok"


def test_a_file_that_did_not_load_and_is_taken_away_is_missing(fussy: TestClient, tmp_path: Path) -> None:
    (tmp_path / "fussy.bin").unlink()
    assert (state(fussy, "fussy")["state"], state(fussy, "fussy")["problem"]) == ("missing", None)
    assert edit_of(fussy, "fussy").json()["code"] == "model.not_downloaded"


@pytest.mark.parametrize("fussy", [{}, {"local_files_only": True}], indirect=True)
def test_asking_for_a_download_tries_a_file_again(fussy: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    def tries() -> int:
        return sum("fussy was not loaded" in record.getMessage() for record in caplog.records)

    caplog.clear()
    assert '"state":"ready"' in fussy.post("/api/v1/models/fussy/download").text.splitlines()[-1]
    until(lambda: tries() == 1 and state(fussy, "fussy")["state"] == "failed")
    assert fussy.get("/api/v1/models").json()["current"] == "painter"


@pytest.mark.parametrize("fussy", [{"model": "painter"}], indirect=True)
def test_a_file_that_does_not_load_when_somebody_fills_with_it_is_known_from_then_on(fussy: TestClient) -> None:
    assert state(fussy, "fussy")["state"] == "ready"
    assert "model.weights_corrupted" in edit_of(fussy, "fussy").text
    assert state(fussy, "fussy")["state"] == "failed"


@pytest.mark.parametrize("fussy", [{"model": "painter"}], indirect=True)
def test_a_file_that_went_after_it_was_found_is_missing(fussy: TestClient, tmp_path: Path) -> None:
    (tmp_path / "fussy.bin").unlink()
    assert '"type":"error"' in edit_of(fussy, "fussy").text
    refused = edit_of(fussy, "fussy").json()
    assert refused["code"] == "model.not_downloaded"
    assert "lama-server download fussy" in refused["detail"]
    assert state(fussy, "fussy")["state"] == "missing"


@pytest.mark.parametrize("client", [{"model": "broken"}], indirect=True)
def test_a_model_without_files_that_does_not_load_makes_way_as_well(client: TestClient) -> None:
    until(lambda: client.get("/readyz").status_code == 200)
    assert client.get("/api/v1/models").json()["current"] == "painter"
    assert state(client, "broken")["problem"]["detail"] == "It cannot be loaded."


def test_why_a_model_is_not_loaded_is_said_where_trying_again_may_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = replace(entry("painter"), loader="fake_engines:load_nowhere")
    with TestClient(create_app(Settings(data_dir=tmp_path, model="painter"), entries=(painter,)), LOCAL) as client:
        until(lambda: client.get("/readyz").json()["checks"]["model"]["detail"] == "No memory for painter.")
        assert client.get("/readyz").status_code == 503
        assert state(client, "painter")["state"] == "ready"


TOKEN = "the-right-token-of-this-file"
SECURED = pytest.mark.parametrize("client", [{"token": TOKEN, "port": 8080}], indirect=True)


@SECURED
def test_a_token_is_swapped_for_a_cookie(client: TestClient) -> None:
    assert client.get("/api/v1/config").json()["code"] == "auth.required"
    assert "session.js" in client.get("/").text
    assert client.get("/session.js").status_code == 200
    assert ".button" in client.get("/session.css").text
    assert client.post("/api/v1/session", json={"token": "wrong"}).json()["code"] == "auth.invalid"
    assert client.post("/api/v1/session", json={"token": ""}).status_code == 422
    reply = client.post("/api/v1/session", json={"token": TOKEN})
    assert reply.status_code == 204
    assert TOKEN not in reply.headers["set-cookie"]
    assert "HttpOnly" in reply.headers["set-cookie"]
    assert "SameSite=strict" in reply.headers["set-cookie"]
    assert client.get("/api/v1/config").status_code == 200
    assert TOKEN not in client.get("/api/v1/config").text


@SECURED
def test_p13_tokens_cannot_be_guessed_by_signing_in(client: TestClient) -> None:
    codes = [client.post("/api/v1/session", json={"token": f"wrong{n}"}).json()["code"] for n in range(10)]
    assert codes == ["auth.invalid"] * 10
    reply = client.post("/api/v1/session", json={"token": TOKEN})
    assert reply.json()["code"] == "auth.rate_limited"
    assert 0 < int(reply.headers["retry-after"]) <= 60
    assert "set-cookie" not in reply.headers
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/v1/config", headers=bearer).json()["code"] == "auth.rate_limited"


def test_the_page_is_served_with_its_files_under_their_hash(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    start = page.text.index("/static/")
    address = page.text[start : page.text.index('"', start)]
    file = client.get(address)
    assert file.status_code == 200
    assert "immutable" in file.headers["cache-control"]
    assert client.get("/static/0123456789abcdef/js/main.js").status_code == 404
    assert client.get("/static/" + address.split("/")[2] + "/../index.html").status_code == 404
    assert client.get("/favicon.ico").status_code in (200, 204)


def test_scripts_are_preloaded_compressed_and_without_their_comments(client: TestClient) -> None:
    page = client.get("/").text
    preloaded = re.findall(r'rel="modulepreload" href="([^"]+)"', page)
    assert len(preloaded) > 20
    assert any(address.endswith("/js/main.js") for address in preloaded)
    assert not any("/panels/options.js" in address for address in preloaded), "what is needed later is loaded later"
    total = 0
    for address in preloaded:
        packed = client.get(address, headers={"accept-encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "accept-encoding"
        total += int(packed.headers["content-length"])
        assert "/**" not in packed.text
        plain = client.get(address, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == packed.content
        assert client.get(address, headers={"accept-encoding": "gzip;q=0, br"}).headers.get("content-encoding") is None
    assert total < 46_080


def test_a_script_keeps_its_line_numbers_without_comments(client: TestClient) -> None:
    page = client.get("/").text
    address = re.findall(r'href="([^"]+/js/core/view.js)"', page)[0]
    source = (Path(__file__).parents[1] / "frontend/js/core/view.js").read_text("utf-8").splitlines()
    served = client.get(address).text.splitlines()
    at = next(number for number, line in enumerate(source) if line.startswith("export function pinch"))
    assert served[at] == source[at]


def test_the_photo_given_at_start_is_open(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    file = tmp_path / "given.png"
    file.write_bytes(encode(photo(code=9)))
    server = start_server(input=str(file))
    image = server.ask("GET", "/api/v1/config").json["open_image"]
    assert server.ask("GET", f"/api/v1/images/{image}").json["name"] == "given.png"


def test_a_model_of_any_task_is_loaded_before_its_first_job(tmp_path: Path) -> None:
    entries = [*ENTRIES, grabcut.ENTRY]
    with TestClient(create_app(Settings(data_dir=tmp_path, model="painter"), entries=entries), LOCAL) as client:
        until(lambda: state(client, "painter")["state"] == "loaded")
        assert state(client, "grabcut")["state"] == "ready"
        assert client.post("/api/v1/models/grabcut/load").status_code == 204
        assert state(client, "grabcut")["state"] == "loaded"


def test_a_model_that_cannot_be_loaded_says_why(client: TestClient) -> None:
    for name, code in (("nothing", "model.unknown"), ("remote", "model.not_downloaded")):
        assert client.post(f"/api/v1/models/{name}/load").json()["code"] == code
