"""Damaged, hostile and odd files: refused with the right code, before they cost anything."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lama_server import codec
from lama_server.codec import png
from lama_server.errors import ImageError
from pictures import IEND, animated, deep_png, deep_tiff, ihdr, noise, png_of, saved, smooth


def code_of(data: bytes, limits: codec.ImageLimits | None = None) -> str:
    """The code with which the file is refused; "ok" when it decodes."""
    try:
        codec.decode(data, limits)
    except ImageError as error:
        return error.code
    return "ok"


def probe_code(data: bytes, limits: codec.ImageLimits | None = None) -> str:
    try:
        codec.probe(data, limits)
    except ImageError as error:
        return error.code
    return "ok"


def assert_refused_or_equal(data: bytes, pixels: Any) -> None:
    """A damaged file may be refused or decode exactly; it may not become another picture."""
    try:
        result = codec.decode(data).pixels
    except ImageError:
        return
    assert np.array_equal(result, pixels)


GRADIENT = (b"IDAT", zlib.compress((b"\0" + bytes(range(60))) * 20))
"""The pixels of a 20x20 RGB picture."""

ALPHA = noise(64, 64, 4)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "image.empty"),
        (b"\x89", "image.unsupported_format"),
        (png.SIGNATURE, "image.corrupt"),
        (b"\xff\xd8\xff", "image.corrupt"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "image.unsupported_format"),
        (b"<!doctype html><script>1</script>", "image.unsupported_format"),
        (b"%PDF-1.7", "image.unsupported_format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "image.unsupported_format"),
        (b"8BPS\0\1", "image.unsupported_format"),
        (b"PK\3\4", "image.unsupported_format"),
        (b"\0\0\0\x18ftypmp42", "image.unsupported_format"),
        (b"\0\0\0\x18ftypheic", "image.corrupt"),
    ],
)
def test_what_is_no_image_is_refused_by_its_first_bytes(data: bytes, code: str) -> None:
    """B48, B57."""
    assert probe_code(data) == code
    assert code_of(data) == code


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
@pytest.mark.parametrize("share", [0.5, 0.6, 0.9])
def test_a_file_that_is_cut_off_is_refused(format: str, share: float) -> None:
    """B49."""
    data = saved(noise(64, 64, 3) if format != "GIF" else Image.fromarray(noise(64, 64)), format)
    cut = data[: int(len(data) * share)]
    expected = {"image.truncated"} if format in ("PNG", "JPEG", "WEBP") else {"image.truncated", "image.corrupt"}
    assert code_of(cut) in expected


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_file_without_its_last_bytes_is_refused(format: str) -> None:
    assert code_of(saved(smooth(), format)[:-2]) == "image.truncated"


@pytest.mark.parametrize("depth", [8, 16])
def test_a_flipped_byte_in_a_png_is_refused_or_harmless(depth: int) -> None:
    """B50."""
    pixels = noise(40, 50, 3, depth=depth)
    data = saved(pixels, "PNG") if depth == 8 else deep_png(pixels)
    for offset in range(8, len(data), max(1, len(data) // 60)):
        damaged = bytearray(data)
        damaged[offset] ^= 0x10
        assert_refused_or_equal(bytes(damaged), pixels)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_flipped_byte_in_a_deflated_tiff_is_refused_or_harmless(depth: int) -> None:
    pixels = noise(64, 50, 3, depth=depth)
    data = deep_tiff(pixels, photometric="rgb", compression="zlib", rowsperstrip=16)
    for offset in range(400, len(data), max(1, len(data) // 60)):
        damaged = bytearray(data)
        damaged[offset] ^= 0x10
        assert_refused_or_equal(bytes(damaged), pixels)


def test_a_png_header_that_fails_its_checksum_is_refused() -> None:
    """B51."""
    data = bytearray(saved(smooth(), "PNG"))
    data[18] ^= 1
    assert probe_code(bytes(data)) == "image.corrupt"


@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_with_fewer_pixels_than_promised_is_refused(depth: int) -> None:
    """B51."""
    short = zlib.compress(b"\0" * 200)
    assert code_of(png_of(ihdr(20, 20, depth), (b"IDAT", short), IEND)) in {"image.corrupt", "image.truncated"}


@pytest.mark.parametrize(
    ("width", "height", "code"),
    [
        (0, 0, "image.corrupt"),
        (65535, 65535, "image.too_many_pixels"),
        (2**31 - 1, 16, "image.too_many_pixels"),
        (15000, 15000, "image.too_many_pixels"),
        (60000, 16, "image.side_too_long"),
        (15, 15, "image.too_small"),
        (1, 1, "image.too_small"),
    ],
)
def test_sizes_are_judged_on_the_header(width: int, height: int, code: str) -> None:
    """B52, B53, B54."""
    assert probe_code(png_of(ihdr(width, height), (b"IDAT", zlib.compress(b"")), IEND)) == code


@pytest.mark.parametrize("format", ["BMP", "GIF", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_every_format_s_size_is_judged_before_decoding(format: str) -> None:
    data = saved(Image.new("L", (300, 200)) if format == "GIF" else Image.new("RGB", (300, 200)), format)
    assert probe_code(data, codec.ImageLimits(max_pixels=59_999)) == "image.too_many_pixels"
    assert code_of(data, codec.ImageLimits(max_side=299)) == "image.side_too_long"
    assert probe_code(data, codec.ImageLimits(min_side=201)) == "image.too_small"


def test_a_webp_bomb_is_refused_without_allocating_its_canvas() -> None:
    import tracemalloc

    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + (16382).to_bytes(3, "little") * 2
    data = b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    tracemalloc.start()
    assert probe_code(data) == "image.too_many_pixels"
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_refused_size_says_what_was_found_what_is_allowed_and_which_flag_helps() -> None:
    data = png_of(ihdr(15000, 15000), IEND)
    with pytest.raises(ImageError, match=r"15000x15000 is 225\.0 megapixels; the limit is 128") as caught:
        codec.probe(data)
    assert caught.value.limit is not None
    assert (caught.value.limit.name, caught.value.limit.flag) == ("max_megapixels", "--max-megapixels")
    assert (caught.value.limit.value, caught.value.limit.actual) == (128, 225.0)


@pytest.mark.parametrize(
    "extra",
    [
        (b"iCCP", b"bomb\0\0" + zlib.compress(bytes(50 * 2**20))),
        (b"zTXt", b"bomb\0\0" + zlib.compress(bytes(50 * 2**20))),
        (b"iTXt", b"bomb\0\1\0\0\0" + zlib.compress(bytes(50 * 2**20))),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(50 * 2**20))),
        (b"eXIf", bytes(10 * 2**20)),
    ],
)
def test_metadata_bombs_are_refused_by_the_header_check(extra: tuple[bytes, bytes]) -> None:
    """B55."""
    assert probe_code(png_of(ihdr(20, 20), extra, GRADIENT, IEND)) == "image.metadata_too_large"


def test_more_metadata_than_allowed_is_refused_in_a_jpeg() -> None:
    data = saved(smooth(), "JPEG", icc_profile=bytes(200_000))
    assert probe_code(data, codec.ImageLimits(max_metadata_bytes=100_000)) == "image.metadata_too_large"


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_and_many_pages_are_refused(format: str) -> None:
    """B58."""
    assert probe_code(animated(format)) == "image.animated"


@pytest.mark.parametrize("format", ["TIFF", "GIF", "AVIF"])
def test_a_format_that_is_not_enabled_is_refused_unopened(format: str) -> None:
    """B56."""
    limits = codec.ImageLimits(formats=frozenset({"png", "jpeg", "webp", "bmp"}))
    data = saved(Image.new("L", (60000, 16)) if format == "TIFF" else Image.new("L", (20, 20)), format)
    assert probe_code(data, limits) == "image.unsupported_format"


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    """B64."""
    data = saved(smooth(), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    assert code_of(data[:-2] + data[scan:-2] * 200 + b"\xff\xd9") == "image.too_complex"


def test_what_is_appended_to_a_picture_is_not_in_the_result() -> None:
    """B60."""
    payload = b"PK\3\4<script>alert(1)</script>"
    for format in ("PNG", "JPEG"):
        data = saved(smooth(), format) + payload
        source = codec.decode(data)
        assert payload not in codec.render(data, source.pixels, source.info)


def test_markup_in_metadata_travels_only_as_metadata() -> None:
    """B61."""
    markup = b"<script>alert(1)</script>"
    data = saved(smooth(), "JPEG", comment=markup, xmp=markup)
    source = codec.decode(data)
    assert codec.render(data, source.pixels, source.info, strip_metadata=True).count(markup) == 0
    assert codec.render(data, source.pixels, source.info).count(markup) == 2


def test_a_tiff_of_wide_samples_is_refused_with_a_reason() -> None:
    assert code_of(saved(Image.new("L", (20, 20)).convert("I"), "TIFF")) == "image.unsupported_format"


def test_a_sixteen_bit_tiff_that_would_be_misread_is_refused() -> None:
    planes = np.moveaxis(noise(32, 32, 3, depth=16), 2, 0).copy()
    tiled = deep_tiff(planes, photometric="rgb", planarconfig="separate", tile=(16, 16))
    assert code_of(tiled) == code_of(deep_tiff(noise(20, 31, 4, depth=16), photometric="separated"))
    assert code_of(tiled) == "image.unsupported_format"


SEEDS: list[bytes] = [
    saved(smooth(), "PNG"),
    saved(ALPHA[:20, :20], "PNG"),
    saved(Image.fromarray(smooth()).quantize(8), "PNG"),
    deep_png(noise(20, 20, 3, depth=16)),
    saved(smooth(), "JPEG", progressive=True),
    saved(smooth(), "WEBP"),
    saved(smooth(), "WEBP", lossless=True),
    saved(smooth(), "BMP"),
    saved(Image.fromarray(smooth()).quantize(8), "GIF"),
    saved(smooth(), "TIFF", compression="tiff_lzw"),
    deep_tiff(noise(20, 20, 3, depth=16), photometric="rgb", compression="zlib"),
    deep_tiff(noise(20, 20, 2, depth=16), photometric="minisblack", extrasamples=["unassalpha"], rowsperstrip=7),
    saved(smooth(), "AVIF"),
]


@settings(max_examples=250)
@given(data=st.data())
def test_a_mutated_file_is_decoded_or_refused_but_never_breaks_the_decoder(data: Any) -> None:
    code_of(mutated(data.draw(st.sampled_from(SEEDS)), data), codec.ImageLimits(max_pixels=4_000_000))


def mutated(file: bytes, data: st.DataObject) -> bytes:
    """With one to four places that are not as they were; at least one byte is left."""
    seed = bytearray(file)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(seed) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
        if kind == "flip":
            seed[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del seed[max(1, at) : at + data.draw(st.integers(1, 64))]
        elif kind == "insert":
            seed[at:at] = data.draw(st.binary(max_size=16))
        else:
            seed[at:at] = seed[at : at + 32]
    return bytes(seed)


def test_errors_cross_process_borders_with_their_limit() -> None:
    import pickle

    with pytest.raises(ImageError) as caught:
        codec.probe(png_of(ihdr(15000, 15000), IEND))
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert type(again) is type(caught.value)
    assert (str(again), again.limit) == (str(caught.value), caught.value.limit)
