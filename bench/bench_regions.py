"""Edits of several regions and of long strokes, through the library: what they cost beside one small dab.

Plans are made anew each time, as for an edit; masks are handed over as the server does, in the box around their hole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint_models import FillOptions, Inpainter, Mask, devices, get_model, load_model
from inpaint_models.machine import available_processors
from inpaint_models.types import Engine, FloatImage, HoleMask, tight_box

from . import networks
from .measure import Row, interleaved
from .scenes import mosaic

DAB_PX = 60
RUNS = 7
NETWORK_RUNS = {"cpu": 1, "cuda": 7}
TEN = tuple((350 + 780 * (index % 5), 700 + 1500 * (index // 5)) for index in range(10))
"""Where ten small holes of a photo of 12 megapixels lie: (x, y)."""


def rows() -> list[Row]:
    return [*opencv_rows(), *lama_rows()]


def opencv_rows() -> list[Row]:
    """Two dabs against one on 24 megapixels; a diagonal of 10,000 pixels and a frame of four strokes on 48."""
    photo, large = mosaic(4000, 6000), mosaic(6000, 8000)
    model = load_model("opencv")
    edits = {
        "one dab, 24 MP": (photo, mask(photo, [(500, 500)])),
        "two dabs far apart, 24 MP": (photo, mask(photo, [(500, 500)], [(5500, 3500)])),
        "diagonal, 48 MP": (large, mask(large, [(40, 40), (7960, 5960)])),
        "frame, 48 MP": (large, mask(large, [(100, 100), (7900, 100), (7900, 5900), (100, 5900), (100, 100)])),
    }
    ms = interleaved({what: partial(fill, model, *edit) for what, edit in edits.items()}, runs=RUNS)
    one = ms["one dab, 24 MP"]
    return [
        Row(
            engine="opencv",
            what=what,
            ms=ms[what],
            runs=RUNS,
            size=f"{image.shape[1]}x{image.shape[0]}",
            threads=available_processors(),
            ratio=one / ms[what],
            against="one dab",
            note=f"{fill(model, image, hole)} patches",
        )
        for what, (image, hole) in edits.items()
    ]


def lama_rows() -> list[Row]:
    """Ten small holes in one photo of 12 megapixels, in batches and one by one."""
    import torch

    photo = mosaic(3000, 4000)
    holes = mask(photo, *([place] for place in TEN))
    found: list[Row] = []
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        dtype = devices.choose_precision("auto" if device != "cpu" else "float32", device)
        engine = networks.engine("lama", device, dtype)
        entry = replace(get_model("lama"), weights=())  # so that a processor batches too
        ways: Mapping[str, Engine] = {"one by one": OneByOne(engine), "batched": engine}
        jobs: dict[str, Callable[[], object]] = {
            way: partial(fill, Inpainter(entry, each, device), photo, holes) for way, each in ways.items()
        }
        ms = interleaved(jobs, runs=NETWORK_RUNS[device], warm_up=int(device != "cpu"))
        found += [
            Row(
                engine="lama",
                what=f"ten holes of {DAB_PX} px, {way}",
                ms=ms[way],
                runs=NETWORK_RUNS[device],
                size="4000x3000",
                device=device,
                precision=str(dtype).removeprefix("torch."),
                threads=torch.get_num_threads(),
                ratio=ms["one by one"] / ms[way],
                against="one by one",
            )
            for way in ways
        ]
    return found


class OneByOne:
    """An engine that cannot fill several crops at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def fill(self, image: FloatImage, hole: HoleMask, **rest: Any) -> FloatImage:
        return self._engine.fill(image, hole, **rest)


def mask(image: NDArray[np.uint8], *lines: list[tuple[int, int]]) -> Mask:
    """Strokes of one brush through the points (x, y); a single point is a dab."""
    coverage = np.zeros(image.shape[:2], np.uint8)
    for points in lines:
        cv2.polylines(coverage, [np.array([*points, points[-1]], np.int32)], False, 255, DAB_PX)
    box = tight_box(coverage > 0)
    assert box is not None
    return Mask(box, np.ascontiguousarray(coverage[box.slices]))


def fill(model: Inpainter, image: NDArray[np.uint8], hole: Mask) -> int:
    """How many patches there were."""
    return sum(1 for _ in model.patches(image, hole, FillOptions()))
