"""Two nodes of a Ray cluster against one, and one edit on a cluster against the plain server, in the same run.

All nodes are on this machine: each has one engine replica, which computes in one thread and is tied to a processor of
its own, so that two nodes have twice the processors of one. Ray's processes, ingress and clients share all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from inpaint_models.machine import available_processors

from .bench_edits import STROKE_PX, Client, edit, photo, serving, wait_until_ready
from .measure import ROOT, Row, interleaved

ENGINES = ("opencv", "patchmatch")
SIZE = (1224, 1632)
HOLES_PX = {"opencv": 900, "patchmatch": 300}
"""Sides of the holes of the throughput: a fill of about half a second or more, beside which HTTP counts little."""

CLIENTS, EDITS, RUNS = 4, 6, 15


def rows() -> list[Row]:
    jpeg, paces, found = photo(*SIZE), dict[tuple[str, int], float](), list[Row]()
    for nodes in (1, 2):
        with tempfile.TemporaryDirectory() as data, cluster(nodes, Path(data)) as port:
            for engine in ENGINES:
                paces[engine, nodes] = seconds_for_each(port, engine, jpeg)
            if nodes == 1:
                found += [overhead(engine, port, jpeg) for engine in ENGINES]
    for engine, nodes in paces:
        found.append(
            Row(
                engine=engine,
                what=f"{CLIENTS} clients, hole of {HOLES_PX[engine]} px, {nodes} node{'s' * (nodes > 1)}",
                size=f"{SIZE[1]}x{SIZE[0]}",
                ms=1000 * paces[engine, nodes],
                runs=CLIENTS * EDITS,
                ratio=paces[engine, 1] / paces[engine, nodes],
                against="one node",
                note=f"time for each finished edit; {available_processors()} processors, one for each engine replica",
            )
        )
    return found


def seconds_for_each(port: int, engine: str, jpeg: bytes) -> float:
    """Seconds for each edit while `CLIENTS` send one after the other."""
    side = HOLES_PX[engine]
    begun = threading.Barrier(CLIENTS + 1)

    def work(number: int) -> None:
        client = Client(port)
        image = uploaded(client, jpeg)
        rect = {"kind": "rect", "x": 50 + 20 * number, "y": 50, "w": side, "h": side}
        body = json.dumps({"image": image, "mask": {"shapes": [rect]}, "runs": [{"model": engine, "seed": 1}]}).encode()
        for turn in range(EDITS + 1):
            if turn == 1:  # the first one brings the pixels to the nodes
                begun.wait()
            if b'"type":"result"' not in client.send("POST", "/api/v1/edits", body).replace(b" ", b""):
                raise RuntimeError("An edit had no result.")

    with ThreadPoolExecutor(CLIENTS) as threads:
        work_done = [threads.submit(work, number) for number in range(CLIENTS)]
        begun.wait()
        began = time.perf_counter()
        for done in work_done:
            done.result()
    return (time.perf_counter() - began) / (CLIENTS * EDITS)


def overhead(engine: str, port: int, jpeg: bytes) -> Row:
    """One small edit on the cluster, and beside it on the plain server, which has one thread as well."""
    with tempfile.TemporaryDirectory() as data, one_thread(), serving(engine, Path(data)) as (_, plain_port):
        clients = {"ray": Client(port), "plain": Client(plain_port)}
        images = {name: uploaded(client, jpeg) for name, client in clients.items()}

        def one(name: str) -> None:
            edit(clients[name], images[name], engine, SIZE[1] // 2, SIZE[0] // 2)

        times = interleaved({"ray": lambda: one("ray"), "plain": lambda: one("plain")}, runs=RUNS, warm_up=3)
    return Row(
        engine=engine,
        what=f"edit of a {STROKE_PX} px stroke on a cluster of one node",
        size=f"{SIZE[1]}x{SIZE[0]}",
        ms=times["ray"],
        runs=RUNS,
        ratio=times["plain"] / times["ray"],
        against="the plain server",
        note=f"{times['ray'] - times['plain']:.0f} ms more than the plain server's {times['plain']:.0f} ms",
    )


def uploaded(client: Client, jpeg: bytes) -> str:
    return str(json.loads(client.send("POST", "/api/v1/images?name=photo.jpg", jpeg, "application/octet-stream"))["id"])


@contextmanager
def one_thread() -> Iterator[None]:
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    os.environ.pop("OMP_NUM_THREADS")
    if before is not None:
        os.environ["OMP_NUM_THREADS"] = before


@contextmanager
def cluster(nodes: int, data: Path) -> Iterator[int]:
    """The port of a server on so many nodes; its engine replicas are tied to processors."""
    path = os.pathsep.join(str(ROOT / part) for part in ("", "server", "models"))
    with subprocess.Popen(
        [sys.executable, "-m", "bench.bench_cluster", str(nodes), str(data)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "LAMA_SERVER_CONFIG": os.devnull, "RAY_AUTH_MODE": "disabled"},
    ) as server:
        assert server.stdout is not None
        port = next(int(m.group(1)) for line in server.stdout if (m := re.fullmatch(r"port (\d+)\n", line)))
        wait_until_ready(port)
        replicas = [
            process
            for process in psutil.Process(server.pid).children(recursive=True)
            if "ServeReplica:lama-server:opencv+patchmatch" in (process.cmdline() or [""])[0]
        ]
        for index, process in enumerate(replicas):
            for thread in process.threads():
                with contextlib.suppress(ProcessLookupError):  # one that has ended meanwhile
                    os.sched_setaffinity(thread.id, {sorted(os.sched_getaffinity(0))[index]})
        yield port
        server.communicate("")


def main() -> None:
    """The process that starts the cluster: it ends with its standard input."""
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    from lama_server.cluster.application import NAME, Size, application
    from lama_server.http.server import listen
    from lama_server.settings import Settings

    nodes, data = int(sys.argv[1]), Path(sys.argv[2])
    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 200 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    for _ in range(nodes - 1):
        made.add_node(**node)
    ray.init(made.address, log_to_driver=False)
    with listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
    settings = Settings(model="opencv", data_dir=data, port=port, local_files_only=True)
    size = Size(models=("opencv+patchmatch",), min_replicas=nodes, max_replicas=nodes)
    serve.start("HeadOnly", {"host": "127.0.0.1", "port": port})
    serve.run(application(settings, size), name=NAME)
    print(f"port {port}", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()
    made.shutdown()


if __name__ == "__main__":
    main()
