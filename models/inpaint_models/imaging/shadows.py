"""The shadow that a thing casts: ground beside it that is darker than around, of the same hue, and touches the thing.

A shadow takes away a share of the light, so that colours there are those of the lit ground times a factor (Horprasert,
Harwood, Davis, "A Statistical Approach for Real-time Robust Background Subtraction and Shadow Detection", 1999).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import HOLE_THRESHOLD, Box, Mask, PixelSource, tight_box
from .edges import view_of

_VIEW_PX = 60_000
_REACH = 1.6
"""How far from the thing a shadow is looked for, as a part of its longer side."""
_DARKEST, _LIGHTEST = 0.15, 0.86
"""Light that reaches a shadow, as a share of that on the ground around."""
_MOST_HUE_SHIFT = 0.06
"""Of red and of green in the sum of the channels; shadows under a blue sky are a little bluer."""
_ROUNDS = 4
_LIT_SIGMA = 0.2
"""How far around a place its lit ground may lie, as a part of the view's longer side."""
_TOUCH_PX = 3
_LEAST, _MOST = 0.04, 2.0
"""Area of a shadow, and of each part of it, as a part of that of the thing."""
_BLUR_SIGMA = 6.0
_CLEAR = 2.5
"""How much darker than the ground a shadow is, as a multiple of how uneven the ground is."""

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


def cast_shadow(image: PixelSource, thing: Mask) -> Mask | None:
    """The shadow without the thing; None where there is none to be seen.

    image  slices to (h, w, 3) uint8 RGB
    """
    height, width = image.shape[:2]
    reach_px = round(_REACH * max(thing.box.width, thing.box.height))
    box = thing.box.grown(reach_px).clipped(height, width)
    view = view_of(image, box, _VIEW_PX)
    small = _seen(thing, box, *view.shape[:2])
    shadow = _touching(_shaded(view, small), small)
    return None if shadow is None else _enlarged(shadow, box, thing)


def _seen(thing: Mask, box: Box, rows: int, columns: int) -> Flags:
    """(rows, columns): the thing in a view of a box that holds it."""
    seen = np.zeros((rows, columns), bool)
    ys, y_inside = _sampled(thing.box.y0 - box.y0, thing.box.height, box.height, rows)
    xs, x_inside = _sampled(thing.box.x0 - box.x0, thing.box.width, box.width, columns)
    seen[y_inside, x_inside] = thing.coverage[np.ix_(ys, xs)] >= HOLE_THRESHOLD
    return seen


def _sampled(start: int, size: int, view_size: int, count: int) -> tuple[NDArray[np.intp], slice]:
    """(the pixels of a part of a line that lie in the middle of one of `count` cells of the line, those cells)."""
    pixels = ((np.arange(count) + 0.5) * view_size / count).astype(np.intp) - start
    first, last = np.searchsorted(pixels, [0, size])
    return pixels[first:last], slice(int(first), int(last))


def _enlarged(shadow: Flags, box: Box, thing: Mask) -> Mask | None:
    """A mask of a view of a box at full size, without the thing."""
    rows, columns = shadow.shape
    tight = tight_box(shadow)
    assert tight is not None
    x0, y0, x1, y1 = tight.grown(1).clipped(rows, columns)
    part = Box(x0 * box.width // columns, y0 * box.height // rows, x1 * box.width // columns, y1 * box.height // rows)
    large = cv2.resize(
        shadow[y0:y1, x0:x1].astype(np.uint8) * 255, (part.width, part.height), interpolation=cv2.INTER_LINEAR
    )
    part = part.shifted(box.x0, box.y0)
    free = (large >= HOLE_THRESHOLD) & ~thing.hole_in(part)
    inner = tight_box(free)
    return inner and Mask(inner.shifted(part.x0, part.y0), free[inner.slices] * np.uint8(255))


def _shaded(view: NDArray[np.uint8], thing: Flags) -> Flags:
    """Where the view is darker than its lit ground, and no other colour."""
    near_thing = cv2.dilate(thing.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    colours = cv2.GaussianBlur(view, (0, 0), 2.0).astype(np.float32) + 1
    lit = _lit(colours, ~near_thing)
    brightness, lit_brightness = _brightness(colours), _brightness(lit)
    light = brightness / lit_brightness
    same_hue = np.ones(thing.shape, bool)
    for channel in (0, 1):
        shift = colours[..., channel] / brightness - lit[..., channel] / lit_brightness
        same_hue &= np.abs(shift) < _MOST_HUE_SHIFT
    uneven = float(np.median(np.abs(light[~near_thing] - 1))) * 1.48  # a normal distribution's standard deviation
    shaded = (light > _DARKEST) & (light < min(_LIGHTEST, 1 - _CLEAR * uneven)) & same_hue & ~thing
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    opened: Flags = cv2.morphologyEx(shaded.astype(np.uint8), cv2.MORPH_OPEN, disc) > 0
    return opened


def _lit(colours: Floats, ground: Flags) -> Floats:
    """(H, W, 3): the colour of the ground around each place, where it is not darker than the ground around."""
    sigma = max(2.0, _LIT_SIGMA * max(ground.shape))
    brightness = _brightness(colours)
    weight = ground.astype(np.float32)
    for _ in range(_ROUNDS):
        total = _blurred(weight, sigma) + 1e-6
        lit = _blurred(colours * weight[..., None], sigma) / total[..., None]
        weight = (ground & (brightness >= 0.95 * _brightness(lit))).astype(np.float32)
    return np.asarray(np.maximum(lit, 1.0), np.float32)


def _brightness(colours: Floats) -> Floats:
    """(H, W): the sum of the channels."""
    return np.asarray(cv2.transform(colours, np.ones((1, 3), np.float32)), np.float32)


def _blurred(values: Floats, sigma: float) -> Floats:
    """As a Gaussian of that sigma, made in a copy in which it is some pixels wide."""
    height, width = values.shape[:2]
    smaller = max(1.0, sigma / _BLUR_SIGMA)
    size = max(1, round(width / smaller)), max(1, round(height / smaller))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma / smaller)
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _touching(shaded: Flags, thing: Flags) -> Flags | None:
    """The shaded parts beside the thing that end within the view; None unless they have a shadow's size."""
    side = 2 * _TOUCH_PX + 1
    beside = cv2.dilate(thing.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    _, parts, stats, _ = cv2.connectedComponentsWithStats(shaded.astype(np.uint8), connectivity=4)
    specks = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < _LEAST * thing.sum())
    goes_on = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    kept = np.isin(parts, np.setdiff1d(parts[beside & shaded], [*goes_on, *specks]))
    kept |= (cv2.morphologyEx((kept | thing).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((side, side))) > 0) & ~thing
    share = kept.sum() / max(1, int(thing.sum()))
    return kept if _LEAST <= share <= _MOST else None
