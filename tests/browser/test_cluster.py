"""The server on a Ray cluster of two nodes: with the page, with replicas that die, and with a new application."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from browser.driver import App, OpenApp
from browser.test_quick_look import work_slowly
from fake_engines import photo
from object_store import BUCKET, object_store
from serving import RunningServer, decode, edit_request, misbehaving, within

CLUSTER = {
    "nodes": 2,
    "node_cpus": 1,
    "cpus": 0.5,
    "batch": 4,
    "models": ["painter+second", "batcher"],
    "min_replicas": 2,
    "max_replicas": 2,
    "ingress_replicas": 2,
}
PAINTING = "state.jobs.some((job) => job.runs.some((run) => run.stage === 'painting'))"
SLOTS = 2 * (2 + 2 * 4 + 2)
"""Jobs that run at once: each ingress replica counts two painters, two batchers of four jobs, and two for tools."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    options = {"cluster": CLUSTER, "store": f"s3://{BUCKET}/cluster", "limits": {"queue_waiting": 1}}
    with object_store(), RunningServer(tmp_path_factory.mktemp("cluster"), options) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def image(cluster: RunningServer) -> str:
    return str(cluster.upload(photo()).json["id"])


def painters(cluster: RunningServer) -> list[psutil.Process]:
    """The processes of the painter's replicas."""
    found = psutil.Process(cluster.child.pid).children(recursive=True)
    return [process for process in found if replica_of(process).startswith("ray::ServeReplica:lama-server:painter")]


def replica_of(process: psutil.Process) -> str:
    try:
        return (process.cmdline() or [""])[0]
    except psutil.Error:
        return ""


def results(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == "result"]


def test_each_node_has_a_replica_and_both_work_at_once(cluster: RunningServer, image: str) -> None:
    assert within(60, lambda: len({process.ppid() for process in painters(cluster)}) == 2)
    streams = [cluster.stream(edit_request(image, misbehaving("slow", 60))) for _ in range(2)]
    jobs = [next(stream)["job"] for stream in streams]
    for stream in streams:
        assert next(line for line in stream if line["type"] == "progress" and line["stage"] == "painting")
    for job in jobs:
        assert cluster.ask("DELETE", f"/api/v1/edits/{job}").status == 204
    for stream in streams:
        assert list(stream)[-1]["problem"]["code"] == "job.cancelled"


def test_a_job_is_cancelled_and_its_previews_are_seen_whichever_ingress_is_asked(
    cluster: RunningServer, image: str
) -> None:
    for _ in range(4):
        with closing(cluster.stream(edit_request(image, misbehaving("slow", 60)))) as stream:
            preview = next(line for line in stream if line["type"] == "preview")
            assert [cluster.ask("GET", preview["url"]).status for _ in range(4)] == [200] * 4
            assert cluster.ask("DELETE", f"/api/v1/edits/{preview['job']}").status == 204
            assert list(stream)[-1]["problem"]["code"] == "job.cancelled"
    assert results(cluster.edit(image).lines)


def test_a_fill_whose_replica_is_killed_is_done_by_another_and_nothing_is_lost(
    cluster: RunningServer, image: str
) -> None:
    before = results(cluster.edit(image).lines)[0]["edit"]
    streams = [cluster.stream(edit_request(image, misbehaving("slow", 3))) for _ in range(2)]
    for stream in streams:
        assert next(line for line in stream if line["type"] == "progress" and line["stage"] == "painting")
    killed = painters(cluster)[0].pid
    os.kill(killed, signal.SIGKILL)
    edits = [results(list(stream))[0]["edit"] for stream in streams]
    for edit in (before, *edits):
        assert cluster.ask("GET", f"/api/v1/edits/{edit}/patches/0.png").status == 200
    assert within(60, lambda: len(painters(cluster)) == 2 and killed not in [p.pid for p in painters(cluster)])


def test_a_fill_that_kills_every_replica_ends_in_a_named_error(cluster: RunningServer, image: str) -> None:
    lines = cluster.edit(image, misbehaving("crash")).lines
    assert lines[-1]["problem"]["code"] == "worker.crashed"
    assert results(cluster.edit(image).lines)


def test_what_does_not_listen_to_its_cancelling_ends_with_its_replica(cluster: RunningServer, image: str) -> None:
    with closing(cluster.stream(edit_request(image, misbehaving("hang", 60)))) as stream:
        job = next(line for line in stream if line["type"] == "progress")["job"]
        before = {process.pid for process in painters(cluster)}
        cluster.ask("DELETE", f"/api/v1/edits/{job}")
        assert list(stream)[-1]["problem"]["code"] == "job.cancelled"
    assert within(60, lambda: {process.pid for process in painters(cluster)} - before != set())
    assert results(cluster.edit(image).lines)


def test_crops_of_several_jobs_are_filled_in_one_call(cluster: RunningServer, image: str) -> None:
    streams = [cluster.stream(edit_request(image, {"model": "batcher"})) for _ in range(8)]
    assert {next(stream)["type"] for stream in streams} == {"queued"}
    urls = [results(list(stream))[0]["patches"][0]["url"] for stream in streams]
    crops = [int(decode(cluster.ask("GET", url).body)[..., 0].max()) // 40 for url in urls]
    assert max(crops) > 1, "the batcher's red tells how many crops it was given at once"


def test_more_jobs_than_the_ingress_replicas_take_are_refused(cluster: RunningServer, image: str) -> None:
    """The limit is that of each replica: the cluster's is as often as high as there are replicas."""
    streams = [cluster.stream(edit_request(image, misbehaving("slow", 60))) for _ in range(SLOTS + 2)]
    jobs = [line["job"] for stream in streams if "job" in (line := next(stream))]
    assert cluster.edit(image).code == "queue.full"
    for job in jobs:
        cluster.ask("DELETE", f"/api/v1/edits/{job}")
    for stream in streams:
        stream.close()
    assert within(60, lambda: results(cluster.edit(image).lines if cluster.edit(image).status == 200 else []) != [])


def test_an_update_ends_no_job_and_takes_nothing_away(cluster: RunningServer, image: str) -> None:
    before = results(cluster.edit(image).lines)[0]["edit"]
    boot = cluster.ask("GET", "/api/v1/config").json["boot_id"]
    stream = cluster.stream(edit_request(image, misbehaving("slow", 4)))
    job = next(stream)["job"]
    cluster.child.send_signal(signal.SIGHUP)
    assert cluster.child.stdout is not None
    assert any(line.startswith("port") for line in iter(cluster.child.stdout.readline, ""))
    assert results(list(stream)), job
    assert within(60, lambda: cluster.ask("GET", "/api/v1/config").json["boot_id"] != boot)
    shown = decode(cluster.ask("GET", f"/api/v1/images/{image}/render?edits={before}&format=png").body)
    assert shown.shape == photo().shape
    assert results(cluster.edit(image).lines)


def test_the_page_fills_cancels_and_outlives_killed_replicas(
    open_app: OpenApp, cluster: RunningServer, tmp_path: Path
) -> None:
    Image.fromarray(photo(160, 120)).resize((800, 600)).save(tmp_path / "photo.png")
    app: App = open_app(f"http://127.0.0.1:{cluster.port}/")
    app.open(tmp_path / "photo.png")
    app.paint([(100.0, 100.0), (140.0, 100.0)])
    app.wait_for_edits(1)

    work_slowly(app, 60)
    app.paint([(400.0, 100.0), (440.0, 100.0)])
    app.wait(PAINTING)
    app.page.get_by_role("button", name="Cancel").click()
    app.wait("state.jobs.length === 0")

    work_slowly(app, 3)
    app.paint([(400.0, 400.0), (440.0, 400.0)])
    app.wait(PAINTING)
    for process in painters(cluster):
        os.kill(process.pid, signal.SIGKILL)
    app.wait_for_edits(2)
    assert app.download(tmp_path / "after.png").stat().st_size > 0


def test_a_stop_lets_the_running_job_end(cluster: RunningServer, image: str) -> None:
    """The last test: there is no cluster after it."""
    stream = cluster.stream(edit_request(image, misbehaving("slow", 3)))
    next(stream)
    cluster.child.terminate()
    assert results(list(stream))
    assert cluster.child.wait(60) == 0
