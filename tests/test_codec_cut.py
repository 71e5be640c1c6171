"""Pictures that decoders complete by themselves: a PNG without its last rows, a JPEG without the rest of a scan."""

from __future__ import annotations

import io
import itertools
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage
from PIL import Image

from lama_server import codec
from lama_server.codec import jpeg
from lama_server.codec.jpeg import Scan
from lama_server.errors import ImageError
from lama_server.imaging.masks import from_raster
from pictures import IEND, deep_tiff, ihdr, noise, png_of, saved, smooth
from test_codec_damage import code_of, probe_code

HEIGHT, WIDTH = 90, 67
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Adam7: first row, first column, step down, step across. (ISO/IEC 15948, 8.2.)"""

# ------------------------------------------------------------------------------------------------------ PNG


def png_rows(colour: int, depth: int, *, rows: int = HEIGHT, palette: int | None = 256) -> bytes:
    """A PNG of HEIGHT rows as its header says, that holds the first `rows`; without PLTE when `palette` is None."""
    row_bytes = (WIDTH * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] * depth + 7) // 8
    pixels = np.concatenate([np.zeros((rows, 1), np.uint8), noise(rows, row_bytes)], axis=1)
    plte = [(b"PLTE", bytes(range(256)) * 3)] if palette is not None else []
    plte = [(kind, data[: 3 * (palette or 0)]) for kind, data in plte]
    return png_of(ihdr(WIDTH, HEIGHT, depth, colour), *plte, (b"IDAT", zlib.compress(pixels.tobytes())), IEND)


def interlaced_png(pixels: Any, passes: int = 7, *, last_pass_rows: int | None = None) -> bytes:
    """Grey, with the first passes only, and of the last of them only so many rows."""
    height, width = pixels.shape
    rows: list[bytes] = []
    for number, (y0, x0, dy, dx) in enumerate(PASSES[:passes], 1):
        part = [b"\0" + row.tobytes() for row in pixels[y0::dy, x0::dx] if row.size]
        rows += part[:last_pass_rows] if number == passes else part
    header = b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    return png_of(header, (b"IDAT", zlib.compress(b"".join(rows))), IEND)


KINDS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 8), (4, 8), (6, 8), (6, 16)]


@pytest.mark.parametrize(("colour", "depth"), KINDS)
@pytest.mark.parametrize("rows", [0, 1, 60, HEIGHT - 1])
def test_a_png_that_ends_between_two_rows_is_refused(colour: int, depth: int, rows: int) -> None:
    """B51, P8: 60 of 90 rows were read as 90, the last 30 black."""
    assert code_of(png_rows(colour, depth)) == "ok"
    assert code_of(png_rows(colour, depth, rows=rows)) in {"image.corrupt", "image.truncated"}


@pytest.mark.parametrize("kept", [*range(1, 7), None])
def test_an_interlaced_png_without_its_last_rows_is_refused(kept: int | None) -> None:
    """B51, P8: between two passes, and between the last two rows."""
    pixels = noise(HEIGHT, WIDTH)
    cut = interlaced_png(pixels, 7, last_pass_rows=-1) if kept is None else interlaced_png(pixels, kept)
    assert code_of(cut) == "image.corrupt"
    assert np.array_equal(codec.decode(interlaced_png(pixels)).pixels[..., 0], pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 3)])
def test_tiny_pictures_of_any_last_row_are_whole(shape: tuple[int, int]) -> None:
    """A last row cannot look like a missing one: every value of a single pixel, and black, are read."""
    for value in range(256):
        mask = codec.decode_mask(saved(np.full(shape, value, np.uint8), "PNG"), shape[1], shape[0])
        assert np.array_equal(mask > 0, np.full(shape, value >= 128))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_black_picture_is_no_missing_one(mode: str) -> None:
    assert not codec.decode(saved(Image.new(mode, (40, 30)), "PNG")).pixels[..., :3].any()


@pytest.mark.parametrize("palette", [None, 0])
def test_a_palette_png_without_a_palette_is_refused_by_its_header(palette: int | None) -> None:
    """P8: it was read as grey."""
    data = png_rows(3, 8, palette=palette)
    assert probe_code(data) == code_of(data) == "image.corrupt"


def test_a_palette_behind_the_pixels_is_none() -> None:
    """P8"""
    pixels = (b"IDAT", zlib.compress((b"\0" + bytes(range(20))) * 20))
    assert code_of(png_of(ihdr(20, 20, 8, 3), pixels, (b"PLTE", bytes(768)), IEND)) == "image.corrupt"


def test_a_pixel_beyond_the_palette_is_refused() -> None:
    """P8: browsers show it black, Pillow grey."""
    pixels = (b"IDAT", zlib.compress((b"\0" + bytes(range(20))) * 20))
    assert code_of(png_of(ihdr(20, 20, 8, 3), (b"PLTE", bytes(3 * 20)), pixels, IEND)) == "ok"
    assert code_of(png_of(ihdr(20, 20, 8, 3), (b"PLTE", bytes(3 * 19)), pixels, IEND)) == "image.corrupt"


@pytest.mark.parametrize(("depth", "interlaced"), [(16, 0), (8, 1)])
def test_pixel_data_that_unpack_to_far_too_much_take_no_memory(depth: int, interlaced: int) -> None:
    header = b"IHDR", struct.pack(">IIBBBBB", 20, 20, depth, 2, 0, 0, interlaced)
    data = png_of(header, (b"IDAT", zlib.compress(bytes(50 * 2**20))), IEND)
    tracemalloc.start()
    try:
        code_of(data)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------------------------------------------ JPEG


def plain(data: bytes) -> Any:
    """As Pillow alone decodes it."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def photo(height: int = 131, width: int = 173) -> Any:
    """Something of everything: shades, edges and noise, of odd sides."""
    pixels = smooth(height, width)
    pixels[20:60, 30:60] = noise(40, 30, 3)
    pixels[70:, 50:] = 255 - pixels[70:, 50:]
    return pixels


def scans_of(data: bytes) -> list[Scan]:
    return jpeg.scans(data, codec.ImageLimits())


RESTARTS = [{}, {"restart_marker_blocks": 1}, {"restart_marker_blocks": 7}, {"restart_marker_rows": 2}]
JPEGS = [
    {"mode": mode, "progressive": progressive, "optimize": optimised, "subsampling": sampling, **restart}
    for mode, progressive, optimised, sampling, restart in itertools.product(
        ("L", "RGB", "CMYK"), (False, True), (False, True), (0, 1, 2), RESTARTS
    )
]


def planes_jpeg(pixels: Any, *, interval: int = 0, planes: int = 3) -> bytes:
    """A baseline JPEG of one scan for each channel, the last two of half the width; written with `planes` of them.

    Put together from grey JPEGs, as Pillow writes no such file.
    """
    height, width = pixels.shape[:2]
    parts = [pixels[..., 0], pixels[:, ::2, 1], pixels[:, ::2, 2]]
    grey = [saved(part, "JPEG", restart_marker_blocks=interval) for part in parts]
    tables, frame = grey[0][: grey[0].index(b"\xff\xc0")], struct.pack(">BHHB", 8, height, width, 3)
    frame += b"\1\x21\0\2\x11\0\3\x11\0"
    out = [tables, b"\xff\xc0", struct.pack(">H", 2 + len(frame)), frame]
    out.append(grey[0][grey[0].index(b"\xff\xc4") : grey[0].index(b"\xff\xda")])
    for name, data in zip((1, 2, 3)[:planes], grey, strict=False):
        (scan,) = scans_of(data)
        out += [b"\xff\xda\0\x08\1", bytes([name]), b"\0\0\x3f\0", data[scan.start : scan.end]]
    return b"".join((*out, b"\xff\xd9"))


@pytest.mark.parametrize("options", JPEGS, ids=lambda options: "-".join(str(value) for value in options.values()))
def test_a_whole_jpeg_is_decoded_as_ever_and_one_cut_in_any_scan_is_refused(options: dict[str, Any]) -> None:
    """P8: the end marker kept, half the picture was grey."""
    data = saved(photo(), "JPEG", **options)
    if options["mode"] != "CMYK":
        assert np.array_equal(codec.decode(data).pixels, plain(data))
    assert code_of(data + b"\0more") == "ok"
    for scan in (scan for scan in scans_of(data) if scan.end - scan.start > 60):
        for stop in ((scan.start + scan.end) // 2, scan.end - 30):
            assert code_of(data[:stop] + data[scan.end :]) == "image.truncated"


def cut_jpeg(share: float, *, progressive: bool = False) -> bytes:
    """A JPEG of HEIGHT rows cut in mid-scan, its end marker put back."""
    data = saved(photo(HEIGHT, WIDTH), "JPEG", progressive=progressive)
    return data[: int(len(data) * share)] + b"\xff\xd9"


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cut_in_mid_scan_whose_end_marker_was_put_back_is_refused(share: float, progressive: bool) -> None:
    """P8"""
    assert code_of(cut_jpeg(share, progressive=progressive)) == "image.truncated"


@pytest.mark.parametrize("interval", [0, 1, 5])
def test_channels_in_scans_of_their_own_are_checked_each(interval: int) -> None:
    """P8: without its colour scans the picture was grey."""
    data = planes_jpeg(photo(), interval=interval)
    assert len(scans_of(data)) == 3
    assert np.array_equal(codec.decode(data).pixels, plain(data))
    for scan in scans_of(data):
        assert code_of(data[: (scan.start + scan.end) // 2] + data[scan.end :]) == "image.truncated"
    assert code_of(planes_jpeg(photo(), interval=interval, planes=2)) == "image.truncated"


def test_a_progressive_jpeg_without_its_first_scan_is_refused() -> None:
    """P8: later scans refine it, so a decoder made something up."""
    data = saved(photo(), "JPEG", progressive=True)
    first, second = scans_of(data)[:2]
    assert first.first
    assert not second.first
    header = data.rindex(b"\xff\xda", 0, first.start)
    assert code_of(data[:header] + data[first.end :]) == "image.truncated"


def test_a_lost_restart_interval_is_noticed() -> None:
    """P8: the rest of the picture was shifted, its end grey."""
    data = saved(photo(), "JPEG", restart_marker_blocks=3)
    (scan,) = scans_of(data)
    first, second = data.index(b"\xff\xd0", scan.start), data.index(b"\xff\xd1", scan.start)
    assert code_of(data[:first] + data[second:]) == "image.truncated"


def test_a_large_restart_interval_that_was_cut_is_noticed() -> None:
    """P8: the markers are all there, the blocks before one of them are not."""
    data = saved(noise(300, 400, 3), "JPEG", quality=95, restart_marker_rows=4)
    assert code_of(data) == "ok"
    marker = data.index(b"\xff\xd1")
    assert code_of(data[: marker - 5000] + data[marker:]) == "image.truncated"


@pytest.mark.parametrize("sampling", [0x411111, 0x221111, 0x211111, 0x121111, 0x111111])
@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("interval", [0, 4])
def test_files_of_another_encoder_are_whole(sampling: int, progressive: int, interval: int) -> None:
    options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    data = cv2.imencode(".jpg", photo(), [*options, cv2.IMWRITE_JPEG_RST_INTERVAL, interval])[1].tobytes()
    assert np.array_equal(codec.decode(data).pixels, plain(data))


@pytest.mark.parametrize("quality", [1, 50, 100])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (64, 64)])
def test_flat_and_noisy_files_of_any_size_are_whole(shape: tuple[int, int], progressive: bool, quality: int) -> None:
    for pixels in (noise(*shape, 3), np.full((*shape, 3), 128, np.uint8), np.zeros((*shape, 3), np.uint8)):
        data = saved(pixels, "JPEG", progressive=progressive, quality=quality)
        assert np.array_equal(codec.decode(data).pixels, plain(data))


def test_a_thumbnail_and_further_pictures_are_not_taken_for_the_picture() -> None:
    thumbnail = saved(smooth(), "JPEG", progressive=True)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + bytes(6) + thumbnail
    data = saved(photo(), "JPEG", exif=exif)
    assert data.count(b"\xff\xd8\xff") == 2
    assert np.array_equal(codec.decode(data + thumbnail[:-30]).pixels, plain(data))


def test_photos_of_cameras_and_converters_are_whole() -> None:
    files = sorted((Path(skimage.__file__).parent / "data").glob("*.jp*g"))
    assert files
    for path in files:
        assert np.array_equal(codec.decode(path).pixels, plain(path.read_bytes()))


CUT = {
    "1 bit PNG": png_rows(0, 1, rows=60),
    "grey PNG": png_rows(0, 8, rows=60),
    "RGB PNG": png_rows(2, 8, rows=60),
    "palette PNG": png_rows(3, 8, palette=None),
    "JPEG": cut_jpeg(0.7),
    "progressive JPEG": cut_jpeg(0.7, progressive=True),
}
"""Of WIDTH x HEIGHT, each with something missing."""


@pytest.mark.parametrize("name", CUT)
def test_what_is_cut_is_refused_as_a_mask_too(name: str) -> None:
    """B51, P8: what was painted in the missing rows was not filled."""
    with pytest.raises(ImageError) as caught:
        from_raster(CUT[name], WIDTH, HEIGHT)
    assert caught.value.code in {"image.corrupt", "image.truncated"}


# ------------------------------------------------------------------------------------------------------ TIFF


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.uint32, np.int32, np.int16, np.int8])
@pytest.mark.parametrize(("shape", "colour"), [((20, 30), "minisblack"), ((20, 30, 3), "rgb")])
def test_samples_that_are_not_read_are_called_unsupported_not_damaged(
    kind: Any, shape: tuple[int, ...], colour: str
) -> None:
    data = deep_tiff(np.zeros(shape, kind), photometric=colour)
    assert probe_code(data) == code_of(data) == "image.unsupported_format"
    assert code_of(deep_tiff(np.zeros(shape, np.uint16), photometric=colour)) == "ok"
