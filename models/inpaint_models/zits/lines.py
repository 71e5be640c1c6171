"""From the maps of the detector to lines: pixels propose them, they end at junctions, and the network judges them.

On the processor but for the judgement: the maps are small, and sorting and counting there gives the same lines whatever
the device. Points are (x, y) and lines (x0, y0, x1, y1), in pixels of the maps.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .wireframe import WireframeDetector

MOST_JUNCTIONS = 300
LEAST_JUNCTION = 0.008
"""Smaller values of the junction map are none."""
LEAST_SCORE = 0.05
_REACH = 5.0
"""Pixels that stand for a distance of 1."""
_POINTS_AT_A_TIME = 4096
"""So that their distances stay in a processor's cache."""
_LINES_AT_A_TIME = 1024
"""To be judged, for which each takes 64 KiB."""
_STEEPEST = 1e-3
"""Least cosine and sine of the angles under which a pixel sees a line's ends."""


class Lines(NamedTuple):
    """Lines and how likely each is one: (N, 4) and (N,) from 0 to 1, on the processor."""

    ends: Tensor
    scores: Tensor


def detect(network: WireframeDetector, image: Tensor, mask: Tensor) -> Lines:
    """The lines of a picture. Arguments as for `WireframeDetector.forward`."""
    maps, features = network(image, mask)
    candidates = joined(maps[0].float().cpu())
    if not len(candidates):
        return Lines(candidates, candidates.new_zeros(0))
    parts = candidates.to(features.device).split(_LINES_AT_A_TIME)
    scores = torch.cat([network.judge(features, part) for part in parts]).float().cpu()
    likely = scores > LEAST_SCORE
    return Lines(candidates[likely], scores[likely])


def joined(maps: Tensor) -> Tensor:
    """The lines between junctions that at least one pixel proposes, each once: (N, 4)."""
    points, _ = junctions(maps)
    if not len(points):
        return points.new_zeros(0, 4)
    first, second = nearest(proposals(maps).view(-1, 2), points).view(-1, 2).sort(dim=1).values.T
    pairs = (first * len(points) + second)[first < second].unique()
    return torch.cat([points[pairs // len(points)], points[pairs % len(points)]], dim=1)


def proposals(maps: Tensor) -> Tensor:
    """Three lines for each pixel, at its distance and a little nearer and farther: (3 * h * w, 4)."""
    height, width = maps.shape[1:]
    turn, above, below = maps[:3].sigmoid()
    distance, correction = maps[3:5].sigmoid()
    turn, above, below = 2 * math.pi * (turn - 0.5), math.pi / 2 * above, -math.pi / 2 * below
    cosine, sine = turn.cos(), turn.sin()  # of the direction in which the line lies
    slopes = (
        above.sin().clamp(min=_STEEPEST) / above.cos().clamp(min=_STEEPEST),
        below.sin().clamp(max=-_STEEPEST) / below.cos().clamp(min=_STEEPEST),
    )
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    made = []
    for reach in (_REACH * (distance + k * correction) for k in (-1, 0, 1)):
        for slope in slopes:
            made.append((columns + reach * (cosine - sine * slope)).clamp(0, width - 1))
            made.append((rows + reach * (sine + cosine * slope)).clamp(0, height - 1))
    return torch.stack(made, dim=-1).view(-1, 4)


def junctions(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Where lines may end, the likeliest first: (K, 2), and how likely, (K,)."""
    width = maps.shape[2]
    likely = maps[5:7].softmax(dim=0)[1]
    peaks = likely * (F.max_pool2d(likely[None], 3, stride=1, padding=1)[0] == likely)
    found = min(MOST_JUNCTIONS, int((peaks > LEAST_JUNCTION).sum()))
    scores, places = peaks.flatten().topk(found)
    offsets = (maps[7:9].sigmoid() - 0.5).flatten(1)[:, places].T
    cells = torch.stack([places % width, places // width], dim=1)
    return cells + offsets + 0.5, scores


def nearest(points: Tensor, among: Tensor) -> Tensor:
    """For each of (N, 2) points, which of (K, 2) is the nearest: (N,)."""
    return torch.cat(
        [
            torch.cdist(part, among, compute_mode="donot_use_mm_for_euclid_dist").argmin(dim=1)
            for part in points.split(_POINTS_AT_A_TIME)
        ]
    )
