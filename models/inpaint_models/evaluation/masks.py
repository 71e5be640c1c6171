"""Random masks as published evaluations draw them.

LaMa (Suvorov et al. 2022): configs/data_gen/random_{thin,medium,thick}_{256,512}.yaml and
saicinpainting/training/data/masks.py of github.com/advimman/lama. MAT (Li et al. 2022), after CoModGAN (Zhao et al.
2021): datasets/mask_generator_512.py and mask_generator_512_small.py of github.com/fenglinglwb/MAT.

Each is defined for a square of 256 or 512 pixels. Here lengths are scaled by the photo's shorter side, and the mask is
drawn over the whole photo instead of a square cut from it; on a square of that size the distribution is the published
one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidMask
from ..types import HoleMask

_ATTEMPTS = 1000
_TWO_PI = 2 * np.pi

Canvas = NDArray[np.uint8]
Draw = Callable[[Canvas, float, np.random.Generator], None]
"""Sets pixels of the canvas to 1; the scale is that of the photo to the published square."""


@dataclass(frozen=True, slots=True)
class Strokes:
    """LaMa's irregular masks: polylines of 1 to 5 segments, the width drawn anew for each segment.

    The published code passes one more than `most` on, so that many are drawn at most: `most` + 1.
    """

    least: int
    most: int
    width_px: int
    length_px: int

    def __call__(self, canvas: Canvas, scale: float, rng: np.random.Generator) -> None:
        height, width = canvas.shape
        for index in range(rng.integers(self.least, self.most + 2)):
            x, y = int(rng.integers(width)), int(rng.integers(height))
            for _ in range(rng.integers(1, 6)):
                angle = (0.01 + rng.integers(4)) * (-1 if index % 2 == 0 else 1)  # whole radians, as published
                length = scale * (10 + rng.integers(self.length_px))
                thickness = max(1, round(scale * (5 + rng.integers(self.width_px))))
                to_x = int(np.clip(x + length * np.sin(angle), 0, width))
                to_y = int(np.clip(y + length * np.cos(angle), 0, height))
                cv2.line(canvas, (x, y), (to_x, to_y), 1, thickness)
                x, y = to_x, to_y


@dataclass(frozen=True, slots=True)
class Boxes:
    """LaMa's boxes, which keep a margin to the photo's edge."""

    least: int
    most: int
    margin_px: int
    least_side_px: int
    most_side_px: int

    def __call__(self, canvas: Canvas, scale: float, rng: np.random.Generator) -> None:
        height, width = canvas.shape
        margin = min(round(scale * self.margin_px), (min(height, width) - 1) // 2)
        room = min(height, width) - 2 * margin
        least = min(max(1, round(scale * self.least_side_px)), room)
        most = min(max(least, round(scale * self.most_side_px)), room)
        for _ in range(rng.integers(self.least, self.most + 1)):
            box_width, box_height = rng.integers(least, most + 1, 2)
            x = rng.integers(margin, width - margin - box_width + 1)
            y = rng.integers(margin, height - margin - box_height + 1)
            canvas[y : y + box_height, x : x + box_width] = 1


@dataclass(frozen=True, slots=True)
class EitherOf:
    """LaMa's mixture: strokes with weight 1, boxes with weight `box_weight`; never both."""

    strokes: Strokes
    boxes: Boxes
    box_weight: float

    def __call__(self, canvas: Canvas, scale: float, rng: np.random.Generator) -> None:
        chosen = self.boxes if rng.random() < self.box_weight / (1 + self.box_weight) else self.strokes
        chosen(canvas, scale, rng)


@dataclass(frozen=True, slots=True)
class FreeForm:
    """MAT's masks: boxes of up to half the side, boxes of up to the whole side, and brush strokes, all together.

    Of each there are fewer than the number here, possibly none. Boxes may reach over the edge by half their size.
    """

    half_boxes: int
    full_boxes: int
    brushes: int

    def __call__(self, canvas: Canvas, scale: float, rng: np.random.Generator) -> None:
        for count, share in ((self.half_boxes, 2), (self.full_boxes, 1)):
            for _ in range(rng.integers(count)):
                _box_over_the_edge(canvas, share, rng)
        for _ in range(rng.integers(self.brushes)):
            _brush(canvas, scale, rng)
        for axis in (0, 1):
            if rng.random() > 0.5:
                canvas[:] = np.flip(canvas, axis).copy()


def _box_over_the_edge(canvas: Canvas, share: int, rng: np.random.Generator) -> None:
    height, width = canvas.shape
    box_width, box_height = rng.integers(max(1, width // share)), rng.integers(max(1, height // share))
    x = rng.integers(-(box_width // 2), width - box_width + box_width // 2 + 1)
    y = rng.integers(-(box_height // 2), height - box_height + box_height // 2 + 1)
    canvas[max(0, y) : max(0, y + box_height), max(0, x) : max(0, x + box_width)] = 1


def _brush(canvas: Canvas, scale: float, rng: np.random.Generator) -> None:
    """4 to 17 segments that turn by about 72 degrees, now left, now right; width 12 to 48 px of 512."""
    height, width = canvas.shape
    radius = float(np.hypot(height, width)) / 8
    low, high = _TWO_PI / 5 - rng.uniform(0, _TWO_PI / 15), _TWO_PI / 5 + rng.uniform(0, _TWO_PI / 15)
    points = [(int(rng.integers(width)), int(rng.integers(height)))]
    for index in range(rng.integers(4, 18)):
        angle = rng.uniform(low, high) * (-1 if index % 2 == 0 else 1)
        length = np.clip(rng.normal(radius, radius // 2), 0, 2 * radius)
        x, y = points[-1]
        points.append(
            (
                int(np.clip(x + length * np.cos(angle), 0, width)),
                int(np.clip(y + length * np.sin(angle), 0, height)),
            )
        )
    thickness = max(1, int(scale * rng.uniform(12, 48)))
    cv2.polylines(canvas, [np.array(points, np.int32)], False, 1, thickness)
    for point in points:
        cv2.circle(canvas, point, thickness // 2, 1, -1)


@dataclass(frozen=True, slots=True)
class Sampler:
    """A published distribution of masks.

    side_px   of the square that it is published for
    most_area masks over this share of the photo are drawn again
    """

    about: str
    side_px: int
    draw: Draw
    most_area: float

    def __call__(self, height: int, width: int, seed: int) -> HoleMask:
        """(H, W), neither empty nor full. Raises `InvalidMask` where the photo is too small for one."""
        rng = np.random.default_rng((seed, zlib.crc32(self.about.encode())))
        for _ in range(_ATTEMPTS):
            canvas = np.zeros((height, width), np.uint8)
            self.draw(canvas, min(height, width) / self.side_px, rng)
            if 0 < (area := float(canvas.mean())) <= self.most_area and area < 1:
                return canvas.astype(np.bool_)
        raise InvalidMask(f"No mask of this kind fits into {width}x{height} (width x height). Use larger photos.")


_LAMA_AREA = 0.5
_THICK_BOXES = Boxes(1, 4, margin_px=10, least_side_px=30, most_side_px=300)

SAMPLERS: Mapping[str, Sampler] = {
    "lama-thin": Sampler("LaMa, thin strokes (512)", 512, Strokes(4, 70, 20, 100), _LAMA_AREA),
    "lama-medium": Sampler(
        "LaMa, medium strokes and boxes (512)",
        512,
        EitherOf(Strokes(4, 10, 100, 200), Boxes(1, 5, margin_px=0, least_side_px=30, most_side_px=150), 0.3),
        _LAMA_AREA,
    ),
    "lama-thick": Sampler(
        "LaMa, thick strokes and boxes (512)", 512, EitherOf(Strokes(1, 5, 250, 450), _THICK_BOXES, 0.3), _LAMA_AREA
    ),
    "lama-boxes": Sampler("LaMa, the boxes of the thick masks alone (512)", 512, _THICK_BOXES, _LAMA_AREA),
    "lama-thin-256": Sampler("LaMa, thin strokes (256)", 256, Strokes(4, 50, 10, 40), _LAMA_AREA),
    "lama-medium-256": Sampler(
        "LaMa, medium strokes and boxes (256)",
        256,
        EitherOf(Strokes(4, 5, 50, 100), Boxes(1, 5, margin_px=0, least_side_px=10, most_side_px=50), 0.3),
        _LAMA_AREA,
    ),
    "lama-thick-256": Sampler(
        "LaMa, thick strokes and boxes (256)",
        256,
        EitherOf(Strokes(1, 5, 100, 200), Boxes(1, 3, margin_px=10, least_side_px=30, most_side_px=150), 0.3),
        _LAMA_AREA,
    ),
    "mat": Sampler("MAT, large free-form masks (512)", 512, FreeForm(5, 3, 9), 1.0),
    "mat-small": Sampler("MAT, small free-form masks (512)", 512, FreeForm(3, 2, 4), 1.0),
}
