"""Draws the page's sample photos and the pictures of kinds of models, into frontend/samples: `python -m tools.samples`.

Everything in them is drawn by this file, so that they may be shown and given away with the program.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Canvas = NDArray[np.float32]

FOLDER = Path(__file__).resolve().parents[1] / "frontend" / "samples"
SIZE = (1800, 1200)
DEMO_SIZE = (900, 600)
SMALL_SIZE = (168, 112)
KIND_SIZE = (512, 288)
GRAIN = 2.5
BRIGHT = (248, 243, 232, 255)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    beach, meadow = beach_scene("passer-by", "umbrella"), meadow_scene(with_wires=True)
    for name, scene in (("beach", beach), ("meadow", meadow)):
        save(scene, name, 88)
        save(scene.resize(SMALL_SIZE, Image.Resampling.LANCZOS), f"{name}-small", 84)
    save(beach.resize(DEMO_SIZE, Image.Resampling.LANCZOS), "beach-demo", 82)
    clean = beach_scene("umbrella")
    save(clean.resize(DEMO_SIZE, Image.Resampling.LANCZOS), "beach-demo-after", 82)
    kind("quick", meadow, meadow_scene(with_wires=False), (420, 60, 960))
    kind("natural", beach, clean, (858, 610, 520))
    kind("creative", beach, beach_scene(), (1180, 620, 600))
    boat = beach_scene("umbrella", "boat")
    kind("words", boat, boat, (560, 340, 640))


def kind(name: str, before: Image.Image, after: Image.Image, crop: tuple[int, int, int]) -> None:
    """A picture whose left half is as before and whose right half as after; the crop is (x, y, width)."""
    x, y, width = crop
    box = (x, y, x + width, y + width * KIND_SIZE[1] // KIND_SIZE[0])
    made, left = (each.crop(box).resize(KIND_SIZE, Image.Resampling.LANCZOS) for each in (after, before))
    made.paste(left.crop((0, 0, KIND_SIZE[0] // 2, KIND_SIZE[1])), (0, 0))
    save(made, f"kind-{name}", 80)


def save(picture: Image.Image, name: str, quality: int) -> None:
    picture.save(FOLDER / f"{name}.jpg", quality=quality, optimize=True, progressive=True)


def noise(rng: np.random.Generator, height_px: float, width_px: float) -> Canvas:
    """Clouds of noise between -1 and 1, of about that size, with finer ones in them."""
    width, height = SIZE
    total = np.zeros((height, width), np.float32)
    for octave in range(5):
        rows, columns = (
            max(2, int(side / scale * 2**octave)) for side, scale in ((height, height_px), (width, width_px))
        )
        coarse = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
        total += cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC) * 0.5**octave
    return np.asarray(total / 1.9, np.float32)


def gradient(stops: list[tuple[float, tuple[int, int, int]]]) -> Canvas:
    """Colours from top to bottom, as (H, W, 3)."""
    rows = np.linspace(0, 1, SIZE[1])
    heights = [at for at, _ in stops]
    channels = [np.interp(rows, heights, [colour[i] for _, colour in stops]) for i in range(3)]
    return np.repeat(np.stack(channels, -1)[:, None], SIZE[0], 1).astype(np.float32)


def beach_scene(*things: Literal["passer-by", "umbrella", "boat"]) -> Image.Image:
    rng = np.random.default_rng(7)
    sky = gradient([(0, (62, 118, 178)), (0.3, (150, 190, 214)), (0.42, (244, 222, 182)), (1, (244, 222, 182))])
    clouds = np.clip(noise(rng, 90, 420) - 0.05, 0, 1)[..., None] ** 0.8
    scene = sky * (1 - 0.55 * clouds) + np.array([255, 246, 232], np.float32) * 0.55 * clouds
    rows = np.arange(SIZE[1], dtype=np.float32)[:, None]
    depth = np.clip((rows - 480) / 220, 0, 1)
    ripples = noise(rng, 10, 130) * (0.4 + depth)
    sea = gradient([(0, (52, 104, 124)), (0.4, (52, 104, 124)), (0.58, (96, 160, 164)), (1, (120, 178, 176))])
    sea = np.asarray(sea + (ripples * 34)[..., None], np.float32)
    shore = 700 + 14 * noise(rng, 4000, 330)
    scene = blend(scene, sea, rows - 480, 2)
    foam = np.exp(-(((rows - shore + 10) / 9) ** 2))[..., None] * (0.6 + 0.4 * noise(rng, 20, 90))[..., None]
    sand = gradient([(0, (168, 142, 108)), (0.58, (176, 150, 114)), (0.64, (208, 184, 146)), (1, (222, 198, 160))])
    sand = sand + (noise(rng, 34, 150) * 13 + noise(rng, 5, 9) * 7)[..., None]
    scene = blend(scene, sand, rows - shore, 5)
    scene = scene * (1 - np.clip(foam, 0, 1)) + 252 * np.clip(foam, 0, 1)
    picture = finished(scene)
    hills(picture)
    if "boat" in things:
        boat(picture, 880, 560)
    if "umbrella" in things:
        umbrella(picture, 1480, 800)
    if "passer-by" in things:
        passer_by(picture, 1118, 820)
    return grained(picture)


def meadow_scene(*, with_wires: bool) -> Image.Image:
    rng = np.random.default_rng(21)
    sky = gradient([(0, (84, 130, 190)), (0.45, (198, 216, 226)), (1, (198, 216, 226))])
    clouds = np.clip(noise(rng, 130, 380) + 0.1, 0, 1)[..., None]
    scene = sky * (1 - 0.7 * clouds) + 252 * 0.7 * clouds
    rows = np.arange(SIZE[1], dtype=np.float32)[:, None]
    far = 560 + 60 * noise(rng, 4000, 900)
    scene = blend(scene, np.full_like(scene, (116, 140, 132)) + (noise(rng, 20, 40) * 6)[..., None], rows - far, 2)
    near = 660 + 34 * noise(rng, 4000, 700)
    blades = noise(rng, 70, 7) * 24 + noise(rng, 26, 5) * 16
    green = gradient([(0, (116, 148, 70)), (0.55, (126, 156, 74)), (1, (72, 104, 42))])
    grass = green + blades[..., None] * np.array([0.9, 1, 0.5], np.float32)
    scene = blend(scene, grass, rows - near, 3)
    picture = finished(scene)
    draw = ImageDraw.Draw(picture)
    for x in range(120, 1800, 235):  # posts of a fence, and what should go: two wires across the sky
        draw.rectangle((x, 690, x + 13, 850), fill=(96, 78, 60))
    for y in (725, 785):
        draw.line([(0, y), (1800, y + 8)], fill=(112, 98, 84), width=5)
    for y in (150, 190) if with_wires else ():
        draw.line([(x, y + 60 - 60 * ((x - 900) / 900) ** 2) for x in range(0, 1801, 20)], fill=(48, 50, 54), width=5)
    picture.paste(picture.filter(ImageFilter.GaussianBlur(0.8)))
    return grained(picture)


def blend(under: Canvas, over: Canvas, distance: Canvas, soft_px: float) -> Canvas:
    """`over` where the distance is above 0, with an edge of so many pixels."""
    share = np.clip(distance / soft_px + 0.5, 0, 1)
    if share.shape[1] == 1:
        share = np.repeat(share, SIZE[0], 1)
    blended: Canvas = under * (1 - share[..., None]) + over * share[..., None]
    return blended


def finished(scene: Canvas) -> Image.Image:
    return Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))


def grained(picture: Image.Image) -> Image.Image:
    """With the noise of a camera."""
    pixels = np.asarray(picture, np.float32)
    grain = np.random.default_rng(3).normal(0, GRAIN, pixels.shape[:2]).astype(np.float32)
    return Image.fromarray(np.clip(pixels + grain[..., None], 0, 255).astype(np.uint8))


def layer() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A transparent picture of twice the size, for smooth edges."""
    image = Image.new("RGBA", (SIZE[0] * 2, SIZE[1] * 2))
    return image, ImageDraw.Draw(image)


def lay(picture: Image.Image, image: Image.Image, blur: float = 0) -> None:
    small = image.resize(SIZE, Image.Resampling.LANCZOS)
    picture.paste(small, (0, 0), small.filter(ImageFilter.GaussianBlur(blur)) if blur else small)


def hills(picture: Image.Image) -> None:
    image, draw = layer()
    draw.polygon([(2100, 962), (2700, 870), (3100, 800), (3600, 690), (3600, 962)], fill=(104, 116, 126, 255))
    draw.polygon([(2500, 962), (3000, 900), (3600, 790), (3600, 962)], fill=(88, 100, 104, 255))
    lay(picture, image)


def shadow(picture: Image.Image, x: int, y: int, length: int, width: int) -> None:
    image, draw = layer()
    far_x, far_y = 2 * (x + length), 2 * y + length
    corners = [(2 * x - width, 2 * y), (2 * x + width, 2 * y), (far_x, far_y), (far_x - 60, far_y + 22)]
    draw.polygon(corners, fill=(88, 66, 52, 150))
    lay(picture, image.filter(ImageFilter.GaussianBlur(8)))


def passer_by(picture: Image.Image, x: int, y: int) -> None:
    """Feet at (x, y + 100)."""
    shadow(picture, x, y + 96, 210, 22)
    image, draw = layer()
    cx, top = 2 * x, 2 * (y - 116)
    skin, shirt, trousers = (196, 142, 112, 255), (214, 58, 52, 255), (66, 52, 92, 255)
    draw.rounded_rectangle((cx - 26, top + 260, cx - 4, top + 424), 11, fill=skin)
    draw.rounded_rectangle((cx + 4, top + 260, cx + 26, top + 424), 11, fill=skin)
    draw.rounded_rectangle((cx - 36, top + 210, cx + 36, top + 320), 20, fill=trousers)
    draw.rounded_rectangle((cx - 60, top + 92, cx - 38, top + 222), 11, fill=skin)
    draw.rounded_rectangle((cx + 38, top + 92, cx + 60, top + 222), 11, fill=skin)
    draw.rounded_rectangle((cx - 46, top + 76, cx + 46, top + 236), 26, fill=shirt)
    draw.ellipse((cx - 28, top, cx + 28, top + 68), fill=skin)
    draw.pieslice((cx - 31, top - 8, cx + 31, top + 56), 180, 360, fill=(52, 36, 30, 255))
    draw.rounded_rectangle((cx + 10, top + 92, cx + 46, top + 224), 16, fill=(186, 44, 44, 255))
    lay(picture, image)


def boat(picture: Image.Image, x: int, y: int) -> None:
    """A sailing boat whose hull lies at (x, y)."""
    image, draw = layer()
    cx, hull = 2 * x, 2 * y
    draw.polygon(
        [(cx - 150, hull - 34), (cx + 170, hull - 34), (cx + 110, hull + 22), (cx - 110, hull + 22)], fill=BRIGHT
    )
    draw.line([(cx - 150, hull - 22), (cx + 164, hull - 22)], fill=(206, 52, 48, 255), width=14)
    draw.rectangle((cx - 4, hull - 330, cx + 4, hull - 30), fill=(120, 96, 72, 255))
    draw.polygon([(cx + 14, hull - 320), (cx + 14, hull - 56), (cx + 150, hull - 56)], fill=BRIGHT)
    draw.polygon([(cx - 14, hull - 290), (cx - 14, hull - 56), (cx - 122, hull - 56)], fill=(232, 222, 204, 255))
    lay(picture, image)


def umbrella(picture: Image.Image, x: int, y: int) -> None:
    shadow(picture, x, y + 90, 150, 60)
    image, draw = layer()
    cx, top = 2 * x, 2 * (y - 90)
    draw.rectangle((cx - 5, top, cx + 5, top + 366), fill=(236, 232, 222, 255))
    for index in range(6):
        colour = (206, 52, 48, 255) if index % 2 == 0 else (246, 240, 228, 255)
        draw.pieslice((cx - 190, top - 60, cx + 190, top + 260), 180 + 30 * index, 210 + 30 * index, fill=colour)
    towel = [(cx - 130, top + 380), (cx + 90, top + 366), (cx + 150, top + 396), (cx - 90, top + 412)]
    draw.polygon(towel, fill=(58, 120, 140, 255))
    lay(picture, image)


if __name__ == "__main__":
    main()
