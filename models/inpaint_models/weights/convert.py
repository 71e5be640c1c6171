"""Turning a checkpoint of any accepted form into safetensors, which can carry no code and loads at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidInput, WeightsCorrupted
from ..registry import ModelEntry
from . import copies
from .folders import default_model_dir
from .ledger import Ledger
from .reading import read_tensors

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
) -> Path:
    """Writes the tensors of a checkpoint, under the keys they have, as safetensors. Returns where.

    out                where to; None = the model's own folder, from which it is then taken before any other file
    allow_torchscript  open a TorchScript file whose hash nobody published

    Raises `InvalidInput` when `out` exists, else as `read_state_dict`. Replaces nothing.
    """
    home = model_dir or default_model_dir()
    target = out or home / entry.name / f"{path.stem}.safetensors"
    if target.exists():
        raise InvalidInput(f"{target} exists. Name another file, or move that one away.")
    tensors = _network_only(read_tensors(path, allow_torchscript=allow_torchscript))
    if not tensors:
        raise WeightsCorrupted(f"{path.name} holds no tensors.")
    target.parent.mkdir(parents=True, exist_ok=True)
    copies.write_safetensors(tensors, target, Ledger(home).measure(path).sha256)
    return target


def _network_only(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    inside = {key.removeprefix(_NETWORK): tensor for key, tensor in tensors.items() if key.startswith(_NETWORK)}
    return inside or tensors
