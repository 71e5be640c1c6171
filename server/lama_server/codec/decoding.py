"""Image files to arrays. A damaged file is refused: a half-read picture would be saved as if it were the whole."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile

from inpaint_models.types import HOLE_THRESHOLD

from ..errors import ImageCorrupt, MaskSizeWrong, UnsupportedFormat
from . import exif, heif, jpeg, png, tiff, webp
from .info import Decoded, Header, ImageLimits, Pixels, icc_colour_space
from .jpeg.pixels import load as load_jpeg
from .probing import decoding, info_of, open_with_pillow, read_header
from .source import Bytes, opened

_PAINTED = [0] * HOLE_THRESHOLD + [255] * (256 - HOLE_THRESHOLD)
"""Luminance -> mask."""

_BAND_PX = 1 << 18
"""Pixels of a mask whose luminance is computed at a time."""


def decode(source: Bytes | Path, limits: ImageLimits | None = None) -> Decoded:
    """The whole picture as a viewer shows it, checked byte by byte where the format allows it.

    Grey, palette and 1 bit pictures become RGB without a change of value; CMYK and Lab become sRGB, through their
    ICC profile when they carry one. 16 bit PNG and TIFF stay 16 bit. Raises `ImageError` subclasses.
    """
    limits = limits or ImageLimits()
    with opened(source) as data:
        header = read_header(data, limits)
        pixels, info = _shown_pixels(data, header, limits), info_of(header)
    if pixels.shape != (info.height, info.width, info.channels):
        raise ImageCorrupt(f"The {header.format.upper()}'s pixels do not fit its header. Export it again.")
    return Decoded(cast(Pixels, np.ascontiguousarray(pixels)), info)


def decode_mask(data: Bytes, width: int, height: int, limits: ImageLimits | None = None) -> NDArray[np.uint8]:
    """(height, width) of 0 and 255. A luminance of 128 and more counts as painted; alpha is ignored.

    Any accepted image file will do: 1, 8 or 16 bit, grey, colour, palette, even JPEG with its noise. Its size is
    checked on the header. Raises `MaskSizeWrong` and the `ImageError` subclasses.
    """
    limits = limits or ImageLimits(min_side=1)
    header = read_header(data, limits)
    info = info_of(header)
    if (info.width, info.height) != (width, height):
        raise MaskSizeWrong(
            f"The mask is {info.width}x{info.height} but the image is {width}x{height} (width x height). "
            "Send a mask of the image's size."
        )
    if header.format == "png" and header.bit_depth == 8:
        return _painted_png(data, header, limits)
    return _painted(decode(data, limits).pixels)


def _painted_png(data: Bytes, header: Header, limits: ImageLimits) -> NDArray[np.uint8]:
    """As `_painted`, in half its time: most masks are PNG files, and Pillow weighs colours as `png.to_grey` does."""
    png.verify(data)
    with open_with_pillow(data, "png") as image, decoding("png"):
        _load(data, header, image, limits)
        mask = _copied(image, lambda band: band.convert("L").point(_PAINTED))[..., None]
    return np.ascontiguousarray(exif.oriented(mask, exif.orientation(header.metadata.exif))[..., 0])


def _painted(pixels: Pixels) -> NDArray[np.uint8]:
    """(H, W) of 0 and 255, of what is decoded to RGB anyway."""
    threshold = HOLE_THRESHOLD * 257 if pixels.dtype == np.uint16 else HOLE_THRESHOLD
    height, width = pixels.shape[:2]
    mask = np.empty((height, width), np.uint8)
    rows = max(1, _BAND_PX // width)
    for y0 in range(0, height, rows):
        grey = png.to_grey(pixels[y0 : y0 + rows, :, :3])[..., 0]
        np.multiply(grey >= threshold, np.uint8(255), out=mask[y0 : y0 + rows])
    return mask


def decode_patch(data: bytes, *, has_alpha: bool) -> Pixels:
    """A patch as `encode_patch` wrote it, with the channels that its image has."""
    with opened(data) as opened_data:
        header = read_header(opened_data, ImageLimits(min_side=1))
        pixels = _shown_pixels(opened_data, header, ImageLimits())
    if not has_alpha or pixels.shape[2] == 4:
        return pixels
    opaque = np.full((*pixels.shape[:2], 1), np.iinfo(pixels.dtype).max, pixels.dtype)
    return cast(Pixels, np.concatenate([pixels, opaque], axis=2))


def _shown_pixels(data: Bytes, header: Header, limits: ImageLimits) -> Pixels:
    """(H, W, C) after the EXIF rotation, not always contiguous."""
    orientation = exif.orientation(header.metadata.exif)
    if header.format == "png":
        png.verify(data)
    elif header.format == "webp":
        webp.verify(data)
    elif header.format == "tiff":
        with decoding("tiff"):
            tiff.verify(data)
    if header.bit_depth == 16 or header.format == "heic":
        with decoding(header.format):
            pixels = _read_otherwise(data, header)
    else:
        with open_with_pillow(data, header.format) as image, decoding(header.format):
            _load(data, header, image, limits)
            pixels = _to_rgb(image, header, _source_icc(image, header, data))
    # both libraries turn TIFFs themselves, libheif HEICs
    return pixels if header.format in ("tiff", "heic") else exif.oriented(pixels, orientation)


def _read_otherwise(data: Bytes, header: Header) -> Pixels:
    """(H, W, C) of a file whose samples Pillow would cut to 8 bits, or whose format it cannot read at all."""
    if header.format == "png":
        return _deep_png(data, header)
    if header.format == "heic":
        return heif.read(data)
    if header.format == "avif":
        return heif.read_deep_avif(data)
    return tiff.read_float(data) if header.converted_from == tiff.FLOAT else tiff.read_deep(data)


def _load(data: Bytes, header: Header, image: ImageFile.ImageFile, limits: ImageLimits) -> None:
    """Decodes the opened file. Refuses PNG and JPEG files that lack pixels, which Pillow alone would accept."""
    if header.format == "jpeg":
        load_jpeg(data, image, jpeg.scans(data, limits))
    elif header.format == "png":
        png.load(data, image)
    else:
        image.load()


def _deep_png(data: Bytes, header: Header) -> Pixels:
    """16 bit PNG, which Pillow would cut to 8 bits."""
    import cv2

    png.verify_pixel_bytes(data)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ImageCorrupt("The PNG's pixels cannot be decoded. The file is damaged; export it again.")
    if decoded.ndim == 2:
        rgb = np.repeat(decoded[..., None], 3, axis=2)
    else:
        rgb = decoded[..., (2, 1, 0, 3)[: decoded.shape[2]]]
    if header.has_alpha and rgb.shape[2] == 3:
        raise ImageCorrupt("The PNG's transparency cannot be decoded. Export it again with an alpha channel.")
    return cast(Pixels, np.ascontiguousarray(rgb))


def _to_rgb(image: Image.Image, header: Header, icc: bytes | None) -> Pixels:
    """(H, W, 3 | 4) uint8 of a loaded Pillow image of any 8 bit mode."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        raise UnsupportedFormat(
            f"The {header.format.upper()} stores samples of a kind that cannot be read without loss ({image.mode}). "
            "Save it with 8 or 16 bits for each channel."
        )
    if image.mode in ("CMYK", "LAB"):
        return np.asarray(_to_srgb(image, icc))
    if header.has_alpha:
        return _copied(image, lambda band: band if band.mode == "RGBA" else band.convert("RGBA"))
    if image.mode in ("1", "L"):
        return np.repeat(np.asarray(image.convert("L"))[..., None], 3, axis=2)
    return _copied(image, lambda band: band if band.mode == "RGB" else band.convert("RGB"))


def _copied(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> NDArray[np.uint8]:
    """The converted pixels, copied in bands of rows: at once, Pillow would hold them three times."""
    rows = max(1, _BAND_PX // image.width)
    bands = (
        convert(image.crop((0, y, image.width, min(y + rows, image.height)))) for y in range(0, image.height, rows)
    )
    first = np.asarray(next(bands))
    pixels = np.empty((image.height, *first.shape[1:]), np.uint8)
    pixels[:rows] = first
    for index, band in enumerate(bands, 1):
        pixels[index * rows : (index + 1) * rows] = band
    return pixels


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """CMYK and Lab in sRGB; CMYK without a profile by Pillow's plain formula."""
    converted = None
    if image.mode == "LAB" or (icc is not None and icc_colour_space(icc) == "CMYK"):
        with contextlib.suppress(OSError, ImageCms.PyCMSError):
            source = ImageCms.createProfile("LAB") if image.mode == "LAB" else io.BytesIO(icc or b"")
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(source),
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
    return converted or image.convert("RGB")


def _source_icc(image: Image.Image, header: Header, data: Bytes) -> bytes | None:
    """The profile of the file's own colour model, which for CMYK is none that a result may carry."""
    if header.converted_from != "CMYK":
        return header.metadata.icc
    return jpeg.icc_of(data) if header.format == "jpeg" else image.info.get("icc_profile")
