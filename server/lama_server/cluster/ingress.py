"""An ingress replica: the application itself, whose jobs run in engine replicas.

A replica keeps what belongs to the requests that it is answering: places in line, estimates, patches that are not in
the store yet. A request about one of these may reach another replica, which then asks its peers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from inpaint_models.registry import ModelEntry

from ..app import create_app
from ..cli import logs
from ..jobs.services import Question
from ..model_manager.manager import WeightsSource
from ..settings import Limits, Settings
from ..workers.executor import Executor, FindFiles
from .executor import Deployment, RayExecutor

PEERS_DEADLINE_S = 20.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IngressConfig:
    """What all ingress replicas have alike.

    deployments  of each model, by name
    slots        how many jobs each deployment does at once when all of its replicas are up
    secret       a random value of this start of the application
    """

    settings: Settings
    limits: Limits
    entries: Sequence[ModelEntry]
    deployments: Mapping[str, str]
    slots: Mapping[str, int]
    secret: str
    weights: WeightsSource | None = None


class IngressReplica:
    """Made by Serve, which runs the application that it builds."""

    def __init__(self, config: IngressConfig, engines: Mapping[str, DeploymentHandle[Any]]) -> None:
        """`engines` are the handles of all deployments."""
        self._config, self._engines = config, engines
        self._app: FastAPI | None = None

    def __serve_build_asgi_app__(self) -> FastAPI:
        config = self._config
        settings = config.settings
        if settings.store is not None:  # then the folder is a cache, of this replica alone
            own = serve.get_replica_context().replica_id.unique_id
            settings = replace(settings, data_dir=settings.resolved_data_dir() / own)
        logs.configure(settings.log_level)

        def executor(files: FindFiles) -> Executor:
            deployments = {name: Deployment(handle, config.slots[name]) for name, handle in self._engines.items()}
            return RayExecutor(deployments, config.deployments, config.limits.queue_wait_s)

        self._app = create_app(
            settings,
            entries=config.entries,
            weights=config.weights,
            limits=config.limits,
            executor=executor,
            secret=config.secret,
        )
        self._app.state.services.ask_peers = self._ask_peers
        return self._app

    async def answer(self, question: Question, name: str) -> object | None:
        """A peer asks."""
        return self._app.state.services.answer(question, name) if self._app else None

    async def _ask_peers(self, question: Question, name: str) -> object | None:
        """The answer of the replica that has one; None where none has, or none answers in time."""
        own = serve.get_replica_context()
        everybody = serve.get_deployment_handle(own.deployment, own.app_name)
        try:
            asked = everybody.broadcast("answer", question, name)
            answers = await asked.results_async(timeout_s=PEERS_DEADLINE_S, return_exceptions=True)
        except (TimeoutError, RayError, RayServeException) as error:
            log.warning("the peers were not asked for a %s: %s", question, error)
            return None
        return next((found for found in answers if found is not None and not isinstance(found, BaseException)), None)
