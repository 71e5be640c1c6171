"""16 bit TIFF in layouts that OpenCV misreads: their strips are wrapped as grey pictures, which it reads right."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin
from PIL.TiffTags import LONG, SHORT

from ...errors import ImageCorrupt
from .. import exif
from ..info import Pixels
from ..source import Bytes
from . import tags as t

_DIFFERENCES = 2
"""The predictor of whole numbers."""


def is_misread(tags: Any) -> bool:
    """Whether the samples lie in strips of separate planes, or are pairs of grey and alpha."""
    samples = int(tags.get(t.SAMPLES, 1))
    return samples == 2 or (samples > 1 and tags.get(t.PLANAR, 1) != t.INTERLEAVED)


def read_planes(data: Bytes, tags: Any) -> Pixels:
    """(H, W, 2 | 3 | 4) uint16 in the file's own channels, as shown. Raises `ImageCorrupt`."""
    height, width, samples = tags[t.HEIGHT], tags[t.WIDTH], tags[t.SAMPLES]
    predictor, strips = tags.get(t.PREDICTOR, 1), len(t.every(tags[t.STRIP_OFFSETS]))
    if tags.get(t.PLANAR, 1) == t.INTERLEAVED:
        pairs = _as_grey(data, tags, slice(None), width * samples, 1).reshape(height, width, samples)
        stored = np.cumsum(pairs, axis=1, dtype=np.uint16) if predictor == _DIFFERENCES else pairs
    else:
        each = strips // samples
        parts = [slice(plane * each, (plane + 1) * each) for plane in range(samples)]
        stored = np.stack([_as_grey(data, tags, part, width, predictor) for part in parts], axis=2)
    return exif.oriented(cast(Pixels, stored), tags.get(exif.ORIENTATION, 1))


def _as_grey(data: Bytes, tags: Any, strips: slice, width: int, predictor: int) -> NDArray[np.uint16]:
    """The samples of some of the strips, as those of a grey picture of that width."""
    import cv2

    head = b"II*\0\x08\0\0\0" if data[:2] == b"II" else b"MM\0*\0\0\0\x08"
    directory = TiffImagePlugin.ImageFileDirectory_v2(ifh=head)
    offsets, sizes = (t.every(tags[tag])[strips] for tag in (t.STRIP_OFFSETS, t.STRIP_BYTES))
    values = {
        t.WIDTH: width,
        t.HEIGHT: tags[t.HEIGHT],
        t.BITS: 16,
        t.COMPRESSION: tags.get(t.COMPRESSION, 1),
        t.PHOTOMETRIC: t.MIN_IS_BLACK,
        t.STRIP_OFFSETS: (0, *accumulate(sizes[:-1])),
        t.SAMPLES: 1,
        t.ROWS_PER_STRIP: tags.get(t.ROWS_PER_STRIP, tags[t.HEIGHT]),
        t.STRIP_BYTES: sizes,
        t.PREDICTOR: predictor,
    }
    for tag, value in values.items():
        directory.tagtype[tag] = (
            SHORT if tag in (t.BITS, t.COMPRESSION, t.PHOTOMETRIC, t.SAMPLES, t.PREDICTOR) else LONG
        )
        directory[tag] = value
    strip_data = b"".join(bytes(data[at : at + size]) for at, size in zip(offsets, sizes, strict=True))
    file = head + directory.tobytes(8) + strip_data
    decoded: Any = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.shape != (tags[t.HEIGHT], width) or decoded.dtype != np.uint16:
        raise ImageCorrupt("The TIFF's pixels cannot be decoded. The file is damaged; export it again.")
    return cast("NDArray[np.uint16]", decoded)
