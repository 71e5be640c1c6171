"""Noise schedule and the two deterministic samplers, as plain generator functions.

DDIM: Song et al., "Denoising Diffusion Implicit Models", ICLR 2021, equation 12 with sigma = 0.
PLMS: Liu et al., "Pseudo Numerical Methods for Diffusion Models on Manifolds", ICLR 2022, section 3.3.
Original code: https://github.com/CompVis/latent-diffusion (MIT).
Differs from it: any number of steps up to 500 gives exactly that many, evenly spread; where the number divides 1000 the
timesteps are the original's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TRAINING_STEPS = 1000
BETA_START = 0.0015
BETA_END = 0.0205
MAX_STEPS = 500  # From here on two steps would share a timestep, or pass the last trained one.

Denoiser = Callable[[Tensor, int], Tensor]
"""(noisy latents x_t, timestep t) -> predicted noise, of x_t's shape."""


def signal_levels() -> NDArray[np.float64]:
    """Share of the signal's variance left at each trained timestep (the paper's cumulative alpha): (1000,), falling.

    The square root of the noise rate beta rises linearly from start to end.
    """
    betas = np.linspace(BETA_START**0.5, BETA_END**0.5, TRAINING_STEPS) ** 2
    levels: NDArray[np.float64] = np.cumprod(1.0 - betas, dtype=np.float64)
    return levels


class SamplerStep(NamedTuple):
    """One move of a sampler: from `alpha` (signal level at `timestep`) to `alpha_prev`, the less noisy neighbour."""

    timestep: int
    alpha: float
    alpha_prev: float


Schedule = Sequence[SamplerStep]
"""Steps in the order in which they are taken, noisiest first."""


def evenly_spaced(count: int) -> Schedule:
    """`count` timesteps 1 + floor(1000 i / count). The last move ends at timestep 0, where some noise is left."""
    if not 1 <= count <= MAX_STEPS:
        raise ValueError(f"A schedule has 1 to {MAX_STEPS} steps, not {count}.")
    levels = signal_levels()
    timesteps = np.arange(count) * TRAINING_STEPS // count + 1
    previous = np.concatenate([levels[:1], levels[timesteps[:-1]]])
    steps = zip(timesteps.tolist(), levels[timesteps].tolist(), previous.tolist(), strict=True)
    return [SamplerStep(*step) for step in steps][::-1]


class Sample(NamedTuple):
    """State after one step: the latents `x` to go on with, and the sampler's present guess of the clean latents."""

    x: Tensor
    estimate: Tensor


Sampler = Callable[[Denoiser, Tensor, Schedule], Iterator[Sample]]


def ddim_move(x: Tensor, noise: Tensor, step: SamplerStep) -> Sample:
    """Removes the predicted noise, then adds back as much of it as the next timestep has."""
    estimate = (x - (1.0 - step.alpha) ** 0.5 * noise) / step.alpha**0.5
    return Sample(step.alpha_prev**0.5 * estimate + (1.0 - step.alpha_prev) ** 0.5 * noise, estimate)


def ddim(denoise: Denoiser, x: Tensor, schedule: Schedule) -> Iterator[Sample]:
    """Walks from start noise `x` to clean latents; one evaluation per step, yielded after each."""
    for step in schedule:
        sample = ddim_move(x, denoise(x, step.timestep), step)
        x = sample.x
        yield sample


def plms(denoise: Denoiser, x: Tensor, schedule: Schedule) -> Iterator[Sample]:
    """Like ddim(), with the noise extrapolated from up to three earlier predictions.

    One evaluation per step, and a second one in the first step, which has no history (a Heun step).
    """
    history: list[Tensor] = []  # latest first
    following = [*schedule[1:], schedule[-1]]
    for step, after in zip(schedule, following, strict=True):
        noise = denoise(x, step.timestep)
        if history:
            direction = adams_bashforth(noise, history)
        else:
            direction = (noise + denoise(ddim_move(x, noise, step).x, after.timestep)) / 2
        sample = ddim_move(x, direction, step)
        x = sample.x
        history = [noise, *history[:2]]
        yield sample


def adams_bashforth(noise: Tensor, history: list[Tensor]) -> Tensor:
    """Linear multistep combination of the newest prediction and one to three earlier ones (latest first)."""
    coefficients = {
        1: (3 / 2, -1 / 2),
        2: (23 / 12, -16 / 12, 5 / 12),
        3: (55 / 24, -59 / 24, 37 / 24, -9 / 24),
    }[len(history)]
    terms = [weight * past for weight, past in zip(coefficients, [noise, *history], strict=True)]
    return torch.stack(terms).sum(dim=0)


SAMPLERS: dict[str, Sampler] = {"ddim": ddim, "plms": plms}
