"""Manga inpainting computes what the published networks compute, by stored outputs, and is an engine like the others.

Each network is fed with the stored output of the one before it, as the tolerances of the manifest want it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import checkpoint_forms as forms
from inpaint_models import get_model
from inpaint_models.errors import Cancelled
from inpaint_models.manga import (
    APPEARANCE_CHECKPOINT,
    INPAINTER_FILE,
    LINES_CHECKPOINT,
    LINES_FILE,
    SCREEN_CHECKPOINT,
    SEMANTIC_CHECKPOINT,
)
from inpaint_models.manga.checkpoint import blank_networks, load_networks, published_shapes, without_spectral_norm
from inpaint_models.manga.engine import LUMA, MangaEngine, load, start_noise
from inpaint_models.manga.network import AppearanceNetwork, ContextualAttention
from inpaint_models.manga.procedure import Networks, eroded, fill_page, masks_of_passes, whitened, within
from inpaint_models.registry import LoadContext
from inpaint_models.types import FloatImage, HoleMask, no_progress
from inpaint_models.weights import read_state_dict
from parity import goldens, weights

MANIFEST = weights.read_manifest("manga")
SECTIONS = ("line", "screen_enc", "semantic", "manga")
ATOL = MANIFEST["tolerance"]
"""Reached: lines 4.4e-4 of 255, screen map 1.6e-6, semantic network 1.4e-6, page 7.7e-6, after five passes 1.5e-5."""

Published = dict[str, dict[str, Tensor]]


@pytest.fixture(scope="module")
def published() -> Published:
    """The synthetic tensors of each network under their published keys."""
    return {section: forms.tensors_of(weights.state_dict(MANIFEST, section)) for section in SECTIONS}


@pytest.fixture(scope="module")
def networks(published: Published) -> Networks:
    made = blank_networks()
    for network, section in zip(made, SECTIONS, strict=True):
        network.load_state_dict(without_spectral_norm(network, published[section]), assign=True)
    return made


@pytest.fixture(scope="module")
def golden() -> goldens.Golden:
    return goldens.load("manga", "golden_128x160")


def page(golden: goldens.Golden) -> tuple[Tensor, Tensor, Tensor]:
    """The grey page in [-1, 1], its mask and the stored noise."""
    gray = torch.from_numpy(golden["gray"]).float()[None, None] / 127.5 - 1
    return gray, torch.from_numpy(golden["mask"] > 127).float()[None, None], torch.from_numpy(golden["noise"])


@pytest.fixture(scope="module")
def results(networks: Networks, golden: goldens.Golden) -> dict[str, np.ndarray]:
    """One run of each network on the stored output of the one before it, with all that its modules return."""
    recorded: dict[str, np.ndarray] = {}
    hooks = []
    for network, section in zip(networks, SECTIONS, strict=True):
        for name, module in network.named_modules():
            hooks.append(module.register_forward_hook(keep(f"{section}.{name}", recorded)))
    gray, mask, noise = page(golden)
    stored = {key: torch.from_numpy(golden[key]) for key in ("line", "screen", "semantic_screen", "semantic_line")}
    white = whitened(gray, mask)
    line = whitened(stored["line"].clamp(0, 255) / 127.5 - 1, mask)
    with torch.inference_mode():
        made = {
            "line": networks.line((gray + 1) * 127.5),
            "screen": networks.screen(white, line),
            "out": networks.appearance(white, stored["semantic_screen"], stored["semantic_line"], mask),
        }
        made["semantic_screen"], made["semantic_line"] = networks.semantic(stored["screen"], line, mask, noise)
    for hook in hooks:
        hook.remove()
    return recorded | {name: value.numpy() for name, value in made.items()}


def keep(name: str, recorded: dict[str, np.ndarray]) -> Callable[[nn.Module, Any, Any], None]:
    def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            recorded[name] = output.numpy().copy()

    return record


# --- parity ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("line", "line_max_abs"),
        ("screen", "screen_max_abs"),
        ("semantic_screen", "semantic_max_abs"),
        ("semantic_line", "semantic_max_abs"),
        ("out", "out_max_abs"),
    ],
)
def test_each_network_equals_the_reference(
    results: dict[str, np.ndarray], golden: goldens.Golden, name: str, limit: str
) -> None:
    goldens.assert_close(name, results[name], golden, atol=ATOL[limit])


def test_every_stored_feature_equals_the_reference(results: dict[str, np.ndarray], golden: goldens.Golden) -> None:
    stored = {key.removeprefix("act/").removesuffix("/slice") for key in golden if key.endswith("/slice")}
    assert len(stored) > 30
    for name in stored:
        goldens.assert_close(name, results[name], golden, atol=2e-4)


def test_five_passes_equal_the_original_procedure(networks: Networks, golden: goldens.Golden) -> None:
    gray, mask, noise = page(golden)
    screen = torch.from_numpy(golden["screen"])
    line = whitened(torch.from_numpy(golden["line"]).clamp(0, 255) / 127.5 - 1, mask)
    with torch.inference_mode():
        for unknown, stored in zip(masks_of_passes(mask, 5), golden["step_masks"], strict=True):
            np.testing.assert_array_equal(unknown.numpy()[0, 0] * 2, stored)
            drawn = networks.semantic(screen, line, unknown, noise)
            screen, line = within(drawn[0], screen, mask), within(drawn[1], line, mask)
        out = networks.appearance(whitened(gray, mask), *drawn, mask)
    np.testing.assert_allclose(drawn[0].numpy()[..., ::2, ::2], golden["semantic5_screen"], atol=1e-4)
    np.testing.assert_allclose(drawn[1].numpy(), golden["semantic5_line"], atol=1e-4)
    np.testing.assert_allclose(out.numpy(), golden["out5"], atol=ATOL["out_max_abs"])


@pytest.mark.parametrize("form", ["plain", "as the engine runs it"])
@pytest.mark.parametrize(("passes", "name"), [(1, "out"), (5, "out5")])
def test_the_whole_procedure_gives_the_reference_page(
    networks: Networks, engine: MangaEngine, golden: goldens.Golden, passes: int, name: str, form: str
) -> None:
    networks = networks if form == "plain" else engine.networks
    steps: list[str] = []
    gray, mask, noise = page(golden)
    with torch.inference_mode():
        made = fill_page(networks, gray, mask, noise, passes=passes, on_step=lambda stage, page: steps.append(stage))
    np.testing.assert_allclose(made.numpy(), golden[name], atol=ATOL["out_max_abs"])
    assert steps == ["lines", "screen", *["semantics"] * passes, "appearance"]


# --- files -----------------------------------------------------------------------------------------------------------


def test_keys_and_shapes_are_the_published_ones() -> None:
    for network, section in zip(blank_networks(), SECTIONS, strict=True):
        assert published_shapes(network) == weights.shapes(MANIFEST, section), section


def torchscript(folder: Path, published: Published) -> dict[str, Path]:
    parts = {"screen_enc": "svae.", "semantic": "semantic.", "manga": "generator."}
    together = {prefix + key: value for name, prefix in parts.items() for key, value in published[name].items()}
    return {
        INPAINTER_FILE: forms.write_torchscript(folder / INPAINTER_FILE, together),
        LINES_FILE: forms.write_torchscript(folder / LINES_FILE, published["line"]),
    }


def state_dicts(folder: Path, published: Published) -> dict[str, Path]:
    semantic, manga = ({"generator": forms.under("module.", published[name])} for name in ("semantic", "manga"))
    return {
        LINES_CHECKPOINT: forms.write_pth(folder / LINES_CHECKPOINT, published["line"], legacy=True),
        SCREEN_CHECKPOINT: forms.write_pth(folder / SCREEN_CHECKPOINT, published["screen_enc"]),
        SEMANTIC_CHECKPOINT: forms.write_pth(folder / SEMANTIC_CHECKPOINT, semantic),
        APPEARANCE_CHECKPOINT: forms.write_pth(folder / APPEARANCE_CHECKPOINT, manga),
    }


@pytest.mark.parametrize("write", [torchscript, state_dicts])
def test_either_set_of_files_fills_all_four_networks(
    write: Callable[[Path, Published], dict[str, Path]], published: Published, networks: Networks, tmp_path: Path
) -> None:
    read = load_networks(write(tmp_path, published), partial(read_state_dict, allow_torchscript=True))
    for ours, expected in zip(read, networks, strict=True):
        state = ours.state_dict()
        for key, value in expected.state_dict().items():
            assert torch.equal(state[key], value), key


def test_the_loader_takes_the_files_of_the_entry(published: Published, tmp_path: Path, golden: goldens.Golden) -> None:
    entry = get_model("manga")
    paths = state_dicts(tmp_path, published)
    assert tuple(paths) == tuple(file.name for file in entry.alternatives[0])
    made = load(LoadContext(entry=entry, weights=paths))
    image = (golden["gray"][..., None].repeat(3, axis=2) / 255).astype(np.float32)
    filled = made.fill(image, golden["mask"] > 127, params={"passes": 5}, seed=3, progress=no_progress)
    assert filled.shape == (128, 160, 3)


# --- the engine, with the networks of the parity kit ------------------------------------------------------------------

SIDE = 64


@pytest.fixture(scope="module")
def engine(networks: Networks) -> MangaEngine:
    return MangaEngine(copy.deepcopy(networks))


def picture() -> FloatImage:
    return np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32)


def hole() -> HoleMask:
    made = np.zeros((SIDE, SIDE), bool)
    made[20:40, 24:44] = True
    return made


def fill(engine: MangaEngine, **changes: Any) -> FloatImage:
    arguments: dict[str, Any] = {"params": {"passes": 2}, "seed": 0, "progress": no_progress} | changes
    return engine.fill(picture(), hole(), **arguments)


def test_a_coloured_page_gets_a_grey_fill(engine: MangaEngine) -> None:
    filled = fill(engine)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[..., 0], filled[..., 1])
    np.testing.assert_array_equal(filled[..., 0], filled[..., 2])
    assert 0 <= filled.min() < filled.max() <= 1


def test_the_seed_decides_the_noise_for_good(engine: MangaEngine) -> None:
    assert fill(engine, seed=1).tobytes() == fill(engine, seed=1).tobytes()
    assert fill(engine, seed=1).tobytes() != fill(engine, seed=2).tobytes()
    assert start_noise(5, 2, 2).flatten().tolist() == pytest.approx([-0.343, -2.0994, -0.1668, 1.0996], abs=1e-4)


def test_every_pass_is_a_step_and_a_fill_stops_there(engine: MangaEngine) -> None:
    told: list[tuple[str, int, int]] = []

    def progress(stage: str, step: int, total: int, preview: object = None) -> None:
        if (stage, step, total) not in told:
            told.append((stage, step, total))
        if step == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        fill(engine, progress=progress)
    assert told == [("lines", 0, 5), ("screen", 1, 5), ("semantics", 2, 5), ("semantics", 3, 5)]


def test_from_the_second_pass_on_the_lines_drawn_so_far_are_the_preview(engine: MangaEngine) -> None:
    shown: dict[int, FloatImage] = {}

    def progress(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        if preview is not None:
            shown[step] = preview()

    fill(engine, progress=progress)
    assert list(shown) == [3, 4]
    grey = picture() @ np.array(LUMA, np.float32)
    for preview in shown.values():
        np.testing.assert_allclose(preview[~hole()], np.repeat(grey[~hole()][:, None], 3, axis=1), atol=1e-5)
    assert not np.array_equal(shown[3], shown[4])


def test_the_hole_shrinks_with_each_pass_and_never_vanishes_from_the_mask() -> None:
    mask = torch.from_numpy(hole()).float()[None, None]
    made = list(masks_of_passes(mask, 5))
    assert torch.equal(made[0], mask)
    areas = [int((step == 1).sum()) for step in made]
    assert areas == sorted(areas, reverse=True)
    assert all(torch.equal((step > 0).float(), mask) for step in made)
    assert eroded(mask).sum() == (20 - 6) ** 2


def test_attention_copies_nothing_from_the_hole() -> None:
    x = torch.rand(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 32:, :] = 1
    x[:, :, 8:] = 9.0
    attend = ContextualAttention()
    assert attend(x, mask).max() <= 1
    assert not attend(x, torch.ones_like(mask)).any()


def test_the_appearance_network_sees_nothing_of_the_hole(networks: Networks) -> None:
    appearance = networks.appearance
    assert isinstance(appearance, AppearanceNetwork)
    stream = torch.Generator().manual_seed(0)
    gray, line = (torch.rand(1, 1, SIDE, SIDE, generator=stream) for _ in range(2))
    screen = torch.rand(1, 4, SIDE, SIDE, generator=stream)
    mask = torch.from_numpy(hole()).float()[None, None]
    with torch.inference_mode():
        assert torch.equal(appearance(gray, screen, line, mask), appearance(gray + mask, screen, line, mask))
