"""The samplers by the names that people know them by, as diffusers' schedulers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import diffusers

_MULTISTEP = "DPMSolverMultistepScheduler"
_SDE = {"algorithm_type": "sde-dpmsolver++"}
_KARRAS = {"use_karras_sigmas": True}

_SCHEDULERS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "DPM++ 2M Karras": (_MULTISTEP, _KARRAS),
    "DPM++ 2M": (_MULTISTEP, {}),
    "DPM++ 2M SDE Karras": (_MULTISTEP, {**_SDE, **_KARRAS}),
    "DPM++ 2M SDE": (_MULTISTEP, _SDE),
    "DPM2": ("KDPM2DiscreteScheduler", {}),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "DDIM": ("DDIMScheduler", {}),
    "PNDM": ("PNDMScheduler", {"skip_prk_steps": True}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "LCM": ("LCMScheduler", {}),
}
"""Name -> class in diffusers, and what is set in it beside the pipeline's own noise schedule."""


def make_scheduler(name: str, configuration: Mapping[str, object]) -> Any:
    """A new one for each fill: schedulers remember their steps. `configuration` is that of the pipeline's own."""
    kind, settings = _SCHEDULERS[name]
    return getattr(diffusers, kind).from_config(dict(configuration), **settings)


def estimate(scheduler: Any, latents: Any) -> Any:
    """What the scheduler takes the finished latents for; the noisy ones where it does not tell.

    Solvers that predict the picture and not the noise remember their last prediction.
    """
    outputs = getattr(scheduler, "model_outputs", None)
    predicts = str(scheduler.config.get("algorithm_type", "")).endswith("++") or scheduler.config.get("predict_x0")
    return outputs[-1] if outputs and outputs[-1] is not None and predicts else latents
