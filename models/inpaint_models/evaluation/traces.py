"""What betrays a fill: an edge along the mask, and things that are there twice."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Box, HoleMask, tight_box
from .views import Levels, View, luma

_OFFSETS_PX = (3, 4, 5, 6)
_LEAST_PAIRS = 16
_ROUNDING_ENERGY = 1 / 6
"""Mean squared difference of two rounded pixels."""
_PATCH_PX = 15
_LEAST_PATCHES, _PATCHES = 8, 32
_ALIKE = 0.9
_DETAIL_PX = 4.0
_LEAST_CONTRAST = 3.0
_LEAST_ISOTROPY = 0.2
_SEARCH_SIDE_PX = 384
_NAN = float("nan")


def seam(view: View) -> float:
    """Squared steps across the mask's edge over those across lines parallel to it on both sides: 1 is no seam.

    The parallels lie 3 to 6 pixels away, inside and outside.
    """
    grey = luma(view.filled)
    at_edge = _step_energy(grey, view.distance, 0)
    parallel = [_step_energy(grey, view.distance, side * offset) for offset in _OFFSETS_PX for side in (-1, 1)]
    usual = [energy for energy in parallel if np.isfinite(energy)]
    if not usual:
        return _NAN
    return float(max(at_edge, _ROUNDING_ENERGY) / max(float(np.mean(usual)), _ROUNDING_ENERGY))


def _step_energy(grey: Levels, distance: NDArray[np.float32], offset_px: int) -> float:
    """Mean squared difference of neighbours on either side of the line at that distance from the edge."""
    inside = distance > offset_px
    total, count = 0.0, 0
    for axis in (0, 1):
        crosses = np.diff(inside, axis=axis)
        total += float(np.square(np.diff(grey, axis=axis)[crosses], dtype=np.float64).sum())
        count += int(crosses.sum())
    return total / count if count >= _LEAST_PAIRS else _NAN


def repetition(view: View) -> float:
    """Share of the hole's patches that are there again in the hole, less that share of the truth, else of the ring.

    Patches of 15 pixels with details, sought at least a patch away; alike is a correlation of 0.9 between details.
    A smear has no details, so it repeats none.
    """
    mine = _repeated_share(luma(view.filled), view.hole)
    if view.truth is not None:
        return mine - _repeated_share(luma(view.truth), view.hole)
    return mine - _repeated_share(luma(view.filled), view.distance < 0)


def _repeated_share(grey: Levels, region: HoleMask) -> float:
    """NaN where the region holds no patch; 0 where it holds hardly any with details."""
    box = tight_box(region)
    if box is None:
        return _NAN
    grey, region = _small_enough(grey[box.slices], region[box.slices])
    grey = grey - cv2.GaussianBlur(grey, (0, 0), _DETAIL_PX)
    if min(grey.shape) < _PATCH_PX:
        return _NAN
    corners = _corners_within(region)
    if not corners.any():
        return _NAN
    tried = list(_distinctive(grey, corners))
    if len(tried) < _LEAST_PATCHES:
        return 0.0
    return sum(_is_repeated(grey, corners, *corner) for corner in tried) / len(tried)


def _small_enough(grey: Levels, region: HoleMask) -> tuple[Levels, HoleMask]:
    scale = _SEARCH_SIDE_PX / max(grey.shape)
    if scale >= 1:
        return grey, region
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    parts = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (grey, region.astype(np.float32))]
    return np.asarray(parts[0], np.float32), parts[1] > 0.5


def _corners_within(region: HoleMask) -> HoleMask:
    """(H - 14, W - 14): True where a patch with its upper left corner there lies in the region, but for a tenth."""
    covered = cv2.integral(region.astype(np.uint8))
    p = _PATCH_PX
    counts = covered[p:, p:] - covered[:-p, p:] - covered[p:, :-p] + covered[:-p, :-p]
    return np.asarray(counts >= 0.9 * p * p)


def _distinctive(grey: Levels, corners: HoleMask) -> Iterator[tuple[int, int]]:
    """(row, column) of random patches with details in two directions; flat ones and straight edges are alike anyway."""
    rows, columns = np.nonzero(corners)
    found = 0
    for index in np.random.default_rng(0).permutation(len(rows))[: 4 * _PATCHES]:
        row, column = int(rows[index]), int(columns[index])
        if _has_details(grey[row : row + _PATCH_PX, column : column + _PATCH_PX]):
            found += 1
            yield row, column
        if found == _PATCHES:
            return


def _has_details(patch: Levels) -> bool:
    """By the eigenvalues of the structure tensor: both are large at corners and in texture."""
    gradients = np.array(np.gradient(patch)).reshape(2, -1)
    weaker, stronger = np.linalg.eigvalsh(gradients @ gradients.T)
    return bool(patch.std() >= _LEAST_CONTRAST and weaker >= _LEAST_ISOTROPY * stronger)


def _is_repeated(grey: Levels, corners: HoleMask, row: int, column: int) -> bool:
    patch = grey[row : row + _PATCH_PX, column : column + _PATCH_PX]
    alike = cv2.matchTemplate(grey, patch, cv2.TM_CCOEFF_NORMED) >= _ALIKE
    itself = Box(column, row, column + 1, row + 1).grown(_PATCH_PX - 1).clipped(*corners.shape)
    alike[itself.slices] = False
    return bool((alike & corners).any())
