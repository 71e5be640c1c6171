"""Means over pairs with their confidence intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .comparison import Row
from .scores import METRICS, Metric

_RESAMPLES = 2000
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Average:
    """Mean over `count` pairs and the interval that holds it in 95 of 100 cases."""

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Line:
    """One engine on one kind of mask.

    averages     by the metric's name
    differences  to the first engine, over the pairs that both filled; a quotient for ratios. Empty for the first
    """

    kind: str
    engine: str
    averages: dict[str, Average]
    differences: dict[str, Average]


def summarise(rows: Sequence[Row]) -> list[Line]:
    """By kind of mask and engine, in the order in which they first come."""
    lines: list[Line] = []
    for kind in dict.fromkeys(row.kind for row in rows):
        mine = [row for row in rows if row.kind == kind]
        engines = list(dict.fromkeys(row.engine for row in mine))
        first = {row.pair: row for row in mine if row.engine == engines[0]}
        for engine in engines:
            own = [row for row in mine if row.engine == engine]
            shared = [(row, first[row.pair]) for row in own if row.pair in first and engine != engines[0]]
            lines.append(Line(kind, engine, _averages(own), _differences(shared)))
    return lines


def _averages(rows: Sequence[Row]) -> dict[str, Average]:
    found = {}
    for metric in METRICS:
        values = _finite(row.scores.get(metric.name, np.nan) for row in rows)
        if len(values):
            found[metric.name] = average(values, geometric=metric.geometric)
    return found


def _differences(pairs: Sequence[tuple[Row, Row]]) -> dict[str, Average]:
    found = {}
    for metric in METRICS:
        values = _finite(_difference(metric, row, first) for row, first in pairs)
        if len(values):
            found[metric.name] = average(values, geometric=metric.geometric)
    return found


def _difference(metric: Metric, row: Row, first: Row) -> float:
    mine, other = (each.scores.get(metric.name, np.nan) for each in (row, first))
    return mine / other if metric.geometric else mine - other


def _finite(values: Iterable[float]) -> NDArray[np.float64]:
    found = np.fromiter(values, np.float64)
    return found[np.isfinite(found)]


def average(values: NDArray[np.float64], *, geometric: bool = False, seed: int = 0) -> Average:
    """Mean of (n,) values, n at least 1; the interval is the bootstrap's percentiles, Efron 1979.

    geometric  the mean is that of the logarithms, for ratios above 0
    """
    values = np.log(np.maximum(values, 1e-6)) if geometric else values
    chosen = np.random.default_rng(seed).integers(len(values), size=(_RESAMPLES, len(values)))
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(values[chosen].mean(axis=1), (tail, 1 - tail))
    found = np.array([values.mean(), low, high])
    mean, low, high = (float(each) for each in (np.exp(found) if geometric else found))
    return Average(mean, low, high, len(values))
