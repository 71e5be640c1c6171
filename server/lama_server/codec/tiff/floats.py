"""TIFF of 32 bit floating point: worked on as 16 bit, and written with the samples that it had where nothing changed.

0 to 1 are black to white, as photo programs write them. What lies beyond, and what is no number, is cut off for the
work only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inpaint_models.types import PixelSource

from ...errors import ImageCorrupt, UnsupportedFormat
from ..info import Pixels
from ..png import to_grey
from ..source import Bytes, as_file, opened
from . import tags as t
from .reading import is_float

_BAND_PX = 1 << 18
_TOP = 65535


def read_float(data: Bytes) -> Pixels:
    """(H, W, 3 | 4) uint16, as shown. Raises `ImageCorrupt`, `UnsupportedFormat` for values that are of no photo."""
    samples = _samples(data)
    height, width, channels = samples.shape
    out = np.empty((height, width, max(3, channels)), np.uint16)
    usual, rows = 0, max(1, _BAND_PX // width)
    for y0 in range(0, height, rows):
        band = samples[y0 : y0 + rows]
        usual += int(((band >= 0) & (band <= 1)).sum())
        out[y0 : y0 + rows] = _as_integers(band)
    if 2 * usual < samples.size:
        raise UnsupportedFormat(
            "Most values of the floating point TIFF lie outside 0 to 1, where photos have black and white. Scale them "
            "to that range, or save it with 16 bits for each channel."
        )
    return out


def original_samples(source: bytes | Path, pixels: PixelSource, *, grey: bool) -> PixelSource:
    """The edited picture as floating point: as in the source where pixels are what it gave, else a 65535th of them.

    Where the edited picture has another size or transparency than the source, everything is made from the pixels.
    """
    with opened(source) as data:
        samples = _samples(data)
    height, width, channels = pixels.shape
    shape = (height, width, channels - 2 if grey else channels)
    return _Restored(samples if samples.shape == shape else None, pixels, shape)


@dataclass(frozen=True, slots=True)
class _Restored:
    """A `PixelSource` of float32."""

    samples: NDArray[np.float32] | None
    pixels: PixelSource
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, index: tuple[slice, slice]) -> NDArray[np.float32]:
        band = self.pixels[index]
        if self.shape[2] < 3:
            band = np.concatenate([to_grey(band[..., :3]), band[..., 3:]], axis=2)
        made: NDArray[np.float32] = band.astype(np.float32)
        made /= np.float32(_TOP)
        if self.samples is not None:
            known = self.samples[index]
            np.copyto(made, known, where=band == _as_integers(known))
        return made


def _samples(data: Bytes) -> NDArray[np.float32]:
    """(H, W, 1 | 3 | 4), as shown; straight alpha."""
    import cv2

    tags = t.first_directory(as_file(data))
    decoded: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.float32 or not is_float(tags):
        raise ImageCorrupt("The TIFF's pixels cannot be decoded. The file is damaged; export it again.")
    if decoded.ndim == 2:
        return cast("NDArray[np.float32]", decoded[..., None])
    blue = decoded[..., 0].copy()
    decoded[..., 0], decoded[..., 2] = decoded[..., 2], blue
    if decoded.shape[2] == 4 and t.extra_of(tags) == (t.ASSOCIATED,):
        colours, alpha = decoded[..., :3], decoded[..., 3:]
        np.divide(colours, alpha, out=colours, where=alpha > 0)
    return cast("NDArray[np.float32]", decoded)


def _as_integers(samples: NDArray[np.float32]) -> NDArray[np.uint16]:
    """0 to 1 as 0 to 65535, as many channels as there are."""
    usual = np.nan_to_num(samples, nan=0.0)
    np.clip(usual, 0, 1, out=usual)
    usual *= np.float32(_TOP)
    return np.rint(usual, out=usual).astype(np.uint16)
