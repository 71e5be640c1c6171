"""Pixels on their way to another machine: bands in Ray's object store, of which a node fetches those that it reads.

A job names stored pixels by files of this machine. Before it leaves, each file becomes a handle on its bands, and each
patch the bytes that it is. The bands of a photo are put into the store once, for all edits of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import ray

from inpaint_models.types import AnyImage, PixelSource

from ..codec import Pixels
from ..errors.disk import disk_errors
from ..imaging.canvas import window_of
from ..imaging.lazy_pixels import LazyPixels, StoredArray, StoredPicture
from ..imaging.pictures import Layer, Overlay, Picture, layered, lowest
from ..workers.messages import (
    AnyJob,
    DrawnMask,
    DrawnSource,
    FillHole,
    FindThings,
    FromWorker,
    LoadModel,
    RemakeCanvas,
    SelectMask,
)

BAND_BYTES = 4 * 2**20

KEPT_BYTES = 512 * 2**20
"""Bands that a process keeps in the store for later jobs; those of the photo that was edited last stay in any case."""

Sent = FromWorker | Pixels
"""What a replica sends back of a job: what a worker does, and before `Done` the pixels of a canvas made anew."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Bands:
    """Slices like an (H, W) or (H, W, C) array. `rows` are those of a band."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rows: int
    bands: tuple[ray.ObjectRef[Any], ...]

    def __getitem__(self, area: tuple[slice, slice]) -> AnyImage:
        """(rows, columns, ...). Slices without steps."""
        window = window_of(area, self.shape)
        if window.area == 0:
            return np.empty((window.height, window.width, *self.shape[2:]), self.dtype)
        first, last = window.y0 // self.rows, -(-window.y1 // self.rows)
        found = ray.get(list(self.bands[first:last]))
        top = window.y0 - first * self.rows
        joined = found[0] if len(found) == 1 else np.concatenate(found)
        return cast(AnyImage, joined[top : top + window.height, window.x0 : window.x1])


@dataclass(frozen=True, slots=True)
class SentPicture:
    """Opens a photo whose files were sent. `pngs` has those of its patches by the path that they had."""

    base: Bands
    layers: tuple[Layer, ...]
    pngs: Mapping[Path, bytes]

    def __call__(self) -> PixelSource:
        return layered(self.base, self.layers, lambda overlay: self.pngs[overlay.png])


def put(pixels: PixelSource) -> Bands:
    """An array in the object store."""
    row_bytes = max(1, int(np.prod(pixels.shape[1:])) * pixels.dtype.itemsize)
    rows, height, width = max(1, BAND_BYTES // row_bytes), *pixels.shape[:2]
    bands = (np.asarray(pixels[top : top + rows, 0:width]) for top in range(0, height, rows))
    return Bands(pixels.shape, pixels.dtype, rows, tuple(ray.put(band) for band in bands))


class Sender:
    """Makes jobs ready to leave. May be used by several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, int], tuple[Bands, int]] = OrderedDict()
        self._lock = threading.Lock()

    def ready(self, job: AnyJob) -> AnyJob:
        """The job without a local path. Reads files. Raises `RootUnavailable`."""
        with disk_errors():
            match job:
                case LoadModel():
                    return job
                case FillHole(source=source):
                    known = None if job.metadata is None else partial(_same, job.metadata())
                    marked = DrawnSource(self._mask(source.include), self._mask(source.exclude))
                    pictures = self._all(job.pictures)
                    image, mask = self._sent(job.image), self._mask(job.mask)
                    assert mask is not None
                    return replace(
                        job, image=image, mask=mask, source=marked, metadata=known, pictures=pictures, quick=None
                    )
                case FindThings():
                    return replace(job, image=self._sent(job.image))
                case SelectMask():
                    return replace(job, image=self._sent(job.image), pictures=self._all(job.pictures))
                case RemakeCanvas():
                    pictures = self._all(job.pictures)
                    return replace(job, image=self._sent(job.image), pictures=pictures, write=_kept_there)

    def _all(self, pictures: Mapping[str, PixelSource]) -> dict[str, PixelSource]:
        return {name: self._sent(picture) for name, picture in pictures.items()}

    def _mask(self, mask: DrawnMask | None) -> DrawnMask | None:
        return mask if mask is None or isinstance(mask, tuple) else self._sent(mask)

    def _sent(self, pixels: PixelSource) -> PixelSource:
        match pixels:
            case LazyPixels(open=StoredPicture(picture=picture)):
                return self._picture(picture)
            case LazyPixels(open=StoredArray(path=path)):
                return put(np.load(path, mmap_mode="r", allow_pickle=False))
        return put(pixels)

    def _picture(self, picture: Picture) -> PixelSource:
        path, layers = lowest(picture)
        overlays = [layer for layer in layers if isinstance(layer, Overlay)]
        pngs = {overlay.png: overlay.png.read_bytes() for overlay in overlays}
        return LazyPixels(SentPicture(self._stored(path), layers, pngs))

    def _stored(self, path: Path) -> Bands:
        """The bands of an .npy file that does not change."""
        stat = path.stat()
        key = path, stat.st_ino, stat.st_mtime_ns
        with self._lock:
            if key not in self._kept:
                self._kept[key] = put(np.load(path, mmap_mode="r", allow_pickle=False)), stat.st_size
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)
            return self._kept[key][0]


def _same(value: Value) -> Value:
    return value


def _kept_there(pixels: Pixels) -> None:
    """In the place of `RemakeCanvas.write`: an engine replica sends the pixels back instead."""
