"""HEIC, which libheif reads where pillow-heif is installed, and AVIF of more than 8 bits, of which Pillow keeps 8.

Both are ISO base media files. (ISO/IEC 14496-12; 23008-12; AV1 Codec ISO Media File Format Binding, 2.3.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, cast

import numpy as np

from ..errors import ImageAnimated, ImageCorrupt, UnsupportedFormat
from . import exif
from .info import Header, ImageLimits, Metadata, Pixels, usable_icc
from .png import check_metadata_size
from .source import Bytes
from .tiff import unmultiplied

_MOST_BYTES_OF_BRANDS = 256
_MOST_BOXES = 1000
_BAND_PX = 1 << 18
_AVIF = {b"avif", b"avis"}
_HEIC, _HEIC_SEQUENCES = {b"heic", b"heix", b"heim", b"heis"}, {b"hevc", b"hevx", b"hevm", b"hevs"}
_PLAIN_PRIMARIES, _PLAIN_TRANSFERS = (1, 2), (1, 2, 6, 13)
"""Code points that viewers show as sRGB, or that leave it open (ITU-T H.273)."""


def kind_of(data: Bytes) -> Literal["heic", "avif"] | None:
    """Which of both a file is, by its brands."""
    head = bytes(data[:_MOST_BYTES_OF_BRANDS])
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4]), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if brands & _AVIF:
        return "avif"
    return "heic" if brands & (_HEIC | _HEIC_SEQUENCES) else None


def parse(data: Bytes, limits: ImageLimits) -> Header:
    """Header and metadata of a HEIC; no pixel is decoded. The orientation in its EXIF is none that counts."""
    image = _opened(data)
    width, height = image.size
    block, xmp, icc = (image.info.get(name) or None for name in ("exif", "xmp", "icc_profile"))
    check_metadata_size(sum(len(part) for part in (block, xmp, icc) if part), limits.max_metadata_bytes)
    grey = _colours(image) == "L"
    metadata = Metadata(
        icc=usable_icc(icc, is_grey=grey),
        exif=exif.for_result(block.removeprefix(b"Exif\0\0") if block else None, width, height),
        xmp=xmp,
        colour_chunks=_coding_points(image.info.get("nclx_profile")) if icc is None else (),
    )
    depth = _depth(image)
    return Header("heic", width, height, 8 if depth == 8 else 16, image.has_alpha, grey, metadata, lossless=False)


def read(data: Bytes) -> Pixels:
    """(H, W, 3 | 4) of a HEIC, as shown; 10 and 12 bits are spread over 16. Raises what libheif does."""
    image = _opened(data)
    stored = np.asarray(image)
    if stored.ndim == 2:
        stored = stored[..., None]
    if _colours(image) == "L":
        stored = stored[..., (0, 0, 0, 1)[: 2 + stored.shape[2]]]
    pixels = _spread(stored, _depth(image))
    return unmultiplied(pixels) if image.premultiplied_alpha else pixels


def avif_depth(data: Bytes) -> int:
    """Bits of a sample: 8, 10 or 12; 8 where the file does not say."""
    return max((8, *(_av1_depth(data[start + 2]) for start in _av1_configurations(data))))


def read_deep_avif(data: Bytes) -> Pixels:
    """(H, W, 3 | 4) uint16 as stored. Raises `ImageCorrupt`, `UnsupportedFormat`."""
    import cv2

    if not re.search(r"AVIF:\s+(?!NO)\w", cv2.getBuildInformation()):
        raise UnsupportedFormat("AVIF of more than 8 bits needs a newer OpenCV. Export the picture as 16 bit PNG.")
    decoded: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ImageCorrupt("The AVIF's pixels cannot be decoded. The file is damaged; export it again.")
    if decoded.ndim == 2:
        decoded = np.repeat(decoded[..., None], 3, axis=2)
    return _spread(decoded[..., (2, 1, 0, 3)[: decoded.shape[2]]], avif_depth(data))


def _opened(data: Bytes) -> Any:
    """The file's first picture. Raises `UnsupportedFormat`, `ImageAnimated`, what libheif does."""
    try:
        import pillow_heif
    except ImportError:
        raise UnsupportedFormat(
            "HEIC is read with the extra heif, which is not installed: pip install 'lama-server[heif]'. Or export the "
            "picture as JPEG or PNG."
        ) from None
    if bytes(data[8:12]) in _HEIC_SEQUENCES:
        raise ImageAnimated("The HEIC is a sequence of pictures. Send a still one.")
    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
    file = pillow_heif.open_heif(bytes(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    return file[file.primary_index]


def _colours(image: Any) -> Literal["L", "RGB"]:
    return "L" if image.mode[0] in "LI" else "RGB"


def _depth(image: Any) -> int:
    return int(image.mode.partition(";")[2].rstrip("L") or 8)


def _spread(stored: Any, depth: int) -> Pixels:
    """Samples of 8 bits as they are; of 10 and 12 as 16, black and white at the ends: the upper bits again below."""
    if depth == 8:
        return cast(Pixels, np.ascontiguousarray(stored, np.uint8))
    out = np.empty(stored.shape, np.uint16)
    rows = max(1, _BAND_PX // stored.shape[1])
    for y0 in range(0, len(stored), rows):
        band = stored[y0 : y0 + rows]
        out[y0 : y0 + rows] = band << (16 - depth) | band >> (2 * depth - 16)
    return out


def _coding_points(profile: dict[str, Any] | None) -> tuple[tuple[bytes, bytes], ...]:
    """A PNG's cICP chunk for colours that sRGB does not describe: wide gamut, or HDR (PNG third edition, 11.3.2.6)."""
    if profile is None:
        return ()
    primaries, transfer = int(profile["color_primaries"]), int(profile["transfer_characteristics"])
    plain = primaries in _PLAIN_PRIMARIES and transfer in _PLAIN_TRANSFERS
    return () if plain else ((b"cICP", bytes((primaries, transfer, 0, 1))),)


def _av1_configurations(data: Bytes) -> Iterator[int]:
    """Where the content of each av1C box starts: meta, iprp, ipco hold them."""
    start, end = 0, len(data)
    for kind, skipped in ((b"meta", 4), (b"iprp", 0), (b"ipco", 0)):
        start, end = next((box[1:] for box in _boxes(data, start, end) if box[0] == kind), (0, 0))
        start += skipped
    yield from (content for kind, content, after in _boxes(data, start, end) if kind == b"av1C" and after > content + 2)


def _boxes(data: Bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of the content of the boxes side by side in a place; stops where one does not fit."""
    for _ in range(_MOST_BOXES):
        size, head = int.from_bytes(data[start : start + 4]), 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16]), 16
        if size == 0:
            size = end - start
        if size < head or start + size > end:
            return
        yield bytes(data[start + 4 : start + 8]), start + head, start + size
        start += size


def _av1_depth(flags: int) -> int:
    """Of the third byte: high_bitdepth, twelve_bit."""
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
