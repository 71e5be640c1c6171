"""What every executor promises, held against the one with processes and one without; and what processes add to it."""

from __future__ import annotations

import asyncio
import errno
import io
from collections.abc import Awaitable, Callable, Mapping
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

import fake_engines
from fake_engines import photo
from inline_executor import InlineExecutor
from inpaint_models.options import FillOptions
from inpaint_models.registry import ModelEntry
from inpaint_models.types import Box
from lama_server import codec
from lama_server.errors import ApiError, ModelNotDownloaded
from lama_server.imaging.lazy_pixels import stored_array, stored_picture
from lama_server.imaging.pictures import Overlay, Picture
from lama_server.workers import messages
from lama_server.workers.executor import Executor, FindFiles, Handle, WorkerState
from lama_server.workers.local import LocalExecutor
from lama_server.workers.messages import (
    EngineChoice,
    Filled,
    FillHole,
    JobEvent,
    ModelChoice,
    PreviewReport,
    ProgressReport,
)
from lama_server.workers.supervisor import Supervisor

MIB = 2**20
PAINTER, SECOND = ModelChoice(fake_engines.entry("painter")), ModelChoice(fake_engines.entry("second"))
HOLE = np.zeros((64, 96), np.uint8)
HOLE[16:36, 20:44] = 255
BOX = Box(20, 16, 44, 36)

Scenario = Callable[[Executor], Awaitable[None]]
Make = Callable[[int, FindFiles], Executor]


def no_files(entry: ModelEntry) -> Mapping[str, Path]:
    return {}


def local(slots: int, files: FindFiles = no_files, **more: Any) -> LocalExecutor:
    options: dict[str, Any] = {"model_dir": None, "memory_budget_bytes": 1000 * MIB, "max_megapixels": 128}
    options = {**options, "cancel_grace_s": 0.3, "backoff_s": (0.0,), **more}
    return LocalExecutor(["cpu"], slots, files, **options)


def run(executor: Callable[[], Executor], scenario: Scenario) -> None:
    async def main() -> None:
        made = executor()
        made.start()
        try:
            async with asyncio.timeout(300):
                await scenario(made)
        finally:
            await made.close()

    asyncio.run(main())


@pytest.fixture(params=[local, InlineExecutor], ids=["processes", "inline"])
def make(request: pytest.FixtureRequest) -> Make:
    """make(slots, files) -> an executor of each kind."""
    kind: Make = request.param
    return kind


@pytest.fixture(autouse=True)
def meeting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fills that behave as "meet" wait for each other."""
    folder = tmp_path / "meeting"
    folder.mkdir()
    monkeypatch.setenv("MEETING", str(folder))
    return folder


def hole(seed: int = 7, behaviour: str = "paint", model: ModelChoice = PAINTER, **more: Any) -> FillHole:
    options = FillOptions(seed=seed, params={"behaviour": behaviour, "seconds": 60.0})
    return FillHole(**{"model": model, "image": photo(code=seed), "mask": HOLE, "options": options, **more})


def hand_in(executor: Executor, job: FillHole, heard: list[JobEvent] | None = None) -> Handle[Filled]:
    return executor.submit(job, deadline_s=300, listener=None if heard is None else heard.append)


async def fill(executor: Executor, job: FillHole) -> Filled:
    return await hand_in(executor, job).result()


async def code_of(handle: Handle[Filled]) -> str:
    try:
        await handle.result()
    except ApiError as error:
        return error.code
    return "ok"


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def is_of(filled: Filled, seed: int) -> bool:
    """Whether the patch is the one that the seed asks for."""
    (patch,) = filled.patches
    return patch.box == BOX and (np.asarray(Image.open(io.BytesIO(patch.png))) == (seed & 255, 0, 0)).all()


# what every executor promises


def test_a_job_with_plain_arrays_is_done(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        assert is_of(await fill(executor, hole(seed=200)), 200)

    run(lambda: make(1, no_files), scenario)


def test_a_stored_photo_is_filled_as_its_pixels_are(make: Make, tmp_path: Path) -> None:
    """The stored one with an earlier patch over it, and the mask in a file."""
    source, shown = photo(code=5), photo(code=5)
    shown[:8, :8] = 9
    for name, array in (("photo.png", source), ("patch.png", shown[:8, :8])):
        Image.fromarray(array).save(tmp_path / name)
    np.save(tmp_path / "pixels.npy", source)
    np.save(tmp_path / "mask.npy", HOLE)
    info = codec.probe(tmp_path / "photo.png")
    overlay = Overlay(tmp_path / "patch.png", Box(0, 0, 8, 8))
    picture = stored_picture(Picture(tmp_path / "photo.png", tmp_path / "pixels.npy", info, (overlay,)))
    blending = FillOptions(feather_px=8)

    async def scenario(executor: Executor) -> None:
        plain = await fill(executor, hole(image=shown, options=blending))
        stored = await fill(executor, hole(image=picture, mask=stored_array(tmp_path / "mask.npy"), options=blending))
        assert stored.patches == plain.patches

    run(lambda: make(1, no_files), scenario)


def test_answers_belong_to_their_own_jobs_however_many_run(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        handles = {seed: hand_in(executor, hole(seed)) for seed in range(1, 41)}
        assert all([is_of(await handle.result(), seed) for seed, handle in handles.items()])

    run(lambda: make(2, no_files), scenario)


def test_as_many_jobs_run_at_once_as_there_are_slots(make: Make) -> None:
    """Each waits for the other inside of its engine."""

    async def scenario(executor: Executor) -> None:
        assert executor.slots == 2
        first, second = hand_in(executor, hole(1, "meet")), hand_in(executor, hole(2, "meet"))
        assert is_of(await first.result(), 1)
        assert is_of(await second.result(), 2)

    run(lambda: make(2, no_files), scenario)


def test_jobs_that_wait_begin_in_the_order_in_which_they_were_handed_in(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        ended: list[int] = []

        async def noted(seed: int, handle: Handle[Filled]) -> None:
            await handle.result()
            ended.append(seed)

        await asyncio.gather(*(noted(seed, hand_in(executor, hole(seed))) for seed in range(1, 9)))
        assert ended == list(range(1, 9))

    run(lambda: make(1, no_files), scenario)


def test_a_job_hears_of_its_own_progress_only(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        slow: list[JobEvent] = []
        quick: list[JobEvent] = []
        running = hand_in(executor, hole(1, "slow", preview=True), slow)
        await until(lambda: any(isinstance(event, PreviewReport) for event in slow))
        await hand_in(executor, hole(2), quick).result()
        running.cancel()
        assert {event.stage for event in slow if isinstance(event, ProgressReport)} >= {"loading", "painting"}
        assert "painting" not in {event.stage for event in quick if isinstance(event, ProgressReport)}

    run(lambda: make(2, no_files), scenario)


def test_a_job_that_waits_is_cancelled_at_once_and_costs_the_others_nothing(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        heard: list[JobEvent] = []
        running = hand_in(executor, hole(1, "stay"), heard)
        waiting, never_begun, last = (hand_in(executor, hole(seed, "stay")) for seed in (2, 3, 4))
        never_begun.cancel()
        await until(lambda: bool(heard))
        waiting.cancel()
        assert [await code_of(waiting), await code_of(never_begun)] == ["job.cancelled"] * 2
        last.cancel()
        running.cancel()
        assert is_of(await fill(executor, hole(5)), 5)

    run(lambda: make(1, no_files), scenario)


def test_a_running_job_is_cancelled_and_its_slot_goes_to_the_next(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        heard: list[JobEvent] = []
        running = hand_in(executor, hole(1, "stay"), heard)
        waiting = hand_in(executor, hole(2))
        await until(lambda: bool(heard))
        running.cancel()
        assert await code_of(running) == "job.cancelled"
        assert is_of(await waiting.result(), 2)

    run(lambda: make(1, no_files), scenario)


def test_a_job_is_cancelled_with_the_task_that_waits_for_it(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        heard: list[JobEvent] = []
        task = asyncio.create_task(hand_in(executor, hole(1, "stay"), heard).result())
        await until(lambda: bool(heard))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert is_of(await fill(executor, hole(2)), 2)

    run(lambda: make(1, no_files), scenario)


def test_a_job_that_is_done_is_not_cancelled_any_more(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        handle = hand_in(executor, hole(1))
        await handle.result()
        handle.cancel()
        assert is_of(await handle.result(), 1)

    run(lambda: make(1, no_files), scenario)


def test_a_job_that_takes_too_long_is_stopped(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        await executor.load(PAINTER, deadline_s=300)
        assert await code_of(executor.submit(hole(1, "slow"), deadline_s=0.2)) == "job.deadline_exceeded"
        assert is_of(await fill(executor, hole(2)), 2)

    run(lambda: make(1, no_files), scenario)


def test_what_goes_wrong_in_a_job_is_named_and_changes_nothing_for_the_next(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        handles = [hand_in(executor, hole(1, behaviour)) for behaviour in ("memory", "fail", "bug")]
        handles.append(hand_in(executor, hole(1, model=ModelChoice(fake_engines.ENTRIES[2]))))
        handles.append(hand_in(executor, hole(1, options=FillOptions(params={"nonsense": 1}))))
        expected = ["engine.out_of_memory", "engine.failed", "server.internal", "engine.failed", "param.unknown"]
        assert [await code_of(handle) for handle in handles] == expected
        assert is_of(await fill(executor, hole(2)), 2)

    run(lambda: make(2, no_files), scenario)


def test_the_executor_finds_the_models_files_and_not_the_job(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"good weights")
    choice = ModelChoice(fake_engines.entry("checked", "fake_engines:load_checked"))
    asked: list[str] = []

    def files(entry: ModelEntry) -> Mapping[str, Path]:
        asked.append(entry.name)
        if len(asked) > 1:
            raise ModelNotDownloaded("It has gone.")
        return {"weights.bin": file}

    async def scenario(executor: Executor) -> None:
        assert is_of(await fill(executor, hole(1, model=choice)), 1)
        assert await code_of(hand_in(executor, hole(2, model=choice))) == "model.not_downloaded"
        assert asked == ["checked", "checked"]

    run(lambda: make(1, files), scenario)


def test_what_is_loaded_is_told(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        told: list[frozenset[str]] = []
        executor.on_change = lambda: told.append(executor.loaded)
        await executor.load(PAINTER, deadline_s=300)
        await fill(executor, hole(1, model=SECOND))
        assert executor.is_ready
        assert not executor.is_unavailable
        assert executor.devices == ("cpu",)
        assert executor.loaded == {"painter", "second"}
        assert {frozenset({"painter"}), frozenset({"painter", "second"})} <= set(told)

    run(lambda: make(1, no_files), scenario)


def test_a_model_that_cannot_be_loaded_ahead_says_why(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        with pytest.raises(ApiError) as caught:
            await executor.load(ModelChoice(fake_engines.ENTRIES[2]), deadline_s=300)
        assert caught.value.code == "engine.failed"
        assert executor.loaded == frozenset()

    run(lambda: make(1, no_files), scenario)


def test_an_executor_that_closes_ends_every_job(make: Make) -> None:
    async def scenario(executor: Executor) -> None:
        heard: list[JobEvent] = []
        handles = [hand_in(executor, hole(1, "stay"), heard), hand_in(executor, hole(2)), hand_in(executor, hole(3))]
        await until(lambda: bool(heard))
        await executor.close()
        assert [await code_of(handle) for handle in handles] == ["server.shutting_down"] * 3

    run(lambda: make(1, no_files), scenario)


# what processes add


def states(executor: Executor) -> dict[str, WorkerState]:
    return {worker.name: worker for worker in executor.workers}


def test_a_crash_costs_only_the_job_of_that_process() -> None:
    """The first job ends only after another one came to the process that was started again."""

    async def scenario(executor: Executor) -> None:
        heard: list[JobEvent] = []
        survivor = hand_in(executor, hole(1, "meet"), heard)
        await until(lambda: any(isinstance(event, ProgressReport) and event.stage == "waiting" for event in heard))
        assert await code_of(hand_in(executor, hole(2, "crash"))) == "worker.crashed"
        late = hand_in(executor, hole(3, "meet"))
        assert is_of(await survivor.result(), 1)
        assert is_of(await late.result(), 3)
        assert sorted(worker.restarts for worker in executor.workers) == [0, 1]

    run(lambda: local(2), scenario)


def test_a_process_that_does_not_listen_is_replaced_and_the_other_goes_on() -> None:
    async def scenario(executor: Executor) -> None:
        heard: list[JobEvent] = []
        survivor = hand_in(executor, hole(1, "meet"), heard)
        await until(lambda: any(isinstance(event, ProgressReport) and event.stage == "waiting" for event in heard))
        stubborn = executor.submit(hole(2, "hang"), deadline_s=2)
        assert await code_of(stubborn) == "job.deadline_exceeded"
        late = hand_in(executor, hole(3, "meet"))
        assert is_of(await survivor.result(), 1)
        assert is_of(await late.result(), 3)

    run(lambda: local(2), scenario)


LONG_PAUSE_S = (0.0, 0.0, 0.0, 0.0, 60.0)
"""A process that has crashed five times stays away for the rest of the test."""


def test_a_process_that_keeps_crashing_is_given_up_and_the_other_takes_the_jobs() -> None:
    async def scenario(executor: Executor) -> None:
        heard: list[JobEvent] = []
        busy = hand_in(executor, hole(1, "stay"), heard)
        await until(lambda: bool(heard))
        crashes = [await code_of(hand_in(executor, hole(2, "crash"))) for _ in range(5)]
        assert crashes == ["worker.crashed"] * 5
        assert sorted(worker.restarts for worker in executor.workers) == [0, 4]
        assert sorted(worker.state for worker in executor.workers) == ["ready", "unavailable"]
        assert (executor.slots, executor.is_ready, executor.is_unavailable) == (1, True, False)
        waiting = hand_in(executor, hole(3))
        busy.cancel()
        assert is_of(await waiting.result(), 3)

    run(lambda: local(2, backoff_s=LONG_PAUSE_S), scenario)


def test_when_every_process_is_given_up_jobs_are_refused() -> None:
    async def scenario(executor: Executor) -> None:
        for _ in range(5):
            await code_of(hand_in(executor, hole(2, "crash")))
        assert await code_of(hand_in(executor, hole(3))) == "worker.unavailable"
        assert (executor.is_ready, executor.is_unavailable) == (False, True)

    run(lambda: local(1, backoff_s=LONG_PAUSE_S), scenario)


def test_a_process_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """X19: it stayed away for ever when a descriptor was missing at the wrong moment."""
    start, failures = SpawnProcess.start, [OSError(errno.EMFILE, "Too many open files")] * 2

    def fail_at_first(process: SpawnProcess) -> None:
        if failures:
            raise failures.pop()
        start(process)

    async def scenario(executor: Executor) -> None:
        assert is_of(await fill(executor, hole(1)), 1)
        monkeypatch.setattr(SpawnProcess, "start", fail_at_first)
        executor.kill()
        await until(lambda: not executor.is_ready)
        assert is_of(await fill(executor, hole(2)), 2)
        assert not failures

    run(lambda: local(1), scenario)


def test_only_the_first_process_of_a_device_loads_ahead() -> None:
    async def scenario(executor: Executor) -> None:
        await executor.load(PAINTER, deadline_s=300)
        held = [(worker.device, worker.loaded) for worker in executor.workers]
        assert held == [("cpu", ("painter",)), ("cpu", ()), ("auto", ("painter",)), ("auto", ())]

    options: dict[str, Any] = {"model_dir": None, "memory_budget_bytes": 1000 * MIB, "max_megapixels": 128}
    run(lambda: LocalExecutor(["cpu", "auto"], 2, no_files, **options), scenario)


def test_a_job_goes_where_its_model_is_unless_it_would_have_to_wait() -> None:
    async def scenario(executor: Executor) -> None:
        loading = asyncio.create_task(executor.load(PAINTER, deadline_s=300))
        await asyncio.sleep(0)
        for seed in (1, 2, 3):
            await fill(executor, hole(seed))
        await loading
        assert [worker.loaded for worker in executor.workers] == [("painter",), ()], "also while it was loading"
        await asyncio.gather(fill(executor, hole(1, "meet")), fill(executor, hole(2, "meet")))
        assert [worker.loaded for worker in executor.workers] == [("painter",), ("painter",)]
        await fill(executor, hole(4, model=SECOND))
        assert states(executor)["engine 1"].loaded == ("painter", "second")

    run(lambda: local(2), scenario)


def test_the_processes_of_a_device_share_its_memory_budget() -> None:
    async def scenario(executor: Executor) -> None:
        await executor.load(PAINTER, deadline_s=300)
        await executor.load(SECOND, deadline_s=300)
        assert executor.loaded == {"second"}

    run(lambda: local(2, memory_budget_bytes=100 * MIB), scenario)


def test_the_pipe_of_a_process_is_closed_when_its_reader_has_ended() -> None:
    """A pipe that is closed while a thread begins to read from it makes that thread fail."""

    async def closed_at_once_and_later() -> tuple[bool, bool]:
        process: Supervisor[Any] = Supervisor("probe", "fake_engines:ThreadsHandler")
        process.start()
        pipe = process._connection
        assert pipe is not None
        await process.ready()
        await process.close()
        at_once = pipe.closed
        async with asyncio.timeout(300):
            while not pipe.closed:
                await asyncio.sleep(0)
        return at_once, pipe.closed

    assert asyncio.run(closed_at_once_and_later()) == (False, True)


def test_a_process_computes_in_its_share_of_the_threads() -> None:
    async def told(threads: int) -> Mapping[str, int]:
        process: Supervisor[Any] = Supervisor("probe", "fake_engines:ThreadsHandler", threads=threads)
        process.start()
        try:
            return await process.run(fake_engines.CountThreads(), deadline_s=300)
        finally:
            await process.close()

    for threads in (1, 2):
        assert set(asyncio.run(told(threads)).values()) == {threads}


def test_processes_divide_the_processors_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lama_server.workers.local.available_processors", lambda: 8)
    threads = [[worker.supervisor.threads for worker in local(count)._workers] for count in (1, 3, 16)]
    assert threads == [[None], [2] * 3, [1] * 16]


def test_the_union_of_jobs_is_complete() -> None:
    """Or a job could be handed in that no worker knows."""

    def below(base: type) -> set[type]:
        return {kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, base)} - {base}

    assert set(get_args(messages.AnyJob)) == below(messages.Job)
    assert set(get_args(messages.CodecRequest)) == below(messages.Request) - {messages.RunJob}


def test_a_choice_for_this_machine_is_made_by_the_executor() -> None:
    """Nothing that a caller says names a file or a device."""
    fields = {field for kind in (FillHole, ModelChoice) for field in kind.__dataclass_fields__}
    assert not fields & set(EngineChoice.__dataclass_fields__) - {"entry", "precision"}
