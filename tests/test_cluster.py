"""What makes a cluster of the server, without one: the application's shape, pixels on their way, crops of many jobs."""

from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tools import house

from fake_engines import BATCHER, ENTRIES, HUB_CONTENT, Batcher, on_hub, photo
from inpaint_models.errors import Cancelled, EngineFailed, OutOfMemory
from inpaint_models.types import FloatImage, Progress, no_progress
from lama_server.app import create_app
from lama_server.cli.main import main
from lama_server.cluster import app
from lama_server.cluster.application import NAME, Size, application, withdraw
from lama_server.cluster.batching import Crop, SharedEngine
from lama_server.cluster.command import stop_signals
from lama_server.cluster.engine import NodeHandler
from lama_server.exits import ExitCode, StartError
from lama_server.http.static_files import Frontend, find_frontend
from lama_server.model_manager.weights_source import LibraryWeights
from lama_server.settings import Limits, Settings
from lama_server.workers.messages import Failed, FromWorker, LoadModel, ModelChoice, Submit
from lama_server.workers.worker import serve_one
from serving import PATIENCE_S, RunningServer, edit_request, within

SERVER = house.PACKAGES["lama_server"] / "lama_server"
ENV = {
    **os.environ,
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "120",
    "RAY_health_check_timeout_ms": "120000",
    "PYTHONPATH": os.pathsep.join(map(str, house.PACKAGES.values())),
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",  # how often jobs are counted; else every 10 seconds
}


def test_a_stop_waits_for_jobs_that_take_longer_than_serve_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def delete(name: str) -> None:
        asked.append(name)
        if len(asked) < 3:
            raise TimeoutError(f"Some of these applications weren't deleted after 60s: {name}")

    monkeypatch.setattr("ray.serve.delete", delete)
    withdraw()
    assert asked == [NAME] * 3


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
        ({"upscale_delay": -1}, "too small"),
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


def test_the_first_signal_lets_jobs_end_and_the_second_does_not() -> None:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        stopped = stop_signals()
        assert not stopped.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert stopped.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def parts(made: Any) -> tuple[Any, Mapping[str, Any]]:
    """What the ingress is made of: (configuration, engines). Serve offers no other look at it."""
    config, engines = made._bound_deployment.init_args
    return config, engines


def test_each_model_has_a_deployment_and_what_is_joined_shares_one(tmp_path: Path) -> None:
    size = Size(models=("painter", "second+worded"), max_replicas=3)
    made = application(Settings(data_dir=tmp_path, model="painter"), size, entries=ENTRIES)
    config, engines = parts(made)
    assert set(engines) == {"painter", "second+worded", "tools"}
    assert config.deployments["worded"] == config.deployments["second"] == "second+worded"
    assert config.slots["painter"] == 3


def test_replicas_take_of_a_node_what_their_models_need_and_are_as_many_as_was_asked_for(tmp_path: Path) -> None:
    painter, net = ENTRIES[0], next(entry for entry in ENTRIES if entry.weights)
    size = Size(
        models=(painter.name, net.name),
        min_replicas=2,
        max_replicas=7,
        target_ongoing=1.5,
        upscale_delay=3,
        downscale_delay=4,
        cpus=2,
        gpus=0.5,
    )
    made = application(Settings(data_dir=tmp_path, model=painter.name), size, entries=ENTRIES)
    deployed = {name: engine._bound_deployment for name, engine in parts(made)[1].items()}
    options = {name: each.ray_actor_options for name, each in deployed.items()}
    assert options[painter.name] == {"num_cpus": 2, "memory": painter.memory_bytes}
    assert options[net.name] == {"num_cpus": 2, "num_gpus": 0.5, "memory": net.memory_bytes}
    assert options["tools"]["num_cpus"] == 0
    for each in deployed.values():
        scaling = each._deployment_config.autoscaling_config
        assert (scaling.min_replicas, scaling.max_replicas, scaling.target_ongoing_requests) == (2, 7, 1.5)
        assert (scaling.upscale_delay_s, scaling.downscale_delay_s) == (3, 4)


def test_a_replica_that_is_to_go_has_the_time_of_the_longest_job_that_it_may_have(tmp_path: Path) -> None:
    """The ingress answers for all models, and keeps jobs that wait for a replica as well."""
    limits, long = Limits(), replace(ENTRIES[0], deadline_s=7200)
    made = application(Settings(data_dir=tmp_path, model=long.name), Size(models=(long.name,)), entries=[long])
    engine = parts(made)[1][long.name]
    ended_s = [
        each._deployment_config.graceful_shutdown_timeout_s
        for each in (made._bound_deployment, engine._bound_deployment)
    ]
    assert ended_s[1] > 7200
    assert ended_s[0] > 7200 + 2 * limits.queue_wait_s


def test_parts_of_processors_are_understood_as_numbers_and_as_words(tmp_path: Path) -> None:
    for cpus in (0.5, "0.5"):
        made = app({"models": "opencv", "cpus": cpus, "data_dir": str(tmp_path), "model_dir": str(tmp_path)})
        assert parts(made)[1]["opencv"]._bound_deployment.ray_actor_options["num_cpus"] == 0.5


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


def test_a_replica_refuses_weights_that_are_missing_or_damaged_on_its_node(tmp_path: Path) -> None:
    """P11."""
    entry = next(entry for entry in on_hub("http://127.0.0.1:9") if entry.name == "distant")
    settings = Settings(data_dir=tmp_path / "data", model_dir=tmp_path, model="opencv", local_files_only=True)
    handler = NodeHandler(settings, LibraryWeights(settings), 1)

    def refusal() -> str:
        told = list[FromWorker]()
        serve_one(handler, Submit(0, LoadModel(ModelChoice(entry, "float32"))), told.append, ctypes.c_long(-1))
        (failed,) = (message for message in told if isinstance(message, Failed))
        return failed.error.code

    assert refusal() == "model.not_downloaded"
    (tmp_path / "distant.bin").write_bytes(HUB_CONTENT[:-1] + b"x")
    assert refusal() == "model.weights_corrupted"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """`lama-server cluster` on a Ray of its own. The last test ends it."""
    folder = tmp_path_factory.mktemp("command")
    command = [sys.executable, "-m", "lama_server", "cluster", "--models", "opencv", "--port", "0", "--offline"]
    command += ["--max-replicas", "2", "--target-ongoing", "0.2", "--upscale-delay", "0", "--downscale-delay", "0"]
    command += ["--data-dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENV) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if " is at " in line)
            server = RunningServer(folder, port=int(line.rsplit(":", 1)[1].strip("/\n")), process=process)
            server.wait_ready()
            yield server
        finally:
            process.terminate()


def words(command: RunningServer) -> list[list[str]]:
    """The command lines of all processes that the server has."""
    found = list[list[str]]()
    for process in psutil.Process(command.child.pid).children(recursive=True):
        with suppress(psutil.Error):
            found.append(process.cmdline())
    return found


def test_more_jobs_than_are_meant_for_a_replica_bring_up_another(command: RunningServer) -> None:
    image, enough = command.upload(photo(400, 300)).json["id"], threading.Event()

    def replicas() -> int:
        return sum("".join(line[:1]).startswith("ray::ServeReplica:lama-server:opencv") for line in words(command))

    def work() -> None:
        while not enough.is_set():
            assert command.edit(image, {"model": "opencv"}).lines[-1]["type"] == "result"

    assert within(PATIENCE_S, lambda: replicas() == 1), "another one, brought up by the start, goes again"
    with ThreadPoolExecutor(3) as clients:
        working = [clients.submit(work) for _ in range(3)]
        try:
            assert within(PATIENCE_S, lambda: replicas() == 2)
        finally:
            enough.set()
    assert not [error for client in working if (error := client.exception())]


def test_rays_own_command_serves_the_application_and_what_was_stored_stays(command: RunningServer) -> None:
    """`serve run` joins the Ray that runs, and puts its application in the place of the one with that name."""
    boot = command.ask("GET", "/api/v1/config").json["boot_id"]
    image = command.upload(photo(400, 300)).json["id"]
    ray = next(word.partition("=")[2] for line in words(command) for word in line if word.startswith("--gcs-address="))
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
    assert within(PATIENCE_S, lambda: command.ask("GET", "/api/v1/config").json["boot_id"] != boot)
    assert command.edit(image, {"model": "opencv"}).lines[-1]["type"] == "result"


def test_the_command_lets_the_running_job_end(command: RunningServer) -> None:
    """The last test: there is no server after it."""
    image = command.upload(photo(400, 300)).json["id"]
    stream = command.stream(edit_request(image, {"model": "opencv"}))
    next(stream)
    command.child.terminate()
    assert list(stream)[-1]["type"] == "result"
    assert command.child.wait(PATIENCE_S) == ExitCode.OK
