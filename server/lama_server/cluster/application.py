"""The Serve application: a deployment for each model, one for the tools that need no weights, and the ingress."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig

from inpaint_models.catalog import get_model, list_models
from inpaint_models.errors import UnknownModel
from inpaint_models.registry import ModelEntry

from ..cli import sources
from ..cli.serve import check_store
from ..exits import ExitCode, StartError
from ..http.access import access_policy, with_token
from ..model_manager.manager import FALLBACK_ORDER, WeightsSource
from ..settings import Limits, Settings, table
from .engine import EngineReplica
from .ingress import IngressConfig, IngressReplica

NAME = "lama-server"
"""Of the application, as Ray's tools show it."""

TOOLS = "tools"
"""The deployment of all models besides those that fill which need no weights: each alone would be an idle process."""

GPU_BATCH = 8
"""A network keeps a processor busy with one crop, a GPU not."""

INGRESS_REQUESTS = 512
"""That an ingress replica answers at once; most of them wait for jobs."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the cluster's deployments are.

    models            names; those joined by + share replicas, each of which does one job at a time
    min_replicas      of each model, while nothing is to be done
    max_replicas      of each model
    target_ongoing    jobs at a replica, waiting ones included, above which there is to be one more
    upscale_delay     seconds with more of them before a replica is added
    downscale_delay   seconds with fewer before one is taken away
    ingress_replicas  processes that speak HTTP
    cpus, gpus        of each engine replica; gpus are those of models with weights
    batch             jobs of a replica whose crops are filled in one call, where its engine can; 0: 8 on GPUs, else 1
    """

    models: tuple[str, ...] = ()
    min_replicas: int = 1
    max_replicas: int = 1
    target_ongoing: float = 2.0
    upscale_delay: float = 30.0
    downscale_delay: float = 600.0
    ingress_replicas: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    batch: int = 0

    def __post_init__(self) -> None:
        """Raises `StartError`."""
        if not 0 <= self.min_replicas <= self.max_replicas or self.max_replicas < 1:
            raise StartError(
                ExitCode.USAGE,
                f"--min-replicas {self.min_replicas} and --max-replicas {self.max_replicas} are no range: the first "
                "is 0 or more, the second 1 or more and not less than the first.",
            )
        least = min(self.batch, self.cpus, self.gpus, self.upscale_delay, self.downscale_delay)
        if self.ingress_replicas < 1 or self.target_ongoing <= 0 or least < 0:
            raise StartError(ExitCode.USAGE, f"{self} holds a number that is too small.")

    def chosen(self, settings: Settings) -> tuple[str, ...]:
        """The models, with the default."""
        return self.models or (FALLBACK_ORDER if settings.model == "auto" else (settings.model,))

    def jobs(self, members: Sequence[ModelEntry]) -> int:
        """How many jobs a replica of these models has at once."""
        if len(members) > 1 or members[0].task != "fill":
            return 1
        return self.batch or (GPU_BATCH if self.gpus and members[0].weights else 1)


def app(arguments: Mapping[str, Any]) -> Application:
    """What `serve run lama_server.cluster:app key=value ...` serves. Raises `StartError`.

    arguments  fields of `Size` and settings of the server, which may also come from LAMA_SERVER_ variables
    """
    rows = {row.name: row for row in table()}
    kinds = {name: type(default) for name, default in asdict(Size()).items()}
    flags, size = dict[str, Any](), dict[str, Any]()
    for key, value in arguments.items():
        name = key.replace("-", "_")
        try:
            if name in kinds:
                size[name] = names(value) if name == "models" else kinds[name](value)
            else:
                flags[name] = sources.parsed(rows[name], str(value))
        except KeyError:
            raise StartError(ExitCode.USAGE, f"There is no setting {key!r}.") from None
        except ValueError as error:
            raise StartError(ExitCode.USAGE, f"{key}: {error}.") from None
    settings = with_token(sources.read(flags, rows, sources.config_file(None)))
    access_policy(settings, Limits())
    return application(settings, Size(**size))


def withdraw() -> None:
    """Takes the application away, after the jobs that run in it. Serve alone would wait for a minute."""
    while True:
        with suppress(TimeoutError):
            serve.delete(NAME)
            return


def names(value: Any) -> tuple[str, ...]:
    """Of models: a list, or a text with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts if part.strip())


def application(
    settings: Settings,
    size: Size,
    *,
    entries: Sequence[ModelEntry] | None = None,
    weights: WeightsSource | None = None,
    limits: Limits | None = None,
) -> Application:
    """Ready for `serve.run`. The other arguments are those of `create_app`. Raises `StartError`."""
    limits = limits or Limits()
    if size.ingress_replicas > 1 and settings.store is None:
        raise StartError(
            ExitCode.USAGE,
            f"--ingress-replicas {size.ingress_replicas}: several share photos and edits through an object store. Add "
            "--store s3://BUCKET/PREFIX.",
        )
    if settings.store is not None:
        check_store(settings.store, settings.named("store"))
    groups = _groups(settings, size, entries)
    engines = {
        name: _engine(name, members, size, limits).bind(members, settings, limits, weights, size.jobs(members))
        for name, members in groups.items()
    }
    config = IngressConfig(
        settings,
        limits,
        tuple(entry for members in groups.values() for entry in members),
        {entry.name: name for name, members in groups.items() for entry in members},
        {name: size.max_replicas * size.jobs(members) for name, members in groups.items()},
        secrets.token_urlsafe(32),
        weights,
    )
    ingress = serve.deployment(
        name="ingress",
        num_replicas=size.ingress_replicas,
        max_ongoing_requests=INGRESS_REQUESTS,
        ray_actor_options={"num_cpus": 0},
        **_lifetime(config.entries, limits, 2 * limits.queue_wait_s),  # in line, and for a replica
    )(serve.ingress()(IngressReplica))
    return ingress.bind(config, engines)


def _groups(settings: Settings, size: Size, entries: Sequence[ModelEntry] | None) -> dict[str, tuple[ModelEntry, ...]]:
    """The models of each deployment, by its name. Raises `StartError`."""
    home = settings.resolved_model_dir()
    offered = list_models(model_dir=home) if entries is None else entries
    wanted = size.chosen(settings)
    known = {name: entry for entry in offered for name in (entry.name, *entry.aliases)}
    groups, chosen = dict[str, tuple[ModelEntry, ...]](), list[str]()
    for group in wanted:
        try:
            members = tuple(known[name] if name in known else get_model(name, None, home) for name in group.split("+"))
        except UnknownModel as error:
            raise StartError(ExitCode.USAGE, f"--models: {error}") from None
        chosen += [entry.name for entry in members]
        groups["+".join(entry.name.replace("/", "-") for entry in members)] = members
    if len(set(chosen)) < len(chosen):
        raise StartError(ExitCode.USAGE, f"--models: a model is named twice in {', '.join(wanted)}.")
    if not any(entry.task == "fill" for members in groups.values() for entry in members):
        raise StartError(ExitCode.USAGE, "--models: none of these fills. Add one that does, such as patchmatch.")
    tools = tuple(e for e in offered if e.task != "fill" and not e.weights and e.name not in chosen)
    return {**groups, **({TOOLS: tools} if tools else {})}


def _engine(name: str, members: Sequence[ModelEntry], size: Size, limits: Limits) -> serve.Deployment:
    """The deployment of these models, with the resources that they need. Tools are quick: they get in anywhere."""
    resources: dict[str, Any] = {"num_cpus": 0 if name == TOOLS else size.cpus}
    if any(entry.weights for entry in members):
        resources["num_gpus"] = size.gpus
    if memory := max(entry.memory_bytes for entry in members):
        resources["memory"] = memory
    return serve.deployment(
        name=name,
        autoscaling_config=AutoscalingConfig(
            min_replicas=size.min_replicas,
            max_replicas=size.max_replicas,
            target_ongoing_requests=size.target_ongoing,
            upscale_delay_s=size.upscale_delay,
            downscale_delay_s=size.downscale_delay,
        ),
        max_ongoing_requests=size.jobs(members),
        ray_actor_options=resources,
        **_lifetime(members, limits),
    )(EngineReplica)


def _lifetime(entries: Sequence[ModelEntry], limits: Limits, wait_s: float = 0.0) -> dict[str, Any]:
    """How replicas end and are looked after: what runs in one that is to go, or waits there, is finished first."""
    longest_s = max(entry.deadline_s or limits.network_deadline_s for entry in entries)
    return {
        "graceful_shutdown_timeout_s": wait_s + longest_s + limits.drain_s,
        "graceful_shutdown_wait_loop_s": 0.5,
        "health_check_period_s": 2,
    }
