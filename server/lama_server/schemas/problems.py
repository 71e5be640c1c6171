"""Errors as they go out."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field

from ..errors import ApiError
from .base import ReplyType


class LimitReply(ReplyType):
    name: str
    value: Any
    actual: Any = None
    flag: str | None = None


class FieldProblem(ReplyType):
    pointer: str
    code: str
    message: str


class ProblemReply(ReplyType):
    """RFC 9457 problem details. Switch on `code`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    retryable: bool
    limit: LimitReply | None = None
    errors: list[FieldProblem] = Field(default_factory=list)
    retry_after: int | None = None

    @classmethod
    def of(cls, error: ApiError, request_id: str = "") -> Self:
        """An error as a part of another answer."""
        return cls.model_validate(error.body(request_id))
