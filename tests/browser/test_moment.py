"""The moment of a fill: what was painted over is never seen again, from the first preview to the result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from browser.driver import OpenApp

STREAM = """() => {
  const real = window.fetch;
  window.fetch = (url, options) => {
    if (!String(url).endsWith("/api/v1/edits")) return real(url, options);
    const start = (stream) => {
      window.tell = (line) => stream.enqueue(new TextEncoder().encode(`${JSON.stringify(line)}\\n`));
      window.end = () => stream.close();
    };
    return Promise.resolve(new Response(new ReadableStream({ start })));
  };
}"""
"""Fills are told line by line by the test."""
WATCH = """([x, y]) => {
  window.seen = [];
  const look = () => {
    window.seen.push(lama.stage.probe(x, y).slice(0, 3));
    requestAnimationFrame(look);
  };
  look();
}"""
BOX = {"x": 40, "y": 40, "w": 120, "h": 60}
COLOURS = {"first": (255, 0, 0), "second": (0, 255, 0), "result": (0, 0, 255)}


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_what_was_painted_over_does_not_shine_through_between_previews_and_the_result(
    open_app: OpenApp, motion: str, tmp_path: Path, tolerated: list[str]
) -> None:
    app = open_app(reduced_motion=motion)
    tolerated.append("404")  # the server knows nothing of this fill when it is to be saved
    black = tmp_path / "black.png"
    Image.new("RGB", (200, 150)).save(black)
    app.open(black)
    app.settle()
    for name, colour in COLOURS.items():
        Image.new("RGB", (BOX["w"], BOX["h"]), colour).save(tmp_path / f"{name}.png")
    app.page.route(
        re.compile(r"/(first|second|result)\.png$"),
        lambda route: route.fulfill(path=tmp_path / route.request.url.rpartition("/")[2]),
    )
    app.page.evaluate(STREAM)
    app.paint([(60.0, 70.0), (140.0, 70.0)])
    app.wait("typeof window.tell === 'function'")

    def tell(kind: str, **more: Any) -> None:
        app.page.evaluate("line => window.tell(line)", {"type": kind, "job": "1", "run": 0, **more})

    def shown(name: str) -> None:
        x, y = app.on_stage((100.0, 70.0))
        app.wait(f"lama.stage.probe({x}, {y}).slice(0, 3).join() === '{','.join(map(str, COLOURS[name]))}'")

    tell("preview", url="/first.png", **BOX)
    shown("first")
    app.page.evaluate(WATCH, list(app.on_stage((100.0, 70.0))))
    tell("preview", url="/second.png", **BOX)
    shown("second")
    made = {"edit": "e", "model": "opencv", "seed": 1, "strategy": "crop", "ms": 9, "load_ms": 0}
    tell("result", patches=[{"url": "/result.png", **BOX}], **made)
    app.page.evaluate("window.end()")
    app.wait_for_edits(1)
    app.settle()
    shown("result")
    app.wait("lama.bitmaps.counts().estimates === 0")
    seen = {tuple(colour) for colour in app.page.evaluate("window.seen")}
    assert seen >= set(COLOURS.values())
    assert min(sum(colour) for colour in seen) > 240, "colours that fade into each other are as light as one"
    if motion == "reduce":
        assert seen == set(COLOURS.values()), "nothing fades for people who do not want motion"
