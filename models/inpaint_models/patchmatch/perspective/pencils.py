"""Straight edges that meet in one point: the picture of parallel lines.

Random pairs of segments propose their crossing, and the one that most others point to is kept (Huang, Kang, Ahuja,
Kopf, "Image Completion using Planar Structure Guidance", SIGGRAPH 2014, section 4.1, after Fischler, Bolles 1981).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_MOST_PIXELS = 400_000  # more are not needed to see lines
_SHARES, _SEGMENTS = (0.3, 0.5), 12  # the least that the two pencils must have,
_GLANCE_PIXELS = 65_000  # and at a glance, for which a few milliseconds will do
_GLANCE_SHARES, _GLANCE_SEGMENTS = (0.2, 0.15), 10
_SHORTEST = 1 / 25  # of the longer side
_AWRY = np.deg2rad(1.5)  # how much a segment may point past the crossing of its pencil
_PAIRS = 400
_REFINED = 3  # times

Floats = NDArray[np.float64]


def two_pencils(image: NDArray[np.float32], hole: NDArray[np.bool_], centre: Floats, unit_px: float) -> list[Floats]:
    """The crossings of the two heaviest pencils: homogeneous (x, y, w), in units of `unit_px` from `centre`.

    w is 0 where the lines are parallel in the picture too. None at all where the two are not clear: most pictures show
    that at a glance already.
    """
    if not _clear_pencils(_segments(image, hole, _GLANCE_PIXELS), centre, unit_px, _GLANCE_SHARES, _GLANCE_SEGMENTS):
        return []
    return _clear_pencils(_segments(image, hole, _MOST_PIXELS), centre, unit_px, _SHARES, _SEGMENTS)


def _clear_pencils(
    segments: Floats, centre: Floats, unit_px: float, shares: tuple[float, float], fewest: int
) -> list[Floats]:
    """Segments count by their length, and less the farther they are from the hole: by half at a unit's distance.

    shares  least share of the weight of all segments; for the second pencil: of those that the first one leaves
    """
    segments = (segments - np.tile(centre, 2)) / unit_px
    middle, along = (segments[:, :2] + segments[:, 2:]) / 2, segments[:, 2:] - segments[:, :2]
    weights = np.hypot(*along.T) / (1 + np.square(middle).sum(axis=1))
    rng, crossings = np.random.default_rng(0), list[Floats]()
    for share in shares:
        if len(segments) < fewest:
            return []
        crossing, points_there = _heaviest(segments, weights, rng)
        if points_there.sum() < fewest or weights[points_there].sum() < share * weights.sum():
            return []
        crossings.append(crossing)
        segments, weights = segments[~points_there], weights[~points_there]
    return crossings


def _segments(image: NDArray[np.float32], hole: NDArray[np.bool_], most_pixels: int) -> Floats:
    """(n, 4) straight edges beside the hole, as (x, y, x, y)."""
    scale = min(1.0, (most_pixels / hole.size) ** 0.5)
    size = (round(hole.shape[1] * scale), round(hole.shape[0] * scale))
    grey = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA).mean(axis=2) * 255, np.uint8)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    segments = np.zeros((0, 4)) if found is None else np.asarray(found, np.float64).reshape(-1, 4)
    segments = segments[np.hypot(*(segments[:, 2:] - segments[:, :2]).T) >= max(size) * _SHORTEST]
    grown = cv2.dilate(cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_AREA), np.ones((5, 5), np.uint8))
    outside = np.ones(len(segments), np.bool_)
    for part in (0, 0.5, 1):
        x, y = np.rint(segments[:, :2] * (1 - part) + segments[:, 2:] * part).astype(int).T
        outside &= grown[np.clip(y, 0, size[1] - 1), np.clip(x, 0, size[0] - 1)] == 0
    return np.asarray(segments[outside] / scale)


def _heaviest(segments: Floats, weights: Floats, rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
    """The crossing that the most weight points to, and which segments do."""
    ends = np.ones((2, len(segments), 3))
    ends[0, :, :2], ends[1, :, :2] = segments[:, :2], segments[:, 2:]
    lines = np.cross(ends[0], ends[1])
    lines /= np.hypot(lines[:, 0], lines[:, 1])[:, None]
    pairs = rng.choice(len(segments), (2, _PAIRS), p=weights / weights.sum())
    crossings = np.cross(lines[pairs[0]], lines[pairs[1]])
    best = _best(crossings, segments, weights)
    for _ in range(_REFINED):
        near = _past(best[None], segments)[0] < _AWRY
        fitted = np.linalg.svd(lines[near] * weights[near, None])[2][-1]
        best = _best(np.stack([best, fitted]), segments, weights)
    return best, _past(best[None], segments)[0] < _AWRY


def _best(crossings: Floats, segments: Floats, weights: Floats) -> Floats:
    lengths = np.linalg.norm(crossings, axis=1)
    crossings = crossings[lengths > 0] / lengths[lengths > 0, None]
    votes = np.clip(1 - _past(crossings, segments) / _AWRY, 0, 1) @ weights
    return np.asarray(crossings[np.argmax(votes)])


def _past(crossings: Floats, segments: Floats) -> Floats:
    """(crossings, segments) the angle in radians between each segment and the way from its middle to the crossing."""
    middle, along = (segments[:, :2] + segments[:, 2:]) / 2, segments[:, 2:] - segments[:, :2]
    way = crossings[:, None, :2] - crossings[:, None, 2:] * middle
    sine = np.abs(along[:, 0] * way[..., 1] - along[:, 1] * way[..., 0])
    length = np.hypot(along[:, 0], along[:, 1]) * np.hypot(way[..., 0], way[..., 1])
    return np.asarray(np.arcsin(np.clip(sine / np.maximum(length, 1e-12), 0, 1)))
