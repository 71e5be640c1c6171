"""A Ray cluster of several nodes on this machine with the server on it, for tests. It ends with the process."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from lama_server.settings import Settings

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
# Ray kills what takes longer to start or to answer than it does on a machine that does nothing else.
os.environ |= {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120", "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "120"}
os.environ |= {"RAY_health_check_timeout_ms": "120000"}

NODE: dict[str, Any] = {"object_store_memory": 80 * 2**20, "include_dashboard": False}


@contextlib.contextmanager
def nodes(count: int, cpus: int) -> Iterator[None]:
    """A cluster of so many nodes on this machine with so many processors each, on ports that are free."""
    import ray
    from ray._private import node
    from ray.cluster_utils import Cluster

    # Ray gives a node 30 s to start, which is not enough on a machine that does other work: for it, time goes slower.
    vars(node)["time"] = SimpleNamespace(**{**vars(time), "monotonic": lambda: time.monotonic() / 10})
    folder = tempfile.mkdtemp(prefix="ray")  # a short path: sockets lie in it
    made = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": cpus, "temp_dir": folder})
    try:
        for _ in range(count - 1):
            made.add_node(num_cpus=cpus, **NODE)
        ray.init(made.address, log_to_driver=False, logging_level=logging.ERROR)
        yield
    finally:
        ray.shutdown()
        made.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def serve_on_ray(settings: Settings, wanted: dict[str, Any], **more: Any) -> None:
    """Serves until SIGTERM comes, and then lets jobs end; SIGHUP puts a new application in the place of the old one.

    Prints the port as the plain server does.

    wanted  fields of `Size`, and how many "nodes" there are with how many "node_cpus"
    """
    from ray import serve

    from lama_server.cluster.application import NAME, Size, application, withdraw

    signals, come = list[int](), threading.Event()
    count, cpus = wanted.pop("nodes"), wanted.pop("node_cpus", 8)
    size = Size(**{**wanted, "models": tuple(wanted["models"])})
    with nodes(count, cpus):

        def note(number: int, frame: object) -> None:
            signals.append(number)
            come.set()

        for number in (signal.SIGTERM, signal.SIGHUP):  # Ray has handlers of its own
            signal.signal(number, note)
        serve.start("HeadOnly", {"host": "127.0.0.1", "port": settings.port})
        while signal.SIGTERM not in signals:
            come.clear()
            serve.run(application(settings, size, **more), name=NAME)
            sys.stdout.write(f"port {settings.port}\n")
            sys.stdout.flush()
            come.wait()
            settings = replace(settings, quality=settings.quality - 1)
        withdraw()
        serve.shutdown()
