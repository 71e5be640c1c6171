"""The outermost layer: decides from headers alone who may talk to the server, and bounds what they may send.

Pure ASGI, in front of every route, static file and error page alike. Decisions use the scope, never a URL put together
from headers. What passes gets a request id, security headers on the response and a counted, timed body.

Order of the checks: target, header sizes, Host, fetch site or Origin, token, declared body size.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import re
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any

from ..problems import Problem, ProblemError, problem_of
from ..settings import Limits
from . import signin

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

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
OPEN_PATHS = frozenset({"/healthz", "/session.js", "/api/v1/session"})
"""What may be had without a token: how to hand one in, and whether the process is up."""

WRONG_TOKENS_PER_MINUTE = 10

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(?::(?P<port>[0-9]{1,5}))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

log = logging.getLogger(__name__)
access_log = logging.getLogger("lama_server.http.access")


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may talk to the server.

    loopback      only this machine can reach it: IP literals other than loopback are refused as Host
    allow_hosts   further host names, lower case
    cors_origins  foreign origins that pass, as exact (scheme, host, port)
    token         asked of everybody when not None
    cookie_name   cookie that carries the token; names the port, because cookies are shared between ports
    """

    loopback: bool = True
    allow_hosts: frozenset[str] = frozenset()
    cors_origins: frozenset[tuple[str, str, int]] = frozenset()
    token: str | None = None
    cookie_name: str = "lama_session"
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Head:
    """The parts of a request head that decisions are made on."""

    method: str
    path: str
    scheme: str
    headers: tuple[tuple[bytes, bytes], ...]

    def all(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for key, value in self.headers if key == name]

    def first(self, name: bytes) -> str | None:
        return next(iter(self.all(name)), None)


def check_target(scope: Scope, limits: Limits) -> None:
    """Raises unless the request target is a path of bearable length."""
    target: bytes = scope.get("raw_path") or b""
    if not target.startswith(b"/"):
        raise ProblemError("request.bad_target", "The request target must be a path that begins with a slash.")
    length = len(target) + len(scope.get("query_string", b""))
    if length > limits.target_bytes:
        raise ProblemError(
            "request.uri_too_long",
            f"The request target has {length} bytes; the limit is {limits.target_bytes}.",
            limit={"name": "target_bytes", "value": limits.target_bytes, "actual": length, "flag": None},
        )


def check_header_size(head: Head, limits: Limits) -> None:
    """Raises when there are too many headers or too many bytes in them."""
    size = sum(len(name) + len(value) for name, value in head.headers)
    if len(head.headers) > limits.header_count or size > limits.header_bytes:
        raise ProblemError(
            "request.headers_too_large",
            f"The request has {len(head.headers)} headers of {size} bytes together; "
            f"the limits are {limits.header_count} and {limits.header_bytes}.",
        )


def check_host(head: Head, policy: Policy) -> tuple[str, int]:
    """(host name, port) under which the server was called. Raises host.invalid, host.not_allowed.

    No name is looked up: a name that resolves to this machine is as foreign as any other.
    """
    hosts = head.all(b"host")
    match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if match is None:
        raise ProblemError("host.invalid", "The request needs exactly one Host header of the form name:port.")
    name = match["name"].lower()
    port = int(match["port"]) if match["port"] else default_port(head.scheme)
    if not _host_is_allowed(name, policy):
        raise ProblemError(
            "host.not_allowed",
            f"The server does not answer as {shown(name)}. Use localhost, or start it with --allow-host {shown(name)}.",
        )
    return name, port


def _host_is_allowed(name: str, policy: Policy) -> bool:
    if name == "localhost" or name in policy.allow_hosts:
        return True
    address = ip_literal(name)
    if address is None:
        return False
    return address.is_loopback or not policy.loopback


def ip_literal(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host name spells out in its canonical form, or None for a real name."""
    try:
        if name.startswith("["):
            return ipaddress.IPv6Address(name[1:-1])
        return ipaddress.IPv4Address(name)
    except ValueError:
        return None


def check_origin(head: Head, own: tuple[str, int], policy: Policy) -> tuple[str, str, int] | None:
    """The foreign origin that is allowed to read the answer, None for our own page and for programs.

    Raises origin.forbidden for everything that another site's page makes a browser send, except that a link may lead
    to the page itself.
    """
    origin_text = head.first(b"origin")
    origin = parse_origin(origin_text) if origin_text is not None else None
    if origin is not None and origin in policy.cors_origins:
        return origin
    site = head.first(b"sec-fetch-site")
    if site is not None:
        if site in ("same-origin", "none") or _is_link_to_page(head):
            return None
    elif origin_text is None or origin == (head.scheme, *own):
        return None
    raise ProblemError(
        "origin.forbidden",
        f"A page of {shown(origin_text or 'another site')} tried to use this server. "
        "If that is wanted, start the server with --cors-origin.",
    )


def _is_link_to_page(head: Head) -> bool:
    return (
        head.method in ("GET", "HEAD")
        and head.path == "/"
        and head.first(b"sec-fetch-mode") == "navigate"
        and head.first(b"sec-fetch-dest") == "document"
    )


def parse_origin(text: str) -> tuple[str, str, int] | None:
    """(scheme, host, port) of an Origin header; None when it is not one, such as "null"."""
    scheme, separator, rest = text.partition("://")
    match = _HOST.fullmatch(rest) if separator and scheme in ("http", "https") else None
    if match is None:
        return None
    return scheme, match["name"].lower(), int(match["port"]) if match["port"] else default_port(scheme)


def is_preflight(head: Head) -> bool:
    return head.method == "OPTIONS" and head.first(b"access-control-request-method") is not None


def default_port(scheme: str) -> int:
    return 443 if scheme in ("https", "wss") else 80


class TokenGuard:
    """Compares tokens in constant time and slows guessing down."""

    def __init__(self, policy: Policy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy, self._clock = policy, clock
        self._failures: deque[float] = deque(maxlen=WRONG_TOKENS_PER_MINUTE)

    def check(self, head: Head) -> None:
        """Raises auth.required, auth.invalid, auth.rate_limited unless the request carries the token."""
        if self._policy.token is None or head.path in OPEN_PATHS:
            return
        given = bearer_token(head) or cookie_value(head, self._policy.cookie_name)
        if given is None:
            raise ProblemError(
                "auth.required",
                "This server asks for its token: send Authorization: Bearer TOKEN, or open the address it printed.",
                headers=(("www-authenticate", "Bearer"),),
            )
        self.compare(given)

    def compare(self, given: str) -> None:
        """Raises auth.invalid or auth.rate_limited unless `given` is the token."""
        token = self._policy.token
        if token is None or hmac.compare_digest(given.encode(), token.encode()):
            return
        now = self._clock()
        if len(self._failures) == WRONG_TOKENS_PER_MINUTE and now - self._failures[0] < 60:
            raise ProblemError(
                "auth.rate_limited",
                "Too many wrong tokens came in the last minute.",
                retry_after=max(1, int(60 - (now - self._failures[0]))),
            )
        self._failures.append(now)
        raise ProblemError("auth.invalid", "The token is wrong.", headers=(("www-authenticate", "Bearer"),))


def bearer_token(head: Head) -> str | None:
    scheme, _, value = (head.first(b"authorization") or "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def cookie_value(head: Head, name: str) -> str | None:
    jar: SimpleCookie = SimpleCookie()
    for header in head.all(b"cookie"):
        try:
            jar.load(header)
        except CookieError:
            continue
    return jar[name].value if name in jar else None


def body_limit(head: Head, limits: Limits) -> int:
    """The largest body that this address takes, in bytes."""
    if head.path == "/api/v1/images":
        return limits.upload_bytes
    if head.path == "/api/v1/inpaint":
        return limits.one_shot_bytes
    return limits.json_bytes


def check_body_head(head: Head, limit: int) -> None:
    """Raises when the headers already tell that the body is too large, compressed or of two lengths."""
    if (encoding := head.first(b"content-encoding")) not in (None, "identity"):
        raise ProblemError(
            "body.unsupported_encoding", f"The body is compressed ({shown(encoding or '')}). Send it as it is."
        )
    declared = head.first(b"content-length")
    if declared is not None and head.first(b"transfer-encoding") is not None:
        raise ProblemError("request.malformed", "The request has both Content-Length and Transfer-Encoding.")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise too_large(int(declared), limit)


def too_large(actual: int, limit: int) -> ProblemError:
    return ProblemError(
        "body.too_large",
        f"The body has {actual} bytes or more; the limit here is {limit} bytes.",
        limit={"name": "body_bytes", "value": limit, "actual": actual, "flag": None},
    )


class GuardedBody:
    """A request body that is counted and timed while it is read."""

    def __init__(self, receive: Receive, limit: int, limits: Limits) -> None:
        self._receive, self._limit, self._limits = receive, limit, limits
        self._read, self._complete, self._began = 0, False, time.monotonic()

    async def __call__(self) -> Message:
        """The next ASGI message. Raises body.too_large, upload.timeout."""
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(self._limits.body_idle_s):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow(f"Nothing came for {self._limits.body_idle_s:g} seconds") from None
        if message["type"] != "http.request":
            self._complete = True
            return message
        self._read += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._read > self._limit:
            raise too_large(self._read, self._limit)
        elapsed = time.monotonic() - self._began
        if elapsed > self._limits.body_grace_s and self._read < elapsed * self._limits.body_bytes_per_s:
            raise self._too_slow(f"{self._read} bytes came in {elapsed:.0f} seconds")
        return message

    def _too_slow(self, found: str) -> ProblemError:
        self._complete = True
        return ProblemError("upload.timeout", f"{found}: the upload was given up. Send it again.")


class Gate:
    """ASGI middleware; see the module's text."""

    def __init__(self, app: App, policy: Policy, guard: TokenGuard, boot_id: str) -> None:
        self.app, self.policy, self.guard = app, policy, guard
        self._boot_id = boot_id.encode()

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
        head = Head(scope["method"], scope["path"], scope["scheme"], tuple(scope["headers"]))
        answer = _Answer(send, head, request_id, self._boot_id)
        try:
            answer.readable_by = self._admit(scope, head)
            if answer.readable_by is not None and is_preflight(head):
                await answer.preflight()
                return
            limit = body_limit(head, self.policy.limits)
            check_body_head(head, limit)
            await self.app(scope, GuardedBody(receive, limit, self.policy.limits), answer)
        except ProblemError as error:
            await answer.problem(error.problem)
        except Exception as error:  # the last resort of P9: an unexpected error is logged and answered with its id only
            log.exception("request %s failed", request_id)
            if answer.started:
                raise
            await answer.problem(problem_of(error))
        finally:
            _log_access(scope, head, answer, request_id, began)

    def _admit(self, scope: Scope, head: Head) -> tuple[str, str, int] | None:
        check_target(scope, self.policy.limits)
        check_header_size(head, self.policy.limits)
        own = check_host(head, self.policy)
        foreign = check_origin(head, own, self.policy)
        if foreign is None or not is_preflight(head):
            self.guard.check(head)
        return foreign


class _Answer:
    """The way out: adds what every response carries."""

    def __init__(self, send: Send, head: Head, request_id: str, boot_id: bytes) -> None:
        self._send, self._head, self._request_id, self._boot_id = send, head, request_id, boot_id
        self.started, self.status = False, 0
        self.readable_by: tuple[str, str, int] | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            message = {**message, "headers": self._complete(message.get("headers", ()))}
        await self._send(message)

    def _complete(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        complete = list(headers)
        present = {name.lower() for name, _ in complete}
        complete += [pair for pair in SECURITY_HEADERS if pair[0] not in present]
        complete += [(b"x-request-id", self._request_id.encode()), (b"x-boot-id", self._boot_id)]
        if b"cache-control" not in present and not self._head.path.startswith("/static/"):
            complete.append((b"cache-control", b"no-store"))
        if self.readable_by is not None:
            complete += [
                (b"access-control-allow-origin", (self._head.first(b"origin") or "").encode("latin-1")),
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

    async def problem(self, problem: Problem) -> None:
        if self.started:
            return
        status, headers, body = encode_problem(problem, self._request_id)
        if problem.code == "auth.required" and self._head.path == "/" and self._head.method in ("GET", "HEAD"):
            body = signin.PAGE.encode()
            headers = [(b"content-type", b"text/html; charset=utf-8"), (b"www-authenticate", b"Bearer")]
        if self._head.method == "HEAD":
            body = b""
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def encode_problem(problem: Problem, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """(status, headers, body) of a problem response."""
    body = json.dumps(problem.body(request_id), ensure_ascii=True).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in problem.headers]
    if problem.retry_after is not None:
        headers.append((b"retry-after", str(problem.retry_after).encode()))
    return problem.type.status, headers, body


def shown(text: str, limit: int = 80) -> str:
    """A caller's text, fit to be said back or logged: short, with control and bidi characters escaped."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text[:limit])


def _log_access(scope: Scope, head: Head, answer: _Answer, request_id: str, began: float) -> None:
    access_log.info(
        "%s %s %d",
        head.method,
        shown(head.path, 200),
        answer.status,
        extra={"request_id": request_id, "ms": round(1000 * (time.monotonic() - began), 1)},
    )
