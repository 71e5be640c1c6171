"""The tables of docs/scaling.md, made from measured.json and the simulation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..measure import ROOT
from .sizing import Batch, Device, Plan, edit_s, engine_times, million, monthly_costs, plan, storage_gb

PAGE = ROOT / "docs" / "scaling.md"
MEASURED = Path(__file__).with_name("measured.json")

USERS = (10, 1_000, 100_000)
CHOICES: tuple[tuple[str, Device], ...] = (("migan", "cpu"), ("lama", "cpu"), ("lama", "gpu"))


def measured() -> dict[str, Any]:
    """What `python -m bench.scaling --measure` found last."""
    found: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


def with_tables(page: str, known: Mapping[str, Any], names: Iterable[str]) -> str:
    """The page with its tables of these names made anew. Each stands between comments that name it."""
    for name in names:
        begin, end = f"<!-- {name}: begin -->", "<!-- end -->"
        made = TABLES[name](known).replace("\\", r"\\")
        page = re.sub(f"{begin}.*?{end}", f"{begin}\n{made}\n{end}", page, flags=re.DOTALL)
    return page


def engines(known: Mapping[str, Any]) -> str:
    rows = [
        (
            f"`{name}`",
            f"{seconds:.2f} s",
            f"{3600 / seconds:,.0f}",
            f"{known['memory'][name]['held_mib']:,} MiB",
            f"{known['memory'][name]['peak_mib']:,} MiB",
            "" if name in ("opencv", "patchmatch") else f"{1000 * edit_s(name, 'gpu'):.0f} ms",
        )
        for name, seconds in engine_times().items()
    ]
    head = ("Model", "Edit on a core", "Edits an hour", "Holds", "Peak of the process", "On a GPU (estimate)")
    return _table(head, rows)


def server(known: Mapping[str, Any]) -> str:
    found = known["server"]
    rows = [
        (what, f"{1000 * found[f'{name}_web_s']:.0f} ms", f"{1000 * found[f'{name}_workers_s']:.0f} ms")
        for name, what in (
            ("upload", "open a JPEG of 12 megapixels"),
            ("edit", f"an edit by `opencv`, a stroke of {found['edit_stroke_px']} pixels"),
            ("render", "download the result as JPEG"),
        )
    ]
    return _table(("Work", "Web process", "Workers"), rows)


def batching(known: Mapping[str, Any]) -> str:
    return (
        f"**Batches gain little on processors**: four crops of LaMa in one call were {known['batch_gain']:.2f} times\n"
        "as quick as four calls. The tables reckon with no gain. On a GPU equal crops of one moment may share a call\n"
        "(`serve.batch`); the tables leave that out as well, since there is no figure for it."
    )


def agreement(known: Mapping[str, Any]) -> str:
    found = known["agreement"]
    rows = [
        (what, f"{found[f'measured_{name}_s']:.2f} s", f"{found[f'simulated_{name}_s']:.2f} s")
        for name, what in (("median", "half of the edits wait at most"), ("p95", "95 of 100 wait at most"))
    ]
    return _table((f"{found['jobs']} edits, {found['per_s']:.2f} a second", "Measured", "Simulated"), rows)


def sizes(known: Mapping[str, Any]) -> str:
    head = (
        *("Users a day", "Model", "Engines", "Codec workers", "Machines", "GPUs"),
        *("Edits wait (half, 95 of 100)", "Store", "US$ a month", "Most of it", "First bottleneck"),
    )
    return _table(head, [_size(known, plan(known, users, *choice)) for users in USERS for choice in CHOICES])


def _size(known: Mapping[str, Any], planned: Plan) -> tuple[str, ...]:
    costs, (half_s, p95_s) = monthly_costs(known, planned), planned.wait_s["engine"]
    largest = max(costs, key=lambda name: costs[name])
    return (
        f"{planned.users:,}",
        f"`{planned.model}` on {_device(planned.device)}",
        f"{planned.servers('engine'):,}",
        f"{planned.servers('codec'):,}",
        f"{planned.machines:,}",
        f"{planned.gpus:,}" if planned.gpus else "",
        f"{half_s:.1f} s, {p95_s:.1f} s",
        f"{storage_gb(known, planned.users):,.0f} GB",
        f"{sum(costs.values()):,.0f}",
        f"{largest} ({costs[largest] / sum(costs.values()):.0%})",
        planned.bottleneck,
    )


def batch(known: Mapping[str, Any]) -> str:
    head = ("Model", "Cores: codec and engine", "Photos an hour", "Machines for one day", "US$", "First bottleneck")
    return _table(head, [_million(million(known, *choice)) for choice in CHOICES])


def _million(found: Batch) -> tuple[str, ...]:
    servers = {station.name: station.servers for station in found.stations}
    busiest = max(found.busy, key=lambda name: found.busy[name])
    return (
        f"`{found.model}` on {_device(found.device)}",
        f"{servers['codec']} and " + (f"{servers['engine']}" if found.device == "cpu" else "a GPU"),
        f"{found.per_hour:,.0f}",
        f"{found.machine_hours / 24:,.1f}",
        f"{found.cost:,.0f}",
        f"{busiest} ({found.busy[busiest]:.0%} busy)",
    )


def _device(device: Device) -> str:
    return "cores" if device == "cpu" else "GPUs (estimate)"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


TABLES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "engines": engines,
    "batching": batching,
    "server": server,
    "agreement": agreement,
    "sizes": sizes,
    "batch": batch,
}
