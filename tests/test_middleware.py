"""The middleware alone, around an application that answers 200 to everything."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lama_server.errors import ApiError
from lama_server.http.middleware.asgi import AccessMiddleware
from lama_server.http.middleware.policy import Policy
from lama_server.http.middleware.token import LIMITED_ADDRESSES, TokenGuard
from lama_server.settings import Limits
from serving import PATIENCE_S

LOOPBACK = Policy()
TOKEN = "the-right-token-of-this-file"
NETWORK = Policy(loopback=False, token=TOKEN, cookie_name="lama_session_8080")
OPEN_NETWORK = Policy(loopback=False)
PORT = 8080
SIGN_IN = "<!doctype html><p>This server asks for its token.</p>"


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"]) if self.status >= 400 else "ok"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body, then answers."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"fine"})


def middleware_of(policy: Policy, app: ASGIApp = application) -> AccessMiddleware:
    return AccessMiddleware(app, policy, TokenGuard(policy), "boot", lambda: SIGN_IN)


def ask(
    policy: Policy = LOOPBACK,
    *,
    method: str = "GET",
    target: str = "/api/v1/config",
    host: str | None = f"localhost:{PORT}",
    headers: list[tuple[str, str]] | None = None,
    chunks: list[bytes] | None = None,
    middleware: AccessMiddleware | None = None,
    stall: bool = False,
    pause_s: float = 0,
    client: str | None = "192.168.1.7",
) -> Answer:
    pairs = [("host", host)] if host is not None else []
    pairs += headers or []
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode(),
        "scheme": "http",
        "client": (client, 50_000) if client else None,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
    }
    pending = list(chunks or [b""])
    sent: list[Message] = []

    async def receive() -> Message:
        if stall:
            await asyncio.sleep(60)
        await asyncio.sleep(pause_s)
        body = pending.pop(0) if pending else b""
        return {"type": "http.request", "body": body, "more_body": bool(pending)}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(
        (middleware or AccessMiddleware(application, policy, TokenGuard(policy), "boot", lambda: SIGN_IN))(
            scope, receive, send
        )
    )
    start = sent[0]
    head = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], head, b"".join(m.get("body", b"") for m in sent[1:]))


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost:8080", "ok"),
        ("LOCALHOST:8080", "ok"),
        ("localhost:9999", "ok"),  # ssh -L and docker -p change the port
        ("127.0.0.1", "ok"),
        ("127.0.0.2:8080", "ok"),
        ("[::1]:8080", "ok"),
        ("evil.example:8080", "host.not_allowed"),
        ("localhost.evil.example", "host.not_allowed"),
        ("127.0.0.1.nip.io", "host.not_allowed"),
        ("0.0.0.0:8080", "host.not_allowed"),
        ("192.168.1.5", "host.not_allowed"),
        ("2130706433", "host.not_allowed"),
        ("0x7f.1", "host.not_allowed"),
        ("127.1", "host.not_allowed"),
        ("[::ffff:192.168.1.5]", "host.not_allowed"),
        ("a/?x=", "host.invalid"),
        ("user@localhost", "host.invalid"),
        ("localhost:80:80", "host.invalid"),
        ("", "host.invalid"),
    ],
)
def test_only_names_of_this_machine_are_answered(host: str, code: str) -> None:
    """B13, B14, B15, B16, B17, B18, B19, B20, B21."""
    assert ask(host=host).code == code


def test_a_request_without_a_host_is_refused() -> None:
    """B1."""
    assert ask(host=None).code == "host.invalid"


def test_a_request_with_two_hosts_is_refused() -> None:
    """B2."""
    assert ask(headers=[("host", "localhost")]).code == "host.invalid"


def test_an_allowed_host_name_is_answered() -> None:
    assert ask(Policy(allow_hosts=frozenset({"lan.test"})), host="LAN.test:80").code == "ok"


def test_on_the_network_addresses_are_answered_but_names_are_not() -> None:
    """B13."""
    assert ask(OPEN_NETWORK, host="192.168.1.5:8080").code == "ok"
    assert ask(OPEN_NETWORK, host="evil.example").code == "host.not_allowed"


CROSS = ("sec-fetch-site", "cross-site")


@pytest.mark.parametrize(
    ("method", "target", "headers", "code"),
    [
        ("POST", "/api/v1/inpaint", [CROSS], "origin.forbidden"),
        ("POST", "/api/v1/inpaint", [("sec-fetch-site", "same-site")], "origin.forbidden"),
        ("POST", "/api/v1/inpaint", [("sec-fetch-site", "same-origin")], "ok"),
        ("POST", "/api/v1/inpaint", [("sec-fetch-site", "none")], "ok"),
        ("POST", "/api/v1/inpaint", [], "ok"),
        ("POST", "/api/v1/inpaint", [("origin", "https://evil.example")], "origin.forbidden"),
        ("POST", "/api/v1/inpaint", [("origin", "null")], "origin.forbidden"),
        ("POST", "/api/v1/inpaint", [("origin", "http://localhost:8080")], "ok"),
        ("POST", "/api/v1/inpaint", [("origin", "http://localhost:9999")], "origin.forbidden"),
        ("POST", "/api/v1/inpaint", [("origin", "https://localhost:8080")], "origin.forbidden"),
        ("POST", "/api/v1/inpaint", [("origin", "http://localhost:8080.evil.example")], "origin.forbidden"),
        ("OPTIONS", "/api/v1/inpaint", [("origin", "https://evil.example")], "origin.forbidden"),
        ("POST", "/api/v1/inpaint", [("origin", "http://localhost:8080"), ("origin", "https://evil.example")],
         "origin.forbidden"),
        ("POST", "/api/v1/inpaint", [("sec-fetch-site", "same-origin"), CROSS], "origin.forbidden"),
        ("GET", "/api/v1/models", [CROSS, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")],
         "origin.forbidden"),
        ("GET", "/api/v1/images/a/preview", [CROSS, ("sec-fetch-dest", "image")], "origin.forbidden"),
        ("GET", "/", [CROSS, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], "ok"),
        ("GET", "/", [CROSS, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], "origin.forbidden"),
        ("POST", "/", [CROSS, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], "origin.forbidden"),
        ("GET", "/docs", [CROSS, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
         "origin.forbidden"),
    ],
)  # fmt: skip
def test_pages_of_other_sites_can_neither_drive_nor_read(
    method: str, target: str, headers: list[tuple[str, str]], code: str
) -> None:
    """B23, B24, B25, B26, B27, B28, B29, B30, B31, B33."""
    answer = ask(method=method, target=target, headers=headers)
    assert answer.code == code
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_origin_that_was_allowed_may_read() -> None:
    """B32."""
    policy = Policy(cors_origins=frozenset({("https", "a.example", 443)}))
    answer = ask(policy, headers=[("origin", "https://a.example"), CROSS])
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert ask(policy, headers=[("origin", "https://a.example.evil")]).code == "origin.forbidden"


def test_a_preflight_of_an_allowed_origin_is_answered() -> None:
    policy = Policy(cors_origins=frozenset({("https", "a.example", 443)}), token=TOKEN)
    asked = [("origin", "https://a.example"), ("access-control-request-method", "POST"), CROSS]
    assert ask(policy, method="OPTIONS", headers=asked).status == 204


def test_every_answer_carries_the_security_headers() -> None:
    """B28, B33."""
    for answer in (ask(), ask(host="evil.example")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-boot-id"] == "boot"
        assert answer.headers["x-request-id"]


def test_an_absolute_target_is_refused() -> None:
    """B3."""
    assert ask(target="http://evil.example/h").code == "request.bad_target"


def test_an_endless_target_is_refused() -> None:
    """B12."""
    assert ask(target="/" + "a" * 9000).code == "request.uri_too_long"


@pytest.mark.parametrize("headers", [[("x-a", "a" * 17_000)], [(f"x-{i}", "a") for i in range(101)]])
def test_too_many_headers_are_refused(headers: list[tuple[str, str]]) -> None:
    """B8."""
    assert ask(headers=headers).code == "request.headers_too_large"


@pytest.mark.parametrize(
    ("target", "headers", "code"),
    [
        ("/api/v1/config", [], "auth.required"),
        ("/static/x/main.js", [], "auth.required"),
        ("/readyz", [], "auth.required"),
        (f"/api/v1/config?token={TOKEN}", [], "auth.required"),
        ("/api/v1/config", [("authorization", "Bearer wrong")], "auth.invalid"),
        ("/api/v1/config", [("authorization", f"Bearer {TOKEN}")], "ok"),
        ("/api/v1/config", [("authorization", "Bearer ")], "auth.required"),
        ("/api/v1/config", [("authorization", "Bearer")], "auth.required"),
        ("/api/v1/config", [("authorization", "")], "auth.required"),
        ("/api/v1/config", [("cookie", "lama_session_8080=")], "auth.required"),
        ("/api/v1/config", [("cookie", "lama_session_8080")], "auth.required"),
        ("/api/v1/config", [("cookie", 'lama_session_8080=""')], "auth.required"),
        ("/api/v1/config", [("cookie", "lama_session_8080=from-an-earlier-start")], "auth.required"),
        ("/api/v1/config", [("cookie", f"lama_session_8080={TOKEN}")], "auth.required"),
        ("/healthz", [], "ok"),
    ],
)
def test_a_server_with_a_token_asks_for_it(target: str, headers: list[tuple[str, str]], code: str) -> None:
    """B35, B37, B38."""
    answer = ask(NETWORK, target=target, host="192.168.1.5:8080", headers=headers)
    assert answer.code == code
    assert code == "ok" or answer.headers["www-authenticate"] == "Bearer"


def test_the_page_without_a_token_is_the_one_that_asks_for_it() -> None:
    answer = ask(NETWORK, target="/", host="192.168.1.5:8080")
    assert answer.status == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body.decode() == SIGN_IN
    stale = ask(NETWORK, target="/", host="192.168.1.5:8080", headers=[("cookie", "lama_session_8080=old")])
    assert stale.body == answer.body


@dataclasses.dataclass
class Door:
    """A middleware with a token, and a clock that the test sets."""

    token: str = TOKEN
    now_s: float = 1000.0

    def __post_init__(self) -> None:
        policy = dataclasses.replace(NETWORK, token=self.token)
        self.guard = TokenGuard(policy, lambda: self.now_s)
        self.middleware = AccessMiddleware(application, policy, self.guard, "boot")

    def ask(self, header: tuple[str, str], client: str | None) -> Answer:
        return ask(middleware=self.middleware, host="192.168.1.5", headers=[header], client=client)

    def bearer(self, token: str, client: str | None = "192.168.1.7") -> Answer:
        return ask(
            middleware=self.middleware,
            host="192.168.1.5",
            headers=[("authorization", f"Bearer {token}")],
            client=client,
        )

    def cookie(self, value: str, client: str | None = "192.168.1.7") -> Answer:
        pair = f"other=1; lama_session_8080={value}; another[x]=2"
        return self.ask(("cookie", pair), client)

    def guess(self, times: int, client: str | None = "192.168.1.7") -> list[str]:
        return [self.bearer(f"wrong{number}", client).code for number in range(times)]


@pytest.mark.parametrize("headers", [[], [("cookie", "lama_session_8080=")], [("authorization", "Bearer ")]])
def test_p13_an_empty_token_lets_nobody_in(headers: list[tuple[str, str]]) -> None:
    empty = dataclasses.replace(NETWORK, token="")
    assert ask(empty, host="192.168.1.5", headers=headers).code == "auth.required"


def test_p13_over_the_limit_the_right_token_is_not_let_in_either_until_the_minute_has_passed() -> None:
    """B36."""
    door = Door()
    assert door.bearer(TOKEN).code == "ok"
    assert door.guess(12) == ["auth.invalid"] * 10 + ["auth.rate_limited"] * 2
    right, wrong = (json.loads(door.bearer(token).body) for token in (TOKEN, "wrong"))
    assert right["code"] == "auth.rate_limited"
    assert {name for name in right if right[name] != wrong[name]} == {"instance", "request_id"}
    door.now_s += 59.5
    assert door.bearer(TOKEN).headers["retry-after"] == "1"
    door.now_s += 0.5
    assert door.bearer(TOKEN).code == "ok"


def test_p13_a_minute_takes_ten_guesses_wherever_it_begins() -> None:
    door = Door()
    codes = []
    for _ in range(600):
        codes += door.guess(1)
        door.now_s += 1
    tried = [second for second, code in enumerate(codes) if code == "auth.invalid"]
    assert len(tried) == 100
    assert all(later - earlier >= 60 for earlier, later in zip(tried, tried[10:], strict=False))


def test_p13_the_right_token_does_not_forgive_wrong_ones() -> None:
    door = Door()
    assert door.guess(9) == ["auth.invalid"] * 9
    assert door.bearer(TOKEN).code == "ok"
    assert door.guess(2) == ["auth.invalid", "auth.rate_limited"]


@pytest.mark.parametrize(
    ("guesser", "other", "code"),
    [
        ("192.168.1.7", "192.168.1.7", "auth.rate_limited"),
        ("192.168.1.7", "192.168.1.8", "ok"),
        ("192.168.1.7", "::ffff:192.168.1.7", "auth.rate_limited"),  # one listener may take both kinds
        ("::ffff:192.168.1.7", "::ffff:192.168.1.8", "ok"),
        ("2001:db8:0:1::1", "2001:db8:0:1:aaaa::2", "auth.rate_limited"),  # a host has a whole /64
        ("2001:db8:0:1::1", "2001:db8:0:2::1", "ok"),
        ("fe80::1%eth0", "fe80::2%eth0", "auth.rate_limited"),
        (None, None, "auth.rate_limited"),
        (None, "192.168.1.7", "ok"),
    ],
)
def test_p13_only_the_address_that_guesses_is_slowed_down(guesser: str | None, other: str | None, code: str) -> None:
    door = Door()
    door.guess(10, guesser)
    assert door.bearer(TOKEN, other).code == code


def test_p13_a_browser_that_is_signed_in_goes_on_while_its_address_is_over_the_limit() -> None:
    door = Door()
    door.guess(10)
    assert door.bearer(TOKEN).code == "auth.rate_limited"
    assert door.cookie(door.guard.session).code == "ok"


def test_p13_cookies_cannot_be_used_to_guess_the_token() -> None:
    door = Door()
    assert {door.cookie(value).code for value in (TOKEN, "", "old", *map(str, range(50)))} == {"auth.required"}
    assert door.bearer(TOKEN).code == "ok", "a cookie of an earlier start must not lock its browser out"
    assert Door().guard.session != door.guard.session
    assert TOKEN not in door.guard.session


def test_p13_the_memory_of_wrong_tokens_is_bounded() -> None:
    door = Door()
    door.guess(10, "10.0.0.1")
    door.guess(10, "10.0.0.2")
    for number in range(LIMITED_ADDRESSES - 1):
        client = (f"10.{1 + number // 65536}.{number // 256 % 256}.{number % 256}", 1)
        with pytest.raises(ApiError):
            door.guard.compare("wrong", Request({"type": "http", "client": client}))
    assert door.bearer(TOKEN, "10.0.0.1").code == "ok", "the address that failed longest ago is forgotten first"
    assert door.bearer(TOKEN, "10.0.0.2").code == "auth.rate_limited"


SMALL = Policy(limits=Limits(json_bytes=10))


def test_a_declared_body_over_the_limit_is_refused_unread() -> None:
    """B44."""
    answer = ask(SMALL, method="POST", headers=[("content-length", "11")], stall=True)
    assert answer.code == "body.too_large"


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes() -> None:
    """B44."""
    assert ask(SMALL, method="POST", chunks=[b"12345678", b"12345678"]).code == "body.too_large"
    assert ask(SMALL, method="POST", chunks=[b"12345", b"67890"]).code == "ok"


def test_a_body_that_stops_half_way_is_given_up() -> None:
    """B10."""
    assert ask(Policy(limits=Limits(body_idle_s=0.05)), method="POST", stall=True).code == "upload.timeout"


def test_a_body_that_trickles_in_is_given_up_once_it_had_time() -> None:
    """B11."""
    policy = Policy(limits=Limits(body_grace_s=0.02, body_bytes_per_s=10**4))
    assert ask(policy, method="POST", chunks=[b"x"] * 1000, pause_s=0.01).code == "upload.timeout"
    assert ask(policy, method="POST", chunks=[bytes(10**6)] * 3, pause_s=0.01).code == "ok"


def test_a_streamed_answer_ends_though_the_request_arrives_after_it() -> None:
    """Behind another server the empty body of a GET comes late: two wait for it, and it comes once."""
    policy = Policy(limits=Limits(body_idle_s=3600, body_grace_s=3600))
    sent = list[Message]()

    async def serve() -> None:
        answered, messages = asyncio.Event(), asyncio.Queue[Message]()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"fine"

        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            await StreamingResponse(pieces())(scope, receive, send)

        async def send(message: Message) -> None:
            sent.append(message)
            if message.get("body"):
                answered.set()

        async def arrive() -> None:
            await answered.wait()
            for _ in range(100):  # until all that will wait for it do
                await asyncio.sleep(0)
            messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})

        scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "scheme": "http"}
        scope |= {"client": ("127.0.0.1", 50_000), "headers": [(b"host", f"localhost:{PORT}".encode())]}
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            group.create_task(arrive())
            await middleware_of(policy, stream)(scope, messages.get, send)

    asyncio.run(serve())
    assert b"".join(message.get("body", b"") for message in sent) == b"fine"
    assert not sent[-1].get("more_body", False)


def test_a_compressed_body_is_refused() -> None:
    assert ask(method="POST", headers=[("content-encoding", "gzip")]).code == "body.unsupported_encoding"


def test_a_body_of_two_lengths_is_refused_before_anything_else_and_ends_the_connection() -> None:
    """B4."""
    two = [("content-length", "2"), ("transfer-encoding", "chunked")]
    for host in ("localhost", "evil.example"):
        answer = ask(method="POST", host=host, headers=two)
        assert (answer.code, answer.headers["connection"]) == ("request.malformed", "close")


def test_a_websocket_is_closed() -> None:
    """B22."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    asyncio.run(middleware_of(LOOPBACK)({"type": "websocket"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_an_unexpected_error_says_nothing_about_itself() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("/secret/path")

    answer = ask(middleware=middleware_of(LOOPBACK, failing))
    assert answer.code == "server.internal"
    assert b"secret" not in answer.body
    assert b"RuntimeError" not in answer.body


def test_refusals_are_escaped_and_short() -> None:
    answer = ask(headers=[("origin", "http://evil\x1b[2J" + "x" * 500)])
    assert len(json.loads(answer.body)["detail"]) < 250
    assert "\\u001b" in json.loads(answer.body)["detail"]
