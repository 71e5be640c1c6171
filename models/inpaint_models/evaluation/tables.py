"""Results as CSV and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from .comparison import Row
from .scores import METRIC, METRICS, Better, Metric
from .summary import Average, Line

Totals = Mapping[str, Mapping[str, float]]
"""Engine -> FID, U-IDS and P-IDS."""

CSV_HEAD = ("photo", "mask", "engine", "area", *METRIC)
SUMMARY_HEAD = ("masks", "engine", "metric", "of", "mean", "low", "high", "pairs")
WITHOUT_INTERVAL = ("changed_outside", "seconds", "memory_mib")


def csv_cells(row: Row) -> list[str]:
    """One pair and engine; empty where it was not measured."""
    values = (row.scores.get(name, math.nan) for name in METRIC)
    return [row.photo, row.mask, row.engine, _number(row.area), *(_number(value) for value in values)]


def summary_cells(lines: Sequence[Line]) -> Iterator[list[str]]:
    """Every mean, and every mean difference to the first engine, with its interval."""
    for line in lines:
        for of, averages in (("value", line.averages), ("against the first", line.differences)):
            for name, average in averages.items():
                figures = (average.mean, average.low, average.high)
                yield [line.kind, line.engine, name, of, *map(_number, figures), str(average.count)]


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def shown(lines: Sequence[Line]) -> list[Metric]:
    """Columns of the short table: those that any engine was measured by."""
    return [metric for metric in METRICS if metric.short and any(metric.name in line.averages for line in lines)]


def cells(line: Line, metrics: Sequence[Metric], best: Mapping[str, float]) -> list[str]:
    """A line's figures, the best of all engines between asterisks."""
    found = []
    for metric in metrics:
        average = line.averages.get(metric.name)
        text = "" if average is None else figure(metric, average)
        found.append(f"**{text}**" if average is not None and best.get(metric.name) == average.mean else text)
    return found


def figure(metric: Metric, average: Average) -> str:
    """Such as "20.16 (19.31 to 21.02)"."""
    mean, low, high = (f"{value:.{metric.digits}f}" for value in (average.mean, average.low, average.high))
    return mean if metric.name in WITHOUT_INTERVAL else f"{mean} ({low} to {high})"


def best_of(lines: Sequence[Line]) -> dict[str, float]:
    """Metric -> the best mean among engines; nothing where there is one engine only, or all are equal."""
    found = {}
    for metric in METRICS:
        means = [line.averages[metric.name].mean for line in lines if metric.name in line.averages]
        if len(set(means)) > 1:
            found[metric.name] = min(means, key=lambda mean: _badness(metric.better, mean))
    return found


def _badness(better: Better, mean: float) -> float:
    match better:
        case "higher":
            return -mean
        case "lower":
            return mean
        case "one":
            return abs(math.log(mean))
        case "zero":
            return abs(mean)


def table(lines: Sequence[Line]) -> list[list[str]]:
    """The short table of one kind of mask; the first row is the head."""
    metrics, best = shown(lines), best_of(lines)
    rows = [[line.engine, str(_count(line)), *cells(line, metrics, best)] for line in lines]
    return [["engine", "pairs", *(metric.title for metric in metrics)], *rows]


def differences_table(lines: Sequence[Line]) -> list[list[str]]:
    """What each engine has more than the first, over the same pairs; quotients where the table has ratios."""
    metrics = [metric for metric in shown(lines) if metric.name not in WITHOUT_INTERVAL]
    rows = []
    for line in lines[1:]:
        found = [(metric, line.differences.get(metric.name)) for metric in metrics]
        rows.append([line.engine, *("" if each is None else difference(metric, each) for metric, each in found)])
    return [["engine", *(metric.title for metric in metrics)], *rows]


def difference(metric: Metric, average: Average) -> str:
    """Such as "+1.20 (+0.31 to +2.02)", or "1.31x (1.10x to 1.52x)"."""
    form = f".{metric.digits}f" if metric.geometric else f"+.{metric.digits}f"
    mean, low, high = (
        f"{value:{form}}{'x' if metric.geometric else ''}" for value in (average.mean, average.low, average.high)
    )
    return f"{mean} ({low} to {high})"


def totals_table(totals: Totals) -> list[list[str]]:
    """What is measured over all pairs together; the first row is the head."""
    rows = [[engine, *(f"{value:.3f}" for value in found.values())] for engine, found in totals.items()]
    return [["engine", "FID", "U-IDS", "P-IDS"], *rows]


def titled_tables(lines: Sequence[Line], totals: Totals) -> Iterator[tuple[str, list[list[str]]]]:
    """(title, table) for each kind of mask, and for all together."""
    for kind in dict.fromkeys(line.kind for line in lines):
        mine = [line for line in lines if line.kind == kind]
        yield f"Masks: {kind}", table(mine)
        if len(mine) > 1:
            yield f"Masks: {kind}, differences to {mine[0].engine} over the same pairs", differences_table(mine)
    if totals:
        yield "All pairs together", totals_table(totals)


def as_markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose first row is the head."""
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [text[0], "|" + " --- |" * len(rows[0]), *text[1:]]


def _count(line: Line) -> int:
    return max((average.count for average in line.averages.values()), default=0)


def markdown(lines: Sequence[Line], totals: Totals, notes: Sequence[str]) -> str:
    """The whole report without pictures."""
    parts = ["# Fills side by side", "", *(f"{note}\n" for note in notes)]
    for title, rows in titled_tables(lines, totals):
        parts += [f"## {title}", "", *as_markdown(rows), ""]
    parts += ["## What the columns mean", "", *(f"- {text}" for text in legend(shown(lines))), ""]
    return "\n".join(parts)


def legend(metrics: Sequence[Metric]) -> list[str]:
    """A sentence for each column."""
    good = {"higher": "higher is better", "lower": "lower is better", "one": "best at 1", "zero": "best at 0"}
    return [f"{metric.title}: {metric.about}; {good[metric.better]}." for metric in metrics]
