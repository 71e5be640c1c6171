"""What a user, a script or a hostile page may send by mistake or on purpose, against a real server with OpenCV.

Every row ends in the problem that is written beside it, which tells nothing about the machine; afterwards the server is
alive, has leaked nothing, and fills as it did before.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fake_engines import photo
from lama_server.codec.png import chunk
from pictures import IEND, animated, deep_tiff, ihdr, png_of, saved
from serving import RECT, Reply, RunningServer, decode, encode, rect_mask, within

pytestmark = pytest.mark.on_ray

GOOD, MASK = encode(photo()), encode(rect_mask())
TELLTALE = (b"Traceback", b"Error(", b"Exception", b"lama_server", b"site-packages", b".py", b"/tmp", b"/home", b"0x7f")
FRONTIER = "multipart/form-data; boundary=frontier"


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of its own: what it was before the rows, it has to be after them."""
    data = tmp_path_factory.mktemp("attacked")
    options: dict[str, Any] = {"real_engines": True, "output_dir": str(tmp_path_factory.mktemp("saved"))}
    if request.param == "ray":
        options["cluster"] = {"nodes": 1, "models": ["opencv"]}
    with RunningServer(data, options) as running:
        running.wait_ready()
        golden = running.one_shot(GOOD, MASK).body
        descriptors = open_descriptors(running)
        yield running
        assert running.ask("GET", "/healthz").status == 200
        assert running.one_shot(GOOD, MASK).body == golden
        assert within(60, lambda: not list((data / "tmp").iterdir())), "the last answer's file goes after its last byte"
        assert within(60, lambda: open_descriptors(running) <= descriptors + 8)


def open_descriptors(server: RunningServer) -> int:
    assert server.process is not None
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def expect(reply: Reply, code: str) -> None:
    """The answer is exactly this problem, and tells nothing about the machine."""
    assert reply.status >= 400, (reply.status, reply.body[:200])
    assert reply.headers["content-type"] == "application/problem+json", reply.body[:200]
    assert reply.code == code, reply.json
    told = reply.body.replace(b"/api/v1", b"")
    assert not [word for word in TELLTALE if word in told], told
    assert len(told) < 4000


# ---------------------------------------------------------------------------------------------------- transport


def raw(server: RunningServer, data: bytes) -> bytes:
    """The whole answer to bytes as they are; the client says that it is done sending."""
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


HOST = b"Host: localhost\r\n"


@pytest.mark.plain("Serve's proxy reads the connections")
@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400, None),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: evil\r\n\r\n", 400, None),
        (b"GET http://evil/healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "request.bad_target"),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400, "request.bad_target"),
        *((b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n", 404, "route.not_found") for target in (
            b"//evil.example/", b"/%5cevil.example/", b"/\\evil.example/", b"/docs/", b"/static/../app.py",
            b"/static/x/%2e%2e/%2e%2e/app.py", b"/%00", b"/%ff%fe",
        )),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 17_000 + b"\r\n\r\n", 431, "request.headers_too_large"),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431, "request.headers_too_large"),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 100 + b"\r\n", 431, "request.headers_too_large"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "request.uri_too_long"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, None),
        (b"POST /api/v1/edits HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400, None),
        (b"POST /api/v1/edits HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
         b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", 400, None),
        (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 405, "route.method_not_allowed"),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: 1\r\n 2\r\n\r\n", 400, None),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: 1\n\r\n", 400, None),
        (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400, None),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: 1\r2\r\n\r\n", 400, None),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
         b"Origin: http://evil.example\r\n\r\n", 403, "origin.forbidden"),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 403,
         "host.not_allowed"),
    ],
)  # fmt: skip
def test_bad_transport_is_refused(server: RunningServer, request_bytes: bytes, status: int, code: str | None) -> None:
    """B1, B2, B3, B5, B6, B7, B8, B12, B22, B81, B82, B90, B91.

    Without a code: refused before the application, in plain text.
    """
    head, _, body = raw(server, request_bytes).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status, head
    assert b"location:" not in head.lower()
    if code is not None:
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.decode().split("\r\n")[1:])}
        expect(Reply(status, headers, body), code)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "evil.example"}, "host.not_allowed"),
        ({"origin": "http://evil.example"}, "origin.forbidden"),
        ({"sec-fetch-site": "cross-site"}, "origin.forbidden"),
    ],
)
def test_pages_of_other_sites_are_kept_out(server: RunningServer, headers: dict[str, str], code: str) -> None:
    """B25, B26."""
    expect(server.ask("POST", "/api/v1/inpaint", b"{}", headers), code)


@pytest.mark.parametrize("path", ["/api/v1/edits/{edit}/patches/0.png", "/api/v1/images/{image}/render"])
@pytest.mark.parametrize(
    "asked",
    ["bytes=0-9", "bytes=0-1,2-3", "bytes=-0", "bytes=9-1", "bytes=x", "lines=1-2", "bytes=99999999-", "b" * 15_000],
)
def test_files_are_sent_whole_whatever_range_is_asked_for(
    server: RunningServer, edited: tuple[str, str], path: str, asked: str
) -> None:
    """B98."""
    image, edit = edited
    reply = server.ask("GET", path.format(image=image, edit=edit), headers={"range": asked})
    assert reply.status == 200
    assert reply.headers["content-type"] == "image/png"
    assert decode(reply.body).ndim == 3


@pytest.fixture(scope="module")
def edited(server: RunningServer) -> tuple[str, str]:
    """(image, edit) ids."""
    image = server.upload(photo()).json["id"]
    result = next(line for line in server.edit(image, {"model": "opencv"}).lines if line["type"] == "result")
    return image, result["edit"]


# ---------------------------------------------------------------------------------------------------- forms


def part(head: str, content: bytes) -> bytes:
    return f"--frontier\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode("latin-1") + content + b"\r\n"


END = b"--frontier--\r\n"
WHOLE = part('name="image"; filename="a.png"', GOOD) + part('name="mask"; filename="m.png"', MASK)


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (WHOLE, FRONTIER, "multipart.malformed"),
        (WHOLE[:-200], FRONTIER, "multipart.malformed"),
        (WHOLE + END, "multipart/form-data; boundary=" + "x" * 300, "multipart.malformed"),
        (WHOLE + END, "multipart/form-data; boundary=", "multipart.malformed"),
        (WHOLE + END, "multipart/form-data; boundary=\u00e9", "multipart.malformed"),
        (part("", b"x") + END, FRONTIER, "multipart.malformed"),
        (part('name="' + "n" * 17_000 + '"', b"x") + END, FRONTIER, "multipart.malformed"),
        (part('name="params"', b"{}") * 1001 + END, FRONTIER, "multipart.too_many_fields"),
        (WHOLE + part('name="params"', b"{}") * 2 + END, FRONTIER, "field.duplicate"),
        (WHOLE + part('name="params"', b"\xff\xfe") + END, FRONTIER, "params.malformed"),
        (WHOLE + part('name="params"', b'{"model": "opencv\xe9"}') + END, FRONTIER, "params.malformed"),
        (WHOLE + part('name="params"', b'{"model": "\xed\xa0\x80"}') + END, FRONTIER, "params.malformed"),
        (WHOLE + part('name="params"', b'{"seed": 1}') + END, FRONTIER + "; charset=utf-16", "multipart.malformed"),
        (b"", FRONTIER, "multipart.malformed"),
        (END, FRONTIER, "field.missing"),
        (b'{"image": 1}', "application/json", "field.missing"),
        (b"[]", "application/json", "params.malformed"),
        (b"image=1", "application/x-www-form-urlencoded", "body.unsupported_type"),
    ],
)  # fmt: skip
def test_broken_forms_are_refused(server: RunningServer, body: bytes, kind: str, code: str) -> None:
    """B39, B40, B43, B45, B74."""
    expect(server.ask("POST", "/api/v1/inpaint", body, {"content-type": kind}), code)


def test_only_line_ends_may_stand_before_a_form(server: RunningServer) -> None:
    """B47: they are passed over; anything else is refused at its first byte."""
    for preamble in (b"x" * 20_000_000, b"\r\nx" * 5_000_000):
        reply = server.ask("POST", "/api/v1/inpaint", preamble + WHOLE + END, {"content-type": FRONTIER})
        expect(reply, "multipart.malformed")
    reply = server.ask("POST", "/api/v1/inpaint", b"\r\n" * 10_000_000 + WHOLE + END, {"content-type": FRONTIER})
    assert reply.status == 200


def test_a_compressed_body_is_refused(server: RunningServer) -> None:
    """B46."""
    headers = {"content-type": FRONTIER, "content-encoding": "gzip"}
    expect(server.ask("POST", "/api/v1/inpaint", WHOLE + END, headers), "body.unsupported_encoding")


@pytest.mark.parametrize(
    "name",
    ["../../x.png", "..", "", "n" * 500 + ".png", "CON.png", "a.", ".htaccess", "x.png\x00.html", "caf\u00e9.png",
     "<img src=x onerror=alert(1)>.png", "\x1b[2J.png", "a%0d%0aSet-Cookie: x"],
)  # fmt: skip
def test_no_name_of_a_file_can_hurt(server: RunningServer, name: str) -> None:
    """B101, B103, B105."""
    body = part(f'name="image"; filename="{name}"', GOOD) + part('name="mask"; filename="m"', MASK) + END
    reply = server.ask("POST", "/api/v1/inpaint", body, {"content-type": FRONTIER})
    assert reply.status == 200, reply.body
    assert "set-cookie" not in reply.headers
    saved = reply.headers["x-saved-as"]
    assert saved.endswith(".png")
    assert "/" not in saved
    assert "%2F" not in saved


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "punycode", "zlib_codec", "nonsense"])
def test_only_utf_8_forms_are_read(server: RunningServer, charset: str) -> None:
    """B74: other decoders make lone surrogates out of plain letters, or take very long."""
    body = part('name="image"; filename="+2AA-.png"', GOOD) + part('name="mask"; filename="m"', MASK) + END
    headers = {"content-type": f"{FRONTIER}; charset={charset}"}
    expect(server.ask("POST", "/api/v1/inpaint", body, headers), "multipart.malformed")


@pytest.mark.parametrize("query", ["?name=", "?name=..%2F..%2Fx.png", "?name=%00", "?name=%ff", "?name=%ED%A0%80",
                                   "?name=" + "n" * 5000, "?name=a&name=b",
                                   "?name=%0d%0aX: y", "?other=1", "?%"])  # fmt: skip
def test_no_name_of_an_upload_can_hurt(server: RunningServer, query: str) -> None:
    """B101, B105."""
    image = server.ask("POST", f"/api/v1/images{query.replace(' ', '%20')}", GOOD)
    assert image.status == 200, image.body
    reply = server.ask("GET", f"/api/v1/images/{image.json['id']}/render")
    assert reply.status == 200
    assert reply.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")


# ---------------------------------------------------------------------------------------------------- pictures


def promised(width: int, height: int, *, colour: int = 2, size: int = 100) -> bytes:
    """A header that promises a picture, and data of another size."""
    return png_of(ihdr(width, height, colour=colour), (b"IDAT", zlib.compress(bytes(size))), IEND)


JPEG, TEXT_BOMB = saved(photo(), "JPEG"), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000), 9))
PICTURES = {
    "nothing": (b"", "image.empty"),
    "one byte": (b"\x89", "image.unsupported_format"),
    "a PNG signature": (GOOD[:8], "image.corrupt"),
    "half a PNG": (GOOD[: len(GOOD) // 2], "image.truncated"),
    "a JPEG cut at 60 %": (JPEG[: int(len(JPEG) * 0.6)], "image.truncated"),
    "a JPEG cut at 60 % with its end put back": (JPEG[: int(len(JPEG) * 0.6)] + b"\xff\xd9", "image.truncated"),
    "40 of 64 rows": (promised(96, 64, size=40 * (1 + 96 * 3)), "image.corrupt"),
    "a palette PNG without a palette": (promised(96, 64, colour=3, size=64 * 97), "image.corrupt"),
    "a float TIFF": (deep_tiff(photo().astype(np.float32), photometric="rgb"), "image.unsupported_format"),
    "a WebP cut": (saved(photo(), "WEBP")[:400], "image.truncated"),
    "0 x 0": (promised(0, 0), "image.corrupt"),
    "65535 x 65535": (promised(65535, 65535), "image.too_many_pixels"),
    "2^31 - 1 wide": (promised(2**31 - 1, 1), "image.too_many_pixels"),
    "60000 x 16": (promised(60000, 16), "image.side_too_long"),
    "15 x 15": (encode(photo(15, 15)), "image.too_small"),
    "animated GIF": (animated("GIF"), "image.animated"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "image.unsupported_format"),
    "HTML": (b"<!doctype html><script>1</script>", "image.unsupported_format"),
    "PDF": (b"%PDF-1.7\n", "image.unsupported_format"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image.unsupported_format"),
    "PSD": (b"8BPS\0\1" + bytes(40), "image.unsupported_format"),
    "ZIP": (b"PK\3\4" + bytes(40), "image.unsupported_format"),
    "MP4": (b"\0\0\0\x18ftypisom" + bytes(40), "image.unsupported_format"),
    "APNG": (animated("PNG"), "image.animated"),
    "animated WebP": (animated("WEBP"), "image.animated"),
    "a text bomb": (GOOD[:33] + TEXT_BOMB + GOOD[33:], "image.metadata_too_large"),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_no_good_picture_is_refused_everywhere_in_the_same_words(server: RunningServer, name: str) -> None:
    """B48, B49, B51, B52, B53, B54, B55, B57, B58."""
    data, code = PICTURES[name]
    expect(server.ask("POST", "/api/v1/images", data), code)
    expect(server.one_shot(data, MASK), code)
    fields = {"image": base64.b64encode(data).decode(), "mask": base64.b64encode(MASK).decode()}
    expect(server.post_json("/api/v1/inpaint", fields), code)


def test_the_type_comes_from_the_bytes(server: RunningServer) -> None:
    """B62."""
    headers = {"content-type": "text/html"}
    reply = server.ask("POST", "/api/v1/images?name=evil.html", JPEG, headers)
    assert (reply.json["format"], reply.json["name"]) == ("jpeg", "evil.html")
    render = server.ask("GET", f"/api/v1/images/{reply.json['id']}/render")
    assert render.headers["content-type"] == "image/jpeg"
    assert render.headers["x-content-type-options"] == "nosniff"
    assert render.headers["content-security-policy"].startswith("sandbox")
    assert render.headers["content-disposition"].endswith("evil.jpg")


# ---------------------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        (encode(rect_mask(96, 63)), "mask.size_mismatch"),
        (encode(rect_mask(960, 640)), "mask.size_mismatch"),
        (promised(65535, 65535), "image.too_many_pixels"),
        (encode(np.zeros((64, 96), np.uint8)), "mask.empty"),
        (encode(np.full((64, 96), 127, np.uint8)), "mask.empty"),
        (encode(np.full((64, 96), 255, np.uint8)), "mask.covers_image"),
        (MASK[:-20], "image.truncated"),
        (promised(96, 64, colour=0, size=40 * 97), "image.corrupt"),
        (b"", "image.empty"),
        (animated("PNG"), "image.animated"),
    ],
)
def test_masks_that_cannot_be_used_are_refused(server: RunningServer, mask: bytes, code: str) -> None:
    """B65, B66, B67."""
    expect(server.one_shot(GOOD, mask), code)


def mask_as(mode: str) -> bytes:
    if mode == "16 bit":
        return saved(rect_mask().astype(np.uint16) * 257, "PNG")
    return saved(rect_mask(), "JPEG", quality=60) if mode == "JPEG" else saved(rect_mask(), "PNG", mode)


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "RGBA", "LA", "16 bit", "JPEG"])
def test_every_sort_of_mask_marks_the_same_pixels(server: RunningServer, mode: str) -> None:
    """B68, B69."""
    reply = server.one_shot(GOOD, mask_as(mode))
    assert reply.body == server.one_shot(GOOD, MASK).body


# ---------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("params", "code"),
    [
        *(({"params": {"radius": radius}}, "param.out_of_range") for radius in (-1, 0, 10**9, 10**40)),
        *(({"params": {"radius": radius}}, "param.wrong_type") for radius in (1e9, "5", None, True, [1])),
        ({"params": {"method": "magic"}}, "param.unknown_value"),
        ({"params": {"method": "m" * 60_000}}, "param.unknown_value"),
        ({"params": {"prompt": "a\0b"}}, "param.unknown"),
        ({"params": {"__proto__": 1}}, "param.unknown"),
        ({"params": {str(i): 1 for i in range(51)}}, "param.too_long"),
        *((text, "params.malformed") for text in (
            '{"params": {"radius": NaN}}', '{"params": {"radius": 1e400}}', '{"seed": 1, "seed": 2}',
            '{"model": "\\ud800"}', "[" * 10_000, '{"seed": ' + "9" * 5000 + "}", "null",
        )),
        ({"seed": 2**32}, "param.out_of_range"),
        ({"seed": 1.5}, "param.wrong_type"),
        ({"seed": None}, "param.wrong_type"),
        ({"model": ""}, "param.out_of_range"),
        ({"model": "../x"}, "model.unknown"),
        ({"model": "http://evil/x"}, "model.unknown"),
        ({"model": "m" * 10_000}, "param.too_long"),
        ({"strategy": "tile"}, "param.unknown_value"),
        ({"grow_px": 257}, "param.out_of_range"),
        ({"feather_px": -1}, "param.out_of_range"),
        ({"margin_px": 10**9}, "param.out_of_range"),
        ({"max_side": 0}, "param.out_of_range"),
        ({"crop_above": -5}, "param.out_of_range"),
        ({"margin_px": 10**400}, "param.out_of_range"),
    ],
)  # fmt: skip
def test_bad_parameters_are_named(server: RunningServer, params: Any, code: str) -> None:
    """B70, B71, B72, B73, B74, B75, B77, B78."""
    expect(server.one_shot(GOOD, MASK, params), code)


@pytest.mark.parametrize("query", ["?quality=0", "?quality=101", "?quality=-1", "?quality=1e2", "?quality=\u0665",
                                   "?quality=", "?quality=1&quality=x"])  # fmt: skip
def test_bad_qualities_are_named(server: RunningServer, edited: tuple[str, str], query: str) -> None:
    """B80."""
    from urllib.parse import quote

    asked = quote(query, safe="?=&")
    for reply in (
        server.one_shot(GOOD, MASK, query=asked),
        server.ask("GET", f"/api/v1/images/{edited[0]}/render{asked}"),
    ):
        expect(reply, "param.out_of_range" if reply.code == "param.out_of_range" else "param.wrong_type")


SHAPES = {
    "a stroke of one number": ({"kind": "stroke", "d": 8, "p": [1]}, 422),
    "a stroke of nothing": ({"kind": "stroke", "d": 8, "p": []}, 422),
    "a stroke without width": ({"kind": "stroke", "d": 0, "p": [4, 4]}, 422),
    "a stroke as wide as a house": ({"kind": "stroke", "d": 10**9, "p": [4, 4]}, 422),
    "a stroke to the moon": ({"kind": "stroke", "d": 8, "p": [10**30, 4, 10**30, 4]}, 422),
    "a stroke of words": ({"kind": "stroke", "d": 8, "p": ["a", "b"]}, 422),
    "a polygon of two points": ({"kind": "poly", "p": [0, 0, 9, 9]}, None),
    "a rectangle turned inside out": ({"kind": "rect", "x": 5, "y": 5, "w": -5, "h": 5}, 422),
    "a rectangle of halves": ({"kind": "rect", "x": 0.5, "y": 5, "w": 5, "h": 5}, 422),
    "a bitmap that is no picture": ({"kind": "bitmap", "x": 0, "y": 0, "w": 9, "h": 9, "png": "AAAA"}, None),
    "a bitmap that is no base64": ({"kind": "bitmap", "x": 0, "y": 0, "w": 9, "h": 9, "png": "***"}, None),
    "a bitmap of another size": ({"kind": "bitmap", "x": 0, "y": 0, "w": 9, "h": 9,
                                  "png": base64.b64encode(MASK).decode()}, None),
    "a bomb of a bitmap": ({"kind": "bitmap", "x": 0, "y": 0, "w": 96, "h": 64,
                            "png": base64.b64encode(promised(65535, 65535)).decode()}, None),
    "only eraser": ({"kind": "rect", "op": "sub", "x": 0, "y": 0, "w": 9, "h": 9}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_mean_nothing_are_refused(server: RunningServer, edited: tuple[str, str], name: str) -> None:
    """Before the stream where their form is wrong, as its last line where it takes a look into them."""
    shape, status = SHAPES[name]
    reply = server.edit(edited[0], {"model": "opencv"}, mask={"shapes": [shape]})
    if status is not None or reply.status != 200:
        assert reply.status == 422, reply.body
        assert reply.code.split(".")[0] in ("param", "field", "params", "mask")
        return
    problem = reply.lines[-1]["problem"]
    assert problem["code"].split(".")[0] in ("param", "mask", "image"), problem
    assert problem["status"] < 500


def peak_bytes(process: int) -> int:
    """The most memory that any process started by this one has held."""
    peaks = []
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in children.read_text().split():
            status = Path(f"/proc/{child}/status").read_text()
            peaks += [1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    return max(peaks)


@pytest.mark.plain("looks into the processes")
@pytest.mark.parametrize("op", ["add", "sub"])
@pytest.mark.parametrize("count", [1, 30])
def test_bitmaps_larger_than_the_photo_cost_nothing(server: RunningServer, op: str, count: int) -> None:
    """P5, P6: 11000 x 11000 in 20 KB made the engine grow to 2.7 GB, and thirty of them held it for minutes."""
    black = saved(Image.new("1", (11_000, 11_000)), "PNG")
    assert len(black) < 20_000
    huge = {"kind": "bitmap", "op": op, "x": 0, "y": 0, "w": 11_000, "h": 11_000}
    shapes = [RECT, *[{**huge, "png": base64.b64encode(black).decode()}] * count]
    image = server.upload(photo(64, 48)).json["id"]
    assert server.process is not None
    before = peak_bytes(server.process.pid)
    reply = server.edit(image, {"model": "opencv"}, mask={"shapes": shapes})
    expect(reply, "param.out_of_range")
    assert reply.status == 422
    assert reply.json["errors"][0]["pointer"] == "/mask/shapes/1/w"
    assert peak_bytes(server.process.pid) < before + 2**24
    assert "result" in [line["type"] for line in server.edit(image, {"model": "opencv"}).lines]


@pytest.mark.parametrize(
    "shapes",
    [
        [{"kind": "bitmap", "x": 0, "y": 0, "w": 96, "h": 64, "png": base64.b64encode(MASK).decode()}] * 9,
        [{"kind": "stroke", "d": 8000, "p": [0, 0, *[4, 4, -4, -4] * 49_999]}] * 15,
    ],
    ids=["bitmaps", "strokes"],
)
def test_more_work_than_any_painting_takes_is_refused(
    server: RunningServer, edited: tuple[str, str], shapes: list[dict[str, Any]]
) -> None:
    """P6: before the stream begins, with the limit that was passed."""
    reply = server.edit(edited[0], {"model": "opencv"}, mask={"shapes": shapes})
    expect(reply, "param.out_of_range")
    assert reply.json["errors"][0]["pointer"] == "/mask/shapes"
    assert reply.json["limit"]["actual"] > reply.json["limit"]["value"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/edits/" + "0" * 32, "edit.not_found"),
        ("GET", "/api/v1/edits/..%2f..%2fx/patch.png", "route.not_found"),
        ("GET", "/api/v1/edits/..%252f..%252fx/patch.png", "edit.not_found"),
        ("GET", "/api/v1/edits/%00/patch.png", "edit.not_found"),
        ("GET", "/api/v1/edits/%00/patches/0.png", "edit.not_found"),
        ("DELETE", "/api/v1/edits/" + "0" * 32, "job.not_found"),
        ("DELETE", "/api/v1/edits/%ff", "job.not_found"),
        ("GET", "/api/v1/previews/x", "route.not_found"),
        ("GET", "/api/v1/images/" + "A" * 64, "image.not_found"),
        ("GET", "/api/v1/images/" + "0" * 64 + "%0a", "image.not_found"),
        ("POST", "/api/v1/models/nothing/download", "model.unknown"),
        ("POST", "/api/v1/models/%00/download", "model.unknown"),
        ("DELETE", "/api/v1/images", "route.method_not_allowed"),
    ],
)
def test_what_is_not_there_is_a_404(server: RunningServer, method: str, path: str, code: str) -> None:
    """B12, B81, B82, B112."""
    expect(server.ask(method, path), code)


def test_a_405_names_every_method_that_would_do(server: RunningServer) -> None:
    """B12."""
    for path, allowed in (("/api/v1/edits/x", "DELETE, GET"), ("/api/v1/images", "POST"), ("/", "GET, HEAD")):
        reply = server.ask("PUT", path)
        expect(reply, "route.method_not_allowed")
        assert reply.headers["allow"] == allowed


@pytest.mark.plain("a model without its file has no deployment")
def test_a_model_whose_file_is_not_there_is_named(server: RunningServer) -> None:
    expect(server.one_shot(GOOD, MASK, {"model": "lama"}), "model.not_downloaded")


def test_a_wrong_model_changes_nothing(server: RunningServer) -> None:
    """B109."""
    before = server.ask("GET", "/api/v1/config").json["model"]
    for name in ("", "nothing", "../x", "http://evil/x", "m" * 10_000, "lama", None, 5, ["opencv"]):
        reply = server.post_json("/api/v1/model", {"name": name})
        assert reply.status in (404, 409, 422), (name, reply.body)
    assert server.ask("GET", "/api/v1/config").json["model"] == before


def test_json_of_the_wrong_type_cannot_switch_models(server: RunningServer) -> None:
    """B34: a form of another site's page is sent without asking; JSON is not."""
    body = json.dumps({"name": "patchmatch"}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        expect(
            server.ask("POST", "/api/v1/model", body, {"content-type": kind} if kind else {}), "body.unsupported_type"
        )


@pytest.mark.plain("looks into the process")
def test_the_web_process_never_loads_opencv_or_torch(server: RunningServer, edited: tuple[str, str]) -> None:
    for path in ("/", "/docs", "/openapi.json", "/api/v1/models", "/api/v1/config", "/api/v1/server-config", "/readyz"):
        server.ask("GET", path)
    server.ask("GET", f"/api/v1/images/{edited[0]}/preview?max=128")
    assert server.process is not None
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert not [name for name in ("cv2", "torch", "numba", "llvmlite") if f"{os.sep}{name}{os.sep}" in mapped]
