"""Saving an edited JPEG: by changing its blocks, read again and compared, against encoding the whole picture anew."""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inpaint_models.types import Box
from lama_server import codec
from lama_server.imaging.layers import LayeredPixels

from .bench_edits import SIZES, photo
from .measure import Row, in_fresh_process

MEGAPIXELS = (12, 48)
RUNS = 5
EDIT = (500, 600)
"""(height, width) of what is filled, in the middle of the photo."""


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return [
            row
            for megapixels in MEGAPIXELS
            for progressive in (False, True)
            for row in measure(Path(folder), megapixels, progressive=progressive)
        ]


def measure(folder: Path, megapixels: int, *, progressive: bool) -> list[Row]:
    """A row for each way; both start from a file and its decoded pixels on disk, as the codec worker does."""
    height, width = SIZES[megapixels]
    file, pixels = folder / "photo.jpg", folder / "photo.npy"
    with Image.open(io.BytesIO(photo(height, width))) as image:
        image.save(file, "JPEG", quality=90, progressive=progressive)
    np.save(pixels, codec.decode(file).pixels)
    given = {"file": str(file), "pixels": str(pixels)}
    times = in_fresh_process("bench.bench_jpeg:both", given, threads=1)
    peaks = {
        way: in_fresh_process("bench.bench_jpeg:once", {**given, "way": way}, threads=1)["peak_mib"] for way in WAYS
    }
    kind = "progressive" if progressive else "baseline"
    return [
        Row(
            engine="jpeg",
            what=f"save, {kind}, {way}",
            size=f"{width}x{height}",
            precision="8 bit",
            ms=times[way],
            runs=RUNS,
            peak_mib=peaks[way],
            ratio=None if way == "encoded anew" else times["encoded anew"] / times[way],
            against="encoded anew",
            note=f"processor time; {EDIT[1]}x{EDIT[0]} pixels changed; file {file.stat().st_size / 2**20:.1f} MiB",
        )
        for way in WAYS
    ]


def both(file: str, pixels: str) -> dict[str, Any]:
    """Median milliseconds of processor time of each way, in turns."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(RUNS + 1):
        for way in WAYS:
            start = time.process_time()
            once(file, pixels, way)
            if turn:
                times[way].append(1000 * (time.process_time() - start))
    return {way: statistics.median(values) for way, values in times.items()}


WAYS = ("encoded anew", "patched")


def once(file: str, pixels: str, way: str) -> dict[str, Any]:
    """Saves the photo with texture from elsewhere in its middle."""
    original, info = np.load(pixels, mmap_mode="r"), codec.probe(Path(file))
    x, y = info.width // 2, info.height // 2
    box = Box(x, y, x + EDIT[1], y + EDIT[0])
    fill = np.array(original[box.shifted(-x // 2, -y // 2).slices])
    edited = LayeredPixels(original, [(box, lambda: fill)])
    if way == "patched":
        made = codec.encode(Path(file), edited, info, codec.Edited(original, edited, (box,)))
        if not made.patched:
            raise RuntimeError(f"The photo was not patched: {made.reencoded}.")
    else:
        codec.render(Path(file), edited, info)
    return {}
