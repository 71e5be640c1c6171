"""What the codec worker does: image files to arrays and back, at most one decoded photo at a time."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import assert_never

import numpy as np

from inpaint_models import devices

from .. import codec
from ..codec.info import OUTPUTS, ImageInfo
from ..codec.source import opened
from ..errors.disk import disk_errors
from ..imaging.brush_masks import adjusted, in_brush_colour
from ..imaging.pictures import edited, open_picture
from ..imaging.pixel_files import write_bands, write_pixels
from ..imaging.scaling import scaled_bands
from .messages import (
    AdjustMask,
    CodecRequest,
    CropPicture,
    DecodeImage,
    DecodeMask,
    MakePreview,
    MakeThumbnail,
    MaskOfAlpha,
    Rendered,
    RenderImage,
    ScalePicture,
)
from .worker import JobContext

_COPIES: dict[codec.SourceFormat, int] = {"webp": 10, "tiff": 6, "avif": 6}
"""Of a photo's pixels, that reading and writing a file takes at the most, where it is more than 4."""

JPEG_PAUSE_S = 2.0
"""From the first JPEG until what patches it is prepared: programs that send an edit right after a photo wait for
nothing, and not for that either."""


class CodecHandler:
    """Answers every `CodecRequest`."""

    device = ""

    def __init__(self, max_megapixels: int) -> None:
        self._limits = codec.ImageLimits(max_pixels=max_megapixels * 1_000_000)
        self._is_ready_for_jpeg = False

    @disk_errors()
    def handle(self, request: CodecRequest, context: JobContext) -> object:
        match request:
            case DecodeImage():
                return self._decode(request)
            case DecodeMask():
                self._decode_mask(request)
            case RenderImage():
                return self._render(request, context)
            case CropPicture():
                self._crop(request)
            case ScalePicture():
                self._scale(request, context)
            case MakePreview():
                return self._preview(request)
            case AdjustMask():
                self._adjust_mask(request, context)
            case MaskOfAlpha():
                self._mask_of_alpha(request, context)
            case MakeThumbnail():
                return self._thumbnail(request)
            case _:
                assert_never(request)
        return None

    def _decode(self, request: DecodeImage) -> ImageInfo:
        _check_memory("Decoding", codec.probe(request.source, self._limits))
        decoded = codec.decode(request.source, self._limits)
        write_pixels(request.pixels, decoded.pixels, durable=request.durable)
        if decoded.info.format == "jpeg" and not self._is_ready_for_jpeg:
            self._is_ready_for_jpeg = True
            later = threading.Timer(JPEG_PAUSE_S, _prepare_jpeg)
            later.daemon = True
            later.start()
        return decoded.info

    def _decode_mask(self, request: DecodeMask) -> None:
        limits = replace(self._limits, min_side=1)
        mask = codec.decode_mask(request.source.read_bytes(), request.width, request.height, limits)
        with request.mask.open("wb") as file:
            np.save(file, mask, allow_pickle=False)

    def _render(self, request: RenderImage, context: JobContext) -> Rendered:
        info = request.picture.shown
        _check_memory("Encoding", info)
        made = codec.encode(
            request.picture.source,
            open_picture(request.picture),
            info,
            edited(request.picture),
            format=request.format,
            quality=request.quality,
            strip_metadata=request.strip_metadata,
            check=context.check,
        )
        request.target.write_bytes(made.data)
        target = codec.output_format(info, request.format)
        return Rendered(target.media_type, target.suffix, len(made.data), made.patched, made.reencoded)

    def _crop(self, request: CropPicture) -> None:
        pixels = open_picture(request.picture)[request.box.slices]
        metadata = codec.read_metadata(request.picture.source)
        request.target.write_bytes(codec.encode_patch(pixels, metadata, grey=request.picture.info.is_grey))

    def _scale(self, request: ScalePicture, context: JobContext) -> None:
        source = open_picture(request.picture)
        bands = scaled_bands(source, request.width, request.height, context.check)
        write_bands(request.target, (request.height, request.width, source.shape[2]), source.dtype, bands)

    def _preview(self, request: MakePreview) -> Rendered:
        _check_memory("A preview", request.picture.shown)
        metadata = codec.read_metadata(request.picture.source)
        return self._written(codec.preview(open_picture(request.picture), request.max_side, metadata), request.target)

    def _adjust_mask(self, request: AdjustMask, context: JobContext) -> None:
        with opened(request.source) as data:
            info = codec.probe(data, self._limits)
            mask = codec.decode_mask(data, info.width, info.height, self._limits)
        changed = adjusted(mask, request.operation, request.radius_px, context.check)
        request.target.write_bytes(codec.encode_patch(in_brush_colour(changed)))

    def _mask_of_alpha(self, request: MaskOfAlpha, context: JobContext) -> None:
        pixels = np.asarray(open_picture(request.picture)[:, :])
        shown = (pixels[..., 3] > np.iinfo(pixels.dtype).max // 2) * np.uint8(255)
        grown = adjusted(shown, "expand", request.radius_px, context.check)
        request.target.write_bytes(codec.encode_patch(in_brush_colour(grown)))

    def _thumbnail(self, request: MakeThumbnail) -> Rendered:
        made = codec.thumbnail(request.source, request.width, request.height, self._limits)
        return self._written(made, request.target)

    def _written(self, made: codec.EncodedPreview, target: Path) -> Rendered:
        target.write_bytes(made.data)
        suffix = next(kind.suffix for kind in OUTPUTS.values() if kind.media_type == made.media_type)
        return Rendered(made.media_type, suffix, len(made.data))


def _check_memory(what: str, info: ImageInfo) -> None:
    """Raises `OutOfMemory` where the system would rather end this process, or others, than give it what it needs."""
    advice = "Close other programs, or use a smaller photo."
    devices.check_memory(what, _COPIES.get(info.format, 4) * info.pixel_bytes, info.height, info.width, "cpu", advice)


def _prepare_jpeg() -> None:
    """Beside other work, so that the first save need not wait: compiling takes seconds on a machine's first start."""
    from ..codec.jpeg.patching import prepare

    prepare()
