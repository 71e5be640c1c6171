"""TIFF of whole numbers: check samples and strips, and read 16 bit colour, which Pillow would cut to 8 bits."""

from __future__ import annotations

import zlib
from typing import Any, cast

import numpy as np
from PIL import Image, TiffImagePlugin

from ...errors import ImageAnimated, ImageCorrupt, ImageTruncated, UnsupportedFormat
from ..info import Header, ImageLimits, Pixels
from ..source import Bytes, as_file
from . import planes
from . import tags as t

FLOAT = "float"
"""What `ImageInfo.converted_from` says of floating point."""


def is_beyond_pillow(tags: Any) -> bool:
    """Whether Pillow cannot open a file that is read: floating point, or 16 bit grey with alpha."""
    return is_float(tags) or (tags.get(t.SAMPLES) == 2 and max(t.bits_of(tags)) == 16)


def is_float(tags: Any) -> bool:
    """Whether the samples are floating point, of a kind that is read: 32 bit grey, RGB or RGBA, interleaved."""
    bits, samples, photometric = t.bits_of(tags), tags.get(t.SAMPLES, 1), tags.get(t.PHOTOMETRIC)
    plain = photometric == t.MIN_IS_BLACK and samples == 1
    colour = photometric == t.RGB and samples in (3, 4) and tags.get(t.PLANAR, 1) == t.INTERLEAVED
    return set(bits) == {32} and set(t.every(tags.get(t.SAMPLE_FORMAT))) == {t.FLOATING} and (plain or colour)


def check_samples(tags: Any, data: Bytes) -> None:
    """Refuses what neither Pillow nor `read_float` reads as it is, by the first directory.

    Pillow itself does not tell a kind of sample that it does not know from damage. Raises `UnsupportedFormat`,
    `ImageTruncated`.
    """
    bits, kinds = max(t.bits_of(tags)), set(t.every(tags.get(t.SAMPLE_FORMAT)))
    whole = not kinds - {t.UNSIGNED} and (bits <= 8 or bits == 16)
    if not whole and not is_float(tags):
        if t.is_cut(data):
            raise ImageTruncated("The TIFF ends too early. Copy or download the file again.")
        names = {t.UNSIGNED: "unsigned", 2: "signed", t.FLOATING: "floating point"}
        kind = names.get(max(kinds, default=t.UNSIGNED), "undefined")
        raise UnsupportedFormat(
            f"The TIFF stores {kind} samples of {bits} bits, {tags.get(t.SAMPLES, 1)} for each pixel. What is read: "
            "unsigned ones of 1 to 8 or 16 bits, and floating point ones of 32 bits in grey, RGB and RGBA with "
            "interleaved channels. Save it like that."
        )


def parse_tags(data: Bytes, tags: Any, limits: ImageLimits) -> Header:
    """As `parse`, for files that are beyond Pillow."""
    if tags.next:
        raise ImageAnimated("The TIFF holds several pages. Save the wanted page as a file of its own.")
    if not is_float(tags):
        _check_deep(tags, tags[t.SAMPLES])
    exif = Image.Exif()
    exif.load_from_fp(as_file(data))
    grey, alpha = tags[t.PHOTOMETRIC] != t.RGB, tags[t.SAMPLES] in (2, 4)
    metadata = t.metadata_of(exif, tags, limits, is_grey=grey)
    converted = FLOAT if is_float(tags) else None
    return Header("tiff", tags[t.WIDTH], tags[t.HEIGHT], 16, alpha, grey, metadata, converted)


def parse(image: Image.Image, limits: ImageLimits) -> Header:
    """Header and metadata from a TIFF that Pillow has opened but not decoded."""
    tags = _tags(image)
    if getattr(image, "n_frames", 1) > 1:
        raise ImageAnimated("The TIFF holds several pages. Save the wanted page as a file of its own.")
    samples = int(tags.get(t.SAMPLES, 1))
    deep = max(t.bits_of(tags)) == 16
    if deep:
        _check_deep(tags, samples)
    photometric = int(tags.get(t.PHOTOMETRIC, 1))
    grey = photometric in (t.MIN_IS_WHITE, t.MIN_IS_BLACK) and samples <= 2
    alpha = bool(t.extra_of(tags)) if deep else image.mode in ("RGBA", "LA", "PA", "RGBa", "La")
    converted = {3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab"}.get(photometric)
    metadata = t.metadata_of(image.getexif(), tags, limits, is_grey=grey)
    return Header("tiff", tags[t.WIDTH], tags[t.HEIGHT], 16 if deep else 8, alpha, grey, metadata, converted)


def verify(data: Bytes) -> None:
    """Checks that every strip or tile lies in the file, and the checksums of deflated ones.

    LibTIFF stops unpacking when a strip is full and so never compares its checksum.
    """
    tags = t.first_directory(as_file(data))
    offsets = t.every(tags.get(t.STRIP_OFFSETS) or tags.get(t.TILE_OFFSETS))
    sizes = t.every(tags.get(t.STRIP_BYTES) or tags.get(t.TILE_BYTES))
    if not offsets or len(offsets) != len(sizes):
        raise ImageCorrupt("The TIFF does not say where its pixels are. The file is damaged; export it again.")
    if any(offset + size > len(data) for offset, size in zip(offsets, sizes, strict=True)):
        raise ImageTruncated("The TIFF ends too early. Copy or download the file again.")
    if tags.get(t.COMPRESSION) in t.DEFLATES:
        for offset, size in zip(offsets, sizes, strict=True):
            _verify_deflated(bytes(data[offset : offset + size]))


def read_deep(data: Bytes) -> Pixels:
    """(H, W, C) uint16, as shown, of a TIFF that Pillow would cut to 8 bits. Raises `ImageCorrupt`."""
    tags = t.first_directory(as_file(data))
    stored: Any = planes.read_planes(data, tags) if planes.is_misread(tags) else _read_by_opencv(data)
    if stored.shape[2] <= 2:
        grey = np.invert(stored[..., :1]) if tags.get(t.PHOTOMETRIC) == t.MIN_IS_WHITE else stored[..., :1]
        stored = np.concatenate([grey, grey, grey, stored[..., 1:]], axis=2)
    pixels: Pixels = np.ascontiguousarray(stored)
    return unmultiplied(pixels) if t.extra_of(tags) == (t.ASSOCIATED,) else pixels


def _read_by_opencv(data: Bytes) -> Pixels:
    """(H, W, 1 | 3 | 4) uint16, red first."""
    import cv2

    decoded: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ImageCorrupt("The TIFF's pixels cannot be decoded. The file is damaged; export it again.")
    return cast(Pixels, decoded[..., None] if decoded.ndim == 2 else decoded[..., (2, 1, 0, 3)[: decoded.shape[2]]])


def unmultiplied(rgba: Pixels) -> Pixels:
    """Colours freed of the alpha they were multiplied with; fully transparent ones become black."""
    alpha = rgba[..., 3:].astype(np.uint64)
    top = np.iinfo(rgba.dtype).max
    colours = (rgba[..., :3].astype(np.uint64) * top + alpha // 2) // np.maximum(alpha, 1)
    out = rgba.copy()
    out[..., :3] = np.minimum(colours, top)
    return out


def _check_deep(tags: Any, samples: int) -> None:
    photometric = int(tags.get(t.PHOTOMETRIC, 1))
    plain = photometric in (t.MIN_IS_WHITE, t.MIN_IS_BLACK) and samples in (1, 2)
    colour = photometric == t.RGB and samples in (3, 4)
    if not (plain or colour) or (planes.is_misread(tags) and t.STRIP_OFFSETS not in tags):
        raise UnsupportedFormat(
            f"The 16 bit TIFF has {samples} channels in colour model {photometric}. Only grey and RGB, each with or "
            "without alpha, are read without loss; in tiles only with interleaved colours. Save it like that, or as a "
            "PNG of 16 bits."
        )


def _verify_deflated(strip: bytes) -> None:
    inflate, pending = zlib.decompressobj(), strip
    try:
        while pending and not inflate.eof:
            inflate.decompress(pending, t.STRIP_TARGET)
            pending = inflate.unconsumed_tail
    except zlib.error as error:
        raise ImageCorrupt(
            "The TIFF's pixels do not match their checksum. The file is damaged; export it again."
        ) from error


def _tags(image: Image.Image) -> Any:
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        raise ImageCorrupt("The file starts like a TIFF but is none. Export it again.")
    return image.tag_v2
