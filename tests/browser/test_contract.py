"""The page and the server mean the same pixels by the same shapes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from browser.driver import App
from lama_server.imaging.masks import rasterise
from lama_server.schemas.shapes import Shape

WIDTH, HEIGHT = 320, 240
DRAW = """
async ({ drawings, width, height }) => {
  const main = document.querySelector("script[type=module]").src;
  const { drawShape, setInk } = await import(new URL("./canvas/ink-layer.js", main));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return drawings.map((shapes) => {
    context.reset();
    setInk(context, "#f0f");
    for (const shape of shapes) drawShape(context, shape);
    const { data } = context.getImageData(0, 0, width, height);
    const turns = [];
    let on = false;
    for (let i = 0; i < width * height; i++) {
      if ((data[i * 4 + 3] >= 128) === on) continue;
      turns.push(i);
      on = !on;
    }
    return turns;
  });
}
"""
"""For each drawing the pixels at which painted begins and ends, row by row."""


def random_shapes(seed: int) -> list[dict[str, Any]]:
    """A few strokes, rectangles and outlines, painted and erased, some beyond the photo's edge."""
    dice = random.Random(seed)

    def path(count: int) -> list[int]:
        start = [dice.randint(-80, 4 * WIDTH + 80), dice.randint(-80, 4 * HEIGHT + 80)]
        return start + [dice.randint(-240, 240) for _ in range(2 * count)]

    def shape(op: str) -> dict[str, Any]:
        kind = dice.choice(["stroke", "stroke", "stroke", "rect", "poly"])
        if kind == "stroke":
            return {"op": op, "kind": kind, "d": dice.choice([10, 17.5, 32, 60.25]), "p": path(dice.randint(0, 12))}
        if kind == "rect":
            x, y = dice.randint(-20, WIDTH), dice.randint(-20, HEIGHT)
            return {"op": op, "kind": kind, "x": x, "y": y, "w": dice.randint(1, 120), "h": dice.randint(1, 120)}
        return {"op": op, "kind": kind, "p": path(dice.randint(2, 8))}

    first = {"op": "add", "kind": "stroke", "d": 40, "p": [4 * WIDTH // 2, 4 * HEIGHT // 2, 100, 60]}
    return [first, *(shape(dice.choice(["add", "add", "sub"])) for _ in range(4))]


def in_browser(app: App, drawings: list[list[dict[str, Any]]]) -> list[NDArray[np.bool_]]:
    masks = []
    for turns in app.page.evaluate(DRAW, {"drawings": drawings, "width": WIDTH, "height": HEIGHT}):
        mask = np.zeros(WIDTH * HEIGHT, dtype=bool)
        mask[turns] = True
        masks.append(np.logical_xor.accumulate(mask).reshape(HEIGHT, WIDTH))
    return masks


def in_server(shapes: list[dict[str, Any]]) -> NDArray[np.bool_]:
    mask = rasterise(TypeAdapter(list[Shape]).validate_python(shapes), WIDTH, HEIGHT)
    full = np.zeros((HEIGHT, WIDTH), dtype=bool)
    full[mask.box.y0 : mask.box.y1, mask.box.x0 : mask.box.x1] = mask.coverage >= 128
    return full


def near_its_outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels that touch one of another value, corner to corner included."""
    padded = np.pad(mask, 1, mode="edge")
    moves = [(y, x) for y in range(3) for x in range(3)]
    near: NDArray[np.bool_] = np.logical_or.reduce([padded[y : y + HEIGHT, x : x + WIDTH] != mask for y, x in moves])
    return near


def test_the_browser_and_the_server_draw_the_same_mask(app: App) -> None:
    drawings = [random_shapes(seed) for seed in range(60)]
    both = either = 0
    for seed, (shapes, browser) in enumerate(zip(drawings, in_browser(app, drawings), strict=True)):
        server = in_server(shapes)
        astray = (browser != server) & ~near_its_outline(server) & ~near_its_outline(browser)
        assert not astray.any(), f"seed {seed}: {astray.sum()} pixels differ away from the outline of {shapes}"
        both, either = both + (browser & server).sum(), either + (browser | server).sum()
    assert both / either >= 0.99


@pytest.mark.parametrize("diameter", [10, 25, 60])
def test_a_stroke_covers_the_same_pixels_in_browser_and_server(app: App, diameter: int) -> None:
    dice = random.Random(diameter)
    drawings = []
    for _ in range(10):
        steps = [dice.randint(-160, 160) for _ in range(12)]
        drawings.append([{"op": "add", "kind": "stroke", "d": diameter, "p": [640, 480, *steps]}])
    both = either = 0
    for shapes, browser in zip(drawings, in_browser(app, drawings), strict=True):
        server = in_server(shapes)
        both, either = both + (browser & server).sum(), either + (browser | server).sum()
    assert both / either >= 0.99
