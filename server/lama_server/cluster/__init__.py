"""The same server on a Ray cluster: replicas that speak HTTP, and replicas that run models.

Needs the extra `cluster`. Nothing else imports this room: without a cluster the server knows nothing of Ray.
"""

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers of the cluster, once it is imported
# Serve gives a process that speaks HTTP 5 s to start before it kills it, which is too little on a busy machine.
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")

from ..exits import ExitCode, StartError

try:
    from .application import app
except ModuleNotFoundError as error:
    if error.name != "ray":
        raise
    raise StartError(ExitCode.USAGE, "Ray is not installed: pip install 'lama-server[cluster]'.") from None

__all__ = ["app"]
