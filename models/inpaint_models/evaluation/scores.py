"""The measures by name: which way is better, how they are averaged, and all of them for one fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..types import HoleMask
from . import fidelity, texture, traces
from .views import Levels, View

Better = Literal["higher", "lower", "one", "zero"]
"""Which values are good; one and zero are good and both sides of them are not."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of the report.

    geometric  whether the mean is that of the logarithms, as for ratios
    short      whether it is in the short table
    """

    name: str
    title: str
    better: Better
    about: str
    digits: int = 2
    geometric: bool = False
    short: bool = False


METRICS: tuple[Metric, ...] = (
    Metric("l1", "L1", "lower", "mean absolute difference to the truth in the hole, levels of 255", short=True),
    Metric("l2", "L2", "lower", "root of the mean squared difference in the hole, levels of 255"),
    Metric("psnr", "PSNR", "higher", "peak signal to noise in the hole, dB", short=True),
    Metric("ssim", "SSIM", "higher", "structural similarity, mean over the hole", 3, short=True),
    Metric("ms_ssim", "MS-SSIM", "higher", "the same over five scales", 3, short=True),
    Metric("l1_rim", "L1 rim", "lower", "L1 in the hole's outermost 8 pixels"),
    Metric("l2_rim", "L2 rim", "lower", "L2 there"),
    Metric("psnr_rim", "PSNR rim", "higher", "PSNR there"),
    Metric("ssim_rim", "SSIM rim", "higher", "SSIM there", 3),
    Metric("ms_ssim_rim", "MS-SSIM rim", "higher", "MS-SSIM there", 3),
    Metric(
        "sharpness", "sharpness", "one", "gradient energy over the truth's, else over the ring's",
        geometric=True, short=True,
    ),
    Metric("noise_ratio", "noise", "one", "grain of the hole over that of the ring", geometric=True, short=True),
    Metric(
        "spectrum_distance", "spectrum", "lower", "fine structure of hole and ring by octave, dB apart", 1, short=True
    ),
    Metric(
        "seam", "seam", "one", "squared steps across the mask's edge over those across parallels to it",
        geometric=True, short=True,
    ),
    Metric(
        "repetition", "repeats", "zero", "share of patches that are there twice, less that of the truth or ring",
        3, short=True,
    ),
    Metric("patch_distance", "SWD", "lower", "sliced Wasserstein distance between Laplacian patches", 3, short=True),
    Metric("lpips", "LPIPS", "lower", "learned perceptual distance to the truth, whole photo", 3, short=True),
    Metric("changed_outside", "changed", "zero", "pixels outside the mask that are not what they were", 0, short=True),
    Metric("seconds", "seconds", "lower", "time of the fill", 2, short=True),
    Metric("memory_mib", "MiB", "lower", "resident memory at the peak of the fill, less that before it", 0, short=True),
)  # fmt: skip
"""In the order of the report's columns. The first ten need the truth, and LPIPS does."""

METRIC: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}

_FIDELITY: Mapping[str, Callable[[Levels, Levels, HoleMask], float]] = {
    "l1": fidelity.l1,
    "l2": fidelity.l2,
    "psnr": fidelity.psnr,
    "ssim": fidelity.ssim,
    "ms_ssim": fidelity.ms_ssim,
}
_APPEARANCE: Mapping[str, Callable[[View], float]] = {
    "sharpness": texture.sharpness,
    "noise_ratio": texture.noise_ratio,
    "spectrum_distance": texture.spectrum_distance,
    "seam": traces.seam,
    "repetition": traces.repetition,
    "patch_distance": texture.patch_distance,
}


def score(view: View) -> dict[str, float]:
    """Name -> value; NaN where the hole is too small or too thin for the measure."""
    found: dict[str, float] = {}
    if view.truth is not None:
        for suffix, region in (("", view.hole), ("_rim", view.rim)):
            found |= {f"{name}{suffix}": f(view.filled, view.truth, region) for name, f in _FIDELITY.items()}
    return found | {name: measure(view) for name, measure in _APPEARANCE.items()}
