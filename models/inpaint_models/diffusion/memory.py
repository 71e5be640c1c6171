"""Whether a pipeline fits, and how it is spread over the GPU's memory and the machine's. Pure: sizes in, plan out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..errors import OutOfMemory
from ..registry import Placement

Spread = Literal["whole", "model", "group", "sequential"]
"""What is on the GPU at once: everything, one network, some blocks of one, one layer."""

_SHARE = 0.8
"""How much of the free memory a pipeline may take."""
_GROUP_SHARE = 0.25
"""Of the largest network that is on the GPU when it goes there in groups of blocks, roughly."""


@dataclass(frozen=True, slots=True)
class Free:
    """Memory that may be taken. Bytes; `gpu` is None where networks run on the processor."""

    machine: int
    gpu: int | None


def spread(title: str, parts: Mapping[str, int], work: int, free: Free, placement: Placement) -> Spread:
    """The quickest way that fits. Raises `OutOfMemory`, before anything is loaded, where none does.

    parts  bytes of each network in the precision that it will have
    work   bytes that a step takes beside them
    """
    total, largest = sum(parts.values()), max(parts.values())
    on_gpu = total - sum(
        size for name, size in parts.items() if "text_encoder" in name and placement.text_encoder_on_cpu
    )
    if free.gpu is None:
        _check(title, total + work, free.machine, "this machine", "Close other programs, or choose a smaller model.")
        return "whole"
    if not placement.cpu_offload:
        advice = "Start with --cpu-offload, or choose a smaller model."
        _check(title, on_gpu + work, free.gpu, "the GPU", advice)
        return "whole"
    _check(
        title, total, free.machine, "this machine", "Offloading keeps the model in its memory. Choose a smaller one."
    )
    ways: dict[Spread, int] = {"model": largest, "group": round(_GROUP_SHARE * largest)}
    return next((way for way, size in ways.items() if size + work <= _SHARE * free.gpu), "sequential")


def _check(title: str, needed: int, free: int, where: str, advice: str) -> None:
    if needed > _SHARE * free:
        raise OutOfMemory(
            f"{title} needs about {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free on {where}, so it "
            f"was not loaded. {advice}"
        )
