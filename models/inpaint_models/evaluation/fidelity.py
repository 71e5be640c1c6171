"""How near a fill is to what was there: L1, L2, PSNR, SSIM and MS-SSIM, in the hole or in a part of it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import HoleMask
from .views import Levels, shrunk

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW_PX = 11
_LEAST_SQUARE = 1e-3
"""PSNR ends at 78 dB: the difference is then less than what 8 bits can tell."""
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales, Wang, Simoncelli and Bovik 2003."""


def l1(filled: Levels, truth: Levels, region: HoleMask) -> float:
    """Mean absolute difference in levels of 255."""
    return float(np.abs(filled[region] - truth[region]).mean())


def l2(filled: Levels, truth: Levels, region: HoleMask) -> float:
    """Root of the mean squared difference in levels of 255."""
    return float(np.sqrt(np.square(filled[region] - truth[region], dtype=np.float64).mean()))


def psnr(filled: Levels, truth: Levels, region: HoleMask) -> float:
    """In dB; 78 and no more for equal pixels."""
    return float(10 * np.log10(255**2 / max(l2(filled, truth, region) ** 2, _LEAST_SQUARE)))


def ssim(filled: Levels, truth: Levels, region: HoleMask) -> float:
    """Mean over region and channels of Wang et al. 2004: Gaussian window of 11 pixels, sigma 1.5."""
    return _mean_similarity(filled, truth, region, whole=True)


def ms_ssim(filled: Levels, truth: Levels, region: HoleMask) -> float:
    """SSIM over five scales; over as many as the window fits into, with weights that sum to one again."""
    sides = [min(region.shape) >> scale for scale in range(len(_SCALE_WEIGHTS))]
    weights = [weight for weight, side in zip(_SCALE_WEIGHTS, sides, strict=True) if side >= _WINDOW_PX]
    if not weights:
        return float("nan")
    product, where = 1.0, region
    for scale, weight in enumerate(weights):
        similarity = _mean_similarity(filled, truth, where, whole=scale == len(weights) - 1)
        product *= max(similarity, 0.0) ** (weight / sum(weights))
        filled, truth = shrunk(filled), shrunk(truth)
        where = shrunk(where.astype(np.float32)) > 0
    return product


def _mean_similarity(filled: Levels, truth: Levels, region: HoleMask, *, whole: bool) -> float:
    """Of contrast and structure, and of the luminance too where it is `whole`. One channel at a time saves memory."""
    means = []
    for channel in range(3):
        luminance, structure = _ssim_maps(filled[..., channel], truth[..., channel])
        means.append((luminance * structure if whole else structure)[region].mean(dtype=np.float64))
    return float(np.mean(means))


def _ssim_maps(a: Levels, b: Levels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(luminance, contrast times structure): (H, W) each."""
    mean_a, mean_b = _windowed(a), _windowed(b)
    variances = _windowed(a * a) - mean_a**2 + _windowed(b * b) - mean_b**2
    covariance = _windowed(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * covariance + _C2) / (variances + _C2)
    return luminance, structure


def _windowed(image: Levels) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(image, (_WINDOW_PX, _WINDOW_PX), 1.5, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32)
