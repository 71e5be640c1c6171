"""ZITS computes what the published networks compute, by stored outputs, and is an engine like the others.

Each network is fed with stored inputs, as the tolerances of the manifest want it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from skimage.color import rgb2gray
from skimage.draw import line_aa
from skimage.feature import canny as reference_canny
from torch import Tensor, nn

import checkpoint_forms as forms
from drawn_scenes import bird, mug
from inpaint_models import get_model
from inpaint_models.errors import Cancelled
from inpaint_models.registry import LoadContext
from inpaint_models.types import FloatImage, HoleMask
from inpaint_models.weights import read_state_dict
from inpaint_models.zits import (
    TEXTURE_CHECKPOINT,
    TEXTURE_FILE,
    TRANSFORMER_CHECKPOINT,
    TRANSFORMER_FILE,
    UPSAMPLER_CHECKPOINT,
    UPSAMPLER_FILE,
    WIREFRAME_CHECKPOINT,
    WIREFRAME_FILE,
    procedure,
)
from inpaint_models.zits.checkpoint import blank_networks, load_networks
from inpaint_models.zits.engine import ZitsEngine, load
from inpaint_models.zits.inference import inference_form
from inpaint_models.zits.lines import Lines, detect, joined, junctions
from inpaint_models.zits.procedure import Networks, Structure, continued, enlargements, known_edges, positions_of
from inpaint_models.zits.sketch import canny, drawn_lines
from parity import goldens, weights

MANIFEST = weights.read_manifest("zits")
SECTIONS = ("wireframe", "edge_line", "structure_upsample", "str_encoder", "generator")
ATOL = MANIFEST["tolerance"]
"""Reached: wireframe maps 3.8e-6, transformer 9.1e-6, upsampler 0, texture 1.3e-6; edges, lines and positions equal."""

UNUSED = {"tspan", "out.0.weight", "out.0.bias", "out.2.weight", "out.2.bias"}
"""Of the published keys: a table of shares, and a branch for training. So are the transformer's triangular masks."""

Published = dict[str, dict[str, Tensor]]


class Goldens(NamedTuple):
    wireframe: goldens.Golden
    structure: goldens.Golden
    upsampler: goldens.Golden
    texture: goldens.Golden


@pytest.fixture(scope="module")
def published() -> Published:
    """The synthetic tensors of each network under their published keys."""
    return {section: forms.tensors_of(weights.state_dict(MANIFEST, section)) for section in SECTIONS}


@pytest.fixture(scope="module")
def networks(published: Published) -> Networks:
    made = blank_networks()
    for network, section in zip(made, SECTIONS, strict=True):
        network.load_state_dict({key: published[section][key] for key in network.state_dict()}, assign=True)
    return made


@pytest.fixture(scope="module")
def fast(networks: Networks) -> Networks:
    return inference_form(deepcopy(networks), torch.device("cpu"), torch.device("cpu"))


@pytest.fixture(scope="module")
def golden() -> Goldens:
    files = ("wireframe_512", "edge_line_256", "structure_upsample", "inpaint_256")
    loaded = [dict(goldens.load("zits", f"golden_{file}")) for file in files]
    loaded[3].update(image=loaded[1]["image"], mask=loaded[1]["mask"])
    return Goldens(*loaded)


def picture(golden: goldens.Golden, suffix: str = "") -> tuple[Tensor, Tensor]:
    image = torch.from_numpy(golden[f"image{suffix}"].copy()).permute(2, 0, 1)[None].float() / 255
    return image, torch.from_numpy(golden[f"mask{suffix}"] > 127)[None, None].float()


def stored_structure(golden: goldens.Golden) -> Structure:
    edge, line = (torch.from_numpy(golden[name].astype(np.float32)) for name in ("edge", "line"))
    return Structure(edge[None, None], line if line.dim() == 4 else line[None, None] / 255)


@torch.inference_mode()
def outputs(networks: Networks, golden: Goldens) -> dict[str, Tensor]:
    """One run of each network on stored inputs."""
    maps, _ = networks.wireframe(*picture(golden.wireframe, "_512"))
    image, mask = picture(golden.structure)
    edge_logits, line_logits = networks.transformer(image * 2 - 1, *stored_structure(golden.structure), mask)
    out = networks.upsampler.logits(torch.from_numpy(golden.upsampler["x"]))
    distance, direction = (torch.from_numpy(golden.texture[name])[None] for name in ("rel_pos", "direct"))
    guidance = networks.encoder(*stored_structure(golden.texture), mask, distance.long(), direction)
    predicted = networks.texture(image, mask, guidance)
    return {
        "head": maps, "edge_logits": edge_logits, "line_logits": line_logits, "out": out, "predicted": predicted,
    }  # fmt: skip


@pytest.fixture(scope="module")
def results(networks: Networks, golden: Goldens) -> dict[str, np.ndarray]:
    """All outputs, and all that modules return."""
    recorded: dict[str, np.ndarray] = {}
    hooks = []
    for network, prefix in zip(networks, ("", "", "", "str_encoder.", "generator."), strict=True):
        for name, module in network.named_modules():
            hooks.append(module.register_forward_hook(keep(f"{prefix}{name}", recorded)))
    made = outputs(networks, golden)
    for hook in hooks:
        hook.remove()
    return recorded | {name: value.numpy() for name, value in made.items()}


def keep(name: str, recorded: dict[str, np.ndarray]) -> Callable[[nn.Module, Any, Any], None]:
    """Tokens are stored as (1, C, H, W) after a block, and as (1, H * W, C) in the tables of positions."""

    def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
        for part, value in enumerate(output if isinstance(output, tuple) else [output]):
            if not isinstance(value, Tensor):
                continue
            if name.startswith("blocks.") and name.count(".") == 1:
                value = value.permute(0, 3, 1, 2)
            if name.endswith("_emb"):
                value = value.flatten(1, 2)
            recorded[f"{name}[{part}]" if isinstance(output, tuple) else name] = value.numpy().copy()

    return record


# --- parity ----------------------------------------------------------------------------------------------------------

OUTPUTS = [
    ("wireframe", "head", "head_max_abs"),
    ("structure", "edge_logits", "logits_max_abs"),
    ("structure", "line_logits", "logits_max_abs"),
    ("upsampler", "out", "structure_upsample_max_abs"),
    ("texture", "predicted", "predicted_max_abs"),
]


@pytest.mark.parametrize(("file", "name", "limit"), OUTPUTS)
def test_each_network_equals_the_reference(
    results: dict[str, np.ndarray], golden: Goldens, file: str, name: str, limit: str
) -> None:
    goldens.assert_close(name, results[name], getattr(golden, file), atol=ATOL[limit])


def test_the_inference_form_equals_the_reference(fast: Networks, golden: Goldens) -> None:
    made = outputs(fast, golden)
    for file, name, limit in OUTPUTS:
        goldens.assert_close(name, made[name].numpy(), getattr(golden, file), atol=ATOL[limit])


def test_every_stored_feature_equals_the_reference(results: dict[str, np.ndarray], golden: Goldens) -> None:
    results["generator.middle"] = results["generator.middle.8"]
    stored = [
        (key.removeprefix("act/").removesuffix("/slice"), file)
        for file in golden
        for key in file
        if key.endswith("/slice")
    ]
    assert len(stored) > 45
    for name, file in stored:
        goldens.assert_close(name, results[name], file, atol=2e-5)


@pytest.mark.parametrize("form", ["networks", "fast"])
@torch.inference_mode()
def test_the_lines_are_those_of_the_reference(form: str, golden: Goldens, request: pytest.FixtureRequest) -> None:
    stored = golden.wireframe
    network = request.getfixturevalue(form).wireframe
    maps, _ = network(*picture(stored, "_512"))
    points, likely = junctions(maps[0])
    assert share_found(points / maps.shape[-1], stored["junctions"]) == 1
    np.testing.assert_allclose(likely.numpy(), stored["junction_scores"], atol=1e-5)
    assert len(joined(maps[0])) == pytest.approx(int(stored["num_proposals"]), rel=0.01)
    found = detect(network, *picture(stored, "_512"))
    with_scores = torch.cat([found.ends / maps.shape[-1], found.scores[:, None]], dim=1)
    assert share_found(with_scores, np.column_stack([stored["lines"], stored["scores"]])) >= 0.99


def share_found(rows: Tensor, reference: np.ndarray) -> float:
    """How many of the reference's rows are there within 1e-4, whatever the order, if there are as many."""
    distances = torch.cdist(torch.from_numpy(reference).double(), rows.double(), p=torch.inf)
    return float((distances.amin(dim=1) < 1e-4).double().mean()) if len(rows) == len(reference) else 0.0


def test_the_stored_lines_are_drawn_as_stored(golden: Goldens) -> None:
    stored = golden.wireframe
    likely = stored["lines"][stored["scores"] > procedure.LIKELY_LINE] * 256
    np.testing.assert_array_equal(np.rint(drawn_lines(likely, 256) * 255), stored["line_map_085"])


@pytest.mark.parametrize("passes", [1, 5])
@torch.inference_mode()
def test_edges_and_lines_are_continued_as_by_the_original(networks: Networks, golden: Goldens, passes: int) -> None:
    stored = golden.structure
    image, hole = picture(stored)
    found = continued(networks.transformer, image, stored_structure(stored), hole, passes)
    if passes == 1:
        np.testing.assert_array_equal(found.edge[0, 0].numpy(), stored["sampled1_edge"])
        goldens.assert_close("sampled1_line", found.line.numpy(), stored, atol=1e-4)
    else:
        assert float(found.edge.sum()) == pytest.approx(float(stored["sampled5_edge_sum"]), rel=1e-3)
        assert float(found.line.double().sum()) == pytest.approx(float(stored["sampled5_line_sum"]), rel=1e-3)


def test_positions_are_those_of_the_reference(golden: Goldens) -> None:
    _, mask = picture(golden.texture)
    found = positions_of(mask)
    np.testing.assert_array_equal(found.distance, golden.texture["rel_pos"])
    np.testing.assert_array_equal(found.direction, golden.texture["direct"])
    oblong = positions_of(torch.from_numpy(golden.texture["mpe_mask"] > 127)[None, None].float())
    np.testing.assert_array_equal(oblong.distance, golden.texture["mpe_rel_pos"])
    np.testing.assert_array_equal(oblong.direction, golden.texture["mpe_direct"])


def test_the_edges_are_those_of_the_reference(golden: Goldens) -> None:
    image, _ = picture(golden.structure)
    np.testing.assert_array_equal(known_edges(image)[0, 0].numpy(), golden.structure["edge"])


# --- edges, lines and positions by themselves ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mug", "bird", "noise", "flat"])
def test_canny_finds_the_edges_that_scikit_image_finds(name: str) -> None:
    noise = np.random.default_rng(0).random((120, 90))
    gray = {"mug": rgb2gray(mug()[0]), "bird": rgb2gray(bird()[0]), "noise": noise, "flat": np.full((60, 80), 0.5)}
    edges = canny(gray[name])
    np.testing.assert_array_equal(edges, reference_canny(gray[name], sigma=3))
    assert edges.any() == (name in ("mug", "bird"))


def test_lines_are_drawn_as_scikit_image_draws_them() -> None:
    rng = np.random.default_rng(1)
    ends = rng.integers(-3, 67, (300, 4))
    ends[:20, 2:] = ends[:20, :2]  # points
    ends[20:40, 2] = ends[20:40, 0]  # upright
    ends[40:60, 3] = ends[40:60, 1]  # level
    ends[60:80, 2:] = ends[60:80, :2] + rng.integers(-9, 9, (20, 1))  # diagonal
    for line in ends:
        x0, y0, x1, y1 = map(int, line)
        rows, columns, values = line_aa(y0, x0, y1, x1)
        inside = (rows >= 0) & (rows < 64) & (columns >= 0) & (columns < 64)
        canvas = np.zeros((64, 64))
        np.maximum.at(canvas, (rows[inside], columns[inside]), values[inside])
        drawn = np.rint(drawn_lines(line[None].astype(np.float32), 64) * 255)
        np.testing.assert_array_equal(drawn, np.floor(canvas * 255), err_msg=str(line))


def test_a_picture_without_lines_has_an_empty_map() -> None:
    assert not drawn_lines(np.zeros((0, 4), np.float32), 16).any()
    far_off = torch.full((9, 8, 8), -20.0)
    far_off[5] = 20  # no pixel is a junction
    assert joined(far_off).shape == (0, 4)
    one = far_off.clone()
    one[5, 3, 3], one[6, 3, 3] = -20, 20
    assert len(junctions(one)[0]) == 1
    assert joined(one).shape == (0, 4)


def test_distances_are_counted_to_the_last_value_of_their_table() -> None:
    found = positions_of(torch.ones(1, 1, 512, 512))
    assert found.distance.min() == found.distance.max() == 127
    assert not found.direction.any()


@pytest.mark.parametrize(("side", "times"), [(256, 0), (288, 1), (512, 1), (544, 2), (1024, 2)])
def test_the_structure_is_enlarged_until_it_is_large_enough(side: int, times: int) -> None:
    assert enlargements(side) == times


# --- files -----------------------------------------------------------------------------------------------------------


def test_keys_and_shapes_are_the_published_ones() -> None:
    for network, section in zip(blank_networks(), SECTIONS, strict=True):
        of_file = weights.shapes(MANIFEST, section)
        wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        left = {key for key in of_file if key not in wanted and not key.endswith(".attn.mask")}
        assert left <= UNUSED, section
        assert wanted.items() <= of_file.items(), section


def torchscript(folder: Path, published: Published) -> dict[str, Path]:
    texture = {f"{section}.{key}": value for section in SECTIONS[3:] for key, value in published[section].items()}
    return {
        WIREFRAME_FILE: forms.write_torchscript(folder / WIREFRAME_FILE, published["wireframe"]),
        TRANSFORMER_FILE: forms.write_torchscript(
            folder / TRANSFORMER_FILE, forms.under("model.", published["edge_line"])
        ),
        UPSAMPLER_FILE: forms.write_torchscript(folder / UPSAMPLER_FILE, published["structure_upsample"]),
        TEXTURE_FILE: forms.write_torchscript(folder / TEXTURE_FILE, texture),
    }


def checkpoints(folder: Path, published: Published) -> dict[str, Path]:
    names = (WIREFRAME_CHECKPOINT, TRANSFORMER_CHECKPOINT, UPSAMPLER_CHECKPOINT)
    files = {
        name: forms.write_pth(folder / name, {"model": published[section]}, legacy=section == "wireframe")
        for name, section in zip(names, SECTIONS, strict=False)
    }
    texture = {"iteration": 7} | {section: published[section] for section in SECTIONS[3:]}
    return files | {TEXTURE_CHECKPOINT: forms.write_pth(folder / TEXTURE_CHECKPOINT, texture)}


@pytest.mark.parametrize("write", [torchscript, checkpoints])
def test_either_set_of_files_fills_all_networks(
    write: Callable[[Path, Published], dict[str, Path]], published: Published, networks: Networks, tmp_path: Path
) -> None:
    read = load_networks(write(tmp_path, published), partial(read_state_dict, allow_torchscript=True))
    for ours, expected in zip(read, networks, strict=True):
        state = ours.state_dict()
        for key, value in expected.state_dict().items():
            assert torch.equal(state[key], value), key


# --- the engine, with the networks of the parity kit ------------------------------------------------------------------

SIDE = 288
"""The structure is enlarged once."""


class Told(NamedTuple):
    """What a progress was told, each once, and the preview that came with the last of each stage."""

    steps: list[tuple[str, int, int]]
    previews: dict[str, FloatImage]


def scene() -> tuple[FloatImage, HoleMask]:
    image = np.divide(bird(SIDE, SIDE)[0], 255, dtype=np.float32)
    hole = np.zeros((SIDE, SIDE), bool)
    hole[80:150, 100:220] = True
    return image, hole


def fill(engine: ZitsEngine, told: Told | None = None, *, stop_at: str = "", **params: Any) -> FloatImage:
    def progress(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
        if told is None:
            return
        if stage == stop_at:
            raise Cancelled
        if (stage, step, total) not in told.steps:
            told.steps.append((stage, step, total))
            if preview is not None:
                told.previews[stage] = preview()

    image, hole = scene()
    return engine.fill(image, hole, params={"passes": 2, "wireframe": True} | params, seed=0, progress=progress)


@pytest.fixture(scope="module")
def engine(published: Published, tmp_path_factory: pytest.TempPathFactory) -> ZitsEngine:
    """From the files of the entry's other set."""
    entry = get_model("zits")
    paths = checkpoints(tmp_path_factory.mktemp("zits"), published)
    assert tuple(paths) == tuple(file.name for file in entry.alternatives[0] if not isinstance(file, str))
    return load(LoadContext(entry=entry, weights=paths, precision="float32"))


@pytest.fixture(scope="module")
def told() -> Told:
    return Told([], {})


@pytest.fixture(scope="module")
def filled(engine: ZitsEngine, told: Told) -> FloatImage:
    return fill(engine, told)


def test_a_fill_is_followed_step_by_step(filled: FloatImage, told: Told) -> None:
    assert filled.shape == (SIDE, SIDE, 3)
    assert 0 <= filled.min() < filled.max() <= 1
    stages = [stage for stage, _, _ in told.steps]
    assert stages == ["lines", "structure", "structure", "enlarging", "guiding", *["filling"] * 10]
    assert [step for _, step, _ in told.steps] == list(range(len(stages)))
    assert {total for _, _, total in told.steps} == {len(stages) - 1}


def test_the_inferred_edges_and_lines_are_the_preview(filled: FloatImage, told: Told) -> None:
    assert set(told.previews) == {"enlarging", "guiding", "filling"}
    for shown in told.previews.values():
        assert shown.shape == filled.shape
        assert shown.max() == 1
        assert shown.min() < 0.5
        np.testing.assert_array_equal(shown[..., 0], shown[..., 2])


def test_the_same_picture_is_filled_the_same_again_after_a_cancelled_fill(
    engine: ZitsEngine, filled: FloatImage
) -> None:
    with pytest.raises(Cancelled):
        fill(engine, Told([], {}), stop_at="structure")
    assert fill(engine).tobytes() == filled.tobytes()


def test_without_the_wireframe_texture_alone_fills(engine: ZitsEngine, filled: FloatImage) -> None:
    told = Told([], {})
    plain = fill(engine, told, wireframe=False)
    assert [stage for stage, _, _ in told.steps] == ["guiding", *["filling"] * 10]
    assert not told.previews
    _, hole = scene()
    assert np.abs(plain - filled)[hole].max() > 0.01


def test_nothing_of_the_hole_reaches_the_networks_but_its_edges(networks: Networks, golden: Goldens) -> None:
    """Canny sees the hole's pixels too, as in the original; what it finds there is blanked before the transformer."""
    image, hole = picture(golden.structure)
    known = stored_structure(golden.structure)
    other = Structure(*(torch.where(hole > 0, 1 - x, x) for x in known))
    with torch.inference_mode():
        first = continued(networks.transformer, image, known, hole, 1)
        second = continued(networks.transformer, torch.where(hole > 0, 1 - image, image), other, hole, 1)
    assert torch.equal(first.edge, second.edge)
    assert torch.equal(first.line, second.line)


def test_half_precision_changes_the_fill_little(fast: Networks) -> None:
    image, hole = scene()
    x = torch.from_numpy(image).permute(2, 0, 1)[None]
    mask = torch.from_numpy(hole)[None, None].float()
    fill = partial(procedure.fill_picture, fast, x, mask, wireframe=False, on_step=lambda stage, found: None)
    with torch.inference_mode():
        difference = (fill(dtype=torch.bfloat16) - fill()).abs()[mask.expand_as(x) > 0]
    assert difference.mean() < 1.5 / 255
    assert difference.max() < 20 / 255


def test_no_lines_are_no_hindrance(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inpaint_models.zits.lines.detect", lambda *_: Lines(torch.zeros(0, 4), torch.zeros(0)))
    assert not procedure.known_lines(networks.wireframe, torch.rand(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)).any()
