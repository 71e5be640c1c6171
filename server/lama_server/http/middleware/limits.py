"""How long a request's target, headers and body may be, and how long the body may take."""

from __future__ import annotations

import asyncio
import contextlib
import time

from starlette.requests import Request
from starlette.types import Message, Receive

from ... import errors
from ...settings import Limits
from .policy import shown

_UPLOADS = frozenset({"/api/v1/images", "/api/v1/gen-info", "/api/v1/save_image"})
_ONE_SHOTS = frozenset(
    {
        "/api/v1/inpaint",
        "/api/v1/adjust_mask",
        "/api/v1/run_plugin_gen_mask",
        "/api/v1/run_plugin_gen_image",
        "/inpaint",
        "/run_plugin",
    }
)
"""Endpoints whose body is a photo, or a photo with a mask."""


def check_target(request: Request, limits: Limits) -> None:
    """Raises unless the request target is a path within the limit of length."""
    target: bytes = request.scope.get("raw_path") or b""
    if not target.startswith(b"/"):
        raise errors.BadTarget("The request target must be a path that begins with a slash.")
    length = len(target) + len(request.scope.get("query_string", b""))
    if length > limits.target_bytes:
        raise errors.UriTooLong(
            f"The request target has {length} bytes; the limit is {limits.target_bytes}.",
            limit=errors.Limit("target_bytes", limits.target_bytes, length),
        )


def check_header_size(request: Request, limits: Limits) -> None:
    """Raises when there are too many headers or too many bytes in them."""
    headers = request.headers.raw
    size = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > limits.header_count or size > limits.header_bytes:
        raise errors.HeadersTooLarge(
            f"The request has {len(headers)} headers of {size} bytes together; "
            f"the limits are {limits.header_count} and {limits.header_bytes}.",
        )


def body_limit(request: Request, limits: Limits) -> int:
    """The largest body that this endpoint takes, in bytes."""
    path: str = request.scope["path"]
    if path in _UPLOADS:
        return limits.upload_bytes
    if path in _ONE_SHOTS:
        return limits.one_shot_bytes
    return limits.message_bytes if path.startswith("/socket.io/") else limits.json_bytes


def check_framing(request: Request) -> None:
    """Raises when the body has two lengths: where it ends is a guess, so nothing is read behind it."""
    if "content-length" in request.headers and "transfer-encoding" in request.headers:
        raise errors.RequestMalformed(
            "The request has both Content-Length and Transfer-Encoding.", headers=(("connection", "close"),)
        )


def check_body_head(request: Request, limit: int) -> None:
    """Raises when the headers already tell that the body is too large or compressed."""
    if (encoding := request.headers.get("content-encoding")) not in (None, "identity"):
        raise errors.BodyUnsupportedEncoding(f"The body is compressed ({shown(encoding or '')}). Send it as it is.")
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise too_large(int(declared), limit)


def too_large(actual: int, limit: int) -> errors.ApiError:
    return errors.BodyTooLarge(
        f"The body has {actual} bytes or more; the limit here is {limit} bytes.",
        limit=errors.Limit("body_bytes", limit, actual),
    )


class CountedBody:
    """A request body that is counted and timed while it is read.

    One reads at a time: a response that streams listens for the client's leaving, which reads too, while `drop` runs.
    Were both to wait for the last message, the one that does not get it would wait on.
    """

    def __init__(self, receive: Receive, limit: int, limits: Limits) -> None:
        self._receive, self._limit, self._limits = receive, limit, limits
        self._read, self._complete, self._began = 0, False, time.monotonic()
        self._turn = asyncio.Lock()

    async def __call__(self) -> Message:
        """The next ASGI message. Raises `BodyTooLarge`, `UploadTimeout`."""
        async with self._turn:
            if not self._complete:
                return await self._counted()
        return await self._receive()

    async def _counted(self) -> Message:
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

    async def drop(self, turns: asyncio.Semaphore) -> None:
        """Reads what is left of the body of an answered request and forgets it, within bounds.

        To close a connection on which bytes still arrive resets it, and the answer is lost for a client that reads it
        only when it has sent everything. A piece is read when it has one of the `turns`, so that a crowd of refused
        clients leaves the event loop to others.
        """
        left_bytes = self._limits.one_shot_bytes
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.body_grace_s):
                while not self._complete and left_bytes > 0:
                    async with turns:
                        await asyncio.sleep(0)
                    async with self._turn:
                        if not self._complete:
                            left_bytes -= await self._dropped_bytes()

    async def _dropped_bytes(self) -> int:
        async with asyncio.timeout(self._limits.body_idle_s):
            message = await self._receive()
        self._complete = not message.get("more_body", False)
        return len(message.get("body", b""))

    def _too_slow(self, found: str) -> errors.ApiError:
        self._complete = True
        return errors.UploadTimeout(f"{found}: the upload was given up. Send it again.")
