"""Real-ESRGAN: Wang et al., ICCV Workshops 2021, behind the enlarge protocol; or another network of that interface.

By how much a network enlarges is found by running it. Where that is less than asked for, it is run on its own answer;
where it is more, the answer is averaged, as the authors' program does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from ..errors import WeightsCorrupted
from ..onnx.network import OnnxNetwork
from ..protocols import StepProgress
from ..registry import LoadContext
from ..types import FloatImage, ParamValue

_TRIAL_PX = 32


class SuperResolutionEngine:
    """Deterministic. Takes and gives RGB in [0, 1]."""

    def __init__(self, network: OnnxNetwork) -> None:
        """Raises `WeightsCorrupted` for a network that does not enlarge pictures of any size."""
        self._network = network
        shapes = list(network.inputs.values())
        if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] != 3 or len(network.outputs) != 1:
            raise WeightsCorrupted(f"{network.name} does not take one RGB picture and give one. Use another file.")
        if isinstance(shapes[0][2], int) or isinstance(shapes[0][3], int):
            raise WeightsCorrupted(
                f"{network.name} takes pictures of {shapes[0][3]}x{shapes[0][2]} pixels only. "
                "Export it with sides of any length."
            )
        large = self._run(np.zeros((_TRIAL_PX, _TRIAL_PX, 3), np.float32), lambda: None)
        self.scale = large.shape[0] // _TRIAL_PX
        if self.scale < 2 or large.shape != (_TRIAL_PX * self.scale, _TRIAL_PX * self.scale, 3):
            raise WeightsCorrupted(f"{network.name} makes {large.shape} of {_TRIAL_PX} pixels: it does not enlarge.")

    def enlarge(self, tile: FloatImage, *, params: Mapping[str, ParamValue], progress: StepProgress) -> FloatImage:
        factor = int(str(params["factor"]))
        large, made = tile, 1
        while made < factor:
            large = self._run(large, lambda: progress("enlarging", 0, 1))
            made *= self.scale
        if made > factor:
            height, width = tile.shape[:2]
            large = np.asarray(cv2.resize(large, (width * factor, height * factor), interpolation=cv2.INTER_AREA))
        progress("enlarging", 1, 1)
        return large

    def _run(self, image: FloatImage, still_wanted: Callable[[], None]) -> FloatImage:
        (name,) = self._network.inputs
        (large,) = self._network.run({name: image.transpose(2, 0, 1)[None]}, still_wanted)
        return np.ascontiguousarray(large[0].transpose(1, 2, 0), np.float32).clip(0, 1)


def load(context: LoadContext) -> SuperResolutionEngine:
    """Raises `WeightsCorrupted`."""
    (path,) = context.weights.values()
    return SuperResolutionEngine(OnnxNetwork(path))
