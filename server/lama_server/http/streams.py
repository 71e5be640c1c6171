"""Responses that are written line by line while a job runs, files, and jobs that end when their client goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

NDJSON = "application/x-ndjson"

Answer = TypeVar("Answer")


class NdjsonResponse(Response):
    """One JSON object per line, sent as they come. When the client hangs up, the producer is cancelled at once.

    on_close  called once everything is over, also when the client was gone before the first line
    """

    def __init__(self, lines: AsyncIterator[BaseModel], on_close: Callable[[], None] = lambda: None) -> None:
        self._lines, self._on_close = lines, on_close
        self.status_code = 200
        self.background = None
        self.init_headers({"content-type": NDJSON, "cache-control": "no-store", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send_until_disconnect(receive, send)
        finally:
            self._on_close()

    async def _send_until_disconnect(self, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send_lines(send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not sending.done():
                sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    async def _send_lines(self, send: Send) -> None:
        async with contextlib.aclosing(self._lines) as lines:  # type: ignore[type-var]
            async for line in lines:
                body = line.model_dump_json().encode() + b"\n"
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class WholeFile(FileResponse):
    """A file, sent whole whatever range is asked for: parts of a picture are of no use.

    on_close  called once everything is over, also when the client left half way
    """

    def __init__(
        self, path: Path, media_type: str, headers: Mapping[str, str], on_close: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(path, media_type=media_type, headers={**headers, "accept-ranges": "none"})
        self._on_close = on_close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = [pair for pair in scope["headers"] if pair[0] != b"range"]
        try:
            await super().__call__({**scope, "headers": asked}, receive, send)
        finally:
            self._on_close()


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """The work's answer; when the client hangs up first, the work is cancelled. The body must have been read."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
        return await working
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()


async def _disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
