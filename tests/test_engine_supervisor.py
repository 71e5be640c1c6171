"""What happens when a worker crashes, hangs or is too slow: the server goes on, and says what it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fake_engines import photo
from serving import PATIENCE_S, RunningServer, edit_request, encode, misbehaving, rect_mask, within

Start = Callable[..., RunningServer]
IMAGE, MASK = encode(photo()), encode(rect_mask())


def children(pid: int) -> list[int]:
    """Worker processes of a server."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
            command = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == pid and "spawn_main" in command:
            found.append(int(stat.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def shot(server: RunningServer, behaviour: str, seconds: float = 30.0, model: str = "painter") -> str:
    params = {"model": model, "seed": 7, "params": {"behaviour": behaviour, "seconds": seconds}}
    return server.one_shot(IMAGE, MASK, params).code


@pytest.fixture(scope="module")
def rough(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose fills may take a second, but for those of `second`, which may take two minutes."""
    limits = {"fill_deadline_s": 1.0, "cancel_grace_s": 0.3}
    settings = {"limits": limits, "deadlines_s": {"second": 120.0}}
    with RunningServer(tmp_path_factory.mktemp("rough"), settings) as running:
        running.wait_ready()
        yield running


def works(server: RunningServer) -> bool:
    """Whether a fill that may take its time is done."""
    return shot(server, "paint", model="second") == "ok"


def test_a_crash_in_a_model_is_named_and_the_next_request_works(rough: RunningServer) -> None:
    assert shot(rough, "crash", model="second") == "worker.crashed"
    assert works(rough)


def test_a_fill_that_takes_too_long_is_stopped(rough: RunningServer) -> None:
    assert shot(rough, "slow") == "job.deadline_exceeded"
    assert works(rough)


def test_a_model_with_a_deadline_of_its_own_may_take_so_long_and_no_longer(
    rough: RunningServer, start_server: Callable[..., RunningServer]
) -> None:
    """As diffusion models have: longer than others, or, in the second server, shorter."""
    assert shot(rough, "slow", 2.0, "second") == "ok"
    assert shot(start_server(deadlines_s={"second": 1.0}), "slow", 30.0, "second") == "job.deadline_exceeded"


def test_a_model_that_does_not_listen_loses_its_process(rough: RunningServer) -> None:
    assert shot(rough, "hang") == "job.deadline_exceeded"
    assert works(rough)


def test_cancelling_a_model_that_does_not_listen_frees_the_queue(rough: RunningServer) -> None:
    image = rough.upload(photo()).json["id"]
    lines = rough.stream(edit_request(image, misbehaving("hang", 60, model="second")))
    next(lines)
    lines.close()
    assert works(rough)


def test_a_worker_that_is_killed_from_outside_is_replaced(rough: RunningServer) -> None:
    for pid in children(rough.child.pid):
        os.kill(pid, signal.SIGKILL)
    assert within(60, lambda: rough.upload(photo(code=3)).status == 200)
    assert works(rough)


def test_errors_of_a_model_are_told_without_their_innards(rough: RunningServer) -> None:
    assert shot(rough, "memory", model="second") == "engine.out_of_memory"
    assert shot(rough, "fail", model="second") == "engine.failed"
    assert shot(rough, "bug", model="second") == "server.internal"


def test_a_job_that_waits_too_long_is_told(start_server: Start) -> None:
    server = start_server(limits={"queue_wait_s": 0.4})
    image = server.upload(photo()).json["id"]
    running = server.stream(edit_request(image, misbehaving("stay")))
    next(running)
    assert server.edit(image).lines[-1]["problem"]["code"] == "job.queue_timeout"
    server.let_go()
    assert list(running)[-1]["type"] == "result"


def test_a_kill_of_the_server_takes_its_workers_along_and_loses_nothing(start_server: Start) -> None:
    server = start_server()
    pixels = photo()
    image = server.upload(pixels).json["id"]
    edit = server.edit(image).lines[-1]["edit"]
    boot = server.ask("GET", "/healthz").headers["x-boot-id"]
    workers = children(server.child.pid)
    assert len(workers) == 2
    lines = server.stream(edit_request(image, misbehaving("hang", 30)))
    next(lines)
    server.stop(signal.SIGKILL)
    assert within(60, lambda: not any(is_alive(pid) for pid in workers))
    server.start()
    assert server.ask("GET", f"/api/v1/images/{image}").status == 200
    assert server.ask("GET", f"/api/v1/edits/{edit}/patches/0.png").status == 200
    assert server.edit(image, parents=[edit]).lines[-1]["type"] == "result"
    assert server.ask("GET", "/healthz").headers["x-boot-id"] != boot


def test_a_stop_lets_the_running_job_finish_and_sends_the_others_away(start_server: Start) -> None:
    """B122."""
    server = start_server()
    image = server.upload(photo()).json["id"]
    running = server.stream(edit_request(image, misbehaving("stay")))
    next(running)
    waiting = server.stream(edit_request(image))
    next(waiting)
    server.child.send_signal(signal.SIGTERM)
    assert list(waiting)[-1]["problem"]["code"] == "server.shutting_down"
    server.let_go()
    assert list(running)[-1]["type"] == "result"
    assert server.child.wait(PATIENCE_S) == 0


def test_a_job_that_outlasts_the_drain_is_told_so_in_its_last_line(start_server: Start) -> None:
    """B122, X4: the stream ended in the middle, and a client could not tell it from a broken line."""
    server = start_server(limits={"drain_s": 1})
    image = server.upload(photo()).json["id"]
    running = server.stream(edit_request(image, misbehaving("slow", 60), misbehaving("slow", 60)))
    next(running)
    server.child.send_signal(signal.SIGTERM)
    assert list(running)[-1]["problem"]["code"] == "server.shutting_down"
    assert server.child.wait(PATIENCE_S) == 0
    assert "Traceback" not in server.child.communicate()[1]


def test_a_one_shot_request_that_outlasts_the_drain_is_answered(start_server: Start) -> None:
    """B122."""
    server = start_server(limits={"drain_s": 1})
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(shot, server, "stay")
        server.wait_for_stays()
        server.child.send_signal(signal.SIGTERM)
        assert code.result() == "server.shutting_down"
    assert server.child.wait(PATIENCE_S) == 0


def test_a_second_signal_ends_at_once(start_server: Start) -> None:
    server = start_server()
    image = server.upload(photo()).json["id"]
    running = server.stream(edit_request(image, misbehaving("stay")))
    next(running)
    waiting = server.stream(edit_request(image))
    next(waiting)
    server.child.send_signal(signal.SIGTERM)
    assert list(waiting)[-1]["problem"]["code"] == "server.shutting_down", "it has heard the first"
    assert server.stop() == 128 + signal.SIGTERM


def test_a_stop_while_a_cancelled_job_is_waited_for_is_quiet(start_server: Start) -> None:
    server = start_server(limits={"cancel_grace_s": 30})
    image = server.upload(photo()).json["id"]
    lines = server.stream(edit_request(image, misbehaving("hang", 60)))
    job = next(lines)["job"]
    assert next(lines)["type"] == "progress"
    lines.close()
    assert within(60, lambda: server.ask("DELETE", f"/api/v1/edits/{job}").code == "job.not_found")
    assert server.stop() == 0
    assert "never retrieved" not in server.child.communicate()[1]


def test_a_worker_that_keeps_crashing_is_given_up_by_name_until_its_pause_is_over(start_server: Start) -> None:
    """The first pause is short, so that it can be waited for; the second outlasts the test."""
    server = start_server(limits={"backoff_s": [0, 0, 0, 0, 1, 600]})
    assert [shot(server, "crash") for _ in range(5)] == ["worker.crashed"] * 5
    server.wait_ready()  # without a request: the model is loaded ahead again, which is the trial
    assert shot(server, "paint") == "ok"
    assert shot(server, "crash") == "worker.crashed"
    refused = server.one_shot(IMAGE, MASK, {"seed": 7, "params": {"behaviour": "paint"}})
    assert refused.code == "worker.unavailable"
    assert 1 <= int(refused.headers["retry-after"]) <= 601
    assert server.ask("GET", "/healthz").status == 200
    assert server.ask("GET", "/readyz").json["checks"]["engine_worker"]["detail"] == "engine: unavailable"
    assert server.stop() == 0
