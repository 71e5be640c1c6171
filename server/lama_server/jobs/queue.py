"""The line in front of an executor: bounded, first come first served, with a place number that can be watched.

A place is taken before a request's body is read, so that a full queue costs nobody an upload. As many jobs have their
turn at once as the executor has slots, but only one of each client: its jobs run in the order in which they were sent,
and other clients' jobs pass those that wait for that.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from ..errors import ApiError, Limit, QueueFull, QueueTimeout, ShuttingDown
from ..workers.executor import Executor


class Ticket:
    """A place in the queue, and the job's identity."""

    def __init__(self, queue: JobQueue, client: str | None) -> None:
        self.id = uuid.uuid4().hex
        self.client = client or self.id
        self._queue = queue
        self._changed = asyncio.Event()
        self.owner: asyncio.Task[Any] | None = None
        self._started_s: float | None = None

    async def positions(self) -> AsyncIterator[int]:
        """The place in line, each time it changes; ends after 0, when it is this ticket's turn.

        A ticket lines up with its first call: one whose request is still being uploaded holds up nobody but its own
        client.
        Raises `QueueTimeout`, and `ShuttingDown` when the server stops before the turn comes.
        """
        deadline, told = time.monotonic() + self._queue.wait_s, -1
        self._queue.line_up(self)
        while True:
            self._changed.clear()
            position = self._queue.position(self)
            if self._queue.closing and position > 0:
                raise shutting_down()
            if position != told:
                yield position
            if position == 0:
                return
            told = position
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

    def begin(self) -> None:
        """It is this ticket's turn."""
        self._started_s = time.monotonic()

    @property
    def is_running(self) -> bool:
        return self._started_s is not None

    @property
    def running_s(self) -> float | None:
        return None if self._started_s is None else time.monotonic() - self._started_s


class JobQueue:
    """At most `waiting` tickets besides those whose turn it is: as many as `executor` has slots."""

    def __init__(self, executor: Executor, waiting: int, wait_s: float = 300.0) -> None:
        self.waiting = waiting
        self.wait_s = wait_s
        self.closing = False
        self._executor = executor
        self._tickets: list[Ticket] = []
        self._line: list[Ticket] = []
        self._seconds = 1.0

    def reserve(self, client: str | None = None) -> Ticket:
        """A place; a request without a client waits for no earlier one. Raises `QueueFull`, `ShuttingDown`."""
        if self.closing:
            raise shutting_down()
        if self.is_full:
            raise QueueFull(
                f"{self.waiting} jobs are waiting already. Try again in a moment.",
                limit=Limit("queue", self.waiting, len(self._tickets)),
                retry_after=self.retry_after(),
            )
        ticket = Ticket(self, client)
        self._tickets.append(ticket)
        return ticket

    def line_up(self, ticket: Ticket) -> None:
        if ticket not in self._line:
            self._line.append(ticket)
            self._advance()

    def position(self, ticket: Ticket) -> int:
        """0 for a ticket whose turn it is, 1 for the first of those that wait."""
        if ticket.is_running:
            return 0
        return 1 + sum(not other.is_running for other in self._line[: self._line.index(ticket)])

    def leave(self, ticket: Ticket) -> None:
        if ticket not in self._tickets:
            return
        self._tickets.remove(ticket)
        if ticket in self._line:
            self._line.remove(ticket)
        if ticket.running_s is not None:
            self._seconds += 0.3 * (ticket.running_s - self._seconds)
        self._advance()

    def _advance(self) -> None:
        """Gives free slots away and tells everybody where they are."""
        free = 0 if self.closing else self._executor.slots - sum(ticket.is_running for ticket in self._line)
        for ticket in self._line:
            if free > 0 and not ticket.is_running and self._is_first_of_its_client(ticket):
                ticket.begin()
                free -= 1
            ticket.notify()

    def _is_first_of_its_client(self, ticket: Ticket) -> bool:
        return next(other for other in self._tickets if other.client == ticket.client) is ticket

    def find(self, job_id: str) -> Ticket | None:
        return next((ticket for ticket in self._tickets if ticket.id == job_id), None)

    def retry_after(self) -> int:
        """Whole seconds until a place is likely to be free, 1 to 60."""
        return min(60, max(1, math.ceil(self._seconds * (len(self._tickets) + 1) / self._executor.slots)))

    @property
    def is_full(self) -> bool:
        return len(self._tickets) >= self.waiting + self._executor.slots

    def close(self) -> None:
        """No new jobs; those that wait end with `ShuttingDown`, those that run go on."""
        self.closing = True
        for ticket in self._line:
            ticket.notify()


def shutting_down() -> ApiError:
    return ShuttingDown("The server is stopping. Try again when it is back.", retry_after=5)
