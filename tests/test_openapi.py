"""The description of the API, and the pages made from the code, are complete and current."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tools import wire_types
from tools.reference import DOCS, pages

from fake_engines import photo
from lama_server.errors import REGISTRY
from lama_server.schemas.events import EditEvent
from lama_server.schemas.models import ModelsReply
from lama_server.schemas.problems import ProblemReply
from lama_server.schemas.replies import ConfigReply, EditReply, ImageReply, ReadyReply
from lama_server.schemas.requests import EditRequest
from serving import RunningServer, edit_request, misbehaving


@pytest.fixture(scope="module")
def document(server: RunningServer) -> dict[str, Any]:
    return dict(server.ask("GET", "/openapi.json").json)


@pytest.mark.parametrize("name", pages())
def test_the_reference_pages_are_current(name: str) -> None:
    """Run `make docs` when this fails."""
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name]


def test_the_wires_types_for_the_page_are_current() -> None:
    """Run `make docs` when this fails."""
    assert wire_types.TARGET.read_text(encoding="utf-8") == wire_types.types()


def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])


def test_the_wire_of_the_page_is_described(document: dict[str, Any]) -> None:
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert described == {
        ("post", "/api/v1/images"),
        ("get", "/api/v1/images/{image}"),
        ("get", "/api/v1/images/{image}/original"),
        ("get", "/api/v1/images/{image}/preview"),
        ("get", "/api/v1/images/{image}/render"),
        ("post", "/api/v1/images/{image}/save"),
        ("get", "/api/v1/photos"),
        ("post", "/api/v1/photos"),
        ("get", "/api/v1/photos/thumbnail"),
        ("post", "/api/v1/edits"),
        ("post", "/api/v1/select"),
        ("post", "/api/v1/find"),
        ("get", "/api/v1/edits/{edit}"),
        ("delete", "/api/v1/edits/{job}"),
        ("get", "/api/v1/edits/{edit}/patches/{index}.png"),
        ("get", "/api/v1/edits/{edit}/patch.png"),
        ("get", "/api/v1/previews/{name}"),
        ("post", "/api/v1/inpaint"),
        ("get", "/api/v1/models"),
        ("post", "/api/v1/models/{name}/download"),
        ("post", "/api/v1/models/{name}/load"),
        ("get", "/api/v1/config"),
        ("post", "/api/v1/session"),
        ("get", "/healthz"),
        ("get", "/readyz"),
    }


def test_errors_are_described_as_problems(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and path != "/readyz":
                    assert set(answer["content"]) == {"application/problem+json"}, (path, status)


def valid(value: Any, kind: Any) -> None:
    """Holds that the answer is of the wire type: nothing missing, nothing more."""
    described = TypeAdapter(kind).validate_json(json.dumps(value))
    assert described.model_dump(mode="json", exclude_unset=True) == value


@pytest.mark.on_ray
def test_what_is_answered_is_what_is_described(server: RunningServer) -> None:
    image = server.upload(photo()).json
    valid(image, ImageReply)
    valid(server.ask("GET", "/api/v1/models").json, ModelsReply)
    valid(server.ask("GET", "/api/v1/config").json, ConfigReply)
    valid(server.ask("GET", "/readyz").json, ReadyReply)
    valid(server.ask("GET", "/nothing").json, ProblemReply)
    lines = server.edit(image["id"], misbehaving("slow", 0.8), misbehaving("fail")).lines
    assert {line["type"] for line in lines} == {"queued", "progress", "preview", "result", "error"}
    for line in lines:
        valid(line, EditEvent)
    edit = next(line["edit"] for line in lines if line["type"] == "result")
    valid(server.ask("GET", f"/api/v1/edits/{edit}").json, EditReply)
    valid(edit_request(image["id"]), EditRequest)


def test_the_documentation_page_needs_nothing_from_elsewhere(server: RunningServer) -> None:
    reply = server.ask("GET", "/docs")
    assert reply.headers["content-type"].startswith("text/html")
    text = reply.body.decode()
    assert "<script" not in text
    assert "https://" not in text.replace("https://example.org", "")
    assert all(code in text for code in REGISTRY)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nothing", "route.not_found"),
        ("GET", "//evil.example/", "route.not_found"),
        ("GET", "/\\evil.example/", "route.not_found"),
        ("GET", "/%5cevil.example/", "route.not_found"),
        ("GET", "/static/0/../../etc/passwd", "route.not_found"),
        ("PUT", "/api/v1/models", "route.method_not_allowed"),
        ("OPTIONS", "/api/v1/models", "route.method_not_allowed"),
        ("GET", "/api/v1/inpaint", "route.method_not_allowed"),
    ],
)
@pytest.mark.on_ray
def test_wrong_addresses_end_in_a_problem(server: RunningServer, method: str, path: str, code: str) -> None:
    reply = server.ask(method, path)
    assert reply.code == code
    assert "location" not in reply.headers
    assert reply.status != 405 or reply.headers["allow"]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"POST /api/v1/edits HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/edits HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"GET http://evil/h HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["tls", "no-host", "two-hosts", "negative-length", "two-lengths", "absolute-target"],
)
def test_bad_framing_is_refused(server: RunningServer, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(raw)
        assert b" 400 " in connection.recv(4096).split(b"\r\n")[0]
    assert server.ask("GET", "/healthz").status == 200


def test_no_page_of_the_docs_names_this_machine() -> None:
    assert str(Path.home()) not in "".join(pages().values())
