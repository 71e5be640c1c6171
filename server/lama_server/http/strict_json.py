"""JSON as the wire takes it: no NaN, no repeated keys, no deep nesting, no broken surrogates."""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..problems import ProblemError

Wire = TypeVar("Wire", bound=BaseModel)


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def parse(text: bytes | str, *, max_depth: int, where: str = "") -> Any:
    """The JSON value. Raises params.malformed; `where` is the field that the text came in."""
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        _check_depth(decoded, max_depth)
        value = json.loads(
            decoded, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite_float
        )
        if _SURROGATE.search(decoded):
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses those without their other half
    except (ValueError, RecursionError) as error:
        raise ProblemError(
            "params.malformed", f"The JSON cannot be read: {_reason(error)}.", pointer=where or "/"
        ) from None
    return value


def parse_object(text: bytes | str, *, max_depth: int, where: str = "") -> dict[str, Any]:
    """The JSON object. Raises params.malformed when it is anything else."""
    value = parse(text, max_depth=max_depth, where=where)
    if not isinstance(value, dict):
        raise ProblemError("params.malformed", "The JSON must be an object in braces.", pointer=where or "/")
    return value


def validated(model: type[Wire], value: dict[str, Any], where: str = "") -> Wire:
    """The object as a wire type. Raises a problem that names the first wrong field and lists all of them."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise wire_problem(error, where) from None


def wire_problem(error: ValidationError, where: str = "") -> ProblemError:
    """What pydantic found, in our codes; never with the values that came in."""
    found = [
        (where + _pointer(item["loc"]), _code(item["type"]), str(item["msg"]))
        for item in error.errors(include_input=False, include_context=False, include_url=False)[:20]
    ]
    pointer, code, message = found[0]
    return ProblemError(code, f"{pointer}: {message}.", errors=tuple(found), pointer=pointer)


def _pointer(location: tuple[int | str, ...]) -> str:
    return "".join("/" + str(part)[:40].replace("~", "~0").replace("/", "~1") for part in location)


_CODES = {
    "missing": "field.missing",
    "extra_forbidden": "param.unknown",
    "literal_error": "param.unknown_value",
    "enum": "param.unknown_value",
    "union_tag_invalid": "param.unknown_value",
    "union_tag_not_found": "field.missing",
    "string_too_long": "param.too_long",
    "too_long": "param.too_long",
    "string_pattern_mismatch": "param.invalid",
    "value_error": "param.invalid",
}
_RANGE = ("greater_than", "less_than", "too_short", "string_too_short", "finite_number", "multiple_of")


def _code(kind: str) -> str:
    if kind in _CODES:
        return _CODES[kind]
    return "param.out_of_range" if kind.startswith(_RANGE) else "param.wrong_type"


_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
"""A whole string, or a bracket outside strings. A string that does not end reaches to the end of the text, and nothing
is looked at twice: the time is linear, also for what is made to take long."""


def _check_depth(text: str, max_depth: int) -> None:
    """Counts brackets outside strings, so that the parser never sees a nest that could exhaust the stack."""
    depth = 0
    for found in _BRACKET.finditer(text):
        first = text[found.start()]
        if first in "[{":
            depth += 1
            if depth > max_depth:
                raise ValueError(f"it is nested deeper than {max_depth} levels")
        elif first in "]}":
            depth -= 1


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is there twice")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _finite_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno} column {error.colno}"
    if isinstance(error, UnicodeError):
        return "it is not valid UTF-8"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
