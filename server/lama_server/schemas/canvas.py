"""Changes of the canvas, as they travel and as they are applied: another size, and other places for what is on it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from .base import RequestType

Margin = Annotated[int, Field(ge=0, le=100_000)]
Length = Annotated[int, Field(ge=1, le=100_000)]


class _Change(RequestType):
    model_config = ConfigDict(strict=True)


class Extend(_Change):
    """Add pixels at the sides. They continue the picture, mirrored, until they are filled like any other hole."""

    op: Literal["extend"]
    left: Margin = 0
    top: Margin = 0
    right: Margin = 0
    bottom: Margin = 0

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not (self.left or self.top or self.right or self.bottom):
            raise ValueError("at least one of left, top, right and bottom must be more than 0")
        return self


class Crop(_Change):
    """Keep a part of the canvas."""

    op: Literal["crop"]
    x: Margin
    y: Margin
    w: Length
    h: Length


class Rotate(_Change):
    """Turn the canvas clockwise."""

    op: Literal["rotate"]
    quarter_turns: Annotated[int, Field(ge=1, le=3)]


class Scale(_Change):
    """Another number of pixels for the same picture: averages where it shrinks, Lanczos where it grows."""

    op: Literal["scale"]
    width: Length
    height: Length


Move = Extend | Crop | Rotate
"""What changes no pixel that it keeps."""

CanvasChange = Annotated[Move | Scale, Field(discriminator="op")]
