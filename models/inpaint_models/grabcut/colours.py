"""A first guess by colour alone: which unmarked pixels look like what was marked, and which like what lies far off.

A graph cut ends in the nearest minimum. Where everything that was not painted begins as background, the rest of the
thing is learnt as a colour of the background, and stays there.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .marks import Flags, Labels

_KINDS = 5
"""Colours that a side is described by, as in the graph cut."""
_SAMPLES = 2000
_LEAST_SHARE = 0.02
"""A colour that fewer samples have describes nothing."""
_LEAST_DEVIATION = 4.0
"""Of a colour, in levels of 255: noise and JPEG make no side exact."""
_NEAR = 0.3
"""What is farther from the marks than that part of the way to the view's farthest corner is taken for background."""
_DISTANCE_COST = 4.0
"""How much more like the marks a pixel at the farthest corner must be, as a logarithm of a likelihood."""
_USUAL_PERCENT = 90.0
"""Of the background's own pixels, as many are like it."""

Image8 = NDArray[np.uint8]
Floats = NDArray[np.float32]


def guessed(view: Image8, labels: Labels, enclosed: Flags) -> Labels:
    """The labels, with unmarked and merely enclosed pixels put on the side whose colours they have."""
    inside = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    farthest = max(float(distance.max()), 1.0)
    outside = (labels == cv2.GC_BGD) | (distance > _NEAR * farthest)
    if not outside.any():
        return labels
    channels = np.stack(cv2.split(cv2.cvtColor(view, cv2.COLOR_RGB2LAB))).astype(np.float32)
    unlike_outside = _unlikeness(channels, outside)
    if enclosed.any():
        inside &= ~enclosed | (unlike_outside > np.percentile(unlike_outside[outside], _USUAL_PERCENT))
    if not inside.any():
        return labels
    better_inside = unlike_outside - _unlikeness(channels, inside) > _DISTANCE_COST * distance / farthest
    open_to_change = (labels == cv2.GC_PR_BGD) | enclosed
    guess = np.where(better_inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    return np.where(open_to_change, guess, labels)


def _unlikeness(channels: Floats, where: Flags) -> Floats:
    """(H, W): the negative logarithm of how likely each colour of (3, H, W) is among those of the chosen pixels."""
    places = np.flatnonzero(where)
    samples = np.ascontiguousarray(channels.reshape(3, -1)[:, places[:: 1 + len(places) // _SAMPLES]].T)
    kinds = min(_KINDS, len(samples))
    criteria = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 10, 1.0)
    cv2.setRNGSeed(0)  # k-means begins anywhere
    nearest = np.zeros((len(samples), 1), np.int32)
    _, _, centres = cv2.kmeans(samples, kinds, nearest, criteria, 1, cv2.KMEANS_PP_CENTERS)
    unlike = np.full(where.shape, np.inf, np.float32)
    for kind in range(kinds):
        own = samples[nearest[:, 0] == kind]
        if len(own) >= _LEAST_SHARE * len(samples):
            deviation = np.maximum(own.std(axis=0), _LEAST_DEVIATION)
            off = (channels - centres[kind][:, None, None]) / deviation[:, None, None]
            constant = float(np.log(deviation).sum() - np.log(len(own) / len(samples)))
            np.minimum(unlike, (off * off).sum(axis=0) / 2 + constant, out=unlike)
    return unlike
