"""Engines around networks that segment what is pointed at: an image is encoded once, each click is decoded.

Kirillov et al., "Segment Anything", ICCV 2023. What a network answers with is coarse, a value for each 4x4 pixels of
the square that it sees; the mask is made from it at the image's own size (outlines.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import devices
from ..errors import EngineFailed, InvalidPrompts
from ..imaging.outlines import outlined
from ..protocols import Candidate, Prompts, StepProgress
from ..registry import ModelEntry
from ..types import Mask, ParamValue, PixelSource
from .marks import Marks, marks_of

Image8 = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a network takes the marks for, in any order.

    logits        (k, rows, columns); over 0 is the thing
    scores        (k,): the overlap with the thing that the network expects
    cells_per_px  of the logits and the image, (horizontally, vertically)
    """

    logits: Floats
    scores: Floats
    cells_per_px: tuple[float, float]


class Network(Protocol):
    """The two halves of a network."""

    side_px: int
    """Of the square that it sees."""

    def encode(self, image: Image8, progress: StepProgress) -> tuple[Any, int]:
        """(what `decode` needs of the image, how many bytes that is)."""

    def decode(self, embedding: Any, size: tuple[int, int], marks: Marks) -> Answers:
        """size  (height, width) of the image. Several answers where one point may mean several things."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An image, and what the network keeps of it."""

    image: PixelSource
    embedding: Any
    size_bytes: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]


class PointEngine:
    """Deterministic."""

    def __init__(self, entry: ModelEntry, network: Network, device: str) -> None:
        self._entry, self._network, self._device = entry, network, device

    def encode(self, image: PixelSource, *, progress: StepProgress) -> Seen:
        """Raises `OutOfMemory` before anything is computed that would not fit."""
        (height, width), side = image.shape[:2], self._network.side_px
        needed = self._entry.bytes_per_px * side**2 + 3 * height * width
        advice = "Close other programs, or select by a rough stroke."
        devices.check_memory(self._entry.title, needed, height, width, self._device, advice)
        progress("encoding", 0, 1)
        with devices.out_of_memory_errors(self._entry.title):
            embedding, size_bytes = self._network.encode(np.ascontiguousarray(image[0:height, 0:width]), progress)
        return Seen(image, embedding, size_bytes)

    def select(
        self, encoded: Seen, prompts: Prompts, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Mask:
        return self.candidates(encoded, prompts, 1, params=params, progress=progress)[0].mask

    def candidates(
        self, encoded: Seen, prompts: Prompts, most: int, *, params: Mapping[str, ParamValue], progress: StepProgress
    ) -> Sequence[Candidate]:
        """Raises `InvalidPrompts` where nothing is found, `EngineFailed` where the network gives no numbers."""
        progress("selecting", 0, most + 1)
        answers = self._network.decode(encoded.embedding, encoded.shape, marks_of(prompts))
        if not (np.isfinite(answers.logits).all() and np.isfinite(answers.scores).all()):
            raise EngineFailed(f"{self._entry.title} gave values that are not numbers. Run lama-server verify.")
        found = list[Candidate]()
        for index in np.argsort(-answers.scores, kind="stable")[:most]:
            progress("selecting", len(found) + 1, most + 1)
            mask = outlined(encoded.image, answers.logits[index], answers.cells_per_px)
            if mask is not None:
                found.append(Candidate(mask, float(np.clip(answers.scores[index], 0, 1))))
        if not found:
            raise InvalidPrompts("Nothing was found there. Point at the middle of the thing, or draw a box around it.")
        return found
