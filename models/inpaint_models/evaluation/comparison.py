"""Several engines on the same pair of photo and mask, measured alike."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import psutil

from ..errors import ModelError
from ..types import AnyImage, HoleMask
from .scores import score
from .views import view

if TYPE_CHECKING:
    from .networks import NetworkMetrics  # needs torch

_SAMPLE_EVERY_S = 0.005

Fill = Callable[[AnyImage, HoleMask], AnyImage]
"""From an image whose hole is black, and the hole (H, W), to the filled image."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A photo with a hole.

    mask   where the mask is from: a sampler's name and a number, or "given"
    truth  what is behind the hole; None where that is not known
    """

    photo: str
    mask: str
    image: AnyImage
    hole: HoleMask
    truth: AnyImage | None

    @property
    def kind(self) -> str:
        """The mask without its number."""
        return self.mask.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Row:
    """What one engine made of one pair.

    area    share of the photo that the hole is
    scores  by the metric's name; NaN where it could not be measured
    """

    photo: str
    mask: str
    engine: str
    area: float
    scores: Mapping[str, float]

    @property
    def kind(self) -> str:
        """The mask without its number."""
        return self.mask.partition(" ")[0]

    @property
    def pair(self) -> tuple[str, str]:
        """What the engines have in common."""
        return self.photo, self.mask


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be done, and why: a photo, or an engine on one of its masks."""

    photo: str
    message: str
    mask: str = ""
    engine: str = ""

    @property
    def words(self) -> str:
        """All of it in one line."""
        return f"{' '.join(filter(None, (self.photo, self.mask, self.engine)))}: {self.message}"


def compare(
    pair: Pair,
    fills: Mapping[str, Fill],
    networks: NetworkMetrics | None = None,
    finished: Mapping[str, AnyImage] | None = None,
) -> Iterator[tuple[Row, AnyImage] | Failure]:
    """Each engine's row and its filled image, one after the other; what cannot be filled is told and left out.

    finished  what other programs made of the pair; without time and memory
    """
    damaged = np.where(pair.hole[..., None], np.zeros((), pair.image.dtype), pair.image)
    if networks is not None and pair.truth is not None:
        networks.see_truth(pair.truth)
    for engine, fill in fills.items():
        try:
            with _PeakMemory() as memory:
                began = time.perf_counter()
                filled = fill(damaged, pair.hole)
                seconds = time.perf_counter() - began
        except ModelError as error:
            yield Failure(pair.photo, str(error), pair.mask, engine)
        else:
            yield _measured(pair, engine, filled, networks, {"seconds": seconds, "memory_mib": memory.mib})
    for engine, filled in (finished or {}).items():
        yield _measured(pair, engine, filled, networks, {})


def _measured(
    pair: Pair, engine: str, filled: AnyImage, networks: NetworkMetrics | None, cost: Mapping[str, float]
) -> tuple[Row, AnyImage] | Failure:
    try:
        scores = {**score(view(filled, pair.hole, pair.truth)), **cost}
    except ModelError as error:
        return Failure(pair.photo, str(error), pair.mask, engine)
    if networks is not None and pair.truth is not None:
        networks.see_fill(engine, filled)
        scores["lpips"] = networks.lpips(filled, pair.truth)
    changed = (filled[..., :3] != pair.image[..., :3]).any(axis=2) & ~pair.hole
    scores["changed_outside"] = float(changed.sum())
    return Row(pair.photo, pair.mask, engine, float(pair.hole.mean()), scores), filled


@dataclass(slots=True)
class _PeakMemory:
    """Resident memory of this process at its peak less that at the start, looked at every 5 ms; MiB."""

    mib: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        gc.collect()  # what earlier fills left would be let go of during this one, and hide what it takes
        self._thread = threading.Thread(target=self._watch, args=(psutil.Process().memory_info().rss,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, before_bytes: int) -> None:
        process, stopped = psutil.Process(), False
        while not stopped:
            stopped = self._stop.wait(_SAMPLE_EVERY_S)
            self.mib = max(self.mib, (process.memory_info().rss - before_bytes) / 2**20)
