"""The canvas as an edit: extended, cropped, turned and scaled over HTTP, with fills before and after, and undone."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fake_engines import photo
from lama_server import codec
from serving import RunningServer, decode, encode, misbehaving, within

pytestmark = pytest.mark.on_ray

EXTEND = {"op": "extend", "left": 30, "top": 7, "bottom": 20}
CROP = {"op": "crop", "x": 11, "y": 9, "w": 60, "h": 40}
TURN = {"op": "rotate", "quarter_turns": 1}
SCALE = {"op": "scale", "width": 48, "height": 32}


def upload(server: RunningServer, data: bytes) -> str:
    return str(server.ask("POST", "/api/v1/images?name=photo.png", data).json["id"])


def change(server: RunningServer, image: str, canvas: dict[str, Any], *parents: str) -> dict[str, Any]:
    """The result of a change of the canvas."""
    reply = server.post_json("/api/v1/edits", {"image": image, "parents": parents, "canvas": canvas})
    assert reply.status == 200, reply.body
    return next(line for line in reply.lines if line["type"] == "result")


def fill(server: RunningServer, image: str, box: tuple[int, int, int, int], red: int, *parents: str) -> str:
    x, y, w, h = box
    mask = {"shapes": [{"kind": "rect", "x": x, "y": y, "w": w, "h": h}], "grow_px": 0}
    run = {"model": "painter", "seed": red}
    return str(server.edit(image, run, parents=parents, mask=mask).lines[-1]["edit"])


def shown(server: RunningServer, image: str, *edits: str, query: str = "format=png") -> bytes:
    reply = server.ask("GET", f"/api/v1/images/{image}/render?edits={','.join(edits)}&{query}")
    assert reply.status == 200, reply.body
    return reply.body


def painted(pixels: np.ndarray, box: tuple[int, int, int, int], red: int) -> np.ndarray:
    out, (x, y, w, h) = pixels.copy(), box
    out[y : y + h, x : x + w, :3] = (red, 0, 0)
    return out


def extended(pixels: np.ndarray) -> np.ndarray:
    return np.pad(pixels, ((7, 20), (30, 0), (0, 0)), "symmetric")


def test_each_change_is_an_edit_and_says_what_the_canvas_is_then(server: RunningServer) -> None:
    pixels = photo()
    image = upload(server, encode(pixels))
    for canvas, expected in (
        (EXTEND, extended(pixels)),
        (CROP, pixels[9:49, 11:71]),
        (TURN, np.rot90(pixels, -1)),
        ({"op": "rotate", "quarter_turns": 2}, np.rot90(pixels, 2)),
        ({"op": "rotate", "quarter_turns": 3}, np.rot90(pixels)),
        (SCALE, np.rint(cv2.resize(pixels.astype(np.float64), (48, 32), interpolation=cv2.INTER_AREA))),
    ):
        result = change(server, image, canvas)
        size = {"width": expected.shape[1], "height": expected.shape[0], "has_alpha": False}
        assert result["canvas"] == size
        assert np.array_equal(decode(shown(server, image, result["edit"])), expected)
        described = server.ask("GET", f"/api/v1/edits/{result['edit']}").json
        assert described["change"] == ({"right": 0, **canvas} if canvas is EXTEND else canvas)
        assert described["canvas"] == size
        assert (described["patches"], described["patch"], described["mask"]) == ([], None, None)
        assert server.ask("GET", f"/api/v1/edits/{result['edit']}/patch.png").code == "edit.not_found"
        assert server.ask("GET", f"/api/v1/edits/{result['edit']}/patches/0.png").code == "edit.not_found"


def test_fills_before_and_after_changes_lie_where_they_were_painted_and_all_is_undone_step_by_step(
    server: RunningServer,
) -> None:
    pixels = photo(code=8)
    image = upload(server, encode(pixels))
    steps, states = list[str](), [pixels]

    def next_step(edit: str, state: np.ndarray) -> None:
        steps.append(edit)
        states.append(state)

    next_step(fill(server, image, (20, 16, 24, 20), 50, *steps), painted(states[-1], (20, 16, 24, 20), 50))
    next_step(change(server, image, CROP, *steps)["edit"], states[-1][9:49, 11:71])
    next_step(fill(server, image, (0, 0, 20, 10), 60, *steps), painted(states[-1], (0, 0, 20, 10), 60))
    next_step(change(server, image, EXTEND, *steps)["edit"], extended(states[-1]))
    next_step(fill(server, image, (0, 0, 30, 67), 70, *steps), painted(states[-1], (0, 0, 30, 67), 70))
    next_step(change(server, image, TURN, *steps)["edit"], np.rot90(states[-1], -1))
    next_step(fill(server, image, (1, 60, 40, 30), 80, *steps), painted(states[-1], (1, 60, 40, 30), 80))
    scaled = change(server, image, {"op": "scale", "width": 67, "height": 90}, *steps)["edit"]
    next_step(scaled, states[-1])
    next_step(fill(server, image, (5, 5, 9, 9), 90, *steps), painted(states[-1], (5, 5, 9, 9), 90))
    for count, state in reversed(list(enumerate(states))):
        assert np.array_equal(decode(shown(server, image, *steps[:count])), state), count
    assert np.array_equal(decode(shown(server, image, steps[0])), states[1])


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_and_alpha_stay_as_they_are(server: RunningServer, channels: int) -> None:
    pixels = np.random.default_rng(channels).integers(0, 65536, (64, 96, channels), np.uint16)
    image = upload(server, codec.encode_patch(pixels))
    first = change(server, image, EXTEND)["edit"]
    second = change(server, image, TURN, first)["edit"]
    third = change(server, image, {**CROP, "x": 0}, first, second)
    result = codec.decode(shown(server, image, first, second, third["edit"])).pixels
    assert third["canvas"]["has_alpha"] == (channels == 4)
    assert np.array_equal(result, np.rot90(extended(pixels), -1)[9:49, :60])
    larger = change(server, image, {"op": "scale", "width": 200, "height": 150}, first)
    scaled = codec.decode(shown(server, image, first, larger["edit"])).pixels
    assert (scaled.shape, scaled.dtype) == ((150, 200, channels), np.dtype(np.uint16))


@pytest.mark.parametrize("model", ["opencv", "patchmatch"])
def test_an_extended_photo_is_filled_at_its_border_and_known_pixels_stay(
    start_server: Callable[..., RunningServer], model: str
) -> None:
    y, x = np.mgrid[0:200, 0:300]
    pixels = np.stack([x * 255 // 300, y * 255 // 200, (x * y) % 251], axis=2).astype(np.uint8)
    server = start_server(real_engines=True, model=model)
    image = upload(server, encode(pixels))
    canvas = {"op": "extend", "left": 64, "top": 64, "right": 64, "bottom": 64}
    first = change(server, image, canvas)
    assert (first["canvas"]["width"], first["canvas"]["height"]) == (428, 328)
    frame = [
        {"kind": "rect", "x": 0, "y": 0, "w": 428, "h": 328},
        {"op": "sub", "kind": "rect", "x": 64, "y": 64, "w": 300, "h": 200},
    ]
    mask = {"shapes": frame, "grow_px": 0}
    lines = server.edit(image, {"model": model, "seed": 1}, parents=[first["edit"]], mask=mask).lines
    assert lines[-1]["type"] == "result", lines[-1]
    result = decode(shown(server, image, first["edit"], lines[-1]["edit"]))
    assert result.shape == (328, 428, 3)
    assert np.array_equal(result[64:264, 64:364], pixels)
    mirrored = np.pad(pixels, ((64, 64), (64, 64), (0, 0)), "symmetric")
    assert (result[:64] != mirrored[:64]).any(), "the border was filled, not left as it was continued"


def test_an_edit_is_shown_on_the_canvas_it_was_made_on_and_on_no_other(server: RunningServer) -> None:
    image = upload(server, encode(photo(code=21)))
    before = fill(server, image, (0, 0, 20, 20), 10)
    crop = change(server, image, CROP, before)["edit"]
    after = fill(server, image, (0, 0, 20, 20), 20, before, crop)
    smaller = change(server, image, SCALE, before)["edit"]
    render = f"/api/v1/images/{image}/render?edits="
    for edits in ([after], [before, after], [crop, crop, before, after, smaller], [smaller], [smaller, before]):
        assert server.ask("GET", render + ",".join(edits)).code == "edit.other_canvas", edits
    for edits in ([before, crop, after], [crop, before], [before, smaller]):
        expected = "edit.other_canvas" if edits == [crop, before] else "ok"
        reply = server.ask("GET", render + ",".join(edits))
        assert ("ok" if reply.status == 200 else reply.code) == expected, edits
    assert server.edit(image, parents=[after]).code == "edit.other_canvas"
    refused = server.post_json("/api/v1/edits", {"image": image, "parents": [after], "canvas": TURN})
    assert (refused.status, refused.code) == (422, "edit.other_canvas")


@pytest.mark.parametrize("query", ["format=keep", "format=png", "format=jpeg", "format=webp", "format=tiff"])
def test_every_format_has_the_size_of_the_canvas_also_in_what_it_says_of_itself(
    server: RunningServer, query: str
) -> None:
    tags = Image.Exif()
    tags[0x0112], tags[0x010F] = 6, "Maker"
    tags.get_ifd(0x8769).update({0xA002: 96, 0xA003: 64})
    out = io.BytesIO()
    Image.fromarray(photo(code=31)).save(out, "JPEG", exif=tags.tobytes(), dpi=(300, 150), quality=95)
    image = upload(server, out.getvalue())
    turn = change(server, image, TURN)
    assert turn["canvas"] == {"width": 96, "height": 64, "has_alpha": False}
    crop = change(server, image, CROP, turn["edit"])
    with Image.open(io.BytesIO(shown(server, image, turn["edit"], crop["edit"], query=query))) as result:
        described = result.getexif()
        assert result.size == (60, 40)
        assert described.get(0x0112, 1) == 1
        nested = described.get_ifd(0x8769)
        assert (nested[0xA002], nested[0xA003]) == (60, 40)
        if query != "format=webp":
            assert result.info["dpi"] == pytest.approx((300, 150), abs=0.1), "turned by the file, and turned once more"
    with Image.open(io.BytesIO(shown(server, image, turn["edit"], query=query))) as result:
        assert result.size == (96, 64)


def test_a_jpeg_on_another_canvas_is_encoded_anew_and_on_its_own_it_is_not(server: RunningServer) -> None:
    image = upload(server, encode(photo(code=32), "JPEG"))
    turn = change(server, image, TURN)["edit"]
    painted = fill(server, image, (0, 0, 20, 20), 255)
    render = f"/api/v1/images/{image}/render?edits="
    assert server.ask("GET", render + painted).headers["x-jpeg"] == "patched"
    assert server.ask("GET", render + turn).headers["x-jpeg"] == 'reencoded; reason="its canvas was changed"'


def test_the_small_picture_shows_the_edits_that_are_asked_for(server: RunningServer) -> None:
    pixels = photo(400, 300)
    image = upload(server, encode(pixels))
    turn = change(server, image, TURN)["edit"]
    painted_red = fill(server, image, (0, 0, 300, 200), 255, turn)
    preview = f"/api/v1/images/{image}/preview?max=128&edits="
    assert decode(server.ask("GET", preview + turn).body).shape == (128, 96, 3)
    top = decode(server.ask("GET", f"{preview}{turn},{painted_red}").body)[:60].mean(axis=(0, 1))
    assert top[0] > 240 > 15 > top[1]
    assert server.ask("GET", preview + painted_red).code == "edit.other_canvas"


def test_a_change_of_the_canvas_does_not_wait_for_the_engine(server: RunningServer) -> None:
    image = upload(server, encode(photo(code=4)))
    running = server.stream({"image": image, "mask": {"shapes": [{"kind": "rect", "x": 5, "y": 5, "w": 9, "h": 9}]},
                             "runs": [misbehaving("stay")]})  # fmt: skip
    job = next(running)["job"]
    assert change(server, image, SCALE)["canvas"]["width"] == 48
    assert server.ask("DELETE", f"/api/v1/edits/{job}").status == 204
    assert [line["problem"]["code"] for line in running if line["type"] == "error"] == ["job.cancelled"]


def test_changes_survive_a_restart_and_are_saved_like_any_result(
    start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    server = start_server(output_dir=str(out))
    image = upload(server, encode(photo(code=5)))
    turn = change(server, image, TURN)["edit"]
    small = change(server, image, {"op": "scale", "width": 32, "height": 48}, turn)["edit"]
    before = shown(server, image, turn, small)
    assert within(60, lambda: len(list(out.iterdir())) == 2)
    assert sorted(decode(path.read_bytes()).shape for path in out.iterdir()) == [(48, 32, 3), (96, 64, 3)]
    server.stop()
    server.start()
    server.wait_ready()
    assert shown(server, image, turn, small) == before
    assert server.ask("GET", f"/api/v1/edits/{small}").json["canvas"]["width"] == 32
