"""Arrays to image files: results in the source's own format and depth, patches, previews."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin

from inpaint_models.types import HOLE_THRESHOLD, PixelSource

from ..errors import FormatCannotHold
from . import exif, png, tiff
from .decoding import decode
from .info import OUTPUTS, Edited, Encoded, ImageInfo, ImageLimits, Metadata, OutputFormat, Pixels, WantedFormat
from .jpeg.refusal import NotPatchable
from .probing import DECODER_ERRORS, damaged, info_of, open_with_pillow, read_header, read_metadata
from .source import opened

DEFAULT_QUALITY = {"jpeg": 95, "webp": 90}

_WEBP_MAX_SIDE = 16_383
_JPEG_MAX_BLOCK = 65_533
_XMP_PREFIX_BYTES = 29


@dataclass(frozen=True, slots=True)
class EncodedPreview:
    """A picture that every browser shows."""

    data: bytes
    media_type: str


def output_format(info: ImageInfo, wanted: WantedFormat = "keep") -> OutputFormat:
    """The format that `render` writes. "keep" is PNG for GIF, AVIF, HEIC, and for JPEG and BMP with transparency."""
    if wanted != "keep":
        return OUTPUTS[wanted]
    if info.format in ("gif", "avif", "heic") or (info.format in ("bmp", "jpeg") and info.has_alpha):
        return OUTPUTS["png"]
    return replace(OUTPUTS[info.format], lossless=info.format != "jpeg" and info.lossless)


def render(
    source: bytes | Path,
    pixels: PixelSource,
    info: ImageInfo,
    *,
    format: WantedFormat = "keep",
    quality: int | None = None,
    strip_metadata: bool = False,
) -> bytes:
    """An image file of `pixels` with the source's metadata.

    source          the original file, for its metadata and a JPEG's quantisation tables
    info            of `pixels`; its orientation says how the stored picture was turned to become them
    pixels          (H, W, info.channels), as shown; sliced, not copied, where the format allows it
    quality         1 to 100 for JPEG and WebP; None = the source's own tables for a JPEG, else 95 and 90
    strip_metadata  leaves out EXIF, XMP, comments and resolution; the colour profile stays, as colours would change

    PNG, TIFF and BMP hold exactly the given values, WebP does when the source was lossless; 8 bit formats round
    16 bit values; JPEG shows transparent pixels on white. Raises `FormatCannotHold`.
    """
    target = output_format(info, format)
    metadata = _for_result(read_metadata(source, ImageLimits(min_side=1)), info, strip=strip_metadata)
    if target.name == "png":
        return png.write(pixels, grey=info.is_grey, chunks=png.metadata_chunks(metadata))
    if target.name == "tiff":
        if info.converted_from == tiff.FLOAT:
            pixels = tiff.original_samples(source, pixels, grey=info.is_grey)
        return tiff.write(pixels, grey=info.is_grey, metadata=metadata)
    whole = to_8_bit(np.asarray(pixels[0 : info.height, 0 : info.width]))
    if target.name == "jpeg":
        return _write_jpeg(whole, info, metadata, quality, source)
    if target.name == "webp":
        return _write_webp(whole, info, metadata, quality, lossless=info.format == "webp" and info.lossless)
    return _save(_as_pillow(whole, grey=info.is_grey), "BMP", **_dpi(metadata))


def encode(
    source: bytes | Path,
    pixels: PixelSource,
    info: ImageInfo,
    edited: Edited | None,
    *,
    format: WantedFormat = "keep",
    quality: int | None = None,
    strip_metadata: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Encoded:
    """As `render`, but a JPEG that stays one is patched where it can be: what was not edited keeps its very blocks.

    edited  what was done to the source; None = its canvas was changed
    check   raises `Cancelled` when the result is no longer wanted
    """
    reencoded = ""
    if info.format == "jpeg" and output_format(info, format).name == "jpeg":
        try:
            return Encoded(_patched(source, info, edited, quality, check, strip=strip_metadata), patched=True)
        except NotPatchable as reason:
            reencoded = str(reason)
    data = render(source, pixels, info, format=format, quality=quality, strip_metadata=strip_metadata)
    return Encoded(data, reencoded=reencoded)


def encode_patch(pixels: Pixels, metadata: Metadata | None = None, *, grey: bool = False) -> bytes:
    """A lossless PNG with the source's colour description, so that a browser shows both alike.

    Written for speed. A source with a grey profile makes a grey patch, even where `grey` does not ask for one.
    """
    metadata = metadata or Metadata()
    return png.write(pixels, grey=grey or metadata.icc_is_grey, chunks=png.colour_chunks(metadata))


def encode_mask(coverage: NDArray[np.uint8]) -> bytes:
    """A black and white PNG of an (H, W) mask."""
    return png.write_flags(coverage, HOLE_THRESHOLD)


def preview(pixels: PixelSource, max_side: int, metadata: Metadata | None = None) -> EncodedPreview:
    """The picture with its longer side at most `max_side`: JPEG, or PNG when it has transparency."""
    height, width, channels = pixels.shape
    image = Image.fromarray(to_8_bit(np.asarray(pixels[0:height, 0:width])))
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    small, metadata = np.asarray(image), metadata or Metadata()
    if channels == 4:
        return EncodedPreview(encode_patch(small, metadata), "image/png")
    grey = metadata.icc_is_grey
    data = _save(_as_pillow(small, grey=grey), "JPEG", quality=90, icc_profile=metadata.icc)
    return EncodedPreview(data, "image/jpeg")


def thumbnail(source: Path, width: int, height: int, limits: ImageLimits) -> EncodedPreview:
    """A file's picture as wide or, where that is 0, as high as asked, never enlarged.

    A JPEG is decoded at a part of its size, and not checked for gaps. Raises `ImageError` subclasses.
    """
    with opened(source) as data:
        header = read_header(data, limits)
        info = info_of(header)
        wanted = width / info.width if width else height / info.height
        max_side = max(1, round(wanted * max(info.width, info.height)))
        if header.format != "jpeg" or header.converted_from is not None:
            return preview(decode(data, limits).pixels, max_side, header.metadata)
        with open_with_pillow(data, "jpeg") as image:
            try:
                image.draft("RGB", (max_side, max_side))
                pixels = np.asarray(image.convert("RGB"))
            except DECODER_ERRORS as error:
                raise damaged("jpeg", error) from error
    return preview(exif.oriented(pixels, info.orientation), max_side, header.metadata)


def to_8_bit(pixels: Pixels) -> Pixels:
    """16 bit values divided by 257 and rounded; 8 bit ones unchanged."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)


def _patched(
    source: bytes | Path,
    info: ImageInfo,
    edited: Edited | None,
    quality: int | None,
    check: Callable[[], None],
    *,
    strip: bool,
) -> bytes:
    """Raises `NotPatchable`."""
    if quality is not None:
        raise NotPatchable("a quality was chosen")
    if edited is None:
        raise NotPatchable("its canvas was changed")
    from .jpeg.patching import patch  # with numba, which is not needed before

    with opened(source) as data:
        return patch(data, edited, info.orientation, check, strip=strip)


def _for_result(metadata: Metadata, info: ImageInfo, *, strip: bool) -> Metadata:
    """Metadata fit for pixels that are stored as shown and have been edited."""
    if strip:
        return Metadata(icc=metadata.icc, colour_chunks=metadata.colour_chunks)
    dpi = metadata.dpi
    if dpi is not None and info.orientation >= 5:
        dpi = (dpi[1], dpi[0])
    return replace(
        metadata,
        exif=exif.for_result(metadata.exif, info.width, info.height),
        xmp=exif.xmp_for_result(metadata.xmp, info.width, info.height),
        dpi=dpi,
    )


def _write_jpeg(
    pixels: Pixels, info: ImageInfo, metadata: Metadata, quality: int | None, source: bytes | Path
) -> bytes:
    options: dict[str, Any] = {"quality": quality or DEFAULT_QUALITY["jpeg"], "subsampling": 0}
    if quality is None and info.format == "jpeg" and info.converted_from is None:
        options = _jpeg_tables(source) or options
    if metadata.exif is not None and len(metadata.exif) <= _JPEG_MAX_BLOCK - 6:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.xmp is not None and len(metadata.xmp) <= _JPEG_MAX_BLOCK - _XMP_PREFIX_BYTES:
        options["xmp"] = metadata.xmp
    if metadata.comment is not None:
        options["comment"] = metadata.comment
    image = _as_pillow(_on_white(pixels), grey=info.is_grey)
    return _save(image, "JPEG", icc_profile=metadata.icc, **options, **_dpi(metadata))


def _jpeg_tables(source: bytes | Path) -> dict[str, Any] | None:
    """How the source was quantised, for a result that loses no more than it did. None when it cannot be repeated."""
    with opened(source) as data:
        try:
            with open_with_pillow(data, "jpeg") as image:
                if not isinstance(image, JpegImagePlugin.JpegImageFile):
                    return None
                sampling = JpegImagePlugin.get_sampling(image) if len(image.layer) == 3 else 0
                return {
                    "qtables": {index: list(table) for index, table in image.quantization.items()},
                    "subsampling": max(0, sampling),
                    "progressive": bool(image.info.get("progressive")),
                    "keep_rgb": image.info.get("adobe_transform") == 0,
                }
        except DECODER_ERRORS:
            return None


def _write_webp(pixels: Pixels, info: ImageInfo, metadata: Metadata, quality: int | None, *, lossless: bool) -> bytes:
    if max(info.width, info.height) > _WEBP_MAX_SIDE:
        raise FormatCannotHold(
            f"The picture is {info.width}x{info.height} and WebP holds at most {_WEBP_MAX_SIDE} pixels a side. "
            "Choose PNG, TIFF or JPEG."
        )
    options: dict[str, Any] = {"quality": quality or DEFAULT_QUALITY["webp"]}
    if lossless and quality is None:
        options = {"lossless": True, "exact": True, "quality": 50, "method": 2}
    if metadata.exif is not None:
        options["exif"] = metadata.exif
    if metadata.xmp is not None:
        options["xmp"] = metadata.xmp
    image, icc = _as_pillow(pixels, grey=False), metadata.icc
    if metadata.icc_is_grey:
        image, icc = _grey_to_srgb(pixels, metadata), None
    return _save(image, "WEBP", icc_profile=icc, **options)


def _grey_to_srgb(pixels: Pixels, metadata: Metadata) -> Image.Image:
    """For a format without grey: the profile cannot go along, so its tone curve is applied."""
    image = _as_pillow(pixels[..., :3], grey=True)
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(metadata.icc or b""))
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (OSError, ImageCms.PyCMSError):
        converted = None
    rgb = converted or image.convert("RGB")
    if pixels.shape[2] == 4:
        rgb.putalpha(Image.fromarray(np.ascontiguousarray(pixels[..., 3])))
    return rgb


def _as_pillow(pixels: Pixels, *, grey: bool) -> Image.Image:
    """Mode L, LA, RGB or RGBA."""
    if not grey:
        return Image.fromarray(np.ascontiguousarray(pixels))
    luma = Image.fromarray(png.to_grey(pixels[..., :3])[..., 0])
    if pixels.shape[2] == 4:
        luma.putalpha(Image.fromarray(np.ascontiguousarray(pixels[..., 3])))
    return luma


def _on_white(pixels: Pixels) -> Pixels:
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.uint32)
    blended = (pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return blended.astype(np.uint8)


def _dpi(metadata: Metadata) -> dict[str, tuple[float, float]]:
    return {} if metadata.dpi is None else {"dpi": metadata.dpi}


def _save(image: Image.Image, name: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()
