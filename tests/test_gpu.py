"""What only a CUDA device can show; run where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bench import networks as bench_networks

from inpaint_models import devices
from inpaint_models.lama.engine import LamaEngine
from inpaint_models.lama.network import FFCResNetGenerator
from inpaint_models.types import no_progress

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("wanted", ["float32", "auto"])
def test_lama_fills_on_the_gpu_as_on_the_processor(wanted: str) -> None:
    torch.manual_seed(0)
    state = FFCResNetGenerator(n_blocks=2, base_channels=8).state_dict()
    image = np.random.default_rng(0).random((128, 160, 3), dtype=np.float32)
    hole = np.zeros((128, 160), bool)
    hole[40:90, 50:110] = True
    params = {"refine": False}
    on_cpu, on_gpu = (
        LamaEngine(lambda: state, device=device, dtype=devices.choose_precision(wanted, device)).fill(
            image, hole, params=params, seed=0, progress=no_progress
        )
        for device in ("cpu", "cuda")
    )
    assert np.abs(on_cpu - on_gpu)[hole].mean() < (1e-4 if wanted == "float32" else 1e-2)


@pytest.mark.parametrize("wireframe", [True, False])
def test_zits_fills_on_the_gpu_as_on_the_processor(wireframe: bool) -> None:
    """In float32. A pixel more or less of an edge is allowed for, which is where rounding meets a threshold."""
    image = np.random.default_rng(0).random((288, 288, 3), dtype=np.float32)
    hole = np.zeros((288, 288), bool)
    hole[80:150, 100:220] = True
    params = {"wireframe": wireframe, "passes": 2}
    on_cpu, on_gpu = (
        bench_networks.engine("zits", device).fill(image, hole, params=params, seed=0, progress=no_progress)
        for device in ("cpu", "cuda")
    )
    assert np.abs(on_cpu - on_gpu)[hole].mean() < (1e-2 if wireframe else 1e-4)
