"""What every response carries: security headers, ids, and problem details where there is an error."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.types import Message, Send

from ...errors import ApiError, AuthRequired

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


class Answer:
    """The way out: adds what every response carries.

    before_end  awaited when all of a response but its end has been sent
    """

    def __init__(
        self, send: Send, request: Request, request_id: str, boot_id: bytes, before_end: Callable[[], Awaitable[None]]
    ) -> None:
        self._send, self._request, self._request_id, self._boot_id = send, request, request_id, boot_id
        self._before_end = before_end
        self.started, self.status = False, 0
        self.readable_by: tuple[str, str, int] | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            message = {**message, "headers": self._complete(message.get("headers", ()))}
        elif not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._before_end()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    def _complete(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        complete = list(headers)
        present = {name.lower() for name, _ in complete}
        complete += [pair for pair in SECURITY_HEADERS if pair[0] not in present]
        complete += [(b"x-request-id", self._request_id.encode()), (b"x-boot-id", self._boot_id)]
        if b"cache-control" not in present and not self._request.scope["path"].startswith("/static/"):
            complete.append((b"cache-control", b"no-store"))
        if self.readable_by is not None:
            complete += [
                (b"access-control-allow-origin", (self._request.headers.get("origin") or "").encode("latin-1")),
                (b"access-control-expose-headers", b"*"),
                (b"vary", b"origin"),
            ]
        return complete

    async def preflight(self) -> None:
        """Answers a browser's question whether an allowed foreign page may send a request."""
        headers = [
            (b"access-control-allow-methods", b"GET, HEAD, POST, DELETE"),
            (b"access-control-allow-headers", b"content-type, authorization, x-client-id"),
            (b"access-control-max-age", b"600"),
        ]
        await self({"type": "http.response.start", "status": 204, "headers": headers})
        await self({"type": "http.response.body", "body": b""})

    async def error(self, error: ApiError, sign_in_page: Callable[[], str | None] = lambda: None) -> None:
        """Answers with problem details; with the page that asks for the token where the page itself was asked for."""
        if self.started:
            return
        status, headers, body = encode_error(error, self._request_id)
        for_page = self._request.scope["path"] == "/" and self._request.method in ("GET", "HEAD")
        if isinstance(error, AuthRequired) and for_page and (page := sign_in_page()) is not None:
            body = page.encode()
            headers = [(b"content-type", b"text/html; charset=utf-8"), (b"www-authenticate", b"Bearer")]
        if self._request.method == "HEAD":
            body = b""
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def encode_error(
    error: ApiError, request_id: str, *, as_text: bool = False
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """(status, headers, body) of an error's response.

    as_text  for clients that show the field `errors` as it is; the fields that are wrong are `problems` then
    """
    content = error.body(request_id)
    if as_text:
        content |= {"problems": content["errors"], "errors": error.detail}
    body = json.dumps(content, ensure_ascii=True).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in error.headers]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    return error.status, headers, body
