"""The outermost layer: decides from headers alone who may talk to the server, and bounds what they may send.

Pure ASGI, in front of every route, static file and error page alike. Decisions use the scope, never a URL put together
from headers. What passes gets a request id, security headers on the response and a counted, timed body.

Order of the checks: framing, target, header sizes, Host, fetch site or Origin, token, declared body size.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import ApiError, InternalError, ShuttingDown, api_error_of
from .answer import Answer
from .host import check_host
from .limits import CountedBody, body_limit, check_body_head, check_framing, check_header_size, check_target
from .origin import check_origin, is_preflight
from .policy import Policy, shown
from .token import TokenGuard

DROP_TURNS = 4
"""Bodies of answered requests of which a piece is read in one round of the event loop."""

log = logging.getLogger(__name__)
access_log = logging.getLogger("lama_server.http.access")


class AccessMiddleware:
    """ASGI middleware; see the module's text. `sign_in_page` makes the HTML that asks for the token."""

    def __init__(
        self,
        app: ASGIApp,
        policy: Policy,
        guard: TokenGuard,
        boot_id: str,
        sign_in_page: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.app, self.policy, self.guard = app, policy, guard
        self._boot_id, self._sign_in_page = boot_id.encode(), sign_in_page
        self._drop_turns = asyncio.Semaphore(DROP_TURNS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, began = uuid.uuid4().hex, time.monotonic()
        scope.setdefault("state", {})["request_id"] = request_id
        request = Request(scope)
        limit = body_limit(request, self.policy.limits)
        body = CountedBody(receive, limit, self.policy.limits)
        answer = Answer(send, request, request_id, self._boot_id, partial(body.drop, self._drop_turns))
        try:
            answer.readable_by = self._admit(request)
            if answer.readable_by is not None and is_preflight(request):
                await answer.preflight()
                return
            check_body_head(request, limit)
            await self.app(scope, body, answer)
        except ApiError as error:
            await answer.error(error, self._sign_in_page)
        except ClientDisconnect:
            log.debug("request %s: the client left while it sent its body", request_id)
        except asyncio.CancelledError:  # the drain is over, and this is the last layer that can say so
            await answer.error(ShuttingDown("The server is stopping. Try again when it is back.", retry_after=5))
        except Exception as error:  # the last resort of P9: every error is answered
            problem = api_error_of(error)
            if isinstance(problem, InternalError):
                log.exception("request %s failed", request_id)
            else:
                log.warning("request %s: %s (%s)", request_id, problem, error)
            await answer.error(problem)
        finally:
            _log_access(request, answer, request_id, began)

    def _admit(self, request: Request) -> tuple[str, str, int] | None:
        check_framing(request)
        check_target(request, self.policy.limits)
        check_header_size(request, self.policy.limits)
        own = check_host(request, self.policy)
        foreign = check_origin(request, own, self.policy)
        if foreign is None or not is_preflight(request):
            self.guard.check(request)
        return foreign


def _log_access(request: Request, answer: Answer, request_id: str, began: float) -> None:
    access_log.info(
        "%s %s %d",
        request.method,
        shown(request.scope["path"], 200),
        answer.status,
        extra={"request_id": request_id, "ms": round(1000 * (time.monotonic() - began), 1)},
    )
