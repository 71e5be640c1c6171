"""The form of FcF that fills: the same function of the same weights as `network.FcF`, faster.

Gains are folded into weights and biases, and activations work in place (`nn.stylegan_inference`). The convolutions that
lead into the local branch of a Fourier convolution are one over both branches. Maps are channels_last where that is
safe, and in float32 on processors the wide 3x3 convolutions go through `winograd`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.stylegan import LEAKY_GAIN, LEAKY_SLOPE, transposed
from ..nn.stylegan_inference import Convolver, fold
from ..nn.winograd import in_full_precision_on_cpu
from .network import FFC, Branches, FcF, SynthesisLayer

FEWEST_TILED_WIDTH = 256
"""Fourier convolutions over fewer channels are as fast without `winograd`."""


def inference_form(network: FcF) -> FcF:
    """The network itself, its layers exchanged. Raises `ValueError` for one with noise."""
    if network.config.noise:
        raise ValueError("The inference form has no fixed noise. Build the network with FcFConfig(noise=False).")
    fold(network, Convolver(), {SynthesisLayer: FoldedSynthesisLayer, FFC: FoldedFFC})
    return network


class FoldedSynthesisLayer(nn.Module):
    """`SynthesisLayer` without noise: its modulated weights are those of an ordinary convolution."""

    def __init__(self, layer: SynthesisLayer, convolver: Convolver) -> None:
        super().__init__()
        self.convolver = convolver
        self.layer = layer
        self.register_buffer("bias", torch.zeros(len(layer.weight)))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.layer.modulated_weight(style) * LEAKY_GAIN  # (out, in, 3, 3)
        weight = transposed(weight) if self.layer.resample == "up" else weight
        x = self.convolver(x, weight, self.get_buffer("bias"), self.layer.resample)
        return F.leaky_relu_(x, LEAKY_SLOPE).clamp_(-self.layer.clamp, self.layer.clamp)


class FoldedFFC(nn.Module):
    """`FFC` with one convolution into the local branch."""

    def __init__(self, layer: FFC, convolver: Convolver) -> None:
        super().__init__()
        self.tiled = convolver.tiled
        self.convg2g = layer.convg2g
        self.register_buffer("to_local", torch.cat([layer.convl2l.weight, layer.convg2l.weight], dim=1).detach())
        self.register_buffer("to_global", layer.convl2g.weight.detach())

    def forward(self, x: Branches) -> Branches:
        both = F.pad(torch.cat(x, dim=1), (1, 1, 1, 1), mode="reflect")  # (1, C, H + 2, W + 2)
        local, global_ = self.convolved(both)
        return local.relu_(), global_.add_(self.convg2g(x[1])).relu_()

    def convolved(self, both: Tensor) -> tuple[Tensor, Tensor]:
        """Both branches to the local one, and the local to the global one."""
        to_local, to_global = self.get_buffer("to_local"), self.get_buffer("to_global")
        if both.shape[1] >= FEWEST_TILED_WIDTH and in_full_precision_on_cpu(both):
            local, global_ = self.tiled(both, (to_local, to_global))
            return local, global_
        return F.conv2d(both, to_local), F.conv2d(both[:, : to_global.shape[1]], to_global)
