"""From a checkpoint in any of the forms people have to the tensors a network asks for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from ..errors import UnsafeWeights, WeightsCorrupted, WeightsMissing
from ..registry import Families, LoadContext, TensorShapes
from . import copies, keys, pickles
from .formats import Format, format_of
from .hash_cache import digests_of

if TYPE_CHECKING:
    from torch import Tensor

NO_FAMILIES: Families = MappingProxyType({})

Reader = Callable[[Path, TensorShapes], "dict[str, Tensor]"]
"""(file, expected shapes) -> state dict."""


def read_state_dict(
    path: Path,
    expected_shapes: TensorShapes,
    *,
    known_hashes: Collection[str] = (),
    families: Families = NO_FAMILIES,
    allow_torchscript: bool = False,
    copies_in: Path | None = None,
) -> dict[str, Tensor]:
    """The tensors that a network expects, under the keys it expects, on the CPU and in the type they are stored in.

    Reads .safetensors, .ckpt and .pth of torch.save, and the state dict of a TorchScript .pt; the bytes tell which,
    not the name. The keys may lie under any one prefix and in nested dictionaries; what is not asked for is ignored.
    BatchNorm counters that a file lacks are 0.

    expected_shapes    every key of the network and its shape; the file must have all of them
    known_hashes       SHA-256 and MD5 sums of TorchScript files that may be opened
    families           what a file that does not fit may be, see `catalog.families`; for the error's message
    allow_torchscript  open a TorchScript file whatever its hash
    copies_in          model folder that keeps a safetensors copy of everything else, to be read from then on

    Raises `WeightsMissing`, `WeightsCorrupted` (damaged, or of another model), `UnsafeWeights`.
    """
    if copies_in is not None and (copy := copies.existing(path, expected_shapes, copies_in)) is not None:
        path, copies_in = copy, None

    def names_of(found: TensorShapes) -> dict[str, str]:
        return keys.matching(found, expected_shapes, path.name, families)

    with _opened(path) as handle:
        form = format_of(handle, path.name)
        if form == "safetensors":
            return _in_order(_read_safetensors(path, names_of), expected_shapes)
        tensors = _read_whole(handle, path.name, form, known_hashes, allow_torchscript)
        names = names_of({key: tuple(tensor.shape) for key, tensor in tensors.items()})
        state = _in_order({key: tensors[there] for key, there in names.items()}, expected_shapes)
        if copies_in is not None:
            copies.keep(path, handle, state, expected_shapes, copies_in)
    return state


def reader_for(context: LoadContext) -> Reader:
    """`read_state_dict` for the files of the model that is being loaded."""
    return partial(
        read_state_dict,
        known_hashes=context.entry.published_sums,
        families=context.families,
        copies_in=context.model_dir,
    )


def read_tensors(
    path: Path, *, known_hashes: Collection[str] = (), allow_torchscript: bool = False
) -> dict[str, Tensor]:
    """Every tensor of a file under its own dotted key. Arguments and errors as `read_state_dict`."""
    with _opened(path) as handle:
        form = format_of(handle, path.name)
        if form == "safetensors":
            return _read_safetensors(path, lambda found: {key: key for key in found})
        return _read_whole(handle, path.name, form, known_hashes, allow_torchscript)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise WeightsMissing(f"There is no file {path.name}.") from error
    except OSError as error:
        raise WeightsCorrupted(f"{path.name} cannot be read: {error.strerror}.") from error


def _read_whole(
    handle: BinaryIO, name: str, form: Format, known_hashes: Collection[str], allow_torchscript: bool
) -> dict[str, Tensor]:
    """TorchScript is a program, so only files whose bytes are known are opened."""
    if form != "torchscript":
        return pickles.load_pickle(handle, name, legacy=form == "legacy pickle")
    sums = None if allow_torchscript else digests_of(handle)
    if sums and sums.sha256 not in known_hashes and sums.md5 not in known_hashes:
        raise UnsafeWeights(
            f"{name} is TorchScript, which is a program, and its SHA-256 {sums.sha256} is not that of a published "
            "file. It was not opened. If you trust it: lama-server convert FILE --model NAME --allow-torchscript"
        )
    return _read_torchscript(handle, name)


def _read_torchscript(handle: BinaryIO, name: str) -> dict[str, Tensor]:
    """The state dict alone; the program is dropped.

    From the open file, whose bytes were checked; and because paths that are not ASCII fail on Windows. Linux has a
    name for an open file, with which torch maps it instead of reading it into memory a second time.
    """
    import torch

    handle.seek(0)
    descriptor = Path("/proc/self/fd") / str(handle.fileno())
    source = str(descriptor) if descriptor.exists() else handle
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(source, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines()[0][:120]
        raise WeightsCorrupted(f"{name} is damaged ({said}). Download it again.") from error
    return {key: tensor.detach() for key, tensor in module.state_dict().items()}


def _read_safetensors(path: Path, names_of: Callable[[TensorShapes], Mapping[str, str]]) -> dict[str, Tensor]:
    """Only the tensors that `names_of` chooses are read, by their names in the file, under those that it gives them."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            return {key: file.get_tensor(there) for key, there in names_of(found).items()}
    except (SafetensorError, OSError) as error:
        raise WeightsCorrupted(f"{path.name} is damaged ({error}). Delete it and download it again.") from error


def _in_order(state: dict[str, Tensor], expected: TensorShapes) -> dict[str, Tensor]:
    """In the network's own order, absent BatchNorm counters as 0."""
    import torch

    return {
        key: state[key] if key in state else torch.zeros(shape, dtype=torch.int64) for key, shape in expected.items()
    }
