"""Checkpoints of torch.save, read without running or importing anything that they name.

Two lines of defence. First the pickle's opcodes are listed without executing them, and every class or function it
names has to be on the lists below. Then torch.load(weights_only=True) reads it, with inert stand-ins in place of what
training frameworks left in the file (optimiser settings, callbacks), so that neither they nor their code are needed.

The second line looks names up in a table and imports nothing. Both known ways around it are closed in the torch that we
require: running code from the old tar format (CVE-2025-32434, until 2.5) and corrupting memory by opcodes on objects
of the wrong kind (CVE-2026-24747, until 2.9). So today the first line mends no known hole. It is kept because it
executes no opcode at all, because the next hole is not known yet, and because its list of names is needed anyway: to
register the stand-ins, and to say in the refusal what the file wanted.
https://docs.pytorch.org/docs/stable/generated/torch.load.html
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from ..errors import UnsafeWeights, WeightsCorrupted
from .formats import members_of

if TYPE_CHECKING:
    from torch import Tensor

MAX_PICKLE_BYTES = 64 << 20
"""Largest pickle that is looked at; the tensors' values are not part of it."""

_STORAGES = ("Float", "Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool")
_TENSORS = frozenset(
    {
        "collections.OrderedDict",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.Size",
        "torch.device",
        "_codecs.encode",
        *(f"torch.{kind}Storage" for kind in _STORAGES),
        *(
            f"torch.{dtype}"
            for dtype in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool")
        ),
    }
)
"""What a state dict consists of. torch allows these itself."""

_STAND_INS = frozenset(
    {
        "argparse.Namespace",
        "copyreg._reconstructor",
        "numpy.dtype",
        "numpy.ndarray",
        "typing.Any",
        *(f"builtins.{kind.__name__}" for kind in (bool, complex, dict, float, int, list, object, set, str, tuple)),
        *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    }
)
_STAND_IN_PACKAGES = ("pytorch_lightning.", "lightning.", "lightning_fabric.", "omegaconf.", "pathlib.")
_STAND_IN_DICTS = frozenset(
    {
        "collections.defaultdict",
        "pytorch_lightning.utilities.parsing.AttributeDict",
        "lightning.fabric.utilities.data.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict",
    }
)
"""Dictionaries of these classes become plain ones."""

_PYTHON_2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_PYTHON_2_NAMES = {"builtins.long": "builtins.int", "builtins.unicode": "builtins.str"}
"""torch.save writes protocol 2, which calls things as Python 2 did."""

_NAMING_OPCODES = frozenset({"INST", "OBJ", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "NEWOBJ_EX", "PERSID"})
"""Ways to name a class that torch.save does not use, and that hide the name from the first line of defence."""


class Inert:
    """Takes the place of an object that is not needed. Holds nothing and does nothing."""

    def __new__(cls, *_: object) -> Inert:
        return super().__new__(cls)

    def __setstate__(self, _: object) -> None:
        """Throws the state away."""


def load_pickle(handle: BinaryIO, name: str, *, legacy: bool) -> dict[str, Tensor]:
    """Every tensor of the file, nested dictionaries joined by dots. Raises `UnsafeWeights`, `WeightsCorrupted`."""
    import torch

    names = _names_in_legacy(handle, name) if legacy else _names_in_zip(handle, name)
    stand_ins = [_stand_in(full) for full in sorted(names - _TENSORS) if _allowed(full, name)]
    handle.seek(0)
    try:
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(handle, map_location="cpu", weights_only=True)
    # torch passes on whatever its unpickler stumbled over: KeyError, struct.error, EOFError, RuntimeError ...
    except Exception as error:  # noqa: BLE001
        _refuse_damaged(name, error)
    return dict(_tensors(content, ""))


def _refuse_damaged(name: str, error: Exception) -> NoReturn:
    said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    raise WeightsCorrupted(f"{name} cannot be read ({said}). It is damaged: download it again.") from error


def _allowed(full: str, name: str) -> bool:
    if full in _STAND_INS or full in _STAND_IN_DICTS or full.startswith(_STAND_IN_PACKAGES):
        return True
    raise UnsafeWeights(
        f"{name} names {ascii(full)[1:-1][:80]}, which no file of weights needs and which could run code. It was not "
        "opened. Use a .safetensors file, or convert this one on a machine where you trust it."
    )


def _stand_in(full: str) -> Callable[..., Any] | tuple[Callable[..., Any], str]:
    if full in _STAND_IN_DICTS:  # called (a defaultdict) or instantiated (an AttributeDict), it yields an empty dict
        return type(full.rpartition(".")[2], (), {"__new__": lambda cls, *_: {}}), full
    return type("Inert", (Inert,), {}), full


def _names_in_zip(handle: BinaryIO, name: str) -> set[str]:
    names: set[str] = set()
    try:
        with zipfile.ZipFile(handle) as archive:
            for member in members_of(handle, name):
                if member.filename.lower().endswith(".pkl"):
                    _check_length(member.file_size, name)
                    names |= set(_names(io.BytesIO(archive.read(member)), name))
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        _refuse_damaged(name, error)
    return names


def _names_in_legacy(handle: BinaryIO, name: str) -> set[str]:
    """Before torch 1.6 a file was five pickles (mark, version, system, object, storage keys), then raw values."""
    handle.seek(0)
    names: set[str] = set()
    for _ in range(5):
        names |= set(_names(handle, name))
        _check_length(handle.tell(), name)
    return names


def _check_length(length: int, name: str) -> None:
    if length > MAX_PICKLE_BYTES:
        raise UnsafeWeights(f"{name} holds a pickle of {length >> 20} MiB, which no file of weights needs. Refused.")


def _names(pickle: BinaryIO, name: str) -> Iterator[str]:
    """Full names of all classes and functions that a pickle refers to; executes nothing."""
    try:
        for opcode, argument, _ in pickletools.genops(pickle):
            if opcode.name == "GLOBAL":
                module, _, attribute = str(argument).partition(" ")
                full = f"{_PYTHON_2_MODULES.get(module, module)}.{attribute}"
                yield _PYTHON_2_NAMES.get(full, full)
            elif opcode.name in _NAMING_OPCODES:
                raise UnsafeWeights(f"{name} holds a pickle that torch.save did not write ({opcode.name}). Refused.")
    except (ValueError, OverflowError, MemoryError) as error:
        _refuse_damaged(name, error)


def _tensors(content: object, start: str) -> Iterator[tuple[str, Tensor]]:
    """Dotted key and tensor, however deep: {"state_dict": {"a.weight": t}} gives "state_dict.a.weight"."""
    import torch

    if isinstance(content, torch.Tensor):
        yield start, content.detach()
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _tensors(value, f"{start}.{key}" if start else str(key))
