"""The registry of codes, and that every exception class has one."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator

import pytest

import inpaint_models.errors as model_errors
import lama_server.errors as server_errors
from lama_server.problems import MODEL_ERROR_CODES, REGISTRY, Problem, ProblemError, problem_of


def classes_below(base: type[Exception]) -> Iterator[type[Exception]]:
    yield base
    for child in base.__subclasses__():
        yield from classes_below(child)


@pytest.mark.parametrize("kind", list(classes_below(model_errors.ModelError)), ids=lambda kind: kind.__name__)
def test_every_error_of_the_library_has_its_own_row(kind: type[model_errors.ModelError]) -> None:
    assert MODEL_ERROR_CODES[kind] in REGISTRY


@pytest.mark.parametrize("kind", list(classes_below(server_errors.LamaServerError)), ids=lambda kind: kind.__name__)
def test_every_error_of_the_server_carries_a_registered_code(kind: type[server_errors.LamaServerError]) -> None:
    assert kind.code in REGISTRY


@pytest.mark.parametrize("code", REGISTRY)
def test_codes_have_the_form_that_clients_rely_on(code: str) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", code)
    assert 400 <= REGISTRY[code].status < 600
    assert REGISTRY[code].uri.endswith(code)


def test_an_unknown_error_tells_nothing_about_itself() -> None:
    body = json.dumps(problem_of(ValueError("/home/somebody/secret")).body("id"))
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
    problem = problem_of(error)
    assert problem.code == code
    assert "/a/path" not in problem.detail


def test_a_parameter_error_points_at_the_parameter() -> None:
    problem = problem_of(model_errors.ParameterRange("radius", "radius is 0."))
    assert problem.body("id")["errors"] == [
        {"pointer": "/params/radius", "code": "param.out_of_range", "message": "radius is 0."}
    ]


def test_a_limit_is_told_with_its_flag() -> None:
    limit = server_errors.Limit("max_megapixels", 128, 150, "--max-megapixels")
    body = problem_of(server_errors.TooManyPixels("Too many.", limit=limit)).body("id")
    assert body["limit"] == {"name": "max_megapixels", "value": 128, "actual": 150, "flag": "--max-megapixels"}


def test_a_body_has_every_field_of_the_contract() -> None:
    body = Problem("queue.full", "Full.", retry_after=3).body("abc")
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


def test_a_problem_survives_being_raised() -> None:
    problem = Problem("mask.empty", "Nothing.")
    assert ProblemError.of(problem).problem is problem
