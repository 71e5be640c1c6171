"""The MI-GAN generator computes what the published one computes, by stored outputs and stored intermediate features."""

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import checkpoint_forms as forms
from inpaint_models.catalog import families
from inpaint_models.errors import UnsafeWeights, WeightsCorrupted
from inpaint_models.migan import ENTRY
from inpaint_models.migan.checkpoint import RESOLUTIONS, read_network
from inpaint_models.migan.inference import InferenceMIGAN
from inpaint_models.migan.network import MIGAN, masked_input
from inpaint_models.nn.torch_engine import on_meta, shapes_of
from inpaint_models.registry import LoadContext, ModelEntry, files_of
from parity import goldens, weights

MANIFEST = weights.read_manifest("migan")
ATOL = 1e-5
"""Of values in [-1, 1]; the manifest allows 2e-4. The readable network reaches 2.7e-6, the inference form 3.4e-6."""

State = dict[str, torch.Tensor]


def published(resolution: int) -> State:
    """The synthetic tensors of a complete published file, constants included."""
    return forms.tensors_of(weights.state_dict(MANIFEST, f"generator_{resolution}"))


@pytest.fixture(scope="module", params=RESOLUTIONS)
def resolution(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def golden(resolution: int) -> goldens.Golden:
    return goldens.load("migan", f"golden_{resolution}")


@pytest.fixture(scope="module")
def network(resolution: int, tmp_path_factory: pytest.TempPathFactory) -> MIGAN:
    path = tmp_path_factory.mktemp("migan") / f"migan_{resolution}_places2.pt"
    torch.save(published(resolution), path)
    return read_network(LoadContext(entry=ENTRY, weights={path.name: path}))


def golden_input(golden: goldens.Golden) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.from_numpy(golden["image"]).permute(2, 0, 1)[None] / 127.5 - 1
    return image, torch.from_numpy(golden["mask"] <= 127).float()[None, None]


def test_result_and_every_stored_feature_equal_the_reference(network: MIGAN, golden: goldens.Golden) -> None:
    recorded: dict[str, Any] = {}

    def keep(name: str, _module: object, _inputs: object, output: Any) -> None:
        if isinstance(output, list):  # the whole encoder
            return
        parts = {f"{name}[{i}]": part for i, part in enumerate(output)} if isinstance(output, tuple) else {name: output}
        recorded.update({label: part.numpy() for label, part in parts.items()})

    hooks = [module.register_forward_hook(partial(keep, name)) for name, module in network.named_modules() if name]
    with torch.inference_mode():
        result = network(masked_input(*golden_input(golden)))
    for hook in hooks:
        hook.remove()

    goldens.assert_close("out", result.numpy(), golden, atol=ATOL)
    stored = {key.removeprefix("act/").removesuffix("/slice") for key in golden if key.endswith("/slice")}
    assert len(stored) > 30
    for name in stored:
        goldens.assert_close(name, recorded[name], golden, atol=ATOL)


def test_the_inference_form_equals_the_reference_in_the_hole(network: MIGAN, golden: goldens.Golden) -> None:
    image, known = golden_input(golden)
    with torch.inference_mode():
        result = InferenceMIGAN(network)(image, known)
    (name,) = (name for name in golden if name.startswith("out__stride"))
    step = int(name.removeprefix("out__stride"))
    hole = (golden["mask"] > 127)[::step, ::step]
    error = np.abs(result.numpy()[..., ::step, ::step] - golden[name])[..., hole]
    assert error.max() < ATOL
    assert torch.equal(result[(known > 0).expand_as(result)], image[(known > 0).expand_as(image)])


def test_keys_shapes_and_counts_are_those_of_the_published_files(resolution: int) -> None:
    entries = MANIFEST["tensors"][f"generator_{resolution}"]
    ours = shapes_of(on_meta(partial(MIGAN, resolution)))
    assert ours == {key: tuple(entry["shape"]) for key, entry in entries.items() if entry["kind"] != "constant"}
    values = {
        kind: sum(np.prod(e["shape"], dtype=int) for e in entries.values() if e["kind"] == kind) for kind in KINDS
    }
    assert values == {kind: MANIFEST["counts"][f"generator_{resolution}"][f"{kind}s"] for kind in KINDS}


KINDS = ("param", "buffer", "constant")


def assert_loads(path: Path, expected: State, entry: ModelEntry = ENTRY) -> None:
    network = read_network(LoadContext(entry=entry, weights={path.name: path}))
    for key, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, expected[key].float()), key


def test_the_traced_file_is_read_where_its_hash_is_published(tmp_path: Path) -> None:
    state = published(512)
    path = forms.write_torchscript(tmp_path / "migan_traced.pt", state)
    with pytest.raises(UnsafeWeights):
        assert_loads(path, state)
    (file,) = files_of(ENTRY.weights)
    entry = replace(ENTRY, weights=(replace(file, md5=hashlib.md5(path.read_bytes()).hexdigest()),))
    assert_loads(path, state, entry=entry)


@pytest.mark.parametrize("prefix", ["", "module.", "generator."])
def test_half_precision_under_any_prefix_is_read(tmp_path: Path, prefix: str) -> None:
    state = {key: value.half() for key, value in published(256).items()}
    path = tmp_path / "migan.safetensors"
    save_file({prefix + key: value.contiguous() for key, value in state.items()}, path)
    assert_loads(path, state)


def test_another_network_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "lama.safetensors"
    save_file({"generator.model.1.ffc.convl2l.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsCorrupted, match="LaMa, but MI-GAN was expected"):
        read_network(LoadContext(entry=ENTRY, weights={path.name: path}, families=families()))
