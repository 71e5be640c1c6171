"""Which models the engine worker keeps in memory, and what it does when memory runs out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from fake_engines import entry
from inpaint_models import Inpainter, devices
from inpaint_models.errors import Cancelled, OutOfMemory, WrongTask
from inpaint_models.loading import WARM_UP_SIDE_PX
from inpaint_models.options import FillOptions
from inpaint_models.protocols import Candidate, Point, Prompts, StepProgress
from inpaint_models.registry import Gesture
from inpaint_models.tasks.select import Selector
from inpaint_models.types import Box, FloatImage, HoleMask, Mask, ParamValue, PixelSource, Progress
from lama_server import codec
from lama_server.errors import TooManyPixels
from lama_server.imaging.lazy_pixels import stored_picture
from lama_server.imaging.pictures import Picture
from lama_server.schemas.shapes import Bitmap, Shape
from lama_server.workers import engine_worker
from lama_server.workers.engine_worker import EngineHandler
from lama_server.workers.messages import (
    EngineChoice,
    Filled,
    FillHole,
    LoadedModels,
    LoadedModelsReport,
    LoadModel,
    ModelChoice,
    RunJob,
    Selected,
    SelectMask,
)
from lama_server.workers.model_cache import MOST_ENCODINGS, ModelCache
from lama_server.workers.worker import JobContext

MIB = 2**20


class Greedy:
    """An engine that fits only beside at most `neighbours` others."""

    alive: ClassVar[set[int]] = set()

    def __init__(self, neighbours: int) -> None:
        self.neighbours = neighbours
        Greedy.alive.add(id(self))

    def __del__(self) -> None:
        Greedy.alive.discard(id(self))

    def fill(
        self,
        image: FloatImage,
        hole: HoleMask,
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage:
        if len(Greedy.alive) > self.neighbours + 1:
            raise OutOfMemory("no room")
        return image


class Listener(JobContext):
    """A job's line to the server."""

    def __init__(self, *, cancelled: bool = False, cancelled_after: int | None = None) -> None:
        self.sent: list[Any] = []
        super().__init__(1, self.sent.append, SimpleNamespace(value=0))
        self._checks_left = 0 if cancelled else cancelled_after

    def check(self) -> None:
        if self._checks_left == 0:
            raise Cancelled
        if self._checks_left is not None:
            self._checks_left -= 1

    def held_models(self) -> list[tuple[str, ...]]:
        return [event.loaded for event in self.sent if isinstance(event, LoadedModelsReport)]


def choice(name: str, memory_mib: int = 100) -> EngineChoice:
    return EngineChoice(replace(entry(name), memory_bytes=memory_mib * MIB), "cpu", "auto", {}, None)


def loading(wanted: EngineChoice) -> RunJob[LoadedModels]:
    return RunJob(LoadModel(ModelChoice(wanted.entry)), wanted)


def filling(wanted: EngineChoice, image: PixelSource, shapes: tuple[Shape, ...]) -> RunJob[Filled]:
    return RunJob(FillHole(ModelChoice(wanted.entry), image, shapes, FillOptions(seed=1)), wanted)


def load(wanted: EngineChoice) -> Inpainter:
    return Inpainter(wanted.entry, Greedy(99))


def test_models_are_held_up_to_the_budget_and_the_one_unused_longest_makes_room() -> None:
    cache = ModelCache(250 * MIB)
    for name in ("a", "b"):
        cache.add(choice(name), load)
    assert cache.names == ("a", "b")
    assert cache.find(choice("a")) is not None
    cache.add(choice("c"), load)
    assert cache.names == ("a", "c")
    assert len(Greedy.alive) == 2, "a model that made room is gone from memory"


def test_a_model_larger_than_the_budget_is_held_alone() -> None:
    cache = ModelCache(250 * MIB)
    cache.add(choice("a"), load)
    cache.add(choice("large", memory_mib=900), load)
    assert cache.names == ("large",)
    cache.add(choice("a"), load)
    assert cache.names == ("a",)


def test_room_is_made_before_a_model_is_loaded() -> None:
    cache = ModelCache(150 * MIB)
    cache.add(choice("a"), load)
    held: list[int] = []

    def watching(wanted: EngineChoice) -> Inpainter:
        held.append(len(Greedy.alive))
        return load(wanted)

    cache.add(choice("b"), watching)
    assert held == [0]


def test_what_runs_out_of_memory_beside_other_models_is_tried_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    neighbours = {"a": 99, "b": 99, "needy": 0}
    beside: list[int] = []

    def load_beside(wanted: EngineChoice) -> Inpainter:
        beside.append(len(Greedy.alive))
        return Inpainter(wanted.entry, Greedy(neighbours[wanted.entry.name]))

    monkeypatch.setattr(engine_worker, "load_runner", load_beside)
    handler, listener = EngineHandler(1000 * MIB, "cpu", 128), Listener()
    for name in ("a", "b"):
        handler.handle(loading(choice(name)), listener)
    assert handler.handle(loading(choice("needy")), listener) == LoadedModels(("needy",))
    assert beside == [0, 1, 2, 0], "nor beside what the first try had built"
    assert listener.held_models()[-1] == ("needy",)


def test_what_does_not_fit_alone_either_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_worker, "load_runner", lambda wanted: Inpainter(wanted.entry, Greedy(-1)))
    with pytest.raises(OutOfMemory):
        EngineHandler(1000 * MIB, "cpu", 128).handle(loading(choice("huge")), Listener())


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_model_that_was_not_warmed_up_is_not_kept(monkeypatch: pytest.MonkeyPatch, cancelled: bool) -> None:
    neighbours = {"a": 99, "huge": 99 if cancelled else -1}
    monkeypatch.setattr(
        engine_worker, "load_runner", lambda wanted: Inpainter(wanted.entry, Greedy(neighbours[wanted.entry.name]))
    )
    handler, listener = EngineHandler(1000 * MIB, "cpu", 128), Listener(cancelled=cancelled)
    handler.handle(loading(choice("a")), Listener())
    with pytest.raises(Cancelled if cancelled else OutOfMemory):
        handler.handle(loading(choice("huge")), listener)
    assert "huge" not in listener.held_models()[-1]
    assert len(Greedy.alive) == len(listener.held_models()[-1])


def picture(folder: Path, width: int, height: int) -> Picture:
    """A black photo, decoded."""
    source, pixels = folder / "photo.png", folder / "pixels.npy"
    Image.new("RGB", (width, height)).save(source)
    np.save(pixels, np.zeros((height, width, 3), np.uint8))
    return Picture(source, pixels, codec.probe(source))


@pytest.mark.parametrize("op", ["add", "sub"])
def test_a_cancelled_fill_ends_in_the_rasteriser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, op: str) -> None:
    """P6: before a model is loaded, and within one shape."""
    monkeypatch.setattr(engine_worker, "load_runner", None)
    shapes = TypeAdapter(list[Shape]).validate_python(
        [
            {"kind": "rect", "x": 0, "y": 0, "w": 96, "h": 64},
            {"kind": "stroke", "op": op, "d": 30, "p": [0, 0, *[380, 250, -380, -250] * 3000]},
        ]
    )
    job = filling(choice("a"), stored_picture(picture(tmp_path, 96, 64)), tuple(shapes))
    with pytest.raises(Cancelled):
        EngineHandler(1000 * MIB, "cpu", 128).handle(job, Listener(cancelled_after=4))


def test_a_bitmap_is_held_to_the_servers_pixel_limit(tmp_path: Path) -> None:
    """P5: also where the photo came in under a higher limit."""
    photo = picture(tmp_path, 1200, 1000)
    png = base64.b64encode(photo.source.read_bytes()).decode()
    shape = Bitmap(kind="bitmap", x=0, y=0, w=1200, h=1000, png=png)
    job = filling(choice("a"), stored_picture(photo), (shape,))
    with pytest.raises(TooManyPixels, match="the limit is 1"):
        EngineHandler(1000 * MIB, "cpu", 1).handle(job, Listener())


def test_a_loaded_model_knows_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "device_for", lambda entry, wanted: "cuda")
    assert engine_worker.load_runner(choice("a")).device == "cuda"


@dataclass
class Kept:
    """What a model keeps of an image."""

    shape: tuple[int, int]
    size_bytes: int


class Eye:
    """Selects one pixel, and counts how often it encodes, but for its warm-up."""

    def __init__(self, size_bytes: int = MIB) -> None:
        self.encoded, self.size_bytes = 0, size_bytes

    def encode(self, image: PixelSource, *, progress: StepProgress) -> Kept:
        self.encoded += image.shape[0] != WARM_UP_SIDE_PX
        return Kept((image.shape[0], image.shape[1]), self.size_bytes)

    def select(
        self, encoded: Kept, prompts: Prompts, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Mask:
        return Mask(Box(3, 2, 4, 3), np.full((1, 1), 255, np.uint8))

    def candidates(
        self, encoded: Kept, prompts: Prompts, most: int, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> list[Candidate]:
        return [Candidate(self.select(encoded, prompts, params=params, progress=progress), 0.5)]


def selecting(wanted: EngineChoice, name: str, *, whole: bool = False, view: Box | None = None) -> RunJob[Selected]:
    image, prompts = np.zeros((4, 5, 3), np.uint8), Prompts(points=(Point(1, 1),))
    return RunJob(SelectMask(ModelChoice(wanted.entry), image, name, prompts, whole=whole, view=view), wanted)


def selector(name: str = "eye", gesture: Gesture = "mark") -> EngineChoice:
    wanted = choice(name)
    return replace(wanted, entry=replace(wanted.entry, task="select", gesture=gesture))


def test_an_image_is_encoded_once_for_any_number_of_selections(monkeypatch: pytest.MonkeyPatch) -> None:
    eye = Eye()
    monkeypatch.setattr(engine_worker, "load_runner", lambda wanted: Selector(wanted.entry, eye))
    handler = EngineHandler(1000 * MIB, "cpu", 128)
    for name in ("a", "a", "b", "a"):
        handler.handle(selecting(selector(), name), Listener())
    assert eye.encoded == 2


@pytest.mark.parametrize(("gesture", "times"), [("mark", 1), ("point", 3)])
def test_a_view_is_encoded_once_by_models_that_look_at_views(
    monkeypatch: pytest.MonkeyPatch, gesture: Gesture, times: int
) -> None:
    eye = Eye()
    monkeypatch.setattr(engine_worker, "load_runner", lambda wanted: Selector(wanted.entry, eye))
    handler = EngineHandler(1000 * MIB, "cpu", 128)
    whole, corner = Box(0, 0, 5, 4), Box(0, 0, 3, 3)
    for view in (None, whole, corner, whole, corner, None):
        made = handler.handle(selecting(selector(gesture=gesture), "a", view=view), Listener())
        assert isinstance(made, Selected)
        assert made.mask.box == Box(3, 2, 4, 3)
    assert eye.encoded == times


def test_a_selection_comes_as_a_mask_in_its_box_or_of_the_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_worker, "load_runner", lambda wanted: Selector(wanted.entry, Eye()))
    handler = EngineHandler(1000 * MIB, "cpu", 128)
    boxed = handler.handle(selecting(selector(), "a"), Listener())
    assert isinstance(boxed, Selected)
    assert boxed.mask.box == Box(3, 2, 4, 3)
    assert np.asarray(Image.open(BytesIO(boxed.mask.png))).tolist() == [[True]]
    whole = handler.handle(selecting(selector(), "a", whole=True), Listener())
    assert isinstance(whole, Selected)
    assert np.argwhere(np.asarray(Image.open(BytesIO(whole.mask.png)))).tolist() == [[2, 3]]
    assert whole.mask.box == Box(0, 0, 5, 4)


def encode(size_mib: int) -> Callable[[], Kept]:
    return lambda: Kept((1, 1), size_mib * MIB)


def held(cache: ModelCache, wanted: EngineChoice, names: str) -> str:
    """Those of the encodings that are there."""
    there = ""
    for name in names:
        made: list[str] = []

        def make(made: list[str] = made) -> Kept:
            made.append("again")
            return Kept((1, 1), 0)

        cache.encoded(wanted, name, make)
        there += "" if made else name
    return there


def test_encodings_are_held_up_to_the_budget_and_the_one_unused_longest_goes() -> None:
    cache = ModelCache(200 * MIB)
    cache.add(choice("a"), load)
    for name in ("1", "2", "1", "3"):
        cache.encoded(choice("a"), name, encode(40))
    assert held(cache, choice("a"), "13") == "13"
    assert held(cache, choice("a"), "2") == ""
    assert cache.names == ("a",), "a model is dearer than what it encodes"


def test_an_encoding_over_the_budget_is_used_all_the_same() -> None:
    cache = ModelCache(200 * MIB)
    cache.add(choice("a"), load)
    assert cache.encoded(choice("a"), "1", encode(900)).size_bytes == 900 * MIB


def test_no_more_files_are_kept_open_than_there_may_be_encodings() -> None:
    cache = ModelCache(200 * MIB)
    cache.add(choice("a"), load)
    for name in range(MOST_ENCODINGS + 1):
        cache.encoded(choice("a"), chr(65 + name), encode(0))
    assert held(cache, choice("a"), "BA") == "B"


def test_encodings_make_room_before_models_do_and_go_with_theirs() -> None:
    cache = ModelCache(250 * MIB)
    cache.add(choice("a"), load)
    cache.encoded(choice("a"), "1", encode(100))
    cache.add(choice("b"), load)
    assert cache.names == ("a", "b")
    assert held(cache, choice("a"), "1") == ""
    cache.encoded(choice("a"), "2", encode(1))
    cache.discard(choice("a"))
    assert held(cache, choice("a"), "2") == ""


def test_a_job_for_another_kind_of_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_worker, "load_runner", lambda wanted: Inpainter(wanted.entry, Greedy(99)))
    with pytest.raises(WrongTask, match="Painter is there to fill"):
        EngineHandler(1000 * MIB, "cpu", 128).handle(selecting(choice("painter"), "a"), Listener())
