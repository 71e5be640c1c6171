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
from collections.abc import Iterator
from typing import Any

from lama_server.settings import Settings

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_DISABLE_MEMORY_MONITOR": "1"}

NODE: dict[str, Any] = {"object_store_memory": 80 * 2**20, "include_dashboard": False}


@contextlib.contextmanager
def nodes(count: int, cpus: int) -> Iterator[None]:
    """A cluster of so many nodes with so many processors each, on loopback, with ports that are free."""
    import ray
    from ray.cluster_utils import Cluster

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
    """Serves until SIGTERM comes; prints the port as the plain server does."""
    from ray import serve

    from lama_server.cluster.application import NAME, Size, application

    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    count, cpus = wanted.pop("nodes", 1), wanted.pop("node_cpus", 8)
    with nodes(count, cpus):
        serve.start("HeadOnly", {"host": "127.0.0.1", "port": settings.port})
        serve.run(application(settings, Size(**{**wanted, "models": tuple(wanted["models"])}), **more), name=NAME)
        sys.stdout.write(f"port {settings.port}\n")
        sys.stdout.flush()
        stopped.wait()
        serve.shutdown()
