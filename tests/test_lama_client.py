"""The one call that plug-ins make, against a real server."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from fake_engines import photo
from lama_integrations import lama_client as lama
from lama_server import codec
from lama_server.codec import png
from serving import RunningServer, encode, rect_mask


@pytest.fixture
def address(server: RunningServer) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_of_the_client_is_read_by_the_server_and_back(channels: int, depth: int) -> None:
    kind = np.uint8 if depth == 8 else np.uint16
    samples = np.random.default_rng(0).integers(0, 2**depth, (40, 31, channels), dtype=kind)
    pixels = lama.Pixels(31, 40, channels, depth, samples.tobytes())
    decoded = codec.decode(lama.encode_png(pixels))
    assert np.array_equal(decoded.pixels[..., 0], samples[..., 0])
    assert (decoded.info.bit_depth, decoded.info.is_grey) == (depth, channels < 3)
    assert lama.decode_png(png.write(decoded.pixels, grey=channels < 3)) == pixels


def guess(kind: int, left: int, upper: int, corner: int) -> int:
    """What a filter expects of a byte (ISO/IEC 15948, section 9)."""
    paeth = min((left, upper, corner), key=lambda value: abs(left + upper - corner - value))
    return (0, left, upper, (left + upper) // 2, paeth)[kind]


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_of_a_png_is_undone(kind: int) -> None:
    pixels = np.random.default_rng(kind).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    raw = np.zeros((10, 8 * 3), int)
    raw[1:, 3:] = pixels.reshape(9, -1)
    rows = b"".join(
        bytes([kind, *(int(raw[y, x] - guess(kind, *map(int, (raw[y, x - 3], raw[y - 1, x], raw[y - 1, x - 3])))) & 255
                       for x in range(3, 24))])
        for y in range(1, 10)
    )  # fmt: skip
    header = struct.pack(">IIBBBBB", 7, 9, 8, 2, 0, 0, 0)
    file = (
        png.SIGNATURE + png.chunk(b"IHDR", header) + png.chunk(b"IDAT", zlib.compress(rows)) + png.chunk(b"IEND", b"")
    )
    assert np.array_equal(codec.decode(file, codec.ImageLimits(min_side=1)).pixels, pixels)
    assert lama.decode_png(file).samples == pixels.tobytes()


@pytest.mark.parametrize("data", [b"", b"<html>Sign in</html>", encode(rect_mask())[:60]], ids=["none", "page", "cut"])
def test_what_is_no_whole_png_is_refused(data: bytes) -> None:
    with pytest.raises(lama.LamaError, match="cannot be read"):
        lama.decode_png(data)


def test_a_patch_says_where_it_belongs(address: str) -> None:
    patch = lama.fill(encode(photo()), encode(rect_mask()), server=address + "/", model="painter", seed=90)
    assert (patch.box, patch.model) == (lama.Box(20, 16, 24, 20), "painter")
    assert set(lama.decode_png(patch.png).samples[0::3]) == {90}


def test_a_whole_picture_comes_in_its_own_format(address: str) -> None:
    whole = lama.fill_whole(encode(photo(), "TIFF"), encode(rect_mask()), server=address, seed=90)
    assert (whole.suffix, codec.probe(whole.image).format) == (".tif", "tiff")


def test_a_patch_is_transparent_where_the_mask_is_not_painted() -> None:
    patch = lama.Pixels(3, 2, 2, 16, np.full((2, 3, 2), 65535, np.uint16).tobytes())
    mask = np.zeros((5, 6), np.uint8)
    mask[2, 1:4] = (127, 128, 255)
    shown = lama.only_where(patch, lama.Pixels(6, 5, 1, 8, mask.tobytes()), lama.Box(1, 2, 3, 2))
    alpha = np.frombuffer(shown.samples, np.uint16).reshape(2, 3, 2)[..., 1]
    assert alpha.tolist() == [[0, 65535, 65535], [0, 0, 0]]


def test_a_refusal_is_a_sentence_of_the_server_and_silence_one_of_the_client(address: str) -> None:
    with pytest.raises(lama.LamaError, match=r"There is no model 'nothing'\. There are: "):
        lama.fill(encode(photo()), encode(rect_mask()), server=address, model="nothing")
    for nowhere in ("http://127.0.0.1:9", "nonsense"):
        with pytest.raises(lama.LamaError, match=f"There is no lama-server at {nowhere}"):
            lama.ask(nowhere, "/")


@pytest.mark.parametrize(
    ("hole", "box"),
    [
        (lama.Box(1000, 900, 10, 20), lama.Box(744, 644, 522, 532)),
        (lama.Box(0, 0, 10, 20), lama.Box(0, 0, 266, 276)),
        (lama.Box(600, 500, 1000, 900), lama.Box(0, 0, 2000, 1500)),
    ],
)
def test_a_hole_is_sent_with_context_and_within_the_picture(hole: lama.Box, box: lama.Box) -> None:
    assert lama.around(hole, 2000, 1500) == box


def test_the_token_travels_in_a_header(tmp_path: Path) -> None:
    token = "a-token-of-enough-letters"
    with RunningServer(tmp_path / "data", {"token": token}) as server:
        place = f"http://127.0.0.1:{server.port}"
        with pytest.raises(lama.LamaError, match="asks for its token"):
            lama.ask(place, "/api/v1/models")
        assert b"painter" in lama.ask(place, "/api/v1/models", token)[0]


@contextmanager
def another_server(status: int, body: bytes) -> Iterator[str]:
    """The address of a server that answers one request, whatever it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b"{}", b""])
def test_an_error_of_something_else_is_told_by_its_status(body: bytes) -> None:
    with another_server(502, body) as address, pytest.raises(lama.LamaError, match="answered with status 502"):
        lama.ask(address, "/")


def test_a_server_that_is_another_is_called_that() -> None:
    with another_server(200, b"It works!") as address, pytest.raises(lama.LamaError, match="is no lama-server"):
        lama.fill(encode(photo()), encode(rect_mask()), server=address)
