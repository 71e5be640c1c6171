"""The form of ZITS that fills: the same functions of the same weights as the readable networks, faster.

Normalisations are folded into the convolutions before them, fast Fourier convolutions are LaMa's (`nn.ffc_inference`),
the five branches of a head of the wireframe detector are one, and in float32 on processors the 3x3 convolutions at full
stride go through `winograd`. Maps are channels_last where that is safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..nn.ffc_inference import Folder
from ..nn.tiled import TiledConv3x3, exchange_convolutions
from ..nn.torch_engine import place
from ..nn.winograd import TiledConvolution
from .procedure import Networks
from .texture import FFCBlock, GatedConv, ResidualBlock, StructureEncoder, TextureNetwork
from .wireframe import Bottleneck, Head, WireframeDetector


def inference_form(networks: Networks, device: torch.device, transform_device: torch.device) -> Networks:
    """The networks themselves on the device, their layers exchanged.

    transform_device  where Fourier transforms are computed
    """
    fold_wireframe(networks.wireframe)
    fold_encoder(networks.encoder)
    tiled = TiledConvolution()
    fold_texture(networks.texture, device, transform_device, tiled)
    for part in (networks.wireframe, networks.encoder):
        exchange_convolutions(part, lambda conv: TiledConv3x3(conv, tiled) if conv.kernel_size == (3, 3) else None)
    for network in networks:
        place(network, device, torch.float32)
    return networks


def fold_wireframe(network: WireframeDetector) -> None:
    backbone = network.backbone
    fold(backbone, [("conv1", "bn1"), ("fc.0.0", "fc.0.1"), ("fc.1.0", "fc.1.1")])
    for block in [module for module in backbone.modules() if isinstance(module, Bottleneck)]:
        fold(block, [("conv1", "bn2"), ("conv2", "bn3")])
    backbone.score = nn.ModuleList(MergedHead(cast(Head, head)) for head in backbone.score)


def fold_encoder(network: StructureEncoder) -> None:
    fold(network, [("conv3", "bn3"), ("conv4", "bn4")])
    for block in network.middle:
        assert isinstance(block, ResidualBlock)
        fold(block, [("conv1.1", "bn1"), ("conv2.1", "bn2")])
    for conv, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("convt1", "bnt1"), ("convt2", "bnt2"), ("convt3", "bnt3")):
        gated, normalise = network.get_submodule(conv), network.get_submodule(norm)
        assert isinstance(gated, GatedConv)
        assert isinstance(normalise, nn.BatchNorm2d)
        network.set_submodule(conv, NormalisedGate(gated, normalise))
        network.set_submodule(norm, nn.Identity())


def fold_texture(
    network: TextureNetwork, device: torch.device, transform_device: torch.device, tiled: TiledConvolution
) -> None:
    """`bn1` stays: what it normalises is a sum."""
    down = [(f"conv{i}", f"bn{i}") for i in (2, 3, 4)]
    fold(network, [*down, *((f"convt{i}", f"bnt{i}") for i in (1, 2, 3))])
    folder = Folder(network.state_dict(), device, torch.float32, transform_device, tiled)
    for index, block in enumerate(network.middle):
        assert isinstance(block, FFCBlock)
        for name in ("ffc1", "ffc2"):
            block.set_submodule(name, folder.ffc(f"middle.{index}.{name}"))


def fold(network: nn.Module, pairs: Iterable[tuple[str, str]]) -> None:
    """Works each normalisation into the convolution before it."""
    for conv, norm in pairs:
        before, normalise = network.get_submodule(conv), network.get_submodule(norm)
        assert isinstance(before, nn.Conv2d | nn.ConvTranspose2d)
        assert isinstance(normalise, nn.BatchNorm2d)
        merged = fuse_conv_bn_eval(before, normalise, transpose=isinstance(before, nn.ConvTranspose2d))
        network.set_submodule(conv, merged)
        network.set_submodule(norm, nn.Identity())


class NormalisedGate(nn.Module):
    """A gated convolution and the normalisation after it, whose scale is in the values' half of the weights."""

    shift: Tensor

    def __init__(self, gated: GatedConv, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        self.gate_conv = gated.gate_conv
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        scales = torch.cat([scale, torch.ones_like(scale)])  # the gate's half stays as it is
        transposed = isinstance(self.gate_conv, nn.ConvTranspose2d)
        weight = self.gate_conv.weight * scales.view((1, -1, 1, 1) if transposed else (-1, 1, 1, 1))
        assert self.gate_conv.bias is not None
        self.gate_conv.weight = nn.Parameter(weight, requires_grad=False)
        self.gate_conv.bias = nn.Parameter(self.gate_conv.bias * scales, requires_grad=False)
        self.register_buffer("shift", (norm.bias - norm.running_mean * scale)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        values, gate = self.gate_conv(x).chunk(2, dim=1)
        return torch.addcmul(self.shift.to(values.dtype), values, gate.sigmoid_())


class MergedHead(nn.Module):
    """`Head` with its branches side by side in two convolutions."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        first, last = ([cast(nn.Conv2d, branch.get_submodule(index)) for branch in head.heads] for index in "02")
        self.first = nn.Conv2d(first[0].in_channels, sum(conv.out_channels for conv in first), 3, padding=1)
        self.last = nn.Conv2d(self.first.out_channels, sum(conv.out_channels for conv in last), 1)
        self.first.load_state_dict(
            {name: torch.cat([conv.get_parameter(name) for conv in first]) for name in ("weight", "bias")}
        )
        apart = torch.block_diag(*(conv.weight[:, :, 0, 0] for conv in last))  # no branch sees the others' channels
        bias = torch.cat([conv.get_parameter("bias") for conv in last])
        self.last.load_state_dict({"weight": apart[:, :, None, None], "bias": bias})

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.first(x).relu_())
        return out
