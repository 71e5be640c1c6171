"""An executor without processes: threads, and every job pickled and unpickled as on its way to another machine."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from lama_server.errors import JobDeadlineExceeded, ShuttingDown
from lama_server.workers.engine_worker import EngineHandler
from lama_server.workers.executor import Executor, FindFiles, Handle, Listener, WorkerState
from lama_server.workers.messages import (
    AnyJob,
    Done,
    EngineChoice,
    Failed,
    FromWorker,
    Job,
    JobEvent,
    LoadedModelsReport,
    LoadModel,
    ModelChoice,
    RunJob,
    Submit,
)
from lama_server.workers.worker import serve_one


class InlineExecutor(Executor):
    """So many jobs at once as it has slots. What does not listen to its cancelling cannot be stopped."""

    def __init__(self, slots: int, files: FindFiles) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.on_restart: Callable[[], None] = lambda: None
        self._files = files
        self._handlers = [EngineHandler(2**30, "cpu", 128) for _ in range(slots)]
        self._loaded: dict[EngineHandler, tuple[str, ...]] = {}
        self._free: asyncio.Queue[EngineHandler] = asyncio.Queue()
        self._jobs: set[asyncio.Task[Any]] = set()
        self._is_closing = False

    @property
    def workers(self) -> tuple[WorkerState, ...]:
        return tuple(
            WorkerState(f"thread {index}", "cpu", "ready", loaded=self._loaded.get(handler, ()))
            for index, handler in enumerate(self._handlers, 1)
        )

    def start(self) -> None:
        for handler in self._handlers:
            self._free.put_nowait(handler)

    async def close(self) -> None:
        self._is_closing = True
        self.kill()
        if self._jobs:
            await asyncio.wait(self._jobs)

    def kill(self) -> None:
        for job in self._jobs:
            job.cancel()

    async def load(self, model: ModelChoice, *, deadline_s: float) -> None:
        await self.submit(LoadModel(model), deadline_s=deadline_s).result()

    def submit(self, job: Job[Any], *, deadline_s: float, listener: Listener | None = None) -> Handle[Any]:
        task = asyncio.get_running_loop().create_task(self._run(pickle.dumps(job), deadline_s, listener))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return Handle(task)

    async def _run(self, pickled: bytes, deadline_s: float, listener: Listener | None) -> Any:
        job: AnyJob = pickle.loads(pickled)  # noqa: S301
        entry = job.model.entry
        request: RunJob[Any] = RunJob(job, EngineChoice(entry, "cpu", job.model.precision, self._files(entry)))
        try:
            return await self._run_on(await self._free.get(), request, deadline_s, listener)
        except asyncio.CancelledError:
            if self._is_closing:
                raise ShuttingDown("The executor is closed.") from None
            raise

    async def _run_on(
        self, handler: EngineHandler, request: RunJob[Any], deadline_s: float, listener: Listener | None
    ) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        cell = SimpleNamespace(value=0)

        def receive(message: FromWorker) -> None:
            if isinstance(message, LoadedModelsReport):
                self._loaded[handler] = message.loaded
                self.on_change()
            elif isinstance(message, JobEvent):
                if listener is not None and not answer.done():
                    listener(message)
            else:
                self._free.put_nowait(handler)
                if isinstance(message, Done) and not answer.done():
                    answer.set_result(message.value)
                elif isinstance(message, Failed) and not answer.done():
                    answer.set_exception(message.error)

        def send(message: FromWorker) -> None:
            loop.call_soon_threadsafe(receive, message)

        def work() -> None:
            serve_one(handler, Submit(1, request), send, cell)

        loop.run_in_executor(None, work)
        try:
            return await asyncio.wait_for(answer, deadline_s)
        except TimeoutError:
            raise JobDeadlineExceeded("The job was stopped.") from None
        finally:
            cell.value = 1
