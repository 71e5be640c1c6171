"""The engine `backdrop`: an even backdrop, taken out from the border inwards.

The backdrop's colour is a quadratic polynomial over the image (lamps fall off), fitted to the border and then to all
that was reached. What is near it, or is it in shadow (the same colour times a factor, without an edge), and connected
with the border, is background. The last pixels before the subject get their alpha from the colours on either side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import UnsuitableImage
from ..imaging.edges import edge_alpha, enlarged, halvings
from ..protocols import AlphaMap, StepProgress
from ..registry import LoadContext
from ..types import Box, ParamValue

_VIEW_PX = 400_000
"""The backdrop and its shadows are learnt on a copy of at most so many pixels."""
_LEAST_SHARE = 0.75
"""Part of the border that must be backdrop; the rest may be a subject that the photo cuts off."""
_EDGE_BAND_PX = 2
_SHADE_MARGIN_PX = 5
"""Pixels of the copy: so near to a thing its own edge hides whether a pixel is shadow."""
_GAP_PX = 4
"""Pixels of the copy: a faint outline may be interrupted for twice as many."""
_THIN_PX, _LEAST_SOLID = 3, 0.9
"""Pixels of the copy, and the part of a subject that must be thicker than twice as many."""
_STEEPEST = 0.7
"""A shadow's slope in levels for each pixel of the copy, as a part of the tolerance."""
_DARKEST = 40.0
"""Levels of 255: on a backdrop darker than this no shadow can be told from the subject."""
_SAMPLES = 20_000

Image8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]


class BackdropEngine:
    """Deterministic."""

    def matte(self, image: Image8, *, params: Mapping[str, ParamValue], progress: StepProgress) -> AlphaMap:
        """Raises `UnsuitableImage` where the border is not plain."""
        height, width = image.shape[:2]
        tolerance, shadow = int(params["tolerance"]), float(params["shadow"])
        progress("learning", 0, 3)
        levels = halvings(image, _VIEW_PX)
        backdrop = learnt_backdrop(levels[-1], tolerance)
        progress("separating", 1, 3)
        everywhere = cv2.resize(backdrop, (width, height), interpolation=cv2.INTER_LINEAR)
        like = near(image, np.asarray(everywhere, np.uint8), tolerance)
        if shadow > 0:
            like |= shaded(levels, backdrop, tolerance, shadow)
        subject = without_specks(~(like if params["holes"] else connected_to_border(like)))
        progress("softening", 2, 3)
        return edge_alpha(image, subject, _EDGE_BAND_PX, tolerance)


def learnt_backdrop(view: Image8, tolerance: int) -> Image8:
    """The colour that the backdrop has at each place of the view. Raises `UnsuitableImage`."""
    at_border = border(*view.shape[:2])
    backdrop = fitted(view, at_border)
    share = float(near(view, backdrop, tolerance)[at_border].mean())
    if share < _LEAST_SHARE:
        raise UnsuitableImage(
            f"The border of the photo is not plain: {share:.0%} of it is of one even colour, within {tolerance} levels "
            f"of 255, and {_LEAST_SHARE:.0%} are needed. Raise the tolerance, or select the thing instead."
        )
    return fitted(view, connected_to_border(near(view, backdrop, tolerance)))


def near(image: Image8, backdrop: Image8, tolerance: int) -> Flags:
    """Which pixels have the backdrop's colour, within the tolerance in each channel."""
    return cv2.inRange(cv2.absdiff(image, backdrop), (0, 0, 0), (tolerance,) * 3) > 0


def shaded(levels: Sequence[Image8], backdrop: Image8, tolerance: int, shadow: float) -> Flags:
    """Where the backdrop lies in shadow, at the image's size.

    Found in the view, and beside the subject decided by the colours on either side. Nowhere, if that would leave much
    that is as thin as an outline: then the subject is as dark as its shadow, and would be taken for it.
    """
    view = levels[-1]
    plain = near(view, backdrop, tolerance)
    background = connected_to_border(plain) | widely_connected(plain | shade_like(view, backdrop, tolerance, shadow))
    subject = without_specks(~background)
    solid = cv2.morphologyEx(subject.astype(np.uint8), cv2.MORPH_OPEN, _disc(_THIN_PX))
    height, width = levels[0].shape[:2]
    if solid.sum() < _LEAST_SOLID * subject.sum():
        return np.zeros((height, width), bool)
    place = cv2.dilate((background & ~plain).astype(np.uint8), _disc(_SHADE_MARGIN_PX))
    place = cv2.resize(place, (width, height), interpolation=cv2.INTER_NEAREST)
    shade: Flags = place > 0
    found = enlarged(subject, levels)
    return shade if found is None else shade & ~found.hole_in(Box(0, 0, width, height))


def shade_like(view: Image8, backdrop: Image8, tolerance: int, shadow: float) -> Flags:
    """Pixels of the backdrop's colour times a factor, not where an edge is: shadows are soft, things are not."""
    lit, seen = backdrop.astype(np.float32), view.astype(np.float32)
    brightness = np.einsum("yxc,yxc->yx", lit, lit)
    factor = np.einsum("yxc,yxc->yx", seen, lit) / np.maximum(brightness, 1.0)
    other_hue = np.abs(seen - factor[..., None] * lit).max(axis=2)
    steepest = max(3.0, _STEEPEST * tolerance) * max(1.0, (_VIEW_PX / factor.size) ** 0.5)
    dimmed = (factor >= 1 - shadow) & (factor <= 1) & (brightness >= 3 * _DARKEST**2)
    shade: Flags = dimmed & (other_hue <= tolerance) & (slope(view) <= steepest)
    return shade


def widely_connected(flags: Flags) -> Flags:
    """The flagged pixels that are reached from the border without passing a gap, as there is in faint outlines."""
    disc = _disc(_GAP_PX)
    reached = connected_to_border(cv2.erode(flags.astype(np.uint8), disc) > 0)
    widened: Flags = cv2.dilate(reached.astype(np.uint8), disc) > 0
    return widened


def _disc(radius_px: int) -> Image8:
    side = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def slope(view: Image8) -> NDArray[np.uint8]:
    """(H, W): by how many levels the brightness differs within 3x3 pixels, noise smoothed away."""
    smooth = cv2.GaussianBlur(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    return np.asarray(cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), np.uint8)


def fitted(view: Image8, known: Flags) -> Image8:
    """A quadratic surface through the known pixels, by least absolute distance: what else stands there is ignored."""
    height, width = known.shape
    rows, columns = np.nonzero(known)
    step = 1 + len(rows) // _SAMPLES
    rows, columns = rows[::step], columns[::step]
    colours = view[rows, columns].astype(np.float64)
    terms = _terms(np.linspace(-1, 1, width)[columns], np.linspace(-1, 1, height)[rows])
    steady = 1e-6 * len(rows) * np.eye(len(terms))
    weight = 1 / (np.abs(colours - np.median(colours, axis=0)).max(axis=1) + 1)
    for _ in range(10):
        weighted = terms * weight
        coefficients = np.linalg.solve(weighted @ terms.T + steady, weighted @ colours)
        weight = 1 / (np.abs(terms.T @ coefficients - colours).max(axis=1) + 1)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    surface = np.tensordot(_terms(x, y), coefficients, (0, 0))
    return np.asarray(np.clip(np.rint(surface), 0, 255), np.uint8)


def _terms(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(6, ...): 1, x, y, xx, xy, yy."""
    return np.stack([np.ones_like(x), x, y, x**2, x * y, y**2])


def border(height: int, width: int) -> Flags:
    """The outermost hundredth on each side, two pixels at least."""
    frame = max(2, round(0.01 * min(height, width)))
    flags = np.ones((height, width), bool)
    flags[frame:-frame, frame:-frame] = False
    return flags


def connected_to_border(flags: Flags) -> Flags:
    """The flagged pixels from which a flagged path leads to the border."""
    padded = np.pad(flags, 1, constant_values=True).astype(np.uint8)
    cv2.floodFill(padded, None, (0, 0), 2)
    return np.equal(padded[1:-1, 1:-1], 2)


def without_specks(subject: Flags) -> Flags:
    """The subject without parts of less than a ten-thousandth of the image: dust and noise of the backdrop."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(subject.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= subject.size / 10_000
    large[0] = False
    return np.asarray(large[labels], bool)


def load(context: LoadContext) -> BackdropEngine:
    return BackdropEngine()
