"""Whether the server can work: what /readyz answers, with a code for everything that is wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from ..errors import ApiError, ModelLoading, QueueFull, RootUnavailable, ShuttingDown, WorkerUnavailable, api_error_of
from ..model_manager.manager import ModelManager
from ..schemas.replies import CheckReply, ReadyReply, WorkerReply
from ..workers.executor import Executor
from ..workers.messages import Codec
from ..workers.supervisor import Supervisor
from .queue import JobQueue

FRESH_S = 2.0
"""So long the answer of a `Probe` counts."""

PATIENCE_S = 2.0
"""A folder on a network that is gone may never answer."""


class Probe:
    """A look at something that may be slow, such as a disk: in a thread, one at a time, and not with every question.

    look  raises what is wrong
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look, self._began_s = look, 0.0
        self._looking: asyncio.Task[None] | None = None

    async def problem(self) -> ApiError | None:
        if self._looking is None or (self._looking.done() and time.monotonic() - self._began_s > FRESH_S):
            self._began_s = time.monotonic()
            self._looking = asyncio.create_task(asyncio.to_thread(self._look))
        await asyncio.wait({self._looking}, timeout=PATIENCE_S)
        if not self._looking.done():
            return RootUnavailable(f"The folder has not answered for {time.monotonic() - self._began_s:.0f} seconds.")
        error = self._looking.exception()
        return None if error is None else api_error_of(error)


class Readiness:
    """Asks everything that an edit needs. `load_problem` is why the current model was not loaded ahead."""

    def __init__(
        self,
        queue: JobQueue,
        codec: Supervisor[Codec],
        executor: Executor,
        manager: ModelManager,
        folders: Mapping[str, Callable[[], None]],
    ) -> None:
        self._queue, self._codec, self._executor, self._manager = queue, codec, executor, manager
        self._folders = {name: Probe(look) for name, look in folders.items()}
        self.load_problem: ApiError | None = None

    async def reply(self) -> ReadyReply:
        folders = await asyncio.gather(*(probe.problem() for probe in self._folders.values()))
        checks = {
            "accepting": _check(ShuttingDown("The server is stopping.") if self._queue.closing else None),
            "codec_worker": _check(self._codec_problem()),
            "engine_worker": self._engine_check(),
            "model": self._model_check(),
            "queue": _check(QueueFull("The queue is full.") if self._queue.is_full else None),
            **{name: _check(problem) for name, problem in zip(self._folders, folders, strict=True)},
        }
        workers = [
            WorkerReply(name=w.name, device=w.device, state=w.state, restarts=w.restarts, loaded=list(w.loaded))
            for w in self._executor.workers
        ]
        return ReadyReply(ready=all(check.ok for check in checks.values()), checks=checks, workers=workers)

    def _codec_problem(self) -> ApiError | None:
        if not self._codec.is_ready:
            return WorkerUnavailable("The codec worker is starting.")
        return WorkerUnavailable("The codec worker was stopped from outside.") if self._codec.is_stopped else None

    def _engine_check(self) -> CheckReply:
        """Whether some worker can take a job; and which cannot."""
        down = ", ".join(
            f"{worker.name}: {worker.state}" for worker in self._executor.workers if worker.state != "ready"
        )
        return _check(None if self._executor.is_ready else WorkerUnavailable(down), down)

    def _model_check(self) -> CheckReply:
        """Whether the current model is loaded; and why it is not the wanted one, or why it is not loaded."""
        current = self._manager.current
        if current.name not in self._manager.loaded:
            return _check(self.load_problem or ModelLoading("loading"))
        wanted = self._manager.problem(self._manager.wanted)
        return _check(None, f"{wanted.detail} Working with {current.title} meanwhile." if wanted else "")


def _check(problem: ApiError | None, detail: str = "") -> CheckReply:
    """`detail` of a check that holds."""
    if problem is None:
        return CheckReply(ok=True, code=None, detail=detail or "ok")
    return CheckReply(ok=False, code=problem.code, detail=problem.detail)
