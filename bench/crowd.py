"""Many clients at once that each know their own picture: the driver of tests/test_load.py and of `bench_load`."""

from __future__ import annotations

import http.client
import io
import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

Check = Callable[[np.ndarray, int], bool]
"""(answered pixels, the client's number) -> whether they are what this client sent, filled."""

HOLE = (slice(16, 80), slice(16, 80))
HEALTH_PAUSE_S = 0.02
TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one request of a client came to.

    status  0 where the connection ended without an answer
    wrong   what is wrong with the answer; "" for a right result and for a right refusal
    """

    status: int
    seconds: float
    wrong: str


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo of noise as an uncompressed file, of which each client has its own version without a copy in memory.

    Its last row has the client's number as its colour.
    """

    pixels: np.ndarray
    head: bytes
    rows: bytes

    @classmethod
    def of(cls, height: int, width: int) -> Photo:
        pixels = np.random.default_rng(0).integers(0, 256, (height, width - width % 4, 3), np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "BMP")
        size = pixels.nbytes
        return cls(pixels, out.getvalue()[:-size], out.getvalue()[-size + 3 * pixels.shape[1] :])

    def parts(self, number: int) -> list[bytes]:
        """The file of a client: BMP begins with the last row, blue first."""
        return [self.head, bytes([number % 256, number // 256, 0]) * self.pixels.shape[1], self.rows]

    def is_kept(self, answered: np.ndarray, number: int) -> bool:
        """Whether the answer is this client's photo, but for the hole."""
        own = self.pixels.copy()
        own[-1] = (0, number // 256, number % 256)
        if answered.shape != own.shape:
            return False
        own[HOLE] = answered[HOLE]
        return bool(np.array_equal(own, answered))

    def mask(self) -> bytes:
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        mask[HOLE] = 255
        out = io.BytesIO()
        Image.fromarray(mask).save(out, "PNG")
        return out.getvalue()


def form(photo: Photo, mask: bytes, number: int, params: dict[str, Any]) -> list[bytes]:
    """The body of a client's one-shot request, in parts."""
    head = b'--frontier\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n'
    given = json.dumps({**params, "seed": number}).encode()
    text = b'\r\n--frontier\r\nContent-Disposition: form-data; name="params"\r\n\r\n' + given + b"\r\n--frontier--\r\n"
    return [head % b"image", *photo.parts(number), b"\r\n", head % b"mask", mask, text]


def ask(port: int, parts: list[bytes], number: int, check: Check) -> Outcome:
    """One request, sent to its end before the answer is read; every second client ends its connection with it."""
    began = time.monotonic()
    headers = {
        "Content-Type": "multipart/form-data; boundary=frontier",
        "Content-Length": str(sum(map(len, parts))),
        "Connection": "close" if number % 2 else "keep-alive",
    }
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as connection:
        try:
            connection.request("POST", "/api/v1/inpaint", iter(parts), headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return Outcome(0, time.monotonic() - began, f"{type(error).__name__}: {error}")
    return Outcome(answer.status, time.monotonic() - began, _wrong(answer, content, number, check))


def _wrong(answer: http.client.HTTPResponse, content: bytes, number: int, check: Check) -> str:
    if answer.status == 200:
        return "" if check(np.asarray(Image.open(io.BytesIO(content))), number) else "the result of another request"
    is_refusal = answer.status == 429 and json.loads(content)["code"] == "queue.full"
    return "" if is_refusal and answer.headers["retry-after"].isdigit() else f"{answer.status}: {content[:200]!r}"


def crowd(
    port: int, clients: int, rounds: int, photo: Photo, params: dict[str, Any], check: Check | None = None
) -> list[Outcome]:
    """So many clients that begin at the same moment and ask `rounds` times each, at once again after every answer."""
    mask, start = photo.mask(), threading.Barrier(clients)

    def client(number: int) -> list[Outcome]:
        parts = form(photo, mask, number, params)
        start.wait()
        return [ask(port, parts, number, check or photo.is_kept) for _ in range(rounds)]

    with ThreadPoolExecutor(clients) as pool:
        return [outcome for outcomes in pool.map(client, range(clients)) for outcome in outcomes]


@contextmanager
def health(port: int) -> Iterator[list[float]]:
    """Asks /healthz again and again from a process of its own; its answers' seconds are there at the end."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_ask_health, args=(port, theirs), daemon=True)
    process.start()
    ours.recv()
    seconds: list[float] = []
    try:
        yield seconds
    finally:
        ours.send("enough")
        seconds += ours.recv()
        process.join()
        ours.close()
        theirs.close()


def _ask_health(port: int, pipe: Any) -> None:
    pipe.send("begun")
    seconds = []
    while not pipe.poll(HEALTH_PAUSE_S):
        began = time.monotonic()
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as connection:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.monotonic() - began if answer.status == 200 else TIMEOUT_S)
    pipe.send(seconds)
