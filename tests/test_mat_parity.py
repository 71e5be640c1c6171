"""The MAT generator computes what the published one computes, by stored outputs and stored intermediate features.

At 512 pixels the readable network with the noise maps that the training files have, every intermediate feature
compared, and the inference form without them, loaded through the engine from the file that people download; that form
at 1024 pixels as well, where the styles are stretched.
"""

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import checkpoint_forms as forms
from inpaint_models.mat import ENTRY
from inpaint_models.mat.checkpoint import (
    blank_network,
    constant_shapes,
    load_published,
    published_name,
    published_shapes,
)
from inpaint_models.mat.engine import PUBLISHED, MATEngine, draw, load
from inpaint_models.mat.network import MAT, DropoutMasks, MATConfig, MultiHeadContextualAttention
from inpaint_models.registry import LoadContext
from inpaint_models.weights import read_state_dict
from parity import goldens, weights

MANIFEST = weights.read_manifest("mat")
ATOL = 2e-4
"""The stored values live in [-1, 1]. Reached: 9e-6 by the readable network, 1.2e-5 by the inference form."""

STYLE_ATOL = 1e-5
"""Of values up to 5.3. Eight layers of products in float32, whose order depends on the processor: 3.1e-6 was measured,
and 4.9e-6 in double precision, so that is the reference's own rounding. Mistakes cost 10,000 times the bound or more: a
slope of 0.21 in place of 0.2 costs 0.12, a z that is not normalised 0.28, one bias left out 0.37, truncation towards 0
in place of the mean style 0.46, the learning rate not applied to biases 150. bfloat16 costs 0.05."""

Features = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """The synthetic tensors of a complete published file."""
    return forms.tensors_of(weights.state_dict(MANIFEST, "generator"))


@pytest.fixture(scope="module")
def golden() -> goldens.Golden:
    return goldens.load("mat", "golden_512")


def golden_input(golden: goldens.Golden) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, DropoutMasks]:
    image = torch.from_numpy(golden["image"]).permute(2, 0, 1)[None] / 127.5 - 1
    known = torch.from_numpy(golden["mask"] <= 127).float()[None, None]
    bits = [np.unpackbits(golden[f"drop_keep_stage{stage}"]).astype(np.float32) for stage in (1, 2)]
    keep = DropoutMasks(
        torch.from_numpy(bits[0]).reshape(1, 256, 180), torch.from_numpy(bits[1]).reshape(1, 512, 16, 16)
    )
    return image, known, torch.from_numpy(golden["z"]), keep


@pytest.fixture(scope="module")
def features(published: dict[str, torch.Tensor], golden: goldens.Golden) -> Features:
    """Results of one run of the readable network by the golden file's names."""
    network = blank_network(MATConfig())
    load_published(network, published)
    wanted = stored(golden)
    recorded: Features = {}
    estimates: dict[str, Any] = {}
    for name, module in network.named_modules():
        if name and hasattr(module, "forward"):
            record(network, name, module, wanted, recorded)
    with torch.inference_mode():
        result = network(*golden_input(golden), on_stage=estimates.__setitem__)
        recorded["stage1"] = estimates["refinement"]().numpy()[0]
        recorded["const"] = result.numpy()[0]
        recorded["w"], recorded["w_psi05"] = (
            network.mapping(torch.from_numpy(golden["z"]), truncation).numpy() for truncation in (1.0, 0.5)
        )
    return recorded


def record(network: MAT, name: str, module: nn.Module, wanted: set[str], recorded: Features) -> None:
    """Keep what the module returns under its published name, as "name" or, for the parts of a tuple, "name[i]"."""
    try:
        key = published_name(name, network.config)
    except KeyError:
        return
    key = key.removesuffix(".fc") if key == "synthesis.to_style.fc" else key

    def keep(_module: nn.Module, inputs: Any, output: Any) -> None:
        parts = {f"{key}[{i}]": part for i, part in enumerate(output)} if isinstance(output, tuple) else {key: output}
        for label in parts.keys() & wanted:
            value = parts[label]
            if isinstance(module, MultiHeadContextualAttention):  # stored window by window
                value = module.split(value, inputs[1])[0]
            recorded[label] = value.numpy()  # nothing changes a map in place

    module.register_forward_hook(keep)


def stored(golden: goldens.Golden) -> set[str]:
    """Names of the intermediate features. All have a sample; those of small maps have statistics as well."""
    return {key.removeprefix("act/").removesuffix("/slice") for key in golden if key.endswith("/slice")}


def test_result_and_first_stage_equal_the_reference(features: Features, golden: goldens.Golden) -> None:
    goldens.assert_close("const", features["const"], golden, atol=ATOL)
    goldens.assert_close("stage1", features["stage1"], golden, atol=ATOL)


def test_style_vectors_equal_the_reference_with_and_without_truncation(
    features: Features, golden: goldens.Golden
) -> None:
    goldens.assert_close("w", features["w"], golden, atol=STYLE_ATOL)
    goldens.assert_close("w_psi05", features["w_psi05"], golden, atol=STYLE_ATOL)


def test_every_stored_intermediate_feature_equals_the_reference(features: Features, golden: goldens.Golden) -> None:
    missing = stored(golden) - features.keys()
    assert not missing, f"not recorded: {sorted(missing)}"
    for name in stored(golden):
        goldens.assert_close(name, features[name], golden, atol=ATOL)


def test_known_pixels_are_the_inputs_own(features: Features, golden: goldens.Golden) -> None:
    image, known, _, _ = golden_input(golden)
    inside = known[0, 0] > 0
    np.testing.assert_array_equal(features["const"][:, inside], image[0][:, inside])


def downloaded(published: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors that are in the files people download: no noise."""
    dropped = re.compile(MANIFEST["file"]["drop_keys_regex"])
    return {key: value for key, value in published.items() if not dropped.search(key)}


@pytest.fixture(scope="module")
def engine(published: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> MATEngine:
    path = tmp_path_factory.mktemp("mat") / "Places_512_FullData_G.pth"
    torch.save(downloaded(published), path)
    engine = load(LoadContext(entry=ENTRY, precision="float32", weights={path.name: path}))
    path.unlink()
    return engine


def test_the_inference_form_of_the_downloaded_file_equals_the_reference_without_noise(
    engine: MATEngine, golden: goldens.Golden
) -> None:
    with torch.inference_mode():
        result = engine.network(*golden_input(golden))

    goldens.assert_close("none", result.numpy()[0], golden, atol=ATOL)


def test_at_twice_the_trained_size_styles_are_stretched_as_in_the_reference(engine: MATEngine) -> None:
    """Tokens in one dimension, features in two: tokens stretched in two cost 0.4, 2,000 times the bound.

    The file holds the known pixels and the seed of all noise.
    """
    golden = goldens.load("mat", "golden_1024")
    stored = cv2.imdecode(golden["image_webp"], cv2.IMREAD_COLOR)
    assert stored is not None
    pixels = cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    known = torch.from_numpy(golden["mask"] <= 127).float()[None, None]
    z, tokens, features = map(torch.from_numpy, draw(int(golden["seed"]), 512, PUBLISHED.dropout_shapes((1024, 1024))))
    estimates: dict[str, Any] = {}

    with torch.inference_mode():
        keep = DropoutMasks(tokens, features)
        result = engine.network(image, known, z, keep, on_stage=estimates.__setitem__).numpy()[0]

    hole = (golden["mask"] > 127)[::16, ::16]
    for name, ours in (("stage1", estimates["refinement"]().numpy()[0]), ("none", result)):
        error = np.abs(ours[:, ::16, ::16] - golden[f"{name}__stride16"])[:, hole]
        assert error.max() < ATOL, f"{name}: largest error {error.max():.3g}"


def test_the_half_precision_file_has_the_published_size_and_loads_as_single_precision(
    published: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    (file,) = ENTRY.weights
    half = {key: value.half() for key, value in downloaded(published).items()}
    save_file(half, tmp_path / file.name, metadata={"format": "pt"})
    assert (tmp_path / file.name).stat().st_size == file.size_bytes

    assert_loads(tmp_path / file.name, half)


def test_a_file_with_noise_maps_under_another_prefix_loads_without_them(
    published: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    half = {key: value.half() for key, value in published.items()}
    torch.save({"G_ema": half}, tmp_path / "converted.pth")
    assert_loads(tmp_path / "converted.pth", half)


def assert_loads(path: Path, expected: dict[str, torch.Tensor]) -> None:
    """The file's tensors arrive in the published network, each in its place and in float32."""
    network = blank_network(PUBLISHED)
    load_published(network, read_state_dict(path, published_shapes(network)))
    path.unlink()
    for name, value in network.state_dict().items():
        stored = expected[published_name(name, PUBLISHED)]
        assert value.dtype == torch.float32
        assert torch.equal(value.flatten(), stored.float().flatten()), name


def test_keys_and_shapes_are_those_of_the_published_files() -> None:
    network = blank_network(MATConfig())
    assert published_shapes(network) == weights.shapes(MANIFEST, "generator")


@pytest.mark.parametrize(
    ("mapping_layers", "noise", "keys", "parameters", "buffers"),
    [
        (2, True, 475, 59_986_582, 1_748_800),
        (8, True, 487, 61_562_518, 1_748_800),
        (8, False, 465, 61_562_507, 1_050_176),
    ],
    ids=["the paper's table", "512 checkpoint", "the file people download"],
)
def test_the_number_of_values_is_the_published_one(
    mapping_layers: int, noise: bool, keys: int, parameters: int, buffers: int
) -> None:
    network = blank_network(MATConfig(mapping_layers=mapping_layers, noise=noise))
    constants = sum(int(np.prod(shape)) for shape in constant_shapes(network).values())
    assert len(published_shapes(network)) == keys
    assert sum(value.numel() for value in network.parameters()) == parameters
    assert sum(value.numel() for value in network.buffers()) + constants == buffers
