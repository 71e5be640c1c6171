"""Device and precision are what the machine has, never what it might have."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from inpaint_models import devices, get_model, machine
from inpaint_models.errors import OutOfMemory, Unavailable
from inpaint_models.patchmatch.engine import PatchMatchEngine


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with neither kind of GPU, to be changed by the test."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return monkeypatch


def test_without_a_gpu_the_processor_is_taken(gpus: pytest.MonkeyPatch) -> None:
    assert devices.choose_device("auto") == "cpu"


def test_a_gpu_is_preferred_where_there_is_one(gpus: pytest.MonkeyPatch) -> None:
    gpus.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.choose_device("auto") == "mps"
    gpus.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose_device("auto") == "cuda"
    assert devices.choose_device("cpu") == "cpu"


@pytest.mark.parametrize("wanted", ["cuda", "mps"])
def test_a_gpu_that_is_not_there_is_refused_with_what_is(gpus: pytest.MonkeyPatch, wanted: str) -> None:
    with pytest.raises(Unavailable, match=f"{wanted} cannot be used here.*auto, cpu"):
        devices.choose_device(wanted)


@pytest.mark.parametrize("wanted", ["tpu", "", "cpu:0", "mps:1", "cuda:", "cuda:x", "cuda:-1", "cuda:0,cuda:1"])
def test_an_unknown_kind_of_device_is_refused_with_those_that_exist(wanted: str) -> None:
    with pytest.raises(Unavailable, match="auto, cpu, cuda, mps"):
        devices.choose_device(wanted)


def test_one_of_several_gpus_is_taken_by_its_number(gpus: pytest.MonkeyPatch) -> None:
    gpus.setattr(torch.cuda, "is_available", lambda: True)
    gpus.setattr(torch.cuda, "device_count", lambda: 2)
    assert [devices.choose_device(wanted) for wanted in ("cuda", "cuda:0", "cuda:1")] == ["cuda", "cuda:0", "cuda:1"]
    with pytest.raises(Unavailable, match="the last of 2 GPUs is cuda:1"):
        devices.choose_device("cuda:2")


def test_what_torch_says_of_one_of_several_gpus_is_about_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    @contextmanager
    def as_current(device: str) -> Iterator[None]:
        asked.append(device)
        yield

    monkeypatch.setattr(torch.cuda, "device", as_current)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3_000, 80_000))
    assert devices.choose_precision("auto", "cuda:1") is torch.bfloat16
    assert devices.free_bytes("cuda:1") == 3_000
    assert asked == ["cuda:1", "cuda:1"]


def test_an_engine_without_weights_runs_on_the_processor(gpus: pytest.MonkeyPatch) -> None:
    gpus.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.device_for(get_model("opencv"), "auto") == "cpu"
    assert devices.device_for(get_model("lama"), "auto") == "cuda"


@pytest.mark.parametrize(
    ("feature", "dtype"),
    [("avx2", torch.float32), ("avx512_vnni", torch.float32), ("avx512_bf16", torch.bfloat16),
     ("amx_bf16", torch.bfloat16)],
)  # fmt: skip
def test_a_processor_works_in_bfloat16_if_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, feature: str, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(devices, "processor_features", lambda: {feature: True, "other": False})
    assert devices.choose_precision("auto", "cpu") is dtype


@pytest.mark.parametrize(
    ("bfloat16", "capability", "dtype"),
    [(True, (9, 0), torch.bfloat16), (False, (7, 5), torch.float16), (False, (6, 1), torch.float32)],
)
def test_a_gpu_works_in_the_half_precision_it_has_hardware_for(
    monkeypatch: pytest.MonkeyPatch, bfloat16: bool, capability: tuple[int, int], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert devices.choose_precision("auto", "cuda") is dtype


def test_a_wish_for_a_precision_is_followed() -> None:
    assert devices.choose_precision("float16", "cpu") is torch.float16
    assert devices.choose_precision("auto", "mps") is torch.float32


def test_features_of_this_processor_can_be_asked_for() -> None:
    assert all(isinstance(value, bool) for value in devices.processor_features().values())


def test_fourier_transforms_are_found_by_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.has_fourier_transforms("cpu")

    def missing(_x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("aten::_fft_r2c is not implemented for this device")

    monkeypatch.setattr(torch.fft, "rfft2", missing)
    assert not devices.has_fourier_transforms("cpu")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        MemoryError(),
    ],
)
def test_every_way_to_run_out_of_memory_is_one_error(error: Exception) -> None:
    with pytest.raises(OutOfMemory, match="LaMa on 9000x9000"), devices.out_of_memory_errors("LaMa on 9000x9000"):
        raise error


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="shape"), devices.out_of_memory_errors("LaMa"):
        raise RuntimeError("shape mismatch")


def test_memory_that_torch_holds_ready_on_a_gpu_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3_000, 80_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 50_000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 10_000)
    assert devices.free_bytes("cuda") == 43_000


def test_processors_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 5, 7}, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert machine.available_processors() == 3
    assert PatchMatchEngine().threads == 3
    monkeypatch.setattr(sys, "platform", "darwin")
    assert machine.available_processors() == 64
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert machine.available_processors() == PatchMatchEngine().threads == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "100")
    assert machine.available_processors() == 64


def test_maps_are_channels_last_but_on_mps() -> None:
    layouts = {device: devices.map_layout(device) for device in ("cpu", "cuda", "mps")}
    expected = {"cpu": torch.channels_last, "cuda": torch.channels_last, "mps": torch.contiguous_format}
    assert layouts == expected
