"""The frame around every engine: known pixels stay, the fill lands in the hole and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

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
from inpaint_models.registry import SizeRequirement, Strategy
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


@settings(max_examples=60, deadline=None)
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
        self.image, self.read_px = image, 0
        self.shape, self.dtype = image.shape, image.dtype

    def __getitem__(self, where: tuple[slice, slice], /) -> NDArray[np.uint8]:
        part = self.image[where]
        self.read_px += part.shape[0] * part.shape[1]
        return part


def test_a_small_edit_reads_a_small_part_of_a_large_image() -> None:
    probe = Probe(np.zeros((4000, 6000, 3), np.uint8))
    mask = Mask(Box(3000, 2000, 3040, 2030), np.full((30, 40), 255, np.uint8))
    patch = inpainter(ConstantEngine()).patch(probe, mask, FillOptions(grow_px=4))
    assert patch.box == Box(2996, 1996, 3044, 2034)
    assert probe.read_px < 10_000


def test_strategies_show_the_engine_what_they_say() -> None:
    mask = np.zeros((300, 400), bool)
    mask[5:9, 5:9] = True
    shapes = {}
    for strategy in ("crop", "resize", "original"):
        engine = ConstantEngine()
        model = inpainter(engine, strategy=Strategy("crop", crop_above=0, margin_px=8, max_side=100))
        patch = model.patch(noise(300, 400), whole(mask), FillOptions(strategy=strategy))
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
    inpainter(ConstantEngine()).patch(np.zeros((1000, 1000, 3), np.uint8), whole(mask), FillOptions(), listen)
    assert told == [("filling", 0, 4), ("filling", 2, 4)]
    assert sorted(patch.box for patch in previews) == [Box(10, 10, 20, 20), Box(900, 900, 920, 910)]
    assert sorted(int((patch.pixels[..., 0] == 102).sum()) for patch in previews) == [100, 200]


def test_a_cancelled_fill_stops_at_the_next_step() -> None:
    def refuse(stage: str, step: int, total: int, preview: object = None) -> None:
        raise Cancelled("no longer wanted")

    mask = np.ones((30, 30), bool)
    with pytest.raises(Cancelled):
        inpainter(ConstantEngine()).patch(
            noise(40, 40), Mask(Box(0, 0, 30, 30), mask * np.uint8(255)), FillOptions(), refuse
        )


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
