"""/docs: the API on one page, made from the OpenAPI document.

Written here and not taken from FastAPI, whose page loads scripts from another site: this one works offline, needs no
script at all, and so passes the same content security policy as everything else.
"""

from __future__ import annotations

import html
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from ..errors import REGISTRY

router = APIRouter(include_in_schema=False)

STYLE = """:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:2.5rem;border-bottom:1px solid}code,pre{font-family:ui-monospace,monospace;font-size:.9em}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;
border-bottom:1px solid #8884}summary{cursor:pointer}.method{font-weight:600;display:inline-block;min-width:4.5rem}"""


@router.get("/docs")
async def docs(request: Request) -> Response:
    return HTMLResponse(page(request.app.openapi()))


@router.get("/docs.css")
async def style() -> Response:
    return Response(STYLE, media_type="text/css")


def page(document: dict[str, Any]) -> str:
    """The OpenAPI document as HTML."""
    operations = [
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    types = [_type(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<title>lama-server API</title><link rel="stylesheet" href="/docs.css">'
        f"<h1>lama-server {_text(document['info']['version'])}</h1><p>{_text(document['info']['description'])}</p>"
        '<p>For machines: <a href="/openapi.json">/openapi.json</a></p>'
        f"<h2>Addresses</h2>{''.join(operations)}<h2>Types</h2>{''.join(types)}<h2>Errors</h2>{_errors()}</html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{_text(item['name'])}</code><td>{_text(item['in'])}<td>{_shape(item['schema'])}"
        f"<td>{_text(item.get('description', ''))}"
        for item in operation.get("parameters", ())
    )
    body = "".join(
        f"<li><code>{_text(media)}</code> {_shape(content.get('schema', {}))}"
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
    )
    answers = "".join(
        f"<tr><td>{_text(status)}<td>{_media(answer)}<td>{_text(answer.get('description', ''))}"
        for status, answer in operation["responses"].items()
    )
    return (
        f'<details><summary><span class="method">{method.upper()}</span> <code>{_text(path)}</code> '
        f"{_text(operation.get('summary', ''))}</summary><p>{_text(operation.get('description', ''))}</p>"
        + (f"<h4>Parameters</h4><table>{parameters}</table>" if parameters else "")
        + (f"<h4>Body</h4><ul>{body}</ul>" if body else "")
        + f"<h4>Answers</h4><table>{answers}</table></details>"
    )


def _media(answer: dict[str, Any]) -> str:
    return "<br>".join(
        f"<code>{_text(media)}</code> {_shape(content.get('schema', {}))}"
        for media, content in answer.get("content", {}).items()
    )


def _type(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{_text(field)}</code><td>{_shape(shape)}{'' if field in required else ', optional'}"
        f"<td>{_text(shape.get('description', ''))}"
        for field, shape in schema.get("properties", {}).items()
    )
    text = _text(schema.get("description", "")) or _shape(schema)
    heading = f'<details id="{_text(name)}"><summary><code>{_text(name)}</code></summary>'
    return f"{heading}<p>{text}</p><table>{rows}</table></details>"


def _shape(schema: dict[str, Any]) -> str:
    """A schema in a few words, with links to named types."""
    if "$ref" in schema:
        name = _text(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_shape(part) for part in schema[key])
    if "enum" in schema:
        return " | ".join(f"<code>{_text(value)}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{_text(schema['const'])}</code>"
    if schema.get("type") == "array":
        return f"list of {_shape(schema.get('items', {}))}"
    words = str(schema.get("type", "any"))
    bounds = [f"{sign} {schema[key]:g}" for key, sign in _BOUNDS if key in schema]
    return _text(" ".join([words, *bounds]))


_BOUNDS = (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<"))


def _errors() -> str:
    rows = "".join(
        f"<tr><td><code>{kind.code}</code><td>{kind.status}<td>{_text(kind.title)}"
        f"<td>{'try again' if kind.retryable else ''}"
        for kind in REGISTRY.values()
    )
    return f"<table><tr><th>Code<th>Status<th>Meaning<th>{rows}</table>"


def _text(value: object) -> str:
    return html.escape(str(value))
