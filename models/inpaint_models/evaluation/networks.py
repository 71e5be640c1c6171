"""Measures that need a network: LPIPS, and over many pairs FID, P-IDS and U-IDS. Nothing is fetched.

The networks are the TorchScript files of the StyleGAN metrics, which the evaluation of MAT uses too:
inception-2015-12-05.pt gives 2048 features of a picture, vgg16.pt the features of LPIPS (VGG) whose squared differences
are to be summed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import UnsafeWeights
from ..types import AnyImage
from .views import levels

_LPIPS_SIDE_PX = 512
_NEWTON_STEPS = 50
_TRUTH = ""

Features = NDArray[np.float64]
"""(pictures, features)."""


@dataclass(slots=True)
class NetworkMetrics:
    """Collects features of truths and fills. Either network may be missing."""

    inception: Any = None
    vgg: Any = None
    _features: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    def lpips(self, filled: AnyImage, truth: AnyImage) -> float:
        """Of whole pictures, shrunk to a shorter side of 512 where they are larger. NaN without the network."""
        if self.vgg is None:
            return float("nan")
        with torch.inference_mode():
            ours, theirs = (self.vgg(_tensor(each), resize_images=False, return_lpips=True) for each in (filled, truth))
        return float((ours - theirs).square().sum())

    def see_truth(self, image: AnyImage) -> None:
        """Keeps the features of a photo; the fills of it follow."""
        self.see_fill(_TRUTH, image)

    def see_fill(self, engine: str, image: AnyImage) -> None:
        """Keeps the features of what an engine made of the last truth."""
        if self.inception is not None:
            with torch.inference_mode():
                found = self.inception(_tensor(image), return_features=True)
            self._features.setdefault(engine, []).append(found[0].numpy().astype(np.float64))

    def of_all_pairs(self) -> dict[str, dict[str, float]]:
        """Engine -> FID, U-IDS and P-IDS, over the pairs seen so far; for engines that filled all of them."""
        truths = self._features.get(_TRUTH, [])
        found: dict[str, dict[str, float]] = {}
        for engine, fills in self._features.items():
            if engine != _TRUTH and len(fills) == len(truths) >= 2:
                real, fake = np.stack(truths), np.stack(fills)
                unpaired, paired = inception_discriminative_scores(real, fake)
                found[engine] = {"fid": frechet_distance(real, fake), "u_ids": unpaired, "p_ids": paired}
        return found


def load(inception: Path | None, vgg: Path | None) -> NetworkMetrics:
    """The networks from files that the caller trusts: TorchScript is a program. Raises `UnsafeWeights`."""
    return NetworkMetrics(inception and _opened(inception), vgg and _opened(vgg))


def _opened(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the networks are published in no other form
            return torch.jit.load(str(path), map_location="cpu").eval()
    except (OSError, RuntimeError, ValueError):
        raise UnsafeWeights(
            f"{path.name} is no TorchScript file. Give inception-2015-12-05.pt or vgg16.pt of the StyleGAN metrics."
        ) from None


def _tensor(image: AnyImage) -> torch.Tensor:
    """(1, 3, H, W) in [0, 255]."""
    pixels = levels(image)
    scale = _LPIPS_SIDE_PX / min(pixels.shape[:2])
    if scale < 1:
        size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())


def frechet_distance(real: Features, fake: Features) -> float:
    """Between the normal distributions fitted to both, Heusel et al. 2017. Biased upwards for few pictures."""
    (mean_a, root_a, trace_a), (mean_b, root_b, trace_b) = _fitted(real), _fitted(fake)
    # The trace of the root of a product of covariances A'A and B'B is the sum of the singular values of A B'.
    shared = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    return float(np.square(mean_a - mean_b).sum() + trace_a + trace_b - 2 * shared)


def _fitted(features: Features) -> tuple[Features, Features, float]:
    """(mean, a root R with R'R the covariance, the covariance's trace)."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    return features.mean(axis=0), centred, float(np.square(centred).sum())


def inception_discriminative_scores(real: Features, fake: Features) -> tuple[float, float]:
    """(U-IDS, P-IDS), Zhao et al. 2021: a linear support vector machine tells fills from photos.

    U-IDS is how often it is wrong, P-IDS how often a fill seems more real than its own truth. 0.5 is ideal.
    """
    weights = _linear_svm(np.concatenate([real, fake]), np.repeat([1.0, -1.0], [len(real), len(fake)]))
    real_side, fake_side = (np.c_[each, np.ones(len(each))] @ weights for each in (real, fake))
    wrong = (real_side <= 0).sum() + (fake_side > 0).sum()
    return float(wrong / (len(real) + len(fake))), float((fake_side > real_side).mean())


def _linear_svm(features: Features, signs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(features + 1,), the last the bias: squared hinge loss plus half the squared norm, the bias in it.

    The machine of the published evaluation (LinearSVC with dual=False and C = 1), found by Newton's method in the dual
    form: with fewer pictures than features the system to solve is only as large as there are pictures.
    """
    inputs = np.c_[features, np.ones(len(features))]
    gram = inputs @ inputs.T
    active, found = np.ones(len(inputs), np.bool_), np.zeros(len(inputs))
    for _ in range(_NEWTON_STEPS):
        # On the active pictures w = X'a and the slack is 1 - y(Xw) = y a / 2.
        found = np.zeros(len(inputs))
        inner = gram[np.ix_(active, active)] + 0.5 * np.eye(int(active.sum()))
        found[active] = np.linalg.solve(inner, signs[active])
        now = signs * (gram @ found) < 1
        if np.array_equal(now, active):
            break
        active = now
    return np.asarray(inputs.T @ found)
