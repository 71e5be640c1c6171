"""What engines around a network in torch share: pixels and tensors, precision, progress, cancelling, errors.

A model's engine is a `TorchEngine` with one method of its own, `run`: crops in, tensor out. Everything between that
and the `Engine` protocol is here.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .. import devices
from ..errors import EngineFailed
from ..registry import LoadContext, TensorShapes
from ..types import FloatImage, HoleMask, ParamValue, Progress, no_progress
from ..weights import reader_for

QUIET_SECONDS = 0.2
"""Between two questions whether the fill is still wanted, while a network runs."""

NetworkT = TypeVar("NetworkT", bound=nn.Module)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops of one size that are filled in one call, with what `Engine.fill` is given besides."""

    images: Sequence[FloatImage]
    holes: Sequence[HoleMask]
    params: Mapping[str, ParamValue]
    seed: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of each crop."""
        height, width = self.holes[0].shape
        return height, width


class TorchEngine(ABC):
    """An engine for one crop at a time. The same arguments and seed give the same values on a device.

    title   as messages name the model
    device  where the network is
    dtype   the network's number format; a fill whose values overflow in it is computed again in float32
    """

    title: str

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self.device = torch.device(device)
        self.dtype = dtype
        self.pulse = Pulse()

    @abstractmethod
    def run(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        """(B, 3, H, W) in [0, 1], computed in `dtype`, with `pulse` told of every step. Values may be NaN or infinite.

        Called a second time, with float32, where they were.
        """

    def fill(
        self,
        image: FloatImage,
        hole: HoleMask,
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage:
        """As the protocol says; a crop without a hole comes back as it is.

        Raises `EngineFailed`, `OutOfMemory`, and what `progress` raises.
        """
        return self._filled(Batch((image,), (hole,), params, seed), progress)[0] if hole.any() else image

    def _filled(self, batch: Batch, progress: Progress) -> list[FloatImage]:
        height, width = batch.size
        with (
            devices.out_of_memory_errors(f"{self.title} on {width}x{height} pixels"),
            self.pulse.telling(progress),
            torch.autocast(self.device.type, enabled=False),  # that of another fill, in whose progress this one runs
        ):
            try:
                return to_images(self.finite(self.run(batch, self.dtype)))
            except EngineFailed:
                if self.dtype == torch.float32:
                    raise
                _LOG.warning("%s overflows in %s; this fill is computed again in float32.", self.title, self.dtype)
            # Outside of the except block, whose traceback holds on to the first try's tensors.
            return to_images(self.finite(self.run(batch, torch.float32)))

    def finite(self, values: Tensor) -> Tensor:
        """The values as they are. Raises `EngineFailed` when there is a NaN or infinity among them."""
        if bool(torch.isfinite(values).all()):
            return values
        raise EngineFailed(
            f"{self.title} gave values that are not numbers (NaN or infinite), so no picture. Try "
            "another seed. If that does not help, the weights may be damaged: run lama-server verify."
        )


class BatchTorchEngine(TorchEngine):
    """An engine whose `run` takes several crops of one size at once."""

    def fill_batch(
        self,
        images: Sequence[FloatImage],
        holes: Sequence[HoleMask],
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> list[FloatImage]:
        """Each crop as `fill` would fill it alone, within rounding. Every crop has a hole; errors as `fill`."""
        return self._filled(Batch(images, holes, params, seed), progress)


class Pulse:
    """Tells a `Progress` where a fill stands, and asks it inside networks whether the fill is still wanted."""

    def __init__(self) -> None:
        self._progress: Progress = no_progress
        self._last = ("", 0, 1)
        self._asked_at = 0.0

    @contextmanager
    def telling(self, progress: Progress) -> Iterator[None]:
        """Tells this one, until the fill has ended."""
        self._progress = progress
        try:
            yield
        finally:
            self._progress = no_progress

    def report(self, stage: str, step: int, total: int, preview: Callable[[], Tensor] | None = None) -> None:
        """`preview` makes the present estimate, (B, 3, H, W) in [0, 1]; of a batch the first crop is shown."""
        self._last, self._asked_at = (stage, step, total), time.monotonic()
        self._progress(stage, step, total, None if preview is None else lambda: to_images(preview())[0])

    def watch(self, modules: Iterable[nn.Module]) -> None:
        """From now on asks before each of the modules runs, though not too often.

        Repeats the last report, because nothing is done yet in between.
        """
        for module in modules:
            module.register_forward_pre_hook(self._ask)

    def _ask(self, _module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        now = time.monotonic()
        if now - self._asked_at >= QUIET_SECONDS:
            self._asked_at = now
            self._progress(*self._last)


# --- pixels and tensors ----------------------------------------------------------------------------------------------


def to_tensors(images: Sequence[FloatImage], holes: Sequence[HoleMask], device: torch.device) -> tuple[Tensor, Tensor]:
    """Crops of one size as a batch: (B, 3, H, W) in [0, 1], and (B, 1, H, W) with 1 = hole, both float32."""
    image = np.stack([image.transpose(2, 0, 1) for image in images])  # (B, 3, H, W)
    mask = np.stack([hole[None] for hole in holes]).astype(np.float32)  # (B, 1, H, W)
    return torch.from_numpy(image).to(device), torch.from_numpy(mask).to(device)


def to_images(x: Tensor) -> list[FloatImage]:
    """(B, 3, H, W) on any device -> (H, W, 3) each, clamped to [0, 1]."""
    return list(x.permute(0, 2, 3, 1).float().clamp(0, 1).contiguous().cpu().numpy())


def to_signed(x: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1], the range of many networks."""
    return x * 2 - 1


def from_signed(x: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1]."""
    return x.add(1).div(2)


# --- networks and their weights --------------------------------------------------------------------------------------


def on_meta(build: Callable[[], NetworkT]) -> NetworkT:
    """The network with shapes but without memory, for inference."""
    with torch.device("meta"):
        return build().eval().requires_grad_(False)


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Key -> shape of its state dict."""
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def read_state(context: LoadContext, expected: TensorShapes) -> dict[str, Tensor]:
    """The state dict from the one file of the model that is being loaded. Raises `WeightsError`."""
    (path,) = context.weights.values()
    return reader_for(context)(path, expected)


def place(network: NetworkT, device: torch.device, dtype: torch.dtype) -> NetworkT:
    """The network on its device, for inference, in the order of memory in which convolutions are fastest."""
    layout = devices.map_layout(device.type)
    network.to(device, dtype, memory_format=layout)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)


def wants_bfloat16(precision: str, device: str) -> bool:
    """Whether "auto", or a half precision by name, means bfloat16 here; for networks that overflow in float16."""
    named = precision in ("bfloat16", "float16")
    return named or devices.choose_precision(precision, device) == torch.bfloat16
