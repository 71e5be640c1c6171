"""Whether a fill has the sharpness, the grain and the small structures of what is around it or was there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import HoleMask
from .views import Levels, View, luma, shrunk

_ROUNDING_NOISE = 12**-0.5
"""Standard deviation of rounding to whole levels: what has less noise is free of noise."""
_LOWER_HALF = 0.324652
"""Mean of the smaller half of |x| for a normal x of standard deviation 1."""
_BAND_SIGMAS_PX = (0.0, 0.7, 1.4, 2.8)
_LEAST_PX = 64
_PATCH_PX = 7
_LEAST_PATCHES, _MOST_PATCHES = 16, 256
_PROJECTIONS = 128
_LEVELS = 3
_NAN = float("nan")


def sharpness(view: View) -> float:
    """Gradient energy in the hole over that of the truth, else over that of the ring: 1 is as sharp."""
    if not view.inner.any():
        return _NAN
    mine = _gradient_energy(view.filled)[view.inner].mean()
    if view.truth is not None:
        other = _gradient_energy(view.truth)[view.inner].mean()
    else:
        other = _gradient_energy(view.filled)[view.outer].mean() if view.outer.any() else _NAN
    floor = _ROUNDING_NOISE**2
    return float(max(mine, floor) / max(other, floor))


def _gradient_energy(image: Levels) -> NDArray[np.float32]:
    """(H, W) squared gradient of the luma."""
    down, across = np.gradient(luma(image))
    return np.asarray(down**2 + across**2, np.float32)


def noise_ratio(view: View) -> float:
    """Noise of the hole over that of the ring: 1 is as grainy, below is too smooth."""
    mine, other = noise(view.filled, view.hole), noise(view.filled, view.ring)
    return max(mine, _ROUNDING_NOISE) / max(other, _ROUNDING_NOISE)


def noise(image: Levels, region: HoleMask) -> float:
    """Standard deviation of the noise in levels of 255, from diagonal differences of two by two pixels.

    After Donoho and Johnstone 1994; structure leaves little there, and the larger half is not counted. Where
    they take the median the mean of the smaller half is taken, which does not jump where pixels are whole numbers.
    """
    grey = luma(image)
    diagonal = (grey[:-1, :-1] - grey[:-1, 1:] - grey[1:, :-1] + grey[1:, 1:]) / 2
    whole = region[:-1, :-1] & region[:-1, 1:] & region[1:, :-1] & region[1:, 1:]
    return _spread(diagonal[whole])


def spectrum_distance(view: View) -> float:
    """How far the fine structure's spectrum in the hole is from that of the ring: dB, root mean square over 3 octaves.

    0 is the same; noise that was blurred, or is of another grain size, differs here even where `noise_ratio` is 1.
    """
    grey = luma(view.filled)
    mine, other = _band_spreads(grey, view.hole), _band_spreads(grey, view.ring)
    floors = _ROUNDING_NOISE * np.array([1.0, 0.5, 0.25])
    decibels = 20 * np.log10(np.maximum(mine, floors) / np.maximum(other, floors))
    return float(np.sqrt(np.mean(decibels**2)))


def _band_spreads(grey: Levels, region: HoleMask) -> NDArray[np.float64]:
    """(3,): what lies between neighbouring blurs. Each blur counts pixels of the region only."""
    blurs = [_blurred_within(grey, region, sigma) for sigma in _BAND_SIGMAS_PX]
    return np.array([_spread((fine - coarse)[region]) for fine, coarse in pairwise(blurs)])


def _blurred_within(grey: Levels, region: HoleMask, sigma_px: float) -> NDArray[np.float32]:
    """A Gaussian mean over the region's pixels alone, right inside the region."""
    if sigma_px == 0:
        return grey
    weight = region.astype(np.float32)
    total, count = (cv2.GaussianBlur(plane, (0, 0), sigma_px) for plane in (grey * weight, weight))
    return np.asarray(total / np.maximum(count, 1e-6), np.float32)


def _spread(values: NDArray[np.floating[Any]]) -> float:
    """Standard deviation of the noise among values that structure makes larger here and there."""
    if values.size < _LEAST_PX:
        return _NAN
    magnitudes = np.sort(np.abs(values))[: values.size // 2]
    return float(magnitudes.mean(dtype=np.float64)) / _LOWER_HALF


def patch_distance(view: View) -> float:
    """Sliced Wasserstein distance between 7x7 patches of the hole and of the truth, else of the ring; 0 is the same.

    Karras et al. 2018: patches of three levels of the Laplacian pyramid, projected in 128 random directions. Different
    from there: both sides are put into the unit of the reference, so that a blurred fill is not stretched to match.
    """
    found = []
    reference, where = (view.filled, view.ring) if view.truth is None else (view.truth, view.hole)
    for (mine, hole), (other, region) in zip(
        _laplacian(view.filled, view.hole), _laplacian(reference, where), strict=True
    ):
        count = min(int(hole.sum()), int(region.sum()), _MOST_PATCHES)
        if count >= _LEAST_PATCHES:
            found.append(_sliced_wasserstein(_patches(mine, hole, count), _patches(other, region, count)))
    return float(np.mean(found)) if found else _NAN


def _laplacian(image: Levels, region: HoleMask) -> Iterator[tuple[Levels, HoleMask]]:
    """(level, region at its size), the finest first; the last level is what the others leave."""
    for level in range(_LEVELS):
        if level == _LEVELS - 1 or min(image.shape[:2]) < 4:
            yield image, region
        else:
            small = np.asarray(cv2.pyrDown(image), np.float32)
            yield image - cv2.pyrUp(small, dstsize=(image.shape[1], image.shape[0])), region
            half = shrunk(region.astype(np.float32)) >= 0.5
            image, region = small, np.pad(half, [(0, small.shape[i] - half.shape[i]) for i in (0, 1)])


def _patches(image: Levels, region: HoleMask, count: int) -> NDArray[np.float32]:
    """(count, 7, 7, 3) around random pixels of the region."""
    rows, columns = np.nonzero(region)
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    reach = _PATCH_PX // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (_PATCH_PX, _PATCH_PX), axis=(0, 1))
    return np.ascontiguousarray(windows[rows[chosen], columns[chosen]].transpose(0, 2, 3, 1))


def _sliced_wasserstein(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Of as many patches of either side, (n, 7, 7, 3): the mean distance of sorted projections."""
    mean, spread = theirs.mean(axis=(0, 1, 2)), np.maximum(theirs.std(axis=(0, 1, 2)), _ROUNDING_NOISE)
    directions = np.random.default_rng(0).normal(size=(_PATCH_PX * _PATCH_PX * 3, _PROJECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    ours, theirs = (
        np.sort(((patches - mean) / spread).reshape(len(patches), -1) @ directions, axis=0)
        for patches in (ours, theirs)
    )
    return float(np.abs(ours - theirs).mean())
