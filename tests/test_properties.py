"""What holds for every picture and every file: known pixels stay, damage is refused, answers are as described."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fake_engines import photo
from inpaint_models import load_model
from inpaint_models.options import FillOptions
from serving import RECT, Reply, RunningServer, decode, edit_request, encode, form, rect_mask


@st.composite
def pictures(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """(pixels (H, W, 3|4) uint8|uint16, mask (H, W) uint8) with something known and something to fill."""
    height, width = draw(st.integers(16, 70)), draw(st.integers(16, 70))
    channels, bits = draw(st.sampled_from([3, 4])), draw(st.sampled_from([8, 16]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pixels = rng.integers(0, 2**bits, (height, width, channels)).astype(f"uint{bits}")
    mask = np.zeros((height, width), np.uint8)
    for _ in range(draw(st.integers(1, 4))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[y : y + draw(st.integers(1, 20)), x : x + draw(st.integers(1, 20))] = 255
    mask[draw(st.integers(0, height - 1))] = 0
    if not mask.any():
        mask[0, 0] = 255
    return pixels, mask


@settings(max_examples=60)
@given(picture=pictures(), method=st.sampled_from(["telea", "navier-stokes"]))
def test_the_library_leaves_what_is_known_and_all_transparency(
    picture: tuple[np.ndarray, np.ndarray], method: str
) -> None:
    pixels, mask = picture
    before = pixels.copy()
    out = load_model("opencv")(pixels, mask, FillOptions(params={"method": method}))
    assert (out.shape, out.dtype) == (pixels.shape, pixels.dtype)
    assert np.array_equal(out[mask == 0], pixels[mask == 0])
    assert np.array_equal(out[..., 3:], pixels[..., 3:])
    assert np.array_equal(pixels, before)


@settings(max_examples=40)
@given(picture=pictures(), seed=st.integers(0, 255))
def test_the_server_leaves_what_is_known_and_all_transparency(
    server: RunningServer, picture: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    pixels, mask = picture
    pixels = (pixels >> 8 if pixels.dtype == np.uint16 else pixels).astype(np.uint8)
    reply = server.one_shot(encode(pixels), encode(mask), {"model": "painter", "seed": seed})
    out = decode(reply.body)
    assert out.shape == pixels.shape
    assert np.array_equal(out[mask == 0], pixels[mask == 0])
    assert np.array_equal(out[..., 3:], pixels[..., 3:])
    assert (out[mask > 0][:, :3] == (seed, 0, 0)).all()


def seeds() -> list[bytes]:
    """A small file of every format."""
    made = []
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("WEBP", {"lossless": True}),
        ("TIFF", {}), ("TIFF", {"compression": "tiff_adobe_deflate"}), ("BMP", {}), ("GIF", {}),
    ]  # fmt: skip
    for kind, options in kinds:
        out = io.BytesIO()
        Image.fromarray(photo(24, 20)).save(out, kind, **options)
        made.append(out.getvalue())
    return made


SEEDS = seeds()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.one_of(st.integers(0, min(64, len(data))), st.integers(0, len(data))))
        how = draw(st.sampled_from(["flip", "cut", "insert", "repeat", "splice"]))
        if how == "flip" and at < len(data):
            data[at] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del data[at : at + draw(st.integers(1, 200))]
        elif how == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=40))
        elif how == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 100))]
        else:
            data[at:] = draw(st.sampled_from(SEEDS))[at:]
    return bytes(data)


@settings(max_examples=120)
@given(data=damaged())
def test_a_damaged_file_is_taken_or_refused_and_nothing_else(server: RunningServer, data: bytes) -> None:
    reply = server.ask("POST", "/api/v1/images?name=damaged", data)
    assert reply.status in (200, 413, 415, 422), reply.body
    if reply.status != 200:
        assert reply.code.startswith("image."), reply.json


@pytest.fixture(scope="module")
def answers(server: RunningServer) -> list[tuple[str, str, Reply]]:
    """(method, described path, answer) of good and bad requests to every address."""
    image, png = server.upload(photo()).json["id"], {"content-type": "image/png"}
    edit = server.edit(image).lines[-1]["edit"]
    body, kind = form(encode(photo()), encode(rect_mask()))
    broken, _ = form(b"no picture", encode(rect_mask()))
    json_type = {"content-type": "application/json"}
    asked: list[tuple[str, str, str, bytes | None, dict[str, str]]] = []

    def ask(method: str, path: str, *, filled: str = "", body: bytes | None = None, head: Any = None) -> None:
        asked.append((method, path, filled or path, body, head or {}))

    ask("POST", "/api/v1/images", body=encode(photo()))
    ask("POST", "/api/v1/images", body=b"no picture")
    ask("POST", "/api/v1/images", body=b"", head=png)
    ask("POST", "/api/v1/images", body=b"x", head={"content-encoding": "gzip"})
    for place in ("", "/original", "/preview", "/render"):
        path = f"/api/v1/images/{{image}}{place}"
        ask("GET", path, filled=path.format(image=image))
        ask("GET", path, filled=path.format(image="0" * 64))
    ask("GET", "/api/v1/images/{image}/preview", filled=f"/api/v1/images/{image}/preview?max=77")
    for query in ("edits=x", "format=exe", "quality=0", "quality=x", "edits=" + "a," * 1001):
        ask("GET", "/api/v1/images/{image}/render", filled=f"/api/v1/images/{image}/render?{query}")
    for path in ("/api/v1/edits/{edit}", "/api/v1/edits/{edit}/patch.png", "/api/v1/edits/{edit}/patches/{index}.png"):
        ask("GET", path, filled=path.format(edit=edit, index=0))
        ask("GET", path, filled=path.format(edit="0" * 32, index=0))
    ask("DELETE", "/api/v1/edits/{job}", filled="/api/v1/edits/nothing")
    ask("GET", "/api/v1/previews/{name}", filled="/api/v1/previews/nothing")
    ask("POST", "/api/v1/inpaint", body=body, head={"content-type": kind})
    ask("POST", "/api/v1/inpaint", body=broken, head={"content-type": kind})
    ask("POST", "/api/v1/inpaint", body=body[:-40], head={"content-type": kind})
    ask("POST", "/api/v1/inpaint", body=b"", head={"content-type": "text/plain"})
    for name in ("nothing", "remote", "painter"):
        for end in ("download", "load"):
            ask("POST", f"/api/v1/models/{{name}}/{end}", filled=f"/api/v1/models/{name}/{end}")
    for path in ("/api/v1/models", "/api/v1/config", "/healthz", "/readyz"):
        ask("GET", path)
        ask("GET", path, head={"host": "evil.example"})
        ask("GET", path, head={"origin": "http://evil.example"})
    ask("GET", "/api/v1/photos")
    for query in ("name=nothing.jpg", "name=../x.jpg", "name=x.jpg&of=x", ""):
        ask("GET", "/api/v1/photos/thumbnail", filled=f"/api/v1/photos/thumbnail?{query}")
    ask("POST", "/api/v1/session", body=b'{"token": "x"}', head=json_type)
    ask("POST", "/api/v1/session", body=b"{}", head=json_type)
    ask("POST", "/api/v1/session", body=b"{}")
    replies = [(method, path, server.ask(method, filled, body, head)) for method, path, filled, body, head in asked]
    for request in (edit_request(image), edit_request("0" * 64), {}, edit_request(image, {"model": "remote"}),
                    edit_request(image, mask={"shapes": [{**RECT, "w": 0}]})):  # fmt: skip
        replies.append(("POST", "/api/v1/edits", server.post_json("/api/v1/edits", request)))
    for name, asked_for in ((image, {"edits": [edit]}), ("0" * 64, {"edits": []}), (image, {})):
        reply = server.post_json(f"/api/v1/images/{name}/save", asked_for)
        replies.append(("POST", "/api/v1/images/{image}/save", reply))
    dot = {"kind": "stroke", "d": 20, "p": [60, 60]}
    point = {"prompts": [{"kind": "point", "x": 60, "y": 60}], "model": "pointer", "candidates": 2}
    view, beside = ({"view": {"x": x, "y": 0, "w": 60, "h": 60}} for x in (0, 900))
    for request in ({"image": image, "prompts": [dot]}, {"image": "0" * 64, "prompts": [dot]}, {},
                    {"image": image, **point, **view}, {"image": image, **point, **beside}):  # fmt: skip
        replies.append(("POST", "/api/v1/select", server.post_json("/api/v1/select", request)))
    for request in ({"image": image}, {"image": "0" * 64}, {"image": image, "models": ["painter"]}, {}):
        replies.append(("POST", "/api/v1/find", server.post_json("/api/v1/find", request)))
    for request in ({"name": "nothing.jpg"}, {"name": "../x.jpg"}, {}):
        replies.append(("POST", "/api/v1/photos", server.post_json("/api/v1/photos", request)))
    return replies


def test_every_answer_has_a_status_and_a_type_that_are_described(
    server: RunningServer, answers: list[tuple[str, str, Reply]]
) -> None:
    paths = server.ask("GET", "/openapi.json").json["paths"]
    seen = set()
    for method, path, reply in answers:
        described = paths[path][method.lower()]["responses"]
        assert str(reply.status) in described, (method, path, reply.status, reply.body[:200])
        content = described[str(reply.status)].get("content", {})
        kind = reply.headers.get("content-type", "").partition(";")[0]
        assert kind in content or not reply.body, (method, path, kind, sorted(content))
        seen.add((method.lower(), path))
    assert seen == {(method, path) for path, methods in paths.items() for method in methods}


def test_every_problem_that_is_answered_is_described_by_its_code(
    server: RunningServer, answers: list[tuple[str, str, Reply]]
) -> None:
    paths = server.ask("GET", "/openapi.json").json["paths"]
    for method, path, reply in answers:
        if reply.status >= 400:
            described = paths[path][method.lower()]["responses"][str(reply.status)]["description"]
            assert f"`{reply.code}`" in described, (method, path, reply.code)
