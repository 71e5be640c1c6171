"""The knobs of a model, with their limits; page, API, command line and docs are made from them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .errors import ParameterChoice, ParameterRange, ParameterType
from .types import AnyImage, ParamValue

ParameterKind = Literal["int", "float", "bool", "choice", "text", "colour", "picture"]

PictureReader = Callable[[str], AnyImage]
"""Opens the picture that a command line names."""

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}|")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One knob of a model.

    kind         "text" is words; "colour" is #rrggbb, or empty for none; "picture" is an (H, W, 3 or 4) array of uint8
                 or uint16
    default      None for a picture: the model does without one
    max_length   of a text, in characters
    placeholder  shown in an empty text field
    max_pixels   of a picture
    """

    name: str
    kind: ParameterKind
    default: int | float | bool | str | None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    help: str = ""
    max_length: int = 1000
    placeholder: str = ""
    max_pixels: int = 50_000_000

    def checked(self, value: object) -> ParamValue:
        """The value, when it is of the right type and within limits; an int is taken for a float."""
        if self.kind == "bool":
            if isinstance(value, bool):
                return value
            raise ParameterType(self.name, f"{self.name} must be true or false, not {quoted(value)}.")
        if self.kind == "picture":
            return self._checked_picture(value)
        if self.kind in ("int", "float"):
            return self._checked_number(value)
        if not isinstance(value, str):
            raise ParameterType(self.name, f"{self.name} must be a text, not {quoted(value)}.")
        if self.kind == "colour":
            return self._checked_colour(value)
        return self._checked_text(value) if self.kind == "text" else self._checked_choice(value)

    def from_text(self, text: str, open_picture: PictureReader | None = None) -> ParamValue:
        """The value as a command line spells it: true or false, a number, a choice, words, or a picture's path.

        open_picture  reads the picture; without it none can be given
        """
        if self.kind == "bool":
            return self.checked({"true": True, "false": False}.get(text, text))
        if self.kind == "int" and _WHOLE_NUMBER.fullmatch(text):
            return self.checked(int(text))
        if self.kind == "float" and _NUMBER.fullmatch(text):
            return self.checked(float(text))
        if self.kind == "picture" and open_picture is not None:
            return self.checked(open_picture(text))
        return self.checked(text)

    def _checked_number(self, value: object) -> int | float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or (self.kind == "int" and not isinstance(value, int)):
            wanted = "a whole number" if self.kind == "int" else "a number"
            raise ParameterType(self.name, f"{self.name} must be {wanted}, not {quoted(value)}.")
        assert isinstance(value, int | float)
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        if not (low <= value <= high):
            raise ParameterRange(self.name, f"{self.name} is {value}; it must be from {_plain(low)} to {_plain(high)}.")
        return float(value) if self.kind == "float" else value

    def _checked_choice(self, value: str) -> str:
        if value not in self.choices:
            raise ParameterChoice(
                self.name, f"{self.name} cannot be {quoted(value)}. Use one of: {', '.join(self.choices)}."
            )
        return value

    def _checked_colour(self, value: str) -> str:
        if not _COLOUR.fullmatch(value):
            raise ParameterType(
                self.name, f"{self.name} must be a colour such as #ffffff, or empty, not {quoted(value)}."
            )
        return value

    def _checked_text(self, value: str) -> str:
        if len(value) > self.max_length:
            raise ParameterRange(
                self.name, f"{self.name} has {len(value):,} characters; at most {self.max_length:,} are allowed."
            )
        if _CONTROL.search(value):
            raise ParameterType(self.name, f"{self.name} holds control characters. Send plain text.")
        return value

    def _checked_picture(self, value: object) -> AnyImage:
        if not isinstance(value, np.ndarray):
            raise ParameterType(self.name, f"{self.name} must be a picture, not {quoted(value)}.")
        if (
            value.ndim != 3
            or value.shape[2] not in (3, 4)
            or value.dtype not in (np.uint8, np.uint16)
            or not value.size
        ):
            raise ParameterType(
                self.name,
                f"{self.name} is an array of shape {value.shape} and type {value.dtype}. "
                "Give (height, width, 3) RGB or (height, width, 4) RGBA of uint8 or uint16.",
            )
        height, width = value.shape[:2]
        if height * width > self.max_pixels:
            raise ParameterRange(
                self.name, f"{self.name} has {height * width:,} pixels; at most {self.max_pixels:,} are allowed."
            )
        return value


BACKGROUND = Parameter(
    "background", "colour", "", help="Put behind the subject, such as #ffffff; empty, the rest becomes transparent."
)
"""Of every model that cuts out; the runner does it."""


def quoted(value: object) -> str:
    """A caller's value, short enough to be shown back to them."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain(number: float) -> str:
    """Whole numbers with all their digits, others as short as they can be."""
    return str(int(number)) if float(number).is_integer() else f"{number:g}"
