"""The application: routes, errors and description put together, with the middleware around everything."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from inpaint_models.errors import ModelError
from inpaint_models.registry import ModelEntry

from . import __version__
from .errors import ApiError, MethodNotAllowed, RequestMalformed, RouteNotFound, api_error_of
from .http.access import access_policy
from .http.middleware.answer import encode_error
from .http.middleware.asgi import AccessMiddleware
from .http.middleware.token import TokenGuard
from .http.static_files import Frontend, find_frontend
from .http.strict_json import wire_error
from .jobs.services import Services
from .model_manager.manager import WeightsSource
from .routes import documentation, edits, health, images, iopaint, models, oneshot, pages, photos, selections, session
from .routes.common import request_id
from .routes.iopaint.progress import Announcer
from .schemas import requests
from .schemas.events import EVENT_TYPES, FIND_EVENT_TYPES, SELECT_EVENT_TYPES
from .schemas.models import DownloadEvent
from .schemas.problems import ProblemReply
from .schemas.replies import FindReply, SelectReply
from .settings import Limits, Settings
from .workers.executor import Executor, FindFiles

READ_TYPES: tuple[type[BaseModel], ...] = (
    requests.EditRequest,
    requests.CanvasRequest,
    requests.FindRequest,
    requests.SelectRequest,
    requests.SaveRequest,
    requests.OneShotParams,
    requests.SessionRequest,
    requests.PhotoRequest,
)
WRITTEN_TYPES: tuple[type[BaseModel], ...] = (
    DownloadEvent,
    *EVENT_TYPES,
    FindReply,
    *FIND_EVENT_TYPES,
    *SELECT_EVENT_TYPES,
    ProblemReply,
    SelectReply,
)
"""Types that FastAPI does not see in a signature, because they are read or written by hand."""

DESCRIPTION = """Removes things from photos. Upload a photo once, then send strokes and get patches back; or send
photo and mask together and get the finished picture. Every error is `application/problem+json` with a stable `code`."""


def create_app(
    settings: Settings,
    *,
    entries: Sequence[ModelEntry] | None = None,
    weights: WeightsSource | None = None,
    limits: Limits | None = None,
    executor: Callable[[FindFiles], Executor] | None = None,
    secret: str = "",
) -> FastAPI:
    """The ASGI application. Workers start with it and end with it.

    entries   the models to offer; None = the library's catalogue
    weights   where weights come from; None = the library's own search and download
    executor  makes what runs the jobs; None = processes of this machine, as the settings say
    secret    a random value of this start that all processes of one server share; "" = there is only this one
    """
    secret = secret or secrets.token_urlsafe(32)
    services = Services(
        settings, entries=entries, weights=weights, limits=limits, executor=executor, boot_id=_made_of(secret, "boot")
    )

    app = FastAPI(
        title="lama-server",
        version=__version__,
        description=DESCRIPTION,
        lifespan=partial(_lifespan, services),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.state.services, app.state.announcer = services, Announcer()
    app.state.policy = policy = access_policy(settings, services.limits)
    app.state.guard = TokenGuard(policy, session=_made_of(secret, "session"))
    app.state.frontend = Frontend(find_frontend())
    for routes in (images, photos, edits, selections, oneshot, iopaint, models, health, session, documentation, pages):
        app.include_router(routes.router)
    _answer_errors(app)
    _restrict_access(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _restrict_access(app: FastAPI) -> None:
    app.add_middleware(
        AccessMiddleware,
        policy=app.state.policy,
        guard=app.state.guard,
        boot_id=app.state.services.boot_id,
        sign_in_page=lambda: app.state.frontend.render("sign-in.html"),
    )


@asynccontextmanager
async def _lifespan(services: Services, app: FastAPI) -> AsyncIterator[None]:
    await services.start()
    try:
        yield
    finally:
        await services.stop()


def _made_of(secret: str, purpose: str) -> str:
    """A value that tells nothing about the secret, nor about what else is made of it."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256").hex()


def _answer_errors(app: FastAPI) -> None:
    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return error_response(request, _http_error(request, error))
        if isinstance(error, RequestValidationError):
            return error_response(request, wire_error(error.errors(), skipped=1))
        return error_response(request, api_error_of(error))

    for kind in (ApiError, ModelError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)


def error_response(request: Request, error: ApiError) -> Response:
    status, headers, body = encode_error(error, request_id(request), as_text="errors_as_text" in request.scope["state"])
    plain = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    return Response(b"" if request.method == "HEAD" else body, status_code=status, headers=plain)


def _http_error(request: Request, error: HTTPException) -> ApiError:
    """What the framework refuses by itself, in our codes."""
    if error.status_code == 405:
        allowed = (("allow", ", ".join(_methods(request))),)
        return MethodNotAllowed("This address does not know this method.", headers=allowed)
    if error.status_code == 404:
        return RouteNotFound("There is nothing at this address.")
    return RequestMalformed("The request cannot be read.")


def _methods(request: Request) -> list[str]:
    """Every method that this address knows; the framework names those of the first route only."""
    verbs = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
    scopes = {verb: {**request.scope, "method": verb} for verb in verbs}
    routes = request.app.router.routes
    return [verb for verb in verbs if any(route.matches(scopes[verb])[0] is Match.FULL for route in routes)]


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The description of the API, with the types that routes read and write by hand."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
        _, generated = models_json_schema(
            [
                *((model, "validation") for model in READ_TYPES),
                *((model, "serialization") for model in WRITTEN_TYPES),
            ],
            ref_template="#/components/schemas/{model}",
        )
        components.update(generated.get("$defs", {}))
        streams = {"EditEvent": EVENT_TYPES, "FindEvent": FIND_EVENT_TYPES, "SelectEvent": SELECT_EVENT_TYPES}
        for name, kinds in streams.items():
            components[name] = {
                "oneOf": [{"$ref": f"#/components/schemas/{event.__name__}"} for event in kinds],
                "discriminator": {"propertyName": "type"},
            }
        components.pop("HTTPValidationError", None)
        components.pop("ValidationError", None)
        for path in document["paths"].values():
            for operation in path.values():
                if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                    del operation["responses"]["422"]  # the framework's own, which is never sent
        app.openapi_schema = document
    return app.openapi_schema
