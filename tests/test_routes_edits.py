"""Photos up, strokes up, patches down; against a real server with fake engines."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_engines import photo
from serving import RECT, Reply, RunningServer, decode, edit_request, encode, misbehaving, within

pytestmark = pytest.mark.on_ray

BOX = (slice(16, 36), slice(20, 44))


@pytest.fixture(scope="module")
def image(server: RunningServer) -> str:
    return str(server.upload(photo()).json["id"])


def results(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == "result"]


def test_an_upload_is_named_by_its_content(server: RunningServer) -> None:
    data = encode(photo(code=5))
    reply = server.ask("POST", "/api/v1/images?name=beach.png", data)
    assert reply.status == 200
    assert reply.json == {
        "id": hashlib.sha256(data).hexdigest(),
        "name": "beach.png",
        "width": 96,
        "height": 64,
        "format": "png",
        "bit_depth": 8,
        "has_alpha": False,
        "icc": False,
        "browsers_agree": True,
        "size_bytes": len(data),
    }
    assert server.ask("POST", "/api/v1/images?name=beach.png", data).json == reply.json
    assert server.ask("HEAD", f"/api/v1/images/{reply.json['id']}").status == 200
    assert server.ask("GET", f"/api/v1/images/{reply.json['id']}").json == reply.json


@pytest.mark.parametrize("image_id", ["0" * 64, "nope", "..", "%2e%2e%2f", "a" * 500])
def test_an_unknown_image_is_a_404(server: RunningServer, image_id: str) -> None:
    """B81."""
    assert server.ask("GET", f"/api/v1/images/{image_id}").status == 404
    assert server.ask("HEAD", f"/api/v1/images/{image_id}").body == b""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "image.empty"),
        (b"GIF is not", "image.unsupported_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image.unsupported_format"),
        (encode(photo())[:2000], "image.truncated"),
        (encode(photo(8, 8)), "image.too_small"),
    ],
    ids=["empty", "text", "svg", "truncated", "small"],
)
def test_what_is_no_photo_is_refused_with_a_code(server: RunningServer, data: bytes, code: str) -> None:
    assert server.ask("POST", "/api/v1/images?name=x", data).code == code


def test_an_edit_brings_a_patch_that_changes_the_hole_only(server: RunningServer, image: str) -> None:
    reply = server.edit(image, {"model": "painter", "seed": 200})
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert reply.lines[0] == {"type": "queued", "job": reply.lines[0]["job"], "position": 0}
    (result,) = results(reply.lines)
    assert result["model"] == "painter"
    assert result["seed"] == 200
    place, edit = {"x": 20, "y": 16, "w": 24, "h": 20}, f"/api/v1/edits/{result['edit']}"
    assert result["patches"] == [{"url": f"{edit}/patches/0.png", **place}]
    assert result["patch"] == {"url": f"{edit}/patch.png", **place}
    patch = server.ask("GET", f"{edit}/patches/0.png")
    assert server.ask("GET", f"{edit}/patch.png").body == patch.body
    for absent in ("1", "-1", "x", "0" * 20):
        assert server.ask("GET", f"{edit}/patches/{absent}.png").code == "edit.not_found"
    assert "immutable" in patch.headers["cache-control"]
    assert (decode(patch.body) == (200, 0, 0)).all()
    shown = server.ask("GET", f"/api/v1/images/{image}/render?edits={result['edit']}&format=png")
    expected = photo()
    expected[BOX] = (200, 0, 0)
    assert np.array_equal(decode(shown.body), expected)


def test_edits_lie_over_their_parents(server: RunningServer, image: str) -> None:
    first = results(server.edit(image, {"model": "painter", "seed": 50}).lines)[0]["edit"]
    shapes = {"shapes": [{"kind": "rect", "x": 30, "y": 20, "w": 30, "h": 4}]}
    second = server.edit(image, {"model": "second", "seed": 60}, parents=[first], mask=shapes).lines[-1]["edit"]
    shown = decode(server.ask("GET", f"/api/v1/images/{image}/render?edits={first},{second}&format=png").body)
    assert tuple(shown[16, 20]) == (50, 0, 0)
    assert tuple(shown[21, 35]) == (60, 0, 0)
    described = server.ask("GET", f"/api/v1/edits/{second}").json
    assert described["parents"] == [first]
    assert described["mask"]["shapes"][0]["w"] == 30


FAR_APART: list[dict[str, Any]] = [
    {"kind": "rect", "x": x, "y": y, "w": 30, "h": 20} for x, y in ((10, 20), (560, 440), (300, 200))
]


def test_an_edit_has_a_patch_for_each_part_of_its_mask(server: RunningServer) -> None:
    pixels = photo(640, 480)
    image = str(server.upload(pixels).json["id"])
    (result,) = results(server.edit(image, {"model": "painter", "seed": 9}, mask={"shapes": FAR_APART}).lines)
    edit = f"/api/v1/edits/{result['edit']}"
    expected = pixels.copy()
    for shape in FAR_APART:
        expected[shape["y"] : shape["y"] + 20, shape["x"] : shape["x"] + 30] = (9, 0, 0)
    places = sorted((patch["x"], patch["y"], patch["w"], patch["h"]) for patch in result["patches"])
    assert places == [(10, 20, 30, 20), (300, 200, 30, 20), (560, 440, 30, 20)]
    for patch in result["patches"]:
        assert (decode(server.ask("GET", patch["url"]).body) == (9, 0, 0)).all()
    shown = server.ask("GET", f"/api/v1/images/{image}/render?edits={result['edit']}&format=png").body
    assert np.array_equal(decode(shown), expected)
    assert server.ask("GET", edit).json["patches"] == result["patches"]
    assert result["patch"] == {"url": f"{edit}/patch.png", "x": 10, "y": 20, "w": 580, "h": 440}
    assert np.array_equal(decode(server.ask("GET", f"{edit}/patch.png").body), expected[20:460, 10:590])


def test_patches_are_told_as_they_are_done_and_can_be_fetched_while_others_are_filled(server: RunningServer) -> None:
    image = str(server.upload(photo(640, 480)).json["id"])
    stream = server.stream({"image": image, "runs": [misbehaving("stay", seed=9)], "mask": {"shapes": FAR_APART}})
    server.let_go()
    first = next(line for line in stream if line["type"] == "patch")
    assert (decode(server.ask("GET", first["url"]).body) == (9, 0, 0)).all()
    server.let_go(2)
    lines = list(stream)
    told, result = [first, *(line for line in lines if line["type"] == "patch")], lines[-1]
    assert {line["of"] for line in told} == {3}
    assert len(told) == 2, "the last comes with the result"
    for line in told:
        assert line["edit"] == result["edit"]
        assert {name: line[name] for name in ["url", "x", "y", "w", "h"]} == result["patches"][line["index"]]


def test_a_patch_of_an_edit_that_was_given_up_is_gone(server: RunningServer) -> None:
    image = str(server.upload(photo(640, 480)).json["id"])
    stream = server.stream({"image": image, "runs": [misbehaving("stay", seed=9)], "mask": {"shapes": FAR_APART}})
    server.let_go()
    told = next(line for line in stream if line["type"] == "patch")
    assert server.ask("DELETE", f"/api/v1/edits/{told['job']}").status == 204
    assert list(stream)[-1]["problem"]["code"] == "job.cancelled"
    assert server.ask("GET", told["url"]).code == "edit.not_found"


def test_an_edit_in_several_patches_lies_over_its_parents(server: RunningServer) -> None:
    image = str(server.upload(photo(640, 480, code=3)).json["id"])
    first = server.edit(image, {"model": "painter", "seed": 50}, mask={"shapes": FAR_APART}).lines[-1]["edit"]
    moved = {"shapes": [{**shape, "x": shape["x"] + 15} for shape in FAR_APART]}
    second = server.edit(image, {"model": "painter", "seed": 60}, parents=[first], mask=moved).lines[-1]
    shown = decode(server.ask("GET", f"/api/v1/images/{image}/render?edits={first},{second['edit']}&format=png").body)
    joined = server.ask("GET", second["patch"]["url"]).body
    for shape in FAR_APART:
        assert (shown[shape["y"], shape["x"] : shape["x"] + 15] == (50, 0, 0)).all()
        assert (shown[shape["y"], shape["x"] + 15 : shape["x"] + 45] == (60, 0, 0)).all()
    assert np.array_equal(decode(joined), shown[20:460, 25:605]), "the parents show between the patches"


def test_several_runs_come_one_after_another(server: RunningServer, image: str) -> None:
    runs = ({"model": "painter", "seed": 1}, {"model": "second-alias", "seed": 2}, {"model": "painter"})
    lines = server.edit(image, *runs).lines
    assert [(line["run"], line["model"]) for line in results(lines)] == [(0, "painter"), (1, "second"), (2, "painter")]


def test_a_failing_run_does_not_take_the_others_along(server: RunningServer, image: str) -> None:
    lines = server.edit(
        image, misbehaving("fail"), misbehaving("memory"), misbehaving("bug"), misbehaving("paint")
    ).lines
    errors = [(line["run"], line["problem"]["code"]) for line in lines if line["type"] == "error"]
    assert errors == [(0, "engine.failed"), (1, "engine.out_of_memory"), (2, "server.internal")]
    assert [line["run"] for line in results(lines)] == [3]
    assert "secret" not in str(lines)


def test_progress_and_previews_come_while_it_runs(server: RunningServer, image: str) -> None:
    lines = server.edit(image, misbehaving("slow", 0.8)).lines
    assert any(line["type"] == "progress" and line["stage"] == "painting" for line in lines)
    preview = next(line for line in lines if line["type"] == "preview")
    assert server.ask("GET", preview["url"]).headers["content-type"] == "image/jpeg"
    assert server.ask("GET", "/api/v1/previews/none").status == 404


def test_health_answers_while_a_fill_runs(server: RunningServer, image: str) -> None:
    lines = server.stream(edit_request(image, misbehaving("slow", 0.6)))
    while next(lines)["type"] != "progress":
        pass
    assert server.ask("GET", "/healthz").json["status"] == "ok"
    assert next(lines)["type"] in ("progress", "preview")
    assert [line["type"] for line in lines][-1] == "result"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"image": "0" * 64}, "image.not_found"),
        ({"parents": ["0" * 32]}, "edit.not_found"),
        ({"runs": [{"model": "nothing"}]}, "model.unknown"),
        ({"runs": [{"model": "remote"}]}, "model.not_downloaded"),
        ({"runs": []}, "param.out_of_range"),
        ({"runs": [{"model": "painter", "seed": -1}]}, "param.out_of_range"),
        ({"runs": [{"model": "painter", "seed": 2**64}]}, "param.out_of_range"),
        ({"runs": [{"model": "painter", "seed": "abc"}]}, "param.wrong_type"),
        ({"runs": [{"model": "painter", "params": {"radius": 1}}]}, "param.unknown"),
        ({"runs": [{"model": "painter", "params": {"seconds": 601}}]}, "param.out_of_range"),
        ({"runs": [{"model": "painter", "params": {"seconds": "1"}}]}, "param.wrong_type"),
        ({"runs": [{"model": "painter", "params": {"behaviour": "dance"}}]}, "param.unknown_value"),
        ({"runs": [{"model": "painter"}] * 17}, "param.too_long"),
        ({"__proto__": 1}, "param.unknown"),
        ({"strategy": "magic"}, "param.unknown_value"),
        ({"mask": {"shapes": []}}, "param.out_of_range"),
        ({"mask": {"shapes": [{"kind": "star"}]}}, "param.unknown_value"),
        ({"mask": {"shapes": [{**RECT, "w": 0}]}}, "param.out_of_range"),
        ({"mask": {"shapes": [RECT], "grow_px": 300}}, "param.out_of_range"),
        ({"mask": None}, "field.missing"),
    ],
)
def test_bad_edits_are_refused_before_anything_runs(
    server: RunningServer, image: str, change: dict[str, object], code: str
) -> None:
    reply = server.post_json("/api/v1/edits", {**edit_request(image), **change})
    assert reply.code == code
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_mask_beside_the_picture_is_empty(server: RunningServer, image: str) -> None:
    lines = server.edit(image, mask={"shapes": [{"kind": "rect", "x": 500, "y": 0, "w": 5, "h": 5}]}).lines
    assert lines[-1]["problem"]["code"] == "mask.empty"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"image": NaN}', b'{"image": 1e400}', b'{"a": 1, "a": 2}', b"\xff\xfe",
        b"[" * 10_000 + b"]" * 10_000, b'{"image": "\\ud800"}',
    ],
)  # fmt: skip
def test_broken_json_is_refused(server: RunningServer, body: bytes) -> None:
    """B73, B74."""
    reply = server.ask("POST", "/api/v1/edits", body, {"content-type": "application/json"})
    assert reply.code == "params.malformed"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_json_under_another_name_is_refused(server: RunningServer, kind: str | None) -> None:
    """B34."""
    headers = {"content-type": kind} if kind else {}
    assert server.ask("POST", "/api/v1/edits", b"{}", headers).code == "body.unsupported_type"


def test_a_running_job_is_cancelled_by_its_id(server: RunningServer, image: str) -> None:
    """B113."""
    lines = server.stream(edit_request(image, misbehaving("stay"), misbehaving("stay")))
    job = next(lines)["job"]
    assert server.ask("DELETE", f"/api/v1/edits/{job}").status == 204
    assert [line["problem"]["code"] for line in lines if line["type"] == "error"] == ["job.cancelled"]
    assert server.ask("DELETE", f"/api/v1/edits/{job}").code == "job.not_found"
    assert results(server.edit(image).lines)


def test_hanging_up_cancels_the_job(server: RunningServer, image: str) -> None:
    lines = server.stream(edit_request(image, misbehaving("stay")))
    job = next(lines)["job"]
    lines.close()
    assert within(60, lambda: server.ask("DELETE", f"/api/v1/edits/{job}").code == "job.not_found")
    assert results(server.edit(image).lines)


@pytest.mark.plain("one job at a time")
def test_a_waiting_job_knows_its_place_and_can_be_cancelled(server: RunningServer, image: str) -> None:
    """B113."""
    running = server.stream(edit_request(image, misbehaving("stay")))
    first = next(running)["job"]
    waiting = server.stream(edit_request(image))
    place = next(waiting)
    assert place["position"] == 1
    assert server.ask("DELETE", f"/api/v1/edits/{place['job']}").status == 204
    assert next(waiting)["problem"]["code"] == "job.cancelled"
    server.ask("DELETE", f"/api/v1/edits/{first}")
    assert [line["type"] for line in running][-1] == "error"


@pytest.mark.plain("one job at a time")
def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(server: RunningServer, image: str) -> None:
    """B114."""
    streams = [server.stream(edit_request(image, misbehaving("stay"))) for _ in range(9)]
    jobs = [next(stream)["job"] for stream in streams]
    reply = server.edit(image)
    assert reply.code == "queue.full"
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert server.ask("GET", "/readyz").json["checks"]["queue"]["ok"] is False
    for job in reversed(jobs):
        server.ask("DELETE", f"/api/v1/edits/{job}")
    for stream in streams:
        list(stream)
    assert results(server.edit(image).lines)


def test_a_result_belongs_to_its_own_request_however_many_ask(server: RunningServer) -> None:
    """40 clients at once, each with its own photo and colour; refused ones come back."""
    wrong: list[object] = []

    def insist(ask: Callable[[], Reply]) -> Reply:
        while (reply := ask()).status == 429:
            time.sleep(0.05)
        return reply

    def client(code: int) -> None:
        pixels = photo(code=code)
        image = insist(lambda: server.upload(pixels, f"{code}.png")).json["id"]
        reply = insist(lambda: server.edit(image, {"model": "painter", "seed": 256 * code + code}))
        edit = results(reply.lines)[0]["edit"]
        shown = decode(insist(lambda: server.ask("GET", f"/api/v1/images/{image}/render?edits={edit}&format=png")).body)
        pixels[BOX] = (code, 0, 0)
        if not np.array_equal(shown, pixels):
            wrong.append(code)

    threads = [threading.Thread(target=client, args=(code,)) for code in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_preview_is_small(server: RunningServer, image: str) -> None:
    """B96."""
    reply = server.ask("GET", f"/api/v1/images/{image}/preview?max=128")
    assert decode(reply.body).shape == (64, 96, 3)
    assert server.ask("GET", f"/api/v1/images/{image}/preview?max=129").code == "param.unknown_value"
    assert server.ask("GET", f"/api/v1/images/{image}/preview?max=x").code == "param.wrong_type"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("format=exe", "param.unknown_value"),
        ("quality=0", "param.out_of_range"),
        ("quality=101", "param.out_of_range"),
        ("quality=1.5", "param.wrong_type"),
        ("edits=" + "0" * 32, "edit.not_found"),
        ("edits=../../x", "edit.not_found"),
    ],
)
def test_bad_render_parameters_are_refused(server: RunningServer, image: str, query: str, code: str) -> None:
    """B80, B81."""
    assert server.ask("GET", f"/api/v1/images/{image}/render?{query}").code == code


def test_a_render_is_offered_under_the_photos_name(server: RunningServer) -> None:
    """B105."""
    pixels = photo(code=77)
    image = server.ask("POST", "/api/v1/images?name=a%22b%0d%0ac.png", encode(pixels)).json["id"]
    reply = server.ask("GET", f"/api/v1/images/{image}/render?format=jpeg&quality=80")
    assert reply.headers["content-disposition"] == "attachment; filename*=UTF-8''a%22b%0D%0Ac.jpg"
    assert reply.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert reply.headers["content-type"] == "image/jpeg"


def test_of_several_results_only_the_one_that_is_asked_for_is_saved(
    start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    server = start_server(output_dir=str(out))
    image = str(server.upload(photo(), "beach.png").json["id"])
    lines = server.edit(image, {"model": "painter", "seed": 3}, {"model": "painter", "seed": 8}, save=False).lines
    first, second = results(lines)
    assert [line["type"] for line in lines].count("saved") == 0
    saved = server.post_json(f"/api/v1/images/{image}/save", {"edits": [second["edit"]]})
    assert (saved.status, saved.json["reencoded"]) == (200, None)
    assert [path.name for path in out.iterdir()] == [saved.json["name"]]
    assert (decode((out / saved.json["name"]).read_bytes())[BOX] == (8, 0, 0)).all()
    assert server.post_json(f"/api/v1/images/{image}/save", {"edits": ["0" * 32]}).code == "edit.not_found"
    server.edit(image, {"model": "painter"}, parents=[first["edit"]])
    assert within(60, lambda: len(list(out.iterdir())) == 2), "scripts need not ask"


def test_a_server_without_an_output_folder_says_so_when_it_is_to_save(server: RunningServer, image: str) -> None:
    edit = results(server.edit(image).lines)[0]["edit"]
    refused = server.post_json(f"/api/v1/images/{image}/save", {"edits": [edit]})
    assert (refused.status, refused.code) == (409, "save.off")
