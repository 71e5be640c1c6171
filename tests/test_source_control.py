"""Where to copy from: told by the caller, followed by engines that copy, refused by the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from fake_engines import COPIER, Copier
from inpaint_models import Inpainter, get_model, list_models, load_model
from inpaint_models.errors import MaskSizeMismatch, NothingToCopy, SourceControlUnsupported
from inpaint_models.patchmatch.chunks import Chunks
from inpaint_models.patchmatch.engine import PatchMatchEngine
from inpaint_models.patchmatch.settings import PatchMatchSettings
from inpaint_models.patchmatch.solver import find_source_map
from inpaint_models.pipeline.plan import plan
from inpaint_models.registry import Strategy
from inpaint_models.types import Box, CopyingEngine, Mask, SourceControl
from serving import RECT, RunningServer, decode, encode, rect_mask

pytestmark = pytest.mark.on_ray

RED, GREEN = (0, 0, 200), (0, 200, 0)
LEFT = {"kind": "rect", "x": 0, "y": 0, "w": 10, "h": 64}
RIGHT = {"kind": "rect", "x": 60, "y": 0, "w": 36, "h": 64}


def area(height: int, width: int, box: Box) -> NDArray[np.bool_]:
    marked = np.zeros((height, width), bool)
    marked[box.slices] = True
    return marked


def sources(hole: NDArray[np.bool_], allowed: NDArray[np.bool_], seed: int, settings: PatchMatchSettings) -> Any:
    """Which pixels of the astronaut are copied into the hole: flat positions."""
    image = skimage.data.astronaut().astype(np.float32) / 255
    with ThreadPoolExecutor(1) as pool:
        chunks = Chunks(pool, lambda: None)
        found = find_source_map(
            image, hole, allowed, seed=seed, settings=settings, chunks=chunks, report=lambda *_: None
        )
    assert found is not None
    return found[hole]


@pytest.mark.parametrize("max_pixels", [4_000_000, 100_000], ids=["solved at full size", "solved at half size"])
@pytest.mark.parametrize("seed", [0, 3])
def test_sources_painted_red_never_appear_and_of_green_ones_nothing_else(seed: int, max_pixels: int) -> None:
    hole, settings = area(512, 512, Box(330, 60, 440, 200)), PatchMatchSettings(max_pixels=max_pixels)
    red = area(512, 512, Box(250, 0, 330, 300)) | area(512, 512, Box(330, 200, 500, 260))
    assert not red.ravel()[sources(hole, ~red, seed, settings)].any()
    green = area(512, 512, Box(5, 40, 95, 171))
    assert green.ravel()[sources(hole, green, seed, settings)].all()


@pytest.mark.parametrize("side_px", [8, 9, 20])
def test_a_small_green_spot_is_all_that_appears(side_px: int) -> None:
    hole, green = area(512, 512, Box(330, 60, 380, 100)), area(512, 512, Box(101, 51, 101 + side_px, 51 + side_px))
    assert green.ravel()[sources(hole, green, 0, PatchMatchSettings())].all()


def two_colours() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(image, mask): blue on the left, green on the right, the hole between."""
    image = np.empty((64, 96, 3), np.uint8)
    image[:, :48], image[:, 48:] = RED, GREEN
    return image, rect_mask() > 0


@pytest.mark.parametrize(
    ("control", "colour"),
    [
        ({"source_include": area(64, 96, Box(60, 0, 96, 64))}, GREEN),
        ({"source_exclude": area(64, 96, Box(44, 0, 96, 64))}, RED),
        ({"source_include": area(64, 96, Box(0, 0, 96, 64)).astype(np.uint8) * 255,
          "source_exclude": area(64, 96, Box(0, 0, 48, 64))}, GREEN),
    ],
    ids=["only there", "never there", "both"],
)  # fmt: skip
def test_the_inpainter_copies_from_where_it_is_told_to(control: Any, colour: tuple[int, ...]) -> None:
    image, mask = two_colours()
    filled = Inpainter(get_model("patchmatch"), PatchMatchEngine())(image, mask, **control)
    assert np.argmax(np.median(filled[mask], axis=0)) == np.argmax(colour)  # seams are softened, so it is not pure


def test_a_raster_that_covers_nothing_says_nothing() -> None:
    image, mask = two_colours()
    nothing = np.zeros(mask.shape, np.uint8)
    told = load_model("opencv")(image, mask, source_include=nothing, source_exclude=nothing)
    np.testing.assert_array_equal(told, load_model("opencv")(image, mask))


def test_a_model_that_copies_nothing_refuses_to_be_told_where_from() -> None:
    image, mask = two_colours()
    with pytest.raises(SourceControlUnsupported, match="OpenCV copies nothing"):
        load_model("opencv")(image, mask, source_exclude=~mask)


def test_a_raster_of_another_size_is_refused() -> None:
    image, mask = two_colours()
    with pytest.raises(MaskSizeMismatch):
        Inpainter(COPIER, Copier())(image, mask, source_include=mask[1:])


@pytest.mark.parametrize(
    "control", [{"source_include": rect_mask()}, {"source_exclude": np.full((64, 96), 255, np.uint8)}]
)
def test_where_nothing_is_left_to_copy_from_the_fill_is_refused(control: Any) -> None:
    image, mask = two_colours()
    with pytest.raises(NothingToCopy, match="Nothing is left"):
        Inpainter(COPIER, Copier())(image, mask, **control)


def test_where_no_whole_patch_is_left_the_fill_is_refused() -> None:
    image, mask = two_colours()
    with pytest.raises(NothingToCopy, match="8x8"):
        Inpainter(get_model("patchmatch"), PatchMatchEngine())(
            image, mask, source_include=area(64, 96, Box(60, 5, 67, 60))
        )


def test_the_crop_reaches_as_far_as_what_is_to_be_copied_from() -> None:
    image = np.zeros((600, 900, 3), np.uint8)
    image[500:520, 800:830] = GREEN
    mask = area(600, 900, Box(20, 20, 50, 50))
    entry = replace(COPIER, strategy=Strategy("crop", crop_above=0, margin_px=16))
    filled = Inpainter(entry, Copier())(image, mask, source_include=area(600, 900, Box(800, 500, 830, 520)))
    assert (filled[mask] == GREEN).all()


def test_a_crop_grows_until_it_holds_as_much_to_copy_as_to_fill() -> None:
    control = SourceControl(exclude=Mask(Box(0, 0, 500, 500), np.full((500, 500), 255, np.uint8)))
    hole = Mask(Box(100, 100, 200, 200), np.full((100, 100), 255, np.uint8))
    (crop,) = plan(hole, 900, 900, Strategy("crop", 0, 16), COPIER.size, control=control).crops
    assert control.allowed_in(crop.box).sum() >= 100 * 100
    assert crop.box.area < 900 * 900


def test_an_entry_says_of_its_engine_whether_it_can_be_told_where_to_copy_from() -> None:
    told = {entry.name for entry in list_models() if entry.source_control}
    assert told == {"patchmatch"}
    assert isinstance(PatchMatchEngine(), CopyingEngine)


@pytest.fixture(scope="module")
def image(server: RunningServer) -> str:
    return str(server.upload(two_colours()[0]).json["id"])


def patch_of(server: RunningServer, image: str, **source: Any) -> NDArray[np.uint8]:
    """The hole of an edit that copies from there."""
    mask = {"shapes": [RECT], "source": source, "grow_px": 0}
    reply = server.edit(image, {"model": "copier", "seed": 1}, mask=mask)
    (result,) = [line for line in reply.lines if line["type"] == "result"]
    edit = server.ask("GET", f"/api/v1/edits/{result['edit']}").json
    assert {name: [shape["x"] for shape in shapes] for name, shapes in edit["mask"]["source"].items()} == {
        "include": [], "exclude": [], **{name: [shape["x"] for shape in shapes] for name, shapes in source.items()}
    }  # fmt: skip
    return decode(server.ask("GET", result["patches"][0]["url"]).body)


def test_an_edit_copies_from_where_its_shapes_tell(server: RunningServer, image: str) -> None:
    assert (patch_of(server, image, include=[RIGHT]) == GREEN).all()
    assert (patch_of(server, image, include=[RIGHT, LEFT, {**RIGHT, "op": "sub"}]) == RED).all()
    assert (patch_of(server, image, exclude=[{**RIGHT, "x": 44, "w": 52}]) == RED).all()


def test_shapes_that_mark_nothing_say_nothing(server: RunningServer, image: str) -> None:
    erased = [RIGHT, {**RIGHT, "op": "sub"}]
    assert (patch_of(server, image, include=erased) == patch_of(server, image)).all()


def test_an_edit_with_nothing_to_copy_from_ends_in_that_error(server: RunningServer, image: str) -> None:
    mask = {"shapes": [RECT], "source": {"include": [RECT]}}
    last = server.edit(image, {"model": "copier"}, mask=mask).lines[-1]
    assert (last["type"], last["problem"]["code"]) == ("error", "mask.nothing_to_copy")


def test_one_shot_takes_where_to_copy_from_as_pictures(server: RunningServer) -> None:
    photo, mask = two_colours()
    right = encode(area(64, 96, Box(60, 0, 96, 64)).astype(np.uint8) * 255)
    for name, colour in (("source_include", GREEN), ("source_exclude", RED)):
        given: dict[str, Any] = {"params": {"model": "copier"}, name: right}
        reply = server.one_shot(encode(photo), encode(rect_mask()), **given)
        filled = decode(reply.body)[mask].mean(axis=0)
        assert np.argmax(filled) == np.argmax(colour)


def test_the_list_of_models_tells_which_can_be_told_where_to_copy_from(server: RunningServer) -> None:
    models = server.ask("GET", "/api/v1/models").json["models"]
    assert [model["name"] for model in models if model["source_control"]] == ["copier"]
