"""A server with two workers: two fills at once, each client's jobs in order, and no promise of one worker lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_engines import photo
from serving import PATIENCE_S, Reply, RunningServer, decode, edit_request, encode, form, misbehaving, rect_mask, within
from test_engine_supervisor import children

Start = Callable[..., RunningServer]
Line = dict[str, Any]
IMAGE, MASK = encode(photo()), encode(rect_mask())


@pytest.fixture(scope="module", params=["workers", "inline"])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with two processes, and one with an executor of another kind that has two slots."""
    with RunningServer(tmp_path_factory.mktemp("pair"), {request.param: 2}) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def pair(two: RunningServer) -> RunningServer:
    """Who met in an earlier test does not count."""
    for trace in two.meeting.glob("met-*"):
        trace.unlink()
    return two


@pytest.fixture
def image(pair: RunningServer) -> str:
    return str(pair.upload(photo()).json["id"])


def workers(server: RunningServer) -> list[Line]:
    return list(server.ask("GET", "/readyz").json["workers"])


def kinds(lines: Iterator[Line]) -> list[str]:
    return [line["problem"]["code"] if line["type"] == "error" else line["type"] for line in lines]


def until_working(lines: Iterator[Line], stage: str) -> None:
    """Reads on to the stage."""
    for line in lines:
        assert line["type"] in ("queued", "progress", "preview")
        if line.get("stage") == stage:
            return


def test_two_fills_run_at_once(pair: RunningServer, image: str) -> None:
    """Each waits for the other inside of its engine."""
    first = pair.stream(edit_request(image, misbehaving("meet")))
    assert next(first)["position"] == 0
    second = pair.stream(edit_request(image, misbehaving("meet")))
    assert next(second)["position"] == 0
    assert (kinds(first)[-1], kinds(second)[-1]) == ("result", "result")


def test_one_clients_jobs_run_in_order_and_others_pass_them(pair: RunningServer, image: str) -> None:
    """The first job ends only when a later one of another client has come to the free worker."""
    first = pair.stream(edit_request(image, misbehaving("meet")), client="tab-1")
    assert next(first)["position"] == 0
    second = pair.stream(edit_request(image), client="tab-1")
    assert next(second)["position"] == 1
    stranger = pair.stream(edit_request(image, misbehaving("meet")), client="tab-2")
    assert next(stranger)["position"] == 0
    assert (kinds(first)[-1], kinds(stranger)[-1]) == ("result", "result")
    assert next(second)["position"] == 0
    assert kinds(second)[-1] == "result"


def test_a_one_shot_request_waits_for_its_clients_edit(pair: RunningServer, image: str) -> None:
    edit = pair.stream(edit_request(image, misbehaving("stay")), client="tab-1")
    job = next(edit)["job"]
    body, kind = form(IMAGE, MASK)
    replies: list[Reply] = []

    def ask() -> None:
        replies.append(
            pair.ask("POST", "/api/v1/inpaint", body, {"content-type": kind, "x-client-id": "tab-1"}),
        )

    asking = threading.Thread(target=ask)
    asking.start()
    assert pair.one_shot(IMAGE, MASK).status == 200, "another client's goes at once"
    assert not replies
    pair.ask("DELETE", f"/api/v1/edits/{job}")
    asking.join()
    assert [reply.status for reply in replies] == [200]


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "tab/1", "täb"])
def test_what_is_not_a_clients_name_stands_for_no_client(pair: RunningServer, image: str, name: str) -> None:
    lines = [pair.stream(edit_request(image, misbehaving("meet")), client=name) for _ in range(2)]
    assert [next(each)["position"] for each in lines] == [0, 0]
    assert [kinds(each)[-1] for each in lines] == ["result", "result"]


def test_a_third_job_waits_in_line_and_can_be_cancelled(pair: RunningServer, image: str) -> None:
    running = [pair.stream(edit_request(image, misbehaving("stay"))) for _ in range(2)]
    jobs = [next(lines)["job"] for lines in running]
    waiting = [pair.stream(edit_request(image)) for _ in range(2)]
    places = [next(lines) for lines in waiting]
    assert [place["position"] for place in places] == [1, 2]
    assert pair.ask("DELETE", f"/api/v1/edits/{places[0]['job']}").status == 204
    assert kinds(waiting[0]) == ["job.cancelled"]
    assert next(waiting[1])["position"] == 1
    for job in jobs:
        pair.ask("DELETE", f"/api/v1/edits/{job}")
    assert kinds(waiting[1])[-1] == "result"
    assert [kinds(lines)[-1] for lines in running] == ["job.cancelled"] * 2


def test_the_queue_has_room_behind_both_workers(pair: RunningServer, image: str) -> None:
    streams = [pair.stream(edit_request(image, misbehaving("stay"))) for _ in range(10)]
    jobs = [next(lines)["job"] for lines in streams]
    assert pair.edit(image).code == "queue.full"
    for job in reversed(jobs):
        pair.ask("DELETE", f"/api/v1/edits/{job}")
    for lines in streams:
        list(lines)
    assert pair.edit(image).lines[-1]["type"] == "result"


def test_a_result_belongs_to_its_own_request(pair: RunningServer) -> None:
    """P7: 24 clients at once on two workers, each with its own photo and colour, and two jobs."""
    wrong: list[int] = []

    def insist(ask: Callable[..., Reply], *arguments: Any) -> Reply:
        while (reply := ask(*arguments)).status == 429:
            threading.Event().wait(0.05)
        return reply

    def client(code: int) -> None:
        pixels = photo(code=code)
        image = insist(pair.upload, pixels, f"{code}.png").json["id"]
        for seed in (code, 100 + code):
            reply = insist(pair.edit, image, {"model": "painter", "seed": seed})
            edit = next(line for line in reply.lines if line["type"] == "result")["edit"]
            path = f"/api/v1/images/{image}/render?edits={edit}&format=png"
            expected = np.where(rect_mask()[..., None] > 0, np.array([seed, 0, 0], np.uint8), pixels)
            if not np.array_equal(decode(insist(pair.ask, "GET", path).body), expected):
                wrong.append(seed)

    threads = [threading.Thread(target=client, args=(code,)) for code in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_many_requests_leave_nothing_behind(pair: RunningServer, image: str) -> None:
    """P14. Bounds are wide: they catch what grows with each request, not what the allocator does."""
    proc = Path(f"/proc/{pair.child.pid}")

    def found() -> tuple[int, int, int]:
        status = (proc / "status").read_text()
        rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return len(os.listdir(proc / "fd")), len(os.listdir(proc / "task")), rss

    def both() -> None:
        """Two at once, and a cancelled one."""
        lines = [pair.stream(edit_request(image, {"model": "painter"}), client=f"tab-{n}") for n in range(2)]
        assert [kinds(each)[-1] for each in lines] == ["result"] * 2
        left = pair.stream(edit_request(image, misbehaving("stay")))
        next(left)
        left.close()

    for _ in range(8):
        both()
    before = found()
    for _ in range(25):
        both()
    assert within(60, lambda: found()[0] <= before[0] + 4)
    assert found()[1] <= before[1] + 8
    assert found()[2] - before[2] < 75 * 200
    assert within(60, lambda: not list((pair.data_dir / "tmp").iterdir()))


def test_readiness_names_each_worker(pair: RunningServer) -> None:
    found = workers(pair)
    assert len({worker["name"] for worker in found}) == 2
    assert {worker["state"] for worker in found} == {"ready"}
    assert any("painter" in worker["loaded"] for worker in found)
    assert pair.ask("GET", "/api/v1/config").json["device"] in [worker["device"] for worker in found]


def test_a_crash_is_told_to_its_own_client_and_the_server_stays_ready(start_server: Start) -> None:
    """P10. The first fill ends only when another one has come to the worker that was started again."""
    server = start_server(workers=2)
    image = server.upload(photo()).json["id"]
    survivor = server.stream(edit_request(image, misbehaving("meet")))
    until_working(survivor, "waiting")
    assert kinds(server.stream(edit_request(image, misbehaving("crash"))))[-1] == "worker.crashed"
    assert server.ask("GET", "/readyz").json["checks"]["engine_worker"]["ok"] is True
    late = server.stream(edit_request(image, misbehaving("meet")))
    assert next(late)["position"] == 0
    assert (kinds(survivor)[-1], kinds(late)[-1]) == ("result", "result")
    assert sorted(worker["restarts"] for worker in workers(server)) == [0, 1]


def test_a_worker_that_was_killed_loads_its_model_again(start_server: Start) -> None:
    server = start_server(workers=2)
    for pid in children(server.child.pid):
        os.kill(pid, signal.SIGKILL)
    restored = [(1, ["painter"]), (1, [])]
    assert within(60, lambda: [(worker["restarts"], worker["loaded"]) for worker in workers(server)] == restored)
    assert within(60, lambda: server.ask("GET", "/readyz").status == 200)


def test_a_stop_lets_both_running_jobs_finish_and_sends_the_others_away(start_server: Start) -> None:
    """P6, P10."""
    server = start_server(workers=2)
    image = server.upload(photo()).json["id"]
    running = [server.stream(edit_request(image, misbehaving("stay"))) for _ in range(2)]
    for lines in running:
        until_working(lines, "staying")
    waiting = server.stream(edit_request(image))
    assert next(waiting)["position"] == 1
    server.child.send_signal(signal.SIGTERM)
    assert kinds(waiting)[-1] == "server.shutting_down"
    server.let_go(2)
    assert [kinds(lines)[-1] for lines in running] == ["result"] * 2
    assert server.child.wait(PATIENCE_S) == 0
