"""A JPEG that is edited and saved as JPEG: every block that no edit touched is as it was, however often it is saved."""

from __future__ import annotations

import base64
import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import jpeg_reader
from inpaint_models.errors import Cancelled
from inpaint_models.types import Box
from lama_server import codec
from lama_server.codec import exif
from lama_server.codec.jpeg import blocks, huffman
from lama_server.codec.jpeg.kept import kept
from lama_server.codec.jpeg.patching import patch
from lama_server.codec.jpeg.refusal import NotPatchable
from lama_server.codec.jpeg.structure import read_structure

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
    for size in ((32, 32), (33, 32), (32, 49), (8 * 5, 8 * 7 + 1), (127, 34))
]
TABLES = b"\xff\xc4"
"""Begins a segment of Huffman tables."""
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
    shown = exif.oriented(place, info.orientation)[..., 0]  # type: ignore[arg-type]
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
    kept_blocks = [~hit for hit in touched(before, changed)]
    assert kept_blocks[0].any()
    for was, now, same in zip(old, new, kept_blocks, strict=True):
        assert np.array_equal(was[same], now[same])


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
    assert result.count(TABLES) <= source.count(TABLES)  # none is left behind that nothing uses
    Image.open(io.BytesIO(result)).load()


# ------------------------------------------------------------------------------------------------ what is written

INSIDE = Box(8, 8, 48, 48)


@pytest.mark.parametrize("variant", [QUALITIES[3], KINDS[1], KINDS[8], KINDS[-2], ORIENTATIONS[4]], ids=name_of)
def test_inside_it_is_as_good_as_a_normal_encode(variant: dict[str, Any]) -> None:
    source = made(variant)
    before = codec.decode(source)
    pixels = before.pixels.copy()
    pixels[INSIDE.slices] = photo(before.info.height, before.info.width, seed=7)[INSIDE.slices]
    result = codec.encode(source, pixels, before.info, codec.Edited(before.pixels, pixels, (INSIDE,)))
    assert result.patched
    anew = codec.render(source, pixels, before.info)
    inner = INSIDE.grown(-12).slices  # where the grids of blocks differ, only the rim depends on them
    errors = [
        np.mean((codec.decode(data).pixels[inner].astype(float) - pixels[inner]) ** 2) for data in (result.data, anew)
    ]
    assert errors[0] < 1.1 * errors[1] + 0.5


def test_a_photo_without_edits_is_written_byte_by_byte() -> None:
    for variant in KINDS:
        source = made(variant)
        decoded = codec.decode(source)
        done = codec.Edited(decoded.pixels, decoded.pixels, (INSIDE,))
        assert codec.encode(source, decoded.pixels, decoded.info, done).data == source


def test_pixels_that_an_edit_left_as_they_were_change_no_block() -> None:
    source = made({"quality": 85})
    decoded = codec.decode(source)
    pixels = decoded.pixels.copy()
    pixels[30, 40] = 255 - pixels[30, 40]
    whole = Box(0, 0, decoded.info.width, decoded.info.height)
    result = codec.encode(source, pixels, decoded.info, codec.Edited(decoded.pixels, pixels, (whole,)))
    assert_kept(source, result.data, [Box(40, 30, 41, 31)])


def test_the_orientation_stays_and_nothing_is_turned() -> None:
    for variant in ORIENTATIONS:
        source = made(variant)
        result = patched(source, Box(4, 4, 12, 12))
        picture = jpeg_reader.read(result)
        assert (picture.width, picture.height) == (WIDTH, HEIGHT)
        assert codec.probe(result).orientation == variant["orientation"]
        stripped = patched(source, Box(4, 4, 12, 12), strip_metadata=True)
        assert codec.probe(stripped).orientation == variant["orientation"]


def test_scans_restart_markers_and_tables_stay_where_they_are() -> None:
    source = made({"progressive": True, "restart_marker_rows": 1})
    old, new = (jpeg_reader.read(data).segments for data in (source, patched(source, Box(0, 0, 2, 2), seed=3)))
    kept = [segment for segment in new if segment in old]
    assert [segment for segment in old if segment[0] != 0xC4] == [segment for segment in kept if segment[0] != 0xC4]


def test_a_block_beyond_the_picture_shows_nothing_of_what_was_removed() -> None:
    """Blocks that only fill the last MCU can hold anything; decoders do not show it, but it is there to be read."""
    pixels = np.full((16, 16, 3), 90, np.uint8)
    pixels[:, 8::2] = 255
    hidden = bytearray(jpeg(pixels, subsampling=2, quality=95))
    at = hidden.index(b"\xff\xc0")
    hidden[at + 7 : at + 9] = (8).to_bytes(2)
    before, after = (jpeg_reader.read(data) for data in (bytes(hidden), patch_whole(bytes(hidden))))
    assert before.width == 8
    assert before.channels[1].blocks[:, 1, 1:].any()
    assert not after.channels[1].blocks[:, 1, 1:].any()


def patch_whole(data: bytes) -> bytes:
    """With another colour everywhere; for files that are too small for the codec's limits."""
    picture = jpeg_reader.read(data)
    original = np.zeros((picture.height, picture.width, 3), np.uint8)
    whole = Box(0, 0, picture.width, picture.height)
    return patch(data, codec.Edited(original, original + 50, (whole,)), 1, lambda: None)


# ------------------------------------------------------------------------------------------------ metadata

SECRET = jpeg(photo(24, 24, seed=9), quality=60)
BASE64 = base64.b64encode(SECRET)


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2) + payload


def exif_block(orientation: int = 6) -> bytes:
    """IFD0 with an orientation and a maker note with a preview in it, IFD1 with a thumbnail."""
    note = b"MAKER\0" + SECRET + b"lens 42"
    first = struct.pack("<HHHIHHHHIII", 2, 0x0112, 3, 1, orientation, 0, 0x927C, 7, len(note), 38, 38 + len(note))
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 68 + len(note), 0x0202, 4, 1, len(SECRET), 0)
    return b"II*\0\x08\0\0\0" + first + note + second + SECRET


def resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


XMP = (
    b"<x:xmpmeta><dc:title>A walk</dc:title><xmp:Thumbnails><xmpGImg:image>" + BASE64[:76] + b"&#xA;" + BASE64[76:]
    + b"</xmpGImg:image></xmp:Thumbnails></x:xmpmeta>" + b" " * 2000
)  # fmt: skip
IPTC = b"\x1c\x02\x78\0\x07caption"


def with_previews() -> bytes:
    """A file that shows itself small in every place that is known for it."""
    plain = jpeg(photo(), quality=85)
    start = plain.index(b"\xff\xdb")
    segments = [
        segment(0xE0, b"JFIF\0\1\2\1\0\x48\0\x48\2\2" + bytes(12)),
        segment(0xE0, b"JFXX\0\x10" + SECRET),
        segment(0xE1, b"Exif\0\0" + exif_block()),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40) + BASE64),
        segment(0xE2, b"MPF\0" + bytes(60)),
        segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(128)),
        segment(0xE4, SECRET),
        segment(0xED, b"Photoshop 3.0\0" + resource(1036, SECRET) + resource(0x0404, IPTC) + resource(1033, SECRET)),
        segment(0xFE, b"a comment"),
    ]
    return b"\xff\xd8" + b"".join(segments) + plain[start:] + SECRET


def shown_pixels(segments: list[tuple[int, bytes]]) -> bytes:
    return b"".join(payload for marker, payload in segments if 0xE0 <= marker <= 0xEF or marker == 0xFE)


def test_no_thumbnail_shows_what_was_removed() -> None:
    source = with_previews()
    result = patched(source, INSIDE)
    picture = jpeg_reader.read(result)
    metadata = shown_pixels(picture.segments)
    assert metadata.count(b"\xff\xd8\xff") == 0
    assert BASE64[:60] not in metadata
    assert picture.tail == b""
    scan = SECRET[SECRET.index(b"\xff\xda") :]
    assert scan[12:60] in source
    assert scan[12:60] not in result
    for told in (b"A walk", b"lens 42", IPTC, b"ICC_PROFILE", b"a comment"):
        assert told in metadata
    assert b"MPF" not in metadata
    assert codec.probe(result).orientation == 6


def test_a_thumbnail_without_compression_is_blanked() -> None:
    first = struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 1, 0, 26)
    second = struct.pack("<HHHIIHHIII", 2, 0x0111, 4, 1, 56, 0x0117, 4, 1, 300, 0)
    pixels = bytes(range(1, 101)) * 3
    plain = jpeg(photo())
    block = b"Exif\0\0II*\0\x08\0\0\0" + first + second + pixels
    start = plain.index(b"\xff\xdb")
    source = b"\xff\xd8" + segment(0xE1, block) + plain[start:]
    assert pixels[:50] in source
    assert pixels[:50] not in patched(source, INSIDE)


def test_a_block_of_metadata_that_cannot_be_followed_is_dropped_and_the_orientation_kept() -> None:
    assert kept(0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f" + SECRET, 1, strip=False) is None
    stands_in = kept(0xE1, b"Exif\0\0garbage" + SECRET, 6, strip=False)
    assert stands_in is not None
    assert exif.orientation(stands_in[6:]) == 6
    assert kept(0xED, b"Photoshop 3.0\0" + SECRET, 1, strip=False) is None


def test_without_metadata_only_profile_and_orientation_stay() -> None:
    metadata = shown_pixels(jpeg_reader.read(patched(with_previews(), INSIDE, strip_metadata=True)).segments)
    assert b"ICC_PROFILE" in metadata
    for gone in (b"A walk", b"lens 42", IPTC, b"a comment", b"MAKER"):
        assert gone not in metadata


# ------------------------------------------------------------------------------------------------ not patched


def reason(data: bytes, **options: Any) -> str:
    """Why it was encoded anew; the result is a whole picture all the same."""
    result = edited(data, INSIDE, seed=1, **options)
    assert not result.patched
    assert codec.decode(result.data).pixels.shape
    return result.reencoded


def test_what_cannot_be_patched_is_encoded_anew_and_says_why() -> None:
    assert reason(jpeg(photo()), quality=80) == "a quality was chosen"
    cmyk = io.BytesIO()
    Image.fromarray(photo()).convert("CMYK").save(cmyk, "JPEG")
    assert reason(cmyk.getvalue()) == "its colours are CMYK"
    decoded = codec.decode(jpeg(photo()))
    result = codec.encode(jpeg(photo()), decoded.pixels, decoded.info, None)
    assert (result.patched, result.reencoded) == (False, "its canvas was changed")


def test_other_formats_are_not_called_encoded_anew() -> None:
    decoded = codec.decode(jpeg(photo()))
    done = codec.Edited(decoded.pixels, decoded.pixels, ())
    result = codec.encode(jpeg(photo()), decoded.pixels, decoded.info, done, format="png")
    assert (result.patched, result.reencoded) == (False, "")


def test_a_photo_of_which_too_much_changed_is_encoded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MOST_BLOCKS", 10)
    assert reason(jpeg(photo())) == "too much of it was changed"


def test_a_header_of_a_huge_picture_takes_no_memory() -> None:
    data = bytearray(jpeg(photo()))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 32_000, 32_000)
    with pytest.raises(NotPatchable, match="too short"):
        read_structure(bytes(data), codec.ImageLimits())


def test_patching_ends_when_the_result_is_no_longer_wanted() -> None:
    calls = 0

    def cancelled() -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise Cancelled("The job was cancelled.")

    with pytest.raises(Cancelled):
        edited(jpeg(photo()), INSIDE, seed=0, check=cancelled)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    variant=st.sampled_from([KINDS[0], KINDS[1], KINDS[3], KINDS[-1], {"grey": True, "progressive": True}]),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.floats(0.5, 1),
)
def test_a_damaged_file_is_not_patched_or_keeps_what_it_says(
    variant: dict[str, Any], damage: list[tuple[float, int]], cut: float
) -> None:
    whole = made({**variant, "size": (33, 40)})
    data = bytearray(whole[: max(2, int(len(whole) * cut))])
    for place, value in damage:
        data[3 + int(place * (len(data) - 3))] = value  # the first three bytes make it a JPEG at all
    original = codec.decode(whole).pixels
    pixels = original.copy()
    box = Box(3, 3, 9, 12)
    pixels[box.slices] = 128
    try:
        result = patch(bytes(data), codec.Edited(original, pixels, (box,)), 1, lambda: None)
        jpeg_reader.read(bytes(data))
    except NotPatchable:
        return
    except (ValueError, LookupError):  # what only the slow reader minds, such as bytes between segments
        return
    assert_kept(bytes(data), result, [box])


def full_table() -> huffman.Table:
    """Codes of 1 to 16 bits with no room left but the code of ones."""
    return huffman.table_of(bytes([1] * 15 + [1]) + bytes(range(16)))


def test_a_huffman_table_gets_more_symbols_at_the_cost_of_its_rarest() -> None:
    wider = huffman.with_symbols(full_table(), [0x51, 0x52, 0x53])
    assert all(wider.sizes[symbol] for symbol in [*range(16), 0x51, 0x52, 0x53])
    stays = wider.keeps_codes_up_to(full_table())
    assert 8 < stays < 16
    codes = {(int(size), int(code)) for size, code in zip(wider.sizes, wider.codes, strict=True) if size}
    assert (16, 0xFFFF) not in codes
    roomy = huffman.table_of(bytes([0, 2, 1] + [0] * 13) + bytes(range(3)))
    assert huffman.with_symbols(roomy, [0x51]).keeps_codes_up_to(roomy) == 16


def test_a_huffman_table_without_any_room_is_refused() -> None:
    with pytest.raises(NotPatchable):
        huffman.with_symbols(huffman.table_of(bytes([2] + [0] * 15) + b"\0\1"), [5])
    with pytest.raises(NotPatchable):
        huffman.table_of(bytes([3] + [0] * 15) + b"\0\1\2")
