"""Selections over HTTP, models that make the whole canvas anew as edits, and parameters that are words or a picture."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from drawn_scenes import bird, mug, overlap
from fake_engines import photo
from inpaint_models import Box, load_model
from lama_server import codec
from lama_server.imaging.masks import rasterise
from lama_server.schemas.events import SelectEvent
from lama_server.schemas.shapes import Polygon
from serving import RECT, Reply, RunningServer, decode, encode, misbehaving, within

pytestmark = pytest.mark.on_ray

BIRD, COVERED = bird()
ROUGH = [(130, 115), (165, 135), (240, 170), (270, 175)]
STROKE = {"kind": "stroke", "d": 30, "p": [520, 460, 140, 80, 300, 140, 120, 20]}
MUG, MUG_COVERED = mug()
EVENTS: TypeAdapter[SelectEvent] = TypeAdapter(SelectEvent)


@pytest.fixture(scope="module")
def bird_id(server: RunningServer) -> str:
    return upload(server, BIRD)


@pytest.fixture(scope="module")
def mug_id(server: RunningServer) -> str:
    return upload(server, MUG)


def upload(server: RunningServer, pixels: np.ndarray) -> str:
    reply = server.ask("POST", "/api/v1/images?name=photo.png", codec.encode_patch(pixels))
    return str(reply.json["id"])


def select(server: RunningServer, image: str, *prompts: dict[str, Any], **more: Any) -> Reply:
    return server.post_json("/api/v1/select", {"image": image, "prompts": prompts, **more})


def drawn(shape: dict[str, Any], height: int, width: int) -> np.ndarray:
    """Which pixels a bitmap shape of the wire covers."""
    covered = np.zeros((height, width), bool)
    part = decode(base64.b64decode(shape["png"]))
    covered[shape["y"] : shape["y"] + shape["h"], shape["x"] : shape["x"] + shape["w"]] = part
    return covered


def run(server: RunningServer, image: str, model: str, *parents: str, **params: Any) -> dict[str, Any]:
    """The last line of an edit that makes the whole canvas anew."""
    request = {"image": image, "parents": parents, "runs": [{"model": model, "params": params}]}
    reply = server.post_json("/api/v1/edits", request)
    assert reply.status == 200, reply.body
    return reply.lines[-1]


def shown(server: RunningServer, image: str, *edits: str, query: str = "format=png") -> bytes:
    reply = server.ask("GET", f"/api/v1/images/{image}/render?edits={','.join(edits)}&{query}")
    assert reply.status == 200, reply.body
    return reply.body


# select


@pytest.mark.parametrize(
    "prompts",
    [
        [STROKE],
        [{"kind": "rect", "x": 100, "y": 85, "w": 230, "h": 130}],
        [{"kind": "point", "x": 800, "y": 600}],
        [STROKE, {"kind": "point", "op": "sub", "x": 1400, "y": 1000}],
    ],
    ids=["stroke", "box", "point", "stroke and a point that takes away"],
)
def test_a_selection_is_a_shape_around_the_thing(server: RunningServer, bird_id: str, prompts: list[Any]) -> None:
    reply = select(server, bird_id, *prompts)
    assert reply.status == 200, reply.body
    assert (reply.json["model"], reply.headers["x-model"]) == ("grabcut", "grabcut")
    (shape,) = reply.json["shapes"]
    assert shape["w"] < 300
    assert overlap(drawn(shape, 300, 400), COVERED > 0.5) > 0.9


def test_a_selection_can_be_filled_as_it_is(server: RunningServer, bird_id: str) -> None:
    shapes = select(server, bird_id, STROKE).json["shapes"]
    lines = server.edit(bird_id, {"model": "painter", "seed": 9}, mask={"shapes": shapes, "grow_px": 0}).lines
    result = decode(shown(server, bird_id, lines[-1]["edit"]))
    changed = (result == (9, 0, 0)).all(axis=2)
    np.testing.assert_array_equal(changed, drawn(shapes[0], 300, 400))


def test_a_selection_is_also_a_picture_of_the_canvas(server: RunningServer, bird_id: str) -> None:
    body = {"image": bird_id, "prompts": [STROKE]}
    headers = {"content-type": "application/json", "accept": "image/png"}
    reply = server.ask("POST", "/api/v1/select", json.dumps(body).encode(), headers)
    assert (reply.status, reply.headers["content-type"], reply.headers["vary"]) == (200, "image/png", "accept")
    mask = decode(reply.body)
    assert mask.shape == (300, 400)
    (shape,) = select(server, bird_id, STROKE).json["shapes"]
    np.testing.assert_array_equal(mask > 127, drawn(shape, 300, 400))


def test_positions_are_those_of_the_canvas_that_the_parents_make(server: RunningServer, bird_id: str) -> None:
    turn = {"image": bird_id, "canvas": {"op": "rotate", "quarter_turns": 2}}
    parent = server.post_json("/api/v1/edits", turn).lines[-1]["edit"]
    turned = {"kind": "stroke", "d": 30, "p": [1600 - 520, 1200 - 460, -140, -80, -300, -140, -120, -20]}
    (shape,) = select(server, bird_id, turned, parents=[parent]).json["shapes"]
    assert overlap(np.rot90(drawn(shape, 300, 400), 2), COVERED > 0.5) > 0.9


@pytest.mark.parametrize(
    ("more", "pointer", "code"),
    [
        ({"prompts": []}, "/prompts", "param.out_of_range"),
        ({"prompts": [{"kind": "point", "x": 4000, "y": 0}]}, "/prompts", "param.invalid"),
        ({"prompts": [{**STROKE, "op": "sub"}]}, "/prompts", "param.invalid"),
        ({"prompts": [{"kind": "rect", "op": "sub", "x": 0, "y": 0, "w": 9, "h": 9}]}, "/prompts/0/op",
         "param.unknown_value"),
        ({"prompts": [{"kind": "poly", "p": [0, 0, 4, 4, 4, 0]}]}, "/prompts/0", "param.unknown_value"),
        ({"model": "painter"}, "/model", "model.wrong_task"),
        ({"model": "nothing"}, None, "model.unknown"),
        ({"params": {"size": 3}}, "/params/size", "param.unknown"),
        ({"image": "0" * 64}, None, "image.not_found"),
        ({"parents": ["0" * 32]}, None, "edit.not_found"),
        ({"mask": {}}, "/mask", "param.unknown"),
    ],
)  # fmt: skip
def test_a_selection_that_cannot_be_made_is_refused_by_name(
    server: RunningServer, bird_id: str, more: dict[str, Any], pointer: str | None, code: str
) -> None:
    reply = server.post_json("/api/v1/select", {"image": bird_id, "prompts": [STROKE], **more})
    assert reply.code == code, reply.body
    pointers = [error["pointer"] for error in reply.json.get("errors", [])]
    assert pointers == ([pointer] if pointer else [])


def test_the_shadow_is_offered_beside_the_thing(server: RunningServer, mug_id: str) -> None:
    box = {"kind": "rect", "x": 120, "y": 60, "w": 160, "h": 185}
    plain, asked = select(server, mug_id, box).json, select(server, mug_id, box, shadow=True).json
    assert plain["shadow"] == []
    assert asked["shapes"] == plain["shapes"]
    thing, shadow = (drawn(shapes[0], 300, 400) for shapes in (asked["shapes"], asked["shadow"]))
    assert shadow.any()
    assert not (thing & shadow).any()


def told(server: RunningServer, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of a streamed answer."""
    headers = {"content-type": "application/json", "accept": "application/x-ndjson"}
    return server.ask("POST", f"/api/v1/{path}", json.dumps(body).encode(), headers).lines


def test_the_outline_of_a_selection_is_told_before_its_mask(server: RunningServer, bird_id: str) -> None:
    outline, selected = told(server, "select", {"image": bird_id, "prompts": [STROKE]})
    for line in (outline, selected):
        assert EVENTS.validate_python(line).model_dump(mode="json", exclude_unset=True) == line
    assert (outline["type"], selected["type"]) == ("outline", "selected")
    (shape,) = outline["shapes"]
    (mask,) = selected["shapes"]
    assert [mask] == select(server, bird_id, STROKE).json["shapes"]
    around = rasterise([Polygon.model_validate(shape)], 400, 300).hole_in(Box(0, 0, 400, 300))
    assert overlap(around, drawn(mask, 300, 400)) > 0.95
    lines = server.edit(bird_id, {"model": "painter", "seed": 9}, mask={"shapes": [shape]}).lines
    assert lines[-1]["type"] == "result"


def test_what_goes_wrong_in_a_selection_is_its_last_line(server: RunningServer, bird_id: str) -> None:
    box = {"kind": "rect", "x": 20, "y": 20, "w": 90, "h": 90}
    *_, last = told(server, "select", {"image": bird_id, "model": "wand", "prompts": [box]})
    assert (last["type"], last["problem"]["code"]) == ("error", "param.invalid")


@pytest.mark.parametrize("gesture", ["trace", "sample", "point"])
def test_each_way_of_pointing_has_its_model(server: RunningServer, bird_id: str, gesture: str) -> None:
    models = server.ask("GET", "/api/v1/models").json["models"]
    (model,) = (model["name"] for model in models if model["gesture"] == gesture)
    along = [(165, 112), (330, 185), (300, 190), (200, 190), (110, 130), (165, 112)]
    points = [{"kind": "point", "x": 4 * x, "y": 4 * y} for x, y in (along if gesture == "trace" else along[3:4])]
    reply = select(server, bird_id, *points, model=model)
    assert (reply.status, reply.headers["x-model"]) == (200, model)
    assert all(other["gesture"] is None for other in models if other["task"] != "select")


@pytest.fixture(scope="module")
def tones_id(server: RunningServer) -> str:
    """Plain ground, a thing of two tones at (100, 100) to (300, 200), and a speck at (40, 41) to (44, 43)."""
    pixels = np.full((300, 400, 3), (70, 110, 160), np.uint8)
    pixels[100:200, 100:200], pixels[100:200, 200:300] = (200, 120, 90), (215, 140, 105)
    pixels[40:43, 41:44] = (200, 120, 90)
    return upload(server, pixels)


def test_a_point_may_mean_a_part_or_the_whole(server: RunningServer, tones_id: str) -> None:
    on_left = {"kind": "point", "x": 4 * 150, "y": 4 * 150}
    reply = select(
        server, tones_id, on_left, model="pointer", candidates=3, view={"x": 60, "y": 60, "w": 300, "h": 200}
    )
    assert reply.status == 200, reply.body
    (other,) = reply.json["others"]
    assert (reply.json["score"], other["score"]) == (0.9, 0.7)
    whole, part = (drawn(shapes[0], 300, 400) for shapes in (reply.json["shapes"], other["shapes"]))
    assert whole.sum() == pytest.approx(100 * 200, rel=0.03)
    assert part.sum() == pytest.approx(100 * 100, rel=0.06)
    assert select(server, tones_id, on_left, model="pointer").json["others"] == []


def test_a_small_view_shows_small_things(server: RunningServer, tones_id: str) -> None:
    speck = {"kind": "point", "x": 4 * 42, "y": 4 * 41}
    view = {"x": 20, "y": 20, "w": 60, "h": 45}
    (near,) = select(server, tones_id, speck, model="pointer", view=view).json["shapes"]
    assert {key: near[key] for key in "xywh"} == {"x": 41, "y": 40, "w": 3, "h": 3}


@pytest.mark.parametrize(
    ("more", "pointer", "code"),
    [
        ({"view": {"x": 400, "y": 0, "w": 10, "h": 10}}, "/view", "param.invalid"),
        ({"view": {"x": 0, "y": 0, "w": 0, "h": 10}}, "/view/w", "param.out_of_range"),
        ({"view": {"x": 0, "y": 0, "w": 50, "h": 50}}, None, "param.invalid"),
        ({"candidates": 5}, "/candidates", "param.out_of_range"),
        ({"candidates": "2"}, "/candidates", "param.wrong_type"),
    ],
)
def test_a_view_or_a_number_that_makes_no_sense_is_refused(
    server: RunningServer, tones_id: str, more: dict[str, Any], pointer: str | None, code: str
) -> None:
    reply = select(server, tones_id, {"kind": "point", "x": 600, "y": 600}, model="pointer", **more)
    assert reply.code == code, reply.body
    pointers = [error["pointer"] for error in reply.json.get("errors", [])]
    assert pointers == ([pointer] if pointer else [])


# find


@pytest.fixture(scope="module")
def scan_id(server: RunningServer) -> str:
    """A plain picture with two specks and a wire."""
    scan = np.full((300, 400, 3), (120, 140, 170), np.uint8)
    scan += np.random.default_rng(2).integers(0, 5, scan.shape, np.uint8)
    scan[98:102, 78:82] = scan[58:61, 298:301] = 250
    scan[200:203] = 20
    return upload(server, scan)


def test_what_is_found_has_a_category_a_score_and_a_shape(server: RunningServer, scan_id: str) -> None:
    reply = server.post_json("/api/v1/find", {"image": scan_id})
    assert reply.status == 200, reply.body
    assert (reply.json["models"], reply.json["left_out"]) == (["dust", "wires"], 0)
    found = reply.json["findings"]
    assert sorted(finding["category"] for finding in found) == ["dust", "dust", "scratch", "wire"], "a wire is both"
    assert all(0 < finding["score"] <= 1 for finding in found)
    shapes = [(finding["category"], drawn(finding["shapes"][0], 300, 400)) for finding in found]
    specks = np.any([shape for category, shape in shapes if category == "dust"], axis=0)
    assert specks[100, 80]
    assert specks[59, 299]
    assert all(shape[201].mean() > 0.95 for category, shape in shapes if category != "dust")


def test_a_search_is_told_line_by_line(server: RunningServer, scan_id: str) -> None:
    lines = told(server, "find", {"image": scan_id})
    whole = server.post_json("/api/v1/find", {"image": scan_id}).json
    found = [line for line in lines if line["type"] == "found"]
    assert [line["models"] for line in found] == [["dust"], ["wires"]]
    assert [finding for line in found for finding in line["findings"]] == whole["findings"]
    assert {line["model"] for line in lines if line["type"] == "progress"} == {"dust", "wires"}
    assert lines[-1]["type"] == "found"


def test_what_goes_wrong_in_a_search_is_its_last_line(server: RunningServer, bird_id: str) -> None:
    *_, last = told(server, "find", {"image": bird_id, "models": ["dust", "backdrop"]})
    assert (last["type"], last["problem"]["code"]) == ("error", "model.image_unsuitable")


def test_all_that_was_found_is_filled_in_one_edit(server: RunningServer, scan_id: str) -> None:
    found = server.post_json("/api/v1/find", {"image": scan_id, "models": ["dust"]}).json["findings"]
    assert {finding["model"] for finding in found} == {"dust"}
    shapes = [shape for finding in found for shape in finding["shapes"]]
    edit = server.edit(scan_id, {"model": "painter", "seed": 9}, mask={"shapes": shapes, "grow_px": 0}).lines[-1][
        "edit"
    ]
    changed = (decode(shown(server, scan_id, edit)) == (9, 0, 0)).all(axis=2)
    np.testing.assert_array_equal(changed, sum(drawn(shape, 300, 400) for shape in shapes) > 0)


def test_a_search_sees_the_edits_that_it_is_told_of(server: RunningServer, scan_id: str) -> None:
    mask = {"shapes": [{"kind": "rect", "x": 0, "y": 0, "w": 400, "h": 300}], "grow_px": 0}
    edit = server.edit(scan_id, {"model": "painter", "seed": 9}, mask=mask).lines[-1]["edit"]
    reply = server.post_json("/api/v1/find", {"image": scan_id, "parents": [edit]})
    assert reply.json["findings"] == []


@pytest.mark.parametrize(
    ("more", "pointer", "code"),
    [
        ({"models": ["grabcut"]}, "/models", "model.wrong_task"),
        ({"models": []}, "/models", "param.out_of_range"),
        ({"models": ["nothing"]}, None, "model.unknown"),
        ({"prompts": []}, "/prompts", "param.unknown"),
        ({"parents": ["0" * 32]}, None, "edit.not_found"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused_by_name(
    server: RunningServer, scan_id: str, more: dict[str, Any], pointer: str | None, code: str
) -> None:
    reply = server.post_json("/api/v1/find", {"image": scan_id, **more})
    assert reply.code == code, reply.body
    assert [error["pointer"] for error in reply.json.get("errors", [])] == ([pointer] if pointer else [])


# matte and enlarge


def test_a_cut_out_is_an_edit_with_alpha_that_is_rendered_and_undone(server: RunningServer, mug_id: str) -> None:
    result = run(server, mug_id, "backdrop")
    assert result["canvas"] == {"width": 400, "height": 300, "has_alpha": True}
    assert (result["model"], result["seed"], result["patches"]) == ("backdrop", None, [])
    cut = decode(shown(server, mug_id, result["edit"]))
    np.testing.assert_array_equal(cut, load_model("backdrop", task="matte").cut_out(MUG))
    assert overlap(cut[..., 3] > 127, MUG_COVERED > 0.5) > 0.98
    np.testing.assert_array_equal(decode(shown(server, mug_id)), MUG)


def test_a_colour_comes_behind_what_is_cut_out(server: RunningServer, mug_id: str) -> None:
    result = run(server, mug_id, "backdrop", background="#00ff80")
    assert not result["canvas"]["has_alpha"]
    made = decode(shown(server, mug_id, result["edit"]))
    assert made.shape == (300, 400, 3)
    np.testing.assert_array_equal(made[0, 0], (0, 255, 128))
    refused = server.post_json(
        "/api/v1/edits", {"image": mug_id, "runs": [{"model": "backdrop", "params": {"background": "green"}}]}
    )
    assert refused.code == "param.wrong_type"
    assert refused.json["errors"][0]["pointer"] == "/runs/0/params/background"


def test_what_is_cut_out_is_also_a_mask(server: RunningServer, mug_id: str) -> None:
    reply = server.post_json("/api/v1/find", {"image": mug_id, "models": ["backdrop"]})
    (subject,) = reply.json["findings"]
    assert subject["category"] == "subject"
    assert overlap(drawn(subject["shapes"][0], 300, 400), MUG_COVERED > 0.5) > 0.98


def test_a_restored_photo_is_an_edit_that_leaves_the_rest_alone(server: RunningServer, mug_id: str) -> None:
    result = run(server, mug_id, "redrawer")
    assert result["canvas"] == {"width": 400, "height": 300, "has_alpha": False}
    made, wanted = decode(shown(server, mug_id, result["edit"])), MUG.astype(np.float32)
    wanted[75:150, 100:200] += 0.5 * (255 - wanted[75:150, 100:200])
    np.testing.assert_array_equal(made, np.rint(wanted))


def test_an_enlarged_photo_is_an_edit_and_what_comes_after_lies_on_it(server: RunningServer) -> None:
    pixels = photo(code=61)
    image = upload(server, pixels)
    painted = server.edit(image, {"model": "painter", "seed": 40}).lines[-1]["edit"]
    first = run(server, image, "lanczos", painted, factor="2")
    assert first["canvas"] == {"width": 192, "height": 128, "has_alpha": False}
    before = decode(shown(server, image, painted))
    large = load_model("lanczos", task="enlarge")(before)
    np.testing.assert_array_equal(decode(shown(server, image, painted, first["edit"])), large)
    mask = {"shapes": [{"kind": "rect", "x": 150, "y": 100, "w": 30, "h": 20}], "grow_px": 0}
    after = server.edit(image, {"model": "painter", "seed": 7}, mask=mask, parents=[painted, first["edit"]])
    large[100:120, 150:180] = (7, 0, 0)
    edits = painted, first["edit"], after.lines[-1]["edit"]
    np.testing.assert_array_equal(decode(shown(server, image, *edits)), large)


def test_a_cut_out_can_be_enlarged_with_its_alpha(server: RunningServer, mug_id: str) -> None:
    cut = run(server, mug_id, "backdrop")["edit"]
    large = run(server, mug_id, "lanczos", cut)
    assert large["canvas"] == {"width": 800, "height": 600, "has_alpha": True}
    alpha = decode(shown(server, mug_id, cut, large["edit"]))[..., 3]
    assert overlap(alpha[::2, ::2] > 127, MUG_COVERED > 0.5) > 0.95


def test_sixteen_bits_stay(server: RunningServer) -> None:
    deep = np.random.default_rng(3).integers(0, 65536, (32, 48, 3), np.uint16)
    image = upload(server, deep)
    result = run(server, image, "lanczos", factor="4")
    rendered = codec.decode(shown(server, image, result["edit"])).pixels
    np.testing.assert_array_equal(rendered, load_model("lanczos", task="enlarge")(deep, {"factor": "4"}))


def test_an_edit_of_the_whole_canvas_says_how_it_was_made(server: RunningServer, mug_id: str) -> None:
    edit = run(server, mug_id, "backdrop", tolerance=20)["edit"]
    described = server.ask("GET", f"/api/v1/edits/{edit}").json
    assert (described["model"], described["params"]) == ("backdrop", {"tolerance": 20})
    assert (described["mask"], described["change"], described["seed"]) == (None, None, None)
    assert described["canvas"]["has_alpha"]


def test_several_runs_are_several_results(server: RunningServer, mug_id: str) -> None:
    runs = [{"model": "backdrop"}, {"model": "lanczos"}, {"model": "backdrop", "params": {"shadow": 0}}]
    lines = server.post_json("/api/v1/edits", {"image": mug_id, "runs": runs}).lines
    results = [line for line in lines if line["type"] == "result"]
    assert [(line["run"], line["canvas"]["width"]) for line in results] == [(0, 400), (1, 800), (2, 400)]


def test_a_photo_that_a_model_can_do_nothing_with_is_told_so(server: RunningServer, bird_id: str) -> None:
    line = run(server, bird_id, "backdrop")
    assert (line["type"], line["problem"]["code"]) == ("error", "model.image_unsuitable")
    assert "The border of the photo is not plain" in line["problem"]["detail"]


def test_a_result_is_saved_and_survives_a_restart(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    server = start_server(output_dir=str(out))
    data = io.BytesIO()
    Image.fromarray(MUG).save(data, "JPEG", quality=95)
    image = str(server.ask("POST", "/api/v1/images?name=mug.jpg", data.getvalue()).json["id"])
    edit = run_and_wait_for_saving(server, image, out)
    before = shown(server, image, edit)
    server.stop()
    server.start()
    server.wait_ready()
    assert shown(server, image, edit) == before


def run_and_wait_for_saving(server: RunningServer, image: str, out: Path) -> str:
    lines = server.post_json("/api/v1/edits", {"image": image, "runs": [{"model": "backdrop"}]}).lines
    assert within(60, lambda: len(list(out.iterdir())) == 1)
    (saved,) = out.iterdir()
    assert saved.suffix == ".png", "a JPEG holds no transparency"
    assert decode(saved.read_bytes()).shape == (300, 400, 4)
    return str(next(line["edit"] for line in lines if line["type"] == "result"))


@pytest.mark.parametrize(
    ("request_part", "pointer", "code"),
    [
        ({"runs": [{"model": "painter"}]}, "/mask", "field.missing"),
        ({"runs": [{"model": "backdrop"}], "mask": {"shapes": [RECT]}}, "/mask", "param.unknown"),
        ({"runs": [{"model": "painter"}, {"model": "backdrop"}], "mask": {"shapes": [RECT]}}, "/mask", "param.unknown"),
        ({"runs": [{"model": "grabcut"}]}, "/runs/0/model", "model.wrong_task"),
        ({"runs": [{"model": "backdrop"}, {"model": "lanczos", "params": {"factor": "3"}}]}, "/runs/1/params/factor",
         "param.unknown_value"),
        ({"runs": [{"model": "backdrop", "params": {"tolerance": 0}}]}, "/runs/0/params/tolerance",
         "param.out_of_range"),
    ],
)  # fmt: skip
def test_what_a_model_needs_is_checked_before_anything_waits(
    server: RunningServer, mug_id: str, request_part: dict[str, Any], pointer: str, code: str
) -> None:
    reply = server.post_json("/api/v1/edits", {"image": mug_id, **request_part})
    assert (reply.status, reply.code) == (422, code), reply.body
    assert reply.json["errors"][0]["pointer"] == pointer


def test_a_canvas_that_would_be_too_large_is_refused(start_server: Callable[..., RunningServer]) -> None:
    """B79."""
    server = start_server(max_megapixels=1)
    image = upload(server, np.zeros((400, 700, 3), np.uint8))
    refused = server.post_json(
        "/api/v1/edits", {"image": image, "runs": [{"model": "lanczos", "params": {"factor": "4"}}]}
    )
    assert refused.code == "param.out_of_range"
    assert refused.json["errors"][0]["pointer"] == "/runs/0/params/factor"
    assert refused.json["limit"]["actual"] == 1600 * 2800


def test_a_cancelled_enlargement_leaves_nothing(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    server = start_server()
    image = upload(server, photo())
    first = server.stream({"image": image, "mask": {"shapes": [RECT]}, "runs": [misbehaving("stay")]})
    slow = next(first)["job"]
    second = server.stream({"image": image, "runs": [{"model": "lanczos"}]})
    waiting = next(second)["job"]
    assert server.ask("DELETE", f"/api/v1/edits/{waiting}").status == 204
    assert [line["problem"]["code"] for line in second if line["type"] == "error"] == ["job.cancelled"]
    server.ask("DELETE", f"/api/v1/edits/{slow}")
    assert list(first)[-1]["problem"]["code"] == "job.cancelled"
    assert not list((tmp_path / "data" / "tmp").iterdir())


# the list of models


def test_models_say_what_they_are_there_for(server: RunningServer) -> None:
    reply = server.ask("GET", "/api/v1/models").json
    tasks = {model["name"]: model["task"] for model in reply["models"]}
    wanted = {"painter": "fill", "grabcut": "select", "backdrop": "matte", "lanczos": "enlarge"}
    assert wanted.items() <= tasks.items()
    assert tasks[reply["current"]] == "fill"


def test_only_models_that_fill_are_offered_and_taken_as_the_current_one(server: RunningServer) -> None:
    offered = [model["name"] for model in server.ask("GET", "/api/v1/server-config").json["modelInfos"]]
    assert "painter" in offered
    assert not {"grabcut", "backdrop", "lanczos"} & set(offered)
    assert server.post_json("/api/v1/model", {"name": "grabcut"}).code == "model.wrong_task"


# words and pictures


def worded(server: RunningServer, image: str, **params: Any) -> Reply:
    return server.edit(image, {"model": "worded", "params": params}, mask={"shapes": [RECT], "grow_px": 0})


def colour(server: RunningServer, image: str, reply: Reply) -> list[int]:
    """In the middle of what was filled."""
    assert reply.status == 200, reply.body
    return [int(value) for value in decode(shown(server, image, reply.lines[-1]["edit"]))[25, 30]]


def test_words_and_pictures_reach_the_model(server: RunningServer) -> None:
    image = upload(server, photo())
    green = upload(server, np.full((20, 30, 3), (0, 200, 0), np.uint8))
    assert colour(server, image, worded(server, image)) == [0, 0, 0]
    assert colour(server, image, worded(server, image, prompt="red")) == [255, 0, 0]
    reply = worded(server, image, example=green)
    assert colour(server, image, reply) == [0, 200, 0]
    described = server.ask("GET", f"/api/v1/edits/{reply.lines[-1]['edit']}").json
    assert described["params"] == {"example": green}


def test_a_one_shot_takes_them_as_well(server: RunningServer) -> None:
    green = upload(server, np.full((20, 30, 3), (0, 200, 0), np.uint8))
    mask = np.zeros((64, 96), np.uint8)
    mask[16:36, 20:44] = 255
    params = {"model": "worded", "params": {"example": green}}
    reply = server.one_shot(encode(photo()), encode(mask), params)
    assert reply.status == 200, reply.body
    assert decode(reply.body)[25, 30].tolist() == [0, 200, 0]


@pytest.mark.parametrize(
    ("params", "pointer", "code"),
    [
        ({"prompt": "x" * 21}, "/runs/0/params/prompt", "param.out_of_range"),
        ({"prompt": 3}, "/runs/0/params/prompt", "param.wrong_type"),
        ({"example": 3}, "/runs/0/params/example", "param.wrong_type"),
        ({"example": "0" * 64}, "/runs/0/params/example", "image.not_found"),
        ({"example": "LARGE"}, "/runs/0/params/example", "param.out_of_range"),
    ],
)
def test_words_and_pictures_are_checked_before_anything_waits(
    server: RunningServer, params: dict[str, Any], pointer: str, code: str
) -> None:
    """B76."""
    image = upload(server, photo())
    if params.get("example") == "LARGE":
        params = {"example": upload(server, photo(100, 71))}
    reply = worded(server, image, **params)
    assert reply.code == code, reply.body
    assert reply.json["errors"][0]["pointer"] == pointer


def test_the_list_describes_words_and_pictures(server: RunningServer) -> None:
    models = server.ask("GET", "/api/v1/models").json["models"]
    prompt, example = next(model for model in models if model["name"] == "worded")["parameters"]
    assert (prompt["kind"], prompt["default"], prompt["max_length"]) == ("text", "", 20)
    assert prompt["placeholder"] == "a red car"
    assert (example["kind"], example["default"]) == ("picture", None)
