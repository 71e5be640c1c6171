"""The executor of this machine: supervised processes, so many for each device.

Only the first process of a device loads models ahead. The others hold nothing until two jobs run at once, so that a
single person's server is no larger for having them: a job goes to a free process that has its model, before one that
would have to load it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from inpaint_models.machine import available_processors
from inpaint_models.registry import Placement

from .executor import Executor, FindFiles, Handle, Listener, Readiness, WorkerState
from .messages import (
    AnswerT,
    AnyJob,
    Engine,
    EngineChoice,
    Job,
    LoadedModelsReport,
    LoadModel,
    ModelChoice,
    RunJob,
    WorkerEvent,
)
from .supervisor import BACKOFF_S, Supervisor

ENGINE_HANDLER = "lama_server.workers.engine_worker:EngineHandler"
"""Named and not imported: networks belong into the workers alone."""


@dataclass(eq=False, slots=True)
class LocalWorker:
    """A supervised process and what it holds.

    loads_ahead  whether `LocalExecutor.load` concerns it
    loading      name of the model that it is loading ahead
    is_taken     a job was given to it
    """

    supervisor: Supervisor[Engine]
    device: str
    loads_ahead: bool
    loaded: tuple[str, ...] = ()
    loading: str = ""
    is_taken: bool = False

    def state(self) -> WorkerState:
        process = self.supervisor
        state: Readiness = "ready" if process.is_ready else "starting"
        if process.is_stopped:
            state = "stopped"
        elif process.is_unavailable:
            state = "unavailable"
        return WorkerState(process.name, self.device, state, process.restarts, self.loaded)

    def can_begin(self, model: str) -> bool:
        """Whether a job would begin at once; to wait for its model to be loaded ahead is to begin."""
        return not self.is_taken and (self.supervisor.is_idle or self.loading == model)


class LocalExecutor(Executor):
    """Runs jobs in processes of this machine.

    devices              see `inpaint_models.devices`; each has `workers` processes
    files                where models' files are
    model_dir            keeps safetensors copies of weights in other forms; None keeps none
    memory_budget_bytes  for the models loaded on one device, in equal parts for each of its processes
    placement            of models that are spread over a GPU's memory and the machine's
    """

    def __init__(
        self,
        devices: Sequence[str],
        workers: int,
        files: FindFiles,
        *,
        model_dir: Path | None,
        memory_budget_bytes: int,
        max_megapixels: int,
        placement: Placement | None = None,
        cancel_grace_s: float = 10.0,
        backoff_s: tuple[float, ...] = BACKOFF_S,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.on_restart: Callable[[], None] = lambda: None
        self._files, self._model_dir, self._placement = files, model_dir, placement or Placement()
        self._line: list[object] = []
        self._changed = asyncio.Event()
        total = len(devices) * workers
        threads = None if total == 1 else max(1, available_processors() // total)
        self._workers = [
            LocalWorker(
                Supervisor(
                    "engine" if total == 1 else f"engine {1 + index}",
                    ENGINE_HANDLER,
                    (memory_budget_bytes // workers, devices[index // workers], max_megapixels),
                    threads=threads,
                    cancel_grace_s=cancel_grace_s,
                    backoff_s=backoff_s,
                ),
                devices[index // workers],
                loads_ahead=index % workers == 0,
            )
            for index in range(total)
        ]

    @property
    def workers(self) -> tuple[WorkerState, ...]:
        return tuple(worker.state() for worker in self._workers)

    # life

    def start(self) -> None:
        for worker in self._workers:
            self._watch(worker)
            worker.supervisor.start()

    async def close(self) -> None:
        for worker in self._workers:
            await worker.supervisor.close()
        self._tell()

    def kill(self) -> None:
        for worker in self._workers:
            worker.supervisor.kill()

    def _watch(self, worker: LocalWorker) -> None:
        def ended() -> None:
            worker.loaded = ()
            self._tell()

        def restarted() -> None:
            if worker.loads_ahead:
                self.on_restart()

        worker.supervisor.on_idle, worker.supervisor.on_exit = self._tell, ended
        worker.supervisor.on_restart = restarted

    def _tell(self) -> None:
        """Wakes whoever waits for a worker: all look, the first in line acts."""
        self._changed.set()
        self._changed = asyncio.Event()
        self.on_change()

    # jobs

    def submit(self, job: Job[AnswerT], *, deadline_s: float, listener: Listener | None = None) -> Handle[AnswerT]:
        place = object()
        self._line.append(place)
        task = asyncio.get_running_loop().create_task(self._run(place, job, deadline_s, listener))
        task.add_done_callback(lambda _: self._leave(place))  # a task that never began has left nothing itself
        return Handle(task)

    async def load(self, model: ModelChoice, *, deadline_s: float) -> None:
        name = model.entry.name
        wanted = [worker for worker in self._workers if worker.loads_ahead and name not in worker.loaded]
        loads = (self._load_on(worker, model, deadline_s) for worker in wanted)
        for outcome in await asyncio.gather(*loads, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _load_on(self, worker: LocalWorker, model: ModelChoice, deadline_s: float) -> None:
        worker.loading = model.entry.name
        try:
            await self._run_on(worker, LoadModel(model), deadline_s, None)
        finally:
            worker.loading = ""

    async def _run(self, place: object, job: Job[AnswerT], deadline_s: float, listener: Listener | None) -> AnswerT:
        while self._line[0] is not place or (worker := self._worker_for(job.model.entry.name)) is None:
            await self._changed.wait()
        worker.is_taken = True
        self._leave(place)
        try:
            return await self._run_on(worker, job, deadline_s, listener)
        finally:
            worker.is_taken = False
            self._tell()

    def _leave(self, place: object) -> None:
        if place in self._line:
            self._line.remove(place)
            self._tell()

    def _worker_for(self, model: str) -> LocalWorker | None:
        """The worker that is to run the next job; None while all are busy.

        Where none is up, any will do: its supervisor waits until it is, or says why it is not.
        """
        up = [worker for worker in self._workers if worker.state().state == "ready"]
        if not up:
            return min(self._workers, key=lambda worker: (worker.supervisor.is_unavailable, worker.is_taken))
        free = [worker for worker in up if worker.can_begin(model)]
        return next((worker for worker in free if model in (*worker.loaded, worker.loading)), free[0] if free else None)

    async def _run_on(
        self, worker: LocalWorker, job: Job[AnswerT], deadline_s: float, listener: Listener | None
    ) -> AnswerT:
        entry, precision = job.model.entry, job.model.precision
        choice = EngineChoice(entry, worker.device, precision, self._files(entry), self._model_dir, self._placement)
        request: RunJob[AnswerT] = RunJob(cast(AnyJob, job), choice)

        def listen(event: WorkerEvent) -> None:
            if isinstance(event, LoadedModelsReport):
                worker.loaded = event.loaded
                self.on_change()
            elif listener is not None:
                listener(event)

        return await worker.supervisor.run(request, deadline_s=deadline_s, listener=listen)
