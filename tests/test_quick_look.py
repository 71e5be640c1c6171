"""A quick look: another model's answer as the preview of a job that takes long, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fake_engines import HUB_CONTENT, QUICK, entry, photo
from inpaint_models.errors import Cancelled, EngineFailed
from inpaint_models.options import FillOptions
from inpaint_models.types import Box, Patch
from lama_server.workers import quick_look
from lama_server.workers.engine_worker import EngineHandler
from lama_server.workers.messages import (
    EngineChoice,
    Filled,
    FillHole,
    LoadModel,
    ModelChoice,
    PreviewReport,
    RunJob,
)
from lama_server.workers.quick_look import MOST_DELAY, QuickLook
from lama_server.workers.worker import JobContext
from serving import RECT, RunningServer, decode, edit_request, rect_mask, within

PAINTER = entry("painter")
COST_S = 1.0


# --- when it looks ---------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(quick_look, "time", clock)
    return clock


def looking(clock: Clock, patches: int = 1, cost_s: float = COST_S) -> tuple[QuickLook, list[Patch]]:
    """A look of so many patches, each of which takes `cost_s`, and where they arrive."""

    def fill() -> Iterator[Patch]:
        for _ in range(patches):
            clock.now_s += cost_s
            yield Patch(Box(0, 0, 1, 1), np.zeros((1, 1, 3), np.uint8), "crop")

    shown: list[Patch] = []
    return QuickLook(fill, COST_S, shown.append), shown


def follow(look: QuickLook, clock: Clock, whole_s: float, steps: int = 50) -> None:
    """A fill that takes so long by itself."""
    for step in range(steps):
        look.consider(step / steps)
        clock.now_s += whole_s / steps


@pytest.mark.parametrize("whole_s", [1, 5, 9])
def test_a_fill_that_is_soon_over_is_left_alone(clock: Clock, whole_s: float) -> None:
    look, shown = looking(clock)
    follow(look, clock, whole_s)
    assert not shown


@pytest.mark.parametrize("whole_s", [15, 60, 600])
def test_a_long_fill_is_looked_ahead_of_once_and_early(clock: Clock, whole_s: float) -> None:
    look, shown = looking(clock)
    began_s = clock.now_s
    follow(look, clock, whole_s)
    assert len(shown) == 1
    assert clock.now_s - began_s == pytest.approx(whole_s + COST_S)


def test_the_delay_is_bounded_however_many_patches_there_are(clock: Clock) -> None:
    look, shown = looking(clock, patches=1000)
    began_s = clock.now_s
    follow(look, clock, 200)
    assert 1 < len(shown) <= MOST_DELAY * 200
    assert clock.now_s - began_s - 200 <= MOST_DELAY * 200


def test_a_look_that_fails_costs_the_fill_nothing_but_one_that_is_cancelled_ends_it(clock: Clock) -> None:
    def raising(error: Exception) -> QuickLook:
        def fill() -> Iterator[Patch]:
            raise error

        return QuickLook(fill, COST_S, lambda patch: None)

    follow(raising(EngineFailed("Nothing but NaN.")), clock, 100)
    follow(raising(RuntimeError("a bug")), clock, 100)
    with pytest.raises(Cancelled):
        follow(raising(Cancelled()), clock, 100)


# --- in the worker ---------------------------------------------------------------------------------------------------


class Line(JobContext):
    """A job's line to the server; the job is unwanted once `until` says so."""

    def __init__(self, until: Callable[[Any], bool] = lambda message: False) -> None:
        self.sent: list[Any] = []
        self.cell = SimpleNamespace(value=0)
        self.until = until
        super().__init__(1, self.note, self.cell)

    def note(self, message: Any) -> None:
        self.sent.append(message)
        if self.until(message):
            self.cell.value = 1

    @property
    def previews(self) -> list[PreviewReport]:
        return [message for message in self.sent if isinstance(message, PreviewReport)]


def choice(of: Any) -> EngineChoice:
    return EngineChoice(of, "cpu", "auto")


def filling(pixels: np.ndarray, mask: np.ndarray, **more: Any) -> RunJob[Filled]:
    options = FillOptions(seed=7, params={"behaviour": "silent", "seconds": 0.6})
    return RunJob(
        FillHole(ModelChoice(PAINTER), pixels, mask, options, preview=True, quick=QUICK, **more), choice(PAINTER)
    )


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> EngineHandler:
    """One that has the quick model in memory, and looks whatever that costs."""
    monkeypatch.setattr(quick_look, "MOST_DELAY", 1e6)
    handler = EngineHandler(2**30, "cpu", 128)
    handler.handle(RunJob(LoadModel(ModelChoice(QUICK)), choice(QUICK)), Line())
    return handler


def test_the_look_is_the_quick_models_answer_and_the_result_the_other_ones(handler: EngineHandler) -> None:
    pixels, mask, line = photo(), rect_mask(), Line()
    filled = handler.handle(filling(pixels, mask), line)
    (preview,) = line.previews
    shown, result = pixels.copy(), pixels.copy()
    shown[mask > 0], result[mask > 0] = (0, 0, 255), (7, 0, 0)
    assert preview.media_type == "image/png"
    assert np.array_equal(decode(preview.image), shown[preview.box.slices]), "known pixels are the photo's own"
    assert isinstance(filled, Filled)
    (patch,) = filled.patches
    assert np.array_equal(decode(patch.png), result[patch.box.slices])
    assert line.sent.index(preview) < len(line.sent) - 1, "the fill goes on after it"


def test_there_is_no_look_where_the_quick_model_is_not_in_memory(handler: EngineHandler) -> None:
    line = Line()
    EngineHandler(2**30, "cpu", 128).handle(filling(photo(), rect_mask()), line)
    assert not line.previews
    crowded = EngineHandler(PAINTER.memory_bytes, "cpu", 128)
    crowded.handle(RunJob(LoadModel(ModelChoice(QUICK)), choice(QUICK)), line)
    crowded.handle(filling(photo(), rect_mask()), line)
    assert not line.previews, "it made room for the model that fills"


def test_the_quick_model_has_no_look_at_itself(handler: EngineHandler) -> None:
    line = Line()
    job = FillHole(ModelChoice(QUICK), photo(), rect_mask(), FillOptions(), preview=True, quick=QUICK)
    handler.handle(RunJob(job, choice(QUICK)), line)
    assert not line.previews


def test_cancelling_is_heard_after_a_look(handler: EngineHandler) -> None:
    line = Line(until=lambda message: isinstance(message, PreviewReport))
    with pytest.raises(Cancelled):
        handler.handle(filling(photo(), rect_mask()), line)


# --- over HTTP -------------------------------------------------------------------------------------------------------


def slow(seconds: float) -> dict[str, Any]:
    return {"model": "painter", "seed": 9, "params": {"behaviour": "silent", "seconds": seconds}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("quick"), {"quick": True}) as server:
        server.wait_ready()
        yield server


def previews(server: RunningServer, *runs: dict[str, Any], **more: Any) -> Generator[dict[str, Any]]:
    """The lines of an edit that are previews."""
    image = server.upload(photo()).json["id"]
    for line in server.stream(edit_request(image, *runs, **more)):
        if line["type"] == "preview":
            yield line


def test_a_look_is_a_preview_of_the_job_and_can_be_switched_off(server: RunningServer) -> None:
    assert not list(previews(server, slow(1))), "the quick model is not loaded yet"
    assert not list(previews(server, {"model": "migan"}))
    stays = {"model": "painter", "params": {"behaviour": "stay"}}
    with closing(previews(server, stays)) as lines:  # hangs up in the end
        line = next(lines)
        shown = decode(server.ask("GET", line["url"]).body)
    assert line["run"] == 0
    assert (line["x"], line["y"], line["w"], line["h"]) == (RECT["x"], RECT["y"], RECT["w"], RECT["h"])
    assert (shown == (0, 0, 255)).all()
    assert not list(previews(server, slow(1), quick_look=False))


@pytest.mark.parametrize(("quick_look", "loaded"), [(True, {"distant", "migan"}), (False, {"distant"})])
def test_the_quick_model_is_loaded_beside_a_network_where_its_weights_are_there(
    tmp_path: Path, quick_look: bool, loaded: set[str]
) -> None:
    for name in ("distant", "migan"):
        (tmp_path / f"{name}.bin").write_bytes(HUB_CONTENT)
    options = {
        "hub": "http://127.0.0.1:9", "model": "distant", "model_dir": str(tmp_path), "local_files_only": True,
        "quick_look": quick_look,
    }  # fmt: skip
    with RunningServer(tmp_path / "data", options) as server:
        server.wait_ready()
        assert within(60, lambda: set(server.ask("GET", "/readyz").json["workers"][0]["loaded"]) == loaded)
        server.edit(server.upload(photo()).json["id"], {"model": "distant"})
        assert set(server.ask("GET", "/readyz").json["workers"][0]["loaded"]) == loaded
