"""Where a network runs and in which number format, by what the machine says it has. Imports torch when asked."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from .errors import OutOfMemory, Unavailable
from .machine import available_bytes, available_processors
from .registry import ModelEntry

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")

_KNOWN = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?", re.ASCII)
_FAST_BFLOAT16 = ("avx512_bf16", "amx_bf16")
"""Processor features with which a bfloat16 convolution takes half the time of a float32 one. Without them oneDNN
converts on the way, and bfloat16 is ten times slower."""
_FIRST_TENSOR_CORES = (7, 0)
_LARGEST_SHARE = 0.8
"""How much of the free memory one piece of work may take."""
_NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")
"""How torch's allocators begin to complain: processor (Linux, macOS), MPS, processor (Windows)."""


def check_name(wanted: str) -> None:
    """Raises `Unavailable` unless that is how a device is called; whether it is there needs torch to find out."""
    if not _KNOWN.fullmatch(wanted):
        raise Unavailable(
            f"There is no kind of device {wanted!r}. Use one of: {', '.join(DEVICES)}; cuda:1 is the second of several "
            "GPUs."
        )


def choose_device(wanted: str = "auto") -> str:
    """ "cpu", "cuda", "cuda:N" or "mps". "auto" takes a GPU where torch can use one. Raises `Unavailable`."""
    check_name(wanted)
    import torch

    usable = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if usable[name])
    kind, _, number = wanted.partition(":")
    here = ", ".join(name for name, is_usable in usable.items() if is_usable)
    if not usable[kind]:
        raise Unavailable(
            f"The device {wanted} cannot be used here: torch {torch.__version__} finds no such GPU. Use one of: "
            f"auto, {here}; or install a build of torch for your GPU."
        )
    if number and int(number) >= torch.cuda.device_count():
        raise Unavailable(
            f"The device {wanted} cannot be used here: the last of {torch.cuda.device_count()} GPUs is "
            f"cuda:{torch.cuda.device_count() - 1}. Use one of: auto, {here}, or a lower number."
        )
    return wanted


def device_for(entry: ModelEntry, wanted: str) -> str:
    """As `choose_device`; an engine without weights, or of ONNX, runs on the processor, and torch is not imported.

    Where this process may use fewer processors than torch thinks, as in a container, torch is told.
    """
    if all(artifact.name.endswith(".onnx") for artifact in entry.weights):
        return "cpu"
    import torch

    if torch.get_num_threads() > available_processors():
        torch.set_num_threads(available_processors())
    return choose_device(wanted)


def choose_precision(wanted: str, device: str) -> torch.dtype:
    """The number format of convolutions. "auto" takes a half precision only where it is fast in hardware.

    cpu   bfloat16 with AVX512-BF16 or AMX, else float32
    cuda  bfloat16 where it is native (Ampere and later), float16 with tensor cores, else float32
    mps   float32
    """
    import torch

    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]
    if device.startswith("cuda"):
        with _asked_about(device):
            if torch.cuda.is_bf16_supported(including_emulation=False):
                return torch.bfloat16
            return torch.float16 if torch.cuda.get_device_capability() >= _FIRST_TENSOR_CORES else torch.float32
    if device == "cpu" and any(processor_features().get(feature) for feature in _FAST_BFLOAT16):
        return torch.bfloat16
    return torch.float32


def processor_features() -> dict[str, bool]:
    """What the processor can do, by name; empty where torch cannot tell."""
    import torch

    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return {name: value for name, value in capabilities.items() if isinstance(value, bool)}


def has_fourier_transforms(device: str) -> bool:
    """Whether torch can do FFTs there; on MPS that depends on the versions of torch and macOS."""
    import torch

    try:
        spectrum = torch.fft.rfft2(torch.ones(1, 4, 4, device=device))
        torch.fft.irfft2(spectrum, s=(4, 4)).cpu()
    except (NotImplementedError, RuntimeError):
        return False
    return True


def map_layout(device: str) -> torch.memory_format:
    """The order in memory of feature maps in which convolutions are fastest.

    On MPS several operators take a part of a channels_last tensor for something else and answer wrongly
    (https://github.com/pytorch/pytorch/issues/180984, https://github.com/pytorch/pytorch/issues/174345).
    """
    import torch

    return torch.contiguous_format if device == "mps" else torch.channels_last


def free_bytes(device: str) -> int:
    """Memory of the device that a fill may take.

    On CUDA with what torch holds ready for its next tensors, which the driver counts as taken.
    """
    if device.startswith("cuda"):
        import torch

        with _asked_about(device):
            return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return available_bytes()


def check_memory(who: str, needed_bytes: int, height: int, width: int, device: str, advice: str) -> None:
    """Raises `OutOfMemory`, with the advice, where most of what is free on the device would not do."""
    free = free_bytes(device)
    if needed_bytes > _LARGEST_SHARE * free:
        whose = "this machine" if device == "cpu" else "the GPU"
        raise OutOfMemory(
            f"{who} needs about {needed_bytes / 2**30:.1f} GiB for {width}x{height} pixels and {free / 2**30:.1f} GiB "
            f"are free on {whose}. {advice}"
        )


def release_memory() -> None:
    """Hands memory that nothing uses any more back to the system and to the GPU."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


@contextmanager
def out_of_memory_errors(what: str) -> Iterator[None]:
    """Turns torch's many ways to say that memory ran out into `OutOfMemory`; `what` begins the sentence."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        said = str(error)
        if isinstance(error, RuntimeError) and not any(phrase in said.lower() for phrase in _NO_MEMORY):
            raise
        raise OutOfMemory(f"{what} does not fit into memory. Use the strategy crop or a smaller max_side.") from error


def _asked_about(device: str) -> AbstractContextManager[object]:
    """Within it, torch's answers are about that GPU; those about "cuda" are about the current one anyway."""
    import torch

    return torch.cuda.device(device) if ":" in device else nullcontext()
