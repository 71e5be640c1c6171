"""What travels with an image file into a result, and what must not."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from lama_server import codec
from lama_server.codec import exif
from lama_server.codec.exif import oriented
from lama_server.codec.info import turned
from pictures import SRGB, XMP, noise, saved, smooth


def described_exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F], tags[0x013B], tags[0x0112] = "Maker", "Artist", 6
    tags.get_ifd(0x8769)[0x920A] = 35.0
    return tags


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("target", ["keep", "png", "jpeg", "webp", "tiff"])
def test_exif_icc_xmp_and_resolution_are_kept(format: str, target: codec.WantedFormat) -> None:
    options: dict[str, Any] = {"exif": described_exif().tobytes(), "icc_profile": SRGB, "dpi": (300, 300)}
    if format in ("JPEG", "WEBP"):
        options["xmp"] = XMP
    data = saved(smooth(), format, **options)
    source = codec.decode(data)
    assert source.info.orientation == 6
    result = codec.render(data, source.pixels, source.info, format=target)
    with Image.open(io.BytesIO(result)) as image:
        tags = image.getexif()
        assert (tags[0x010F], tags[0x013B]) == ("Maker", "Artist")
        assert tags.get(0x0112, 1) == 1
        assert tags.get_ifd(0x8769)[0x920A] == 35.0
        assert image.info["icc_profile"] == SRGB
        if "WEBP" not in (format, image.format):
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        if "xmp" in options:
            assert codec.read_metadata(result).xmp == XMP.replace(b'"6"', b'"1"')


def test_png_text_and_xmp_are_kept_and_can_be_stripped() -> None:
    from PIL.PngImagePlugin import PngImageFile, PngInfo

    text = PngInfo()
    text.add_text("Author", "caf\xe9")
    text.add_itxt("Title", "日本", zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    data = saved(smooth(), "PNG", pnginfo=text, dpi=(72, 144), exif=described_exif(), icc_profile=SRGB)
    source = codec.decode(data)
    with Image.open(io.BytesIO(codec.render(data, source.pixels, source.info))) as image:
        image.load()
        assert isinstance(image, PngImageFile)
        assert isinstance(image.text["Author"], str)
        assert (image.text["Author"], image.text["Title"]) == ("caf\xe9", "日本")
        assert image.info["dpi"] == pytest.approx((144, 72), abs=0.02), "the picture was turned"
    stripped = codec.render(data, source.pixels, source.info, strip_metadata=True)
    kept = codec.read_metadata(stripped)
    assert kept == codec.Metadata(icc=SRGB)


def test_the_exif_thumbnail_goes_because_it_still_shows_what_was_removed() -> None:
    secret = saved(noise(40, 40, 3), "JPEG")
    blob = with_thumbnail(secret)
    assert secret in blob
    cleaned = exif.for_result(blob, 40, 40)
    assert cleaned is not None
    assert len(cleaned) == len(blob)
    assert secret[100:200] not in cleaned
    assert exif.orientation(cleaned) == 1


def test_what_a_file_says_of_its_size_follows_the_picture() -> None:
    tags = described_exif()
    tags[0x0100], tags[0x0101] = 44, 33
    tags.get_ifd(0x8769).update({0xA002: 44, 0xA003: 33})
    xmp = b"<x tiff:ImageWidth=\"44\" exif:PixelYDimension = '33'><exif:PixelXDimension>44</exif:PixelXDimension></x>"
    changed = exif.for_result(tags.tobytes().removeprefix(b"Exif\0\0"), 70_000, 20)
    assert changed is not None
    again = Image.Exif()
    again.load(b"Exif\0\0" + changed)
    nested = again.get_ifd(0x8769)
    assert (again[0x0100], again[0x0101], nested[0xA002], nested[0xA003]) == (70_000, 20, 70_000, 20)
    assert (again[0x010F], nested[0x920A], again[0x0112]) == ("Maker", 35.0, 1)
    assert exif.xmp_for_result(xmp, 70_000, 20) == xmp.replace(b"44", b"70000").replace(b"33", b"20")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_what_is_shown_is_another_orientation_of_what_is_stored(orientation: int) -> None:
    stored = noise(5, 7, 3)
    for turns in range(4):
        expected = np.rot90(oriented(stored, orientation), -turns)
        assert np.array_equal(oriented(stored, turned(orientation, turns)), expected)


def test_a_jpeg_that_became_transparent_is_kept_as_png() -> None:
    info = codec.probe(saved(smooth(), "JPEG"))
    assert codec.output_format(info).name == "jpeg"
    clear = replace(info, has_alpha=True)
    assert codec.output_format(clear).name == "png"
    assert codec.output_format(clear, "jpeg").name == "jpeg"


def with_thumbnail(jpeg: bytes) -> bytes:
    """IFD0 with an orientation, IFD1 with a JPEG thumbnail."""
    import struct

    first = struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 26)
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(jpeg), 0)
    return b"II*\0\x08\0\0\0" + first + second + jpeg


@pytest.mark.parametrize("quality", [50, 75, 92])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_keeps_its_tables_sampling_and_progression(quality: int, subsampling: int, progressive: bool) -> None:
    data = saved(smooth(), "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
    source = codec.decode(data)
    result = codec.render(data, source.pixels, source.info)
    with Image.open(io.BytesIO(data)) as old, Image.open(io.BytesIO(result)) as new:
        assert isinstance(old, JpegImagePlugin.JpegImageFile)
        assert isinstance(new, JpegImagePlugin.JpegImageFile)
        assert new.quantization == old.quantization
        assert JpegImagePlugin.get_sampling(new) == JpegImagePlugin.get_sampling(old) == subsampling
        assert bool(new.info.get("progressive")) == progressive
    again = codec.decode(result).pixels
    assert np.abs(again.astype(int) - source.pixels).mean() < 0.5


def test_a_grey_jpeg_stays_grey() -> None:
    data = saved(smooth(), "JPEG", "L", quality=80)
    source = codec.decode(data)
    result = codec.decode(codec.render(data, source.pixels, source.info))
    assert result.info.is_grey
    assert np.abs(result.pixels.astype(int) - source.pixels).max() <= 2
