"""A JPEG that is edited and saved as JPEG: every block that no edit touched is as it was, however often it is saved."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import jpeg_reader
from inpaint_models.types import Box
from lama_server import codec
from lama_server.codec.decoding import oriented

HEIGHT, WIDTH = 61, 91

CV2_SAMPLING = {"4:1:1": 0x411111, "4:4:0": 0x121111}


def photo(height: int = HEIGHT, width: int = WIDTH, *, seed: int = 0) -> NDArray[np.uint8]:
    """(H, W, 3): smooth, with edges and some noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 12 + 2, width // 12 + 2, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    smooth[height // 3 :, width // 2 :] //= 2
    return (smooth + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8], *, orientation: int = 1, grey: bool = False, **options: Any) -> bytes:
    """As Pillow writes it, or OpenCV for samplings that Pillow does not write."""
    sampling = options.pop("sampling", None)
    if sampling in CV2_SAMPLING:
        flags = {
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR: CV2_SAMPLING[sampling],
            cv2.IMWRITE_JPEG_QUALITY: options.get("quality", 75),
            cv2.IMWRITE_JPEG_PROGRESSIVE: int(options.get("progressive", False)),
            cv2.IMWRITE_JPEG_RST_INTERVAL: options.get("restart_marker_blocks", 0),
        }
        return cv2.imencode(".jpg", pixels, [part for pair in flags.items() for part in pair])[1].tobytes()
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert("L") if grey else image).save(out, "JPEG", exif=exif.tobytes(), **options)
    return out.getvalue()


QUALITIES = [{"quality": quality} for quality in (30, 50, 75, 85, 92, 95, 100)]
KINDS: list[dict[str, Any]] = [
    *({"subsampling": subsampling, **options}
      for subsampling in (0, 1, 2)
      for options in ({}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 3})),
    *({"sampling": sampling, "quality": 88, **options}
      for sampling in CV2_SAMPLING
      for options in ({}, {"progressive": True}, {"restart_marker_blocks": 2})),
    {"grey": True}, {"grey": True, "progressive": True}, {"grey": True, "restart_marker_rows": 1},
    {"keep_rgb": True}, {"restart_marker_rows": 1, "progressive": True, "quality": 90},
]  # fmt: skip
ORIENTATIONS = [{"orientation": turn, "progressive": turn % 2 == 0, "quality": 80} for turn in range(2, 9)]
SIZES: list[dict[str, Any]] = [
    {"size": size, "progressive": size[0] % 2 == 0}
    for size in ((16, 16), (17, 16), (16, 33), (8 * 5, 8 * 7 + 1), (127, 18))
]
VARIANTS = QUALITIES + KINDS + ORIENTATIONS + SIZES


def name_of(variant: dict[str, Any]) -> str:
    return "-".join(f"{name}_{value}" for name, value in variant.items()).replace(" ", "")


def made(variant: dict[str, Any]) -> bytes:
    options = dict(variant)
    return jpeg(photo(*options.pop("size", (HEIGHT, WIDTH))), **options)


def edited(data: bytes, box: Box, *, seed: int, quality: int | None = None, **options: Any) -> codec.Encoded:
    """The file with noise on a gradient in a box, in display coordinates."""
    source = codec.decode(data)
    rng, pixels = np.random.default_rng(seed), source.pixels.copy()
    height, width = box.height, box.width
    ramp = np.linspace(rng.integers(0, 256, 3), rng.integers(0, 256, 3), width)[None].repeat(height, 0)
    pixels[box.slices] = (ramp + rng.integers(-9, 10, ramp.shape)).clip(0, 255)
    done = codec.Edited(source.pixels, pixels, (box,))
    return codec.encode(data, pixels, source.info, done, quality=quality, **options)


def patched(data: bytes, box: Box, *, seed: int = 0, **options: Any) -> bytes:
    result = edited(data, box, seed=seed, **options)
    assert result.patched, result.reencoded
    return result.data


def touched(data: bytes, boxes: list[Box]) -> list[NDArray[np.bool_]]:
    """For each channel which of its blocks hold a pixel of these boxes, which are in display coordinates."""
    picture, info = jpeg_reader.read(data), codec.probe(data)
    place = np.arange(picture.height * picture.width).reshape(picture.height, picture.width, 1)
    shown = oriented(place, info.orientation)[..., 0]  # type: ignore[arg-type]
    mask = np.zeros(place.size, bool)
    for box in boxes:
        mask[shown[box.slices].ravel()] = True
    rows, columns = np.divmod(np.flatnonzero(mask), picture.width)
    most = [max(getattr(channel, side) for channel in picture.channels.values()) for side in ("down", "across")]
    found = []
    for channel in picture.channels.values():
        hit = np.zeros(channel.shown, bool)
        hit[rows * channel.down // most[0] // 8, columns * channel.across // most[1] // 8] = True
        found.append(hit)
    return found


def boxes(data: bytes, count: int) -> list[Box]:
    """Rectangles of a few pixels in the left and upper part of the picture, and one at its last row and column."""
    info, rng = codec.probe(data), np.random.default_rng(count)
    found = [Box(info.width - 5, info.height - 3, info.width, info.height)]
    for _ in range(count - 1):
        x, y = int(rng.integers(0, info.width // 2)), int(rng.integers(0, info.height // 2))
        found.append(Box(x, y, x + int(rng.integers(1, 9)), y + int(rng.integers(1, 9))))
    return found


def assert_kept(before: bytes, after: bytes, changed: list[Box]) -> None:
    """Blocks that no box touches have the same coefficients."""
    old, new = jpeg_reader.read(before).shown_blocks(), jpeg_reader.read(after).shown_blocks()
    for was, now, hit in zip(old, new, touched(before, changed), strict=True):
        assert (~hit).any()
        assert np.array_equal(was[~hit], now[~hit])


def test_there_are_forty_variants() -> None:
    assert len(VARIANTS) >= 40
    assert len({name_of(variant) for variant in VARIANTS}) == len(VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_blocks_that_no_edit_touched_are_the_same_after_one_edit_and_after_a_hundred(variant: dict[str, Any]) -> None:
    source = made(variant)
    changed = boxes(source, 100)
    result = patched(source, changed[0])
    assert_kept(source, result, changed[:1])
    assert codec.probe(result) == codec.probe(source)
    for seed, box in enumerate(changed[1:]):
        result = patched(result, box, seed=seed)
    assert_kept(source, result, changed)
    Image.open(io.BytesIO(result)).load()
