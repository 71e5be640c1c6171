"""A local server of weights that can be told to stall, cut, lie, redirect and resume."""

from __future__ import annotations

import collections
import hashlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What one answer does wrong; all counts are bytes of the body.

    raw           sends this instead of an answer, and hangs up
    cut_after     hangs up, `reset` = with a TCP reset
    stall_after   says nothing more until the hub is closed
    claim         states this Content-Length
    """

    raw: bytes | None = None
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    cut_after: int | None = None
    reset: bool = False
    stall_after: int | None = None
    claim: int | None = None
    ignore_range: bool = False
    shift_range: int = 0
    flip: int | None = None
    chunked: bool = False
    extra: bytes = b""
    no_validator: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as it came in, and the status it got."""

    path: str
    headers: dict[str, str]
    status: int


@dataclass
class FakeHub:
    """Serves `files` with Range and If-Range; `faults` are used up, one per request, before it behaves.

    always      a fault for every request to a path
    piece_s     pause between pieces of `piece` bytes, to make a slow line
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: collections.deque[Fault] = field(default_factory=collections.deque)
    always: dict[str, Fault] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    piece: int = 1 << 16
    piece_s: float = 0.0

    def __enter__(self) -> FakeHub:
        hub = self

        class Handler(_Handler):
            served_by = hub

        self.closed = threading.Event()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def url(self, path: str) -> str:
        return f"{self.root}/{path}"

    def statuses(self) -> list[int]:
        return [asked.status for asked in self.asked]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    served_by: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        hub = self.served_by
        path = self.path.lstrip("/")
        fault = hub.always.get(path) or (hub.faults.popleft() if hub.faults else Fault())
        content = hub.files.get(path)
        self.close_connection = True
        if fault.raw is not None:
            hub.asked.append(Asked(path, dict(self.headers.items()), 0))
            self.wfile.write(fault.raw)
        elif fault.status is not None:
            self._answer(fault.status, fault.body or b"", dict(fault.headers), fault)
        elif content is None:
            self._answer(404, b"no such file", {}, fault)
        else:
            self._serve(content, fault)

    def _serve(self, content: bytes, fault: Fault) -> None:
        if fault.body is not None:
            content = fault.body
        if fault.flip is not None:
            content = content[: fault.flip] + bytes([content[fault.flip] ^ 1]) + content[fault.flip + 1 :]
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {**({} if fault.no_validator else {"ETag": etag}), **dict(fault.headers)}
        start, wanted = 0, self.headers.get("Range", "")
        if wanted and not fault.ignore_range and self.headers.get("If-Range", etag) == etag:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            if start >= len(content):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"}, fault)
                return
            first = start + fault.shift_range
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        self._answer(206 if start else 200, content[start:] + fault.extra, headers, fault)

    def _answer(self, status: int, body: bytes, headers: dict[str, str], fault: Fault) -> None:
        hub = self.served_by
        hub.asked.append(Asked(self.path.lstrip("/"), dict(self.headers.items()), status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body) if fault.claim is None else fault.claim))
        self.end_headers()
        limit = min(x for x in (fault.cut_after, fault.stall_after, len(body)) if x is not None)
        for at in range(0, limit, hub.piece):
            piece = body[at : min(at + hub.piece, limit)]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if fault.chunked else piece)
            self.wfile.flush()
            if hub.piece_s:
                hub.closed.wait(hub.piece_s)
        if fault.stall_after is not None:
            hub.closed.wait()
        elif fault.chunked and fault.cut_after is None:
            self.wfile.write(b"0\r\n\r\n")
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
