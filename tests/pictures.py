"""Image files for tests of what reads them: good ones, odd ones and some that lie."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageCms

from lama_server.codec import png

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" note="caf\xc3\xa9"/></x:xmpmeta>'


def noise(*shape: int, depth: int = 8, seed: int = 0) -> Any:
    dtype = np.uint8 if depth == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**depth, shape, dtype=dtype)


def smooth(height: int = 48, width: int = 64) -> Any:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=2).astype(np.uint8)


def saved(pixels: Any, format: str, mode: str | None = None, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    (image.convert(mode) if mode else image).save(out, format, **options)
    return out.getvalue()


def deep_png(pixels: Any) -> bytes:
    """A 16 bit PNG written by OpenCV, from grey, RGB or RGBA."""
    order = {2: pixels, 3: pixels[..., (2, 1, 0, 3)[: pixels.shape[-1]]] if pixels.ndim == 3 else pixels}[pixels.ndim]
    return bytes(cv2.imencode(".png", order)[1])


def deep_tiff(pixels: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


def animated(format: str) -> bytes:
    """A file of three pictures."""
    frames = [Image.fromarray(noise(20, 20, 3, seed=seed)) for seed in range(3)]
    return saved(frames[0], format, save_all=True, append_images=frames[1:])


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    return png.SIGNATURE + b"".join(png.chunk(*part) for part in chunks)


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


IEND = (b"IEND", b"")
