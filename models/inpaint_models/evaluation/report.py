"""A folder with the results of a comparison: results.csv, summary.csv, summary.md, and report.html with pictures.

Rows and pictures are written as they come, so that a run that is stopped leaves what it has; `finish` writes the rest.
"""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import AnyImage, HoleMask, tight_box
from .comparison import Failure, Pair, Row
from .scores import METRICS
from .summary import Line, summarise
from .tables import CSV_HEAD, SUMMARY_HEAD, Totals, csv_cells, legend, markdown, shown, summary_cells, titled_tables
from .views import levels

_TEMPLATE = Path(__file__).with_name("report.html")
_LONGEST_PX = 720
_LEAST_CONTEXT_PX = 48
_JPEG_QUALITY = 92
_MASK_COLOUR = np.array([255, 0, 160], np.float32)


@dataclass(slots=True)
class Report:
    """Opened on an empty folder."""

    folder: Path
    rows: list[Row] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    _pairs: list[str] = field(default_factory=list)
    _pictures: int = 0

    def __post_init__(self) -> None:
        (self.folder / "pictures").mkdir(parents=True, exist_ok=True)
        self._append(self.folder / "results.csv", [CSV_HEAD])

    def begin(self, pair: Pair) -> None:
        """The fills that follow are of this pair."""
        area = f"{100 * pair.hole.mean():.1f} % of {pair.hole.shape[1]}x{pair.hole.shape[0]} pixels"
        title = f"{html.escape(pair.photo)}, {html.escape(pair.mask)} ({area})"
        marked = _marked(pair)
        figures = [self._figure(marked, pair.hole, "the photo and its hole", "")]
        if pair.truth is not None:
            figures.append(self._figure(pair.truth, pair.hole, "truth", ""))
        self._pairs.append(f"<h3>{title}</h3>\n<div class=pair>{''.join(figures)}")

    def add(self, pair: Pair, row: Row, filled: AnyImage) -> None:
        """Keeps the row, and the picture."""
        self.rows.append(row)
        self._append(self.folder / "results.csv", [csv_cells(row)])
        found = [
            f"{metric.title} {row.scores[metric.name]:.{metric.digits}f}"
            for metric in METRICS
            if metric.short and math.isfinite(row.scores.get(metric.name, math.nan))
        ]
        self._pairs[-1] += self._figure(filled, pair.hole, row.engine, ", ".join(found))

    def fail(self, failure: Failure) -> None:
        """Keeps the reason, in the picture's place."""
        self.failures.append(failure)
        if not failure.engine:
            self._pairs.append("<div class=pair>")
        self._pairs[-1] += f"<figure class=failed>{html.escape(failure.words)}</figure>"

    def finish(self, notes: Sequence[str], totals: Totals) -> list[Line]:
        """Writes the summary and the page, of however many pairs there are.

        notes   sentences for the top: what was measured, what was left out
        totals  what `NetworkMetrics.of_all_pairs` found
        """
        lines = summarise(self.rows)
        (self.folder / "summary.md").write_text(markdown(lines, totals, notes), encoding="utf-8")
        self._append(self.folder / "summary.csv", [SUMMARY_HEAD, *summary_cells(lines)])
        tables = titled_tables(lines, totals)
        page = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
            notes="".join(f"<p>{html.escape(note)}</p>\n" for note in notes),
            tables="\n".join(f"<h2>{html.escape(title)}</h2>\n{_html_table(rows)}" for title, rows in tables),
            legend="".join(f"<li>{html.escape(text)}</li>" for text in legend(shown(lines))),
            pairs="".join(f"{pair}</div>\n" for pair in self._pairs),
        )
        (self.folder / "report.html").write_text(page, encoding="utf-8")
        return lines

    def _figure(self, image: AnyImage, hole: HoleMask, title: str, text: str) -> str:
        self._pictures += 1
        name = f"pictures/{self._pictures:05d}.jpg"
        (self.folder / name).write_bytes(_jpeg(image, hole))
        escaped = html.escape(title)
        picture = f'<img src="{name}" alt="{escaped}" loading=lazy>'
        return f"<figure>{picture}<figcaption><b>{escaped}</b> {html.escape(text)}</figcaption></figure>"

    @staticmethod
    def _append(path: Path, rows: Sequence[Sequence[str]]) -> None:
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def _marked(pair: Pair) -> NDArray[np.uint8]:
    """(H, W, 3): the hole tinted, and what is behind it still to be seen."""
    pixels = levels(pair.image)
    return np.asarray(np.where(pair.hole[..., None], 0.5 * pixels + 0.5 * _MASK_COLOUR, pixels), np.uint8)


def _jpeg(image: AnyImage, hole: HoleMask) -> bytes:
    """The hole and what is around it, with a longest side of 720 pixels at most."""
    box = tight_box(hole)
    cut = image
    if box is not None:
        context = max(_LEAST_CONTEXT_PX, max(box.width, box.height) // 2)
        cut = image[box.grown(context).clipped(*hole.shape).slices]
    pixels = levels(cut)
    scale = _LONGEST_PX / max(pixels.shape[:2])
    if scale < 1:
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    bgr = np.clip(np.rint(pixels[..., ::-1]), 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()


def _html_table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the head."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows[1:])
    return f"<div class=scroll><table><tr>{head}</tr>\n{body}</table></div>"


def _cell(text: str) -> str:
    """The best of its column stands between asterisks."""
    return f"<td{' class=best' if text.startswith('**') else ''}>{html.escape(text.strip('*'))}</td>"
