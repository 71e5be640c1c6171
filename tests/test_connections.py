"""Clients that are slow, silent, many or gone: each is answered or let go, and the others are served."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from fake_engines import photo
from serving import PATIENCE_S, RunningServer, edit_request, encode, form, misbehaving, rect_mask, within

Start = Callable[..., RunningServer]
IMAGE, MASK = encode(photo()), encode(rect_mask())
QUICK = {"header_deadline_s": 0.5, "answer_idle_s": 0.5, "body_bytes_per_s": 2**30, "connections": 12}
"""Limits of a server that tests do not have to wait for."""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("quick"), {"limits": QUICK}) as running:
        running.wait_ready()
        yield running


def dial(server: RunningServer, receive_bytes: int = 0) -> socket.socket:
    """A connection, with a small buffer where the client is not to take more than that unread."""
    client = socket.socket()
    if receive_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.settimeout(PATIENCE_S)
    client.connect(("127.0.0.1", server.port))
    return client


def rest(client: socket.socket) -> bytes:
    """What comes until the server closes. Raises `ConnectionResetError` where it does not close in order."""
    received = b""
    while piece := client.recv(65536):
        received += piece
    return received


def post(path: str, length: int, *more: str) -> bytes:
    """The head of a request."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def open_sockets(server: RunningServer) -> int:
    found = 0
    for link in Path(f"/proc/{server.child.pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found += os.readlink(link).startswith("socket:")
    return found


# ------------------------------------------------------------------------------------------------ framing


def test_nothing_is_read_behind_a_body_of_two_lengths(server: RunningServer) -> None:
    """B4: the connection ends, so that what one length leaves over is no request."""
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with dial(server) as client:
        client.sendall(post("/api/v1/edits", 5, "Transfer-Encoding: chunked") + b"0\r\n\r\n" + smuggled)
        answer = rest(client)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("loose", [b"X: 1\r\n 2\r\n\r\n", b"X: 1\n\r\n", b"X: 1\r2\r\n\r\n"])
def test_a_second_request_is_read_as_strictly_as_the_first(server: RunningServer, loose: bytes) -> None:
    """B7: also when both come in one piece, and when the head comes byte by byte."""
    good = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    with dial(server) as client:
        client.sendall(good + b"\r\n" + good + loose)
        assert re.findall(rb"HTTP/1\.1 (\d+)", rest(client)) == [b"200", b"400"]
    with dial(server) as client, contextlib.suppress(OSError):
        for byte in good + loose:
            client.sendall(bytes([byte]))
        assert rest(client).startswith(b"HTTP/1.1 400")


# ------------------------------------------------------------------------------------------------ slow and silent


def test_a_client_that_stops_reading_is_let_go_with_its_temporary_files(quick: RunningServer) -> None:
    """T13, T22, X15: it held a descriptor and the finished picture for ever."""
    noise = np.random.default_rng(1).integers(0, 256, (2000, 2000, 3), np.uint8)
    body, kind = form(encode(noise), encode(rect_mask(2000, 2000)))
    before = open_sockets(quick)
    with dial(quick, receive_bytes=4096) as client:
        client.sendall(post("/api/v1/inpaint", len(body), f"Content-Type: {kind}") + body)
        assert client.recv(12) == b"HTTP/1.1 200", "the picture is there"
        assert within(60, lambda: not list((quick.data_dir / "tmp").iterdir()))
        assert within(60, lambda: open_sockets(quick) <= before)


def test_a_client_that_reads_slowly_but_reads_gets_everything(start_server: Start) -> None:
    """Once more where the client itself was not let run for a while."""
    server = start_server(limits={"answer_idle_s": 2.0, "body_bytes_per_s": 2**20})
    noise = np.random.default_rng(1).integers(0, 256, (1100, 1100, 3), np.uint8)
    image = server.upload(noise).json["id"]
    request = f"GET /api/v1/images/{image}/render HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    longest_s = 2.0
    while longest_s > 1:
        with dial(server, receive_bytes=65536) as client, contextlib.suppress(ConnectionError):
            client.sendall(request.encode())
            received, read_s = b"", [time.monotonic()]
            while piece := client.recv(65536):
                received += piece
                read_s.append(time.monotonic())
                time.sleep(0.05)  # together longer than a client may take nothing
        longest_s = float(np.diff([*read_s, time.monotonic()]).max())
    head, _, content = received.partition(b"\r\n\r\n")
    assert f"content-length: {len(content)}".encode() in head.lower().split(b"\r\n")


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: loc"])
def test_a_client_that_falls_silent_is_let_go(quick: RunningServer, sent: bytes) -> None:
    """B9, L6: before its first byte, and in its head."""
    with dial(quick) as client:
        client.sendall(sent)
        assert rest(client) == b""


def test_a_client_that_falls_silent_in_its_body_is_told_why_it_is_let_go(start_server: Start) -> None:
    """B10."""
    with dial(start_server(limits={"body_idle_s": 0.5, "header_deadline_s": 2.0})) as client:
        client.sendall(post("/api/v1/images", 1000) + b"x")
        assert rest(client).startswith(b"HTTP/1.1 408")


def test_a_head_that_comes_byte_by_byte_is_given_up(quick: RunningServer) -> None:
    """B9."""
    with dial(quick) as client, contextlib.suppress(ConnectionError):
        client.settimeout(0.1)
        for byte in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1000:
            client.sendall(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                assert client.recv(100) == b""
                return
        raise AssertionError("It is still listened to.")


# ------------------------------------------------------------------------------------------------ many


def test_no_more_connections_are_open_than_documented_and_health_is_answered(quick: RunningServer) -> None:
    """T13: a crowd that says nothing fills every place; the one that is silent for longest makes way."""
    own = open_sockets(quick)
    with ExitStack() as crowd:
        for _ in range(60):
            crowd.enter_context(dial(quick))
        assert quick.ask("GET", "/healthz").status == 200
        assert open_sockets(quick) <= own + QUICK["connections"] + 1
    assert within(60, lambda: open_sockets(quick) <= own)


def test_a_request_that_is_worked_on_makes_way_for_nobody(quick: RunningServer) -> None:
    image = quick.upload(photo()).json["id"]
    running = quick.stream(edit_request(image, misbehaving("stay")))
    next(running)
    with ExitStack() as crowd:
        for _ in range(60):
            crowd.enter_context(dial(quick))
        assert quick.ask("GET", "/healthz").status == 200
        quick.let_go()
        assert list(running)[-1]["type"] == "result"


def test_without_descriptors_requests_are_told_so_and_the_log_stays_short(start_server: Start) -> None:
    """X19: opening a file failed with a 500 and a traceback for each request."""
    server = start_server()
    pid, (soft, hard) = server.child.pid, resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.closing(server.connection()) as connection:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(len(taken) + 1)) - taken), hard))
        connection.request("POST", "/api/v1/images", IMAGE)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert b"server.overloaded" in answer.read()
        with dial(server), dial(server):
            time.sleep(0.3)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert within(60, lambda: server.upload(photo()).status == 200)
    assert server.stop() == 0
    assert "Traceback" not in server.child.communicate()[1]


# ------------------------------------------------------------------------------------------------ refused early


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/api/v1/inpaint", "text/plain", b"415"),
        ("/nothing", "text/plain", b"413"),
        ("/api/v1/inpaint", "text/plain\r\nOrigin: https://evil.example", b"403"),
        ("/api/v1/inpaint", "text/plain\r\nContent-Encoding: gzip", b"415"),
    ],
)
def test_a_client_that_is_refused_before_its_body_reads_its_answer(
    server: RunningServer, path: str, kind: str, status: bytes, close: bool
) -> None:
    """L3: it sends everything before it reads, as most libraries do, and the connection is not reset meanwhile."""
    length = 30_000_000
    with dial(server) as client:
        client.sendall(post(path, length, f"Content-Type: {kind}", *(["Connection: close"] if close else [])))
        assert client.recv(1, socket.MSG_PEEK) == b"H", "it has been answered"
        for _ in range(length // 1_000_000):
            client.sendall(bytes(1_000_000))
        assert client.recv(12) == b"HTTP/1.1 " + status


def test_a_connection_whose_body_was_dropped_can_be_used_again(server: RunningServer) -> None:
    with contextlib.closing(server.connection()) as connection:
        for _ in range(3):
            connection.request("POST", "/nothing", bytes(3_000_000))
            answer = connection.getresponse()
            assert (answer.status, answer.will_close) == (404, False)
            answer.read()


def test_clients_that_leave_are_no_errors_of_the_server(start_server: Start) -> None:
    """X16: a browser's tab that is closed in an upload is nothing to report with a traceback."""
    server = start_server()
    body, kind = form(IMAGE, MASK, {"seed": 7, "params": {"behaviour": "slow", "seconds": 30.0}})
    for path, sent in (("/api/v1/images", 10), ("/api/v1/inpaint", 500), ("/api/v1/inpaint", len(body))):
        with dial(server) as client:
            client.sendall(post(path, len(body), f"Content-Type: {kind}") + body[:sent])
            time.sleep(0.5)
    assert within(60, lambda: not list((server.data_dir / "tmp").iterdir()))
    assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.child.communicate()[1]
