"""`ApiError`, and the registry that its subclasses enter themselves into."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Self


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit that was exceeded.

    name    as in the settings, such as "max_megapixels"
    value   what is allowed
    actual  what was found
    flag    the command line flag that changes it, if there is one
    """

    name: str
    value: float
    actual: float
    flag: str | None = None


def json_pointer(*parts: int | str) -> str:
    """The JSON pointer (RFC 6901) to a field. Names may come from outside: they are cut after 40 characters."""
    return "".join("/" + str(part)[:40].replace("~", "~0").replace("/", "~1") for part in parts)


class ApiError(Exception):
    """Base of every error that the server raises on purpose. A class that names a code enters the registry with it.

    The first line of such a class's docstring is the title that goes out. Classes below it share its code and title.

    detail        a sentence: what was wrong, what was found, what to do
    pointer       JSON pointer or form field that the error is about
    limit         the limit that was passed
    retry_after   whole seconds
    errors        one error for each field that is wrong, when there are several
    headers       further headers of the answer
    """

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    retryable: ClassVar[bool]

    def __init_subclass__(cls, *, code: str | None = None, status: int = 422, retryable: bool = False) -> None:
        super().__init_subclass__()
        if code is not None:
            cls.code, cls.status, cls.retryable = code, status, retryable
            cls.title = (cls.__doc__ or code).partition("\n")[0]
            REGISTRY[code] = cls

    def __init__(
        self,
        detail: str = "",
        *,
        pointer: str | None = None,
        limit: Limit | None = None,
        retry_after: int | None = None,
        errors: tuple[ApiError, ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail or self.title)
        self.pointer, self.limit, self.retry_after = pointer, limit, retry_after
        self.errors, self.headers = errors, headers

    @property
    def detail(self) -> str:
        return str(self)

    def fresh(self, detail: str | None = None, pointer: str | None = None) -> Self:
        """The same error without its traceback, to be kept or raised again; also with another sentence or pointer."""
        new = copy.copy(self)
        new.args = self.args if detail is None else (detail,)
        new.pointer = self.pointer if pointer is None else pointer
        return new

    def body(self, request_id: str) -> dict[str, Any]:
        """The error as problem details (RFC 9457), the JSON object that goes out."""
        errors = self.errors or ((self,) if self.pointer is not None else ())
        return {
            "type": f"urn:lama-server:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:request:{request_id}",
            "code": self.code,
            "request_id": request_id,
            "retryable": self.retryable,
            "limit": None if self.limit is None else asdict(self.limit),
            "errors": [{"pointer": error.pointer, "code": error.code, "message": error.detail} for error in errors],
            "retry_after": self.retry_after,
        }


REGISTRY: Final[dict[str, type[ApiError]]] = {}
"""Code -> its class, in the order of the reference page."""
