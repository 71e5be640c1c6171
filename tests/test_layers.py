"""Who may import whom: lama_server -> inpaint_models -> torch, numpy; never upwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tools import house

FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "lama_server": (
        ("__main__", "cluster"),
        ("cli",),
        ("app",),
        ("routes",),
        ("http", "jobs"),
        ("store", "model_manager"),
        ("workers",),
        ("imaging",),
        ("codec",),
        ("schemas",),
        ("errors", "exits", "settings", "lama_server"),
    ),
    "inpaint_models": (
        ("inpaint_models",),
        ("loading",),
        ("catalog", "tasks"),
        ("pipeline",),
        (
            "migan",
            "lama",
            "mat",
            "fcf",
            "zits",
            "ldm",
            "manga",
            "diffusion",
            "patchmatch",
            "opencv",
            "grabcut",
            "lasso",
            "wand",
            "sam",
            "text",
            "dust",
            "wires",
            "people",
            "backdrop",
            "cutout",
            "lanczos",
            "realesrgan",
            "gfpgan",
        ),
        ("nn", "onnx"),
        ("weights", "imaging", "devices", "options", "evaluation", "finish"),
        ("repositories",),
        ("registry",),
        ("parameters", "protocols"),
        ("types",),
        ("machine",),
        ("errors", "folders"),
    ),
}
"""Rooms from the top down: a room imports only what stands below it."""

WEB = {"fastapi", "starlette", "uvicorn", "pydantic", "jinja2", "typer", "lama_server"}
LIBRARY = house.PACKAGES["inpaint_models"] / "inpaint_models"
SERVER = house.PACKAGES["lama_server"] / "lama_server"


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


@pytest.mark.parametrize("package", house.PACKAGES)
def test_every_room_stands_on_a_floor_and_imports_downwards(package: str) -> None:
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS[package]) for room in rooms}
    arrows = house.rooms(package)
    assert set(floor_of) == set(arrows)
    upwards = [
        f"{room} -> {to}" for room, targets in arrows.items() for to in targets if floor_of[to] <= floor_of[room]
    ]
    assert not upwards


@pytest.mark.parametrize("package", house.PACKAGES)
def test_no_module_is_on_a_circle_of_imports(package: str) -> None:
    assert not house.cycles(house.graph(package))


@pytest.mark.parametrize("package", house.PACKAGES)
def test_no_folder_is_crowded_and_no_function_long(package: str) -> None:
    assert not {folder: count for folder, count in house.crowded(package).items() if count > house.MOST_MODULES}
    assert not house.long_functions(package)


@pytest.mark.parametrize("path", files(LIBRARY), ids=lambda p: str(p.relative_to(LIBRARY)))
def test_the_library_knows_nothing_of_the_web(path: Path) -> None:
    assert not [name for name, _ in house.imported(path) if name.split(".")[0] in WEB]


@pytest.mark.parametrize("path", files(LIBRARY), ids=lambda p: str(p.relative_to(LIBRARY)))
def test_torch_is_imported_only_where_an_engine_lives(path: Path) -> None:
    eager = [name for name, at_import in house.imported(path) if at_import and name.split(".")[0] == "torch"]
    an_engine = path.parent != LIBRARY and path.parent.name != "weights" and path.name != "__init__.py"
    assert an_engine or not eager, f"{path.name} imports torch as soon as it is imported itself"


@pytest.mark.parametrize("path", files(SERVER), ids=lambda p: str(p.relative_to(SERVER)))
def test_the_server_never_imports_torch_itself(path: Path) -> None:
    assert not [name for name, _ in house.imported(path) if name.split(".")[0] == "torch"]


PROCESSES = {
    "catalogue": "import inpaint_models.catalog",
    "web": (
        "from lama_server import app, settings; from lama_server.cli import serve; import lama_server.http.server;"
        "app.create_app(settings.Settings(model='opencv', local_files_only=True))"
    ),
    "engine": "import lama_server.workers.engine_worker",
    "codec": "import lama_server.workers.codec_worker",
}
LATE = {
    "catalogue": {"cv2", "PIL", "pydantic"},
    "web": {
        *("cv2", "PIL", "jinja2", "socketio", "urllib.request", "concurrent.futures.process", "ray", "grpc"),
        *("lama_server.codec.probing", "lama_server.codec.rendering", "inpaint_models.pipeline"),
    },
    "engine": {"PIL", "fastapi", "lama_server.codec.probing", "inpaint_models.catalog", "inpaint_models.weights"},
    "codec": {"cv2", "PIL", "fastapi", "lama_server.codec.decoding", "inpaint_models.pipeline"},
}
"""What each process does without until it is needed: it makes starting quick and idling small, held without a clock."""


@pytest.mark.parametrize("process", PROCESSES)
def test_what_is_needed_late_is_imported_late(process: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", f"import json, sys; {PROCESSES[process]}; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{SERVER.parent}:{LIBRARY.parent}"},
    )
    imported = set(json.loads(run.stdout))
    never = {"torch", "numba", "scipy", "psutil", "huggingface_hub"}
    never |= {"obstore", "onnxruntime", "ray", "rapidocr", "transformers"}
    assert not (never | LATE[process]) & imported
