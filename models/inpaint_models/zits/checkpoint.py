"""The published forms of the weights: four TorchScript files, or the four checkpoints of the original.

The file of the texture network holds the structure encoder too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..nn.torch_engine import on_meta, shapes_of
from ..registry import Layout
from ..weights import Reader, read_state_dict
from . import (
    TEXTURE_CHECKPOINT,
    TEXTURE_FILE,
    TRANSFORMER_CHECKPOINT,
    TRANSFORMER_FILE,
    UPSAMPLER_CHECKPOINT,
    UPSAMPLER_FILE,
    WIREFRAME_CHECKPOINT,
    WIREFRAME_FILE,
)
from .procedure import Networks
from .structure import EdgeLineTransformer, StructureUpsampler
from .texture import StructureEncoder, TextureNetwork
from .wireframe import WireframeDetector

_FILES = (WIREFRAME_FILE, TRANSFORMER_FILE, UPSAMPLER_FILE, TEXTURE_FILE, TEXTURE_FILE)
_CHECKPOINTS = (
    WIREFRAME_CHECKPOINT,
    TRANSFORMER_CHECKPOINT,
    UPSAMPLER_CHECKPOINT,
    TEXTURE_CHECKPOINT,
    TEXTURE_CHECKPOINT,
)
"""Where each of `Networks` is, in either form."""


def load_networks(files: Mapping[str, Path], read: Reader = read_state_dict) -> Networks:
    """All five, from either complete set of files. Raises `WeightsError`."""
    networks = blank_networks()
    for network, name, checkpoint in zip(networks, _FILES, _CHECKPOINTS, strict=True):
        path = files.get(name) or files[checkpoint]
        state = {key: value.clone() for key, value in read(path, shapes_of(network)).items()}
        network.load_state_dict(state, assign=True)
    return networks


def blank_networks() -> Networks:
    """Networks for inference whose tensors have shapes but no memory yet."""
    return Networks(
        on_meta(WireframeDetector),
        on_meta(EdgeLineTransformer),
        on_meta(StructureUpsampler),
        on_meta(StructureEncoder),
        on_meta(TextureNetwork),
    )


def layouts() -> tuple[Layout, ...]:
    """Encoder and texture network in one file, and each other network in a file of its own."""
    wireframe, transformer, upsampler, encoder, texture = map(shapes_of, blank_networks())
    return (
        Layout((encoder, texture), TEXTURE_FILE),
        Layout((wireframe,), WIREFRAME_FILE),
        Layout((transformer,), TRANSFORMER_FILE),
        Layout((upsampler,), UPSAMPLER_FILE),
    )
