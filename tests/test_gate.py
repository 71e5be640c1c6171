"""The gate alone, around an application that answers 200 to everything."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from lama_server.http.gate import Gate, Message, Policy, TokenGuard
from lama_server.settings import Limits

LOOPBACK = Policy()
NETWORK = Policy(loopback=False, token="right", cookie_name="lama_session_8080")
OPEN_NETWORK = Policy(loopback=False)
PORT = 8080


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"]) if self.status >= 400 else "ok"


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads the whole body, then answers."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"fine"})


def ask(
    policy: Policy = LOOPBACK,
    *,
    method: str = "GET",
    target: str = "/api/v1/config",
    host: str | None = f"localhost:{PORT}",
    headers: list[tuple[str, str]] | None = None,
    chunks: list[bytes] | None = None,
    gate: Gate | None = None,
    stall: bool = False,
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
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
    }
    pending = list(chunks or [b""])
    sent: list[Message] = []

    async def receive() -> Message:
        if stall:
            await asyncio.sleep(60)
        body = pending.pop(0) if pending else b""
        return {"type": "http.request", "body": body, "more_body": bool(pending)}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run((gate or Gate(application, policy, TokenGuard(policy), "boot"))(scope, receive, send))
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
    assert ask(host=host).code == code


def test_a_request_without_a_host_is_refused() -> None:
    assert ask(host=None).code == "host.invalid"


def test_a_request_with_two_hosts_is_refused() -> None:
    assert ask(headers=[("host", "localhost")]).code == "host.invalid"


def test_an_allowed_host_name_is_answered() -> None:
    assert ask(Policy(allow_hosts=frozenset({"lan.test"})), host="LAN.test:80").code == "ok"


def test_on_the_network_addresses_are_answered_but_names_are_not() -> None:
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
    answer = ask(method=method, target=target, headers=headers)
    assert answer.code == code
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_origin_that_was_allowed_may_read() -> None:
    policy = Policy(cors_origins=frozenset({("https", "a.example", 443)}))
    answer = ask(policy, headers=[("origin", "https://a.example"), CROSS])
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert ask(policy, headers=[("origin", "https://a.example.evil")]).code == "origin.forbidden"


def test_a_preflight_of_an_allowed_origin_is_answered() -> None:
    policy = Policy(cors_origins=frozenset({("https", "a.example", 443)}), token="right")
    asked = [("origin", "https://a.example"), ("access-control-request-method", "POST"), CROSS]
    assert ask(policy, method="OPTIONS", headers=asked).status == 204


def test_every_answer_carries_the_security_headers() -> None:
    for answer in (ask(), ask(host="evil.example")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-boot-id"] == "boot"
        assert answer.headers["x-request-id"]


def test_an_absolute_target_is_refused() -> None:
    assert ask(target="http://evil.example/h").code == "request.bad_target"


def test_an_endless_target_is_refused() -> None:
    assert ask(target="/" + "a" * 9000).code == "request.uri_too_long"


@pytest.mark.parametrize("headers", [[("x-a", "a" * 17_000)], [(f"x-{i}", "a") for i in range(101)]])
def test_too_many_headers_are_refused(headers: list[tuple[str, str]]) -> None:
    assert ask(headers=headers).code == "request.headers_too_large"


@pytest.mark.parametrize(
    ("target", "headers", "code"),
    [
        ("/api/v1/config", [], "auth.required"),
        ("/static/x/main.js", [], "auth.required"),
        ("/readyz", [], "auth.required"),
        ("/api/v1/config?token=right", [], "auth.required"),
        ("/api/v1/config", [("cookie", "lama_session_9999=right")], "auth.required"),
        ("/api/v1/config", [("authorization", "Bearer wrong")], "auth.invalid"),
        ("/api/v1/config", [("authorization", "Bearer right")], "ok"),
        ("/api/v1/config", [("cookie", "a=b; lama_session_8080=right")], "ok"),
        ("/healthz", [], "ok"),
    ],
)
def test_a_server_with_a_token_asks_for_it(target: str, headers: list[tuple[str, str]], code: str) -> None:
    answer = ask(NETWORK, target=target, host="192.168.1.5:8080", headers=headers)
    assert answer.code == code
    assert code == "ok" or answer.headers["www-authenticate"] == "Bearer"


def test_the_page_without_a_token_is_the_one_that_asks_for_it() -> None:
    answer = ask(NETWORK, target="/", host="192.168.1.5:8080")
    assert answer.status == 401
    assert b"/session.js" in answer.body


def test_guessing_a_token_is_slowed_down() -> None:
    gate = Gate(application, NETWORK, TokenGuard(NETWORK), "boot")
    wrong = [("authorization", "Bearer wrong")]
    codes = [ask(gate=gate, host="192.168.1.5", headers=wrong).code for _ in range(11)]
    assert codes == ["auth.invalid"] * 10 + ["auth.rate_limited"]
    assert ask(gate=gate, host="192.168.1.5", headers=[("authorization", "Bearer right")]).code == "ok"


SMALL = Policy(limits=Limits(json_bytes=10, body_idle_s=0.05))


def test_a_declared_body_over_the_limit_is_refused_unread() -> None:
    answer = ask(SMALL, method="POST", headers=[("content-length", "11")], stall=True)
    assert answer.code == "body.too_large"


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes() -> None:
    assert ask(SMALL, method="POST", chunks=[b"12345678", b"12345678"]).code == "body.too_large"
    assert ask(SMALL, method="POST", chunks=[b"12345", b"67890"]).code == "ok"


def test_a_body_that_stops_half_way_is_given_up() -> None:
    assert ask(SMALL, method="POST", stall=True).code == "upload.timeout"


def test_a_compressed_body_is_refused() -> None:
    assert ask(method="POST", headers=[("content-encoding", "gzip")]).code == "body.unsupported_encoding"


def test_a_body_of_two_lengths_is_refused() -> None:
    two = [("content-length", "2"), ("transfer-encoding", "chunked")]
    assert ask(method="POST", headers=two).code == "request.malformed"


def test_a_websocket_is_closed() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    asyncio.run(Gate(application, LOOPBACK, TokenGuard(LOOPBACK), "boot")({"type": "websocket"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_an_unexpected_error_says_nothing_about_itself() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("/secret/path")

    answer = ask(gate=Gate(failing, LOOPBACK, TokenGuard(LOOPBACK), "boot"))
    assert answer.code == "server.internal"
    assert b"secret" not in answer.body
    assert b"RuntimeError" not in answer.body


def test_refusals_are_escaped_and_short() -> None:
    answer = ask(headers=[("origin", "http://evil\x1b[2J" + "x" * 500)])
    assert len(json.loads(answer.body)["detail"]) < 250
    assert "\\u001b" in json.loads(answer.body)["detail"]
