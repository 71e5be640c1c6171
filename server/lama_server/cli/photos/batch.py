"""Many photos without a server: fill IMAGE where MASK says so and write OUT; the same for whole folders.

`plan` looks at names only and decides what is written where; `run_all` does it, one photo at a time. A result appears
whole or not at all and nothing is ever replaced, so running the same command again goes on where it was stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from inpaint_models.errors import Cancelled, EmptyMask, ModelError
from inpaint_models.options import FillOptions
from inpaint_models.types import Box, Mask, Patch, PixelSource

from ... import codec
from ...codec.info import SUFFIXES
from ...errors import ApiError, BatchInvalid, MaskEmpty, SaveError
from ...imaging import masks
from ...imaging.canvas import MovedPixels, check_change
from ...imaging.layers import LayeredPixels
from ...imaging.pictures import shown_info
from ...schemas.canvas import Extend
from ...store import saving

if TYPE_CHECKING:
    from inpaint_models.pipeline.inpainter import Inpainter

    from .finding import Find, FoundMask

_WRITABLE: dict[codec.SourceFormat, codec.WantedFormat] = {"png": "png", "jpeg": "jpeg", "webp": "webp", "tiff": "tiff"}

Outcome = Literal["filled", "copied", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """One photo.

    mask    None = the folder of masks has none for it, or nothing but what is new is filled
    folder  resolved: links that are put into its path later are not followed
    stem    of the result's name, before it is made safe
    format  of the result
    suffix  of the result where the caller chose one
    extend  what is added at its sides, and filled
    """

    image: Path
    mask: Path | None
    folder: Path
    stem: str
    format: codec.WantedFormat
    suffix: str | None = None
    extend: Extend | None = None

    def result(self, info: codec.ImageInfo) -> Path:
        """Where the result goes: under the photo's own suffix where that names the result's format."""
        target = codec.output_format(info, self.format)
        own = self.suffix or self.image.suffix.lower()
        suffix = own if SUFFIXES.get(own) == target.name else target.suffix
        return self.folder / saving.safe_name(self.stem, suffix)


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a photo.

    outcome  filled; copied: its mask is empty; skipped: its result was there already; failed
    result   the file that was written or was there
    message  why it failed, or what is to be known of the result
    found    what was looked for in it and filled
    """

    outcome: Outcome
    result: Path | None = None
    message: str = ""
    found: FoundMask | None = None


Process = Callable[[Job], Made]
"""Does one photo. Raises whatever is wrong with it."""


@dataclass(frozen=True, slots=True)
class Event:
    """A photo that was done; `index` counts from 1."""

    job: Job
    made: Made
    index: int
    total: int


@dataclass(frozen=True, slots=True)
class Summary:
    """How many of each."""

    filled: int
    copied: int
    skipped: int
    failed: int


def plan(
    image: Path,
    mask: Path | None,
    output: Path,
    *,
    format: codec.WantedFormat = "keep",
    extend: Extend | None = None,
) -> tuple[Job, ...]:
    """What is to be done, in the order of names.

    image   a file, or a folder of photos (not those in folders below it)
    mask    a file for all of them, or a folder of masks that are called like their photos, whatever their format; None
            where photos are extended and nothing else
    output  a folder; for one photo also a file, whose suffix then says the format
    extend  what is added at the sides of each

    Raises `BatchInvalid`.
    """
    images = image_files(image)
    mask_of = _masks(mask, images)
    if image.is_file() and not output.is_dir() and output.suffix:
        chosen = _format_of(output, format)
        _refuse_file(output.parent)
        folder = output.parent.resolve()
        return (Job(image, mask_of.get(image.stem), folder, output.stem, chosen, output.suffix.lower(), extend),)
    if output.resolve() == (image if image.is_dir() else image.parent).resolve():
        raise BatchInvalid("The results would go into the folder of the photos. Give another output folder.")
    _refuse_file(output)
    names, folder = _distinct_names(images), output.resolve()
    return tuple(
        Job(path, mask_of.get(path.stem), folder, name, format, extend=extend)
        for path, name in zip(images, names, strict=True)
    )


def _masks(mask: Path | None, images: Sequence[Path]) -> dict[str, Path]:
    """The mask of each photo, by its stem. Raises `BatchInvalid`."""
    if mask is None:
        return {}
    found = image_files(mask)
    return {path.stem: path for path in found} if mask.is_dir() else {path.stem: mask for path in images}


@dataclass(frozen=True, slots=True)
class Writer:
    """How results are written; `limits` hold for photos and masks."""

    quality: int | None = None
    strip_metadata: bool = False
    limits: codec.ImageLimits = field(default_factory=codec.ImageLimits)

    def write(
        self, job: Job, path: Path, pixels: PixelSource, info: codec.ImageInfo, edited: codec.Edited | None
    ) -> Made:
        """A file of those pixels beside `path`, under its name where that is free. Arguments as `codec.encode`."""
        made = codec.encode(
            job.image,
            pixels,
            info,
            edited,
            format=job.format,
            quality=self.quality,
            strip_metadata=self.strip_metadata,
        )
        message = f"The whole JPEG was encoded anew: {made.reencoded}." if made.reencoded else ""
        return Made("filled", self.save(job, path, made.data), message)

    def save(self, job: Job, path: Path, data: bytes) -> Path:
        """Where it was written. Raises `SaveError`."""
        saving.make_directory(job.folder)
        return job.folder / saving.save_new(job.folder, job.stem, path.suffix, data)


def run_all(jobs: Sequence[Job], process: Process, on_event: Callable[[Event], None] = lambda event: None) -> Summary:
    """Does the jobs and counts; what is wrong with one photo is told and the next one is taken.

    Raises `SaveError` when the output folder is full, gone or not to be written to: so would all the others.
    """
    counts: dict[Outcome, int] = {"filled": 0, "copied": 0, "skipped": 0, "failed": 0}
    for index, job in enumerate(jobs, 1):
        try:
            made = process(job)
        except (SaveError, Cancelled):
            raise
        except (ApiError, ModelError) as error:
            made = Made("failed", message=str(error))
        except OSError as error:
            made = Made("failed", message=f"The photo or its mask cannot be read ({error.strerror}).")
        counts[made.outcome] += 1
        on_event(Event(job, made, index, len(jobs)))
    return Summary(**counts)


@dataclass(frozen=True, slots=True)
class Fill:
    """A `Process`; `find` says what to fill, where there are no masks."""

    inpainter: Inpainter
    options: FillOptions
    writer: Writer
    find: Find | None = None

    def __call__(self, job: Job) -> Made:
        """Raises whatever is wrong with the photo."""
        path = job.result(codec.probe(job.image, self.writer.limits))
        if path.exists():
            return Made("skipped", path)
        if job.mask is None and job.extend is None and self.find is None:
            raise BatchInvalid(f"There is no mask called {job.image.stem}. Add one, or leave the photo out.")
        source = codec.decode(job.image, self.writer.limits)
        found = self.find(source.pixels) if self.find else None
        try:
            canvas, hole = (source.pixels, found.hole()) if found else _canvas(job, source, self.writer)
            patches = list(self.inpainter.patches(canvas, hole, self.options))
            made = _write(job, path, source, patches, self.writer)
        except (MaskEmpty, EmptyMask):
            made = replace(_unchanged(job, path, source, self.writer), outcome="copied")
        return replace(made, found=found)


def _canvas(job: Job, source: codec.Decoded, writer: Writer) -> tuple[PixelSource, Mask]:
    """(the photo with what is added at its sides, what is to be filled). Raises what is wrong with either."""
    info, change = source.info, job.extend
    read = partial(masks.from_raster, width=info.width, height=info.height, limits=writer.limits)
    if change is None:
        assert job.mask is not None
        return source.pixels, read(job.mask.read_bytes())
    check_change(change, info.width, info.height, writer.limits)
    canvas = MovedPixels(source.pixels, change)
    coverage = np.full(canvas.shape[:2], 255, np.uint8)
    photo = Box(0, 0, info.width, info.height)
    place = photo.shifted(change.left, change.top).slices
    coverage[place] = 0
    if job.mask is not None:
        with contextlib.suppress(MaskEmpty):
            coverage[place][read(job.mask.read_bytes()).hole_in(photo)] = 255
    return canvas, Mask(Box(0, 0, canvas.shape[1], canvas.shape[0]), coverage)


def _unchanged(job: Job, path: Path, source: codec.Decoded, writer: Writer) -> Made:
    """The file itself when its format is wanted: the least that can happen to a photo with nothing to remove."""
    same = codec.output_format(source.info, job.format).name == source.info.format
    if same and writer.quality is None and not writer.strip_metadata:
        return Made("copied", writer.save(job, path, job.image.read_bytes()))
    return _write(job, path, source, (), writer)


def _write(job: Job, path: Path, source: codec.Decoded, patches: Sequence[Patch], writer: Writer) -> Made:
    layers = [(patch.box, partial(getattr, patch, "pixels")) for patch in patches]
    pixels = LayeredPixels(MovedPixels(source.pixels, job.extend) if job.extend else source.pixels, layers)
    boxes = tuple(patch.box for patch in patches)
    edited = None if job.extend else codec.Edited(source.pixels, pixels, boxes)
    return writer.write(job, path, pixels, shown_info(source.info, [job.extend] if job.extend else []), edited)


def _format_of(output: Path, format: codec.WantedFormat) -> codec.WantedFormat:
    """What the suffix of a single result says. Raises `BatchInvalid`."""
    named = SUFFIXES.get(output.suffix.lower())
    if named not in _WRITABLE:
        raise BatchInvalid(f"Results cannot be written as {output.suffix}. Use .png, .jpg, .webp or .tif.")
    if format not in ("keep", named):
        raise BatchInvalid(f"{output.name} is not called like a {format.upper()}. Change the name or the format.")
    return _WRITABLE[named]


def image_files(path: Path) -> list[Path]:
    """The file itself, or the images of a folder by name. Raises `BatchInvalid`."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BatchInvalid(f"There is no {path.name}. Give an image file, or a folder of them.")
    found = sorted(
        child
        for child in path.iterdir()
        if child.is_file() and child.suffix.lower() in SUFFIXES and not child.name.startswith(".")
    )
    if not found:
        raise BatchInvalid(f"The folder {path.name} holds no images. Known are {', '.join(sorted(SUFFIXES))}.")
    return found


def _refuse_file(folder: Path) -> None:
    """Raises `BatchInvalid` where the folder for results is a file."""
    if folder.exists() and not folder.is_dir():
        raise BatchInvalid(f"{folder.name} is a file. Give a folder for the results.")


def _distinct_names(images: Sequence[Path]) -> list[str]:
    """Stems; with the photo's own suffix in it where two photos could get the same result."""
    keys = [saving.safe_name(path.stem, ".x").lower() for path in images]
    suffixes = [path.suffix[1:].lower() for path in images]
    return [
        path.stem if keys.count(key) == 1 else f"{path.stem}_{suffix}"
        for path, key, suffix in zip(images, keys, suffixes, strict=True)
    ]
