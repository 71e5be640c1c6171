"""What every group of routes needs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel

from .. import errors
from ..http.strict_json import Wire, parse_object, validated
from ..jobs.queue import Ticket
from ..jobs.services import Services
from ..settings import Limits
from ..store.documents import Workspace

Kinds = tuple[type[errors.ApiError], ...]
Responses = dict[int | str, dict[str, Any]]

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
    errors.ShuttingDown,
    errors.Overloaded,
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
    errors.RootUnavailable,
    errors.StoreUnavailable,
    errors.EngineOutOfMemory,
)
"""What any work in a worker may end in."""

IMAGE: Kinds = tuple(errors.ImageError.__subclasses__())
"""What decoding an image may end in."""

MODEL: Kinds = (
    errors.ModelUnknown,
    errors.ModelWrongTask,
    errors.ModelNoSourceControl,
    errors.ModelImageUnsuitable,
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
    errors.MaskLeavesNoSource,
    errors.MaskInvalid,
)
"""What work with a model may end in."""


_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Found = Annotated[Services, Depends(services)]


ClientId = Annotated[
    str,
    Header(
        alias="X-Client-Id",
        description="Of the sender's choice. Jobs under the same id run one after another, in the order in which they "
        "were sent. Without one, or with anything else than 1 to 64 letters, digits, - and _, a request stands alone.",
        json_schema_extra={"pattern": f"^{_CLIENT_ID.pattern}$"},
    ),
]


async def reserved(found: Found, client_id: ClientId = "") -> AsyncIterator[Ticket]:
    """A place in the queue, given back after the response. Taken before the body is read. Raises `QueueFull`."""
    ticket = found.queue.reserve(client_id if _CLIENT_ID.fullmatch(client_id) else None)
    try:
        yield ticket
    finally:
        ticket.release()


async def workspace(request: Request, found: Found) -> AsyncIterator[Workspace]:
    """A private folder that is gone after the response."""
    work = await found.documents.workspace(declared_bytes(request))
    try:
        yield work
    finally:
        work.close()


Reserved = Annotated[Ticket, Depends(reserved)]
Private = Annotated[Workspace, Depends(workspace)]
Quality = Annotated[int | None, Query(ge=1, le=100, description="For JPEG and WebP.")]


def declared_bytes(request: Request) -> int:
    """How large the body is said to be; 0 where that is not known."""
    return int(request.headers.get("content-length", 0))


def request_id(request: Request) -> str:
    return str(request.scope["state"]["request_id"])


async def json_body(request: Request, model: type[Wire], limits: Limits) -> Wire:
    """The body as a wire type. Raises `BodyUnsupportedType`, `ParamsMalformed` and what validation finds."""
    return validated(model, await json_object(request, limits))


async def json_object(request: Request, limits: Limits) -> dict[str, Any]:
    """The body. Raises `BodyUnsupportedType`, `ParamsMalformed`."""
    check_json(request)
    return parse_object(await request.body(), max_depth=limits.json_depth)


def check_json(request: Request) -> None:
    """Raises `BodyUnsupportedType` unless the body is said to be JSON, which no form of another site's page can say."""
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


def answers(
    description: str, media: Mapping[str, type[BaseModel] | str | None], *kinds: type[errors.ApiError]
) -> Responses:
    """OpenAPI of an answer that is not one JSON object, by media type with the type of a line, and of the errors."""
    content = {name: {"schema": schema(line)} if line else {} for name, line in media.items()}
    return {200: {"description": description, "content": content}, **problems(*kinds)}


def problems(*kinds: type[errors.ApiError]) -> Responses:
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
