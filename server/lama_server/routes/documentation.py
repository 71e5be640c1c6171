"""The API on one page: the OpenAPI document as values for frontend/docs.html, and for the template of docs/api.md.

Written here and not taken from FastAPI, whose page loads scripts from another site: this one works offline, needs no
script at all, and so passes the same content security policy as everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from ..errors import REGISTRY, RouteNotFound
from .common import EVERYWHERE

router = APIRouter(include_in_schema=False)

Piece = tuple[Literal["text", "type", "value"], str]
TypeText = list[Piece]
"""A schema in a few words: plain text, names of types, and values as they are written."""

_BOUNDS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
_CODE = re.compile(r"`([a-z]+\.[a-z_]+)`")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, which stands in the path or the query, or a field of a type."""

    name: str
    shape: TypeText
    text: str
    optional: bool
    place: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of an endpoint. Bodies and answers are (media type, shape); `errors` leaves out what all have."""

    method: str
    path: str
    summary: str
    description: str
    parameters: list[Field]
    bodies: list[tuple[str, TypeText]]
    answers: list[tuple[str, TypeText]]
    successes: list[tuple[str, str]]
    errors: list[str]


@dataclass(frozen=True, slots=True)
class Type:
    name: str
    description: str
    shape: TypeText
    fields: list[Field]


@router.get("/docs")
async def docs(request: Request) -> Response:
    html = request.app.state.frontend.render("docs.html", **reference(request.app.openapi()))
    if html is None:
        raise RouteNotFound("This installation has no pages. The API is described at /openapi.json.")
    return HTMLResponse(html)


def reference(document: dict[str, Any]) -> dict[str, object]:
    """What a template shows of the OpenAPI document."""
    return {
        "version": document["info"]["version"],
        "description": document["info"]["description"],
        "operations": [
            _operation(path, method, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ],
        "types": [_type(name, schema) for name, schema in sorted(document["components"]["schemas"].items())],
        "errors": list(REGISTRY.values()),
        "everywhere": [kind.code for kind in EVERYWHERE],
    }


def _operation(path: str, method: str, operation: dict[str, Any]) -> Operation:
    responses = operation["responses"]
    everywhere = {kind.code for kind in EVERYWHERE}
    return Operation(
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        parameters=[_parameter(item) for item in operation.get("parameters", ())],
        bodies=_contents(operation.get("requestBody", {})),
        answers=_contents(responses.get("200", {})),
        successes=[
            (status, answer["description"])
            for status, answer in responses.items()
            if status.startswith("2") and answer["description"] != "Successful Response"
        ],
        errors=[
            code
            for answer in responses.values()
            for code in _CODE.findall(answer["description"])
            if code in REGISTRY and code not in everywhere
        ],
    )


def _parameter(item: dict[str, Any]) -> Field:
    """A parameter that is left out is null for the framework, which no query can say."""
    parts = [part for part in item["schema"].get("anyOf", [item["schema"]]) if part.get("type") != "null"]
    return Field(item["name"], _shape({"anyOf": parts}), item.get("description", ""), not item["required"], item["in"])


def _contents(part: dict[str, Any]) -> list[tuple[str, TypeText]]:
    return [(media, _shape(content.get("schema", {}))) for media, content in part.get("content", {}).items()]


def _type(name: str, schema: dict[str, Any]) -> Type:
    required = schema.get("required", ())
    fields = [
        Field(field, _shape(shape), shape.get("description", ""), field not in required)
        for field, shape in schema.get("properties", {}).items()
    ]
    return Type(name, schema.get("description", ""), _shape(schema), fields)


def _shape(schema: dict[str, Any]) -> TypeText:
    return list(_pieces(schema))


def _pieces(schema: dict[str, Any]) -> Iterator[Piece]:
    parts = schema.get("anyOf", schema.get("oneOf", ()))
    values = schema.get("enum", [schema["const"]] if "const" in schema else ())
    if "$ref" in schema:
        yield "type", schema["$ref"].rsplit("/", 1)[-1]
    elif parts:
        for index, part in enumerate(parts):
            if index:
                yield "text", " or "
            yield from _pieces(part)
    elif values:
        for index, value in enumerate(values):
            if index:
                yield "text", ", "
            yield "value", str(value)
    elif schema.get("type") == "array":
        yield "text", "list of "
        yield from _pieces(schema.get("items", {}))
    else:
        bounds = [f" {sign} {schema[key]:.15g}" for key, sign in _BOUNDS if key in schema]
        yield "text", str(schema.get("type", "any")) + "".join(bounds)
