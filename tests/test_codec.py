"""Image files to pixels and back: nothing that was not edited may change."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from lama_server import codec
from lama_server.codec import png
from lama_server.codec.exif import oriented
from lama_server.errors import MaskSizeWrong
from pictures import SRGB, deep_png, deep_tiff, noise, saved, smooth


def as_cv2(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


# ---------------------------------------------------------------------------------------------- decoding


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [3, 4])
def test_eight_bit_colour_decodes_exactly(format: str, channels: int) -> None:
    pixels = noise(20, 31, channels)
    decoded = codec.decode(saved(pixels, format))
    assert np.array_equal(decoded.pixels, pixels)
    assert decoded.info.bit_depth == 8
    assert decoded.info.has_alpha == (channels == 4)


@pytest.mark.parametrize("shape", [(20, 31), (20, 31, 3), (20, 31, 4)])
def test_sixteen_bit_png_decodes_exactly(shape: tuple[int, ...]) -> None:
    """B59."""
    pixels = noise(*shape, depth=16)
    decoded = codec.decode(deep_png(pixels))
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    assert decoded.pixels.dtype == np.uint16
    assert np.array_equal(decoded.pixels, expected)
    assert decoded.info.is_grey == (len(shape) == 2)


def test_sixteen_bit_grey_with_alpha_decodes_exactly() -> None:
    pixels = noise(20, 31, 4, depth=16)
    pixels[..., 1] = pixels[..., 2] = pixels[..., 0]
    data = png.write(pixels, grey=True)
    assert data[25] == 4
    decoded = codec.decode(data)
    assert np.array_equal(decoded.pixels, pixels)
    assert decoded.info.is_grey
    assert decoded.info.has_alpha


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((20, 31, 3), {"photometric": "rgb"}),
        ((20, 31, 3), {"photometric": "rgb", "byteorder": ">"}),
        ((20, 31, 3), {"photometric": "rgb", "compression": "zlib", "predictor": True}),
        ((40, 64, 3), {"photometric": "rgb", "tile": (16, 16)}),
        ((20, 31, 4), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        ((20, 31), {"photometric": "minisblack"}),
    ],
)
def test_sixteen_bit_tiff_decodes_exactly(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    pixels = noise(*shape, depth=16)
    decoded = codec.decode(deep_tiff(pixels, **options))
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    assert decoded.pixels.dtype == np.uint16
    assert np.array_equal(decoded.pixels, expected)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("packed", [{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": True}])
@pytest.mark.parametrize("rows", [7, 100])
@pytest.mark.parametrize(
    ("channels", "options"),
    [
        (3, {"photometric": "rgb", "planarconfig": "separate"}),
        (4, {"photometric": "rgb", "planarconfig": "separate", "extrasamples": ["unassalpha"]}),
        (2, {"photometric": "minisblack", "extrasamples": ["unassalpha"]}),
        (2, {"photometric": "minisblack", "planarconfig": "separate", "extrasamples": ["unassalpha"]}),
    ],
)
def test_sixteen_bit_tiff_in_planes_and_grey_with_alpha_decode_exactly(
    channels: int, options: dict[str, Any], rows: int, packed: dict[str, Any], byteorder: Any
) -> None:
    pixels = noise(20, 31, channels, depth=16)
    stored = np.moveaxis(pixels, 2, 0).copy() if "planarconfig" in options else pixels
    data = deep_tiff(stored, rowsperstrip=rows, byteorder=byteorder, **options, **packed)
    decoded = codec.decode(data)
    expected = pixels if channels > 2 else pixels[..., (0, 0, 0, 1)]
    assert np.array_equal(decoded.pixels, expected)
    assert decoded.info == codec.probe(data)
    assert (decoded.info.is_grey, decoded.info.has_alpha) == (channels == 2, channels in (2, 4))
    assert np.array_equal(codec.decode(codec.render(data, decoded.pixels, decoded.info)).pixels, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [2, 3])
def test_sixteen_bit_planes_are_turned_as_well(channels: int, orientation: int) -> None:
    stored = noise(20, 31, channels, depth=16)
    turn = [(274, 3, 1, orientation, True)]
    if channels == 2:
        data = deep_tiff(stored, photometric="minisblack", extrasamples=["unassalpha"], extratags=turn)
    else:
        data = deep_tiff(np.moveaxis(stored, 2, 0).copy(), photometric="rgb", planarconfig="separate", extratags=turn)
    expected = oriented(stored if channels == 3 else stored[..., (0, 0, 0, 1)], orientation)
    assert np.array_equal(codec.decode(data).pixels, expected)


def test_a_tiff_with_white_as_zero_is_inverted() -> None:
    pixels = noise(20, 31, depth=16)
    decoded = codec.decode(deep_tiff(pixels, photometric="miniswhite"))
    assert np.array_equal(decoded.pixels[..., 0], 65535 - pixels)


def test_premultiplied_sixteen_bit_tiff_is_freed_of_its_alpha() -> None:
    straight = noise(20, 31, 4, depth=16)
    straight[..., 3] |= 0x8000
    stored = straight.copy()
    stored[..., :3] = (straight[..., :3].astype(np.uint64) * straight[..., 3:] + 32767) // 65535
    decoded = codec.decode(deep_tiff(stored, photometric="rgb", extrasamples=["assocalpha"]))
    assert np.abs(decoded.pixels.astype(int) - straight).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_decodes_to_equal_channels_and_is_remembered(mode: str) -> None:
    image = Image.fromarray(noise(20, 31)).convert(mode)
    decoded = codec.decode(saved(image, "PNG"))
    assert decoded.info.is_grey
    assert np.array_equal(decoded.pixels, np.asarray(image.convert("RGB")))


def test_a_palette_with_transparency_becomes_rgba() -> None:
    """B59."""
    image = Image.fromarray(smooth()).quantize(16)
    image.info["transparency"] = 3
    decoded = codec.decode(saved(image, "PNG", transparency=3))
    assert decoded.info.has_alpha
    assert decoded.info.converted_from == "palette"
    assert np.array_equal(decoded.pixels[..., 3] == 0, np.asarray(image) == 3)
    assert np.array_equal(decoded.pixels[..., :3], np.asarray(image.convert("RGB")))


def test_a_transparent_colour_of_a_sixteen_bit_png_becomes_alpha() -> None:
    pixels = noise(20, 31, 3, depth=16)
    key = b"".join(int(value).to_bytes(2) for value in pixels[4, 5])
    decoded = codec.decode(png.write(pixels, grey=False, chunks=[(b"tRNS", key)]))
    assert np.array_equal(decoded.pixels[..., :3], pixels)
    assert np.argwhere(decoded.pixels[..., 3] == 0).tolist() == [[4, 5]]


def test_an_interlaced_sixteen_bit_png_decodes_exactly() -> None:
    """B64. Written by hand: seven passes (PNG specification, 8.2), no filter."""
    import struct
    import zlib

    pixels = noise(19, 21, 3, depth=16)
    raw = b""
    for x0, y0, dx, dy in [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]:
        for row in pixels[y0::dy, x0::dx]:
            raw += b"\0" + row.astype(">u2").tobytes()
    header = struct.pack(">IIBBBBB", 21, 19, 16, 2, 0, 0, 1)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    data = png.SIGNATURE + b"".join(png.chunk(*part) for part in parts)
    assert np.array_equal(codec.decode(data).pixels, pixels)


def test_cmyk_becomes_srgb_and_drops_nothing_but_the_profile() -> None:
    """B59."""
    image = Image.fromarray(smooth()).convert("CMYK")
    decoded = codec.decode(saved(image, "JPEG", quality=95))
    assert decoded.info.converted_from == "CMYK"
    assert not decoded.info.has_icc
    assert decoded.pixels.shape == (48, 64, 3)
    assert np.abs(decoded.pixels.astype(int) - smooth()).mean() < 6


def test_a_phone_s_multi_picture_jpeg_gives_its_first_picture() -> None:
    """B59."""
    first, second = Image.fromarray(smooth()), Image.fromarray(smooth()[::-1].copy())
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[second], quality=95)
    decoded = codec.decode(out.getvalue())
    assert decoded.info.format == "jpeg"
    assert np.abs(decoded.pixels.astype(int) - smooth()).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 10))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_like_pillow_does(format: str, orientation: int) -> None:
    """B63."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    data = saved(smooth(), format, exif=tags, **options)
    decoded = codec.decode(data)
    with Image.open(io.BytesIO(data)) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    assert (decoded.info.width, decoded.info.height) == expected.size
    assert np.array_equal(decoded.pixels, np.asarray(expected))
    rendered = codec.render(data, decoded.pixels, decoded.info)
    again = codec.decode(rendered)
    assert again.info.orientation == 1
    assert again.pixels.shape == decoded.pixels.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_sixteen_bit_tiff_is_turned_as_well(channels: int, orientation: int) -> None:
    pixels = noise(20, 31, channels, depth=16).squeeze()
    kind: dict[str, Any] = {"photometric": "minisblack" if channels == 1 else "rgb"}
    if channels == 4:
        kind["extrasamples"] = ["unassalpha"]
    decoded = codec.decode(deep_tiff(pixels, extratags=[(0x0112, 3, 1, orientation, True)], **kind))
    stored = pixels if channels > 1 else np.repeat(pixels[..., None], 3, axis=2)
    assert np.array_equal(decoded.pixels, oriented(stored, orientation))


def test_it_is_known_when_a_browser_would_show_something_else() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    agree = {format: codec.probe(saved(smooth(), format, exif=turned)).browsers_agree for format in ("JPEG", "PNG")}
    assert agree == {"JPEG": True, "PNG": True}
    assert codec.probe(saved(smooth(), "WEBP")).browsers_agree
    assert not codec.probe(saved(smooth(), "WEBP", exif=turned)).browsers_agree
    assert not codec.probe(saved(smooth(), "TIFF")).browsers_agree
    assert not codec.probe(saved(smooth(), "JPEG", "CMYK")).browsers_agree


def test_broken_exif_is_ignored() -> None:
    """B63."""
    data = saved(smooth(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f garbage")
    assert codec.probe(data).orientation == 1
    assert codec.decode(data).pixels.shape == (48, 64, 3)


def test_probe_agrees_with_decode_and_reads_from_a_path(tmp_path: Path) -> None:
    for index, data in enumerate(
        [
            saved(smooth(), "PNG"),
            saved(smooth(), "JPEG"),
            saved(smooth(), "WEBP"),
            saved(noise(20, 31, 4), "WEBP", lossless=True),
            saved(smooth(), "GIF"),
            saved(smooth(), "BMP"),
            saved(smooth(), "AVIF"),
            saved(smooth(), "TIFF", compression="tiff_lzw"),
            deep_png(noise(20, 31, 4, depth=16)),
        ]
    ):
        path = tmp_path / f"{index}"
        path.write_bytes(data)
        info, decoded = codec.probe(path), codec.decode(path)
        assert info == decoded.info
        assert decoded.pixels.shape == (info.height, info.width, info.channels)
        assert decoded.pixels.dtype.itemsize * 8 == info.bit_depth
        assert codec.ImageInfo.from_json(info.to_json()) == info


# ------------------------------------------------------------------------------------ the round trip


def edited(pixels: Any) -> tuple[Any, Any]:
    """Pixels with an edit, and which of them are known."""
    out, known = pixels.copy(), np.ones(pixels.shape[:2], bool)
    known[5:12, 6:17] = False
    out[5:12, 6:17, :3] = noise(7, 11, 3, depth=pixels.dtype.itemsize * 8, seed=9)
    return out, known


SOURCES = {
    "png-rgb": lambda: saved(noise(20, 31, 3), "PNG"),
    "png-rgba": lambda: saved(noise(20, 31, 4), "PNG"),
    "png-grey": lambda: saved(noise(20, 31), "PNG"),
    "png-grey-alpha": lambda: saved(Image.fromarray(noise(20, 31, 4)).convert("LA"), "PNG"),
    "png-palette": lambda: saved(Image.fromarray(smooth()).quantize(32), "PNG"),
    "png-1bit": lambda: saved(Image.fromarray(noise(20, 31)).convert("1"), "PNG"),
    "png-rgb16": lambda: deep_png(noise(20, 31, 3, depth=16)),
    "png-rgba16": lambda: deep_png(noise(20, 31, 4, depth=16)),
    "png-grey16": lambda: deep_png(noise(20, 31, depth=16)),
    "tiff-rgb": lambda: saved(noise(20, 31, 3), "TIFF", compression="tiff_adobe_deflate"),
    "tiff-rgba": lambda: saved(noise(20, 31, 4), "TIFF"),
    "tiff-grey": lambda: saved(noise(20, 31), "TIFF", compression="packbits"),
    "tiff-rgb16": lambda: deep_tiff(noise(20, 31, 3, depth=16), photometric="rgb"),
    "tiff-rgba16": lambda: deep_tiff(noise(20, 31, 4, depth=16), photometric="rgb", extrasamples=["unassalpha"]),
    "tiff-grey16": lambda: deep_tiff(noise(20, 31, depth=16), photometric="minisblack"),
    "bmp": lambda: saved(noise(20, 31, 3), "BMP"),
    "bmp-grey": lambda: saved(noise(20, 31), "BMP"),
    "gif": lambda: saved(Image.fromarray(smooth()).quantize(64), "GIF"),
    "webp-lossless": lambda: saved(noise(20, 31, 3), "WEBP", lossless=True),
    "webp-lossless-rgba": lambda: saved(noise(20, 31, 4), "WEBP", lossless=True, exact=True),
}


@pytest.mark.parametrize("name", SOURCES)
def test_known_pixels_come_back_bit_by_bit_in_the_source_s_own_format(name: str) -> None:
    data = SOURCES[name]()
    source = codec.decode(data)
    pixels, known = edited(source.pixels)
    target = codec.output_format(source.info)
    assert target.lossless
    result = codec.decode(codec.render(data, pixels, source.info))
    assert result.info.format == target.name
    assert result.info.bit_depth == source.info.bit_depth
    assert result.info.has_alpha == source.info.has_alpha
    assert result.info.is_grey == source.info.is_grey
    assert np.array_equal(result.pixels[known], source.pixels[known])
    if not source.info.is_grey:
        assert np.array_equal(result.pixels, pixels)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_lossless_conversions_hold_every_value(name: str, format: codec.WantedFormat) -> None:
    data = SOURCES[name]()
    source = codec.decode(data)
    result = codec.decode(codec.render(data, source.pixels, source.info, format=format))
    assert np.array_equal(result.pixels, source.pixels)
    assert result.info.bit_depth == source.info.bit_depth


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_lossy_conversions_work_from_every_source(name: str, format: codec.WantedFormat) -> None:
    data = SOURCES[name]()
    source = codec.decode(data)
    result = codec.decode(codec.render(data, source.pixels, source.info, format=format, quality=90))
    assert result.info.format == format
    assert result.pixels.shape[:2] == source.pixels.shape[:2]


@settings(max_examples=60)
@given(
    height=st.integers(16, 90),
    width=st.integers(16, 90),
    channels=st.sampled_from([3, 4]),
    depth=st.sampled_from([8, 16]),
    seed=st.integers(0, 2**32 - 1),
    flat=st.booleans(),
)
def test_our_png_and_tiff_are_read_by_others_as_written(
    height: int, width: int, channels: int, depth: int, seed: int, flat: bool
) -> None:
    pixels = noise(height, width, channels, depth=depth, seed=seed)
    if flat:
        pixels[:] = pixels[:1]
    read = as_cv2(png.write(pixels, grey=False))
    assert np.array_equal(read[..., (2, 1, 0, 3)[:channels]], pixels)
    info = codec.probe(saved(smooth(), "PNG"))
    info = replace(info, width=width, height=height, has_alpha=channels == 4)
    tiff = codec.render(saved(smooth(), "PNG"), pixels, info, format="tiff")
    assert np.array_equal(tifffile.imread(io.BytesIO(tiff)), pixels)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_of_many_bands_is_one_valid_stream(depth: int) -> None:
    pixels = noise(1500, 700, 3, depth=depth)
    pixels[200:900] = pixels[0]
    data = png.write(pixels, grey=False)
    png.verify(data)
    png.verify_pixel_bytes(data)
    assert np.array_equal(as_cv2(data)[..., ::-1], pixels)


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (13, 8), (1500, 2001)])
def test_a_mask_is_written_with_one_bit_a_pixel_and_read_by_others_as_written(shape: tuple[int, int]) -> None:
    coverage = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    data = codec.encode_mask(coverage)
    assert png.read_header(data).depth == 1
    png.verify_pixel_bytes(data)
    painted = np.where(coverage >= 128, 255, 0)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("L")), painted)
    assert np.array_equal(codec.decode_mask(data, shape[1], shape[0]), painted)


def test_a_patch_carries_the_source_s_colour_profile() -> None:
    source = saved(smooth(), "JPEG", icc_profile=SRGB)
    patch = codec.encode_patch(noise(5, 7, 3), codec.read_metadata(source))
    with Image.open(io.BytesIO(patch)) as image:
        assert image.info["icc_profile"] == SRGB
    assert np.array_equal(codec.decode_patch(patch, has_alpha=False), noise(5, 7, 3))


# --------------------------------------------------------------------------------- masks and previews


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_a_mask_of_any_mode_is_cut_at_half_luminance(mode: str) -> None:
    """B68."""
    wanted = np.zeros((40, 50), bool)
    wanted[10:20, 5:30] = True
    image = Image.fromarray(wanted * np.uint8(255)).convert("RGB").convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(0)
    mask = codec.decode_mask(saved(image, "PNG"), 50, 40)
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, wanted * np.uint8(255))


def test_the_threshold_of_a_mask_is_128_in_8_and_16_bit() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (20, 1))
    assert np.array_equal(codec.decode_mask(saved(ramp, "PNG"), 256, 20)[0] == 255, np.arange(256) >= 128)
    deep = ramp.astype(np.uint16) * 257
    assert np.array_equal(codec.decode_mask(deep_png(deep), 256, 20)[0] == 255, np.arange(256) >= 128)


def test_the_noise_of_a_jpeg_mask_is_cut_off() -> None:
    """B69."""
    wanted = np.zeros((64, 64), np.uint8)
    wanted[16:48, 16:48] = 255
    mask = codec.decode_mask(saved(wanted, "JPEG", quality=60), 64, 64)
    assert np.array_equal(mask, wanted)


def test_a_mask_is_decoded_in_memory_like_a_photo() -> None:
    """P5: 16 bit takes 6 bytes a pixel for its colours alone."""
    import tracemalloc

    for data, px_bytes in (
        (saved(np.zeros((1500, 2000), bool), "PNG"), 10),
        (deep_png(noise(1000, 1500, depth=16)), 16),
    ):
        info = codec.probe(data)
        tracemalloc.start()
        codec.decode_mask(data, info.width, info.height)
        assert tracemalloc.get_traced_memory()[1] < px_bytes * info.width * info.height
        tracemalloc.stop()


def test_a_mask_of_another_size_is_refused_on_its_header() -> None:
    """B65."""
    cut = saved(noise(40, 50), "PNG")[:60]
    with pytest.raises(MaskSizeWrong, match="50x40 but the image is 50x41"):
        codec.decode_mask(cut, 50, 41)


@pytest.mark.parametrize("name", ["tiff-rgb16", "tiff-rgba", "png-grey16"])
def test_a_preview_is_small_and_shown_by_browsers(name: str) -> None:
    source = codec.decode(SOURCES[name]())
    preview = codec.preview(source.pixels, 16)
    with Image.open(io.BytesIO(preview.data)) as image:
        assert max(image.size) == 16
        assert image.get_format_mimetype() == preview.media_type
    assert preview.media_type == ("image/png" if source.info.has_alpha else "image/jpeg")


def test_the_web_process_pays_for_neither_opencv_nor_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, io; from PIL import Image; from lama_server import codec\n"
        "out = io.BytesIO(); Image.new('RGB', (20, 20)).save(out, 'PNG'); codec.probe(out.getvalue())\n"
        "sys.exit(bool({'cv2', 'torch'} & set(sys.modules)))"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}).returncode == 0
