"""One request, one picture; against a real server with fake engines."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake_engines import photo
from lama_server import codec
from lama_server.codec import png
from serving import RunningServer, decode, encode, form, rect_mask, within

pytestmark = pytest.mark.on_ray

IMAGE, MASK = encode(photo()), encode(rect_mask())
BOX = (slice(16, 36), slice(20, 44))


def painted(red: int) -> np.ndarray:
    expected = photo()
    expected[BOX] = (red, 0, 0)
    return expected


def test_a_photo_and_a_mask_give_a_picture(server: RunningServer) -> None:
    reply = server.one_shot(IMAGE, MASK, {"model": "painter", "seed": 90})
    assert reply.headers["content-type"] == "image/png"
    assert np.array_equal(decode(reply.body), painted(90))
    assert reply.headers["x-model"] == "painter"
    assert reply.headers["x-seed"] == "90"
    assert len(reply.headers["x-job-id"]) == 32
    assert "fill;dur=" in reply.headers["server-timing"]
    assert "x-saved-as" not in reply.headers


def test_all_parts_of_a_mask_are_filled(server: RunningServer) -> None:
    pixels, mask = photo(640, 480), np.zeros((480, 640), np.uint8)
    mask[5:25, 10:40] = mask[440:470, 600:630] = 255
    expected = pixels.copy()
    expected[mask > 0] = (90, 0, 0)
    reply = server.one_shot(encode(pixels), encode(mask), {"model": "painter", "seed": 90})
    assert np.array_equal(decode(reply.body), expected)


def test_without_parameters_the_current_model_fills(server: RunningServer) -> None:
    assert np.array_equal(decode(server.one_shot(IMAGE, MASK).body), painted(0))


def test_a_format_can_be_asked_for(server: RunningServer) -> None:
    assert server.one_shot(IMAGE, MASK, query="?format=webp").headers["content-type"] == "image/webp"
    assert server.one_shot(encode(photo(), "JPEG"), MASK, query="?format=keep").headers["content-type"] == "image/jpeg"


WIDE = photo().astype(np.uint16) * 257
ALPHA = np.dstack([WIDE, np.full(WIDE.shape[:2], 40_000, np.uint16)])


@pytest.mark.parametrize("pixels", [photo(), WIDE, ALPHA], ids=["8 bit", "16 bit", "alpha"])
@pytest.mark.parametrize("grey", [False, True])
def test_a_patch_holds_what_changed_at_the_photo_s_own_depth(
    server: RunningServer, pixels: np.ndarray, grey: bool
) -> None:
    data = png.write(pixels, grey=grey)
    reply = server.one_shot(data, MASK, {"model": "painter", "seed": 90}, "?result=patch")
    assert (reply.headers["content-type"], reply.headers["x-box"]) == ("image/png", "x=20, y=16, w=24, h=20")
    assert reply.headers["x-seed"] == "90"
    whole = codec.decode(server.one_shot(data, MASK, {"model": "painter", "seed": 90}).body)
    patch = codec.decode(reply.body)
    assert np.array_equal(patch.pixels, whole.pixels[BOX])
    assert patch.pixels.dtype == pixels.dtype
    assert (patch.info.is_grey, patch.info.has_alpha) == (grey, pixels.shape[2] == 4)


def test_one_patch_is_around_all_parts_of_a_mask(server: RunningServer) -> None:
    pixels, mask = photo(640, 480), np.zeros((480, 640), np.uint8)
    mask[5:25, 10:40] = mask[440:470, 600:630] = 255
    reply = server.one_shot(encode(pixels), encode(mask), {"model": "painter", "seed": 90}, "?result=patch&format=jpeg")
    expected = pixels.copy()
    expected[mask > 0] = (90, 0, 0)
    assert reply.headers["x-box"] == "x=10, y=5, w=620, h=465"
    assert np.array_equal(decode(reply.body), expected[5:470, 10:630])


@pytest.mark.parametrize(
    ("image", "mask", "params", "code"),
    [
        (None, MASK, None, "field.missing"),
        (IMAGE, None, None, "field.missing"),
        (IMAGE[:3000], MASK, None, "image.truncated"),
        (b"no image", MASK, None, "image.unsupported_format"),
        (IMAGE, b"no image", None, "image.unsupported_format"),
        (IMAGE, encode(rect_mask(95, 64)), None, "mask.size_mismatch"),
        (IMAGE, encode(np.zeros((64, 96), np.uint8)), None, "mask.empty"),
        (IMAGE, MASK, "not json", "params.malformed"),
        (IMAGE, MASK, "[]", "params.malformed"),
        (IMAGE, MASK, '{"seed": NaN}', "params.malformed"),
        (IMAGE, MASK, {"seed": -1}, "param.out_of_range"),
        (IMAGE, MASK, {"seed": "x"}, "param.wrong_type"),
        (IMAGE, MASK, {"constructor": 1}, "param.unknown"),
        (IMAGE, MASK, {"strategy": "magic"}, "param.unknown_value"),
        (IMAGE, MASK, {"model": "nothing"}, "model.unknown"),
        (IMAGE, MASK, {"model": "remote"}, "model.not_downloaded"),
        (IMAGE, MASK, {"model": "broken"}, "engine.failed"),
        (IMAGE, MASK, {"margin_px": -999999}, "param.out_of_range"),
        (IMAGE, MASK, {"crop_above": 0}, "param.out_of_range"),
        (IMAGE, MASK, {"params": {"seconds": -1}}, "param.out_of_range"),
        (IMAGE, MASK, {"params": {"radius": 1}}, "param.unknown"),
        (IMAGE, MASK, "x" * 70_000, "field.too_large"),
    ],
)
def test_bad_requests_end_in_a_named_error(
    server: RunningServer, image: bytes | None, mask: bytes | None, params: object, code: str
) -> None:
    """B41, B43, B71, B73, B75, B77."""
    body, kind = form(image, mask, params)
    reply = server.ask("POST", "/api/v1/inpaint", body, {"content-type": kind})
    assert reply.code == code
    assert reply.headers["content-type"] == "application/problem+json"


def part(head: str, content: bytes) -> bytes:
    return f"--frontier\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"


FRONTIER = "multipart/form-data; boundary=frontier"
IMAGE_PART = part('name="image"; filename="a.png"', IMAGE)
MASK_PART = part('name="mask"; filename="m.png"', MASK)
END = b"--frontier--\r\n"


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (IMAGE_PART + MASK_PART + END, "multipart/form-data", "multipart.malformed"),
        (b"rubbish", FRONTIER, "multipart.malformed"),
        (part('name="image"', b"text") + MASK_PART + END, FRONTIER, "field.not_a_file"),
        (IMAGE_PART + IMAGE_PART + END, FRONTIER, "field.duplicate"),
        (5 * IMAGE_PART + END, FRONTIER, "multipart.too_many_files"),
        (part('name="a"', b"1") * 9 + END, FRONTIER, "multipart.too_many_fields"),
        (IMAGE_PART + MASK_PART + part('name="params"; filename="p"', b"{}") + END, FRONTIER, "param.wrong_type"),
        (IMAGE_PART + MASK_PART + part('name="source_include"', b"{}") + END, FRONTIER, "field.not_a_file"),
        (b"", "text/plain", "body.unsupported_type"),
        (b"", "", "body.unsupported_type"),
    ],
)  # fmt: skip
def test_broken_forms_are_refused(server: RunningServer, body: bytes, kind: str, code: str) -> None:
    """B39, B42, B43, B45, B47."""
    assert server.ask("POST", "/api/v1/inpaint", body, {"content-type": kind}).code == code


@pytest.mark.parametrize("query", ["?format=exe", "?quality=0", "?quality=101", "?quality=x", "?result=all"])
def test_bad_query_values_are_refused(server: RunningServer, query: str) -> None:
    """B80."""
    assert server.one_shot(IMAGE, MASK, query=query).status == 422


@pytest.mark.plain("the data folder has the server's files itself")
def test_nothing_of_a_one_shot_stays_on_disk(server: RunningServer) -> None:
    server.one_shot(IMAGE, MASK)
    server.one_shot(IMAGE, b"broken")
    assert within(60, lambda: not list((server.data_dir / "tmp").iterdir()))


def test_a_finished_result_is_saved_without_replacing_anything(
    start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    """B106."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "image.png").write_bytes(b"mine")
    server = start_server(output_dir=str(out))
    reply = server.one_shot(IMAGE, MASK, {"seed": 33})
    assert reply.headers["x-saved-as"] == "image-0001.png"
    assert np.array_equal(decode((out / "image-0001.png").read_bytes()), painted(33))
    assert (out / "image.png").read_bytes() == b"mine"
    assert "x-saved-as" not in server.one_shot(IMAGE, MASK, query="?result=patch").headers
    assert len(list(out.iterdir())) == 2
    image = server.upload(photo(), "..%2Fb%20each.png").json["id"]
    result, told = server.edit(image, {"model": "painter", "seed": 44}).lines[-2:]
    assert (result["type"], told["type"], told["run"], told["save_error"]) == ("result", "saved", 0, None)
    assert told["edit"] == result["edit"]
    assert np.array_equal(decode((out / told["saved"]["name"]).read_bytes()), painted(44))
    for file in out.iterdir():
        file.unlink()
    out.rmdir()
    reply = server.one_shot(IMAGE, MASK)
    assert reply.status == 200
    assert reply.headers["x-save-error"] == "root.unavailable"
    result, told = server.edit(image).lines[-2:]
    assert result["type"] == "result"
    assert told["saved"] is None
    assert told["save_error"]["code"] == "root.unavailable"


def test_a_jpeg_of_a_jpeg_says_whether_it_was_patched(server: RunningServer) -> None:
    source = encode(photo(), "JPEG")
    assert server.one_shot(source, MASK, query="?format=keep").headers["x-jpeg"] == "patched"
    chosen = server.one_shot(source, MASK, query="?format=jpeg&quality=70")
    assert chosen.headers["x-jpeg"] == 'reencoded; reason="a quality was chosen"'
    assert "x-jpeg" not in server.one_shot(source, MASK).headers
    assert "x-jpeg" not in server.one_shot(IMAGE, MASK, query="?format=jpeg").headers


def test_auto_save_says_why_a_jpeg_was_encoded_anew(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    server = start_server(output_dir=str(tmp_path))
    cmyk = io.BytesIO()
    Image.fromarray(photo()).convert("CMYK").save(cmyk, "JPEG")
    for data, reason in ((encode(photo(), "JPEG"), None), (cmyk.getvalue(), "its colours are CMYK")):
        image = server.ask("POST", "/api/v1/images?name=a.jpg", data).json["id"]
        assert server.edit(image).lines[-1]["saved"]["reencoded"] == reason


@pytest.mark.plain("each ingress replica has a current model")
def test_fifty_switches_at_once_end_in_one_of_the_models(server: RunningServer) -> None:
    """B110."""
    names = ["second", "painter"] * 25
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda name: server.post_json("/api/v1/model", {"name": name}), names))
    assert [reply.json["name"] for reply in replies] == names
    assert server.post_json("/api/v1/model", {"name": "painter"}).json["name"] == "painter"
    server.wait_ready()
    assert server.one_shot(IMAGE, MASK).headers["x-model"] == "painter"


def test_a_fill_that_runs_is_finished_by_its_own_model(server: RunningServer) -> None:
    """B111."""
    params = {"seed": 7, "params": {"behaviour": "stay"}}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.one_shot, IMAGE, MASK, params)
        server.wait_for_stays()
        assert server.post_json("/api/v1/model", {"name": "second"}).json["name"] == "second"
        server.let_go()
        assert running.result().headers["x-model"] == "painter"
    assert server.post_json("/api/v1/model", {"name": "painter"}).json["name"] == "painter"
