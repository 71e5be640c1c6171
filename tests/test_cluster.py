"""What makes a cluster of the server, without one: the application's shape, pixels on their way, crops of many jobs."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tools import house

from fake_engines import BATCHER, ENTRIES, Batcher, photo
from inpaint_models.errors import Cancelled, EngineFailed, OutOfMemory
from inpaint_models.types import FloatImage, Progress, no_progress
from lama_server.app import create_app
from lama_server.cli.main import main
from lama_server.cluster import app
from lama_server.cluster.application import NAME, Size, application
from lama_server.cluster.batching import Crop, SharedEngine
from lama_server.exits import ExitCode, StartError
from lama_server.http.static_files import Frontend, find_frontend
from lama_server.settings import Settings
from serving import RunningServer, edit_request, within

SERVER = house.PACKAGES["lama_server"] / "lama_server"
ENV = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(map(str, house.PACKAGES.values())),
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}


def test_ray_is_imported_by_the_cluster_alone() -> None:
    outside = [path for path in SERVER.rglob("*.py") if "cluster" not in path.parts]
    assert outside
    assert not [path for path in outside for name, _ in house.imported(path) if name.split(".")[0] == "ray"]


def test_without_ray_the_command_says_what_to_install() -> None:
    script = "import sys; sys.modules['ray'] = None; from lama_server.cli import main; sys.exit(main(['cluster']))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == ExitCode.USAGE
    assert run.stderr == "lama-server: Ray is not installed: pip install 'lama-server[cluster]'.\n"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"max_replicas": "many"}, "max_replicas"),
        ({"min_replicas": 3, "max_replicas": 2}, "no range"),
        ({"cpus": -1}, "too small"),
        ({"models": "unheard-of"}, "unheard-of"),
        ({"models": "opencv,opencv"}, "twice"),
        ({"models": "wand"}, "none of these fills"),
        ({"ingress_replicas": 2}, "--store"),
        ({"host": "0.0.0.0"}, "opens the server to the network"),
    ],
)
def test_what_is_wrong_with_an_application_is_said_before_it_is_deployed(
    arguments: Mapping[str, Any], word: str, tmp_path: Path
) -> None:
    with pytest.raises(StartError, match=word):
        app({"data_dir": str(tmp_path), "model_dir": str(tmp_path), **arguments})


def test_the_command_refuses_an_open_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "--host", "0.0.0.0"]) == ExitCode.USAGE
    assert "opens the server to the network" in capsys.readouterr().err


def test_each_model_has_a_deployment_and_what_is_joined_shares_one(tmp_path: Path) -> None:
    size = Size(models=("painter", "second+worded"), max_replicas=3)
    made = application(Settings(data_dir=tmp_path, model="painter"), size, entries=ENTRIES)
    arguments: tuple[Any, ...] = made._bound_deployment.init_args  # Serve offers no other look at it
    config, engines = arguments
    assert set(engines) == {"painter", "second+worded", "tools"}
    assert config.deployments["worded"] == config.deployments["second"] == "second+worded"
    assert config.slots["painter"] == 3


def test_a_replica_takes_several_jobs_only_where_their_crops_are_filled_together() -> None:
    net = next(entry for entry in ENTRIES if entry.weights)
    assert Size().jobs([net]) == 1
    assert Size(gpus=1).jobs([net]) > 1
    assert Size(batch=3).jobs([BATCHER]) == 3
    assert Size(batch=3).jobs(ENTRIES[:2]) == 1


class Recorder(Batcher):
    """Keeps the sizes of its calls; `trouble` is raised where more than one crop comes."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.calls: list[int] = []
        self.trouble = trouble

    def fill_batch(self, images: Any, holes: Any, **more: Any) -> list[FloatImage]:
        self.calls.append(len(images))
        if self.trouble is not None and len(images) > 1:
            raise self.trouble
        return super().fill_batch(images, holes, **more)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own, as a replica's does."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    for task in asyncio.all_tasks(made):
        task.cancel()
    made.run_until_complete(asyncio.sleep(0))
    made.close()


def fill_side_by_side(shared: SharedEngine, *jobs: tuple[int, int, Progress]) -> list[Any]:
    """The first red value of each job's crop, or its error. Jobs are (side, seed, progress)."""
    together = threading.Barrier(len(jobs))

    def fill(job: tuple[int, int, Progress]) -> Any:
        side, seed, progress = job
        image, hole = np.zeros((side, side, 3), np.float32), np.ones((side, side), np.bool_)
        together.wait()
        try:
            return round(float(shared.fill(image, hole, params={}, seed=seed, progress=progress)[0, 0, 0]) * 255)
        except Exception as error:  # noqa: BLE001  what the job is told
            return error

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(fill, jobs))


def shared_engine(
    engine: Batcher, loop: asyncio.AbstractEventLoop, most: int, *, stochastic: bool = False
) -> SharedEngine:
    """One that collects, in a process that is no replica, `most` crops however long they take to come."""
    waiting: list[tuple[Crop, asyncio.Future[Any]]] = []

    def collect(fill_all: Any) -> Any:
        async def one(crop: Crop) -> Any:
            answer = loop.create_future()
            waiting.append((crop, answer))
            if len(waiting) == most:
                for (_, each), outcome in zip(waiting, await fill_all([crop for crop, _ in waiting]), strict=True):
                    each.set_result(outcome)
            return await answer

        return one

    made = SharedEngine(engine, most, stochastic=stochastic, collected=collect)
    made.begin(loop)
    return made


def unwanted(stage: str, step: int, total: int, preview: object = None) -> None:
    raise Cancelled("Not any more.")


def test_equal_crops_of_several_jobs_are_filled_in_one_call(loop: asyncio.AbstractEventLoop) -> None:
    engine = Recorder()
    shared = shared_engine(engine, loop, 3)
    jobs = [(8, seed, no_progress) for seed in range(3)]
    assert fill_side_by_side(shared, *jobs) == [120] * 3
    assert engine.calls == [3]


def test_crops_that_differ_in_size_or_matter_by_their_seed_are_filled_apart(loop: asyncio.AbstractEventLoop) -> None:
    engine = Recorder()
    shared = shared_engine(engine, loop, 3, stochastic=True)
    assert fill_side_by_side(shared, (8, 1, no_progress), (8, 2, no_progress), (9, 1, no_progress)) == [40] * 3
    assert engine.calls == [1] * 3


def test_a_job_that_is_cancelled_leaves_the_others_of_its_batch_alone(loop: asyncio.AbstractEventLoop) -> None:
    shared = shared_engine(Recorder(), loop, 3)
    first, second, third = fill_side_by_side(shared, (8, 0, no_progress), (8, 0, unwanted), (8, 0, no_progress))
    assert isinstance(second, Cancelled)
    assert (first, third) == (120, 120)


def test_a_batch_that_does_not_fit_is_filled_crop_by_crop(loop: asyncio.AbstractEventLoop) -> None:
    engine = Recorder(OutOfMemory("Too large."))
    shared = shared_engine(engine, loop, 2)
    assert fill_side_by_side(shared, (8, 0, no_progress), (8, 0, no_progress)) == [40, 40]
    assert engine.calls == [2, 1, 1]


def test_an_engines_error_is_that_of_each_job_in_the_batch(loop: asyncio.AbstractEventLoop) -> None:
    shared = shared_engine(Recorder(EngineFailed("Nothing but NaN.")), loop, 2)
    found = fill_side_by_side(shared, (8, 0, no_progress), (8, 0, no_progress))
    assert [type(error) for error in found] == [EngineFailed] * 2


def test_a_process_serves_the_pages_files_before_it_has_shown_the_page() -> None:
    """The page came from another ingress replica, or from this server before a restart."""
    folder = find_frontend()
    shown = Frontend(folder).snapshot()
    asset = Frontend(folder).asset(shown.hash, "js/main.js")
    assert asset is not None
    assert Frontend(folder).asset("0" * 16, "js/main.js") is None


def test_replicas_of_one_server_know_each_others_cookies_and_are_one_start(tmp_path: Path) -> None:
    def made(secret: str) -> tuple[str, str]:
        app = create_app(Settings(data_dir=tmp_path, model="painter"), entries=ENTRIES, secret=secret)
        return app.state.guard.session, app.state.services.boot_id

    assert made("one") == made("one")
    assert len({*made("one"), *made("two"), *made("")}) == 6


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """`lama-server cluster` on a Ray of its own. The last test ends it."""
    folder = tmp_path_factory.mktemp("command")
    command = [sys.executable, "-m", "lama_server", "cluster", "--models", "opencv", "--port", "0", "--offline"]
    with subprocess.Popen([*command, "--data-dir", str(folder)], stdout=subprocess.PIPE, text=True, env=ENV) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if " is at " in line)
            server = RunningServer(folder, port=int(line.rsplit(":", 1)[1].strip("/\n")), process=process)
            server.wait_ready()
            yield server
        finally:
            process.terminate()


def test_rays_own_command_serves_the_application_and_what_was_stored_stays(command: RunningServer) -> None:
    """`serve run` joins the Ray that runs, and puts its application in the place of the one with that name."""
    boot = command.ask("GET", "/api/v1/config").json["boot_id"]
    image = command.upload(photo(400, 300)).json["id"]
    ray = next(
        word.partition("=")[2]
        for process in psutil.Process(command.child.pid).children(recursive=True)
        for word in process.cmdline()
        if word.startswith("--gcs-address=")
    )
    serve = [
        sys.executable,
        "-c",
        "from ray.serve.scripts import cli; cli()",
        "run",
        "--non-blocking",
        "--address",
        ray,
    ]
    arguments = ["models=opencv", f"data_dir={command.data_dir}"]
    subprocess.run([*serve, "--name", NAME, "lama_server.cluster:app", *arguments], env=ENV, check=True)
    assert within(60, lambda: command.ask("GET", "/api/v1/config").json["boot_id"] != boot)
    assert command.edit(image, {"model": "opencv"}).lines[-1]["type"] == "result"


def test_the_command_lets_the_running_job_end(command: RunningServer) -> None:
    """The last test: there is no server after it."""
    image = command.upload(photo(400, 300)).json["id"]
    stream = command.stream(edit_request(image, {"model": "opencv"}))
    next(stream)
    command.child.terminate()
    assert list(stream)[-1]["type"] == "result"
    assert command.child.wait(60) == ExitCode.OK
