"""The capacity model: the simulation gives what queueing theory gives, and the page says what the model says."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from bench.scaling import page, sizing
from bench.scaling.simulation import Job, Station, Visit, simulate


def poisson_jobs(count: int, per_s: float, services_s: np.ndarray, seed: int = 1) -> list[Job]:
    """Jobs of one visit that come independently of each other."""
    arrivals = np.cumsum(np.random.default_rng(seed).exponential(1 / per_s, count))
    return [Job(float(at), [Visit("engine", float(s))]) for at, s in zip(arrivals, services_s, strict=True)]


def erlang_c(servers: int, load: float) -> float:
    """The probability that a job of an M/M/c queue has to wait. Source: Erlang's formula, by his B recursion."""
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = load * blocked / (server + load * blocked)
    return servers * blocked / (servers - load * (1 - blocked))


@pytest.mark.parametrize(("servers", "share"), [(1, 0.5), (3, 0.7), (8, 0.8)])
def test_many_servers_with_exponential_times_wait_as_erlang_says(servers: int, share: float) -> None:
    """M/M/c: the mean wait, and the part of jobs that wait at all."""
    count, load = 20_000, servers * share
    services_s = np.random.default_rng(2).exponential(1.0, count)
    waits = simulate(poisson_jobs(count, load, services_s), [Station("engine", servers)]).total_waits_s
    expected = erlang_c(servers, load)
    assert statistics.mean(waits) == pytest.approx(expected / (servers - load), rel=0.1)
    assert sum(wait > 1e-9 for wait in waits) / count == pytest.approx(expected, rel=0.05)


def test_equal_times_wait_half_as_long_as_exponential_ones() -> None:
    """M/D/1, by the formula of Pollaczek and Khinchine."""
    count, share = 20_000, 0.7
    waits = simulate(poisson_jobs(count, share, np.ones(count)), [Station("engine", 1)]).total_waits_s
    assert statistics.mean(waits) == pytest.approx(share / (2 * (1 - share)), rel=0.1)


def test_servers_are_busy_as_long_as_the_work_takes() -> None:
    """Little's law and the conservation of work, also over several stations."""
    visits = [Visit("codec", 0.5), Visit("engine", 2.0), Visit("codec", 0.25)]
    outcome = simulate([Job(0.0, visits) for _ in range(10)], [Station("codec", 1), Station("engine", 2)])
    assert outcome.busy["codec"] * outcome.ended_s == pytest.approx(10 * 0.75)
    assert outcome.busy["engine"] * 2 * outcome.ended_s == pytest.approx(10 * 2.0)
    assert all(len(waits) == 3 and min(waits) >= 0 for waits in outcome.waits_s)


def test_a_lone_job_waits_for_nothing_and_a_batch_gains_only_where_jobs_wait() -> None:
    batches = [Station("engine", 1, most=4, gain=2.0)]
    assert simulate([Job(3.0, [Visit("engine", 1.0)])], batches).total_waits_s == [0.0]
    together = simulate([Job(0.0, [Visit("engine", 1.0)]) for _ in range(9)], batches)
    assert together.ended_s == pytest.approx(1 + 4 / 2 + 4 / 2)
    assert math.isclose(simulate([Job(9.0 * n, [Visit("engine", 1.0)]) for n in range(3)], batches).ended_s, 19.0)


# ------------------------------------------------------------------------------------------- the page


KNOWN = page.measured()


def test_the_simulation_and_the_run_agree_within_the_bound_that_the_page_states() -> None:
    found = KNOWN["agreement"]
    for name in ("median", "p95"):
        measured_s, simulated_s = found[f"measured_{name}_s"], found[f"simulated_{name}_s"]
        assert abs(measured_s - simulated_s) <= max(0.1 * measured_s, 0.1), name


def test_the_page_says_what_was_measured() -> None:
    """The tables that need no simulation; `python -m bench.scaling` makes all of them."""
    text = page.PAGE.read_text(encoding="utf-8")
    quick = ("engines", "batching", "server", "agreement")
    assert page.with_tables(text, KNOWN, quick) == text
    assert all(f"<!-- {name}: begin -->\n<!-- end -->" not in text for name in page.TABLES)


def test_more_users_need_no_fewer_servers_and_wait_no_longer_than_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "JOBS_LEAST", 600)
    monkeypatch.setattr(sizing, "JOBS_MOST", 1800)
    plans = [sizing.plan(KNOWN, users, "lama", "cpu") for users in (10, 1_000, 10_000)]
    engines = [plan.servers("engine") for plan in plans]
    assert engines == sorted(engines)
    assert engines[0] == 1
    for plan in plans:
        assert all(p95_s <= sizing.MOST_WAIT_S for _, p95_s in plan.wait_s.values())
        assert all(0 < busy <= 1 for busy in plan.busy.values())
        assert plan.machines * sizing.MACHINE_CORES >= plan.cores
    costs = [sum(sizing.monthly_costs(KNOWN, plan).values()) for plan in plans]
    assert costs == sorted(costs)


def test_a_million_photos_take_the_slower_of_codec_and_engine() -> None:
    found = sizing.million(KNOWN, "lama", "cpu")
    engine = next(station for station in found.stations if station.name == "engine")
    ideal = 3600 * engine.servers / sizing.edit_s("lama", "cpu")
    assert 0.8 * ideal <= found.per_hour <= ideal
    assert max(found.busy, key=lambda name: found.busy[name]) == "engine"
