"""The frame around every engine: known pixels stay, the fill lands in the hole and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inpaint_models import FillOptions, Inpainter, devices, get_model, load_model
from inpaint_models.errors import (
    Cancelled,
    EmptyMask,
    InvalidImage,
    InvalidMask,
    MaskCoversImage,
    MaskSizeMismatch,
    OutOfMemory,
)
from inpaint_models.opencv.engine import OpenCvEngine
from inpaint_models.registry import SizeRequirement, Strategy, StrategyKind
from inpaint_models.types import Box, FloatImage, HoleMask, Mask, ParamValue, Patch, Progress

ANY_SIZE = SizeRequirement()
SMALL_CROPS = Strategy("crop", crop_above=0, margin_px=8, max_side=4096)


class ConstantEngine:
    """Fills with one value and remembers what it was shown."""

    def __init__(self, value: float = 0.4) -> None:
        self.value = value
        self.seen: list[tuple[FloatImage, HoleMask]] = []

    def fill(
        self, image: FloatImage, hole: HoleMask, *, params: Mapping[str, ParamValue], seed: int, progress: Progress
    ) -> FloatImage:
        self.seen.append((image, hole))
        progress("filling", 0, 2, lambda: np.full_like(image, self.value))
        return np.full_like(image, self.value)


def inpainter(
    engine: ConstantEngine,
    *,
    size: SizeRequirement = ANY_SIZE,
    strategy: Strategy = SMALL_CROPS,
    bytes_per_px: int = 0,
    needs_known: bool = False,
) -> Inpainter:
    entry = replace(
        get_model("opencv"),
        size=size,
        strategy=strategy,
        parameters=(),
        bytes_per_px=bytes_per_px,
        needs_known=needs_known,
    )
    return Inpainter(entry, engine)


def noise(height: int, width: int, channels: int = 3, dtype: Any = np.uint8, seed: int = 0) -> NDArray[Any]:
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top, (height, width, channels), dtype=dtype, endpoint=True)


@settings(max_examples=60)
@given(
    st.integers(1, 90), st.integers(1, 90), st.sampled_from([3, 4]), st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 10_000), st.integers(0, 12), st.integers(0, 12),
)  # fmt: skip
def test_known_pixels_and_alpha_come_back_unchanged(
    height: int, width: int, channels: int, dtype: type, seed: int, grow: int, feather: int
) -> None:
    image = noise(height, width, channels, dtype, seed)
    mask = np.random.default_rng(seed + 1).random((height, width)) < 0.02
    mask[seed % height, seed % width] = True
    out = inpainter(ConstantEngine(), size=SizeRequirement(16, 8))(
        image, mask, FillOptions(grow_px=grow, feather_px=feather)
    )
    rows, columns = np.nonzero(mask)
    y, x = np.mgrid[:height, :width]
    far = ((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2).min(axis=2) > (grow + 0.5) ** 2 + grow
    assert out.shape == image.shape
    assert out.dtype == image.dtype
    assert (out[far] == image[far]).all()
    assert (out[..., 3:] == image[..., 3:]).all()
    if feather == 0:
        assert (out[mask][:, :3] == round(np.iinfo(dtype).max * 0.4)).all()


def test_values_are_rounded_so_that_repeated_edits_do_not_darken() -> None:
    image = noise(40, 40)
    mask = np.zeros((40, 40), bool)
    mask[10:20, 10:20] = True
    echo = inpainter(ConstantEngine(99.7 / 255))
    first = echo(image, mask)
    assert (first[mask] == 100).all()
    for _ in range(5):
        first = echo(first, mask)
    assert (first[mask] == 100).all()


def test_feather_fades_in_from_the_holes_edge() -> None:
    image = np.zeros((60, 60, 3), np.uint8)
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    out = inpainter(ConstantEngine(1.0))(image, mask, FillOptions(feather_px=8))
    ramp = out[30, 10:30, 0].astype(int)
    assert 0 < ramp[0] < 60
    assert (np.diff(ramp) >= 0).all()
    assert ramp[-1] == 255


def test_feather_does_not_fade_towards_the_images_own_edge() -> None:
    image = np.zeros((60, 60, 3), np.uint8)
    mask = np.zeros((60, 60), bool)
    mask[:, :30] = True
    out = inpainter(ConstantEngine(1.0))(image, mask, FillOptions(feather_px=8))
    assert (out[:, 0] == 255).all()


def test_the_engine_sees_the_size_that_it_asked_for() -> None:
    engine = ConstantEngine()
    mask = np.zeros((70, 50), bool)
    mask[3, 3] = True
    inpainter(engine, size=SizeRequirement(64, 32, square=True))(noise(70, 50), mask)
    assert engine.seen[0][0].shape == (64, 64, 3)
    assert engine.seen[0][1].shape == (64, 64)


def test_a_crop_over_the_cap_is_shown_smaller_and_filled_at_full_size() -> None:
    engine = ConstantEngine()
    mask = np.zeros((400, 600), bool)
    mask[100:300, 100:500] = True
    strategy = Strategy("crop", crop_above=0, margin_px=50, max_side=128)
    out = inpainter(engine, strategy=strategy)(noise(400, 600), mask)
    assert max(engine.seen[0][0].shape) == 128
    assert (out[mask] == 102).all()


def test_far_holes_are_filled_in_crops_of_their_own() -> None:
    engine = ConstantEngine()
    mask = np.zeros((1000, 1000), bool)
    mask[10:20, 10:20] = mask[900:910, 900:920] = True
    inpainter(engine)(noise(1000, 1000), mask)
    assert sorted(image.shape for image, _ in engine.seen) == [(26, 26, 3), (26, 36, 3)]


class Probe:
    """Slices like an image and counts the pixels that were read."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image, self.read_px, self.most_px = image, 0, 0
        self.shape, self.dtype = image.shape, image.dtype

    def __getitem__(self, where: tuple[slice, slice], /) -> NDArray[np.uint8]:
        part = self.image[where]
        self.read_px += part.shape[0] * part.shape[1]
        self.most_px = max(self.most_px, part.shape[0] * part.shape[1])
        return part


def test_a_small_edit_reads_a_small_part_of_a_large_image() -> None:
    probe = Probe(np.zeros((4000, 6000, 3), np.uint8))
    mask = Mask(Box(3000, 2000, 3040, 2030), np.full((30, 40), 255, np.uint8))
    (patch,) = inpainter(ConstantEngine()).patches(probe, mask, FillOptions(grow_px=4))
    assert patch.box == Box(2996, 1996, 3044, 2034)
    assert probe.read_px < 10_000


def line(height: int, width: int, *points: tuple[int, int], thickness: int = 40) -> NDArray[np.bool_]:
    coverage = np.zeros((height, width), np.uint8)
    cv2.polylines(coverage, [np.array(points, np.int32)], False, 255, thickness)
    return coverage > 0


def test_a_long_stroke_reads_its_surroundings_and_never_its_bounding_box() -> None:
    probe = Probe(np.zeros((6000, 8000, 3), np.uint8))
    patches = inpainter(ConstantEngine()).patches(probe, whole(line(6000, 8000, (40, 40), (7960, 5960))), FillOptions())
    assert sum(patch.box.area for patch in patches) < 6_000_000
    assert probe.read_px < 6_000_000
    assert probe.most_px < 500_000


GONE = 255
"""What is to go in `Witness`'s pictures; nothing else in them is as bright."""


class Witness(ConstantEngine):
    """Looks whether anything that is to go is shown as known."""

    shown = False

    def fill(self, image: FloatImage, hole: HoleMask, **rest: Any) -> FloatImage:
        self.shown |= bool((image[~hole] * 255 > GONE - 1).any())
        return super().fill(image, hole, **rest)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 1599), st.integers(0, 1199)), min_size=2, max_size=6),
    st.sampled_from([3, 4]), st.sampled_from([np.uint8, np.uint16]), st.integers(0, 6), st.integers(0, 6),
    st.sampled_from(["crop", "crop", "original"]),
)  # fmt: skip
def test_an_edit_in_many_patches_is_the_edit(
    points: list[tuple[int, int]], channels: int, dtype: Any, grow: int, feather: int, kind: StrategyKind
) -> None:
    top = np.iinfo(dtype).max
    image: NDArray[Any] = (noise(1200, 1600, channels, dtype).astype(np.float64) * 0.7).astype(dtype)
    mask = line(1200, 1600, *points)
    image[mask, :3] = top
    before, engine = image.copy(), Witness()
    options = FillOptions(grow_px=grow, feather_px=feather, strategy=kind)
    model = inpainter(engine, size=SizeRequirement(16, 8))
    times, out = np.zeros((1200, 1600), int), image.copy()
    for patch in model.patches(image, whole(mask), options):
        times[patch.box.slices] += 1
        out[patch.box.slices] = patch.pixels
    grown = cv2.dilate(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow + 1,) * 2)) > 0
    assert times.max() == 1
    assert (times[grown] == 1).all()
    assert (out[~grown] == image[~grown]).all()
    assert (out[..., 3:] == image[..., 3:]).all()
    assert (image == before).all()
    assert not engine.shown
    if feather == 0:
        assert (out[grown][:, :3] == round(top * 0.4)).all()
    assert (model(image, mask, options) == out).all()


def test_a_feather_has_no_seams_where_a_stroke_was_tiled() -> None:
    image, mask = np.zeros((1500, 1500, 3), np.uint8), line(1500, 1500, (50, 50), (1450, 1450), thickness=60)
    tiled = list(inpainter(ConstantEngine(1.0)).patches(image, whole(mask), FillOptions(feather_px=20)))
    assert len(tiled) > 1
    out = image.copy()
    for patch in tiled:
        out[patch.box.slices] = patch.pixels
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    expected = np.rint(np.clip(distance / 21, 0, 1) * 255)
    assert np.abs(out[..., 0] - expected).max() <= 1


class ContinuingEngine(ConstantEngine):
    """Fills with the brightest known value, and with black where nothing is."""

    def fill(self, image: FloatImage, hole: HoleMask, **rest: Any) -> FloatImage:
        super().fill(image, hole, **rest)
        return np.full_like(image, image[~hole].max(initial=0))


def test_tiles_of_a_stroke_continue_what_their_neighbours_filled() -> None:
    engine = ContinuingEngine()
    mask = whole(line(1500, 1500, (50, 50), (1450, 1450), thickness=60))
    image = np.zeros((1500, 1500, 3), np.uint8)
    image[40:60, 90:110] = 200  # beside the first tile only
    patches = sorted(inpainter(engine).patches(image, mask, FillOptions()), key=lambda patch: patch.box)
    assert len(patches) > 2
    assert [int(patch.pixels.max()) for patch in patches[:2]] == [200, 200]
    assert patches[-1].pixels.max() == 0


class BatchingEngine(ConstantEngine):
    """Fills with the mean of what is known, several crops at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def fill(self, image: FloatImage, hole: HoleMask, **rest: Any) -> FloatImage:
        super().fill(image, hole, **rest)
        return np.full_like(image, image[~hole].mean())

    def fill_batch(
        self,
        images: Sequence[FloatImage],
        holes: Sequence[HoleMask],
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> list[FloatImage]:
        self.batches.append(len(images))
        assert len({image.shape for image in images}) == 1
        progress("filling", 0, 4)
        return [np.full_like(i, i[~h].mean()) for i, h in zip(images, holes, strict=True)]


def ten_holes() -> NDArray[np.bool_]:
    mask = np.zeros((2000, 3000), bool)
    for x in range(10):
        mask[500:520, 200 + 280 * x : 215 + 281 * x] = True
    return mask


def test_crops_of_one_size_are_filled_in_one_call() -> None:
    engine, mask, told = BatchingEngine(), ten_holes(), []
    image = np.empty((2000, 3000, 3), np.uint8)
    image[:] = (np.arange(3000) // 281)[None, :, None] * 20  # another grey around each hole

    def listen(stage: str, step: int, total: int, preview: object = None) -> None:
        told.append((stage, step, total))

    patches = list(inpainter(engine).patches(image, whole(mask), FillOptions(), listen))
    assert engine.batches == [10]
    assert not engine.seen
    assert told == [("preparing", 0, 10), ("preparing", 0, 10), ("filling", 0, 40)]
    assert len(patches) == 10
    assert all((patch.pixels == image[patch.box.slices]).all() for patch in patches)


def test_a_batch_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    crop_px = 64 * 64
    monkeypatch.setattr(devices, "free_bytes", lambda device: 2 * 100 * 3 * crop_px)
    engine = BatchingEngine()
    inpainter(engine, bytes_per_px=100)(noise(2000, 3000), ten_holes())
    assert engine.batches == [3, 3, 3]
    assert len(engine.seen) == 1


@pytest.mark.parametrize(("device", "batches"), [("cpu", []), ("mps", [10])])
def test_a_network_on_a_processor_fills_one_crop_after_the_other(device: str, batches: list[int]) -> None:
    engine = BatchingEngine()
    network = replace(get_model("lama"), strategy=SMALL_CROPS, bytes_per_px=0)
    assert (
        len(list(Inpainter(network, engine, device).patches(noise(2000, 3000), whole(ten_holes()), FillOptions())))
        == 10
    )
    assert (engine.batches, len(engine.seen)) == (batches, 10 - sum(batches))


def test_everything_is_refused_before_the_first_patch_is_asked_for() -> None:
    with pytest.raises(OutOfMemory):
        inpainter(ConstantEngine(), bytes_per_px=2**40).patches(
            noise(64, 64), whole(ten_holes()[:64, :64] | True), FillOptions()
        )


def test_patches_come_as_they_are_finished() -> None:
    engine = ConstantEngine()
    patches = inpainter(engine).patches(noise(2000, 3000), whole(ten_holes()), FillOptions())
    assert len(engine.seen) == 0
    next(patches)
    assert len(engine.seen) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_image_comes_back_grey(dtype: type) -> None:
    image = noise(60, 80, 1, dtype)[..., 0]
    mask = np.zeros((60, 80), bool)
    mask[20:30, 20:30] = True
    out = inpainter(ConstantEngine())(image, mask)
    assert (out.shape, out.dtype) == (image.shape, image.dtype)
    assert (out[~mask] == image[~mask]).all()
    assert (out[mask] == round(np.iinfo(dtype).max * 0.4)).all()


def test_a_seed_can_be_given_by_itself() -> None:
    class SeedEngine(ConstantEngine):
        def fill(self, image: FloatImage, hole: HoleMask, *, seed: int, **rest: Any) -> FloatImage:
            return np.full_like(image, seed / 255)

    mask = np.zeros((60, 80), bool)
    mask[20:30, 20:30] = True
    model = inpainter(SeedEngine())
    assert (model(noise(60, 80), mask, FillOptions(seed=3), seed=7)[mask] == 7).all()
    assert (model(noise(60, 80), mask, FillOptions(seed=3))[mask] == 3).all()


def test_strategies_show_the_engine_what_they_say() -> None:
    mask = np.zeros((300, 400), bool)
    mask[5:9, 5:9] = True
    shapes = {}
    for strategy in ("crop", "resize", "original"):
        engine = ConstantEngine()
        model = inpainter(engine, strategy=Strategy("crop", crop_above=0, margin_px=8, max_side=100))
        (patch,) = model.patches(noise(300, 400), whole(mask), FillOptions(strategy=strategy))
        assert patch.strategy == strategy
        shapes[strategy] = engine.seen[0][0].shape[:2]
    assert shapes == {"crop": (20, 20), "resize": (75, 100), "original": (300, 400)}


def whole(mask: NDArray[np.bool_]) -> Mask:
    return Mask(Box(0, 0, mask.shape[1], mask.shape[0]), mask.astype(np.uint8) * 255)


def test_previews_are_patches_and_progress_counts_all_crops() -> None:
    told: list[tuple[str, int, int]] = []
    previews: list[Patch] = []

    def listen(stage: str, step: int, total: int, preview: Callable[[], Patch] | None = None) -> None:
        if stage == "preparing":
            return
        told.append((stage, step, total))
        assert preview is not None
        previews.append(preview())

    mask = np.zeros((1000, 1000), bool)
    mask[10:20, 10:20] = mask[900:910, 900:920] = True
    patches = inpainter(ConstantEngine()).patches(
        np.zeros((1000, 1000, 3), np.uint8), whole(mask), FillOptions(), listen
    )
    assert len(list(patches)) == 2
    assert told == [("filling", 0, 4), ("filling", 2, 4)]
    assert sorted(patch.box for patch in previews) == [Box(10, 10, 20, 20), Box(900, 900, 920, 910)]
    assert sorted(int((patch.pixels[..., 0] == 102).sum()) for patch in previews) == [100, 200]


def test_a_cancelled_fill_stops_at_the_next_step() -> None:
    def refuse(stage: str, step: int, total: int, preview: object = None) -> None:
        raise Cancelled("no longer wanted")

    mask = np.ones((30, 30), bool)
    patches = inpainter(ConstantEngine()).patches(
        noise(40, 40), Mask(Box(0, 0, 30, 30), mask * np.uint8(255)), FillOptions(), refuse
    )
    with pytest.raises(Cancelled):
        next(patches)


def test_a_fill_that_cannot_fit_is_refused_before_it_starts() -> None:
    mask = np.zeros((64, 64), bool)
    mask[3, 3] = True
    with pytest.raises(OutOfMemory, match="GiB are free on this machine"):
        inpainter(ConstantEngine(), bytes_per_px=2**40)(noise(64, 64), mask)


@pytest.mark.parametrize("roomy", ["cpu", "cuda"])
def test_a_fill_must_fit_into_the_memory_of_the_device_it_runs_on(monkeypatch: pytest.MonkeyPatch, roomy: str) -> None:
    monkeypatch.setattr(devices, "free_bytes", lambda device: 2**40 if device == roomy else 1000)
    image, mask = noise(64, 64), np.zeros((64, 64), bool)
    mask[3, 3] = True
    on_cpu = inpainter(ConstantEngine(), bytes_per_px=100)
    on_gpu = replace(on_cpu, device="cuda")
    fits, too_large = (on_cpu, on_gpu) if roomy == "cpu" else (on_gpu, on_cpu)
    assert fits(image, mask).shape == image.shape
    with pytest.raises(OutOfMemory, match="the GPU" if roomy == "cpu" else "this machine"):
        too_large(image, mask)


@pytest.mark.parametrize(
    ("image", "mask", "error", "says"),
    [
        (noise(8, 8), np.ones((8, 9), bool), MaskSizeMismatch, "9x8 but the image is 8x8"),
        (noise(8, 8), np.zeros((8, 8), bool), EmptyMask, "nothing in it is white"),
        (noise(8, 8), np.full((8, 8), 127, np.uint8), EmptyMask, "nothing in it is white"),
        (noise(8, 8), np.ones((8, 8, 3), np.uint8), InvalidMask, r"\(8, 8, 3\)"),
        (noise(8, 8)[..., :2], np.ones((8, 8), bool), InvalidImage, r"\(8, 8, 2\)"),
        (noise(8, 8).astype(np.float32), np.ones((8, 8), bool), InvalidImage, "float32"),
        (noise(8, 8), np.ones((8, 8), bool), MaskCoversImage, "covers the whole image"),
    ],
)
def test_bad_input_is_named(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        inpainter(ConstantEngine(), needs_known=True)(image, mask)


@pytest.mark.parametrize("method", ["telea", "navier-stokes"])
def test_opencv_carries_a_gradient_into_the_hole(method: str) -> None:
    ramp = np.tile(np.arange(100, dtype=np.uint8)[None, :, None] * 2, (60, 1, 3))
    mask = np.zeros((60, 100), np.uint8)
    mask[20:40, 48:52] = 255
    out = load_model("cv2")(ramp, mask, FillOptions(params={"method": method, "radius": 5}))
    assert np.abs(out.astype(int) - ramp)[mask > 0].max() <= 6


def test_opencv_fills_far_regions_as_if_each_were_alone() -> None:
    image, far = noise(900, 2000), np.zeros((900, 2000), bool)
    far[100:140, 100:150] = far[700:760, 1800:1830] = True
    model = load_model("opencv")
    together, left, right = model(image, far), far.copy(), far.copy()
    left[:, 1000:] = right[:, :1000] = False
    assert (together == model(model(image, left), right)).all()


def test_opencv_fills_several_crops_as_it_fills_one() -> None:
    engine = OpenCvEngine()
    images = [noise(64, 64, seed=seed).astype(np.float32) / np.float32(255) for seed in range(5)]
    hole = np.zeros((64, 64), bool)
    hole[20:40, 20:44] = True
    params: dict[str, ParamValue] = {"method": "telea", "radius": 5}
    batch = engine.fill_batch(images, [hole] * 5, params=params, seed=0, progress=lambda *_: None)
    for image, filled in zip(images, batch, strict=True):
        assert (filled == engine.fill(image, hole, params=params, seed=0, progress=lambda *_: None)).all()
