"""Running the application: the socket, HTTP deadlines, signals and exit codes.

h11 is forced: the other parser accepts requests without a Host header. The header deadline lives in the protocol
class, because the ASGI layer only hears of a request when its headers are complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..exits import ExitCode, StartError
from ..settings import Limits

BACKLOG = 256
"""Connections that the system holds until they are accepted."""

_NO_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

log = logging.getLogger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises `StartError` in words when the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StartError(ExitCode.USAGE, f"The address {host} cannot be resolved: {error.strerror}.") from None
    bound = socket.socket(family, kind, protocol)
    if os.name == "posix":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise _bind_error(host, port, error) from None
    return bound


def _bind_error(host: str, port: int, error: OSError) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return StartError(
            ExitCode.PORT_IN_USE,
            f"Port {port} is in use. Stop the other program, or start with --port N, or with --port 0 for a free one.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return StartError(ExitCode.USAGE, f"Port {port} needs more rights than this user has. Use a port above 1023.")
    return StartError(ExitCode.USAGE, f"The address {host} port {port} cannot be used: {error.strerror}.")


class DeadlineProtocol(H11Protocol):
    """HTTP/1.1 that gives a client a few seconds to finish its headers, and its body once it was answered."""

    header_deadline_s = Limits().header_deadline_s
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_between_requests():
            self._arm()
        else:
            self._disarm()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _is_between_requests(self) -> bool:
        """Whether the client is in the middle of a head, or still sends a body that was answered already."""
        if self.conn.their_state is h11.IDLE:
            return bool(self.conn.trailing_data[0]) or self.cycle is None
        return self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.header_deadline_s, self.transport.close)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """uvicorn with our signals: the first one drains, the second one ends at once; a drained stop exits with 0."""

    def __init__(self, config: uvicorn.Config, begin_stop: Callable[[], None], end_now: Callable[[], None]) -> None:
        super().__init__(config)
        self._begin_stop, self._end_now = begin_stop, end_now

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self._end_now()
            os._exit(128 + sig)
        self.should_exit = True
        self._begin_stop()


def serve(app: FastAPI, bound: socket.socket, *, limits: Limits, on_ready: Callable[[], None]) -> None:
    """Serves until a signal comes; returns after the drain.

    on_ready  called once the socket is served
    """
    config = uvicorn.Config(
        app,
        http=DeadlineProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=limits.drain_s,
        h11_max_incomplete_event_size=4 * limits.header_bytes,
    )
    server = Server(config, app.state.services.begin_stop, app.state.services.end_now)
    asyncio.run(_run(server, bound, on_ready))


class LoopErrors:
    """The event loop's exception handler: one line a second when connections cannot be accepted.

    asyncio itself logs a traceback for every attempt, which are megabytes in the seconds that such a shortage lasts.
    """

    def __init__(self) -> None:
        self._told_s = -math.inf

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _NO_RESOURCES or "socket" not in context:
            loop.default_exception_handler(context)
        elif time.monotonic() - self._told_s >= 1:
            self._told_s = time.monotonic()
            log.warning("no connection can be accepted: %s", error.strerror)


async def _run(server: Server, bound: socket.socket, on_ready: Callable[[], None]) -> None:
    asyncio.get_running_loop().set_exception_handler(LoopErrors())

    async def announce() -> None:
        while not server.started:
            await asyncio.sleep(0.02)
        on_ready()

    announcing: asyncio.Task[Any] = asyncio.create_task(announce())
    try:
        await server.serve(sockets=[bound])
    finally:
        announcing.cancel()
