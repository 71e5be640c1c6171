"""Input with mask, Telea, Navier-Stokes and patchmatch side by side; writes docs/images/contact-sheet.jpg.

PYTHONPATH=server:models python -m bench.contact_sheet
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from inpaint_models.evaluation.comparison import Fill

from .quality import engines
from .scenes import HoleMask, Photo, disc_mask, photograph, polygon_mask, stroke_mask

_PICTURE = Path(__file__).parent.parent / "docs" / "images" / "contact-sheet.jpg"
_COLUMN_PX = 300
_GAP_PX = 6
_HEAD_PX = 22
_MASK_COLOUR = (255, 0, 160)
_ENGINES = ("Telea", "Navier-Stokes", "patchmatch")


def scenes() -> list[tuple[Photo, HoleMask]]:
    """The last one is beyond what copying can do: a face."""
    coffee, rocket, camera, astronaut, chelsea, grass, brick, motorcycle = (
        photograph(f"{name}")
        for name in (
            "coffee.png", "rocket.jpg", "camera.png", "astronaut.png", "chelsea.png", "grass.png", "brick.png",
            "motorcycle_left.png",
        )
    )  # fmt: skip
    spoon = ((392, 58), (428, 58), (428, 85), (402, 212), (416, 262), (412, 332), (322, 332), (318, 250), (372, 212))
    return [
        (coffee, polygon_mask(400, 600, spoon)),
        (rocket, polygon_mask(427, 640, ((298, 115), (355, 115), (355, 392), (298, 392)))),
        (camera, polygon_mask(512, 512, ((405, 105), (512, 105), (512, 222), (405, 222)))),
        (astronaut, polygon_mask(512, 512, ((350, 0), (486, 0), (494, 286), (342, 286)))),
        (grass, disc_mask(512, 512, 0.16)),
        (brick, disc_mask(512, 512, 0.16)),
        (chelsea, stroke_mask(300, 451, "thin", 9001)),
        (motorcycle, stroke_mask(500, 741, "medium", 9001)),
        (astronaut, polygon_mask(512, 512, ((180, 80), (262, 80), (262, 150), (180, 150)))),
    ]


def row(truth: Photo, hole: HoleMask, fills: Mapping[str, Fill]) -> Photo:
    damaged = np.where(hole[..., None], np.uint8(128), truth)
    painted = np.where(hole[..., None], np.array(_MASK_COLOUR, np.uint8), truth)
    pictures = [painted, *(fills[name](damaged, hole) for name in _ENGINES)]
    height = round(truth.shape[0] * _COLUMN_PX / truth.shape[1])
    small = [cv2.resize(each, (_COLUMN_PX, height), interpolation=cv2.INTER_AREA) for each in pictures]
    gap = np.full((height, _GAP_PX, 3), 255, np.uint8)
    return np.hstack([part for each in small for part in (each, gap)][:-1])


def sheet() -> Image.Image:
    fills = engines()
    rows = [row(*scene, fills) for scene in scenes()]
    width = rows[0].shape[1]
    canvas = Image.new("RGB", (width, _HEAD_PX + sum(each.shape[0] + _GAP_PX for each in rows)), "white")
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(("input and mask", *_ENGINES)):
        draw.text((column * (_COLUMN_PX + _GAP_PX) + 4, 5), title, fill="black")
    top = _HEAD_PX
    for each in rows:
        canvas.paste(Image.fromarray(each), (0, top))
        top += each.shape[0] + _GAP_PX
    return canvas


def main() -> None:
    _PICTURE.parent.mkdir(parents=True, exist_ok=True)
    sheet().save(_PICTURE, quality=74, optimize=True)
    print(f"{_PICTURE.name}: {_PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
