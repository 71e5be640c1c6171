"""`lama-server cluster`: the server on Ray, on this machine alone or on a cluster that runs already."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

import ray
from ray import serve
from ray.exceptions import RayError

from inpaint_models.machine import available_processors

from .. import __version__
from ..cli.main import PROGRAM
from ..cli.options import Parser, add_settings, read_settings
from ..cli.serve import check, check_access, page_address
from ..exits import ExitCode, StartError
from ..http.access import with_token
from ..http.server import listen
from ..settings import Settings, table
from .application import NAME, Size, application, names, withdraw

LEFT_OUT = {"inbrowser", "gui", "gui_size", "gui_auto_close", "workers"}
"""Settings of a server with a page on this machine."""

_HELP = {
    "models": "Models, each with replicas of its own. Default: --model, or patchmatch and opencv.",
    "min_replicas": "Replicas of each model while nothing is to be done.",
    "max_replicas": "Replicas of each model at most.",
    "target_ongoing": "Jobs at a replica, waiting ones included, above which there is to be one more.",
    "upscale_delay": "Seconds with more of them before a replica is added.",
    "downscale_delay": "Seconds with fewer of them before one is taken away.",
    "ingress_replicas": "Processes that speak HTTP; more than one need --store.",
    "cpus": "Processors of each engine replica; it computes in as many threads.",
    "gpus": "GPUs of each replica of a model with weights, such as 1 or 0.5.",
    "batch": "Jobs of a replica whose crops are filled in one call, where its engine can. Default: 8 on GPUs, else 1.",
}


def parser() -> Parser:
    """Every option of the command."""
    made = Parser(
        prog=f"{PROGRAM} cluster",
        description="The same server on a Ray cluster: models run in replicas, on as many machines as there are.",
        allow_abbrev=False,
    )
    made.add_argument(
        "--address", metavar="ADDRESS", help="of a running Ray cluster, or auto. Default: start Ray here."
    )
    size = made.add_argument_group("Size")
    for name, default in dataclasses.asdict(Size()).items():
        kind = names if name == "models" else type(default)
        shown = f" Default: {default:g}." if default else ""
        metavar = "NAME,..." if name == "models" else "N"
        flag = f"--{name.replace('_', '-')}"
        size.add_argument(flag, type=kind, default=default, metavar=metavar, help=_HELP[name] + shown)
    add_settings(made, [row.name for row in table() if row.name not in LEFT_OUT])
    return made


def run(arguments: Sequence[str]) -> int:
    """Serves until a signal comes; then lets jobs end. Raises `StartError`."""
    given = parser().parse_args(arguments)
    size = Size(**{name: getattr(given, name) for name in dataclasses.asdict(Size())})
    settings = with_token(read_settings(given))
    made_token = settings.token == "auto"
    if made_token:
        settings = dataclasses.replace(settings, token=secrets.token_urlsafe(32))
    if given.address is None:
        check(settings)
        with listen(settings.host, settings.port) as bound:  # refused in words, and not by Serve's proxy
            settings = dataclasses.replace(settings, port=bound.getsockname()[1])
    else:
        check_access(settings)
    address = page_address(settings)
    shown = address if made_token else address.partition("#")[0]
    made = application(settings, size)
    with cluster(given.address, settings, size):
        stopped = stop_signals()
        serve.run(made, name=NAME, route_prefix="/")
        sys.stdout.write(f"lama-server {__version__} on Ray is at {shown}\n")
        sys.stdout.flush()
        stopped.wait()
        withdraw()
    return ExitCode.OK


def stop_signals() -> threading.Event:
    """Set by the first signal to stop. By the second, `KeyboardInterrupt` is raised: now, and not after the jobs."""
    stopped = threading.Event()

    def stop(number: int, frame: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):  # after Ray, which has handlers of its own
        signal.signal(number, stop)
    return stopped


@contextlib.contextmanager
def cluster(address: str | None, settings: Settings, size: Size) -> Iterator[None]:
    """Ray and Serve, as long as the context lasts; a cluster that ran before goes on. Raises `StartError`.

    A cluster that is started here has as many processors as all replicas ask for, as the plain server's workers have.
    """
    cpus = (
        None
        if address
        else max(available_processors(), math.ceil(size.cpus * size.max_replicas * len(size.chosen(settings))))
    )
    try:
        ray.init(
            address or "local",
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except (ConnectionError, ValueError) as error:
        raise StartError(
            ExitCode.USAGE,
            f"--address {address}: {error}. If Ray has a token there, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN.",
        ) from None
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        try:
            serve.start("EveryNode", {"host": settings.host, "port": settings.port})
        except RayError as error:
            raise StartError(
                ExitCode.UNEXPECTED, f"Ray Serve did not come up: {error} If this machine is busy, try again."
            ) from error
        yield
    finally:
        ray.shutdown()
