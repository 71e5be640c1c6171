"""Several servers, one object store: what one stored the others have; it may go away and come back."""

from __future__ import annotations

import asyncio
import http.server
import shutil
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from fake_engines import photo
from lama_server.cli.main import main
from lama_server.errors import ApiError, EditNotFound, ImageNotFound, StoreFull, StoreUnavailable
from lama_server.exits import ExitCode
from lama_server.settings import Limits
from lama_server.store.image_store import EditRecord, ImageStore, StoredEdit
from lama_server.store.objects import ObjectKeeper
from object_store import BUCKET, ObjectStore, object_store
from serving import RunningServer, misbehaving, within
from test_image_store import decoded, patch, record
from test_image_store import photo as small_photo

ADDRESS = f"s3://{BUCKET}/some/where"
PATIENT = Limits()
HASTY = Limits(store_retry_s=0, store_deadline_s=5)
SCALED = {"op": "scale", "width": 48, "height": 32}


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as running:
        yield running


@pytest.fixture(scope="module")
def servers(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningServer]]:
    """Two with folders of their own; the second gives up on the store at once."""
    folders = [tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")]
    first = RunningServer(folders[0], {"store": ADDRESS})
    second = RunningServer(folders[1], {"store": ADDRESS, "limits": {"store_retry_s": 0, "store_deadline_s": 5}})
    with first, second:
        for server in (first, second):
            server.wait_ready()
        yield [first, second]


@pytest.fixture
def away(store: ObjectStore) -> Iterator[ObjectStore]:
    """The store, which is not there, and is again after the test."""
    store.go_away()
    yield store
    store.come_back()


def made(server: RunningServer, image: str, *parents: str) -> str:
    """The id of an edit, which has to come out."""
    lines = server.edit(image, parents=list(parents)).lines
    assert lines[-1]["type"] == "result", lines[-1]
    return str(lines[-1]["edit"])


# ------------------------------------------------------------------------------------------- several servers


def test_what_one_server_stored_another_shows_and_goes_on_with(servers: list[RunningServer]) -> None:
    """P7: the same bytes from both."""
    first, second = servers
    image = first.upload(photo(code=3), "beach.png").json["id"]
    edit = made(first, image)
    scaled = first.post_json("/api/v1/edits", {"image": image, "parents": [edit], "canvas": SCALED}).lines[-1]["edit"]
    for path in (
        f"/api/v1/images/{image}",
        f"/api/v1/images/{image}/original",
        f"/api/v1/images/{image}/render?edits={edit},{scaled}",
        f"/api/v1/edits/{scaled}",
        f"/api/v1/edits/{edit}/patches/0.png",
    ):
        ours, theirs = first.ask("GET", path), second.ask("GET", path)
        assert (ours.status, ours.body) == (200, theirs.body), path
    further = made(second, image, edit)
    assert first.ask("GET", f"/api/v1/images/{image}/render?edits={edit},{further}").status == 200


def test_a_server_that_loses_its_folder_has_lost_nothing(servers: list[RunningServer]) -> None:
    _, server = servers
    image = server.upload(photo(code=4)).json["id"]
    edit = made(server, image)
    before = server.ask("GET", f"/api/v1/images/{image}/render?edits={edit}")
    shutil.rmtree(server.data_dir)
    after = server.ask("GET", f"/api/v1/images/{image}/render?edits={edit}")
    assert (after.status, after.body) == (200, before.body)


def test_what_nobody_stored_is_not_found(servers: list[RunningServer]) -> None:
    for server in servers:
        assert server.ask("GET", f"/api/v1/images/{'0' * 64}").code == "image.not_found"
        assert server.ask("GET", "/api/v1/images/../../etc/passwd/preview").status == 404
        assert server.ask("GET", f"/api/v1/edits/{'0' * 32}").code == "edit.not_found"


# ------------------------------------------------------------------------------------------- the store is away


def test_without_the_store_requests_end_in_a_named_error_and_later_nothing_is_missing(
    servers: list[RunningServer], store: ObjectStore
) -> None:
    """P6, P9: what is in the folder is shown; what would have to be stored is refused, to be asked for again."""
    _, server = servers
    image = server.upload(photo(code=5)).json["id"]
    edit = made(server, image)
    store.go_away()
    refused = server.upload(photo(code=6))
    assert (refused.status, refused.code, refused.json["retryable"]) == (503, "store.unavailable", True)
    assert int(refused.headers["retry-after"]) > 0
    line = server.edit(image, parents=[edit]).lines[-1]
    assert (line["type"], line["problem"]["code"]) == ("error", "store.unavailable")
    assert server.ask("GET", f"/api/v1/images/{image}/render?edits={edit}").status == 200
    assert within(60, lambda: server.ask("GET", "/readyz").json["checks"]["store"]["code"] == "store.unavailable")
    assert server.ask("GET", f"/api/v1/edits/{'1' * 32}").code == "store.unavailable"
    store.come_back()
    assert server.upload(photo(code=6)).status == 200
    made(server, image, edit)
    assert within(60, lambda: server.ask("GET", "/readyz").status == 200)


def test_an_edit_outlasts_a_store_that_goes_away_while_it_is_made_and_comes_back(
    servers: list[RunningServer], store: ObjectStore
) -> None:
    first, second = servers
    image = first.upload(photo(code=7)).json["id"]
    request = {"image": image, "mask": {"shapes": [{"kind": "rect", "x": 20, "y": 16, "w": 24, "h": 20}]}}
    stream = first.stream({**request, "runs": [misbehaving("stay")]})
    next(stream)
    first.wait_for_stays()
    store.go_away()
    with socket.create_server(("127.0.0.1", store.port)) as refusing:
        first.let_go()
        refusing.accept()[0].close()  # the server has asked by then, in vain
    store.come_back()
    last = list(stream)[-1]
    assert last["type"] == "result", last
    assert second.ask("GET", f"/api/v1/edits/{last['edit']}").status == 200


# ------------------------------------------------------------------------------------------- one keeper


class Machine:
    """A folder and its keeper."""

    def __init__(self, folder: Path, limits: Limits = HASTY, max_bytes: int = 2**30, address: str = ADDRESS) -> None:
        self.folder = ImageStore(folder, max_bytes)
        self.keeper = ObjectKeeper(address, self.folder, limits)

    async def add(self, seed: int) -> StoredEdit:
        """A photo with an edit, both kept."""
        image = self.folder.add_image(small_photo(seed), f"{seed}.png")
        await self.keeper.keep_image(image)
        edit = self.folder.add_edit(record(image.id), [patch()])
        await self.keeper.keep_edit(edit)
        return edit


def refusal(work: Callable[[], Awaitable[object]]) -> ApiError:
    async def run() -> None:
        await work()

    with pytest.raises(ApiError) as caught:
        asyncio.run(run())
    return caught.value


def test_a_folder_that_is_too_small_for_all_is_a_cache_of_the_store(store: ObjectStore, tmp_path: Path) -> None:
    """P14: its cap holds whatever is fetched, and what had to go is fetched again."""

    async def look() -> None:
        edits = [await Machine(tmp_path / "whole").add(seed) for seed in range(6)]
        for _ in range(2):
            for edit in edits:
                small = Machine(tmp_path / "small", max_bytes=20_000)
                await small.keeper.fetch_edits([edit.id])
                assert small.folder.get_edit(edit.id) == edit
                assert small.folder.patches(edit)[0].png.read_bytes() == patch()
                assert sum(file.stat().st_size for file in (tmp_path / "small").rglob("*") if file.is_file()) <= 20_000

    asyncio.run(look())


def test_many_who_want_the_same_edit_fetch_it_once(store: ObjectStore, tmp_path: Path) -> None:
    async def look() -> None:
        edit = await Machine(tmp_path / "one").add(1)
        other = Machine(tmp_path / "other")
        child = Machine(tmp_path / "one").folder.add_edit(record(edit.record.image, edit.id), [patch()])
        await Machine(tmp_path / "one").keeper.keep_edit(child)
        await asyncio.gather(*(other.keeper.fetch_edits([child.id, edit.id]) for _ in range(20)))
        assert other.folder.resolve(edit.record.image, [edit.id, child.id])
        assert not list((tmp_path / "other" / "tmp").iterdir())

    asyncio.run(look())


def test_bytes_that_are_not_those_of_the_id_are_no_image(store: ObjectStore, tmp_path: Path) -> None:
    """P8: a damaged object is refused and leaves nothing behind."""
    edit = asyncio.run(Machine(tmp_path / "one").add(2))
    store.ask("PUT", f"/{BUCKET}/some/where/images/{edit.record.image}/original", small_photo(3))
    other = Machine(tmp_path / "other")
    assert isinstance(refusal(lambda: other.keeper.fetch_image(edit.record.image)), StoreUnavailable)
    assert not [path for path in (tmp_path / "other").rglob("*") if path.is_file()]


def test_an_edit_without_its_record_is_not_there(store: ObjectStore, tmp_path: Path) -> None:
    """P4: a server that ends while it stores an edit leaves pieces that nobody sees."""
    edit = asyncio.run(Machine(tmp_path / "one").add(4))
    store.ask("DELETE", f"/{BUCKET}/some/where/edits/{edit.id}/edit.json")
    other = Machine(tmp_path / "other")
    asyncio.run(other.keeper.fetch_edits([edit.id]))
    with pytest.raises(EditNotFound):
        other.folder.get_edit(edit.id)


def test_an_edit_whose_photo_has_expired_says_that_the_photo_is_missing(store: ObjectStore, tmp_path: Path) -> None:
    edit = asyncio.run(Machine(tmp_path / "one").add(5))
    store.ask("DELETE", f"/{BUCKET}/some/where/images/{edit.record.image}/info.json")
    other = Machine(tmp_path / "other")
    assert isinstance(refusal(lambda: other.keeper.fetch_edits([edit.id])), ImageNotFound)


def test_an_edit_that_cannot_be_kept_is_not_in_the_folder_either(
    store: ObjectStore, away: ObjectStore, tmp_path: Path
) -> None:
    machine = Machine(tmp_path)
    image = machine.folder.add_image(small_photo(), "a.png")
    edit = machine.folder.add_edit(EditRecord(image.id, (), (), {"canvas": {}}))
    assert isinstance(refusal(lambda: machine.keeper.keep_edit(edit)), StoreUnavailable)
    with pytest.raises(EditNotFound):
        machine.folder.get_edit(edit.id)
    assert decoded(machine.folder, image.id).exists()


def test_a_bucket_that_does_not_exist_is_no_missing_image(store: ObjectStore, tmp_path: Path) -> None:
    machine = Machine(tmp_path, address="s3://no-such-bucket")
    for work in (lambda: machine.keeper.fetch_image("0" * 64), lambda: asyncio.to_thread(machine.keeper.check)):
        refused = refusal(work)
        assert isinstance(refused, StoreUnavailable)
        assert "NoSuchBucket" in refused.detail


def test_a_store_that_never_answers_is_given_up_on(
    tmp_path: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P6: also by those who wait for others."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        machine = Machine(tmp_path, Limits(store_retry_s=0, store_deadline_s=1))

        async def all_at_once() -> list[object]:
            return await asyncio.gather(
                *(machine.keeper.fetch_image(f"{number:064x}") for number in range(40)), return_exceptions=True
            )

        assert {type(ended) for ended in asyncio.run(all_at_once())} == {StoreUnavailable}
        assert isinstance(refusal(lambda: asyncio.to_thread(machine.keeper.check)), StoreUnavailable)


class Full(http.server.BaseHTTPRequestHandler):
    """A store that takes nothing more."""

    body: ClassVar = b"<Error><Code>XMinioStorageFull</Code></Error>"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(507)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_full_store_is_said_to_be_full(tmp_path: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Full) as full:
        threading.Thread(target=full.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{full.server_port}")
        machine = Machine(tmp_path)
        assert isinstance(refusal(lambda: machine.add(1)), StoreFull)
        full.shutdown()


# ------------------------------------------------------------------------------------------- the address


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://example.org/bucket", "is not of the form s3://BUCKET/PREFIX"),
        ("s3:///prefix", "is not of the form"),
        ("s3://bucket?key=1", "is not of the form"),
        ("s3://me:hidden@bucket", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_an_address_that_is_none_ends_the_start(
    address: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--port", "0", "--data-dir", str(tmp_path), "--model", "opencv", "--store", address]
    assert main(arguments) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert said in error
    assert "hidden" not in error


def test_without_the_library_it_is_said_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    arguments = ["--port", "0", "--data-dir", str(tmp_path), "--model", "opencv", "--store", ADDRESS]
    assert main(arguments) == ExitCode.USAGE
    assert "pip install 'lama-server[cluster]'" in capsys.readouterr().err
