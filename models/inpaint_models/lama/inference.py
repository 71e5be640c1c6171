"""The LaMa generator as it is run: the same function as `network`, arranged for speed.

What differs from the readable form, all of it exact up to rounding:

- Batch normalisation is folded into the convolution before it.
- The two 3x3 convolutions that feed the local branch are one over the concatenated branches.
- Features are channels_last where that is safe, the layout in which processors and tensor cores convolve fastest.
- In float32 on a processor the 3x3 convolutions between the branches go through `winograd`, except while gradients are
  recorded.
- In half precision everything is bfloat16 or float16 but the Fourier transforms, which have no such form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import devices
from ..nn.fourier import in_frequencies
from ..nn.winograd import TiledConvolution
from .network import DOWNSAMPLINGS, GLOBAL_SHARE, Branches

_FIRST_BLOCK = DOWNSAMPLINGS + 2
_NORM_EPSILON = 1e-5
_SMALLEST_TILED = 24
"""Feature maps with fewer rows or columns are as fast without tiling."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """Weight (O, I, kh, kw), or (I, O, kh, kw) of a transposed convolution, and bias (O,)."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class FFCWeights:
    """One FFC layer with its normalisation folded in.

    to_local   (128, 512, 3, 3): both branches to the local one, f_l->l and f_g->l of the paper side by side
    to_global  (384, 128, 3, 3): local to global, f_l->g, with the bias of the global branch
    reduce     (192, 384, 1, 1) and
    fourier    (384, 384, 1, 1) and
    expand     (384, 192, 1, 1) without bias: the spectral transform, f_g->g
    """

    to_local: Convolution
    to_global: Convolution
    reduce: Convolution
    fourier: Convolution
    expand: Tensor


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
        fold = _Folder(state, device, dtype)
        self._layout = devices.map_layout(device.type)
        self.device = device
        self.dtype = dtype
        self._transform_device = transform_device or device
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
        self._tiled = TiledConvolution() if fold.tiled else None

    def __call__(self, x: Tensor) -> Tensor:
        """(B, 4, H, W) float32 -> the prediction (B, 3, H, W) float32 in (0, 1)."""
        features = self.front(x)
        for index in range(self.n_blocks):
            features = self.block(index, features)
        return self.upsample(features)

    def front(self, x: Tensor) -> Branches:
        """The downsampling part, (B, 4, H, W) float32 to features at an eighth of the size."""
        x = x.to(self.dtype).contiguous(memory_format=self._layout)
        x = F.conv2d(_reflected(x, 3), self._stem.weight, self._stem.bias).relu_()  # (B, 64, H, W)
        for layer in (*self._down, self._split):
            x = _reflected(x, 1)  # in a line of its own: what was padded is not needed beside its padded copy
            x = F.conv2d(x, layer.weight, layer.bias, stride=2).relu_()  # 128, 256 and 512 channels, halved each time
        global_ = int(x.shape[1] * GLOBAL_SHARE)
        parts = torch.split(x, [x.shape[1] - global_, global_], dim=1)  # (B, 128 | 384, H / 8, W / 8)
        return Branches(*(part.contiguous(memory_format=self._layout) for part in parts))

    def block(self, index: int, features: Branches) -> Branches:
        """Residual block number `index`, counted from 0."""
        first, second = self._blocks[index]
        y = self._ffc(second, self._ffc(first, features))
        return Branches(features.local + y.local, features.global_ + y.global_)

    def upsample(self, features: Branches) -> Tensor:
        """The upsampling part, features to the prediction (B, 3, H, W) float32."""
        x = torch.cat(features, dim=1)  # (B, 512, H / 8, W / 8)
        for layer in self._up:  # 256, 128 and 64 channels, doubled each time
            x = F.conv_transpose2d(x, layer.weight, layer.bias, stride=2, padding=1, output_padding=1).relu_()
        x = _reflected(x, 3)  # (B, 64, H + 6, W + 6)
        x = F.conv2d(x, self._last.weight, self._last.bias)  # (B, 3, H, W)
        return torch.sigmoid(x.float())

    def _ffc(self, layer: FFCWeights, x: Branches) -> Branches:
        # h and w are an eighth of the image's sides.
        both = _reflected(torch.cat(x, dim=1), 1)  # (B, 512, h + 2, w + 2)
        local, global_ = self._convolved(both, layer)  # (B, 128, h, w), (B, 384, h, w)
        reduced = F.conv2d(x.global_, layer.reduce.weight, layer.reduce.bias).relu_()  # (B, 192, h, w)
        spectral = F.conv2d(reduced + self._fourier_unit(layer.fourier, reduced), layer.expand)  # (B, 384, h, w)
        return Branches(local.relu_(), global_.add_(spectral).relu_())

    def _convolved(self, both: Tensor, layer: FFCWeights) -> tuple[Tensor, Tensor]:
        """The three 3x3 paths: all that reaches the local branch, and what reaches the global from the local."""
        if self._tiled is not None and not both.requires_grad and min(both.shape[2:]) >= _SMALLEST_TILED:
            local, global_ = self._tiled(both, (layer.to_local.weight, layer.to_global.weight))
            return local.add_(_column(layer.to_local.bias)), global_.add_(_column(layer.to_global.bias))
        local = F.conv2d(both, layer.to_local.weight, layer.to_local.bias)
        inputs = layer.to_global.weight.shape[1]  # the local channels come first
        return local, F.conv2d(both[:, :inputs], layer.to_global.weight, layer.to_global.bias)

    def _fourier_unit(self, layer: Convolution, x: Tensor) -> Tensor:
        def change(parts: Tensor) -> Tensor:
            return F.conv2d(parts, layer.weight, layer.bias).relu_()

        return in_frequencies(x, change, transform_device=self._transform_device)


def count_blocks(state: Mapping[str, Tensor]) -> int:
    """The number of residual blocks of a state dict: 18 for big-lama, 9 for lama-fourier."""
    return sum(key.endswith(".conv1.ffc.convl2l.weight") for key in state)


class _Folder:
    """Makes the inference form's weights from the readable network's state dict."""

    def __init__(self, state: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> None:
        self._state = state
        self._device = device
        self._dtype = dtype
        self._layout = devices.map_layout(device.type)
        self.tiled = device.type == "cpu" and dtype == torch.float32

    def __call__(self, convolution: str, norm: str) -> Convolution:
        """A convolution without bias and the normalisation after it."""
        weight, bias = self._folded(self._state[f"{convolution}.weight"], norm, outputs=0)
        return self._placed(weight, bias)

    def transposed(self, convolution: str, norm: str) -> Convolution:
        """A transposed convolution with bias and the normalisation after it."""
        weight, shift = self._folded(self._state[f"{convolution}.weight"], norm, outputs=1)
        scale, _ = self._norm(norm)
        return self._placed(weight, shift + scale * self._state[f"{convolution}.bias"].double())

    def plain(self, convolution: str) -> Convolution:
        """A convolution with bias and nothing to fold in."""
        return self._placed(self._state[f"{convolution}.weight"], self._state[f"{convolution}.bias"])

    def ffc(self, layer: str) -> FFCWeights:
        paths = f"{layer}.ffc"
        to_local = torch.cat([self._state[f"{paths}.conv{path}.weight"] for path in ("l2l", "g2l")], dim=1)
        local = self._folded(to_local, f"{layer}.bn_l", outputs=0)
        global_ = self._folded(self._state[f"{paths}.convl2g.weight"], f"{layer}.bn_g", outputs=0)
        # The global branch is a sum of two paths under one normalisation: both are scaled, and it is shifted once.
        expand, _ = self._folded(self._state[f"{paths}.convg2g.conv2.weight"], f"{layer}.bn_g", outputs=0)
        return FFCWeights(
            to_local=self._placed(*local, tiled=self.tiled),
            to_global=self._placed(*global_, tiled=self.tiled),
            reduce=self(f"{paths}.convg2g.conv1.0", f"{paths}.convg2g.conv1.1"),
            fourier=self(f"{paths}.convg2g.fu.conv_layer", f"{paths}.convg2g.fu.bn"),
            expand=self._placed(expand, expand.new_zeros(())).weight,
        )

    def _folded(self, weight: Tensor, norm: str, *, outputs: int) -> tuple[Tensor, Tensor]:
        """The weight, scaled along its axis `outputs`, and the normalisation's shift."""
        scale, shift = self._norm(norm)
        shape = [1] * weight.dim()
        shape[outputs] = -1
        return weight.double() * scale.view(shape), shift

    def _norm(self, norm: str) -> tuple[Tensor, Tensor]:
        """The normalisation as a scale and a shift."""
        weight, bias, mean, variance = (
            self._state[f"{norm}.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / torch.sqrt(variance + _NORM_EPSILON)
        return scale, bias - mean * scale

    def _placed(self, weight: Tensor, bias: Tensor, *, tiled: bool = False) -> Convolution:
        """On the device, in the precision and the layout of its use: tiling takes the taps of a kernel as a row."""
        layout = torch.contiguous_format if tiled else self._layout
        # Copies, because a tensor that is taken over as it is may keep the whole file it was read from in memory.
        return Convolution(
            weight.to(self._device, self._dtype, copy=True).contiguous(memory_format=layout),
            bias.to(self._device, self._dtype, copy=True),
        )


def _stacked(first: Convolution, second: Convolution) -> Convolution:
    """Two convolutions of one input as one, outputs of the first before those of the second."""
    return Convolution(torch.cat([first.weight, second.weight]), torch.cat([first.bias, second.bias]))


def _reflected(x: Tensor, margin: int) -> Tensor:
    return F.pad(x, (margin, margin, margin, margin), mode="reflect")


def _column(bias: Tensor) -> Tensor:
    return bias.view(1, -1, 1, 1)
