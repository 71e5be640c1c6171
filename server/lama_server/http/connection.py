"""One HTTP/1.1 connection: which bytes are taken for a request, and how long a client may take.

h11 is used because the other parser accepts requests without a Host header. Deadlines for the head, and for clients
that do not read, live here: the application hears of a request when its head is complete, and not of what is left in
the socket after an answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ..settings import Limits

_HEAD_END = b"\r\n\r\n"
_LOOSE_LINE = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\n[ \t]")
"""A line end that is not CR LF, or a header continued on the next line."""


class StrictParser(h11.Connection):
    """h11, refusing line ends that parsers in front of this one may read differently (RFC 9112, 2.2 and 5.2)."""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event. Raises `h11.RemoteProtocolError`."""
        if self.their_state is h11.IDLE:
            received, _ = self.trailing_data
            end = received.find(_HEAD_END)
            if _LOOSE_LINE.search(received[: end + len(_HEAD_END)] if end >= 0 else received):
                raise h11.RemoteProtocolError("lines of a head end in CR LF, and a header is one line")
        return super().next_event()


class Deadline:
    """Calls `late` when its time is over and nothing has stopped it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[], None]) -> None:
        self._loop, self._late = loop, late
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Without effect while it runs: bytes that trickle in do not put it off."""
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._late)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Connection(H11Protocol):
    """Closes when a client takes too long: over its head, over a body that was answered already, or to read.

    An answer that is not taken counts from the moment when the system's buffers are full.
    """

    def __init__(
        self, limits: Limits, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.conn = StrictParser(h11.SERVER, 8 * limits.header_bytes)
        self._limits = limits
        self._silent_since_s = self.loop.time()
        self._receiving = Deadline(self.loop, lambda: self.transport.close())
        self._sending = Deadline(self.loop, lambda: self.transport.abort())

    @property
    def silent_s(self) -> float:
        """Seconds for which the client has sent no whole head; 0 while a request is worked on."""
        return self.loop.time() - self._silent_since_s if self.conn.their_state is h11.IDLE else 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # paused is then: some of the answer has not been taken
        self._receiving.start(self._limits.header_deadline_s)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_between_requests():
            self._receiving.start(self._limits.header_deadline_s)
        else:
            self._receiving.stop()

    def on_response_complete(self) -> None:
        self._silent_since_s = self.loop.time()
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._receiving.start(self._limits.header_deadline_s)

    def pause_writing(self) -> None:
        super().pause_writing()
        left_bytes = self.transport.get_write_buffer_size()
        self._sending.start(self._limits.answer_idle_s + left_bytes / self._limits.body_bytes_per_s)

    def resume_writing(self) -> None:
        self._sending.stop()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiving.stop()
        self._sending.stop()
        super().connection_lost(exc)

    def _is_between_requests(self) -> bool:
        """Whether the client is in the middle of a head, or still sends a body that was answered already."""
        if self.conn.their_state is h11.IDLE:
            return bool(self.conn.trailing_data[0]) or self.cycle is None
        return self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE
