"""Draws the page's icons: frontend/icon.svg, frontend/icons/{192,512,maskable-512}.png. Run as `python -m tools.icons`.

The mark is a white stroke of a brush, with a speck beside it, on pink. The maskable icon has its ground up to the edges
and the mark inside the circle that every platform leaves: four fifths of the width.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

FRONTEND = Path(__file__).resolve().parents[1] / "frontend"
GROUND, INK = "#c90f61", "#ffffff"
GRID = 32
"""The mark is drawn on a square of so many units, as the SVG."""
RADIUS = 8.0
STROKE = 3.0
SPECK = (24.0, 10.0, 1.8)
START = (8.0, 21.5)
CURVES = (
    ((2.5, -1.0), (4.2, -8.5), (7.0, -9.5)),
    ((2.0, -0.7), (1.3, 5.5), (3.3, 6.0)),
    ((1.7, 0.4), (2.2, -3.0), (3.7, -5.0)),
)
"""Cubic curves, each as its two handles and its end, counted from where it begins."""
MASKABLE_SHARE = 0.72
OVERSAMPLING = 4
STEPS = 64

Point = tuple[float, float]


def main() -> None:
    (FRONTEND / "icons").mkdir(exist_ok=True)
    (FRONTEND / "icon.svg").write_text(svg() + "\n", encoding="utf-8")
    for name, size_px, maskable in (("192", 192, False), ("512", 512, False), ("maskable-512", 512, True)):
        draw(size_px, maskable).save(FRONTEND / "icons" / f"{name}.png", optimize=True)


def svg() -> str:
    path = f"M{START[0]:g} {START[1]:g}" + "".join("c" + " ".join(f"{x:g} {y:g}" for x, y in curve) for curve in CURVES)
    x, y, radius = SPECK
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {GRID} {GRID}">'
        f'<rect width="{GRID}" height="{GRID}" rx="{RADIUS:g}" fill="{GROUND}"/>'
        f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="{STROKE:g}" stroke-linecap="round"/>'
        f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{INK}"/></svg>'
    )


def draw(size_px: int, maskable: bool) -> Image.Image:
    full_px = size_px * OVERSAMPLING
    picture = Image.new("RGBA", (full_px, full_px), GROUND if maskable else (0, 0, 0, 0))
    brush = ImageDraw.Draw(picture)
    unit = full_px / GRID
    if not maskable:
        brush.rounded_rectangle((0, 0, full_px - 1, full_px - 1), RADIUS * unit, fill=GROUND)
    share = MASKABLE_SHARE if maskable else 1.0
    scale, shift = unit * share, full_px * (1 - share) / 2
    for x, y in points():
        dot(brush, (shift + x * scale, shift + y * scale), STROKE / 2 * scale)
    dot(brush, (shift + SPECK[0] * scale, shift + SPECK[1] * scale), SPECK[2] * scale)
    return picture.resize((size_px, size_px), Image.Resampling.LANCZOS)


def points() -> list[Point]:
    """Along the curves, so close that dots of the stroke's width make a line."""
    found, (x, y) = [START], START
    for a, b, end in CURVES:
        for step in range(1, STEPS + 1):
            t = step / STEPS
            weights = 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            found.append((x + _mixed(weights, a[0], b[0], end[0]), y + _mixed(weights, a[1], b[1], end[1])))
        x, y = x + end[0], y + end[1]
    return found


def _mixed(weights: tuple[float, float, float], *values: float) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def dot(brush: ImageDraw.ImageDraw, centre: Point, radius_px: float) -> None:
    x, y = centre
    brush.ellipse((x - radius_px, y - radius_px, x + radius_px, y + radius_px), fill=INK)


if __name__ == "__main__":
    main()
