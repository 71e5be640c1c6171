"""200 clients at once with photos of 12 megapixels: what is answered, how soon, and how soon /healthz answers.

Clients, health and server share the machine's processors. Time is that of a finished request; the ratio compares the
pace of finished requests with that of one client alone.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from inpaint_models.machine import available_processors

from .bench_edits import SIZES, peak_mib, serving
from .crowd import Outcome, Photo, crowd, health
from .measure import Row

CLIENTS, ROUNDS, ALONE = 200, 2, 5


def rows() -> list[Row]:
    height, width = SIZES[12]
    photo = Photo.of(height, width)
    with tempfile.TemporaryDirectory() as data, serving("opencv", Path(data)) as (pid, port):
        began = time.monotonic()
        alone = crowd(port, 1, ALONE, photo, {})
        alone_s = (time.monotonic() - began) / ALONE
        with health(port) as health_s:
            began = time.monotonic()
            outcomes = crowd(port, CLIENTS, ROUNDS, photo, {})
            took_s = time.monotonic() - began
        memory = peak_mib(pid)
    if any(outcome.wrong for outcome in (*alone, *outcomes)):
        raise RuntimeError(f"Wrong answers: {Counter(outcome.wrong for outcome in outcomes)}")
    finished, refused = ([o for o in outcomes if o.status == status] for status in (200, 429))
    return [
        Row(
            engine="opencv",
            what=f"{CLIENTS} one-shot clients at once, {ROUNDS} times, {photo.pixels.nbytes / 2**20:.0f} MiB each",
            size=f"{width}x{height}",
            ms=1000 * statistics.median(outcome.seconds for outcome in finished),
            runs=len(outcomes),
            threads=available_processors(),
            peak_mib=sum(memory),
            ratio=alone_s * len(finished) / took_s,
            against="one client alone",
            note=f"{len(finished)} filled, {len(refused)} refused, 95 % within {percentile(refused, 95):.1f} s; "
            f"/healthz {len(health_s)} times, 95 % within {1000 * quantile(health_s, 95):.0f} ms, "
            f"longest {1000 * max(health_s):.0f} ms; web {memory[0]:.0f} MiB",
        )
    ]


def percentile(outcomes: list[Outcome], percent: int) -> float:
    return quantile([outcome.seconds for outcome in outcomes], percent)


def quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
