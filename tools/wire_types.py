"""Writes the wire's types for the page, frontend/js/wire/wire.d.ts, from the server's OpenAPI description.

`make docs` runs it. A test holds that what is committed is what this would write.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lama_server.app import create_app
from lama_server.settings import Settings

TARGET = Path(__file__).resolve().parent.parent / "frontend" / "js" / "wire" / "wire.d.ts"
NOTE = "/** The wire's types, made from the server's OpenAPI description by `make docs`; change them there. */\n"
PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}

Schema = Mapping[str, Any]


def types() -> str:
    """The file's content."""
    with tempfile.TemporaryDirectory() as folder:
        schemas = create_app(Settings(data_dir=Path(folder))).openapi()["components"]["schemas"]
    return NOTE + "".join(f"\n{_declared(name, schemas[name])}" for name in sorted(schemas))


def _declared(name: str, schema: Schema) -> str:
    if "properties" not in schema:
        return f"{_comment(schema)}export type {name} = {_type(schema)};\n"
    required = schema.get("required", ())
    lines = [
        f"{_comment(part, '  ')}  readonly {key}{'' if key in required else '?'}: {_type(part)};\n"
        for key, part in schema["properties"].items()
        if not part.get("deprecated")
    ]
    return f"{_comment(schema)}export interface {name} {{\n{''.join(lines)}}}\n"


def _comment(schema: Schema, indent: str = "") -> str:
    text = " ".join(schema.get("description", "").split())
    return f"{indent}/** {text} */\n" if text else ""


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(dict.fromkeys(_type(part) for part in parts))
    if schema.get("type") == "array":
        return f"ReadonlyArray<{_type(schema['items'])}>"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"Readonly<Record<string, {_type(values) if isinstance(values, dict) else 'unknown'}>>"
    return PLAIN[schema["type"]] if "type" in schema else "unknown"


def main() -> int:
    TARGET.write_text(types(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
