"""Where jobs are computed, whatever that is: processes of this machine, or a cluster.

A job (`messages.Job`) names its model and carries its pixels as something that can be pickled and slices like an array.
Neither a path nor a device is part of it: an executor has the models' files, and knows where they run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Protocol

from inpaint_models.registry import ModelEntry

from ..errors import JobCancelled
from .messages import AnswerT, Job, JobEvent, ModelChoice

Listener = Callable[[JobEvent], None]

FindFiles = Callable[[ModelEntry], Mapping[str, Path]]
"""A file for each name that the entry needs. Raises `ApiError`."""

Readiness = Literal["starting", "ready", "stopped", "unavailable"]


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One of the places where an executor runs jobs, one at a time each.

    device    as asked for, such as "auto" or "cuda:1"
    state     stopped: halted from outside, so that it gets no jobs while others do; unavailable: it ended so often
              lately that it gets none
    restarts  how often it was started again
    loaded    names of the models it holds, least recently used first
    """

    name: str
    device: str
    state: Readiness
    restarts: int = 0
    loaded: tuple[str, ...] = ()


class Handle(Generic[AnswerT]):
    """A job that was handed in."""

    def __init__(self, task: asyncio.Task[AnswerT]) -> None:
        self._task = task
        self._cancelled = False

    async def result(self) -> AnswerT:
        """The answer. Raises `ApiError`; `JobCancelled` after `cancel`. Cancelling the caller cancels the job."""
        try:
            return await self._task
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
            raise JobCancelled("The job was cancelled.") from None

    def cancel(self) -> None:
        """Takes a job that waits out of the line; tells one that runs, and no answer comes any more."""
        self._cancelled = not self._task.done()
        self._task.cancel()


class Executor(Protocol):
    """Runs jobs, first come first served. All of it belongs to one event loop.

    on_change   called when a worker, or what it holds, is no longer what `workers` said
    on_restart called when a model may have to be loaded ahead again: a worker that had ended takes jobs again
    """

    on_change: Callable[[], None]
    on_restart: Callable[[], None]

    @property
    def workers(self) -> tuple[WorkerState, ...]: ...

    def submit(self, job: Job[AnswerT], *, deadline_s: float, listener: Listener | None = None) -> Handle[AnswerT]:
        """Hands in a job; needs no `await`, and jobs begin in the order of these calls.

        deadline_s  counted from the moment when the job begins
        listener    called with progress and previews
        """

    async def load(self, model: ModelChoice, *, deadline_s: float) -> None:
        """Loads a model ahead where the executor thinks that it should be. Raises `ApiError`."""

    def start(self) -> None:
        """Begins to get ready, and returns at once."""

    async def close(self) -> None:
        """Ends everything; jobs fail."""

    def kill(self) -> None:
        """Ends the workers without waiting for anything."""

    @property
    def slots(self) -> int:
        """How many jobs can run at once. At least 1: a job that nothing can run ends in an error, and not in a line."""
        return max(1, sum(worker.state not in ("stopped", "unavailable") for worker in self.workers))

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(worker.device for worker in self.workers))

    @property
    def loaded(self) -> frozenset[str]:
        """Names of the models that some worker holds."""
        return frozenset(name for worker in self.workers for name in worker.loaded)

    @property
    def is_ready(self) -> bool:
        """Whether some worker can take a job."""
        return any(worker.state == "ready" for worker in self.workers)

    @property
    def is_unavailable(self) -> bool:
        """Whether no worker will be able to take a job soon."""
        return all(worker.state == "unavailable" for worker in self.workers)
