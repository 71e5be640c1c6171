"""From users to machines: the busiest hour as jobs, the fewest servers that keep waits short, and what that costs."""

from __future__ import annotations

import functools
import json
import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..measure import ROOT
from .agreement import quantile
from .simulation import Job, Outcome, Station, Visit, simulate

PHOTOS_A_DAY, EDITS_A_PHOTO = 3, 4
"""Of one user."""

BUSIEST_HOUR = 0.1
"""Share of a day's work."""

MOST_WAIT_S = 2.0
"""That 95 of 100 edits and 95 of 100 uploads wait at most, in the busiest hour."""

PAUSE_S = 20
"""Between two edits, in the mean."""

IDLE = 0.05
"""Share of the busiest hour below which nothing is a bottleneck."""

JOBS_LEAST, JOBS_MOST = 2_000, 9_000
"""That are simulated: hours are added where one has too few, and cut where it has more than are needed."""

PHOTO_BYTES = 4_000_000
KEPT_DAYS = 30
MACHINE_CORES, MACHINE_GIB = 8, 16
GPU_EACH_CORES = 8
MONTH_HOURS = 730

CORE_HOUR, GPU_HOUR, GB_MONTH, GB_OUT, MILLION_PUTS = 0.04, 0.80, 0.023, 0.09, 5.0
"""US dollars, rounded list prices of large providers: a core with 2 GiB, a GPU of the 24 GB class, storage, traffic."""

MIGAN_GPU_S = 0.017
"""512 x 512 by PyTorch on an RTX 4070. Source: README of vision.cpp. Other networks: by their time on a processor."""

Device = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is served by what.

    stations  of the busiest hour: "engine" and "codec"
    wait_s    name of a station -> median and 95th percentile of its waits
    """

    users: int
    model: str
    device: Device
    stations: Sequence[Station]
    busy: Mapping[str, float]
    wait_s: Mapping[str, tuple[float, float]]

    def servers(self, name: str) -> int:
        return next(station.servers for station in self.stations if station.name == name)

    @property
    def cores(self) -> int:
        """With a core for the web processes of every eight codec workers, and one for Ray's head."""
        engines = self.servers("engine") if self.device == "cpu" else 0
        return engines + self.servers("codec") + math.ceil(self.servers("codec") / 8) + 1

    @property
    def gpus(self) -> int:
        return self.servers("engine") if self.device == "gpu" else 0

    @property
    def machines(self) -> int:
        return max(math.ceil(self.cores / MACHINE_CORES), math.ceil(self.gpus * GPU_EACH_CORES / MACHINE_CORES))

    @property
    def bottleneck(self) -> str:
        """What is busiest, and so runs out first where more users come."""
        name = max(self.busy, key=lambda station: self.busy[station])
        share = f"{name} ({self.busy[name]:.0%} busy)"
        return share if self.busy[name] > IDLE else f"none: {share}"


@functools.cache
def engine_times() -> Mapping[str, float]:
    """Model -> processor seconds of an edit of 512 x 512 pixels."""
    found = json.loads((ROOT / "docs" / "measured.json").read_text(encoding="utf-8"))["edit_ms"]
    return {name: milliseconds / 1000 for name, milliseconds in found.items()}


def edit_s(model: str, device: Device) -> float:
    """Of an edit of 512 x 512 pixels: measured on a core, estimated on a GPU."""
    on_core = engine_times()[model]
    return on_core if device == "cpu" else MIGAN_GPU_S * on_core / engine_times()["migan"]


def busiest_hour(measured: Mapping[str, Any], users: int, model: str, device: Device) -> tuple[list[Job], float]:
    """(jobs, seconds that they come in). Photos are opened, edited with pauses for thought, and downloaded.

    What would come after the end comes at the beginning, so that the load is the same all the time.
    """
    generator, jobs, server = random.Random(users), list[Job](), measured["server"]
    photos_per_s = users * PHOTOS_A_DAY * BUSIEST_HOUR / 3600
    wanted = min(JOBS_MOST, max(JOBS_LEAST, photos_per_s * 3600 * (EDITS_A_PHOTO + 2)))
    photos = round(wanted / (EDITS_A_PHOTO + 2))
    lasts_s, seconds = photos / photos_per_s, edit_s(model, device)

    def come(at_s: float, station: str, alone_s: float) -> None:
        jobs.append(Job(at_s % lasts_s, [Visit(station, alone_s)]))

    for _ in range(photos):
        at_s = generator.uniform(0, lasts_s)
        come(at_s, "codec", server["upload_workers_s"])
        for _ in range(EDITS_A_PHOTO):
            at_s += generator.expovariate(1 / PAUSE_S)
            come(at_s, "engine", seconds * generator.uniform(0.5, 1.5))
        come(at_s + PAUSE_S, "codec", server["render_workers_s"])
    return jobs, lasts_s


def plan(measured: Mapping[str, Any], users: int, model: str, device: Device) -> Plan:
    """The fewest servers with which few wait long."""
    jobs, lasts_s = busiest_hour(measured, users, model, device)
    work_s = defaultdict[str, float](float)
    for job in jobs:
        for visit in job.visits:
            work_s[visit.station] += visit.alone_s
    stations = [Station(name, math.ceil(seconds / lasts_s)) for name, seconds in work_s.items()]
    while True:
        outcome = simulate(jobs, stations)
        waits = {station.name: waits_at(jobs, outcome, station.name) for station in stations}
        late = {name for name, (_, p95) in waits.items() if p95 > MOST_WAIT_S}
        if not late:
            return Plan(users, model, device, stations, outcome.busy, waits)
        stations = [replace(s, servers=s.servers + (s.name in late)) for s in stations]


def waits_at(jobs: Sequence[Job], outcome: Outcome, name: str) -> tuple[float, float]:
    """Median and 95th percentile."""
    waits = [
        wait
        for job, job_waits in zip(jobs, outcome.waits_s, strict=True)
        for visit, wait in zip(job.visits, job_waits, strict=True)
        if visit.station == name
    ]
    return quantile(waits, 50), quantile(waits, 95)


def storage_gb(measured: Mapping[str, Any], users: int) -> float:
    """What the object store holds, when as much goes as comes."""
    edits = EDITS_A_PHOTO * float(measured["server"]["edit_bytes"])
    return users * PHOTOS_A_DAY * KEPT_DAYS * (PHOTO_BYTES + edits) / 1e9


def monthly_costs(measured: Mapping[str, Any], planned: Plan) -> dict[str, float]:
    """US dollars a month; machines as for the busiest hour, all day long."""
    photos = planned.users * PHOTOS_A_DAY * 30
    return {
        "cores": planned.machines * MACHINE_CORES * CORE_HOUR * MONTH_HOURS,
        "GPUs": planned.gpus * GPU_HOUR * MONTH_HOURS,
        "storage": storage_gb(measured, planned.users) * GB_MONTH,
        "requests": photos * (2 + 2 * EDITS_A_PHOTO) / 1e6 * MILLION_PUTS,
        "traffic": photos * PHOTO_BYTES / 1e9 * GB_OUT,
    }


@dataclass(frozen=True, slots=True)
class Batch:
    """One million photos of one edit each, on machines of one kind.

    per_hour  photos of one machine
    busy      share of time that each station works
    """

    model: str
    device: Device
    stations: Sequence[Station]
    per_hour: float
    busy: Mapping[str, float]

    @property
    def machine_hours(self) -> float:
        return 1e6 / self.per_hour

    @property
    def cost(self) -> float:
        """US dollars, with writing a result of each."""
        hourly = MACHINE_CORES * CORE_HOUR + (GPU_HOUR if self.device == "gpu" else 0)
        return self.machine_hours * hourly + 2 * MILLION_PUTS


def million(measured: Mapping[str, Any], model: str, device: Device) -> Batch:
    """The best split of a machine's cores between codec and engine; a GPU is one engine beside all cores but one."""
    server = measured["server"]
    visits = [
        Visit("codec", server["upload_workers_s"] + server["upload_web_s"]),
        Visit("engine", edit_s(model, device)),
        Visit("codec", server["render_workers_s"] + server["render_web_s"]),
    ]
    jobs = [Job(0.0, visits) for _ in range(400)]
    splits = range(1, MACHINE_CORES) if device == "cpu" else [MACHINE_CORES - 1]
    tries = []
    for codecs in splits:
        engines = MACHINE_CORES - codecs if device == "cpu" else 1
        stations = [Station("engine", engines), Station("codec", codecs)]
        outcome = simulate(jobs, stations)
        tries.append(Batch(model, device, stations, len(jobs) / outcome.ended_s * 3600, outcome.busy))
    return max(tries, key=lambda each: each.per_hour)
