"""Progress over socket.io, under the names that IOPaint's page listens for.

Only by polling, never by a web socket: a poll is a request like any other, so that Host, Origin, token and limits are
checked by the same middleware. python-socketio is an extra (`pip install lama-server[iopaint]`) and is imported when
the first client connects; without it the endpoint answers 404, and the page shows no progress.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from ...errors import QueueFull, RouteNotFound
from ...workers.messages import JobEvent, ProgressReport

MOST_CLIENTS = 64
POLL_S = 5
"""After so long a poll is answered without news; a server that stops waits for that."""

router = APIRouter()
log = logging.getLogger(f"{__name__}.packets")
log.setLevel(logging.CRITICAL)  # the library tells of every packet


class Announcer:
    """Tells every client that listens how far a fill is."""

    def __init__(self) -> None:
        self.server: Any = None
        self._running: set[asyncio.Task[None]] = set()

    def listen(self, event: JobEvent) -> None:
        """Hears of a job's progress."""
        if isinstance(event, ProgressReport):
            self._tell("diffusion_progress", {"step": event.step, "total": event.total, "stage": event.stage})

    def finish(self) -> None:
        self._tell("diffusion_finish", None)

    def connect(self) -> Any:
        """socket.io's server. Raises `RouteNotFound` where it is not installed."""
        if self.server is None:
            if importlib.util.find_spec("socketio") is None:
                raise RouteNotFound("Progress over socket.io needs: pip install lama-server[iopaint].")
            import socketio  # imported late: the idle web process does without it

            self.server = socketio.AsyncServer(
                async_mode="asgi",
                transports=["polling"],
                allow_upgrades=False,
                cors_allowed_origins=[],  # none of its own: the middleware has checked the origin
                ping_interval=POLL_S,
                ping_timeout=2 * POLL_S,
                logger=log,
                engineio_logger=log,
            )
        return self.server

    def _tell(self, name: str, data: Any) -> None:
        if self.server is not None:
            task = asyncio.get_running_loop().create_task(self.server.emit(name, data))
            self._running.add(task)
            task.add_done_callback(self._running.discard)


class Exchange(Response):
    """A poll, or a message from the client, answered by socket.io."""

    def __init__(self, server: Any) -> None:
        super().__init__()
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._server.handle_request(scope, receive, send)


@router.api_route("/socket.io/", methods=["GET", "POST"])
async def socket(request: Request) -> Response:
    """Handshake, polls and messages. Raises `QueueFull`, `RouteNotFound`."""
    server = request.app.state.announcer.connect()
    if "sid" not in request.query_params and len(server.eio.sockets) >= MOST_CLIENTS:
        raise QueueFull(f"{MOST_CLIENTS} clients listen already.", retry_after=POLL_S)
    return Exchange(server)
