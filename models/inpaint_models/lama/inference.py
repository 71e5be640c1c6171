"""The LaMa generator as it is run: the same function as `network`, arranged for speed.

What differs from the readable form, all of it exact up to rounding: see `nn.ffc_inference`, and features are
channels_last where that is safe, the layout in which processors and tensor cores convolve fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import devices
from ..nn.ffc import Branches
from ..nn.ffc_inference import Convolution, Folder, reflected
from .network import DOWNSAMPLINGS, GLOBAL_SHARE

_FIRST_BLOCK = DOWNSAMPLINGS + 2


class FoldedGenerator:
    """Generator in the inference form; it has the readable network's parts and returns the same values.

    state             the readable network's state dict ("model.1.ffc.convl2l.weight", ...), float32
    device            where the weights are kept and the work is done
    dtype             torch.float32, torch.bfloat16 or torch.float16
    transform_device  where Fourier transforms are computed, if the device has none
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype,
        transform_device: torch.device | None = None,
    ) -> None:
        fold = Folder(state, device, dtype, transform_device)
        self._layout = devices.map_layout(device.type)
        self.device = device
        self.dtype = dtype
        self.n_blocks = count_blocks(state)
        self._stem = fold("model.1.ffc.convl2l", "model.1.bn_l")
        self._down = [fold(f"model.{i}.ffc.convl2l", f"model.{i}.bn_l") for i in range(2, DOWNSAMPLINGS + 1)]
        split = f"model.{DOWNSAMPLINGS + 1}"
        self._split = _stacked(
            fold(f"{split}.ffc.convl2l", f"{split}.bn_l"), fold(f"{split}.ffc.convl2g", f"{split}.bn_g")
        )
        self._blocks = [
            (fold.ffc(f"model.{i}.conv1"), fold.ffc(f"model.{i}.conv2"))
            for i in range(_FIRST_BLOCK, _FIRST_BLOCK + self.n_blocks)
        ]
        first_up = _FIRST_BLOCK + self.n_blocks + 1
        self._up = [fold.transposed(f"model.{i}", f"model.{i + 1}") for i in range(first_up, first_up + 9, 3)]
        self._last = fold.plain(f"model.{first_up + 10}")

    def __call__(self, x: Tensor, report: Callable[[int], None] = lambda done: None) -> Tensor:
        """(B, 4, H, W) float32 -> the prediction (B, 3, H, W) float32 in (0, 1).

        report  told how many of `n_blocks` + 2 parts are done; may raise to stop
        """
        report(0)
        features = self.front(x)
        for index in range(self.n_blocks):
            report(1 + index)
            features = self.block(index, features)
        report(1 + self.n_blocks)
        predicted = self.upsample(features)
        report(2 + self.n_blocks)
        return predicted

    def front(self, x: Tensor) -> Branches:
        """The downsampling part, (B, 4, H, W) float32 to features at an eighth of the size."""
        x = x.to(self.dtype).contiguous(memory_format=self._layout)
        x = F.conv2d(reflected(x, 3), self._stem.weight, self._stem.bias).relu_()  # (B, 64, H, W)
        for layer in (*self._down, self._split):
            x = reflected(x, 1)  # in a line of its own: what was padded is not needed beside its padded copy
            x = F.conv2d(x, layer.weight, layer.bias, stride=2).relu_()  # 128, 256 and 512 channels, halved each time
        global_ = int(x.shape[1] * GLOBAL_SHARE)
        parts = torch.split(x, [x.shape[1] - global_, global_], dim=1)  # (B, 128 | 384, H / 8, W / 8)
        return Branches(*(part.contiguous(memory_format=self._layout) for part in parts))

    def block(self, index: int, features: Branches) -> Branches:
        """Residual block number `index`, counted from 0."""
        first, second = self._blocks[index]
        y = second(first(features))
        return Branches(features.local + y.local, features.global_ + y.global_)

    def upsample(self, features: Branches) -> Tensor:
        """The upsampling part, features to the prediction (B, 3, H, W) float32."""
        x = torch.cat(features, dim=1)  # (B, 512, H / 8, W / 8)
        for layer in self._up:  # 256, 128 and 64 channels, doubled each time
            x = F.conv_transpose2d(x, layer.weight, layer.bias, stride=2, padding=1, output_padding=1).relu_()
        x = reflected(x, 3)  # (B, 64, H + 6, W + 6)
        x = F.conv2d(x, self._last.weight, self._last.bias)  # (B, 3, H, W)
        return torch.sigmoid(x.float())


def count_blocks(state: Mapping[str, Tensor]) -> int:
    """The number of residual blocks of a state dict: 18 for big-lama, 9 for lama-fourier."""
    return sum(key.endswith(".conv1.ffc.convl2l.weight") for key in state)


def _stacked(first: Convolution, second: Convolution) -> Convolution:
    """Two convolutions of one input as one, outputs of the first before those of the second."""
    return Convolution(torch.cat([first.weight, second.weight]), torch.cat([first.bias, second.bias]))
