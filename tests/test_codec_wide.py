"""Pictures of more than 8 bits beside PNG and 16 bit TIFF: floating point TIFF, HEIC, AVIF of 10 and 12 bits."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from lama_server import codec
from lama_server.codec import heif
from lama_server.codec.info import PEAK_BYTES_PER_PIXEL
from lama_server.codec.tiff import writing
from lama_server.errors import ImageError, UnsupportedFormat
from pictures import SRGB, XMP, deep_tiff, noise, saved, smooth
from test_codec_damage import code_of, mutated

HEIGHT, WIDTH = 48, 64


# ---------------------------------------------------------------------------------------- floating point TIFF


def floats(*channels: int) -> Any:
    """Mostly within 0 to 1, with brighter and darker samples and such as are no numbers."""
    samples = np.random.default_rng(0).normal(0.5, 0.3, (HEIGHT, WIDTH, *channels)).astype(np.float32)
    samples[0, 0], samples[0, 1], samples[0, 2], samples[1, 0] = np.nan, np.inf, -np.inf, 40.5
    return samples


def as_integers(samples: Any) -> Any:
    return np.rint(np.clip(np.nan_to_num(samples, nan=0), 0, 1) * np.float32(65535)).astype(np.uint16)


def cv2_tiff(samples: Any, predictor: int) -> bytes:
    params = [cv2.IMWRITE_TIFF_COMPRESSION, 8, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    return bytes(cv2.imencode(".tif", samples[..., ::-1], params)[1])


def read_by_opencv(data: bytes) -> Any:
    """Grey, RGB or RGBA."""
    stored: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return stored[..., (2, 1, 0, 3)[: stored.shape[2]]] if stored.ndim == 3 else stored


FLOATS: dict[str, tuple[Any, bytes]] = {
    "grey": (floats(), deep_tiff(floats(), photometric="minisblack")),
    "RGB": (floats(3), deep_tiff(floats(3), photometric="rgb")),
    "RGBA": (floats(4), deep_tiff(floats(4), photometric="rgb", extrasamples=["unassalpha"])),
    "big-endian": (floats(3), deep_tiff(floats(3), photometric="rgb", byteorder=">")),
    "tiles": (floats(3), deep_tiff(floats(3), photometric="rgb", tile=(16, 16))),
    "deflated": (floats(3), deep_tiff(floats(3), photometric="rgb", compression="zlib")),
    "predicted": (floats(3), cv2_tiff(floats(3), 3)),
}


@pytest.mark.parametrize("name", FLOATS)
def test_a_floating_point_tiff_is_worked_on_as_16_bit(name: str) -> None:
    samples, data = FLOATS[name]
    decoded = codec.decode(data)
    expected = as_integers(samples)
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], 3, axis=2)
    assert np.array_equal(decoded.pixels, expected)
    assert (decoded.info.bit_depth, decoded.info.converted_from) == (16, "float")
    assert decoded.info == codec.probe(data)
    assert not decoded.info.browsers_agree


@pytest.mark.parametrize("name", FLOATS)
def test_floating_point_samples_that_nothing_changed_come_back_as_they_were(name: str) -> None:
    samples, data = FLOATS[name]
    decoded = codec.decode(data)
    edited = decoded.pixels.copy()
    edited[10:20, 30:40, :3] = 30_000
    result = read_by_opencv(codec.render(data, edited, decoded.info))
    expected = samples.copy()
    expected[10:20, 30:40] = np.float32(30_000) / np.float32(65535)
    if name == "RGBA":
        expected[10:20, 30:40, 3] = samples[10:20, 30:40, 3]
    assert result.dtype == np.float32
    assert result.tobytes() == expected.tobytes()
    again = codec.decode(codec.render(data, edited, decoded.info))
    assert np.array_equal(again.pixels, edited)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_floating_point_tiff_is_shown_and_written_upright(orientation: int) -> None:
    upright = floats(3)
    stored = np.asarray(as_stored(upright, orientation))
    data = deep_tiff(stored, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    decoded = codec.decode(data)
    assert np.array_equal(decoded.pixels, as_integers(upright))
    written = read_by_opencv(codec.render(data, decoded.pixels, decoded.info))
    assert written.tobytes() == upright.tobytes()


def as_stored(upright: Any, orientation: int) -> Any:
    """The picture as it is stored under an orientation."""
    if orientation in (3, 4, 7, 8):
        upright = upright[::-1]
    if orientation in (2, 3, 6, 7):
        upright = upright[:, ::-1]
    return np.ascontiguousarray(upright.transpose(1, 0, 2) if orientation >= 5 else upright)


def test_premultiplied_floating_point_is_freed_of_its_alpha() -> None:
    straight = np.random.default_rng(0).uniform(0.1, 0.9, (20, 30, 4)).astype(np.float32)
    stored = straight.copy()
    stored[..., :3] *= stored[..., 3:]
    decoded = codec.decode(deep_tiff(stored, photometric="rgb", extrasamples=["assocalpha"]))
    assert np.abs(decoded.pixels.astype(int) - as_integers(straight)).max() <= 1


def test_after_a_change_of_the_canvas_floating_point_is_made_from_the_pixels() -> None:
    _, data = FLOATS["RGB"]
    decoded = codec.decode(data)
    smaller = decoded.pixels[4:24, 4:34]
    info = replace(decoded.info, width=30, height=20)
    result = read_by_opencv(codec.render(data, smaller, info))
    assert np.array_equal(as_integers(result), smaller)
    with_alpha = np.dstack([decoded.pixels, np.full((HEIGHT, WIDTH), 65535, np.uint16)])
    info = replace(decoded.info, has_alpha=True)
    assert np.array_equal(codec.decode(codec.render(data, with_alpha, info)).pixels, with_alpha)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_a_floating_point_tiff_can_become_another_format(format: codec.WantedFormat) -> None:
    _, data = FLOATS["RGB"]
    decoded = codec.decode(data)
    assert codec.probe(codec.render(data, decoded.pixels, decoded.info, format=format)).format == format


def test_the_metadata_of_a_floating_point_tiff_is_kept() -> None:
    data = deep_tiff(
        floats(3), photometric="rgb", iccprofile=SRGB, software="camera", resolution=(300, 150, "INCH"),
        extratags=[(700, 1, len(XMP), XMP, True)],
    )  # fmt: skip
    decoded = codec.decode(data)
    metadata = codec.read_metadata(codec.render(data, decoded.pixels, decoded.info))
    assert (metadata.icc, metadata.dpi) == (SRGB, (300.0, 150.0))
    assert metadata.exif is not None
    assert b"camera" in metadata.exif
    assert metadata.xmp is not None
    assert b'note="caf\xc3\xa9"' in metadata.xmp


def test_values_of_no_photo_are_refused_with_what_to_do() -> None:
    data = deep_tiff(1000 * floats(3), photometric="rgb")
    with pytest.raises(ImageError, match="Scale them") as refused:
        codec.decode(data)
    assert refused.value.code == "image.unsupported_format"
    assert code_of(deep_tiff(np.stack([floats(3)] * 2), photometric="rgb")) == "image.animated"


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.999])
def test_a_floating_point_tiff_that_is_cut_off_is_refused(name: str, share: float) -> None:
    data = FLOATS[name][1]
    assert code_of(data[: int(len(data) * share)]) in ("image.truncated", "image.corrupt")


def test_a_flipped_byte_in_a_deflated_floating_point_tiff_is_refused_or_harmless() -> None:
    data = FLOATS["deflated"][1]
    whole = codec.decode(data).pixels
    for at in range(len(data) // 4, len(data), 997):
        damaged = bytearray(data)
        damaged[at] ^= 0x40
        if code_of(bytes(damaged)) == "ok":
            assert np.array_equal(codec.decode(bytes(damaged)).pixels, whole)


# ------------------------------------------------------------------------------------------------------- HEIC


def heic(pixels: Any, **options: Any) -> bytes:
    """Without loss: 16 bit pixels with 10 bits, or 12 where asked for."""
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[1 if pixels.ndim == 2 else pixels.shape[2]]
    twelve = options.pop("twelve", False)
    made = pillow_heif.from_bytes(
        mode + (";16" if pixels.dtype == np.uint16 else ""), (pixels.shape[1], pixels.shape[0]), pixels.tobytes()
    )
    out = io.BytesIO()
    pillow_heif.options.SAVE_HDR_TO_12_BIT = twelve
    made.save(out, quality=-1, chroma=444, **{"matrix_coefficients": 0, **options})
    return out.getvalue()


def spread(pixels: Any, depth: int) -> Any:
    """What of 16 bits is left in `depth` bits, over 16 again: black is 0 and white 65535."""
    kept = pixels >> (16 - depth)
    return kept << (16 - depth) | kept >> (2 * depth - 16)


@pytest.mark.parametrize("channels", [3, 4])
def test_an_8_bit_heic_is_read_as_it_is(channels: int) -> None:
    pixels = noise(HEIGHT, WIDTH, channels)
    data = heic(pixels)
    decoded = codec.decode(data)
    assert np.array_equal(decoded.pixels, pixels)
    assert decoded.info == codec.probe(data)
    assert (decoded.info.format, decoded.info.bit_depth, decoded.info.has_alpha) == ("heic", 8, channels == 4)
    assert not decoded.info.browsers_agree


@pytest.mark.parametrize("twelve", [False, True])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_heic_of_10_and_12_bits_is_read_with_all_of_them(channels: int, twelve: bool) -> None:
    pixels = noise(HEIGHT, WIDTH, channels, depth=16)
    pixels[0, :2] = [[65535], [0]]
    decoded = codec.decode(heic(pixels, twelve=twelve))
    assert np.array_equal(decoded.pixels, spread(pixels, 12 if twelve else 10))
    assert decoded.info.bit_depth == 16
    assert decoded.pixels[0, 0, 0] == 65535


@pytest.mark.parametrize("depth", [8, 16])
def test_a_grey_heic_becomes_a_grey_png(depth: int) -> None:
    pixels = noise(HEIGHT, WIDTH, depth=depth)
    data = heic(pixels, matrix_coefficients=6)
    decoded = codec.decode(data)
    assert decoded.info.is_grey
    assert np.array_equal(decoded.pixels[..., 0], spread(pixels, 10) if depth == 16 else pixels)
    assert codec.render(data, decoded.pixels, decoded.info)[24:26] == bytes([depth, 0])


@pytest.mark.parametrize("depth", [8, 16])
def test_the_result_of_a_heic_is_a_png_that_holds_every_value(depth: int) -> None:
    data = heic(noise(HEIGHT, WIDTH, 3, depth=depth))
    decoded = codec.decode(data)
    assert codec.output_format(decoded.info).name == "png"
    again = codec.decode(codec.render(data, decoded.pixels, decoded.info))
    assert np.array_equal(again.pixels, decoded.pixels)
    assert again.info.bit_depth == depth


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_heic_is_turned_once(orientation: int) -> None:
    """By its own property; the orientation in EXIF tells the same again and does not count."""
    image = Image.fromarray(smooth())
    block = Image.Exif()
    block[0x0112] = orientation
    out = io.BytesIO()
    made = pillow_heif.from_pillow(image)
    made.save(out, quality=-1, chroma=444, matrix_coefficients=0, exif=block.tobytes())
    decoded = codec.decode(out.getvalue())
    shown = pillow_heif.open_heif(io.BytesIO(out.getvalue()))
    assert (decoded.info.width, decoded.info.height) == shown.size
    assert np.array_equal(decoded.pixels, np.asarray(shown))
    assert decoded.info.orientation == 1
    rendered = codec.render(out.getvalue(), decoded.pixels, decoded.info)
    assert codec.probe(rendered).orientation == 1
    assert (codec.probe(rendered).width, codec.probe(rendered).height) == shown.size


def test_the_metadata_of_a_heic_is_kept() -> None:
    block = Image.Exif()
    block[0x0110] = "a phone"
    data = heic(smooth(), exif=block.tobytes(), xmp=XMP)
    decoded = codec.decode(data)
    metadata = codec.read_metadata(codec.render(data, decoded.pixels, decoded.info))
    assert metadata.exif is not None
    assert b"a phone" in metadata.exif
    assert metadata.xmp is not None
    assert b'note="caf\xc3\xa9"' in metadata.xmp


def test_wide_colours_of_a_heic_without_a_profile_are_told_in_the_png() -> None:
    data = heic(noise(HEIGHT, WIDTH, 3, depth=16), color_primaries=9, transfer_characteristics=16)
    decoded = codec.decode(data)
    assert b"cICP\x09\x10\x00\x01" in codec.render(data, decoded.pixels, decoded.info)
    plain = heic(smooth())
    assert b"cICP" not in codec.render(plain, codec.decode(plain).pixels, codec.decode(plain).info)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.999])
def test_a_heic_that_is_cut_off_is_refused(share: float) -> None:
    data = heic(noise(HEIGHT, WIDTH, 3, depth=16))
    assert code_of(data[: int(len(data) * share)]) in ("image.truncated", "image.corrupt")


def test_a_heic_that_is_too_large_is_refused_by_its_header() -> None:
    limits = codec.ImageLimits(max_pixels=HEIGHT * WIDTH - 1)
    with pytest.raises(ImageError) as refused:
        codec.probe(heic(smooth()), limits)
    assert refused.value.code == "image.too_many_pixels"


def test_a_sequence_is_no_still_picture() -> None:
    data = heic(smooth())
    assert code_of(data[:8] + b"hevc" + data[12:]) == "image.animated"


def test_without_the_extra_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic(smooth())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"pip install 'lama-server\[heif\]'") as refused:
        codec.probe(data)
    assert refused.value.code == "image.unsupported_format"


def test_a_heic_serves_as_a_mask() -> None:
    mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    mask[10:20, 30:40] = 255
    assert np.array_equal(codec.decode_mask(heic(mask), WIDTH, HEIGHT), mask[..., 0])


def test_libheif_is_imported_for_heic_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(smooth(), "PNG"))
    code = "import sys; from lama_server import codec; codec.probe(open('a.png', 'rb').read()); print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        check=True, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert "pillow_heif" not in run.stdout


# ------------------------------------------------------------------------------------------------------- AVIF


def avif(pixels: Any, depth: int) -> bytes:
    order = pixels[..., (2, 1, 0, 3)[: pixels.shape[2]]] if pixels.ndim == 3 else pixels
    params = [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, 100, cv2.IMWRITE_AVIF_SPEED, 10]
    return bytes(cv2.imencode(".avif", order >> (16 - depth) if depth > 8 else order, params)[1])


@pytest.mark.parametrize("depth", [10, 12])
@pytest.mark.parametrize("channels", [3, 4])
def test_an_avif_of_10_and_12_bits_is_read_with_all_of_them(channels: int, depth: int) -> None:
    pixels = noise(HEIGHT, WIDTH, channels, depth=16)
    data = avif(pixels, depth)
    decoded = codec.decode(data)
    assert heif.avif_depth(data) == depth
    assert decoded.info == codec.probe(data)
    assert (decoded.info.bit_depth, decoded.info.has_alpha) == (16, channels == 4)
    assert np.abs(decoded.pixels.astype(int) - spread(pixels, depth)).max() <= 65535 // 2**depth * 2
    again = codec.decode(codec.render(data, decoded.pixels, decoded.info))
    assert (again.info.format, again.info.bit_depth) == ("png", 16)
    assert np.array_equal(again.pixels, decoded.pixels)


def test_a_pillow_without_avif_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    data = avif(noise(HEIGHT, WIDTH, 3), 8)
    monkeypatch.setattr(features, "check", lambda feature: False)
    with pytest.raises(UnsupportedFormat, match="reads no AVIF"):
        codec.probe(data)


def test_an_avif_of_8_bits_stays_at_8_bits() -> None:
    data = avif(noise(HEIGHT, WIDTH, 3), 8)
    assert heif.avif_depth(data) == 8
    assert codec.decode(data).info.bit_depth == 8


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.999])
def test_a_deep_avif_that_is_cut_off_is_refused(share: float) -> None:
    data = avif(noise(HEIGHT, WIDTH, 3, depth=16), 10)
    assert code_of(data[: int(len(data) * share)]) in ("image.truncated", "image.corrupt")


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x08meta", b"\0\0\0\0meta", b"\0\0\0\1meta" + b"\xff" * 8, b"\0" * 4000])
def test_a_file_whose_boxes_make_no_sense_has_8_bits(data: bytes) -> None:
    assert heif.avif_depth(data) == 8


SEEDS = [
    deep_tiff(floats(3)[:20, :20], photometric="rgb", compression="zlib"),
    heic(noise(20, 20, 3, depth=16)),
    avif(noise(20, 20, 4, depth=16), 10),
]


@settings(max_examples=150)
@given(data=st.data())
def test_a_mutated_file_is_decoded_or_refused_but_never_breaks_the_decoder(data: st.DataObject) -> None:
    code_of(mutated(data.draw(st.sampled_from(SEEDS)), data), codec.ImageLimits(max_pixels=4_000_000))


# ---------------------------------------------------------------------------------------- memory


def test_strips_that_nobody_has_taken_yet_are_few_however_late_they_are_taken() -> None:
    begun: list[int] = []

    def begin(top: int) -> Future[bytes]:
        begun.append(top)
        done = Future[bytes]()
        done.set_result(bytes([top]))
        return done

    for taken, strip in enumerate(writing._few_at_once(begin, range(100), 4)):
        assert strip == bytes([taken])
        assert len(begun) - taken <= 4
    assert begun == list(range(100))


PEAKS = """
import sys
from pathlib import Path
import numpy as np
from lama_server import codec

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

def read_and_write(name):
    decoded = codec.decode(Path(name), codec.ImageLimits())
    info = decoded.info
    np.save("pixels.npy", decoded.pixels)
    del decoded
    codec.render(Path(name), np.load("pixels.npy", mmap_mode="r"), info)
    return info.width * info.height

read_and_write("small")
before = peak()
pixels = read_and_write("large")
print((peak() - before) / pixels)
"""


def lossless_webp(pixels: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", lossless=True, method=0)
    return out.getvalue()


def floating_point_tiff(pixels: Any) -> bytes:
    return deep_tiff((pixels / 255).astype(np.float32), photometric="rgb", extrasamples=["unassalpha"])


@pytest.mark.parametrize("write", [lossless_webp, floating_point_tiff], ids=["WebP", "TIFF"])
def test_the_hungriest_files_take_no_more_memory_than_is_printed_at_start(write: Any, tmp_path: Path) -> None:
    """P5."""
    for name, size in (("small", 64), ("large", 2000)):
        (tmp_path / name).write_bytes(write(noise(size, size, 4)))
    command = [sys.executable, "-c", PEAKS]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert 16 < float(made.stdout) < PEAK_BYTES_PER_PIXEL
