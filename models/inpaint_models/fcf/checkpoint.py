"""The published names of the tensors of `network.FcF`.

A published file holds more: resampling filters, which are constants, and a bias for every synthesis layer, which was
trained with and is never added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ..nn.torch_engine import on_meta
from ..registry import Layout, TensorShapes
from .network import FcF, FcFConfig

PUBLISHED = FcFConfig(noise=False)
"""The noise maps of the files are left out, as IOPaint does: they would lay the same grain over every picture."""

_NAMES = (
    (r"^mapping\.layers\.(\d+)", r"mapping.fc\1"),
    (r"^mapping\.mean_style$", "mapping.w_avg"),
    (r"\.noise\.strength$", ".noise_strength"),
    (r"\.noise\.map$", ".noise_const"),
    (r"\.ffc_skip\b", ".ffc_skip.0"),
    (r"\.ffc_skip\.0\.block\b", ".ffc_skip.0.ffc_act.ffc_block"),
    (r"(\.ffc_block\.conv[12])\.", r"\1.ffc."),
    (r"\.convg2g\.conv1\b", ".convg2g.conv1.0"),
)
"""Our words, as patterns, and the published ones."""


def published_name(name: str) -> str:
    """The published key of one of the network's tensors or modules."""
    for ours, published in _NAMES:
        name = re.sub(ours, published, name)
    return name


def published_shapes(network: FcF) -> TensorShapes:
    """Published key -> shape of every tensor that the network needs."""
    return {published_name(name): tuple(value.shape) for name, value in network.state_dict().items()}


def load_published(network: FcF, tensors: Mapping[str, Tensor]) -> None:
    """Give the network the tensors of a published file, widened to single precision; it may be on the meta device."""
    state = {name: tensors[published_name(name)].float() for name in network.state_dict()}
    network.load_state_dict(state, assign=True)


def blank_network(config: FcFConfig = PUBLISHED) -> FcF:
    """A network for inference whose tensors have shapes but no memory yet."""
    return on_meta(lambda: FcF(config))


def layouts() -> tuple[Layout, ...]:
    """The generator; averaged under "G_ema." in converted training files."""
    return (Layout((published_shapes(blank_network()),)),)
