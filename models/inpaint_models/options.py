"""What every model understands, whatever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .registry import STRATEGIES, Parameter, StrategyKind
from .types import ParamValue

SEED_LIMIT = 2**32

OPTIONS: tuple[Parameter, ...] = (
    Parameter("seed", "int", 0, 0, SEED_LIMIT - 1, help="Chooses among the results of a model that has several."),
    Parameter("strategy", "choice", "auto", choices=STRATEGIES, help="How the model sees a large image."),
    Parameter("grow_px", "int", 0, 0, 256, help="Grows the mask by so many pixels before filling."),
    Parameter("feather_px", "int", 0, 0, 256, help="Fades the fill in over so many pixels inside the grown mask."),
    Parameter(
        "finish",
        "bool",
        True,
        help="Gives what a network fills the grain of its surroundings, and takes out a step of colour at its edge.",
    ),
    Parameter("margin_px", "int", 196, 8, 4096, help="Context around a hole, for the strategy crop."),
    Parameter("max_side", "int", 2048, 64, 16384, help="Longest side that the model gets to see, for crop and resize."),
    Parameter("crop_above", "int", 800, 16, 32768, help="Images no longer than this go in whole, for crop."),
)
"""What every model understands, with limits; margin, cap and trigger default to the model's own."""


@dataclass(frozen=True, slots=True)
class FillOptions:
    """How to fill. Numbers are checked against `OPTIONS`; None takes the model's own value."""

    seed: int = 0
    strategy: StrategyKind = "auto"
    grow_px: int = 0
    feather_px: int = 0
    finish: bool = True
    margin_px: int | None = None
    max_side: int | None = None
    crop_above: int | None = None
    params: Mapping[str, ParamValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for option in OPTIONS:
            if (value := getattr(self, option.name)) is not None:
                option.checked(value)
