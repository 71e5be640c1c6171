"""Engines that only tests offer: they paint one colour, and are slow, broken or stubborn when asked to be."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inpaint_models import backdrop, dust, grabcut, lanczos, lasso, migan, opencv, wand, wires
from inpaint_models.errors import EngineFailed, OutOfMemory, WeightsCorrupted, WeightsMissing
from inpaint_models.machine import available_processors
from inpaint_models.protocols import Restored, StepProgress
from inpaint_models.registry import Licence, LoadContext, ModelEntry, Parameter, Strategy, WeightsFile
from inpaint_models.types import Box, FloatImage, HoleMask, ParamValue, Progress
from lama_server.workers.messages import Engine, Request
from lama_server.workers.worker import JobContext


@dataclass(frozen=True)
class CountThreads(Request[Engine, dict[str, int]]):
    """Asks a worker in how many threads it computes."""


class ThreadsHandler:
    """Answers `CountThreads`."""

    device = ""

    def handle(self, request: CountThreads, context: JobContext) -> dict[str, int]:
        import cv2
        import numba
        import torch

        return {
            "torch": torch.get_num_threads(),
            "opencv": cv2.getNumThreads(),
            "numba": numba.get_num_threads(),
            "patchmatch": available_processors(),
        }


LICENCE = Licence("none", "https://example.org/licence")


class Painter:
    """Paints the hole in the colour that the seed says: (seed & 255) as the red value, green and blue 0."""

    def fill(
        self, image: FloatImage, hole: HoleMask, *, params: Mapping[str, ParamValue], seed: int, progress: Progress
    ) -> FloatImage:
        behaviour, warming_up = params["behaviour"], seed == 0 and image.shape[0] <= 64
        out = image.copy()
        out[hole] = ((seed & 255) / 255, 0.0, 0.0)
        if warming_up or behaviour == "paint":
            return out
        misbehave(str(behaviour), float(params["seconds"]), out, progress)
        return out


def misbehave(behaviour: str, seconds: float, out: FloatImage, progress: Progress) -> None:
    """Does what tests want a model to do wrong."""
    if behaviour == "meet":
        meet(progress)
    elif behaviour == "stay":
        stay(progress)
    elif behaviour in ("slow", "silent"):
        steps = max(1, round(seconds / 0.02))
        for step in range(steps):
            progress("painting", step, steps, (lambda: out) if behaviour == "slow" else None)
            time.sleep(0.02)
    elif behaviour == "hang":
        time.sleep(seconds)
    elif behaviour == "crash":
        os._exit(9)
    elif behaviour == "memory":
        raise OutOfMemory("It does not fit.")
    elif behaviour == "fail":
        raise EngineFailed("Nothing but NaN.")
    elif behaviour == "bug":
        raise RuntimeError("/a/secret/path")


def meet(progress: Progress) -> None:
    """Ends when two fills are at it at once, in the folder that MEETING names."""
    folder = Path(os.environ["MEETING"])
    (folder / f"met-{os.getpid()}-{threading.get_ident()}").touch()
    for _ in range(6000):
        if len(list(folder.glob("met-*"))) > 1:
            return
        progress("waiting", 0, 1)
        time.sleep(0.02)
    raise EngineFailed("Nobody else came.")


def stay(progress: Progress) -> None:
    """Is seen as a file "here-..." in the folder that MEETING names, until it takes a file "go-..." away there."""
    folder = Path(os.environ["MEETING"])
    here = folder / f"here-{secrets.token_hex(8)}"
    here.touch()
    try:
        for step in itertools.count(1):
            for permit in folder.glob("go-*"):
                with contextlib.suppress(FileNotFoundError):  # another fill has taken it
                    permit.unlink()
                    return
            progress("staying", step, 10**6)
            time.sleep(0.02)
    finally:
        here.unlink()


class Quick:
    """Fills in blue, at once."""

    def fill(
        self, image: FloatImage, hole: HoleMask, *, params: Mapping[str, ParamValue], seed: int, progress: Progress
    ) -> FloatImage:
        progress("painting", 0, 1)
        out = image.copy()
        out[hole] = (0, 0, 1)
        return out


class Batcher(Quick):
    """Fills with a red that says how many crops it was given, 40 for each, and takes a second for that."""

    def fill_batch(
        self,
        images: Sequence[FloatImage],
        holes: Sequence[HoleMask],
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> list[FloatImage]:
        for step in range(10):
            progress("painting", step, 10)
            time.sleep(0.1)
        filled = [image.copy() for image in images]
        for image, hole in zip(filled, holes, strict=True):
            image[hole] = (40 * len(images) / 255, 0, 0)
        return filled


class Worded:
    """Fills with the example's mean colour, or in red where the prompt says so, or in black."""

    def fill(
        self, image: FloatImage, hole: HoleMask, *, params: Mapping[str, ParamValue], seed: int, progress: Progress
    ) -> FloatImage:
        out, example = image.copy(), params.get("example")
        out[hole] = (1, 0, 0) if params["prompt"] == "red" else 0
        if isinstance(example, np.ndarray):
            out[hole] = example[..., :3].mean(axis=(0, 1)) / np.iinfo(example.dtype).max
        return out


class Copier:
    """Fills with the mean colour of what may be copied."""

    def fill(
        self, image: FloatImage, hole: HoleMask, *, params: Mapping[str, ParamValue], seed: int, progress: Progress
    ) -> FloatImage:
        return self.fill_from(image, hole, ~hole, params=params, seed=seed, progress=progress)

    def fill_from(
        self,
        image: FloatImage,
        hole: HoleMask,
        allowed: NDArray[np.bool_],
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage:
        out = image.copy()
        out[hole] = image[allowed & ~hole].mean(axis=0)
        return out


class Redrawer:
    """Draws a square in the middle white, half through."""

    def restore(
        self, image: NDArray[np.uint8], *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Iterator[Restored]:
        height, width = image.shape[:2]
        progress("restoring", 0, 1)
        box = Box(width // 4, height // 4, width // 2, height // 2)
        yield Restored(
            box, np.ones((box.height, box.width, 3), np.float32), np.full((box.height, box.width), 0.5, np.float32)
        )


def load_redrawer(context: LoadContext) -> Redrawer:
    return Redrawer()


def load(context: LoadContext) -> Painter:
    return Painter()


def load_quick(context: LoadContext) -> Quick:
    return Quick()


def load_batcher(context: LoadContext) -> Batcher:
    return Batcher()


def load_copier(context: LoadContext) -> Copier:
    return Copier()


def load_worded(context: LoadContext) -> Worded:
    return Worded()


def load_badly(context: LoadContext) -> Painter:
    raise EngineFailed("It cannot be loaded.")


def load_nowhere(context: LoadContext) -> Painter:
    raise OutOfMemory(f"No memory for {context.entry.name}.")


def load_checked(context: LoadContext) -> Painter:
    """Takes files that begin with "good"."""
    for path in context.weights.values():
        if not path.exists():
            raise WeightsMissing(f"There is no file {path.name}.")
        if not path.read_bytes().startswith(b"good"):
            raise WeightsCorrupted(f"{path.name} looks like another model.")
    return Painter()


def entry(name: str, loader: str = "fake_engines:load", weights: tuple[WeightsFile, ...] = ()) -> ModelEntry:
    """A row of the catalogue for tests."""
    return ModelEntry(
        name=name,
        title=name.title(),
        tagline="for tests",
        description="Paints one colour.",
        licence=LICENCE,
        loader=loader,
        weights=weights,
        stochastic=True,
        aliases=(f"{name}-alias",),
        memory_bytes=40 * 2**20,
        strategy=Strategy("crop", crop_above=64, margin_px=16, max_side=512),
        parameters=(
            Parameter(
                "behaviour",
                "choice",
                "paint",
                choices=("paint", "meet", "stay", "slow", "silent", "hang", "crash", "memory", "fail", "bug"),
            ),
            Parameter("seconds", "float", 1.0, 0.0, 600.0),
        ),
    )


BATCHER = replace(entry("batcher", loader="fake_engines:load_batcher"), parameters=(), stochastic=False)
"""A model that fills several crops in one call."""

WORDED = replace(
    entry("worded", loader="fake_engines:load_worded"),
    parameters=(
        Parameter("prompt", "text", "", max_length=20, placeholder="a red car"),
        Parameter("example", "picture", None, max_pixels=7_000),
    ),
)
"""A model that takes words and a picture."""

POINTER = replace(entry("pointer", loader="fake_pointer:load"), task="select", gesture="point", parameters=())
"""A model that is pointed at things."""

COPIER = replace(entry("copier", loader="fake_engines:load_copier"), source_control=True, parameters=())
"""A model that can be told where to copy from."""

REDRAWER = replace(entry("redrawer", loader="fake_engines:load_redrawer"), task="restore", parameters=())
"""A model that restores."""


ENTRIES = (
    entry("painter"),
    entry("second"),
    entry("broken", loader="fake_engines:load_badly"),
    entry("remote", weights=(WeightsFile("remote.bin", ("https://example.org/remote.bin",), size_bytes=1000),)),
    WORDED,
    COPIER,
    grabcut.ENTRY,
    lasso.ENTRY,
    wand.ENTRY,
    dust.ENTRY,
    wires.ENTRY,
    backdrop.ENTRY,
    lanczos.ENTRY,
    POINTER,
    REDRAWER,
)


QUICK = replace(entry("migan", loader="fake_engines:load_quick"), parameters=())
"""Stands for the model of quick looks."""

HUB_CONTENT = b"weights " * 40_000
"""What the hub's files hold."""


def on_hub(address: str, migan_file: tuple[str, int, str] | None = None) -> tuple[ModelEntry, ...]:
    """OpenCV, `distant` and `migan`, whose files a hub at `address` has, and one whose licence is not for everybody.

    migan_file  name, size and MD5 of what the hub has for the real MI-GAN; without it `migan` is another fake
    """
    sha256 = hashlib.sha256(HUB_CONTENT).hexdigest()
    files = {
        name: (WeightsFile(f"{name}.bin", (f"{address}/{name}.bin",), len(HUB_CONTENT), sha256),)
        for name in ("distant", "guarded", "migan")
    }
    guarded = replace(
        entry("guarded", weights=files["guarded"]),
        licence=Licence("CC BY-NC 4.0", "https://example.org/by-nc", commercial_use=False),
    )
    small = replace(QUICK, weights=files["migan"])
    if migan_file:
        name, size_bytes, md5 = migan_file
        small = replace(migan.ENTRY, weights=(WeightsFile(name, (f"{address}/{name}",), size_bytes, md5=md5),))
    return opencv.ENTRY, entry("distant", weights=files["distant"]), guarded, small


def photo(width: int = 96, height: int = 64, code: int = 0) -> np.ndarray:
    """A picture of noise that differs for each code."""
    return np.random.default_rng(code).integers(0, 256, (height, width, 3), dtype=np.uint8)
