"""The executor of a cluster: a job goes to a replica of its model's deployment, on whatever node that is."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import ray
from ray.exceptions import RayActorError, RayError, TaskCancelledError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator

from ..errors import InternalError, JobDeadlineExceeded, QueueTimeout, ShuttingDown, WorkerCrashed, WorkerUnavailable
from ..workers.executor import Executor, Handle, Listener, WorkerState
from ..workers.messages import (
    AnswerT,
    AnyJob,
    Done,
    Failed,
    Job,
    LoadedModelsReport,
    ModelChoice,
    RemakeCanvas,
    Started,
)
from .pixels import Sender, Sent

TRIES = 2
"""A job whose replica dies is tried once more, elsewhere."""

LOOK_AGAIN_S = 5.0

START_DEADLINE_S = 300.0
"""For the first replica of a model: its node may have to be started, and its weights to be read."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deployment:
    """Replicas that are alike.

    slots  how many jobs its replicas do at once when all of them are up
    """

    handle: DeploymentHandle[Any]
    slots: int


class RayExecutor(Executor):
    """Hands jobs to deployments. Which replica does one is up to Ray Serve.

    models  the deployment's name for each model
    wait_s  how long a job may wait for a replica that begins it
    """

    def __init__(self, deployments: Mapping[str, Deployment], models: Mapping[str, str], wait_s: float) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.on_restart: Callable[[], None] = lambda: None
        self._deployments, self._models, self._wait_s = deployments, models, wait_s
        self._states = {name: WorkerState(name, "", "starting") for name in deployments}
        self._sender = Sender()
        self._name = ray.get_runtime_context().get_actor_name()
        self._jobs: set[asyncio.Task[Any]] = set()
        self._is_closing = False

    @property
    def workers(self) -> tuple[WorkerState, ...]:
        """One for each deployment; what its replicas are, and on which nodes, Ray's own tools tell."""
        return tuple(self._states.values())

    @property
    def slots(self) -> int:
        return sum(deployment.slots for deployment in self._deployments.values())

    # life

    def start(self) -> None:
        for name in self._deployments:
            self._keep(asyncio.get_running_loop().create_task(self._look(name)))

    async def _look(self, name: str) -> None:
        """Waits for the first replica of a deployment, which counts as unavailable when that takes long."""
        while self._states[name].state != "ready":
            try:
                async with asyncio.timeout(START_DEADLINE_S):
                    device, loaded = await self._deployments[name].handle.state.remote()
                self._states[name] = WorkerState(name, device, "ready", loaded=loaded)
            except (TimeoutError, RayError, RayServeException) as error:
                log.warning("no replica of %s is up: %s", name, error)
                self._states[name] = WorkerState(name, "", "unavailable")
                await asyncio.sleep(LOOK_AGAIN_S)
            self.on_change()

    async def close(self) -> None:
        self._is_closing = True
        self.kill()
        if self._jobs:
            await asyncio.wait(self._jobs)

    def kill(self) -> None:
        for job in self._jobs:
            job.cancel()

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    # jobs

    async def load(self, model: ModelChoice, *, deadline_s: float) -> None:
        """Replicas load their model when they start."""

    def submit(self, job: Job[AnswerT], *, deadline_s: float, listener: Listener | None = None) -> Handle[AnswerT]:
        task = asyncio.get_running_loop().create_task(self._run(job, deadline_s, listener))
        self._keep(task)
        return Handle(task)

    async def _run(self, job: Job[AnswerT], deadline_s: float, listener: Listener | None) -> AnswerT:
        try:
            sent = await asyncio.to_thread(self._sender.ready, cast(AnyJob, job))
            return cast(AnswerT, await self._tried(job, sent, deadline_s, listener))
        except asyncio.CancelledError:
            if self._is_closing:
                raise ShuttingDown("The server is stopping.", retry_after=5) from None
            raise

    async def _tried(self, job: Job[Any], sent: AnyJob, deadline_s: float, listener: Listener | None) -> object:
        for number in range(1, TRIES + 1):
            try:
                return await self._try(job, sent, deadline_s, listener)
            except RayActorError as error:
                log.warning(
                    "a replica of %s ended in a job, try %d of %d: %s", job.model.entry.name, number, TRIES, error
                )
            except (RayServeException, TaskCancelledError) as error:
                raise WorkerUnavailable(
                    f"No replica of {job.model.entry.title} takes jobs. See the log.", retry_after=10
                ) from error
            except RayError as error:
                raise InternalError("The cluster failed in this job. See the log.") from error
        raise WorkerCrashed(
            f"{TRIES} replicas ended one after the other while they worked on this. Others are being started: try "
            "again, with a smaller area if it was memory that they lacked.",
            retry_after=5,
        )

    async def _try(self, job: Job[Any], sent: AnyJob, deadline_s: float, listener: Listener | None) -> object:
        deployment = self._deployments[self._models[job.model.entry.name]]
        replies = cast(
            DeploymentResponseGenerator[Sent], deployment.handle.options(stream=True).run.remote(sent, self._name)
        )
        began = False
        try:
            async with asyncio.timeout(self._wait_s) as deadline:
                async for message in replies:
                    match message:
                        case Started():
                            began = True
                            deadline.reschedule(asyncio.get_running_loop().time() + deadline_s)
                        case Done(value=value):
                            return value
                        case Failed(error=error, trace=trace):
                            if trace:
                                log.error("%s: %s", job.model.entry.name, trace)
                            raise error
                        case np.ndarray():
                            assert isinstance(job, RemakeCanvas)
                            await asyncio.to_thread(job.write, message)
                        case LoadedModelsReport():
                            pass
                        case _ if listener is not None:
                            listener(message)
        except TimeoutError:
            raise self._late(began, deadline_s) from None
        finally:
            replies.cancel()
        raise InternalError("A replica ended its answer before it was complete.")

    def _late(self, began: bool, deadline_s: float) -> JobDeadlineExceeded | QueueTimeout:
        if began:
            return JobDeadlineExceeded(
                f"The job was stopped after {deadline_s:.0f} seconds. Use a smaller area or a faster model."
            )
        return QueueTimeout(
            f"The job waited {self._wait_s:.0f} seconds for a replica.", retry_after=min(60, math.ceil(self._wait_s))
        )
