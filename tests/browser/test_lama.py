"""LaMa in the page: weights under their published keys, put into the model folder by hand, real loader and worker."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from browser.driver import PATIENCE_S, App, OpenApp, Server, running_server
from parity import weights as synthetic
from serving import within

LISTEN = """
const { fetch } = globalThis;
globalThis.fetch = async (...given) => {
  const reply = await fetch(...given);
  if (String(given[0]).endsWith("/api/v1/edits")) globalThis.heard = reply.clone().text();
  return reply;
};
"""
STROKE = [(424.0, 60.0), (424.0, 110.0)]


@pytest.fixture(scope="module")
def lama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`--model lama`, offline, with the synthetic weights of the parity tests in lama/ of the model folder."""
    models = tmp_path_factory.mktemp("models")
    (models / "lama").mkdir()
    state = synthetic.state_dict(synthetic.read_manifest("lama"), "generator")
    safetensors.numpy.save_file(state, models / "lama" / "big-lama.safetensors")
    del state
    with running_server(
        tmp_path_factory.mktemp("lama") / "data", "--model", "lama", "--model-dir", str(models)
    ) as server:
        yield server


def ask(server: Server, path: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(server.url + path, timeout=PATIENCE_S) as reply:
            return dict(json.load(reply))
    except urllib.error.HTTPError as not_ready:
        return dict(json.load(not_ready))


def test_a_stroke_is_filled_by_lama_which_is_loaded_before_it(
    open_app: OpenApp, lama_server: Server, photos: Path, tmp_path: Path
) -> None:
    app: App = open_app(lama_server.url, script=LISTEN)
    assert within(PATIENCE_S, lambda: ask(lama_server, "readyz")["ready"])
    listed = ask(lama_server, "api/v1/models")
    assert listed["current"] == "lama"
    assert {model["name"]: model["state"] for model in listed["models"]}["lama"] == "loaded"

    photo = photos / "astronaut.png"
    app.open(photo)
    patches: list[str] = []
    app.page.on("response", lambda reply: patches.append(reply.url) if reply.url.endswith("/patches/0.png") else None)
    app.paint(STROKE)
    app.wait_for_edits(1)
    stages = {json.loads(line).get("stage", "") for line in app.page.evaluate("() => heard").splitlines()}
    result = app.read("Object.values(state.results)[0][0]")
    assert result["model"] == "lama"
    assert len(patches) == 1
    assert "filling" in stages, "progress was told"
    assert not {stage for stage in stages if "load" in stage}, "the model was in memory before the first stroke"

    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (photo, app.download(tmp_path / "a.png")))
    changed = (before != after).any(axis=2)
    inside = np.zeros_like(changed)
    for patch in result["patches"]:
        inside[patch["y"] : patch["y"] + patch["h"], patch["x"] : patch["x"] + patch["w"]] = True
    assert changed.any()
    assert not (changed & ~inside).any()
