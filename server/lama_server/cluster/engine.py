"""An engine replica: a model on a node, used by the same code as in an engine worker process."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import ray
from ray.exceptions import RayError

from inpaint_models.loading import Runner
from inpaint_models.pipeline.inpainter import Inpainter
from inpaint_models.registry import ModelEntry
from inpaint_models.types import BatchEngine

from ..cli import logs
from ..codec import Pixels
from ..errors import ModelNotDownloaded
from ..model_manager.manager import WeightsSource
from ..model_manager.weights_source import LibraryWeights
from ..settings import Limits, Settings
from ..workers.engine_worker import EngineHandler, load_runner
from ..workers.messages import (
    AnyJob,
    Done,
    EngineChoice,
    Failed,
    FromWorker,
    LoadedModelsReport,
    LoadModel,
    ModelChoice,
    RemakeCanvas,
    RunJob,
    Started,
    Submit,
)
from ..workers.worker import JobContext, serve_one
from .batching import LOOK_S, SharedEngine
from .pixels import Sent

CALLER_LOOK_S = 1.0
"""Between two looks whether the ingress replica that sent a job is still there."""

SERVE_NAMESPACE = "serve"
"""Where Ray Serve has its actors."""

log = logging.getLogger(__name__)


class NodeHandler:
    """Does jobs with the weights and the device of this node; several at once where their crops are filled together."""

    def __init__(self, settings: Settings, weights: WeightsSource, jobs: int) -> None:
        self._settings, self._weights, self._jobs = settings, weights, jobs
        self._shared: SharedEngine | None = None
        self._turn = threading.Lock()
        self.device = settings.devices[0]
        self._engine = EngineHandler(settings.memory_budget * 2**20, self.device, settings.max_megapixels, self._loaded)

    def handle(self, job: AnyJob, context: JobContext) -> object:
        """The job's answer. Raises `ModelNotDownloaded`, and what the engine's handler raises."""
        if self._shared is not None:
            return self._engine.handle(RunJob(job, self._choice(job)), context)
        while not self._turn.acquire(timeout=LOOK_S):
            context.check()
        try:
            return self._engine.handle(RunJob(job, self._choice(job)), context)
        finally:
            self._turn.release()

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Crops are collected in this loop from now on."""
        if self._shared is not None:
            self._shared.begin(loop)

    def _loaded(self, choice: EngineChoice) -> Runner:
        runner = load_runner(choice)
        if self._jobs == 1 or not isinstance(runner, Inpainter) or not isinstance(runner.engine, BatchEngine):
            return runner
        self._shared = SharedEngine(runner.engine, self._jobs, stochastic=choice.entry.stochastic)
        return replace(runner, engine=self._shared)

    def _choice(self, job: AnyJob) -> EngineChoice:
        entry = job.model.entry
        files = self._weights.find(entry) if entry.weights else {}
        if files is None:
            raise ModelNotDownloaded(
                f"{entry.title} is not on the node {os.uname().nodename}. Fetch it there, or let --model-dir be "
                "a folder that all nodes share."
            )
        home, placement = self._settings.resolved_model_dir(), self._settings.placement
        return EngineChoice(entry, self.device, job.model.precision, files, home, placement)


@dataclass(slots=True)
class _Cell:
    value: int = -1


class EngineReplica:
    """Does one job at a time, or as many `jobs` as it can fill together. Loads the models that fill first.

    A model that does not load is tried again by each job, which is told why. A job that is no longer wanted ends at its
    next look; one that does not look ends with the replica, in whose place Serve starts another.
    """

    def __init__(
        self,
        entries: Sequence[ModelEntry],
        settings: Settings,
        limits: Limits,
        weights: WeightsSource | None = None,
        jobs: int = 1,
    ) -> None:
        logs.configure(settings.log_level)
        self._handler = NodeHandler(settings, weights or LibraryWeights(settings), jobs)
        self._cancel_grace_s = limits.cancel_grace_s
        self._numbers = itertools.count(1)
        self._turn = asyncio.Semaphore(jobs)
        self._threads = ThreadPoolExecutor(jobs, "engine")
        self._loaded: tuple[str, ...] = ()
        for entry in entries:
            if entry.task == "fill":
                ahead = LoadModel(ModelChoice(entry, settings.resolved_precision))
                serve_one(self._handler, Submit(0, ahead), self._note, _Cell())

    async def state(self) -> tuple[str, tuple[str, ...]]:
        """(where it computes, as asked for; names of the models that it loaded when it started)."""
        return self._handler.device, self._loaded

    def _note(self, message: FromWorker) -> None:
        if isinstance(message, LoadedModelsReport):
            self._loaded = message.loaded
        if isinstance(message, Failed):
            log.warning("A model was not loaded ahead: %s", message.trace or message.error)

    async def run(self, job: AnyJob, caller: str) -> AsyncIterator[Sent]:
        """Begins with `Started` when it is the job's turn, and ends with `Done` or `Failed`.

        caller  the name of the actor that wants it; when that has ended, the job is cancelled
        """
        await self._turn.acquire()
        self._handler.begin(asyncio.get_running_loop())
        loop, messages, made = asyncio.get_running_loop(), asyncio.Queue[FromWorker](), list[Pixels]()
        if isinstance(job, RemakeCanvas):
            job = replace(job, write=made.append)
        number, cell = next(self._numbers), _Cell()

        def send(message: FromWorker) -> None:
            loop.call_soon_threadsafe(messages.put_nowait, message)

        def let_go(_: Future[None]) -> None:
            loop.call_soon_threadsafe(self._turn.release)

        def cancel(_: asyncio.Task[None]) -> None:
            cell.value = number
            loop.call_later(self._cancel_grace_s, _end_unless, work)

        work = self._threads.submit(serve_one, self._handler, Submit(number, job), send, cell)
        work.add_done_callback(let_go)
        wanted = loop.create_task(_as_long_as_there_is(caller))
        wanted.add_done_callback(cancel)
        try:
            yield Started(os.getpid(), self._handler.device)
            while not isinstance(message := await messages.get(), Done | Failed):
                yield message
            for pixels in made:
                yield pixels
            yield message
        finally:
            wanted.cancel()


async def _as_long_as_there_is(caller: str) -> None:
    """Ends when that actor has ended. Ray tells nobody: a task goes on although its answer has no reader any more."""
    while True:
        await asyncio.sleep(CALLER_LOOK_S)
        try:
            await asyncio.to_thread(ray.get_actor, caller, SERVE_NAMESPACE)
        except ValueError:
            log.warning("The ingress replica that sent a job has ended: the job is cancelled.")
            return
        except (RayError, OSError) as error:
            log.warning("It is not known whether %s is still there: %s", caller, error)


def _end_unless(work: Future[None]) -> None:
    """Ends the process when a job does not let go of it."""
    if not work.done():
        log.warning("A job did not react to its cancelling: the replica ends, and another one takes its place.")
        os._exit(1)
