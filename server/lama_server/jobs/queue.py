"""The line in front of the engine: bounded, first come first served, with a place number that can be watched.

A slot is taken before a request's body is read, so that a full queue costs nobody an upload.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from ..errors import ApiError, Limit, QueueFull, QueueTimeout, ShuttingDown


class Ticket:
    """A place in the queue, and the job's identity."""

    def __init__(self, queue: JobQueue) -> None:
        self.id = uuid.uuid4().hex
        self._queue = queue
        self._changed = asyncio.Event()
        self.owner: asyncio.Task[Any] | None = None
        self._started_s: float | None = None

    async def positions(self) -> AsyncIterator[int]:
        """The place in line, each time it changes; ends after 0, when it is this ticket's turn.

        A ticket lines up with its first call: one whose request is still being uploaded holds nobody up.
        Raises `QueueTimeout`, and `ShuttingDown` when the server stops before the turn comes.
        """
        deadline = time.monotonic() + self._queue.wait_s
        self._queue.line_up(self)
        while True:
            self._changed.clear()
            position = self._queue.position(self)
            if self._queue.closing and position > 0:
                raise shutting_down()
            yield position
            if position == 0:
                self._started_s = time.monotonic()
                return
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                raise QueueTimeout(
                    f"The job waited {self._queue.wait_s:.0f} seconds and did not get its turn.",
                    retry_after=self._queue.retry_after(),
                ) from None

    async def wait(self) -> None:
        """Waits for this ticket's turn."""
        async for _ in self.positions():
            pass

    def cancel(self) -> None:
        """Stops the job wherever it is, by cancelling the task that owns it."""
        if self.owner is not None:
            self.owner.cancel()

    def release(self) -> None:
        """Leaves the queue; the next one moves up. May be called twice."""
        self._queue.leave(self)

    def notify(self) -> None:
        self._changed.set()

    @property
    def running_s(self) -> float | None:
        return None if self._started_s is None else time.monotonic() - self._started_s


class JobQueue:
    """At most `waiting` tickets besides the one whose turn it is."""

    def __init__(self, waiting: int, wait_s: float = 300.0) -> None:
        self.waiting = waiting
        self.wait_s = wait_s
        self.closing = False
        self._tickets: list[Ticket] = []
        self._line: list[Ticket] = []
        self._seconds = 1.0

    def reserve(self) -> Ticket:
        """A place. Raises `QueueFull`, `ShuttingDown`."""
        if self.closing:
            raise shutting_down()
        if self.is_full:
            raise QueueFull(
                f"{self.waiting} jobs are waiting already. Try again in a moment.",
                limit=Limit("queue", self.waiting, len(self._tickets)),
                retry_after=self.retry_after(),
            )
        ticket = Ticket(self)
        self._tickets.append(ticket)
        return ticket

    def line_up(self, ticket: Ticket) -> None:
        if ticket not in self._line:
            self._line.append(ticket)

    def position(self, ticket: Ticket) -> int:
        return self._line.index(ticket)

    def leave(self, ticket: Ticket) -> None:
        if ticket not in self._tickets:
            return
        self._tickets.remove(ticket)
        if ticket in self._line:
            self._line.remove(ticket)
        if ticket.running_s is not None:
            self._seconds += 0.3 * (ticket.running_s - self._seconds)
        for other in self._line:
            other.notify()

    def find(self, job_id: str) -> Ticket | None:
        return next((ticket for ticket in self._tickets if ticket.id == job_id), None)

    def retry_after(self) -> int:
        """Whole seconds until a place is likely to be free, 1 to 60."""
        return min(60, max(1, math.ceil(self._seconds * (len(self._tickets) + 1))))

    @property
    def is_full(self) -> bool:
        return len(self._tickets) > self.waiting

    def close(self) -> None:
        """No new jobs; those that wait end with `ShuttingDown`, the running one goes on."""
        self.closing = True
        for ticket in self._line:
            ticket.notify()


def shutting_down() -> ApiError:
    return ShuttingDown("The server is stopping. Try again when it is back.", retry_after=5)
