"""Running the application: the socket, who is let in, signals and exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from ..exits import ExitCode, StartError
from ..settings import Limits
from .connection import Connection

BACKLOG = 256
"""Connections that the system holds until they are accepted."""

ACCEPT_PAUSE_S = 1.0
"""After a connection that could not be accepted, for want of descriptors or memory."""

ROOM_PAUSE_S = 0.01
"""Between two looks whether a connection has ended, while all that may be open are."""

SILENCE_S = 1.0
"""After so long without a request a connection makes way for a new one."""

LAST_WORDS_S = 2
"""For the answers to jobs that outlast the drain."""

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


class Server(uvicorn.Server):
    """uvicorn with our signals and our way of accepting connections.

    The first signal drains, the second one ends at once; a drained stop exits with 0. At most `limits.connections` are
    open: when all are, a client that has sent no request makes way for a new one, and where all are at work the new one
    waits.

    begin_stop  no new jobs; called from the signal's handler
    end_jobs    ends the jobs that outlast the drain
    end_now     ends the workers at once
    """

    def __init__(
        self,
        config: uvicorn.Config,
        limits: Limits,
        *,
        begin_stop: Callable[[], None],
        end_jobs: Callable[[], Awaitable[None]],
        end_now: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._limits = limits
        self._begin_stop, self._end_jobs, self._end_now = begin_stop, end_jobs, end_now
        self._accepting: list[asyncio.Task[None]] = []
        self._connecting: set[asyncio.Task[None]] = set()

    # signals

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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self._accepting:
            task.cancel()
        ending = asyncio.create_task(self._end_drain())
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()

    async def _end_drain(self) -> None:
        await asyncio.sleep(self._limits.drain_s)
        await self._end_jobs()

    # connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        for bound in sockets or []:
            bound.setblocking(False)
            self._accepting.append(asyncio.create_task(self._accept(bound)))

    async def _accept(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(bound)
            except ConnectionAbortedError:  # the client left while it waited
                continue
            except OSError as error:
                log.warning("no connection can be accepted: %s", error.strerror)
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            await self._make_room()
            task = asyncio.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError:  # the client has left
            connection.close()

    def _protocol(self) -> Connection:
        return Connection(self._limits, self.config, self.server_state, self.lifespan.state)

    async def _make_room(self) -> None:
        """Waits until one more connection may be open."""
        while len(self.server_state.connections) + len(self._connecting) >= self._limits.connections:
            self._close_silent()
            await asyncio.sleep(ROOM_PAUSE_S)

    def _close_silent(self) -> None:
        """Closes the connection that has been without a request for longest."""
        connections = cast(set[Connection], self.server_state.connections)
        longest = max(connections, key=lambda connection: connection.silent_s, default=None)
        if longest is not None and longest.silent_s > SILENCE_S:
            longest.transport.abort()


def serve(app: FastAPI, bound: socket.socket, *, limits: Limits, on_ready: Callable[[], None]) -> None:
    """Serves until a signal comes; returns after the drain.

    on_ready  called once the socket is served
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=limits.drain_s + LAST_WORDS_S,
    )
    services = app.state.services
    server = Server(
        config, limits, begin_stop=services.begin_stop, end_jobs=services.end_jobs, end_now=services.end_now
    )
    asyncio.run(_run(server, bound, on_ready))


async def _run(server: Server, bound: socket.socket, on_ready: Callable[[], None]) -> None:
    async def announce() -> None:
        while not server.started:
            await asyncio.sleep(0.02)
        on_ready()

    announcing: asyncio.Task[Any] = asyncio.create_task(announce())
    try:
        await server.serve(sockets=[bound])
    finally:
        announcing.cancel()
