"""A discrete-event simulation of the server: jobs come when they come, and stations work on them in their order."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy


@dataclass(frozen=True, slots=True)
class Station:
    """Servers of one kind, such as engine workers.

    servers  that work side by side
    most     jobs that a server takes at once, where as many wait
    gain     by how much a full batch is quicker than its jobs one after the other
    """

    name: str
    servers: int
    most: int = 1
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Visit:
    """What a job wants of a station: so many seconds of one server, alone."""

    station: str
    alone_s: float


@dataclass(frozen=True, slots=True)
class Job:
    """Visits one after the other, from when it comes."""

    at_s: float
    visits: Sequence[Visit]


@dataclass(slots=True)
class Outcome:
    """What became of the jobs.

    waits_s   of each job, seconds before each of its visits, in the order in which the jobs were given
    busy      name of a station -> share of its servers' time that they worked
    ended_s   when the last job was done
    """

    waits_s: list[list[float]] = field(default_factory=list)
    busy: dict[str, float] = field(default_factory=dict)
    ended_s: float = 0.0

    @property
    def total_waits_s(self) -> list[float]:
        """Of each job, before all of its visits together."""
        return [sum(waits) for waits in self.waits_s]


class _Line:
    """A station at work: first come, first served, by whichever server is free."""

    def __init__(self, environment: simpy.Environment, station: Station) -> None:
        self._environment, self._station = environment, station
        self.waiting, self.busy_s = simpy.Store(environment), 0.0
        for _ in range(station.servers):
            environment.process(self._serve())

    def _serve(self) -> Generator[Any, Any, None]:
        environment, station = self._environment, self._station
        while True:
            batch = [(yield self.waiting.get())]
            while self.waiting.items and len(batch) < station.most:
                batch.append((yield self.waiting.get()))
            for _, begins, _ in batch:
                begins.succeed(environment.now)
            alone_s = sum(seconds for seconds, _, _ in batch)
            took_s = alone_s / (1 + (station.gain - 1) * (len(batch) - 1) / max(1, station.most - 1))
            yield environment.timeout(took_s)
            self.busy_s += took_s
            for _, _, done in batch:
                done.succeed()


def simulate(jobs: Iterable[Job], stations: Sequence[Station]) -> Outcome:
    """Lets all jobs come and end."""
    environment, outcome = simpy.Environment(), Outcome()
    lines = {station.name: _Line(environment, station) for station in stations}

    def life(job: Job, waits_s: list[float]) -> Generator[Any, Any, None]:
        yield environment.timeout(job.at_s)
        for visit in job.visits:
            came_s, begins, done = environment.now, environment.event(), environment.event()
            lines[visit.station].waiting.put((visit.alone_s, begins, done))
            waits_s.append((yield begins) - came_s)
            yield done
        outcome.ended_s = environment.now

    for job in jobs:
        outcome.waits_s.append([])
        environment.process(life(job, outcome.waits_s[-1]))
    environment.run()
    for station in stations:
        outcome.busy[station.name] = lines[station.name].busy_s / (station.servers * max(outcome.ended_s, 1e-9))
    return outcome
