"""Diffusion models over HTTP: words, an example picture, previews, cancelling, and the settings that concern them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_pipelines as tiny
from fake_engines import photo
from inpaint_models import get_model, list_models
from lama_server.routes.iopaint.models import model_info
from lama_server.settings import Limits
from serving import RunningServer, decode, edit_request, encode, rect_mask

EXAMPLE = "paint_by_example_example_image"
WORDS = {"model": "words", "params": {"prompt": "a red ball", "steps": 2}, "seed": 3}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("models")
    tiny.saved("sd", home / "words")
    tiny.saved("paint-by-example", home / "example")
    return home


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One process for all: it loads the library once. Without a GPU --cpu-offload does nothing by itself."""
    settings = {
        "real_engines": True,
        "offloaded": ["words", "example"],
        "cpu_offload": True,
        "model": "words",
        "model_dir": str(models),
        "local_files_only": True,
        "precision": "float32",
    }
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")  # the networks are too small for more
        with RunningServer(tmp_path_factory.mktemp("data"), settings) as running:
            running.wait_ready()
            yield running


def pixels() -> np.ndarray:
    return photo(96, 64)


def cleaner(server: RunningServer, fields: dict[str, str], **files: bytes) -> bytes:
    """What lama-cleaner's address answers."""
    given = {"image": encode(pixels()), "mask": encode(rect_mask()), **files}
    return server.post_form("/inpaint", given, **fields).body


def listed(server: RunningServer) -> dict[str, Any]:
    return {model["name"]: model for model in server.ask("GET", "/api/v1/models").json["models"]}


def test_a_model_of_the_model_folder_is_listed_with_its_words(server: RunningServer) -> None:
    model = listed(server)["words"]
    assert (model["state"], model["stochastic"]) == ("loaded", True)
    kinds = {parameter["name"]: parameter["kind"] for parameter in model["parameters"]}
    assert (kinds["prompt"], kinds["negative_prompt"]) == ("text", "text")
    assert listed(server)["sd15"]["state"] == "missing"


def test_words_decide_and_seeds_are_variations(server: RunningServer) -> None:
    image = server.upload(pixels()).json["id"]
    others = [{**WORDS, "seed": 4}, {**WORDS, "params": {**WORDS["params"], "prompt": "snow"}}, WORDS]  # type: ignore[dict-item]
    lines = server.edit(image, WORDS, *others).lines
    results = [line for line in lines if line["type"] == "result"]
    patches = [decode(server.ask("GET", line["patches"][0]["url"]).body) for line in results]
    first, seeded, worded, again = patches
    assert np.array_equal(first, again)
    assert not np.array_equal(first, seeded)
    assert not np.array_equal(first, worded)
    assert {line["stage"] for line in lines if line["type"] == "progress"} >= {"encoding", "denoising", "decoding"}


def test_known_pixels_are_those_of_the_photo(server: RunningServer) -> None:
    answer = server.one_shot(encode(pixels()), encode(rect_mask()), {"model": "words", "params": {"steps": 2}})
    assert answer.status == 200
    known = rect_mask() == 0
    assert np.array_equal(decode(answer.body)[known], pixels()[known])


def test_an_example_is_an_uploaded_photo(server: RunningServer) -> None:
    image = server.upload(pixels()).json["id"]
    examples = [server.upload(np.full((30, 40, 3), grey, np.uint8), f"{grey}.png").json["id"] for grey in (9, 200)]
    runs = [{"model": "example", "params": {"steps": 2, "example": example}, "seed": 1} for example in examples]
    results = [line for line in server.edit(image, *runs).lines if line["type"] == "result"]
    one, other = (server.ask("GET", line["patches"][0]["url"]).body for line in results)
    assert one != other


@pytest.mark.parametrize("way", ["model", "group", "sequential"])
def test_a_model_that_is_kept_off_the_gpu_gives_the_same(server: RunningServer, way: str) -> None:
    image = server.upload(pixels()).json["id"]
    example = server.upload(np.full((30, 40, 3), 200, np.uint8)).json["id"]
    runs = [WORDS, {"model": "example", "params": {"steps": 2, "example": example}, "seed": 3}]
    others = [{**run, "model": f"{run['model']}-{way}"} for run in runs]
    lines = server.edit(image, *runs, *others).lines
    results = [line for line in lines if line["type"] == "result"]
    words, shown, *spread = (decode(server.ask("GET", line["patches"][0]["url"]).body).astype(int) for line in results)
    for whole, other in zip((words, shown), spread, strict=True):
        np.testing.assert_allclose(other, whole, atol=1)


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(server: RunningServer) -> None:
    problem = server.edit(server.upload(pixels()).json["id"], {"model": "words-refused"}).lines[-1]["problem"]
    assert problem["code"] == "engine.out_of_memory"
    assert "was not loaded. Offloading keeps the model in its memory." in problem["detail"]


def test_a_fill_with_many_steps_shows_previews_and_is_cancelled(server: RunningServer) -> None:
    image = server.upload(pixels()).json["id"]
    run = {**WORDS, "params": {"prompt": "a ball", "steps": 200}}
    stream = server.stream(edit_request(image, run))
    seen: list[str] = []
    for line in stream:
        seen.append(line["type"])
        if line["type"] == "preview":
            assert server.ask("GET", line["url"]).status == 200
            assert server.ask("DELETE", f"/api/v1/edits/{line['job']}").status == 204
            break
    rest = list(stream)
    assert "preview" in seen
    assert rest[-1]["type"] == "error"
    assert rest[-1]["problem"]["code"] == "job.cancelled"
    assert server.edit(image, WORDS).lines[-1]["type"] == "result"


def test_diffusion_models_may_take_longer_than_other_networks() -> None:
    deadlines_s = [entry.deadline_s for entry in list_models() if entry.kind == "words"]
    assert len(deadlines_s) == 5
    assert min(deadlines_s) > Limits().network_deadline_s


@pytest.mark.parametrize(
    ("params", "code", "pointer"),
    [
        ({"prompt": "x" * 1001}, "param.out_of_range", "/runs/0/params/prompt"),
        ({"prompt": "a\u0000b"}, "param.wrong_type", "/runs/0/params/prompt"),
        ({"sampler": "magic"}, "param.unknown_value", "/runs/0/params/sampler"),
        ({"steps": 0}, "param.out_of_range", "/runs/0/params/steps"),
    ],
)
def test_a_wrong_parameter_is_named(server: RunningServer, params: dict[str, Any], code: str, pointer: str) -> None:
    image = server.upload(pixels()).json["id"]
    answer = server.edit(image, {"model": "words", "params": params})
    assert (answer.code, answer.json["errors"][0]["pointer"]) == (code, pointer)


def test_iopaints_clients_give_words_too(server: RunningServer) -> None:
    body = {
        "image": base64.b64encode(encode(pixels())).decode(),
        "mask": base64.b64encode(encode(rect_mask())).decode(),
        "prompt": "a red ball",
        "sd_steps": 2,
        "sd_sampler": "UniPC",
        "sd_guidance_scale": 5.0,
        "sd_seed": 3,
    }
    first = server.post_json("/api/v1/inpaint", body)
    other = server.post_json("/api/v1/inpaint", {**body, "prompt": "snow"})
    assert (first.status, other.status) == (200, 200)
    assert first.body != other.body
    assert "sampler" in server.post_json("/api/v1/inpaint", {**body, "sd_sampler": "magic"}).json["detail"]
    info = server.ask("GET", "/api/v1/model").json
    assert (info["need_prompt"], info["support_strength"]) == (True, True)
    assert info["model_type"] == "diffusers_sd_inpaint", "its page shows words for other types than inpaint only"
    assert "UniPC" in server.ask("GET", "/api/v1/samplers").json


@pytest.mark.parametrize(
    ("name", "theirs", "kind"),
    [
        ("sd15", "sd15", "diffusers_sd_inpaint"),
        ("sdxl", "sdxl", "diffusers_sd_inpaint"),
        ("paint-by-example", "Fantasy-Studio/Paint-by-Example", "diffusers_other"),
        ("instruct-pix2pix", "timbrooks/instruct-pix2pix", "diffusers_other"),
        ("lama", "lama", "inpaint"),
    ],
)
def test_iopaints_page_finds_the_options_of_a_model_by_its_name_and_type(name: str, theirs: str, kind: str) -> None:
    entry = get_model(name)
    info = model_info(entry)
    assert (info["name"], info["model_type"]) == (theirs, kind)
    assert get_model(theirs) == entry


def test_older_clients_send_an_example_beside_the_photo(server: RunningServer) -> None:
    """IOPaint's in base64, lama-cleaner's as a file of the form; both as an uploaded one."""
    shown = encode(np.full((30, 40, 3), 200, np.uint8))
    uploaded = server.ask("POST", "/api/v1/images?name=example.png", shown).json["id"]
    params = {"model": "example", "params": {"steps": 2, "example": uploaded, "sampler": "DDIM"}, "seed": 3}
    expected = server.one_shot(encode(pixels()), encode(rect_mask()), params).body
    server.post_json("/api/v1/model", {"name": "example"})
    try:
        assert server.ask("GET", "/api/v1/model").json["model_type"] == "diffusers_other"
        body = {"sd_steps": 2, "sd_sampler": "DDIM", "sd_seed": 3, "hd_strategy": "Crop"}
        for name, data in (("image", encode(pixels())), ("mask", encode(rect_mask())), (EXAMPLE, shown)):
            body[name] = base64.b64encode(data).decode()
        assert server.post_json("/api/v1/inpaint", body).body == expected
        assert server.post_json("/api/v1/inpaint", {**body, EXAMPLE: ""}).body != expected
        assert server.post_json("/api/v1/inpaint", {**body, EXAMPLE: "***"}).code == "param.invalid"

        fields = {"paintByExampleSteps": "2", "paintByExampleSeed": "3", "sdSeed": "9", "sdSampler": "ddim"}
        assert cleaner(server, fields, paintByExampleImage=shown) == expected
    finally:
        server.post_json("/api/v1/model", {"name": "words"})


def test_lama_cleaners_form_gives_words(server: RunningServer) -> None:
    fields = {"prompt": "a red ball", "sdSteps": "2", "sdSeed": "3", "sdSampler": "uni_pc", "hdStrategy": "Crop"}
    params = {**WORDS, "params": {**WORDS["params"], "sampler": "UniPC"}}  # type: ignore[dict-item]
    expected = server.one_shot(encode(pixels()), encode(rect_mask()), params).body
    assert cleaner(server, fields) == expected
    soft = server.one_shot(encode(pixels()), encode(rect_mask()), {**params, "feather_px": 5}).body
    assert cleaner(server, {**fields, "sdMaskBlur": "5"}) == soft != expected
    assert cleaner(server, {**fields, "prompt": "snow"}) != expected


def test_one_model_only_where_switching_is_disabled(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(disable_model_switch=True)
    image = server.upload(pixels()).json["id"]
    assert server.edit(image, {"model": "painter"}).lines[-1]["type"] == "result"
    refused = server.edit(image, {"model": "second"})
    assert (refused.status, refused.code) == (403, "model.switch_disabled")
    assert server.post_json("/api/v1/model", {"name": "second"}).status == 403
    assert [model["name"] for model in listed(server).values() if model["task"] == "fill"] == ["painter"]
    assert server.ask("GET", "/api/v1/server-config").json["disableModelSwitch"] is True
