"""Turning a checkpoint of any accepted form into safetensors, which can carry no code and loads at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidInput, WeightsCorrupted
from ..folders import default_model_dir
from ..registry import Families, Layout, ModelEntry, TensorShapes
from . import copies, keys
from .hash_cache import HashCache
from .reading import NO_FAMILIES, read_tensors

if TYPE_CHECKING:
    from torch import Tensor

_NETWORK = "state_dict."
"""Where training checkpoints keep the network; what lies beside it is the optimiser's."""


def convert(
    path: Path,
    entry: ModelEntry,
    out: Path | None = None,
    *,
    model_dir: Path | None = None,
    allow_torchscript: bool = False,
    families: Families = NO_FAMILIES,
) -> Path:
    """Writes the tensors of a checkpoint of the model, under the keys they have, as safetensors. Returns where.

    out                where to; None = the model's own folder, from which it is then taken before any other file
    allow_torchscript  open a TorchScript file whose hash is not published
    families           what a file of another model may be, for the error's message

    Raises `InvalidInput` when the model has no weights or `out` exists, else as `read_state_dict`: a file of another
    model is `WeightsCorrupted`. Replaces nothing.
    """
    if not entry.weights:
        raise InvalidInput(f"{entry.title} needs no weights, so there is nothing to convert for it.")
    if not entry.layouts:
        raise InvalidInput(f"{entry.title} is used as it was published. Put it into the model folder as it is.")
    known = entry.published_sums
    tensors = _network_only(read_tensors(path, known_hashes=known, allow_torchscript=allow_torchscript))
    if not tensors:
        raise WeightsCorrupted(f"{path.name} holds no tensors.")
    layout = layout_of(path, {key: tuple(tensor.shape) for key, tensor in tensors.items()}, entry, families)
    home = model_dir or default_model_dir()
    target = out or home / entry.name / f"{Path(layout.file or path).stem}.safetensors"
    if target.exists():
        raise InvalidInput(f"{target} exists. Name another file, or move that one away.")
    target.parent.mkdir(parents=True, exist_ok=True)
    copies.write_safetensors(tensors, target, HashCache(home).measure(path).sha256)
    return target


def _network_only(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    inside = {key.removeprefix(_NETWORK): tensor for key, tensor in tensors.items() if key.startswith(_NETWORK)}
    return inside or tensors


def layout_of(path: Path, found: TensorShapes, entry: ModelEntry, families: Families = NO_FAMILIES) -> Layout:
    """The first of the model's layouts that a file has; where it may be either of several files, that of its name.

    found  key -> shape of every tensor in it

    Raises `WeightsCorrupted` where it has none.
    """
    fitting, refusals = [], []
    for layout in entry.known_layouts():
        try:
            for network in layout.networks:
                keys.matching(found, network, path.name, families)
            fitting.append(layout)
        except WeightsCorrupted as error:
            refusals.append(error)
    if not fitting:
        raise WeightsCorrupted(f"This is no file of {entry.title}: {refusals[0]}")
    named = [layout for layout in fitting if layout.file and Path(layout.file).stem == path.stem]
    return named[0] if named and fitting[0].file else fitting[0]
