"""One call to a lama-server: a picture and a mask go in, the part that was changed comes out.

For plug-ins, which carry a copy of this file: standard library only, and Python from 3.8 on.
"""

from __future__ import annotations

import json
import secrets
import struct
import sys
import urllib.error
import urllib.request
import zlib
from array import array
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

DEFAULT_SERVER = "http://127.0.0.1:8080"
TIMEOUT_S = 900.0
_LEAST_CONTEXT_PX = 256
_PAINTED = 128
"""Value of a mask from which the server counts a pixel as painted."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels (grey, grey and alpha, RGB, RGBA) -> the colour type of a PNG."""


class LamaError(Exception):
    """Why there is no result, in a sentence for people."""


class Box(NamedTuple):
    """A rectangle of pixels."""

    x: int
    y: int
    width: int
    height: int


class Pixels(NamedTuple):
    """Rows from the top, channels interleaved; samples of 16 bits in the machine's byte order."""

    width: int
    height: int
    channels: int
    depth: int
    samples: bytes


class Patch(NamedTuple):
    """What was changed: a PNG of the picture's own depth and channels, and where in the picture it belongs."""

    png: bytes
    box: Box
    model: str


def around(hole: Box, width: int, height: int) -> Box:
    """What to send of a picture: the hole with as much context as it is long, 256 pixels at least."""
    margin = max(_LEAST_CONTEXT_PX, hole.width, hole.height)
    x0, y0 = max(0, hole.x - margin), max(0, hole.y - margin)
    x1, y1 = min(width, hole.x + hole.width + margin), min(height, hole.y + hole.height + margin)
    return Box(x0, y0, x1 - x0, y1 - y0)


class Whole(NamedTuple):
    """A whole picture in its own format; `suffix` is that of its file name."""

    image: bytes
    suffix: str
    model: str


def fill(image: bytes, mask: bytes, *, server: str = DEFAULT_SERVER, token: str = "", **params: object) -> Patch:
    """Image files of one size in, white in the mask means fill; `params` as `OneShotParams`. Raises `LamaError`."""
    reply, headers = _posted("result=patch", image, mask, server, token, params)
    places = dict(pair.strip().split("=") for pair in headers["X-Box"].split(","))
    return Patch(reply, Box(*(int(places[name]) for name in "xywh")), headers["X-Model"])


def fill_whole(image: bytes, mask: bytes, *, server: str = DEFAULT_SERVER, token: str = "", **params: object) -> Whole:
    """As `fill`, for those who keep the whole picture."""
    reply, headers = _posted("format=keep", image, mask, server, token, params)
    suffix = headers["Content-Disposition"].rpartition(".")[2].strip('"')
    return Whole(reply, f".{suffix}", headers["X-Model"])


def _posted(
    query: str, image: bytes, mask: bytes, server: str, token: str, params: Mapping[str, object]
) -> tuple[bytes, Mapping[str, str]]:
    """(body, headers) of the answer to a form."""
    border = secrets.token_hex(16)
    given = json.dumps({name: value for name, value in params.items() if value not in ("", None)}).encode()
    fields = [('"image"; filename="image"', image), ('"mask"; filename="mask"', mask), ('"params"', given)]
    body = b"".join(
        f"--{border}\r\nContent-Disposition: form-data; name={head}\r\n\r\n".encode() + data + b"\r\n"
        for head, data in fields
    )
    kind = f"multipart/form-data; boundary={border}"
    reply, headers = ask(server, f"/api/v1/inpaint?{query}", token, body + f"--{border}--\r\n".encode(), kind)
    if "X-Model" not in headers:
        raise LamaError(f"What answers at {server} is no lama-server. Name its address.")
    return reply, headers


def only_where(patch: Pixels, mask: Pixels, box: Box) -> Pixels:
    """A patch with alpha, made transparent where the mask of 8 bits is not painted; `box` is its place in the mask."""
    samples, size, alpha = bytearray(patch.samples), patch.channels * patch.depth // 8, patch.depth // 8
    for y in range(box.height):
        start = (box.y + y) * mask.width + box.x
        for x, value in enumerate(mask.samples[start : start + box.width]):
            if value < _PAINTED:
                end = (y * box.width + x + 1) * size
                samples[end - alpha : end] = bytes(alpha)
    return patch._replace(samples=bytes(samples))


def ask(
    server: str, path: str, token: str = "", body: bytes | None = None, kind: str = ""
) -> tuple[bytes, Mapping[str, str]]:
    """(body, headers) of an answer. Raises `LamaError`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = urllib.request.Request(server.rstrip("/") + path, body, headers)
        if kind:
            request.add_header("Content-Type", kind)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
            return reply.read(), reply.headers
    except urllib.error.HTTPError as error:
        raise LamaError(_told(error.read(), error.code)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise LamaError(f"There is no lama-server at {server} ({reason}). Start it, or name another address.") from None


def encode_png(pixels: Pixels) -> bytes:
    """Packed lightly: it travels to this machine or a near one."""
    line = pixels.width * pixels.channels * pixels.depth // 8
    data = memoryview(_big_endian(pixels.samples, pixels.depth))
    rows = b"".join(b"\0" + data[y * line : (y + 1) * line] for y in range(pixels.height))
    header = struct.pack(">IIBBBBB", pixels.width, pixels.height, pixels.depth, _COLOUR_TYPES[pixels.channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def decode_png(png: bytes) -> Pixels:
    """Of what the server sends: 8 or 16 bits, not interlaced, without a palette. Raises `LamaError`."""
    parts: dict[bytes, bytes] = {}
    at = len(_SIGNATURE)
    while at + 8 <= len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        parts[kind] = parts.get(kind, b"") + png[at + 8 : at + 8 + length]
        at += 12 + length
    try:
        width, height, depth, colour = struct.unpack(">IIBB", parts[b"IHDR"][:10])
        channels = next(count for count, kind in _COLOUR_TYPES.items() if kind == colour)
        rows = zlib.decompress(parts[b"IDAT"])
    except (KeyError, StopIteration, struct.error, zlib.error):
        raise LamaError("The server sent a patch that cannot be read. Is it a lama-server?") from None
    step, line = channels * depth // 8, width * channels * depth // 8
    above, out = bytes(line), []
    for start in range(0, height * (line + 1), line + 1):
        above = _unfiltered(rows[start], rows[start + 1 : start + 1 + line], above, step)
        out.append(above)
    return Pixels(width, height, channels, depth, _big_endian(b"".join(out), depth))


def _unfiltered(kind: int, row: bytes, above: bytes, step: int) -> bytes:
    """A row without its filter (ISO/IEC 15948, section 9): none, Sub, Up, Average, Paeth."""
    if kind == 0:
        return row
    if kind == 1:
        out = bytearray(len(row))
        for channel in range(step):
            out[channel::step] = bytes(total & 255 for total in accumulate(row[channel::step]))
        return bytes(out)
    if kind == 2:
        return bytes((value + above[at]) & 255 for at, value in enumerate(row))
    out = bytearray(step) + row
    corner = bytes(step) + above
    for at in range(step, len(out)):
        left, upper = out[at - step], corner[at]
        guess = (left + upper) >> 1 if kind == 3 else _paeth(left, upper, corner[at - step])
        out[at] = (out[at] + guess) & 255
    return bytes(out[step:])


def _paeth(left: int, upper: int, corner: int) -> int:
    guess = left + upper - corner
    return min((abs(guess - left), 0, left), (abs(guess - upper), 1, upper), (abs(guess - corner), 2, corner))[2]


def _big_endian(samples: bytes, depth: int) -> bytes:
    """From the machine's order of bytes to that of a PNG, or back."""
    if depth == 8 or sys.byteorder == "big":
        return samples
    values = array("H", samples)
    values.byteswap()
    return values.tobytes()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _told(body: bytes, status: int) -> str:
    """What a refusal says."""
    try:
        problem: Any = json.loads(body)
        return str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered with status {status}."
