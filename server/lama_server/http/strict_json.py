"""JSON as the wire takes it: no NaN, no repeated keys, no deep nesting, no broken surrogates."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .. import errors

Wire = TypeVar("Wire", bound=BaseModel)


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def parse(text: bytes | str, *, max_depth: int, where: str = "") -> Any:
    """The JSON value. Raises `ParamsMalformed`; `where` is the field that the text came in."""
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        _check_depth(decoded, max_depth)
        value = json.loads(
            decoded, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite_float
        )
        if ("\\" in decoded or not decoded.isascii()) and _SURROGATE.search(decoded):
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses those without their other half
    except (ValueError, RecursionError) as error:
        raise errors.ParamsMalformed(f"The JSON cannot be read: {_reason(error)}.", pointer=where or "/") from None
    return value


def parse_object(text: bytes | str, *, max_depth: int, where: str = "") -> dict[str, Any]:
    """The JSON object. Raises `ParamsMalformed` when it is anything else."""
    value = parse(text, max_depth=max_depth, where=where)
    if not isinstance(value, dict):
        raise errors.ParamsMalformed("The JSON must be an object in braces.", pointer=where or "/")
    return value


def validated(model: type[Wire], value: dict[str, Any], where: str = "") -> Wire:
    """The object as a wire type. Raises a problem that names the first wrong field and lists all of them."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_context=False, include_url=False)
        raise wire_error([{**item, "loc": tuple(_path(item, value))} for item in wrong], where) from None


def wire_error(wrong: Sequence[Mapping[str, Any]], where: str = "", skipped: int = 0) -> errors.ApiError:
    """What pydantic found, in our codes; never with the values that came in. Locations begin after `skipped` parts."""
    found = [
        _kind(item["type"])(str(item["msg"]), pointer=where + errors.json_pointer(*item["loc"][skipped:]))
        for item in wrong[:20]
    ]
    first = found[0]
    return type(first)(f"{first.pointer}: {first.detail}.", errors=tuple(found), pointer=first.pointer)


def _path(item: Mapping[str, Any], value: Any) -> Iterator[int | str]:
    """Where in the value the error is: its location without the tags of unions, which pydantic has among the fields."""
    location = item["loc"]
    for index, part in enumerate(location):
        is_missing_field = item["type"] == "missing" and index + 1 == len(location)
        if isinstance(value, dict) and part not in value and not is_missing_field:
            continue
        yield part
        inside = isinstance(value, list) and isinstance(part, int) and part < len(value)
        value = value[part] if inside else value.get(part) if isinstance(value, dict) else None


_KINDS: dict[str, type[errors.ApiError]] = {
    "missing": errors.FieldMissing,
    "extra_forbidden": errors.ParamUnknown,
    "literal_error": errors.ParamUnknownValue,
    "enum": errors.ParamUnknownValue,
    "union_tag_invalid": errors.ParamUnknownValue,
    "union_tag_not_found": errors.FieldMissing,
    "string_too_long": errors.ParamTooLong,
    "too_long": errors.ParamTooLong,
    "string_pattern_mismatch": errors.ParamInvalid,
    "value_error": errors.ParamInvalid,
    "int_parsing_size": errors.ParamOutOfRange,
}
_RANGE = (
    "greater_than",
    "less_than",
    "too_short",
    "string_too_short",
    "finite_number",
    "multiple_of",
    "int_parsing_size",
)


def _kind(name: str) -> type[errors.ApiError]:
    """The class for what pydantic calls `name`."""
    return _KINDS.get(name, errors.ParamOutOfRange if name.startswith(_RANGE) else errors.ParamWrongType)


_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
"""A whole string, or a bracket outside strings. A string that does not end reaches to the end of the text, and nothing
is looked at twice: the time is linear, also for what is made to take long."""


def _check_depth(text: str, max_depth: int) -> None:
    """Counts brackets outside strings, so that the parser never sees a nest that could exhaust the stack."""
    if text.count("[") + text.count("{") <= max_depth:  # such as one object with a photo of tens of megabytes in it
        return
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
