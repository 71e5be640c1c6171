"""The page and the server mean the same pixels by the same shapes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from driver import App
from pydantic import TypeAdapter

from lama_server.masks import rasterise
from lama_server.shapes import Shape

WIDTH, HEIGHT = 320, 240
DRAW = """
async ({ shapes, width, height }) => {
  const main = document.querySelector("script[type=module]").src;
  const { drawShape, setInk } = await import(new URL("./canvas/ink-layer.js", main));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  setInk(context, "#f0f");
  for (const shape of shapes) drawShape(context, shape);
  const { data } = context.getImageData(0, 0, width, height);
  return Array.from({ length: width * height }, (_, i) => (data[i * 4 + 3] >= 128 ? 1 : 0));
}
"""


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


@pytest.mark.parametrize("seeds", [range(20), range(20, 40)], ids=str)
def test_the_browser_and_the_server_draw_the_same_mask(app: App, seeds: range) -> None:
    for seed in seeds:
        shapes = random_shapes(seed)
        drawn = app.page.evaluate(DRAW, {"shapes": shapes, "width": WIDTH, "height": HEIGHT})
        browser = np.array(drawn, dtype=bool).reshape(HEIGHT, WIDTH)
        mask = rasterise(TypeAdapter(list[Shape]).validate_python(shapes), WIDTH, HEIGHT)
        server = np.zeros_like(browser)
        box = mask.box
        server[box.y0 : box.y1, box.x0 : box.x1] = mask.coverage >= 128
        overlap = (browser & server).sum() / max(1, (browser | server).sum())
        assert overlap >= 0.99, f"seed {seed}: overlap {overlap:.4f} of {shapes}"
