"""Downloads as the server runs them: states on the way, problems with their codes, and an end when the server stops."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fake_hub import FakeHub, Fault
from inpaint_models.registry import Licence, ModelEntry, WeightsFile
from inpaint_models.weights import Network
from lama_server.errors import ApiError
from lama_server.model_manager.manager import ModelManager
from lama_server.model_manager.weights_source import LibraryWeights
from lama_server.settings import Settings

CONTENT = b"PK weights" * 30_000
NAME = "tiny.pt"
LOCAL = Network(
    plain_http_hosts=frozenset({"127.0.0.1"}), sleep=lambda _: None, tries=2, read_timeout_s=60, backoff_s=0
)


pytestmark = pytest.mark.usefixtures("own_home")


def model(name: str, *files: WeightsFile) -> ModelEntry:
    return ModelEntry(
        name=name,
        title=name.title(),
        tagline="",
        description="",
        licence=Licence("MIT", ""),
        loader="nowhere:load",
        weights=files,
    )


def manager_of(hub: FakeHub, home: Path) -> ModelManager:
    """One model without weights and one whose weights the hub has."""
    settings = Settings(model_dir=home)
    file = WeightsFile(NAME, (hub.url(NAME),), len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    return ModelManager([model("opencv"), model("tiny", file)], LibraryWeights(settings, LOCAL), settings)


def test_offline_one_sentence_says_where_all_files_come_from(tmp_path: Path) -> None:
    async def work() -> None:
        files = [WeightsFile(name, (f"https://example.org/{name}", f"https://other.example/{name}")) for name in "abc"]
        settings = Settings(model_dir=tmp_path, local_files_only=True)
        models = ModelManager([model("three", *files)], LibraryWeights(settings), settings)
        await models.refresh()
        with pytest.raises(ApiError) as refused:
            models.download("three")
        assert refused.value.detail == (
            "Three needs a, b and c, which are not on this machine, and the server is offline: fetch them from "
            "https://example.org/a, https://example.org/b and https://example.org/c, and put them into the model "
            "folder (lama-server models says where that is), or start once without --offline."
        )

    run(work())


CORRUPTED, UNSAFE = "model.weights_corrupted", "model.unsafe_format"
DAMAGED = {
    "empty": (b"", CORRUPTED, "has 0 bytes; the published file has 300,000."),
    "cut": (CONTENT[:-1], CORRUPTED, "has 299,999 bytes; the published file has 300,000."),
    "too long": (CONTENT + b"x", CORRUPTED, "has 300,001 bytes; the published file has 300,000."),
    "a flipped bit": (b"Q" + CONTENT[1:], CORRUPTED, "is not the published file: its SHA-256 is "),
    "a pickle": (b"\x80\x02N.", UNSAFE, "is a Python pickle that was not written by torch.save."),
}


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize(("content", "code", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_file_that_is_there_and_cannot_be_used_is_never_called_missing(
    tmp_path: Path, content: bytes, code: str, said: str, offline: bool
) -> None:
    """B115, B116: which file, what is wrong and what to do, in the list and in the refusal of a fill."""

    async def work() -> None:
        settings = Settings(model_dir=tmp_path, local_files_only=offline)
        file = WeightsFile(NAME, ("https://example.org/tiny.pt",), len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
        models = ModelManager([model("opencv"), model("tiny", file)], LibraryWeights(settings), settings)
        (tmp_path / NAME).write_bytes(content)
        await models.refresh()
        listed = models.reply().models[1]
        assert listed.state == "failed"
        assert listed.problem is not None
        with pytest.raises(ApiError) as refused:
            models.choice("tiny")
        assert (refused.value.code, refused.value.detail) == (listed.problem.code, listed.problem.detail)
        assert refused.value.code == code
        assert refused.value.detail.startswith(f"{NAME} {said}")
        advice = "start once without --offline" if offline else "run lama-server download tiny"
        assert f"For {NAME} (0 MiB): {advice}, or get it from https://example.org/" in refused.value.detail
        assert models.current.name == "opencv"
        (tmp_path / NAME).unlink()
        await models.refresh()
        assert models.reply().models[1].state == "missing"
        (tmp_path / NAME).write_bytes(CONTENT)
        await models.refresh()
        assert models.choice("tiny").entry.name == "tiny"

    run(work())


def test_a_download_puts_the_published_file_in_the_place_of_a_damaged_one(tmp_path: Path) -> None:
    async def work(hub: FakeHub) -> None:
        models = manager_of(hub, tmp_path)
        (tmp_path / NAME).write_bytes(b"damaged")
        await models.refresh()
        assert [event.state async for event in models.download("tiny").events()][-1] == "ready"
        assert models.reply().models[1].problem is None

    with FakeHub({NAME: CONTENT}) as hub:
        run(work(hub))
    assert (tmp_path / f"{NAME}.replaced").read_bytes() == b"damaged"


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "lama_server.model_manager.download_log"]


def test_the_log_tells_a_downloads_terms_its_tenths_and_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever starts a server with --model sees what is fetched, under which licence, before it is."""

    async def work(hub: FakeHub) -> None:
        settings = Settings(model_dir=tmp_path, model="big")
        file = WeightsFile(NAME, (hub.url(NAME),), len(large), hashlib.sha256(large).hexdigest())
        entry = replace(model("big", file), licence=Licence("CC BY-NC 4.0", "", commercial_use=False))
        models = ModelManager([entry], LibraryWeights(settings, LOCAL), settings)
        async for _ in models.download("big").events():
            pass

    large = CONTENT * 10
    with caplog.at_level("INFO"), FakeHub({NAME: large}) as hub:
        run(work(hub))
    first, *between, last = told(caplog)
    assert first == "Getting the weights of Big: CC BY-NC 4.0, not for commercial use, 3 MiB"
    percent = [int(line.removeprefix("Weights of Big: ").split()[0]) for line in between]
    assert percent == sorted(set(percent))
    assert all(value % 10 == 0 for value in percent)
    assert percent[-1] == 100
    assert last == "The weights of Big are there."


def test_the_log_tells_why_a_download_failed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work(hub: FakeHub) -> None:
        async for _ in manager_of(hub, tmp_path).download("tiny").events():
            pass

    with caplog.at_level("INFO"), FakeHub({NAME: CONTENT}, always={NAME: Fault(status=404)}) as hub:
        run(work(hub))
    first, last = told(caplog)
    assert first == "Getting the weights of Tiny: MIT, 293 KiB"
    assert last.startswith(f"The weights of Tiny could not be had: {NAME} could not be downloaded")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def test_a_model_goes_from_missing_over_downloading_to_ready(tmp_path: Path) -> None:
    async def work(hub: FakeHub) -> None:
        models = manager_of(hub, tmp_path)
        await models.refresh()
        tiny = models.entry("tiny")
        assert models.state(tiny) == "missing"
        events = [event async for event in models.download("tiny").events()]
        assert {event.state for event in events[:-1]} == {"downloading"}
        assert events[-1].state == "ready"
        done = [event.progress.done_bytes for event in events if event.progress is not None]
        assert done == sorted(done)
        assert done[-1] == len(CONTENT)
        assert models.state(tiny) == "ready"
        assert models.choice("tiny").entry is tiny
        assert dict(models.files(tiny)) == {NAME: tmp_path / NAME}

    with FakeHub({NAME: CONTENT}) as hub:
        run(work(hub))


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(status=404), "model.download_failed"),
        (Fault(status=401), "model.download_failed"),
        (Fault(status=429), "model.download_failed"),
        (Fault(status=500), "model.download_failed"),
        (Fault(body=b"<html>Sign in</html>"), "model.download_failed"),
        (Fault(status=302, headers=(("Location", "http://files.example/"),)), "model.download_failed"),
        (Fault(flip=5), "model.weights_corrupted"),
    ],
)
def test_a_failed_download_is_a_problem_without_paths_and_can_be_tried_again(
    tmp_path: Path, fault: Fault, code: str
) -> None:
    async def work(hub: FakeHub) -> None:
        models = manager_of(hub, tmp_path)
        await models.refresh()
        last = [event async for event in models.download("tiny").events()][-1]
        assert last.state == "failed"
        assert last.problem is not None
        assert last.problem.code == code
        assert str(tmp_path) not in last.problem.detail
        assert models.state(models.entry("tiny")) == "failed"
        hub.always.clear()
        assert [event async for event in models.download("tiny").events()][-1].state == "ready"

    with FakeHub({NAME: CONTENT}, always={NAME: fault}) as hub:
        run(work(hub))


def test_a_stopping_server_does_not_wait_for_a_silent_source(tmp_path: Path) -> None:
    async def work(hub: FakeHub) -> None:
        models = manager_of(hub, tmp_path)
        async for event in models.download("tiny").events():
            if event.progress is not None and event.progress.done_bytes >= 100_000:
                models.close()
        assert (tmp_path / f"{NAME}.part").stat().st_size == 100_000

    with FakeHub({NAME: CONTENT}, always={NAME: Fault(stall_after=100_000)}) as hub:
        run(work(hub))
