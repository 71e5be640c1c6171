"""Fast Fourier convolution as LaMa and ZITS run it: the same function as `ffc.FFCNormAct`, arranged for speed.

What differs from the readable form, all of it exact up to rounding:

- Batch normalisation is folded into the convolution before it.
- The two 3x3 convolutions that feed the local branch are one over the concatenated branches.
- In float32 on a processor the 3x3 convolutions go through `winograd`, except while gradients are recorded.
- In half precision everything is bfloat16 or float16 but the Fourier transforms, which have no such form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import devices
from .ffc import Branches
from .fourier import in_frequencies
from .winograd import TiledConvolution, in_full_precision_on_cpu

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


class FoldedFFC(nn.Module):
    """Takes the place of an `FFCNormAct`. Its weights stay where, and in the precision in which, they were folded.

    tiled             computes the 3x3 convolutions in float32, where that is faster
    transform_device  where Fourier transforms are computed, if the device has none
    """

    def __init__(
        self, weights: FFCWeights, tiled: TiledConvolution | None, transform_device: torch.device | None
    ) -> None:
        super().__init__()
        self._weights = weights
        self._tiled = tiled
        self._transform_device = transform_device

    def forward(self, x: Branches) -> Branches:
        # h and w are an eighth of the image's sides.
        weights = self._weights
        both = reflected(torch.cat(x, dim=1), 1)  # (B, 512, h + 2, w + 2)
        local, global_ = self._convolved(both)  # (B, 128, h, w), (B, 384, h, w)
        reduced = F.conv2d(x.global_, weights.reduce.weight, weights.reduce.bias).relu_()  # (B, 192, h, w)
        spectral = F.conv2d(reduced + self._fourier_unit(reduced), weights.expand)  # (B, 384, h, w)
        return Branches(local.relu_(), global_.add_(spectral).relu_())

    def _convolved(self, both: Tensor) -> tuple[Tensor, Tensor]:
        """The three 3x3 paths: all that reaches the local branch, and what reaches the global from the local."""
        to_local, to_global = self._weights.to_local, self._weights.to_global
        large = min(both.shape[2:]) >= _SMALLEST_TILED
        if self._tiled is not None and large and in_full_precision_on_cpu(both) and not both.requires_grad:
            local, global_ = self._tiled(both, (to_local.weight, to_global.weight))
            return local.add_(to_local.bias[:, None, None]), global_.add_(to_global.bias[:, None, None])
        local = F.conv2d(both, to_local.weight, to_local.bias)
        inputs = to_global.weight.shape[1]  # the local channels come first
        return local, F.conv2d(both[:, :inputs], to_global.weight, to_global.bias)

    def _fourier_unit(self, x: Tensor) -> Tensor:
        layer = self._weights.fourier

        def change(parts: Tensor) -> Tensor:
            return F.conv2d(parts, layer.weight, layer.bias).relu_()

        return in_frequencies(x, change, transform_device=self._transform_device)


class Folder:
    """Makes the inference form's weights from a readable network's state dict.

    device, dtype     where the weights are kept and in which precision
    transform_device  as for `FoldedFFC`
    tiled             one whose working memory is shared with other layers; None makes one
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        device: torch.device,
        dtype: torch.dtype,
        transform_device: torch.device | None = None,
        tiled: TiledConvolution | None = None,
    ) -> None:
        self._state = state
        self._device = device
        self._dtype = dtype
        self._layout = devices.map_layout(device.type)
        serves = device.type == "cpu" and dtype == torch.float32
        self._tiled = (tiled or TiledConvolution()) if serves else None
        self._transform_device = transform_device

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

    def ffc(self, layer: str) -> FoldedFFC:
        """An `ffc.FFCNormAct`."""
        paths = f"{layer}.ffc"
        to_local = torch.cat([self._state[f"{paths}.conv{path}.weight"] for path in ("l2l", "g2l")], dim=1)
        local = self._folded(to_local, f"{layer}.bn_l", outputs=0)
        global_ = self._folded(self._state[f"{paths}.convl2g.weight"], f"{layer}.bn_g", outputs=0)
        # The global branch is a sum of two paths under one normalisation: both are scaled, and it is shifted once.
        expand, _ = self._folded(self._state[f"{paths}.convg2g.conv2.weight"], f"{layer}.bn_g", outputs=0)
        weights = FFCWeights(
            to_local=self._placed(*local, tiled=self._tiled is not None),
            to_global=self._placed(*global_, tiled=self._tiled is not None),
            reduce=self(f"{paths}.convg2g.conv1.0", f"{paths}.convg2g.conv1.1"),
            fourier=self(f"{paths}.convg2g.fu.conv_layer", f"{paths}.convg2g.fu.bn"),
            expand=self._placed(expand, expand.new_zeros(())).weight,
        )
        return FoldedFFC(weights, self._tiled, self._transform_device)

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


def reflected(x: Tensor, margin: int) -> Tensor:
    """The map with its border reflected, (B, C, H + 2 margin, W + 2 margin)."""
    return F.pad(x, (margin, margin, margin, margin), mode="reflect")
