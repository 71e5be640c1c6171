"""The published forms of the weights and how they are named.

Two TorchScript files, one with the line extractor and one with the three other networks; or the four state dicts of the
original. The semantic network is published with spectral normalisation: a weight W as `weight_orig`, with two vectors u
and v, for which the network runs with W / (u W v).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from ..nn.torch_engine import on_meta, shapes_of
from ..registry import Layout, TensorShapes
from ..weights import Reader, read_state_dict
from . import (
    APPEARANCE_CHECKPOINT,
    INPAINTER_FILE,
    LINES_CHECKPOINT,
    LINES_FILE,
    SCREEN_CHECKPOINT,
    SEMANTIC_CHECKPOINT,
)
from .lines import LineExtractor
from .network import AppearanceNetwork, ScreenEncoder, SemanticNetwork
from .procedure import Networks

_NORMALISED = ("encoder", "decoder_scr4", "decoder_scr3", "decoder_scr2", "decoder_l4", "decoder_l3", "decoder_l2")
"""Parts of the semantic network whose convolution has spectral normalisation."""


def load_networks(files: Mapping[str, Path], read: Reader = read_state_dict) -> Networks:
    """All four, from either complete set of files. Raises `WeightsError`."""
    networks = blank_networks()
    inpainter = files.get(INPAINTER_FILE)
    paths = (
        files.get(LINES_FILE) or files[LINES_CHECKPOINT],
        inpainter or files[SCREEN_CHECKPOINT],
        inpainter or files[SEMANTIC_CHECKPOINT],
        inpainter or files[APPEARANCE_CHECKPOINT],
    )
    for network, path in zip(networks, paths, strict=True):
        state = read(path, published_shapes(network))
        network.load_state_dict(without_spectral_norm(network, state), assign=True)
    return networks


def blank_networks() -> Networks:
    """Networks for inference whose tensors have shapes but no memory yet."""
    return Networks(
        on_meta(LineExtractor), on_meta(ScreenEncoder), on_meta(SemanticNetwork), on_meta(AppearanceNetwork)
    )


def published_shapes(network: nn.Module) -> TensorShapes:
    """Published key -> shape."""
    shapes = shapes_of(network)
    for name, convolution in normalised(network).items():
        weight = shapes.pop(f"{name}.weight")
        outputs = weight[output_axis(convolution)]
        shapes[f"{name}.weight_orig"] = weight
        shapes[f"{name}.weight_u"] = (outputs,)
        shapes[f"{name}.weight_v"] = (convolution.weight.numel() // outputs,)
    return shapes


def without_spectral_norm(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with the weights that the normalisation makes."""
    plain = dict(state)
    for name, convolution in normalised(network).items():
        weight, u, v = (plain.pop(f"{name}.weight_{part}").float() for part in ("orig", "u", "v"))
        matrix = weight.movedim(output_axis(convolution), 0).flatten(1)
        plain[f"{name}.weight"] = weight / (u @ matrix @ v)
    return plain


def normalised(network: nn.Module) -> dict[str, nn.Conv2d | nn.ConvTranspose2d]:
    """Name -> convolution, of those that are published with spectral normalisation."""
    if not isinstance(network, SemanticNetwork):
        return {}
    return {
        name: module
        for name, module in network.named_modules()
        if name.startswith(_NORMALISED) and isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    }


def output_axis(convolution: nn.Conv2d | nn.ConvTranspose2d) -> int:
    return 1 if isinstance(convolution, nn.ConvTranspose2d) else 0


def layouts() -> tuple[Layout, ...]:
    """Three networks in one file, and each network in a file of its own."""
    line, screen, semantic, appearance = map(published_shapes, blank_networks())
    return (
        Layout((semantic, appearance, screen), INPAINTER_FILE),
        Layout((line,), LINES_FILE),
        Layout((semantic,), SEMANTIC_CHECKPOINT),
        Layout((appearance,), APPEARANCE_CHECKPOINT),
        Layout((screen,), SCREEN_CHECKPOINT),
    )
