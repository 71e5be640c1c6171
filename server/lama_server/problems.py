"""One registry of everything that can be answered instead of a result (RFC 9457 problem details).

A code is stable: clients switch on it, people read `detail`. Adding a code is a minor version; changing or removing one
is a major version. Every exception class of both packages maps to a code here, in one table, and a test holds that none
is missing. Nothing in a body names a path, a class or a line of code.
"""

from __future__ import annotations

import errno
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import inpaint_models.errors as model_errors

from . import errors as server_errors


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem: what its code means, whatever the request was."""

    code: str
    status: int
    title: str
    retryable: bool = False

    @property
    def uri(self) -> str:
        return f"urn:lama-server:problem:{self.code}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One occurrence of a problem. It can cross a process border.

    detail        a sentence: what was wrong, what was found, what to do
    pointer       JSON pointer or form field that the problem is about
    limit         name, value, actual and flag, where a limit was passed
    retry_after   whole seconds
    errors        further (pointer, code, message) triples when several fields are wrong
    """

    code: str
    detail: str
    pointer: str | None = None
    limit: dict[str, Any] | None = None
    retry_after: int | None = None
    errors: tuple[tuple[str, str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=())

    @property
    def type(self) -> ProblemType:
        return REGISTRY[self.code]

    def body(self, request_id: str) -> dict[str, Any]:
        """The problem as the JSON object that goes out."""
        kind = self.type
        errors = self.errors or (((self.pointer, self.code, self.detail),) if self.pointer is not None else ())
        return {
            "type": kind.uri,
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "instance": f"urn:request:{request_id}",
            "code": self.code,
            "request_id": request_id,
            "retryable": kind.retryable,
            "limit": self.limit,
            "errors": [{"pointer": pointer, "code": code, "message": text} for pointer, code, text in errors],
            "retry_after": self.retry_after,
        }


class ProblemError(Exception):
    """Raised wherever a request cannot be answered; carries the answer."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        pointer: str | None = None,
        limit: dict[str, Any] | None = None,
        retry_after: int | None = None,
        errors: tuple[tuple[str, str, str], ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(code, detail, pointer, limit, retry_after, errors, headers)

    @classmethod
    def of(cls, problem: Problem) -> ProblemError:
        error = cls(problem.code, problem.detail)
        error.problem = problem
        return error


def _registry(*types: ProblemType) -> dict[str, ProblemType]:
    return {kind.code: kind for kind in types}


REGISTRY: Final[dict[str, ProblemType]] = _registry(
    ProblemType("request.bad_target", 400, "The request target is not a path"),
    ProblemType("request.malformed", 400, "The request is malformed"),
    ProblemType("request.headers_too_large", 431, "The request's headers are too large"),
    ProblemType("request.uri_too_long", 414, "The request target is too long"),
    ProblemType("upload.timeout", 408, "The upload was too slow", retryable=True),
    ProblemType("host.invalid", 400, "The Host header is missing, repeated or malformed"),
    ProblemType("host.not_allowed", 403, "The server does not answer under this host name"),
    ProblemType("origin.forbidden", 403, "Another site's page may not call this server"),
    ProblemType("auth.required", 401, "A token is needed"),
    ProblemType("auth.invalid", 401, "The token is wrong"),
    ProblemType("auth.rate_limited", 429, "Too many wrong tokens", retryable=True),
    ProblemType("route.not_found", 404, "There is nothing at this address"),
    ProblemType("route.method_not_allowed", 405, "The address does not know this method"),
    ProblemType("body.too_large", 413, "The body is too large"),
    ProblemType("body.unsupported_type", 415, "The body is of an unsupported type"),
    ProblemType("body.unsupported_encoding", 415, "The body is compressed"),
    ProblemType("multipart.malformed", 400, "The form cannot be read"),
    ProblemType("multipart.too_many_files", 413, "The form has too many files"),
    ProblemType("multipart.too_many_fields", 413, "The form has too many fields"),
    ProblemType("field.missing", 422, "A field is missing"),
    ProblemType("field.duplicate", 422, "A field is there twice"),
    ProblemType("field.too_large", 413, "A field is too large"),
    ProblemType("field.not_a_file", 422, "A field must be a file"),
    ProblemType("image.empty", 422, "The image is empty"),
    ProblemType("image.unsupported_format", 415, "The file is not an image of a supported format"),
    ProblemType("image.corrupt", 422, "The image is damaged"),
    ProblemType("image.truncated", 422, "The image is cut off"),
    ProblemType("image.too_many_pixels", 413, "The image has too many pixels"),
    ProblemType("image.side_too_long", 413, "A side of the image is too long"),
    ProblemType("image.too_small", 422, "The image is too small"),
    ProblemType("image.animated", 422, "The image is animated"),
    ProblemType("image.metadata_too_large", 422, "The image's metadata are too large"),
    ProblemType("image.too_complex", 422, "The image is too costly to decode"),
    ProblemType("image.not_found", 404, "The server does not have this image"),
    ProblemType("edit.not_found", 404, "The server does not have this edit"),
    ProblemType("mask.size_mismatch", 422, "The mask is of another size than the image"),
    ProblemType("mask.empty", 422, "The mask marks nothing"),
    ProblemType("mask.covers_image", 422, "The mask leaves nothing to fill from"),
    ProblemType("mask.invalid", 422, "The mask cannot be used"),
    ProblemType("params.malformed", 422, "The parameters cannot be read"),
    ProblemType("param.unknown", 422, "There is no such parameter"),
    ProblemType("param.wrong_type", 422, "A parameter is of the wrong type"),
    ProblemType("param.out_of_range", 422, "A parameter is out of its range"),
    ProblemType("param.unknown_value", 422, "A parameter has no such value"),
    ProblemType("param.too_long", 422, "A parameter is too long"),
    ProblemType("param.invalid_chars", 422, "A parameter has characters that are not allowed"),
    ProblemType("param.invalid", 422, "A parameter cannot be used"),
    ProblemType("root.unavailable", 503, "A folder of the server is not available", retryable=True),
    ProblemType("save.disk_full", 507, "The disk is full: the result was not saved", retryable=True),
    ProblemType("save.failed", 500, "The result was not saved", retryable=True),
    ProblemType("server.temp_full", 507, "The server's disk is full", retryable=True),
    ProblemType("model.unknown", 404, "There is no such model"),
    ProblemType("model.not_downloaded", 409, "The model's weights are not on this machine"),
    ProblemType("model.unsafe_format", 409, "The weights are in a format that can carry code"),
    ProblemType("model.weights_corrupted", 503, "The weights are damaged"),
    ProblemType("model.download_failed", 503, "The weights could not be downloaded", retryable=True),
    ProblemType("model.loading", 503, "The model is not ready yet", retryable=True),
    ProblemType("model.unavailable", 409, "The model cannot run on this machine"),
    ProblemType("job.not_found", 404, "There is no such job"),
    ProblemType("job.cancelled", 409, "The job was cancelled"),
    ProblemType("job.deadline_exceeded", 504, "The job took too long"),
    ProblemType("job.queue_timeout", 503, "The job waited too long", retryable=True),
    ProblemType("queue.full", 429, "Too many jobs are waiting", retryable=True),
    ProblemType("engine.out_of_memory", 503, "The fill does not fit into memory"),
    ProblemType("engine.failed", 500, "The model gave no usable result"),
    ProblemType("worker.crashed", 503, "The worker process ended unexpectedly", retryable=True),
    ProblemType("worker.unavailable", 503, "The worker process does not stay up", retryable=True),
    ProblemType("server.shutting_down", 503, "The server is stopping", retryable=True),
    ProblemType("server.internal", 500, "Something went wrong in the server"),
)

MODEL_ERROR_CODES: Final[dict[type[model_errors.ModelError], str]] = {
    model_errors.ModelError: "engine.failed",
    model_errors.UnknownModel: "model.unknown",
    model_errors.InvalidInput: "param.invalid",
    model_errors.InvalidImage: "image.corrupt",
    model_errors.InvalidMask: "mask.invalid",
    model_errors.EmptyMask: "mask.empty",
    model_errors.MaskCoversImage: "mask.covers_image",
    model_errors.MaskSizeMismatch: "mask.size_mismatch",
    model_errors.InvalidParameter: "param.invalid",
    model_errors.UnknownParameter: "param.unknown",
    model_errors.ParameterType: "param.wrong_type",
    model_errors.ParameterRange: "param.out_of_range",
    model_errors.ParameterChoice: "param.unknown_value",
    model_errors.WeightsError: "model.weights_corrupted",
    model_errors.WeightsMissing: "model.not_downloaded",
    model_errors.WeightsCorrupted: "model.weights_corrupted",
    model_errors.UnsafeWeights: "model.unsafe_format",
    model_errors.DownloadFailed: "model.download_failed",
    model_errors.Unavailable: "model.unavailable",
    model_errors.OutOfMemory: "engine.out_of_memory",
    model_errors.EngineFailed: "engine.failed",
    model_errors.Cancelled: "job.cancelled",
}

INTERNAL: Final = Problem(
    "server.internal", "Something went wrong in the server. The log has the details under this request id."
)


def problem_of(error: BaseException) -> Problem:
    """What to answer when `error` ended a request or a job. Unknown classes tell nothing about themselves."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, server_errors.LamaServerError):
        return _from_server_error(error)
    if isinstance(error, model_errors.ModelError):
        return _from_model_error(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return Problem("server.temp_full", "The disk that holds the server's working files is full. Free some space.")
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return Problem("engine.out_of_memory", "There was not enough memory. Use a smaller photo or another model.")
    return INTERNAL


def _from_model_error(error: model_errors.ModelError) -> Problem:
    code = next(MODEL_ERROR_CODES[base] for base in type(error).__mro__ if base in MODEL_ERROR_CODES)
    pointer = f"/params/{error.name}" if isinstance(error, model_errors.InvalidParameter) else None
    return Problem(code, str(error) or REGISTRY[code].title, pointer=pointer)


def _from_server_error(error: server_errors.LamaServerError) -> Problem:
    limit = None if error.limit is None else asdict(error.limit)
    return Problem(error.code, error.message or REGISTRY[error.code].title, limit=limit)


def at(problem: Problem, pointer: str) -> Problem:
    """The same problem, said to be about the field at `pointer`."""
    return replace(problem, pointer=problem.pointer or pointer)
