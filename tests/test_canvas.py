"""A canvas that is extended, cropped, turned, patched and scaled, read piece by piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint_models.errors import Cancelled
from inpaint_models.types import Box
from lama_server import codec
from lama_server.errors import ParamOutOfRange
from lama_server.imaging.canvas import MovedPixels, check_change, size_after
from lama_server.imaging.pictures import Layer, Overlay, Picture, Raster, open_picture
from lama_server.imaging.pixel_files import write_bands, write_pixels
from lama_server.imaging.scaling import scaled_bands
from lama_server.schemas.canvas import Crop, Extend, Move, Rotate, Scale


def noise(height: int, width: int, channels: int = 3, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top, (height, width, channels), dtype, endpoint=True)


def moved(pixels: np.ndarray, change: Move) -> np.ndarray:
    """What a change does to a whole array: the plain model."""
    if isinstance(change, Crop):
        return pixels[change.y : change.y + change.h, change.x : change.x + change.w]
    if isinstance(change, Rotate):
        return np.rot90(pixels, -change.quarter_turns)
    return np.pad(pixels, ((change.top, change.bottom), (change.left, change.right), (0, 0)), "symmetric")


@st.composite
def changes(draw: st.DrawFn, height: int, width: int) -> Move:
    """One that a canvas of that size can have."""
    kind = draw(st.sampled_from(("extend", "crop", "rotate")))
    if kind == "rotate":
        return Rotate(op="rotate", quarter_turns=draw(st.integers(1, 3)))
    if kind == "extend":
        sides = [draw(st.integers(0, 40)) for _ in range(4)]
        return Extend(op="extend", left=sides[0] or 1, top=sides[1], right=sides[2], bottom=sides[3])
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return Crop(op="crop", x=x, y=y, w=draw(st.integers(1, width - x)), h=draw(st.integers(1, height - y)))


@st.composite
def boxes(draw: st.DrawFn, height: int, width: int) -> Box:
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return Box(x, y, draw(st.integers(x + 1, width)), draw(st.integers(y + 1, height)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layers")


@given(data=st.data(), channels=st.sampled_from((3, 4)), dtype=st.sampled_from((np.uint8, np.uint16)))
def test_any_chain_of_changes_patches_and_rasters_slices_like_the_finished_array(
    folder: Path, data: st.DataObject, channels: int, dtype: Any
) -> None:
    expected = noise(data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20)), channels, dtype)
    base, layers = folder / "base.npy", list[Layer]()
    write_pixels(base, expected)
    for number in range(data.draw(st.integers(1, 6))):
        height, width = expected.shape[:2]
        kind = data.draw(st.sampled_from(("move", "move", "patch", "patch", "raster")))
        if kind == "move":
            layers.append(change := data.draw(changes(height, width)))
            expected = moved(expected, change)
        elif kind == "patch":
            box = data.draw(boxes(height, width))
            patch, png = noise(box.height, box.width, expected.shape[2], dtype, number), folder / f"{number}.png"
            png.write_bytes(codec.encode_patch(patch))
            layers.append(Overlay(png, box))
            expected = expected.copy()
            expected[box.slices] = patch
        else:
            expected = noise(data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20)), 4, dtype, number)
            write_pixels(folder / f"{number}.npy", expected)
            layers.append(Raster(folder / f"{number}.npy", expected.shape[1], expected.shape[0], True))
    height, width = noise_shape(base)
    info = codec.ImageInfo("png", width, height, 1, 8, channels == 4, False, False, None, True)
    picture = Picture(base, base, info, tuple(layers))
    seen = open_picture(picture)
    assert (seen.shape, seen.dtype) == (expected.shape, expected.dtype)
    assert (picture.shown.height, picture.shown.width, picture.shown.channels) == expected.shape
    assert np.array_equal(np.asarray(seen), expected)
    for _ in range(5):
        window = data.draw(boxes(*expected.shape[:2]))
        assert np.array_equal(seen[window.slices], expected[window.slices])
    assert seen[0:0, 0:1].shape == (0, 1, expected.shape[2])


def noise_shape(path: Path) -> tuple[int, int]:
    height, width, _ = np.load(path, mmap_mode="r").shape
    return height, width


class Counting:
    """An array that counts what is read of it."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels, self.shape, self.dtype, self.read = pixels, pixels.shape, pixels.dtype, 0

    def __getitem__(self, area: tuple[slice, slice]) -> np.ndarray:
        part = self._pixels[area]
        self.read += part.shape[0] * part.shape[1]
        return part


@pytest.mark.parametrize(
    "change",
    [
        Extend(op="extend", left=500, top=300),
        Crop(op="crop", x=10, y=20, w=600, h=400),
        Rotate(op="rotate", quarter_turns=1),
        Rotate(op="rotate", quarter_turns=3),
    ],
    ids=lambda change: f"{change.op} {getattr(change, 'quarter_turns', '')}",
)
def test_a_window_reads_no_more_than_it_shows(change: Move) -> None:
    source = Counting(noise(600, 800))
    canvas = MovedPixels(source, change)
    for y, x in ((0, 0), (200, 300), (290, 480), (350, 450)):
        source.read = 0
        window = canvas[y : y + 20, x : x + 30]
        assert 0 < source.read <= window.shape[0] * window.shape[1] == 600


LIMITS = codec.ImageLimits(max_pixels=1_000_000, max_side=2_000, min_side=16)


@pytest.mark.parametrize(
    ("change", "pointer", "limit"),
    [
        (Crop(op="crop", x=90, y=0, w=20, h=20), "/canvas/w", None),
        (Crop(op="crop", x=0, y=50, w=20, h=31), "/canvas/h", None),
        (Crop(op="crop", x=0, y=0, w=15, h=80), "/canvas", "min_side"),
        (Extend(op="extend", left=1901), "/canvas", "max_side"),
        (Extend(op="extend", left=1300, bottom=800), "/canvas", "max_pixels"),
        (Scale(op="scale", width=1001, height=1000), "/canvas", "max_pixels"),
        (Scale(op="scale", width=2001, height=16), "/canvas", "max_side"),
        (Scale(op="scale", width=15, height=16), "/canvas", "min_side"),
    ],
)
def test_a_canvas_stays_within_the_limits_of_photos(change: Any, pointer: str, limit: str | None) -> None:
    with pytest.raises(ParamOutOfRange) as refused:
        check_change(change, 100, 80, LIMITS)
    assert refused.value.pointer == pointer
    assert (refused.value.limit.name if refused.value.limit else None) == limit


def test_what_fits_is_not_refused() -> None:
    for change in (
        Crop(op="crop", x=84, y=64, w=16, h=16),
        Extend(op="extend", left=1900),
        Scale(op="scale", width=1000, height=1000),
        Rotate(op="rotate", quarter_turns=1),
    ):
        check_change(change, 100, 80, LIMITS)
    assert size_after(Rotate(op="rotate", quarter_turns=3), 100, 80) == (80, 100)


def scaled(pixels: np.ndarray, width: int, height: int, **more: Any) -> np.ndarray:
    return np.concatenate(list(scaled_bands(pixels, width, height, **more)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(123, 77), (50, 30), (7, 90), (99, 1)])
def test_shrinking_averages_the_area_under_each_pixel(dtype: Any, size: tuple[int, int]) -> None:
    pixels = noise(90, 130, dtype=dtype)
    expected = cv2.resize(pixels.astype(np.float64), size, interpolation=cv2.INTER_AREA)
    assert np.abs(scaled(pixels, *size) - expected).max() < 0.51 + 2e-6 * np.iinfo(dtype).max


@pytest.mark.parametrize("size", [(260, 180), (131, 501), (700, 91)])
def test_enlarging_keeps_a_smooth_picture_smooth_and_in_its_place(size: tuple[int, int]) -> None:
    def wave(width: int, height: int) -> np.ndarray:
        y, x = (np.arange(height) + 0.5)[:, None] / height, (np.arange(width) + 0.5)[None, :] / width
        return 30000 + 20000 * np.sin(7 * x + 1) * np.cos(5 * y)

    source = np.repeat(wave(130, 90)[..., None], 3, axis=2).round().astype(np.uint16)
    error = scaled(source, *size)[..., 0] - wave(*size)
    assert np.abs(error[8:-8, 8:-8]).max() < 40


def test_the_same_size_is_the_same_picture_and_a_flat_one_stays_flat() -> None:
    pixels = noise(70, 150, 4, np.uint16)
    pixels[..., 3] = 65535
    assert np.array_equal(scaled(pixels, 150, 70), pixels)
    flat = np.full((70, 150, 3), 60123, np.uint16)
    for size in ((300, 211), (33, 20), (300, 20)):
        assert (scaled(flat, *size) == 60123).all()


@pytest.mark.parametrize("size", [(20, 20), (200, 200)])
def test_what_is_transparent_lends_no_colour_to_its_neighbours(size: tuple[int, int]) -> None:
    pixels = np.zeros((60, 60, 4), np.uint8)
    pixels[:, :30] = (10, 200, 30, 255)
    pixels[:, 30:] = (255, 0, 255, 0)
    result = scaled(pixels, *size).astype(int)
    seen = result[..., 3] > 2
    assert np.abs(result[seen][:, :3] - (10, 200, 30)).max() <= 1
    assert 0 < (result[..., 3] > 127).mean() < 1


def test_scaling_ends_when_it_is_unwanted_and_holds_a_band_at_a_time() -> None:
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise Cancelled("unwanted")

    with pytest.raises(Cancelled):
        scaled(noise(600, 800), 400, 300, check=check)
    source = Counting(noise(600, 800))
    next(scaled_bands(source, 400, 300))
    assert source.read < 600 * 800 / 4


def test_bands_make_the_file_that_the_whole_makes(tmp_path: Path) -> None:
    pixels = noise(50, 40, 4, np.uint16)
    write_pixels(tmp_path / "whole.npy", pixels)
    write_bands(tmp_path / "bands.npy", pixels.shape, pixels.dtype, (pixels[y : y + 7] for y in range(0, 50, 7)))
    assert (tmp_path / "bands.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert np.array_equal(np.load(tmp_path / "whole.npy"), pixels)


def test_a_file_of_bands_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def breaking() -> Any:
        yield noise(5, 4)
        raise Cancelled("unwanted")

    with pytest.raises(Cancelled):
        write_bands(tmp_path / "a.npy", (10, 4, 3), np.dtype(np.uint8), breaking())
    assert list(tmp_path.iterdir()) == []
