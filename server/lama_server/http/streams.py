"""Responses that are written line by line while a job runs, files, and jobs that end when their client goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ..errors.disk import disk_errors

NDJSON = "application/x-ndjson"

PIECE_BYTES = 256 * 2**10
"""Of a file, read and sent at a time."""

PICTURE_HEADERS = {"content-security-policy": "sandbox; default-src 'none'"}
"""Whatever is in a picture, a browser treats it as nothing but a picture."""

Answer = TypeVar("Answer")


class NdjsonResponse(StreamingResponse):
    """One JSON object per line, sent as they come. When the client hangs up, the producer is cancelled at once."""

    def __init__(self, lines: AsyncGenerator[BaseModel, None]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(_encoded(lines), media_type=NDJSON, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Said to be ASGI 2.3, where Starlette listens for the end; from 2.4 on it waits for the next line to fail."""
        await super().__call__({**scope, "asgi": {**scope.get("asgi", {}), "spec_version": "2.3"}}, receive, send)


async def _encoded(lines: AsyncGenerator[BaseModel, None]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(lines):
        async for line in lines:
            yield line.model_dump_json().encode() + b"\n"


class OpenFile(StreamingResponse):
    """An open file, sent whole whatever range is asked for, and closed; it is never looked up by name again.

    on_close  called once everything is over, also when the client left half way
    """

    def __init__(
        self,
        stream: BinaryIO,
        size_bytes: int,
        media_type: str,
        headers: Mapping[str, str],
        on_close: Callable[[], object] = lambda: None,
    ) -> None:
        sizes = {"content-length": str(size_bytes), "accept-ranges": "none"}
        super().__init__(_pieces(stream, size_bytes), media_type=media_type, headers={**headers, **sizes})
        self._stream, self._on_close = stream, on_close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._stream:
                await super().__call__(scope, receive, send)
        finally:
            self._on_close()


class WholeFile(OpenFile):
    """A file of the data folder. Raises `RootUnavailable` when it is not there any more; `on_close` is called then."""

    def __init__(
        self, path: Path, media_type: str, headers: Mapping[str, str], on_close: Callable[[], object] = lambda: None
    ) -> None:
        try:
            with disk_errors():
                stream = path.open("rb")
        except BaseException:
            on_close()
            raise
        super().__init__(stream, os.fstat(stream.fileno()).st_size, media_type, headers, on_close)


async def _pieces(stream: BinaryIO, size_bytes: int) -> AsyncIterator[bytes]:
    """Ends with the last byte: a patch is one piece, and to look for a second one would take as long."""
    while size_bytes > 0 and (piece := await asyncio.to_thread(stream.read, PIECE_BYTES)):
        size_bytes -= len(piece)
        yield piece


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """The work's answer. When the client hangs up first, the work is cancelled. The body must have been read.

    Raises `ClientDisconnect`.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            raise ClientDisconnect
        return await working
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()


async def _disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
