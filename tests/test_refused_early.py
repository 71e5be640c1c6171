"""What can be refused of a request is refused before it lines up: its numbers, its model, the model's parameters."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from fake_engines import entry, photo
from inpaint_models import opencv
from lama_server.app import create_app
from lama_server.jobs.queue import JobQueue, Ticket
from lama_server.settings import Settings
from serving import RECT, edit_request, encode, form, rect_mask

SELECTOR = replace(entry("selector"), task="select")
IMAGE, MASK = encode(photo()), encode(rect_mask())


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), model="opencv")
    with TestClient(
        create_app(settings, entries=(opencv.ENTRY, entry("painter"), SELECTOR)), "http://localhost:8080"
    ) as client:
        yield client


@pytest.fixture
def lined_up(monkeypatch: pytest.MonkeyPatch) -> list[Ticket]:
    """Every ticket that lines up."""
    seen: list[Ticket] = []

    def line_up(queue: JobQueue, ticket: Ticket) -> None:
        seen.append(ticket)
        original(queue, ticket)

    original = JobQueue.line_up
    monkeypatch.setattr(JobQueue, "line_up", line_up)
    return seen


def by_edit(client: TestClient, **fields: Any) -> Any:
    image = client.post("/api/v1/images?name=a.png", content=IMAGE).json()["id"]
    request = edit_request(image, fields.pop("run", {"model": "painter"}))
    request["mask"].update(fields.pop("mask", {}))
    return client.post("/api/v1/edits", json={**request, **fields})


def by_canvas(client: TestClient, **canvas: Any) -> Any:
    image = client.post("/api/v1/images?name=a.png", content=IMAGE).json()["id"]
    return client.post("/api/v1/edits", json={"image": image, "canvas": canvas})


def by_form(client: TestClient, **fields: Any) -> Any:
    body, kind = form(IMAGE, MASK, **fields.pop("files", {}), params=fields)
    return client.post("/api/v1/inpaint", content=body, headers={"content-type": kind})


def by_iopaint(client: TestClient, **fields: Any) -> Any:
    pictures = {"image": base64.b64encode(IMAGE).decode(), "mask": base64.b64encode(MASK).decode()}
    return client.post("/api/v1/inpaint", json={**pictures, **fields})


WIDE = {"kind": "bitmap", "x": 0, "y": 0, "w": 97, "h": 1, "png": ""}
CROP, RESIZE = {"hd_strategy": "Crop"}, {"hd_strategy": "Resize"}
TRIGGER = "hd_strategy_crop_trigger_size"
CASES: list[tuple[Any, dict[str, Any], str, str]] = [
    (by_edit, {"margin_px": -1}, "/margin_px", "param.out_of_range"),
    (by_edit, {"cap_px": 1}, "/cap_px", "param.out_of_range"),
    (by_edit, {"max_side": 1}, "/max_side", "param.out_of_range"),
    (by_edit, {"trigger_px": "x"}, "/trigger_px", "param.wrong_type"),
    (by_edit, {"crop_above": 1.5}, "/crop_above", "param.wrong_type"),
    (by_edit, {"mask": {"grow_px": 10**9}}, "/mask/grow_px", "param.out_of_range"),
    (by_edit, {"mask": {"shapes": [{"kind": "rect", "x": 0, "y": 0, "w": 0, "h": 1}]}}, "/mask/shapes/0/w",
     "param.out_of_range"),
    (by_edit, {"mask": {"feather_px": -1}}, "/mask/feather_px", "param.out_of_range"),
    (by_edit, {"mask": {"source": {"exclude": [RECT]}}}, "/mask/source", "model.no_source_control"),
    (by_edit, {"mask": {"source": {"include": [{**RECT, "w": 0}]}}}, "/mask/source/include/0/w", "param.out_of_range"),
    (by_edit, {"mask": {"source": {"exclude": [WIDE]}}}, "/mask/source/exclude/0/w", "param.out_of_range"),
    (by_edit, {"run": {"model": "painter", "seed": 2**32}}, "/runs/0/seed", "param.out_of_range"),
    (by_edit, {"run": {"model": "painter", "params": {"seconds": -1}}}, "/runs/0/params/seconds", "param.out_of_range"),
    (by_edit, {"run": {"model": "painter", "params": {"a/b": 1}}}, "/runs/0/params/a~1b", "param.unknown"),
    (by_canvas, {"op": "explode"}, "/canvas", "param.unknown_value"),
    (by_canvas, {}, "/canvas", "field.missing"),
    (by_canvas, {"op": "extend"}, "/canvas", "param.invalid"),
    (by_canvas, {"op": "extend", "left": -1}, "/canvas/left", "param.out_of_range"),
    (by_canvas, {"op": "extend", "left": "1"}, "/canvas/left", "param.wrong_type"),
    (by_canvas, {"op": "extend", "left": 32_768}, "/canvas", "param.out_of_range"),
    (by_canvas, {"op": "extend", "left": 10**9}, "/canvas/left", "param.out_of_range"),
    (by_canvas, {"op": "extend", "left": 1, "x": 1}, "/canvas/x", "param.unknown"),
    (by_canvas, {"op": "crop", "x": 0, "y": 0, "w": 97, "h": 20}, "/canvas/w", "param.out_of_range"),
    (by_canvas, {"op": "crop", "x": 0, "y": 50, "w": 20, "h": 20}, "/canvas/h", "param.out_of_range"),
    (by_canvas, {"op": "crop", "x": 0, "y": 0, "w": 20}, "/canvas/h", "field.missing"),
    (by_canvas, {"op": "crop", "x": 0, "y": 0, "w": 20, "h": 15}, "/canvas", "param.out_of_range"),
    (by_canvas, {"op": "rotate", "quarter_turns": 4}, "/canvas/quarter_turns", "param.out_of_range"),
    (by_canvas, {"op": "rotate", "quarter_turns": 1.5}, "/canvas/quarter_turns", "param.wrong_type"),
    (by_canvas, {"op": "scale", "width": 0, "height": 9}, "/canvas/width", "param.out_of_range"),
    (by_canvas, {"op": "scale", "width": 30_000, "height": 30_000}, "/canvas", "param.out_of_range"),
    (by_edit, {"run": {"model": "selector"}}, "/runs/0/model", "model.wrong_task"),
    (by_form, {"model": "selector"}, "/params/model", "model.wrong_task"),
    (by_form, {"files": {"source_exclude": MASK}}, "/source_exclude", "model.no_source_control"),
    (by_form, {"margin_px": -1}, "/params/margin_px", "param.out_of_range"),
    (by_form, {"cap_px": 1}, "/params/cap_px", "param.out_of_range"),
    (by_form, {"trigger_px": "x"}, "/params/trigger_px", "param.wrong_type"),
    (by_form, {"grow_px": 10**9}, "/params/grow_px", "param.out_of_range"),
    (by_form, {"feather_px": True}, "/params/feather_px", "param.wrong_type"),
    (by_form, {"params": {"radius": -1}}, "/params/params/radius", "param.out_of_range"),
    (by_form, {"params": {"method": "magic"}}, "/params/params/method", "param.unknown_value"),
    (by_iopaint, {**CROP, "hd_strategy_crop_margin": -1}, "/hd_strategy_crop_margin", "param.out_of_range"),
    (by_iopaint, {**CROP, TRIGGER: "x"}, f"/{TRIGGER}", "param.wrong_type"),
    (by_iopaint, {**RESIZE, "hd_strategy_resize_limit": 1}, "/hd_strategy_resize_limit", "param.out_of_range"),
    (by_iopaint, {"sd_seed": "x"}, "/sd_seed", "param.wrong_type"),
    (by_iopaint, {"cv2_radius": -1}, "/cv2_radius", "param.out_of_range"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "fields", "pointer", "code"), CASES, ids=[f"{ask.__name__}{pointer}" for ask, _, pointer, _ in CASES]
)
def test_a_request_that_cannot_be_met_is_named_and_takes_no_place(
    client: TestClient, lined_up: list[Ticket], ask: Any, fields: dict[str, Any], pointer: str, code: str
) -> None:
    """B72, B77, B78, B79.

    A place is reserved before the body is read (G8); it is given back, and the line of others stays as it is.
    """
    queue: JobQueue = client.app.state.services.queue  # type: ignore[attr-defined]
    others = [queue.reserve() for _ in range(queue.waiting)]
    try:
        for other in others:
            queue.line_up(other)
        lined_up.clear()
        reply = ask(client, **fields)
        assert (reply.status_code, reply.json()["code"]) == (422, code)
        fields_found = reply.json()["problems" if ask is by_iopaint else "errors"]
        assert [found["pointer"] for found in fields_found] == [pointer]
        assert not lined_up
        assert [queue.position(other) for other in others] == list(range(queue.waiting))
        others.append(queue.reserve())  # the place that the refused request had
        assert queue.is_full
        assert ask(client).json()["code"] == "queue.full"
    finally:
        for other in others:
            other.release()


def test_sizes_of_a_strategy_that_is_not_asked_for_do_not_count(client: TestClient) -> None:
    """IOPaint's clients send every field whatever the strategy."""
    reply = by_iopaint(
        client, hd_strategy="Original", hd_strategy_crop_margin=0, hd_strategy_resize_limit=0, sd_seed=-1
    )
    assert reply.status_code == 200


def test_the_names_of_one_version_ago_still_count(client: TestClient) -> None:
    assert by_form(client, cap_px=64, trigger_px=16).status_code == 200
    assert by_form(client, cap_px=64, max_side=64).json()["code"] == "param.unknown"


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("quality=0", "/quality", "param.out_of_range"),
        ("quality=" + "9" * 4000, "/quality", "param.out_of_range"),
        ("quality=my-secret", "/quality", "param.wrong_type"),
        ("format=my-secret", "/format", "param.unknown_value"),
    ],
)
def test_a_query_value_that_cannot_be_met_is_named_and_not_repeated(
    client: TestClient, lined_up: list[Ticket], query: str, pointer: str, code: str
) -> None:
    body, kind = form(IMAGE, MASK)
    reply = client.post(f"/api/v1/inpaint?{query}", content=body, headers={"content-type": kind})
    assert (reply.status_code, reply.json()["code"]) == (422, code)
    assert [found["pointer"] for found in reply.json()["errors"]] == [pointer]
    assert "my-secret" not in reply.text
    assert not lined_up
