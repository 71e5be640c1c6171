"""The simulation against a run: one plain server under an open load, whose arrivals and service times are known."""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import threading
import time
from pathlib import Path

from ..bench_edits import SIZES, Client, photo, serving
from .simulation import Job, Station, Visit, simulate

MODEL = "patchmatch"
JOBS, SHARE = 60, 0.5
STROKE_PX = 100


def compare() -> dict[str, float]:
    """Median and 95th percentile of the seconds that an edit waits, measured and simulated.

    The simulation gets the run's own arrivals and service times: what else the machine does slows both alike.
    """
    height, width = SIZES[2]
    with tempfile.TemporaryDirectory() as data, serving(MODEL, Path(data)) as (_, port):
        reply = Client(port).send("POST", "/api/v1/images?name=a.jpg", photo(height, width), "application/octet-stream")
        image = json.loads(reply)["id"]
        alone = [_edit(port, image, number) for number in range(8)][2:]
        overhead_s = statistics.median(took_s - fill_s for took_s, fill_s in alone)
        per_s = SHARE / statistics.mean(fill_s + overhead_s for _, fill_s in alone)
        arrivals_s, outcomes = _load(port, image, per_s)
    waits_s = [max(0.0, took_s - fill_s - overhead_s) for took_s, fill_s in outcomes]
    services_s = [fill_s + overhead_s for _, fill_s in outcomes]
    jobs = [Job(at_s, [Visit("engine", service_s)]) for at_s, service_s in zip(arrivals_s, services_s, strict=True)]
    simulated_s = simulate(jobs, [Station("engine", 1)]).total_waits_s
    return {
        "jobs": JOBS,
        "per_s": round(per_s, 3),
        "service_s": round(statistics.mean(services_s), 3),
        "measured_median_s": round(quantile(waits_s, 50), 3),
        "measured_p95_s": round(quantile(waits_s, 95), 3),
        "simulated_median_s": round(quantile(simulated_s, 50), 3),
        "simulated_p95_s": round(quantile(simulated_s, 95), 3),
    }


def quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _load(port: int, image: str, per_s: float) -> tuple[list[float], list[tuple[float, float]]]:
    """(when each edit was sent, as `_edit` says of each). They come whether or not earlier ones are done."""
    generator, at_s, arrivals_s = random.Random(7), 0.0, []
    for _ in range(JOBS):
        at_s += generator.expovariate(per_s)
        arrivals_s.append(at_s)
    outcomes: dict[int, tuple[float, float]] = {}

    def run(number: int) -> None:
        outcomes[number] = _edit(port, image, number)

    began, threads = time.monotonic(), []
    for number, due_s in enumerate(arrivals_s):
        time.sleep(max(0.0, began + due_s - time.monotonic()))
        threads.append(threading.Thread(target=run, args=(number,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return arrivals_s, [outcomes[number] for number in range(JOBS)]


def _edit(port: int, image: str, number: int) -> tuple[float, float]:
    """(seconds from sending to the result, seconds of the fill). Raises `RuntimeError` where it was refused."""
    stroke = {"op": "add", "kind": "stroke", "d": STROKE_PX, "p": [4 * (500 + number), 2000, 240, 160]}
    request = {"image": image, "mask": {"shapes": [stroke]}, "runs": [{"model": MODEL, "seed": number}]}
    began = time.monotonic()
    lines = Client(port).send("POST", "/api/v1/edits", json.dumps(request).encode()).splitlines()
    took_s, last = time.monotonic() - began, json.loads(lines[-1])
    if last["type"] != "result":
        raise RuntimeError(f"An edit ended in {last}.")
    return took_s, last["ms"] / 1000
