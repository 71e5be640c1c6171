"""TIFF: check a file's strips, read 16 bit colour, and write 8 and 16 bit. (TIFF 6.0; Supplement 2 for Deflate.)"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.TiffTags import BYTE, LONG, SHORT, UNDEFINED

from inpaint_models.machine import available_processors
from inpaint_models.types import PixelSource

from ..errors import ImageAnimated, ImageCorrupt, ImageTruncated, UnsupportedFormat
from .info import Header, ImageLimits, Metadata, Pixels, usable_icc
from .png import check_metadata_size, to_grey
from .source import Bytes

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 277, 278, 279
_X_DPI, _Y_DPI, _PLANAR, _DPI_UNIT, _PREDICTOR = 282, 283, 284, 296, 317
_TILE_OFFSETS, _TILE_BYTES, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _XMP, _ICC = 324, 325, 338, 339, 700, 34675
_DESCRIPTIVE = (270, 271, 272, 305, 306, 315, 316, 33432, 34665, 34853)
"""Description, make, model, software, date, artist, host, copyright, and the pointers to EXIF and GPS."""

_DEFLATES = (8, 32946)
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2
_ASSOCIATED, _UNASSOCIATED = 1, 2
_UNSIGNED = 1
_STRIP_TARGET = 2**20


def check_samples(file: BinaryIO) -> None:
    """Refuses what Pillow cannot open or would cut to 8 bits, from the first directory. Raises `UnsupportedFormat`.

    Pillow itself does not tell a kind of sample that it does not know from damage.
    """
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    bits, kinds = max(_bits(tags)), set(_all(tags.get(_SAMPLE_FORMAT)))
    if kinds - {_UNSIGNED} or bits > 16 or 8 < bits < 16:
        kind = {_UNSIGNED: "unsigned", 2: "signed", 3: "floating point"}.get(max(kinds, default=_UNSIGNED), "undefined")
        raise UnsupportedFormat(
            f"The TIFF stores {kind} samples of {bits} bits; only unsigned ones of 1 to 8 or 16 bits are read. "
            "Save it with 8 or 16 bits for each channel."
        )


def parse(image: Image.Image, limits: ImageLimits) -> Header:
    """Header and metadata from a TIFF that Pillow has opened but not decoded."""
    tags = _tags(image)
    if getattr(image, "n_frames", 1) > 1:
        raise ImageAnimated("The TIFF holds several pages. Save the wanted page as a file of its own.")
    samples = int(tags.get(_SAMPLES, 1))
    deep = max(_bits(tags)) == 16
    if deep:
        _check_deep(tags, samples)
    photometric = int(tags.get(_PHOTOMETRIC, 1))
    grey = photometric in (_MIN_IS_WHITE, _MIN_IS_BLACK) and samples <= 2
    alpha = bool(_extra(tags)) if deep else image.mode in ("RGBA", "LA", "PA", "RGBa", "La")
    converted = {3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab"}.get(photometric)
    metadata = _metadata(image, tags, limits, is_grey=grey)
    return Header("tiff", tags[_WIDTH], tags[_HEIGHT], 16 if deep else 8, alpha, grey, metadata, converted)


def verify(image: Image.Image, data: Bytes) -> None:
    """Checks that every strip or tile lies in the file, and the checksums of deflated ones.

    LibTIFF stops unpacking when a strip is full and so never compares its checksum.
    """
    tags = _tags(image)
    offsets = _all(tags.get(_STRIP_OFFSETS) or tags.get(_TILE_OFFSETS))
    sizes = _all(tags.get(_STRIP_BYTES) or tags.get(_TILE_BYTES))
    if not offsets or len(offsets) != len(sizes):
        raise ImageCorrupt("The TIFF does not say where its pixels are. The file is damaged; export it again.")
    if any(offset + size > len(data) for offset, size in zip(offsets, sizes, strict=True)):
        raise ImageTruncated("The TIFF ends too early. Copy or download the file again.")
    if tags.get(_COMPRESSION) in _DEFLATES:
        for offset, size in zip(offsets, sizes, strict=True):
            _verify_deflated(bytes(data[offset : offset + size]))


def read_deep(data: Bytes, image: Image.Image) -> Pixels:
    """(H, W, C) uint16, as shown, of a TIFF that Pillow would cut to 8 bits. Raises `ImageCorrupt`."""
    import cv2

    decoded: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ImageCorrupt("The TIFF's pixels cannot be decoded. The file is damaged; export it again.")
    tags = _tags(image)
    if decoded.ndim == 2:
        grey = np.invert(decoded) if tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE else decoded
        return cast(Pixels, np.repeat(grey[..., None], 3, axis=2))
    if decoded.shape[2] == 3:
        return cast(Pixels, np.ascontiguousarray(decoded[..., ::-1]))
    rgba: Pixels = np.ascontiguousarray(decoded[..., (2, 1, 0, 3)])
    return unmultiplied(rgba) if _extra(tags) == (_ASSOCIATED,) else rgba


def unmultiplied(rgba: Pixels) -> Pixels:
    """Colours freed of the alpha they were multiplied with; fully transparent ones become black."""
    alpha = rgba[..., 3:].astype(np.uint64)
    top = np.iinfo(rgba.dtype).max
    colours = (rgba[..., :3].astype(np.uint64) * top + alpha // 2) // np.maximum(alpha, 1)
    out = rgba.copy()
    out[..., :3] = np.minimum(colours, top)
    return out


def write(pixels: PixelSource, *, grey: bool, metadata: Metadata) -> bytes:
    """A little-endian TIFF of (H, W, 3 | 4) uint8 or uint16, in deflated strips with horizontal differencing.

    Not with tifffile: it cannot write EXIF and GPS directories, and wants uncompressed pixels whole or in tiles. A 48
    megapixel photo of 16 bit becomes a file of the same size in the same time.
    """
    height, width, channels = pixels.shape
    kept = channels - 2 if grey else channels
    rows = max(1, _STRIP_TARGET // (width * kept * pixels.dtype.itemsize))
    tops = range(0, height, rows)
    directory = _directory(pixels, kept, rows, grey=grey, metadata=metadata)
    starts, sizes = [0] * len(tops), [0] * len(tops)
    out = io.BytesIO(b"II*\0\x08\0\0\0")
    first = out.seek(8 + len(_with_strips(directory, starts, sizes)))
    with ThreadPoolExecutor(min(4, available_processors())) as pool:
        strips = pool.map(lambda y: _strip(pixels[y : min(height, y + rows), 0:width], grey), tops)
        for index, strip in enumerate(strips):
            starts[index], sizes[index] = out.tell() - first, out.write(strip)
    out.seek(8)
    out.write(_with_strips(directory, starts, sizes))
    return out.getvalue()


def _directory(
    pixels: PixelSource, kept: int, rows: int, *, grey: bool, metadata: Metadata
) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Everything but where the strips are.

    kept  channels in the file
    rows  in a strip
    """
    height, width, _ = pixels.shape
    directory = TiffImagePlugin.ImageFileDirectory_v2(ifh=b"II*\0\0\0\0\0")
    values: dict[int, Any] = {
        _WIDTH: width,
        _HEIGHT: height,
        _BITS: (8 * pixels.dtype.itemsize,) * kept,
        _COMPRESSION: _DEFLATES[0],
        _PHOTOMETRIC: _MIN_IS_BLACK if grey else _RGB,
        _SAMPLES: kept,
        _ROWS_PER_STRIP: rows,
        _PLANAR: 1,
        _PREDICTOR: 2,
    }
    if kept in (2, 4):
        values[_EXTRA_SAMPLES] = (_UNASSOCIATED,)
    for tag, value in values.items():
        directory.tagtype[tag] = LONG if tag in (_WIDTH, _HEIGHT, _ROWS_PER_STRIP) else SHORT
        directory[tag] = value
    _add_metadata(directory, metadata)
    return directory


def _with_strips(
    directory: TiffImagePlugin.ImageFileDirectory_v2, starts: Sequence[int], sizes: Sequence[int]
) -> bytes:
    """The directory as bytes, to stand behind the header. Pillow adds the directory's end to the strips' starts."""
    for tag, places in ((_STRIP_OFFSETS, starts), (_STRIP_BYTES, sizes)):
        directory.tagtype[tag] = LONG
        directory[tag] = tuple(places)
    return directory.tobytes(8)


def _strip(band: Pixels, grey: bool) -> bytes:
    if grey:
        band = np.concatenate([to_grey(band[..., :3]), band[..., 3:]], axis=2)
    differences = band.copy()
    differences[:, 1:] -= band[:, :-1]
    little = differences.astype("<u2") if band.dtype == np.uint16 else differences
    return zlib.compress(little.tobytes(), 1)


def _add_metadata(directory: TiffImagePlugin.ImageFileDirectory_v2, metadata: Metadata) -> None:
    if metadata.exif is not None:
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + metadata.exif)
        for tag in _DESCRIPTIVE:
            if tag in (34665, 34853):
                if nested := exif.get_ifd(tag):
                    directory[tag] = dict(nested)
            elif tag in exif:
                directory[tag] = exif[tag]
    for tag, kind, value in ((_XMP, BYTE, metadata.xmp), (_ICC, UNDEFINED, metadata.icc)):
        if value is not None:
            directory.tagtype[tag] = kind
            directory[tag] = value
    if metadata.dpi is not None:
        directory[_X_DPI], directory[_Y_DPI] = metadata.dpi
        directory[_DPI_UNIT] = 2


def _metadata(image: Image.Image, tags: Any, limits: ImageLimits, *, is_grey: bool) -> Metadata:
    icc, xmp = tags.get(_ICC), tags.get(_XMP)
    xmp = xmp if isinstance(xmp, bytes) else None
    exif = Image.Exif()
    source = image.getexif()
    for tag in (0x0112, *_DESCRIPTIVE):
        if tag in (34665, 34853):
            if nested := source.get_ifd(tag):
                exif.get_ifd(tag).update(nested)
                exif[tag] = dict(nested)
        elif tag in source:
            exif[tag] = source[tag]
    block = exif.tobytes().removeprefix(b"Exif\0\0") if len(exif) else None
    check_metadata_size(sum(len(part) for part in (icc, xmp, block) if part), limits.max_metadata_bytes)
    dpi = image.info.get("dpi") if _X_DPI in tags else None
    return Metadata(
        icc=usable_icc(icc, is_grey=is_grey),
        exif=block,
        xmp=xmp,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and all(dpi) else None,
    )


def _check_deep(tags: Any, samples: int) -> None:
    photometric, planar = int(tags.get(_PHOTOMETRIC, 1)), int(tags.get(_PLANAR, 1))
    plain = photometric in (_MIN_IS_WHITE, _MIN_IS_BLACK) and samples == 1
    colour = photometric == _RGB and samples in (3, 4) and planar == 1
    if not (plain or colour):
        raise UnsupportedFormat(
            f"The 16 bit TIFF has {samples} channels, colour model {photometric}, layout {planar}; only grey, RGB and "
            "RGBA with interleaved channels are read without loss. Save it like that, or as a 16 bit PNG."
        )


def _verify_deflated(strip: bytes) -> None:
    inflate, pending = zlib.decompressobj(), strip
    try:
        while pending and not inflate.eof:
            inflate.decompress(pending, _STRIP_TARGET)
            pending = inflate.unconsumed_tail
    except zlib.error as error:
        raise ImageCorrupt(
            "The TIFF's pixels do not match their checksum. The file is damaged; export it again."
        ) from error


def _tags(image: Image.Image) -> Any:
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        raise ImageCorrupt("The file starts like a TIFF but is none. Export it again.")
    return image.tag_v2


def _bits(tags: Any) -> tuple[int, ...]:
    return _all(tags.get(_BITS)) or (1,)


def _extra(tags: Any) -> tuple[int, ...]:
    return _all(tags.get(_EXTRA_SAMPLES))


def _all(value: Any) -> tuple[int, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
