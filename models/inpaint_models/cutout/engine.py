"""Networks that see the whole photo in one square and say for each pixel whether it is the subject.

U-2-Net: Qin et al., Pattern Recognition 2020. IS-Net: Qin et al., ECCV 2022. BiRefNet: Zheng et al., CAAI AIR 2024.
What is done before and after the network is what rembg does, to the bit, so that the same file gives the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..onnx.network import OnnxNetwork
from ..protocols import AlphaMap, StepProgress
from ..registry import LoadContext
from ..types import ParamValue


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a network was trained to see, as `mean` and `std` of colours in [0, 1].

    side    of the square, in pixels
    logits  whether its answer still has to go through a sigmoid
    """

    side: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    logits: bool = False


PREPARATIONS = {
    "u2netp": Preparation(320),
    "isnet": Preparation(1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    "birefnet-lite": Preparation(1024, logits=True),
}


class CutOutEngine:
    """Deterministic."""

    def __init__(self, network: OnnxNetwork, preparation: Preparation) -> None:
        self._network, self._preparation = network, preparation

    def matte(self, image: NDArray[np.uint8], *, params: Mapping[str, ParamValue], progress: StepProgress) -> AlphaMap:
        height, width = image.shape[:2]
        (name,) = self._network.inputs
        answer, *_ = self._network.run({name: self._seen(image)}, lambda: progress("cutting out", 0, 1))
        alpha = np.asarray(answer[0, 0], np.float32)
        if self._preparation.logits:
            alpha = np.asarray(1 / (1 + np.exp(-alpha)), np.float32)
        low, high = alpha.min(), alpha.max()
        stretched = (alpha - low) / max(high - low, np.float32(1e-6))
        levels = Image.fromarray((stretched * 255).astype(np.uint8))
        progress("cutting out", 1, 1)
        large = np.asarray(levels.resize((width, height), Image.Resampling.LANCZOS))
        made: AlphaMap = np.divide(large, 255, dtype=np.float32)
        return made

    def _seen(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(1, 3, side, side): the photo squeezed into the square, its brightest value 1, in standard deviations."""
        side = self._preparation.side
        square = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))
        colours = square / max(square.max(), 1e-6)
        standard = (colours - self._preparation.mean) / self._preparation.std
        return np.asarray(standard.transpose(2, 0, 1)[None], np.float32)


def load(context: LoadContext) -> CutOutEngine:
    """Raises `WeightsCorrupted`."""
    (path,) = context.weights.values()
    return CutOutEngine(OnnxNetwork(path), PREPARATIONS[context.entry.name])
