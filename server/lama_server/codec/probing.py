"""What is this file? Read from headers alone: no pixel is decoded and no picture-sized memory is taken."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile, features

from .. import errors
from . import exif, heif, jpeg, png, tiff, webp
from .info import Header, ImageInfo, ImageLimits, Metadata, SourceFormat, usable_icc
from .source import Bytes, as_file, opened

Image.MAX_IMAGE_PIXELS = None
"""Pillow's own limit is lower than ours and only warns; sizes are checked here, before it decodes."""

DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    AttributeError,
    struct.error,
    zlib.error,
)
"""What decoders raise on damaged files."""


def probe(source: Bytes | Path, limits: ImageLimits | None = None) -> ImageInfo:
    """Format, size and kind of an image file. Cheap and safe on hostile files; raises `ImageError` subclasses."""
    with opened(source) as data:
        return info_of(read_header(data, limits or ImageLimits()))


def read_metadata(source: bytes | Path, limits: ImageLimits | None = None) -> Metadata:
    """What travels into results. Raises as `probe`."""
    with opened(source) as data:
        return read_header(data, limits or ImageLimits()).metadata


def read_header(data: Bytes, limits: ImageLimits) -> Header:
    """The parsed header, with its size within the limits."""
    kind = sniff(data)
    if kind is None or kind not in limits.formats:
        accepted = ", ".join(sorted(limits.formats)).upper()
        found = "is none of these" if kind is None else f"is {kind.upper()}"
        raise errors.UnsupportedFormat(f"The file {found}. Accepted are {accepted}. Export the picture as PNG or JPEG.")
    if kind == "png":
        check_size(*png.read_header(data)[:2], limits)
        header = png.parse(data, limits)
    elif kind == "jpeg":
        header = jpeg.parse(data, limits)
    elif kind == "webp":
        header = webp.parse(data, limits)
    elif kind == "heic":
        with decoding(kind):
            header = heif.parse(data, limits)
    elif kind == "tiff" and (tags := _own_directory(data)):
        with decoding(kind):
            header = tiff.parse_tags(data, tags, limits)
    else:
        with open_with_pillow(data, kind) as image, decoding(kind):
            check_size(*image.size, limits)
            header = _header_of(image, data, kind, limits)
    check_size(header.width, header.height, limits)
    return header


def sniff(data: Bytes) -> SourceFormat | None:
    """The format by its first bytes; names and content types are not asked. Raises `ImageEmpty`."""
    if len(data) == 0:
        raise errors.ImageEmpty("The file is empty (0 bytes). Choose another one.")
    head = bytes(data[:32])
    if head.startswith(png.SIGNATURE):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and len(head) >= 18:
        return "bmp"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "tiff"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    return heif.kind_of(data)


def info_of(header: Header) -> ImageInfo:
    """The header as the page sees it: in the frame after the EXIF rotation."""
    orientation = exif.orientation(header.metadata.exif)
    width, height = (header.height, header.width) if orientation >= 5 else (header.width, header.height)
    return ImageInfo(
        format=header.format,
        width=width,
        height=height,
        orientation=orientation,
        bit_depth=header.bit_depth,
        has_alpha=header.has_alpha,
        is_grey=header.is_grey,
        has_icc=header.metadata.icc is not None,
        converted_from=header.converted_from,
        lossless=header.lossless,
    )


def check_size(width: int, height: int, limits: ImageLimits) -> None:
    """Raises `SideTooLong`, `TooManyPixels`, `ImageTooSmall`."""
    pixels, longer = width * height, max(width, height)
    if pixels > limits.max_pixels:
        raise errors.TooManyPixels(
            f"{width}x{height} is {pixels / 1e6:.1f} megapixels; the limit is {limits.max_pixels / 1e6:g}. "
            "Shrink the picture, or start the server with a higher --max-megapixels.",
            limit=errors.Limit("max_megapixels", limits.max_pixels / 1e6, round(pixels / 1e6, 1), "--max-megapixels"),
        )
    if longer > limits.max_side:
        raise errors.SideTooLong(
            f"The picture is {width}x{height}; no side may exceed {limits.max_side} pixels. Shrink or cut it.",
            limit=errors.Limit("max_side", limits.max_side, longer),
        )
    if min(width, height) < limits.min_side:
        raise errors.ImageTooSmall(
            f"The picture is {width}x{height}; each side must have at least {limits.min_side} pixels.",
            limit=errors.Limit("min_side", limits.min_side, min(width, height)),
        )


def open_with_pillow(data: Bytes, kind: SourceFormat) -> ImageFile.ImageFile:
    """The file opened, not decoded. Raises `ImageCorrupt`, `ImageTruncated`, `UnsupportedFormat`."""
    if kind == "avif" and not features.check("avif"):
        raise errors.UnsupportedFormat("This installation of Pillow reads no AVIF. Export the picture as PNG or JPEG.")
    with decoding(kind):
        return Image.open(as_file(data), formats=[kind.upper()])


@contextmanager
def decoding(kind: SourceFormat) -> Iterator[None]:
    """What a library complains about is damage. Raises `ImageCorrupt`, `ImageTruncated`."""
    try:
        with quiet():
            yield
    except DECODER_ERRORS as error:
        raise damaged(kind, error) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Pillow warns of odd metadata that it then leaves out, which is all that is wanted here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def damaged(kind: str, error: BaseException) -> errors.ImageCorrupt | errors.ImageTruncated:
    """The error to raise for what a decoder complained about."""
    name = kind.upper()
    if any(words in str(error).lower() for words in ("truncated", "end of file")):
        return errors.ImageTruncated(f"The {name} ends too early. Copy or download the file again.")
    return errors.ImageCorrupt(f"The {name} cannot be decoded. The file is damaged; export it again.")


def _own_directory(data: Bytes) -> Any:
    """The tags of a TIFF that Pillow cannot open, None for others. Raises `UnsupportedFormat` where nothing can."""
    with decoding("tiff"):
        tags = tiff.first_directory(as_file(data))
        tiff.check_samples(tags, data)
        return tags if tiff.is_beyond_pillow(tags) else None


def _header_of(image: Image.Image, data: Bytes, kind: SourceFormat, limits: ImageLimits) -> Header:
    """The header of a file that Pillow parses."""
    if kind == "tiff":
        return tiff.parse(image, limits)
    if getattr(image, "is_animated", False):
        raise errors.ImageAnimated(f"The {kind.upper()} is animated. Send a still picture.")
    depth = heif.avif_depth(data) if kind == "avif" else 8
    return replace(_plain_header(image, kind, limits), bit_depth=8 if depth == 8 else 16)


def _plain_header(image: Image.Image, kind: SourceFormat, limits: ImageLimits) -> Header:
    info = image.info
    block = info.get("exif")
    alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in info
    icc, xmp, dpi = info.get("icc_profile"), info.get("xmp"), info.get("dpi")
    png.check_metadata_size(sum(len(part) for part in (icc, xmp, block) if part), limits.max_metadata_bytes)
    grey = image.mode in ("1", "L", "LA")
    metadata = Metadata(
        icc=usable_icc(icc, is_grey=grey),
        exif=block.removeprefix(b"Exif\0\0") if block else None,
        xmp=xmp,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and all(dpi) else None,
    )
    converted = "palette" if image.mode in ("P", "PA") else None
    return Header(kind, *image.size, 8, alpha, grey, metadata, converted, lossless=kind != "avif")
