"""The server on a Ray cluster of two nodes: with the page, with replicas that die, and with a new application."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from browser.driver import App, OpenApp
from browser.test_quick_look import work_slowly
from fake_engines import photo
from object_store import BUCKET, object_store
from serving import PATIENCE_S, RunningServer, decode, edit_request, misbehaving, within

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

Lines = Iterator[dict[str, Any]]
Begin = Callable[..., Lines]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "out").mkdir()
    options = {
        "cluster": CLUSTER,
        "store": f"s3://{BUCKET}/cluster",
        "output_dir": str(folder / "out"),
        "limits": {"queue_waiting": 1},
    }
    with object_store(), RunningServer(folder / "data", options) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def image(cluster: RunningServer) -> str:
    return str(cluster.upload(photo()).json["id"])


@pytest.fixture
def begin(cluster: RunningServer, image: str) -> Iterator[Begin]:
    """Begins an edit with such runs. What a test leaves unread is hung up, and takes no replica from the next."""
    with ExitStack() as stack:
        yield lambda *runs: stack.enter_context(closing(cluster.stream(edit_request(image, *runs))))


def replicas(cluster: RunningServer, deployment: str = "") -> list[psutil.Process]:
    """The processes of a deployment's replicas, or of all."""
    found = psutil.Process(cluster.child.pid).children(recursive=True)
    return [
        process for process in found if replica_of(process).startswith(f"ray::ServeReplica:lama-server:{deployment}")
    ]


def replica_of(process: psutil.Process) -> str:
    try:
        return (process.cmdline() or [""])[0]
    except psutil.Error:
        return ""


def results(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == "result"]


def began(streams: Sequence[Lines]) -> None:
    """Has the server take all of these edits, side by side."""
    assert {next(stream)["type"] for stream in streams} == {"queued"}


def rendered(cluster: RunningServer, image: str, edit: str) -> np.ndarray:
    return decode(cluster.ask("GET", f"/api/v1/images/{image}/render?edits={edit}&format=png").body)


def paints(stream: Lines) -> str:
    """The job, once an engine is at it."""
    return str(next(line for line in stream if line["type"] == "progress" and line["stage"] == "painting")["job"])


def answered(cluster: RunningServer, image: str) -> bool:
    """Whether an edit has its result; not while there is nobody who answers."""
    with suppress(OSError, HTTPException, ValueError):
        reply = cluster.edit(image)
        return reply.status == 200 and results(reply.lines) != []
    return False


def test_each_node_has_a_replica_and_both_work_at_once(cluster: RunningServer, begin: Begin) -> None:
    assert within(PATIENCE_S, lambda: len({process.ppid() for process in replicas(cluster, "painter")}) == 2)
    streams = [begin(misbehaving("slow", 600)) for _ in range(2)]
    for job in [paints(stream) for stream in streams]:
        assert cluster.ask("DELETE", f"/api/v1/edits/{job}").status == 204
    for stream in streams:
        assert list(stream)[-1]["problem"]["code"] == "job.cancelled"


def test_a_job_is_cancelled_and_its_previews_are_seen_whichever_ingress_is_asked(
    cluster: RunningServer, image: str, begin: Begin
) -> None:
    for _ in range(4):
        stream = begin(misbehaving("slow", 600))
        preview = next(line for line in stream if line["type"] == "preview")
        assert [cluster.ask("GET", preview["url"]).status for _ in range(4)] == [200] * 4
        assert cluster.ask("DELETE", f"/api/v1/edits/{preview['job']}").status == 204
        assert list(stream)[-1]["problem"]["code"] == "job.cancelled"
    assert results(cluster.edit(image).lines)


def test_many_requests_leave_nothing_behind(cluster: RunningServer) -> None:
    """P14. Some may begin what stays, such as a thread or pages of the allocator; after enough requests none does."""
    image = cluster.upload(photo(640, 480), "large.png").json["id"]

    def measured() -> dict[int, tuple[int, int, int]]:
        """(descriptors, threads, bytes) of each replica."""
        found = dict[int, tuple[int, int, int]]()
        for one in replicas(cluster):
            with suppress(psutil.Error):  # it ended meanwhile
                found[one.pid] = one.num_fds(), one.num_threads(), one.memory_info().rss
        return found

    def leave_nothing() -> bool:
        """Two at once, and one whose client hangs up; any ingress is asked for what came of them."""
        before = measured()
        for _ in range(20):
            pair = [cluster.stream(edit_request(image, {"model": "painter"})) for _ in range(2)]
            began(pair)
            for stream in pair:
                assert cluster.ask("GET", results(stream)[0]["patches"][0]["url"]).status == 200
            with closing(cluster.stream(edit_request(image, misbehaving("slow", 600)))) as left:
                next(left)
        return within(10, lambda: grew_little(before, measured()))

    def grew_little(before: dict[int, tuple[int, int, int]], after: dict[int, tuple[int, int, int]]) -> bool:
        """By less than one thing of a kind in ten requests; of memory, by less than a fifth of the photo in each."""
        limits = 6, 6, 60 * 640 * 480 * 3 // 5
        return before.keys() == after.keys() and all(
            now - was < limit
            for pid, each in after.items()
            for now, was, limit in zip(each, before[pid], limits, strict=True)
        )

    assert within(5 * PATIENCE_S, leave_nothing)
    assert within(PATIENCE_S, lambda: not list(cluster.data_dir.glob("*/tmp/*")))


def test_a_fill_whose_replica_is_killed_is_done_by_another_and_nothing_is_lost(
    cluster: RunningServer, image: str, begin: Begin
) -> None:
    before = results(cluster.edit(image).lines)[0]["edit"]
    streams = [begin(misbehaving("stay")) for _ in range(2)]
    began(streams)
    cluster.wait_for_stays(2)
    killed = replicas(cluster, "painter")[0]
    killed.kill()
    cluster.let_go(2)
    edits = [results(stream)[0]["edit"] for stream in streams]
    for edit in (before, *edits):
        assert cluster.ask("GET", f"/api/v1/edits/{edit}/patches/0.png").status == 200
    assert within(PATIENCE_S, lambda: len({*replicas(cluster, "painter")} - {killed}) == 2)
    for left in cluster.meeting.iterdir():
        left.unlink()


def test_a_fill_that_kills_every_replica_ends_in_a_named_error(cluster: RunningServer, image: str) -> None:
    lines = cluster.edit(image, misbehaving("crash")).lines
    assert lines[-1]["problem"]["code"] == "worker.crashed"
    assert results(cluster.edit(image).lines)


def test_what_does_not_listen_to_its_cancelling_ends_with_its_replica(
    cluster: RunningServer, image: str, begin: Begin
) -> None:
    stream = begin(misbehaving("hang", 600))
    job = next(line for line in stream if line["type"] == "progress")["job"]
    before = {*replicas(cluster, "painter")}
    assert cluster.ask("DELETE", f"/api/v1/edits/{job}").status == 204
    assert list(stream)[-1]["problem"]["code"] == "job.cancelled"
    assert within(PATIENCE_S, lambda: {*replicas(cluster, "painter")} - before != set())
    assert results(cluster.edit(image).lines)


def test_crops_of_several_jobs_are_filled_in_one_call(cluster: RunningServer, begin: Begin) -> None:
    """The batcher's red tells how many crops it was given at once: those that come while it is at the first."""

    def most() -> int:
        streams = [begin({"model": "batcher"}) for _ in range(8)]
        began(streams)
        urls = [results(stream)[0]["patches"][0]["url"] for stream in streams]
        return max(int(decode(cluster.ask("GET", url).body)[..., 0].max()) // 40 for url in urls)

    assert within(PATIENCE_S, lambda: most() > 1)


def test_results_of_one_moment_are_saved_once_each_and_replace_nothing(cluster: RunningServer) -> None:
    """P3, P7."""
    out = cluster.data_dir.parent / "out"
    (out / "shared.png").write_bytes(b"mine")
    image = cluster.upload(photo(120, 80), "shared.png").json["id"]
    streams = [cluster.stream(edit_request(image, misbehaving("slow", 0.1, seed=seed))) for seed in range(6)]
    began(streams)
    told = [next(line for line in stream if line["type"] == "saved") for stream in streams]
    names = [line["saved"]["name"] for line in told]
    assert sorted(names) == [f"shared-{number:04}.png" for number in range(1, len(told) + 1)]
    assert len(list(out.glob("shared*"))) == len(told) + 1
    assert (out / "shared.png").read_bytes() == b"mine"
    for line in told:
        saved = decode((out / line["saved"]["name"]).read_bytes())
        assert np.array_equal(saved, rendered(cluster, image, line["edit"]))


def test_an_ingress_replica_that_is_killed_takes_nothing_with_it_and_leaves_no_half_file(
    cluster: RunningServer, image: str, begin: Begin
) -> None:
    """P4, P6: streams that it answered break; everything else goes on."""
    before, killed = results(cluster.edit(image).lines), replicas(cluster, "ingress")[0]
    streams = [begin(misbehaving("slow", 0.3)) for _ in range(6)]
    began(streams)
    told = [*before, next(line for line in streams[0] if line["type"] == "result")]
    killed.kill()
    for stream in streams:
        with suppress(ConnectionError, HTTPException, ValueError):  # it may break within a line
            for line in stream:
                told += results([line])
    assert within(PATIENCE_S, lambda: answered(cluster, image))
    for line in told:
        assert rendered(cluster, image, line["edit"]).shape == photo().shape
    for path in (cluster.data_dir.parent / "out").glob("photo*.png"):
        assert decode(path.read_bytes()).shape == photo().shape
    assert within(PATIENCE_S, lambda: len({*replicas(cluster, "ingress")} - {killed}) == 2)


def test_jobs_of_ingress_replicas_that_are_killed_end_and_leave_their_places_to_others(
    cluster: RunningServer, image: str, begin: Begin
) -> None:
    """P6: they would keep all engine replicas busy to their ends, and nobody waits for their results."""
    for stream in [begin(misbehaving("slow", 600)) for _ in range(2)]:
        paints(stream)
    for process in replicas(cluster, "ingress"):
        process.kill()
    assert within(PATIENCE_S, lambda: answered(cluster, image))
    streams = [begin(misbehaving("stay")) for _ in range(2)]
    began(streams)
    cluster.wait_for_stays(2)  # on both engine replicas
    cluster.let_go(2)
    assert all(results(stream) for stream in streams)


def test_more_jobs_than_the_ingress_replicas_take_are_refused(cluster: RunningServer, image: str, begin: Begin) -> None:
    """The limit is that of each replica: the cluster's is as often as high as there are replicas.

    Serve gives most requests to the replica on the proxy's node. So the first refusals come before all places are
    taken, and only one more than there are places must be refused.
    """
    streams = [begin(misbehaving("slow", 600)) for _ in range(SLOTS + 2 + 1)]
    first = [next(stream) for stream in streams]
    refused = [line["code"] for line in first if "job" not in line]
    assert set(refused) == {"queue.full"}
    for line in first:
        assert "job" not in line or cluster.ask("DELETE", f"/api/v1/edits/{line['job']}").status == 204
    assert within(PATIENCE_S, lambda: answered(cluster, image))


def test_an_update_ends_no_job_and_takes_nothing_away(cluster: RunningServer, image: str, begin: Begin) -> None:
    before = results(cluster.edit(image).lines)[0]["edit"]
    boot = cluster.ask("GET", "/api/v1/config").json["boot_id"]
    stream = begin(misbehaving("stay"))
    next(stream)
    cluster.wait_for_stays()
    cluster.child.send_signal(signal.SIGHUP)
    assert within(PATIENCE_S, lambda: cluster.ask("GET", "/api/v1/config").json["boot_id"] != boot)
    cluster.let_go()
    assert results(stream)
    assert cluster.child.stdout is not None
    assert any(line.startswith("port") for line in iter(cluster.child.stdout.readline, ""))
    assert rendered(cluster, image, before).shape == photo().shape
    assert results(cluster.edit(image).lines)


@pytest.mark.parametrize("tolerated", [["Failed to load resource"]])
def test_the_page_fills_cancels_and_outlives_killed_replicas(
    open_app: OpenApp, cluster: RunningServer, tmp_path: Path
) -> None:
    Image.fromarray(photo(160, 120)).resize((800, 600)).save(tmp_path / "photo.png")
    app: App = open_app(f"http://127.0.0.1:{cluster.port}/")
    app.open(tmp_path / "photo.png")
    app.paint([(100.0, 100.0), (140.0, 100.0)])
    app.wait_for_edits(1)

    work_slowly(app, 600)
    app.paint([(400.0, 100.0), (440.0, 100.0)])
    app.wait(PAINTING)
    app.page.get_by_role("button", name="Cancel").click()
    app.wait("state.jobs.length === 0")

    work_slowly(app, 3)
    for edits, (deployment, y) in enumerate({"painter": 400.0, "ingress": 500.0}.items(), 2):
        app.paint([(400.0, y), (440.0, y)])
        app.wait(PAINTING)
        for process in replicas(cluster, deployment):
            process.kill()
        app.wait_for_edits(edits)
    assert app.download(tmp_path / "after.png").stat().st_size > 0


def test_a_stop_lets_the_running_job_end(cluster: RunningServer, begin: Begin) -> None:
    """The last test: there is no cluster after it."""
    stream = begin(misbehaving("stay"))
    next(stream)
    cluster.wait_for_stays()
    cluster.child.terminate()
    cluster.let_go()
    assert results(stream)
    assert cluster.child.wait(PATIENCE_S) == 0
