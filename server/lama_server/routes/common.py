"""What every group of routes needs."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel

from .. import errors
from ..http.strict_json import parse_object, validated
from ..jobs.services import Services
from ..schemas.base import RENDER_FORMATS, RenderFormat

Wire = TypeVar("Wire", bound=BaseModel)
Kinds = tuple[type[errors.ApiError], ...]

EVERYWHERE: Kinds = (
    errors.BadTarget,
    errors.RequestMalformed,
    errors.HeadersTooLarge,
    errors.UriTooLong,
    errors.HostInvalid,
    errors.HostNotAllowed,
    errors.OriginForbidden,
    errors.AuthRequired,
    errors.AuthInvalid,
    errors.AuthRateLimited,
    errors.BodyTooLarge,
    errors.BodyUnsupportedEncoding,
    errors.InternalError,
)
"""What may be answered at any endpoint, mostly by the middleware."""

BODY: Kinds = (errors.UploadTimeout, errors.BodyUnsupportedType, errors.ParamsMalformed)
"""What reading a JSON body may end in."""

FIELDS: Kinds = (
    errors.FieldMissing,
    errors.ParamUnknown,
    errors.ParamWrongType,
    errors.ParamOutOfRange,
    errors.ParamUnknownValue,
    errors.ParamTooLong,
    errors.ParamInvalid,
)
"""What checking a JSON body may end in."""

JOB: Kinds = (
    errors.QueueFull,
    errors.QueueTimeout,
    errors.JobDeadlineExceeded,
    errors.JobCancelled,
    errors.WorkerCrashed,
    errors.WorkerUnavailable,
    errors.ShuttingDown,
    errors.StoreFull,
    errors.EngineOutOfMemory,
)
"""What any work in a worker may end in."""

IMAGE: Kinds = tuple(errors.ImageError.__subclasses__())
"""What decoding an image may end in."""

MODEL: Kinds = (
    errors.ModelUnknown,
    errors.ModelNotDownloaded,
    errors.ModelLoading,
    errors.ModelUnavailable,
    errors.ModelDownloadFailed,
    errors.ModelWeightsCorrupted,
    errors.ModelFormatUnsafe,
    errors.EngineOutputInvalid,
    errors.MaskEmpty,
    errors.MaskCoversAll,
    errors.MaskSizeWrong,
    errors.MaskInvalid,
)
"""What a fill may end in."""


CLIENT_ID: dict[str, Any] = {
    "name": "X-Client-Id",
    "in": "header",
    "required": False,
    "description": "Of the sender's choice. Jobs under the same id run one after another, in the order in which they "
    "were sent. Without one, or with anything else than 1 to 64 letters, digits, - and _, a request stands alone.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}
"""OpenAPI of the header that `client_id` reads."""

_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


def request_id(request: Request) -> str:
    return str(request.scope["state"]["request_id"])


def client_id(request: Request) -> str | None:
    """Who sends the request, where it says so: jobs of one client run in the order in which they were sent."""
    given = request.headers.get("x-client-id", "")
    return given if _CLIENT_ID.fullmatch(given) else None


async def json_body(request: Request, model: type[Wire]) -> Wire:
    """The body as a wire type. Raises body.unsupported_type, params.malformed and what validation finds."""
    return validated(model, await json_object(request))


async def json_object(request: Request) -> dict[str, Any]:
    """The body. Raises body.unsupported_type, params.malformed."""
    check_json(request)
    return parse_object(await request.body(), max_depth=services(request).limits.json_depth)


def check_json(request: Request) -> None:
    """Raises body.unsupported_type unless the body is said to be JSON, which no form of another site's page can say."""
    if content_type(request) != "application/json":
        raise errors.BodyUnsupportedType(
            "The body must be JSON, sent with Content-Type: application/json.",
            headers=(("accept", "application/json"),),
        )


def content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def json_request(*models: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI of a JSON body of one of these types."""
    kinds = [schema(model) for model in models]
    body = kinds[0] if len(kinds) == 1 else {"oneOf": kinds}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}


def schema(model: type[BaseModel] | str) -> dict[str, str]:
    """A reference into the document's components; `app.openapi` puts the wire types there."""
    return {"$ref": f"#/components/schemas/{model if isinstance(model, str) else model.__name__}"}


def problems(*kinds: type[errors.ApiError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI of the errors that an endpoint answers with, those of the middleware included."""
    by_status: dict[int, dict[str, str]] = {}
    for kind in (*kinds, *EVERYWHERE):
        by_status.setdefault(kind.status, {})[kind.code] = kind.title
    return {
        status: {
            "description": "; ".join(f"`{code}`: {title}" for code, title in sorted(titles.items())),
            "content": {"application/problem+json": {"schema": schema("ProblemReply")}},
        }
        for status, titles in sorted(by_status.items())
    }


def query_parameter(name: str, description: str, value_schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI of a query value that a route reads by hand."""
    return {"name": name, "in": "query", "required": False, "description": description, "schema": value_schema}


def integer(text: str | None, name: str, low: int, high: int) -> int | None:
    """A query value as a whole number within limits. Raises param.wrong_type, param.out_of_range."""
    if text is None:
        return None
    if not (text.isascii() and text.lstrip("-").isdigit() and len(text) <= 12):
        raise errors.ParamWrongType(f"{name} must be a whole number.", pointer=f"/{name}")
    value = int(text)
    if not low <= value <= high:
        raise errors.ParamOutOfRange(f"{name} is {value}; it must be from {low} to {high}.", pointer=f"/{name}")
    return value


def render_format(text: str | None, default: RenderFormat) -> RenderFormat:
    """The query value `format`. Raises param.unknown_value."""
    if text is None:
        return default
    for known in RENDER_FORMATS:
        if text == known:
            return known
    raise errors.ParamUnknownValue(f"format must be one of {', '.join(RENDER_FORMATS)}.", pointer="/format")
