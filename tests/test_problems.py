"""The registry of errors: every exception class has its code, and code is spoken of nowhere but there."""

from __future__ import annotations

import ast
import errno
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import inpaint_models.errors as model_errors
import lama_server
from lama_server import errors
from lama_server.errors import MODEL_ERRORS, REGISTRY, ApiError, Limit, api_error_of

SERVER = Path(lama_server.__file__).parent


def classes_below(base: type[Exception]) -> Iterator[type[Exception]]:
    yield base
    for child in base.__subclasses__():
        yield from classes_below(child)


@pytest.mark.parametrize("kind", list(classes_below(model_errors.ModelError)), ids=lambda kind: kind.__name__)
def test_every_error_of_the_library_has_its_own_row(kind: type[model_errors.ModelError]) -> None:
    assert MODEL_ERRORS[kind] in REGISTRY.values()


@pytest.mark.parametrize("kind", list(classes_below(ApiError)), ids=lambda kind: kind.__name__)
def test_every_error_of_the_server_has_a_code_or_is_a_group_of_those_that_have(kind: type[ApiError]) -> None:
    assert hasattr(kind, "code") or kind.__subclasses__()
    assert getattr(errors, kind.__name__) is kind


def test_no_name_means_one_error_in_the_library_and_another_in_the_server() -> None:
    ours = {kind.__name__ for kind in classes_below(ApiError)}
    theirs = {kind.__name__ for kind in classes_below(model_errors.ModelError)}
    assert not ours & theirs


@pytest.mark.parametrize("code", REGISTRY)
def test_codes_have_the_form_that_clients_rely_on(code: str) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", code)
    assert 400 <= REGISTRY[code].status < 600
    assert REGISTRY[code].code == code
    assert REGISTRY[code].title


@pytest.mark.parametrize("path", sorted(SERVER.rglob("*.py")), ids=lambda path: str(path.relative_to(SERVER)))
def test_a_code_is_written_down_once_where_its_class_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    declared = {
        keyword.value
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and path.parent.name == "errors"
        for keyword in node.keywords
    }
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in declared]
    assert not [f"line {node.lineno}: {node.value}" for node in texts if node.value in REGISTRY]


def test_an_unknown_error_tells_nothing_about_itself() -> None:
    body = json.dumps(api_error_of(ValueError("/home/somebody/secret")).body("id"))
    assert "secret" not in body
    assert "ValueError" not in body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left", "/a/path"), "server.temp_full"),
        (OSError(errno.EDQUOT, "Quota exceeded", "/a/path"), "server.temp_full"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "engine.out_of_memory"),
        (MemoryError(), "engine.out_of_memory"),
        (OSError(errno.EIO, "Input/output error", "/a/path"), "server.internal"),
    ],
)
def test_what_the_machine_lacks_is_named_without_a_path(error: Exception, code: str) -> None:
    answer = api_error_of(error)
    assert answer.code == code
    assert "/a/path" not in answer.detail


def test_a_parameter_error_points_at_the_parameter() -> None:
    error = api_error_of(model_errors.ParameterRange("radius", "radius is 0."))
    assert error.body("id")["errors"] == [
        {"pointer": "/params/radius", "code": "param.out_of_range", "message": "radius is 0."}
    ]


def test_a_limit_is_told_with_its_flag() -> None:
    error = errors.TooManyPixels("Too many.", limit=Limit("max_megapixels", 128, 150, "--max-megapixels"))
    assert error.body("id")["limit"] == {
        "name": "max_megapixels",
        "value": 128,
        "actual": 150,
        "flag": "--max-megapixels",
    }


def test_a_body_has_every_field_of_the_contract() -> None:
    body = errors.QueueFull("Full.", retry_after=3).body("abc")
    assert body == {
        "type": "urn:lama-server:problem:queue.full",
        "title": "Too many jobs are waiting",
        "status": 429,
        "detail": "Full.",
        "instance": "urn:request:abc",
        "code": "queue.full",
        "request_id": "abc",
        "retryable": True,
        "limit": None,
        "errors": [],
        "retry_after": 3,
    }


def test_an_error_crosses_a_process_border_with_everything_it_carries() -> None:
    sent = errors.ParamInvalid(
        "Two fields are wrong.",
        pointer="/a",
        limit=Limit("queue", 1, 2),
        retry_after=3,
        errors=(errors.ParamUnknown("No.", pointer="/a"), errors.FieldMissing("Gone.", pointer="/b")),
        headers=(("accept", "text/plain"),),
    )
    received = pickle.loads(pickle.dumps(sent))  # noqa: S301  as the pipe between our own processes does
    assert type(received) is errors.ParamInvalid
    assert received.body("id") == sent.body("id")
    assert received.headers == sent.headers


def test_an_error_that_is_kept_holds_on_to_no_stack() -> None:
    with pytest.raises(errors.MaskEmpty) as raised:
        raise errors.MaskEmpty("Nothing.", pointer="/mask")
    kept, extended = raised.value.fresh(), raised.value.fresh("Nothing. Paint.")
    assert kept.__traceback__ is None
    assert (kept.detail, kept.pointer) == ("Nothing.", "/mask")
    assert (extended.detail, extended.pointer) == ("Nothing. Paint.", "/mask")
