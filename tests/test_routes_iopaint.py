"""IOPaint's addresses, and lama-cleaner's, against a real server with fake engines.

The names of fields and headers are those that IOPaint 1.6.0 and lama-cleaner 1.2.5 send and read.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from drawn_scenes import bird, mug
from fake_engines import ENTRIES, photo
from inpaint_models.diffusion.families import SAMPLERS
from lama_server.app import create_app
from lama_server.errors import RouteNotFound
from lama_server.routes.iopaint import progress
from lama_server.routes.iopaint.progress import Announcer
from lama_server.settings import Settings
from pictures import saved
from serving import Reply, RunningServer, decode, encode, rect_mask, within

IMAGE, MASK = encode(photo()), encode(rect_mask())
BOX = (slice(16, 36), slice(20, 44))
BRUSH = (255, 203, 0, 186)
TOKEN = "the-right-token-of-this-file"


def text(data: bytes, head: str = "") -> str:
    return head + base64.b64encode(data).decode()


def fill(server: RunningServer, **body: object) -> Reply:
    return server.post_json("/api/v1/inpaint", {"image": text(IMAGE), "mask": text(MASK), **body})


# filling


@pytest.mark.on_ray
def test_a_photo_is_filled_and_comes_back_lossless(server: RunningServer) -> None:
    reply = fill(server, image=text(IMAGE, "data:image/png;base64,"), sd_seed=17, prompt="", hd_strategy="Crop")
    expected = photo()
    expected[BOX] = (17, 0, 0)
    assert reply.headers["x-seed"] == "17"
    assert reply.headers["content-type"] == "image/png"
    assert np.array_equal(decode(reply.body), expected)


@pytest.mark.on_ray
@pytest.mark.parametrize(
    "options", [{"quality": 71, "subsampling": 2}, {"quality": 93, "subsampling": 0, "progressive": True}]
)
def test_a_jpeg_is_answered_by_a_jpeg_of_its_own_quality(server: RunningServer, options: dict[str, Any]) -> None:
    source = saved(np.full((64, 96, 3), 90, np.uint8), "JPEG", **options)
    reply = fill(server, image=text(source), sd_seed=200)
    assert reply.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(source)) as before, Image.open(io.BytesIO(reply.body)) as after:
        assert before.quantization == after.quantization  # type: ignore[attr-defined]
        assert before.info.get("progressive") == after.info.get("progressive")
        assert before.size == after.size


@pytest.mark.on_ray
def test_the_mask_may_be_drawn_in_the_pages_colour_on_nothing(server: RunningServer) -> None:
    drawn = np.zeros((64, 96, 4), np.uint8)
    drawn[BOX] = (255, 204, 0, 187)
    expected = photo()
    expected[BOX] = (5, 0, 0)
    assert np.array_equal(decode(fill(server, mask=text(encode(drawn)), sd_seed=5).body), expected)


@pytest.mark.on_ray
def test_any_seed_may_be_asked_for_and_is_told(server: RunningServer) -> None:
    reply = fill(server, sd_seed=-1)
    assert decode(reply.body)[20, 30, 0] == int(reply.headers["x-seed"]) & 255


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"image": "***"}, "param.invalid"),
        ({"image": "data:image/png;base64"}, "param.invalid"),
        ({"image": "Ä"}, "param.invalid"),
        ({"image": text(b"no image")}, "image.unsupported_format"),
        ({"mask": None}, "field.missing"),
        ({"mask": text(encode(rect_mask(95, 64)))}, "mask.size_mismatch"),
        ({"sd_seed": "x"}, "param.wrong_type"),
        ({"hd_strategy": "Crop", "hd_strategy_crop_margin": -1}, "param.out_of_range"),
    ],
)
@pytest.mark.on_ray
def test_errors_carry_the_sentence_that_iopaints_page_shows(
    server: RunningServer, body: dict[str, Any], code: str
) -> None:
    reply = fill(server, **body)
    assert reply.code == code
    assert reply.json["errors"] == reply.json["detail"]


@pytest.mark.on_ray
def test_errors_of_our_own_form_stay_as_they_are(server: RunningServer) -> None:
    assert isinstance(server.one_shot(IMAGE, MASK, {"seed": -1}).json["errors"], list)


def test_results_are_saved_where_auto_save_is_on(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    server = start_server(output_dir=str(tmp_path / "out"))
    reply = fill(server, sd_seed=9)
    assert (tmp_path / "out" / "image.png").read_bytes() == reply.body


# models and plugins


@pytest.mark.on_ray
def test_the_configuration_names_what_is_ready(server: RunningServer) -> None:
    config = server.ask("GET", "/api/v1/server-config").json
    assert [model["name"] for model in config["modelInfos"]] == ["painter", "second", "broken", "worded", "copier"]
    assert {model["model_type"] for model in config["modelInfos"]} == {"inpaint"}
    assert [plugin["name"] for plugin in config["plugins"]] == ["InteractiveSeg", "RemoveBG", "RealESRGAN", "GFPGAN"]
    assert (config["interactiveSegModel"], config["removeBGModel"], config["realesrganModel"]) == (
        "grabcut", "backdrop", "lanczos",
    )  # fmt: skip
    assert config["enableFileManager"] is config["enableAutoSaving"] is False
    assert config["samplers"] == server.ask("GET", "/api/v1/samplers").json == list(SAMPLERS)


def test_models_can_be_switched(server: RunningServer) -> None:
    assert server.ask("GET", "/api/v1/model").json["name"] == "painter"
    assert server.post_json("/api/v1/model", {"name": "second"}).json["name"] == "second"
    assert server.ask("GET", "/api/v1/models").json["current"] == "second"
    assert server.post_json("/api/v1/model", {"name": "nothing"}).code == "model.unknown"
    assert server.post_json("/api/v1/model", {}).code == "field.missing"
    assert server.post_json("/api/v1/model", {"name": "painter"}).json["name"] == "painter"


def test_an_example_that_is_too_large_is_refused(server: RunningServer) -> None:
    field = "paint_by_example_example_image"
    server.post_json("/api/v1/model", {"name": "worded"})
    try:
        blue = np.full((50, 60, 3), (0, 0, 90), np.uint8)
        assert decode(fill(server, **{field: text(encode(blue))}).body)[20, 30].tolist() == [0, 0, 90]
        refused = fill(server, **{field: text(encode(photo(100, 71)))})
        assert (refused.code, refused.json["problems"][0]["pointer"]) == ("param.out_of_range", f"/{field}")
    finally:
        server.post_json("/api/v1/model", {"name": "painter"})
    assert fill(server, **{field: text(b"no picture")}).status == 200, "a model without a use for it leaves it alone"


def test_opencv_goes_by_iopaints_name_too(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(real_engines=True, model="cv2")
    assert server.ask("GET", "/api/v1/model").json["name"] == "cv2"
    assert server.post_json("/api/v1/model", {"name": "cv2"}).json["name"] == "cv2"
    options = {"cv2_radius": 3, "cv2_flag": "INPAINT_TELEA", "sd_seed": 1}
    ours = server.one_shot(IMAGE, MASK, {"model": "opencv", "params": {"radius": 3, "method": "telea"}})
    assert fill(server, **options).body == ours.body
    assert fill(server, cv2_radius=10**6).code == "param.out_of_range"


def test_plugin_models_can_be_switched(server: RunningServer) -> None:
    switch = "/api/v1/switch_plugin_model"
    assert server.post_json(switch, {"plugin_name": "RemoveBG", "model_name": "backdrop"}).status == 200
    assert server.post_json(switch, {"plugin_name": "RemoveBG", "model_name": "lanczos"}).code == "model.wrong_task"
    assert server.post_json(switch, {"plugin_name": "RemoveBG", "model_name": "x"}).code == "model.unknown"
    assert server.post_json(switch, {"plugin_name": "RestoreFormer", "model_name": "x"}).code == "param.unknown_value"
    assert server.post_json(switch, {"plugin_name": ["RemoveBG"], "model_name": "x"}).code == "param.wrong_type"


def plugin(server: RunningServer, kind: str, name: str, image: bytes, **more: object) -> Reply:
    return server.post_json(f"/api/v1/run_plugin_gen_{kind}", {"name": name, "image": text(image), **more})


def test_clicks_become_a_mask_in_the_colour_of_the_brush(server: RunningServer) -> None:
    pixels, covered = bird()
    clicks = [[200, 150, 1, 0], [10, 10, 0, 1]]
    reply = plugin(server, "mask", "InteractiveSeg", encode(pixels), clicks=clicks)
    mask = decode(reply.body)
    assert mask.shape == (*covered.shape, 4)
    assert {tuple(colour) for colour in mask.reshape(-1, 4)} == {(0, 0, 0, 0), BRUSH}
    assert plugin(server, "mask", "InteractiveSeg", encode(pixels), clicks=clicks).body == reply.body
    assert plugin(server, "mask", "InteractiveSeg", encode(pixels)).code == "param.invalid"


def test_clicks_go_to_the_model_that_was_chosen_for_them(server: RunningServer) -> None:
    pixels = np.full((300, 400, 3), (70, 110, 160), np.uint8)
    pixels[100:200, 60:140] = pixels[100:200, 260:340] = (200, 120, 90)
    clicks = [[100, 150, 1]]
    switch = {"plugin_name": "InteractiveSeg", "model_name": "pointer"}
    assert server.post_json("/api/v1/switch_plugin_model", switch).status == 200
    try:
        assert server.ask("GET", "/api/v1/server-config").json["interactiveSegModel"] == "pointer"
        mask = decode(plugin(server, "mask", "InteractiveSeg", encode(pixels), clicks=clicks).body)[..., 3] > 0
    finally:
        server.post_json("/api/v1/switch_plugin_model", {**switch, "model_name": "grabcut"})
    assert mask[100:200, 60:140].all()
    assert mask[100:200, 260:340].all(), "one colour, though in two places: GrabCut would have taken one"
    adjusted = server.post_json(
        "/api/v1/adjust_mask", {"mask": text(encode(mask * np.uint8(255))), "operate": "expand", "kernel_size": 5}
    )
    assert (decode(adjusted.body)[..., 3] > 0).sum() > mask.sum()


def test_the_background_is_removed_or_masked(server: RunningServer) -> None:
    pixels, covered = mug()
    cut_out = decode(plugin(server, "image", "RemoveBG", encode(pixels)).body)
    assert cut_out.shape == (*covered.shape, 4)
    mask = decode(plugin(server, "mask", "RemoveBG", encode(pixels)).body)[..., 3] > 0
    assert mask[cut_out[..., 3] > 127].all()
    assert 0 < (mask & (cut_out[..., 3] == 0)).sum() < 0.2 * mask.sum(), "a frame of a few pixels"


@pytest.mark.parametrize(("scale", "factor"), [(2, 2), (4, 4), (3.5, 4)])
def test_a_picture_is_enlarged_in_its_own_format(server: RunningServer, scale: float, factor: int) -> None:
    reply = plugin(server, "image", "RealESRGAN", saved(photo(), "JPEG"), scale=scale)
    assert reply.headers["content-type"] == "image/jpeg"
    assert decode(reply.body).shape == (64 * factor, 96 * factor, 3)


def test_faces_are_restored_in_the_photos_own_format(server: RunningServer) -> None:
    reply = plugin(server, "image", "GFPGAN", saved(photo(), "JPEG"), scale=2)
    assert reply.headers["content-type"] == "image/jpeg"
    assert decode(reply.body).shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("image", {"name": "InteractiveSeg"}, "param.unknown_value"),
        ("mask", {"name": "RealESRGAN"}, "param.unknown_value"),
        ("image", {"name": "RestoreFormer"}, "param.unknown_value"),
        ("mask", {"name": "GFPGAN"}, "param.unknown_value"),
        ("image", {}, "field.missing"),
        ("image", {"name": "RemoveBG", "image": "***"}, "param.invalid"),
        ("image", {"name": "RemoveBG", "image": None}, "field.missing"),
        ("image", {"name": "RealESRGAN", "scale": "x"}, "param.wrong_type"),
        ("mask", {"name": "InteractiveSeg", "clicks": [[1, 2]]}, "param.out_of_range"),
        ("mask", {"name": "InteractiveSeg", "clicks": [[5000, 2, 1]]}, "param.invalid"),
        ("image", {"name": "RemoveBG"}, "model.image_unsuitable"),
    ],
)
@pytest.mark.on_ray
def test_what_a_plugin_cannot_do_is_refused(server: RunningServer, kind: str, body: dict[str, Any], code: str) -> None:
    reply = server.post_json(f"/api/v1/run_plugin_gen_{kind}", {"image": text(IMAGE), **body})
    assert reply.code == code
    assert reply.json["errors"] == reply.json["detail"]


# masks


@pytest.mark.parametrize("radius", [0, 1, 5, 12, 60])
@pytest.mark.parametrize("operation", ["expand", "shrink"])
@pytest.mark.on_ray
def test_a_mask_grows_and_shrinks_as_by_opencvs_ellipse(server: RunningServer, operation: str, radius: int) -> None:
    mask = np.zeros((2100, 160), np.uint8)
    mask[900:1300, 40:120] = 255
    mask[30, 20] = 127
    reply = server.post_json(
        "/api/v1/adjust_mask", {"mask": text(encode(mask)), "operate": operation, "kernel_size": radius}
    )
    changed = decode(reply.body)
    assert {tuple(colour) for colour in changed.reshape(-1, 4)} <= {(0, 0, 0, 0), BRUSH}
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    change = cv2.dilate if operation == "expand" else cv2.erode
    expected = change((mask > 127) * np.uint8(255), disc) > 0
    differs = (changed[..., 3] > 0) != expected
    assert differs.sum() <= 8 * radius, "corners of the disc are rounded in another way"


def test_a_mask_is_turned_round(server: RunningServer) -> None:
    reply = server.post_json("/api/v1/adjust_mask", {"mask": text(MASK), "operate": "reverse"})
    assert np.array_equal(decode(reply.body)[..., 3] > 0, rect_mask() == 0)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"operate": "melt"}, "param.unknown_value"),
        ({"operate": "expand", "kernel_size": -1}, "param.out_of_range"),
        ({"operate": "expand", "kernel_size": 501}, "param.out_of_range"),
        ({"operate": "expand", "mask": text(b"no image")}, "image.unsupported_format"),
        ({"operate": "expand", "mask": None}, "field.missing"),
    ],
)
def test_a_mask_that_cannot_be_changed_is_refused(server: RunningServer, body: dict[str, Any], code: str) -> None:
    assert server.post_json("/api/v1/adjust_mask", {"mask": text(MASK), **body}).code == code


# lama-cleaner


CLEANER = {
    "ldmSteps": "50", "ldmSampler": "plms", "zitsWireframe": "true", "hdStrategy": "Crop",
    "hdStrategyCropMargin": "128", "hdStrategyCropTrigerSize": "2048", "hdStrategyResizeLimit": "2048",
    "prompt": "", "negativePrompt": "", "useCroper": "false", "croperX": "0", "croperY": "0", "croperHeight": "512",
    "croperWidth": "512", "sdScale": "1", "sdMaskBlur": "5", "sdStrength": "0.75", "sdSteps": "50",
    "sdGuidanceScale": "7.5", "sdSampler": "uni_pc", "sdSeed": "33", "sdMatchHistograms": "false", "cv2Radius": "5",
    "cv2Flag": "INPAINT_NS", "paintByExampleSteps": "50", "paintByExampleGuidanceScale": "7.5",
    "paintByExampleSeed": "42", "paintByExampleMaskBlur": "5", "paintByExampleMatchHistograms": "false",
    "p2pSteps": "50", "p2pImageGuidanceScale": "1.5", "p2pGuidanceScale": "7.5",
    "controlnet_conditioning_scale": "0.4", "controlnet_method": "control_v11p_sd15_canny",
}  # fmt: skip
"""What its page sends beside the files."""


def test_the_form_of_lama_cleaners_page_is_answered(server: RunningServer) -> None:
    reply = server.post_form("/inpaint", {"image": IMAGE, "mask": MASK}, **CLEANER)
    expected = photo()
    expected[BOX] = (33, 0, 0)
    assert np.array_equal(decode(reply.body), expected)
    assert reply.headers["x-seed"] == "33"
    photo_jpeg = server.post_form("/inpaint", {"image": saved(photo(), "JPEG"), "mask": MASK}, **CLEANER)
    assert photo_jpeg.headers["content-type"] == "image/jpeg"


def test_lama_cleaners_plugins_are_answered(server: RunningServer) -> None:
    pixels, _ = bird()
    clicks = json.dumps([[200, 150, 1]])
    reply = server.post_form("/run_plugin", {"image": encode(pixels)}, name="InteractiveSeg", clicks=clicks)
    assert set(np.unique(decode(reply.body))) == {0, 255}
    assert decode(reply.body).shape == pixels.shape[:2]
    larger = server.post_form("/run_plugin", {"image": saved(photo(), "JPEG")}, name="RealESRGAN", upscale="4")
    assert decode(larger.body).shape == (256, 384, 3)


@pytest.mark.parametrize(
    ("path", "files", "fields", "code"),
    [
        ("/inpaint", {"image": IMAGE}, {}, "field.missing"),
        ("/inpaint", {"image": IMAGE, "mask": MASK}, {"sdSeed": "x"}, "param.wrong_type"),
        ("/inpaint", {"image": IMAGE, "mask": MASK}, {"sdSeed": "1e999"}, "param.wrong_type"),
        ("/inpaint", {"image": IMAGE, "mask": MASK}, {f"f{n}": "" for n in range(65)}, "multipart.too_many_fields"),
        ("/run_plugin", {"image": IMAGE}, {}, "param.wrong_type"),
        ("/run_plugin", {"image": IMAGE}, {"name": "MakeGIF"}, "param.unknown_value"),
        ("/run_plugin", {"image": IMAGE}, {"name": "InteractiveSeg", "clicks": "[["}, "params.malformed"),
        ("/run_plugin", {}, {"name": "RemoveBG"}, "field.missing"),
    ],
)
def test_forms_that_cannot_be_used_are_refused(
    server: RunningServer, path: str, files: dict[str, bytes], fields: dict[str, str], code: str
) -> None:
    assert server.post_form(path, files, **fields).code == code


# progress

POLL = "/socket.io/?EIO=4&transport=polling"


def handshake(server: RunningServer) -> str:
    """The address of a client's polls."""
    opened = server.ask("GET", POLL)
    address = f"{POLL}&sid={json.loads(opened.body[1:])['sid']}"
    assert server.ask("POST", address, b"40", {"content-type": "text/plain"}).body == b"OK"
    assert server.ask("GET", address).body.startswith(b"40")
    return address


def events(server: RunningServer, address: str) -> Iterator[tuple[str, Any]]:
    """(name, data) as polls bring them; pings are answered."""
    while True:
        for packet in server.ask("GET", address).body.decode().split("\x1e"):
            if packet == "2":
                server.ask("POST", address, b"3", {"content-type": "text/plain"})
            elif packet.startswith("42"):
                name, *data = json.loads(packet[2:])
                yield name, data[0] if data else None


def test_clients_hear_how_far_a_fill_is(server: RunningServer) -> None:
    address = handshake(server)
    filling = threading.Thread(target=fill, args=(server,))
    filling.start()
    heard = []
    for name, data in events(server, address):
        heard.append((name, data))
        if name == "diffusion_finish":
            break
    filling.join()
    assert {name for name, _ in heard} == {"diffusion_progress", "diffusion_finish"}
    assert all(set(data) == {"step", "total", "stage"} for name, data in heard if name == "diffusion_progress")


def test_the_socket_only_polls_and_takes_short_messages(server: RunningServer) -> None:
    assert server.ask("GET", "/socket.io/?EIO=4&transport=websocket").status == 400
    assert server.ask("GET", "/socket.io/?EIO=4&transport=polling&sid=nobody").status == 400
    assert (
        server.ask("POST", f"{POLL}&sid=nobody", b"x" * 20_000, {"content-type": "text/plain"}).code == "body.too_large"
    )


def test_without_the_extra_there_is_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socketio", None)
    with pytest.raises(RouteNotFound, match=r"lama-server\[iopaint\]"):
        Announcer().connect()


def test_so_many_clients_may_listen_until_one_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MOST_CLIENTS", 3)
    app = create_app(Settings(data_dir=tmp_path, model="painter"), entries=ENTRIES)
    with TestClient(app, "http://127.0.0.1") as client:
        opened = [client.get(POLL).text for _ in range(3)]
        assert client.get(POLL).json()["code"] == "queue.full"
        address = f"{POLL}&sid={json.loads(opened[0][1:])['sid']}"
        client.post(address, content=b"1", headers={"content-type": "text/plain"})
        assert within(60, lambda: client.get(POLL).status_code == 200)


# who may come in

ROUTES = [
    ("POST", "/api/v1/inpaint"), ("POST", "/api/v1/model"), ("POST", "/api/v1/switch_plugin_model"),
    ("POST", "/api/v1/run_plugin_gen_mask"), ("POST", "/api/v1/run_plugin_gen_image"), ("POST", "/api/v1/adjust_mask"),
    ("POST", "/api/v1/gen-info"), ("POST", "/api/v1/save_image"), ("POST", "/inpaint"), ("POST", "/run_plugin"),
    ("POST", "/socket.io/"), ("GET", "/socket.io/"), ("GET", "/api/v1/server-config"), ("GET", "/api/v1/model"),
    ("GET", "/api/v1/samplers"), ("GET", "/api/v1/inputimage"), ("GET", "/api/v1/medias?tab=input"),
    ("GET", "/api/v1/media_file?tab=input&filename=a..b.png"),
    ("GET", "/api/v1/media_thumbnail_file?tab=input&filename=a..b.png"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.on_ray
def test_pages_of_other_sites_and_other_names_are_kept_out(server: RunningServer, method: str, path: str) -> None:
    """B25, B26."""
    for headers, code in (
        ({"origin": "https://evil.example"}, "origin.forbidden"),
        ({"origin": "null"}, "origin.forbidden"),
        ({"sec-fetch-site": "cross-site"}, "origin.forbidden"),
        ({"host": "evil.example"}, "host.not_allowed"),
    ):
        assert server.ask(method, path, b"{}" if method == "POST" else None, headers).code == code


@pytest.mark.parametrize(
    ("method", "path"), [route for route in ROUTES if route[0] == "POST" and "socket" not in route[1]]
)
@pytest.mark.on_ray
def test_forms_that_any_page_could_send_are_refused(server: RunningServer, method: str, path: str) -> None:
    """B34."""
    reply = server.ask(method, path, b"{}", {"content-type": "text/plain"})
    assert reply.code == "body.unsupported_type"


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[0] == "POST"])
@pytest.mark.on_ray
def test_bodies_are_bounded_before_they_are_read(server: RunningServer, method: str, path: str) -> None:
    reply = server.ask(method, path, b"", {"content-type": "application/json", "content-length": str(2**30)})
    assert reply.code == "body.too_large"


def test_a_server_with_a_token_asks_everywhere_for_it(tmp_path: Path) -> None:
    """B35."""
    with RunningServer(tmp_path, {"token": TOKEN}) as server:
        for method, path in ROUTES:
            body = b"{}" if method == "POST" else None
            assert server.ask(method, path, body).code == "auth.required", path
            assert server.ask(method, path, body, {"authorization": f"Bearer {TOKEN}"}).status != 401, path
