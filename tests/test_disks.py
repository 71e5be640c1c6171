"""Folders that go away, are swapped or full, and workers that are halted: named errors, a bounded store."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import numpy as np
import psutil
import pytest

from fake_engines import photo
from serving import PATIENCE_S, Reply, RunningServer, encode, rect_mask, within

Start = Callable[..., RunningServer]
IMAGE, MASK = encode(photo()), encode(rect_mask())
MIB = 2**20


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def stored_bytes(folder: Path) -> int:
    """All files of a folder, from which others may take some meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.path.getsize(os.path.join(parent, name))
    return total


def worker(server: RunningServer, name: str) -> psutil.Process:
    """The codec worker started first, the engine worker after it."""
    children = [child for child in psutil.Process(server.child.pid).children() if "spawn_main" in child.cmdline()[-2]]
    return sorted(children, key=lambda child: (child.create_time(), child.pid))[("codec", "engine").index(name)]


def failing(server: RunningServer) -> dict[str, str]:
    """Check -> code, of what is wrong."""
    ready = server.ask("GET", "/readyz")
    wrong = {name: check["code"] for name, check in ready.json["checks"].items() if not check["ok"]}
    assert (ready.status == 200) == (not wrong)
    return wrong


def becomes(server: RunningServer, expected: dict[str, str]) -> bool:
    return within(60, lambda: failing(server) == expected)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Path]]:
    """(a server with an output folder, that folder)."""
    out = tmp_path_factory.mktemp("out")
    with RunningServer(tmp_path_factory.mktemp("data") / "store", {"output_dir": str(out)}) as running:
        running.wait_ready()
        yield running, out


# ------------------------------------------------------------------------------------------- folders


def everything(server: RunningServer, image: str, edit: str) -> list[Reply]:
    """One request of each kind that touches the data folder."""
    return [
        server.ask("GET", f"/api/v1/images/{image}"),
        server.ask("GET", f"/api/v1/images/{image}/render?edits={edit}"),
        server.ask("GET", f"/api/v1/images/{image}/preview?edits={edit}"),
        server.ask("GET", f"/api/v1/edits/{edit}"),
        server.ask("GET", f"/api/v1/edits/{edit}/patches/0.png"),
        server.edit(image),
        server.upload(photo(code=77)),
        server.one_shot(IMAGE, MASK),
    ]


def test_a_data_folder_that_is_deleted_is_made_again(servers: tuple[RunningServer, Path]) -> None:
    """B95, P9: what was in it is gone and said to be; everything that comes later works."""
    server, _ = servers
    image = server.upload(photo()).json["id"]
    edit = server.edit(image).lines[-2]["edit"]
    shutil.rmtree(server.data_dir)
    codes = [reply.code for reply in everything(server, image, edit)]
    assert codes == ["image.not_found"] * 3 + ["edit.not_found"] * 2 + ["image.not_found", "ok", "ok"]
    assert server.upload(photo()).json["id"] == image
    assert server.edit(image).lines[-1]["type"] == "saved"
    assert becomes(server, {})


def test_deleting_the_data_folder_again_and_again_ends_no_request_in_an_internal_error(
    servers: tuple[RunningServer, Path],
) -> None:
    """P9: whatever moment it hits."""
    server, _ = servers
    ended = threading.Event()

    def delete() -> None:
        while not ended.wait(0.01):
            shutil.rmtree(server.data_dir, ignore_errors=True)

    thread = threading.Thread(target=delete)
    thread.start()
    codes = set()
    try:
        for seed in range(12):
            upload = server.upload(noise(400, 600, seed))
            codes.add(upload.code)
            if upload.status == 200:
                image = upload.json["id"]
                codes.add(server.ask("GET", f"/api/v1/images/{image}/render").code)
                edit = server.edit(image)
                lines = edit.lines if edit.status == 200 else [{"problem": edit.json}]
                codes |= {line["problem"]["code"] for line in lines if "problem" in line}
            codes.add(server.one_shot(IMAGE, MASK).code)
    finally:
        ended.set()
        thread.join()
    assert codes <= {"ok", "root.unavailable", "image.not_found", "edit.not_found"}
    assert server.one_shot(IMAGE, MASK).status == 200


def test_a_data_folder_that_was_swapped_for_a_link_takes_nothing_in(
    servers: tuple[RunningServer, Path], tmp_path: Path
) -> None:
    """P2: the folder that the link names stays empty; when the old one is back, all goes on."""
    server, _ = servers
    assert server.upload(photo()).status == 200
    moved = server.data_dir.rename(server.data_dir.with_name("moved"))
    server.data_dir.symlink_to(tmp_path)
    try:
        assert server.upload(photo(code=9)).code == "root.unavailable"
        assert server.one_shot(IMAGE, MASK).code == "root.unavailable"
        assert becomes(server, {"disk": "root.unavailable"})
        assert list(tmp_path.iterdir()) == []
    finally:
        server.data_dir.unlink()
        moved.rename(server.data_dir)
    assert server.upload(photo(code=9)).status == 200
    assert becomes(server, {})


def test_an_output_folder_that_was_swapped_for_a_link_gets_nothing(
    servers: tuple[RunningServer, Path], tmp_path: Path
) -> None:
    """P2, X6, B106."""
    server, out = servers
    image = server.upload(photo()).json["id"]
    moved = out.rename(out.with_name("moved"))
    out.symlink_to(tmp_path)
    try:
        assert server.edit(image).lines[-1]["save_error"]["code"] == "root.unavailable"
        assert server.one_shot(IMAGE, MASK).headers["x-save-error"] == "root.unavailable"
        assert becomes(server, {"output_dir": "root.unavailable"})
        assert list(tmp_path.iterdir()) == []
    finally:
        out.unlink()
        moved.rename(out)
    assert server.edit(image).lines[-1]["saved"] is not None
    assert becomes(server, {})


def test_a_server_whose_disks_are_full_says_so_and_takes_nothing_in(start_server: Start, tmp_path: Path) -> None:
    """X5: full is what leaves less than --min-free."""
    out = tmp_path / "out"
    out.mkdir()
    running = start_server(output_dir=str(out))
    image = running.upload(photo()).json["id"]
    running.stop()
    running.options["min_free"] = 2**20
    running.start()
    assert becomes(running, {"disk": "server.temp_full", "output_dir": "save.disk_full"})
    before = stored_bytes(running.data_dir)
    for refused in (running.upload(photo(code=9)), running.one_shot(IMAGE, MASK)):
        assert (refused.status, refused.code) == (507, "server.temp_full")
        assert refused.json["limit"]["flag"] == "--min-free"
    assert running.ask("GET", f"/api/v1/images/{image}").status == 200
    assert running.ask("GET", f"/api/v1/images/{image}/render").code == "server.temp_full"
    assert stored_bytes(running.data_dir) == before
    assert list((running.data_dir / "tmp").iterdir()) == []
    assert list(out.iterdir()) == []


# ------------------------------------------------------------------------------------------- workers


@pytest.mark.parametrize("name", ["codec", "engine"])
def test_a_worker_that_was_halted_is_reported_until_it_goes_on(servers: tuple[RunningServer, Path], name: str) -> None:
    server, _ = servers
    assert becomes(server, {})
    child = worker(server, name)
    child.send_signal(signal.SIGSTOP)
    try:
        assert becomes(server, {f"{name}_worker": "worker.unavailable"})
        assert server.ask("GET", "/healthz").status == 200
    finally:
        child.send_signal(signal.SIGCONT)
    assert becomes(server, {})
    assert server.one_shot(IMAGE, MASK).status == 200


def test_with_two_workers_a_halted_one_gets_no_jobs(start_server: Start) -> None:
    """P6: and the other one takes them."""
    server = start_server(workers=2)
    assert within(60, lambda: {w["state"] for w in server.ask("GET", "/readyz").json["workers"]} == {"ready"})
    child = worker(server, "engine")
    child.send_signal(signal.SIGSTOP)
    try:
        assert within(60, lambda: "stopped" in [w["state"] for w in server.ask("GET", "/readyz").json["workers"]])
        assert [server.one_shot(IMAGE, MASK).status for _ in range(3)] == [200] * 3
    finally:
        child.send_signal(signal.SIGCONT)


def test_a_photo_that_does_not_fit_into_memory_is_refused_and_costs_no_worker(
    servers: tuple[RunningServer, Path],
) -> None:
    """X7, P10: under a limit of address space; refused on the header, before memory is taken."""
    server, _ = servers
    child = worker(server, "codec")
    blank = encode(np.zeros((6000, 5000, 3), np.uint8))
    child.rlimit(psutil.RLIMIT_AS, (child.memory_info().vms + 300 * MIB, resource.RLIM_INFINITY))
    try:
        reply = server.ask("POST", "/api/v1/images", blank)
        assert (reply.status, reply.code) == (503, "engine.out_of_memory")
    finally:
        child.rlimit(psutil.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert server.ask("POST", "/api/v1/images", blank).status == 200
    assert worker(server, "codec").pid == child.pid


# --------------------------------------------------------------------------------------------- space


def test_the_store_never_takes_more_than_its_cap(start_server: Start) -> None:
    """P5: decoded pixels and originals of photos that are all in use one after another; the last one still works."""
    server = start_server(data_cap=64)
    for seed in range(8):
        reply = server.ask("POST", "/api/v1/images", encode(noise(1200, 1600, seed), "BMP"))
        assert reply.status in (200, 507), reply.body
        assert stored_bytes(server.data_dir) <= 64 * MIB
        if reply.status == 507:
            assert (reply.code, reply.json["limit"]["flag"]) == ("server.temp_full", "--data-cap")
            assert list((server.data_dir / "tmp").iterdir()) == []
        else:
            image = reply.json["id"]
    assert server.ask("GET", f"/api/v1/images/{image}/preview?max=256").status == 200


def test_a_photo_whose_pixels_do_not_fit_under_the_cap_is_refused_and_not_kept(start_server: Start) -> None:
    server = start_server(data_cap=64)
    blank = np.zeros((5000, 5000, 3), np.uint8)
    assert server.upload(blank).code == "server.temp_full"
    assert server.one_shot(encode(blank), encode(blank[..., 0])).code == "server.temp_full"
    assert stored_bytes(server.data_dir) == 0


def test_many_open_uploads_take_no_more_than_the_cap(start_server: Start) -> None:
    """L3: room for a body is set aside before it comes, so that the others are refused at once."""
    server = start_server(data_cap=64)
    body = 9 * MIB
    head = f"POST /api/v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: {body}\r\n\r\n".encode()
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 60)) for _ in range(30)]
        for client in clients:
            client.sendall(head + bytes(64 * 1024))
        refused: set[socket.socket] = set()
        while len(refused) < 30 - 64 // 9:
            waiting = [client for client in clients if client not in refused]
            ready, _, _ = select.select(waiting, [], [], PATIENCE_S)
            assert ready, f"only {len(refused)} were refused"
            assert {client.recv(4096).split()[1] for client in ready} == {b"507"}
            refused |= set(ready)
        for client in set(clients) - refused:
            client.sendall(bytes(body - 64 * 1024))
            assert client.recv(4096).split()[1] == b"415", "there was room for it, and it is no picture"
    assert within(60, lambda: server.upload(photo()).status == 200)
    assert within(60, lambda: not list((server.data_dir / "tmp").iterdir()))


FORM_HEAD = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
FORM_TYPE = "multipart/form-data; boundary=frontier"


def test_what_comes_of_a_form_lies_in_the_data_folder(start_server: Start) -> None:
    """P5: the system's folder for temporary files is often held in memory, and knows no --data-cap."""
    server = start_server()
    head = f"POST /api/v1/inpaint HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM_TYPE}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        client.sendall(f"{head}Content-Length: {9 * MIB}\r\n\r\n".encode() + FORM_HEAD + bytes(8 * MIB))
        assert within(60, lambda: max((size for _, size in open_files(server)), default=0) > 7 * MIB)
        large = [path for path, size in open_files(server) if size > MIB]
        assert all(path.startswith(str(server.data_dir)) for path in large), large
    assert within(60, lambda: not list((server.data_dir / "tmp").iterdir()))


def open_files(server: RunningServer) -> list[tuple[str, int]]:
    """(path, bytes) of the files that the web process has open, also of those without a name."""
    files = []
    for link in Path(f"/proc/{server.child.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            files.append((os.readlink(link), link.stat().st_size))
    return files


@pytest.mark.parametrize(
    ("path", "kind", "head"),
    [("/api/v1/images", "image/png", b""), ("/api/v1/inpaint", FORM_TYPE, FORM_HEAD)],
    ids=["a file", "a form"],
)
def test_a_body_of_unknown_length_is_counted_as_it_comes(
    start_server: Start, path: str, kind: str, head: bytes
) -> None:
    server = start_server(data_cap=64)
    connection = server.connection()
    chunks = chain([head], (bytes(MIB) for _ in range(80)))
    try:
        connection.request("POST", path, chunks, {"content-type": kind}, encode_chunked=True)
        assert connection.getresponse().status == 507
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused while the rest was still on its way
    finally:
        connection.close()
    assert within(60, lambda: stored_bytes(server.data_dir) == 0)


# ------------------------------------------------------------------------------------------ leftovers


def test_a_picture_that_cannot_be_made_leaves_nothing(servers: tuple[RunningServer, Path]) -> None:
    """P14: edits that are not there, a format that cannot hold it, a worker that is killed meanwhile."""
    server, _ = servers
    image = server.upload(noise(1200, 1600)).json["id"]
    unknown = "0" * 32
    for query in (f"render?edits={unknown}", f"preview?edits={unknown}"):
        assert server.ask("GET", f"/api/v1/images/{image}/{query}").code == "edit.not_found"
    codes = []
    thread = threading.Thread(
        target=lambda: codes.append(server.ask("GET", f"/api/v1/images/{image}/render?format=png").code)
    )
    child = worker(server, "codec")
    child.send_signal(signal.SIGSTOP)
    thread.start()
    assert within(60, lambda: bool(list((server.data_dir / "tmp").iterdir())))
    child.kill()
    thread.join()
    assert codes == ["worker.crashed"]
    assert list((server.data_dir / "tmp").iterdir()) == []
    assert becomes(server, {})


def test_what_a_worker_writes_after_its_deadline_does_not_stay(start_server: Start) -> None:
    """P14: the answer is given; the worker comes to writing its file only then."""
    server = start_server(limits={"codec_deadline_s": 2.0, "cancel_grace_s": 60.0})
    assert within(60, lambda: server.upload(photo()).status == 200)
    image = server.upload(photo()).json["id"]
    child = worker(server, "codec")
    child.send_signal(signal.SIGSTOP)
    try:
        assert server.ask("GET", f"/api/v1/images/{image}/render").code == "job.deadline_exceeded"
    finally:
        child.send_signal(signal.SIGCONT)
    assert within(60, lambda: server.one_shot(IMAGE, MASK).status == 200), (
        "it is done with the render when it takes this"
    )
    assert within(60, lambda: not list((server.data_dir / "tmp").iterdir()))
    assert worker(server, "codec").pid == child.pid
