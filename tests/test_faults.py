"""Clients that leave, folders that go away, and many requests: nothing is stuck, nothing is left, nothing is lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fake_engines import photo
from serving import RunningServer, decode, edit_request, encode, form, misbehaving, rect_mask, within

Start = Callable[..., RunningServer]
IMAGE, MASK = encode(photo()), encode(rect_mask())


@pytest.fixture(scope="module")
def saving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Path]]:
    """(a server with an output folder, that folder)."""
    out = tmp_path_factory.mktemp("out")
    with RunningServer(tmp_path_factory.mktemp("data"), {"output_dir": str(out)}) as running:
        running.wait_ready()
        yield running, out


def leave_after(server: RunningServer, path: str, body: bytes, kind: str, sent: int) -> None:
    """A client that hangs up after so many bytes of its body."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(head.encode() + body[:sent])


def is_idle(server: RunningServer) -> bool:
    """Whether nothing waits, nothing runs and nothing temporary is left."""
    ready = server.ask("GET", "/readyz").json["checks"]["queue"]["ok"]
    return bool(ready) and not list((server.data_dir / "tmp").iterdir())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_client_that_leaves_at_any_point_leaves_nothing_behind(
    saving: tuple[RunningServer, Path], share: float
) -> None:
    server, _ = saving
    image = server.upload(photo()).json["id"]
    edit = json.dumps(edit_request(image, misbehaving("slow", 30))).encode()
    slow = {"seed": 7, "params": {"behaviour": "slow", "seconds": 30.0}}
    body, kind = form(IMAGE, MASK, slow)
    for path, data, data_kind in (
        ("/api/v1/images", encode(photo(code=9)), "application/octet-stream"),
        ("/api/v1/edits", edit, "application/json"),
        ("/api/v1/inpaint", body, kind),
    ):
        leave_after(server, path, data, data_kind, int(share * len(data)))
    assert server.one_shot(IMAGE, MASK).status == 200, "those before it are cancelled, or it would wait for a minute"
    assert within(60, lambda: is_idle(server))


def test_a_result_is_saved_for_a_client_that_has_left(saving: tuple[RunningServer, Path]) -> None:
    server, out = saving
    image = server.upload(photo(1500, 1000), "left.png").json["id"]
    lines = server.stream(edit_request(image, {"model": "painter", "seed": 99}))
    assert any(line["type"] == "result" for line in lines)
    lines.close()
    assert within(60, (out / "left.png").exists)
    assert (decode((out / "left.png").read_bytes())[16:36, 20:44] == (99, 0, 0)).all()


def test_saves_that_have_begun_are_finished_by_a_server_that_stops(start_server: Start, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    server = start_server(output_dir=str(out))
    image = server.upload(photo(1500, 1000), "last.png").json["id"]
    lines = server.stream(edit_request(image, {"model": "painter", "seed": 99}))
    assert any(line["type"] == "result" for line in lines)
    lines.close()
    assert server.stop(signal.SIGTERM) == 0
    assert (decode((out / "last.png").read_bytes())[16:36, 20:44] == (99, 0, 0)).all()


def test_the_result_comes_before_its_file_and_the_next_run_does_not_wait(saving: tuple[RunningServer, Path]) -> None:
    server, out = saving
    image = server.upload(photo(1500, 1000), "order.png").json["id"]
    lines = server.edit(image, *[{"model": "painter", "seed": seed} for seed in (1, 2, 3)]).lines
    results = [index for index, line in enumerate(lines) if line["type"] == "result"]
    told = [(index, line) for index, line in enumerate(lines) if line["type"] == "saved"]
    assert [line["run"] for _, line in told] == [0, 1, 2]
    assert all(index > results[line["run"]] for index, line in told)
    assert len({line["saved"]["name"] for _, line in told}) == 3
    for _, line in told:
        pixels = decode((out / line["saved"]["name"]).read_bytes())
        assert pixels[16, 20].tolist() == [line["run"] + 1, 0, 0]


def test_an_output_folder_that_goes_away_costs_only_the_file(saving: tuple[RunningServer, Path]) -> None:
    """B95, B106."""
    server, out = saving
    image = server.upload(photo()).json["id"]
    hidden = out.with_name("hidden")
    elsewhere = out.with_name("elsewhere")
    out.rename(hidden)
    try:
        for make in (lambda: None, lambda: out.write_text("a file"), lambda: out.symlink_to(elsewhere)):
            make()
            result, told = server.edit(image).lines[-2:]
            assert (result["type"], told["saved"]) == ("result", None)
            assert told["save_error"]["code"] == "root.unavailable"
            reply = server.one_shot(IMAGE, MASK)
            assert (reply.status, reply.headers["x-save-error"]) == (200, "root.unavailable")
            out.unlink(missing_ok=True)
    finally:
        hidden.rename(out)
    assert server.edit(image).lines[-1]["saved"] is not None


def test_an_output_folder_may_be_a_link_itself(start_server: Start, tmp_path: Path) -> None:
    """B88."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    server = start_server(output_dir=str(tmp_path / "out"))
    saved = server.one_shot(IMAGE, MASK).headers["x-saved-as"]
    assert [path.name for path in (tmp_path / "disk").iterdir()] == [saved]


def test_a_server_without_descriptors_recovers_when_the_crowd_has_gone(saving: tuple[RunningServer, Path]) -> None:
    """It logs into a pipe that nobody reads meanwhile: a traceback for every refused connection would block it."""
    server, _ = saving
    assert server.process is not None
    pid, (soft, hard) = server.process.pid, resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 6, hard))
    with ExitStack() as crowd:
        for _ in range(30):
            crowd.enter_context(socket.create_connection(("127.0.0.1", server.port), 60))
        time.sleep(1.5)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert server.one_shot(IMAGE, MASK).status == 200


def test_many_requests_leave_the_server_as_it_was(saving: tuple[RunningServer, Path]) -> None:
    """Bounds are wide: they catch what grows with each request, not what the allocator does."""
    server, _ = saving
    assert server.process is not None
    proc = Path(f"/proc/{server.process.pid}")

    def found() -> tuple[int, int, int]:
        """(descriptors, threads, resident KiB)."""
        status = (proc / "status").read_text()
        rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return len(os.listdir(proc / "fd")), len(os.listdir(proc / "task")), rss

    image = server.upload(photo()).json["id"]

    def round_() -> None:
        server.one_shot(IMAGE, MASK)
        server.one_shot(IMAGE[:900], MASK)
        result = next(line for line in server.edit(image).lines if line["type"] == "result")
        server.ask("GET", result["patch"]["url"])
        server.ask("GET", f"/api/v1/images/{image}/render?edits={result['edit']}")

    for _ in range(10):
        round_()
    before = found()
    for _ in range(25):
        round_()
    assert within(60, lambda: found()[0] <= before[0] + 4)
    assert found()[1] <= before[1] + 8
    assert found()[2] - before[2] < 125 * 200
    assert within(60, lambda: is_idle(server))
