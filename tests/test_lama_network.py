"""The LaMa generator computes what the published one computes, by stored outputs and stored intermediate features."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inpaint_models.lama.network import FFCResNetGenerator, masked_input
from inpaint_models.nn.ffc import FourierUnit
from parity import goldens, weights

MANIFEST = weights.read_manifest("lama")


def generator(section: str, n_blocks: int) -> FFCResNetGenerator:
    """The network with the synthetic weights of a manifest section, none of them copied."""
    with torch.device("meta"):
        network = FFCResNetGenerator(n_blocks)
    tensors = weights.state_dict(MANIFEST, section)
    state = {key.removeprefix("generator."): torch.from_numpy(value) for key, value in tensors.items()}
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def golden_input(golden: goldens.Golden) -> torch.Tensor:
    image = torch.from_numpy(golden["image"]).permute(2, 0, 1)[None] / 255
    mask = torch.from_numpy(golden["mask"] > 127).float()[None, None]
    return masked_input(image, mask)


def record_features(network: nn.Module, x: torch.Tensor, names: set[str]) -> dict[str, np.ndarray]:
    """What the named modules return, as "name" or, for the parts of a pair, "name[0]" and "name[1]"."""
    features: dict[str, np.ndarray] = {}

    def recorder(name: str) -> Any:
        def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
            parts = output if isinstance(output, tuple) else (output,)
            # Layers before the split are stored as the first part of a pair whose second part is empty.
            candidates = {name: parts[0]} | {f"{name}[{index}]": part for index, part in enumerate(parts)}
            features.update({key: part.clone().numpy() for key, part in candidates.items() if key in names})

        return record

    hooks = [module.register_forward_hook(recorder(f"generator.{name}")) for name, module in network.named_modules()]
    with torch.inference_mode():
        features["predicted"] = network(x).numpy()
    for hook in hooks:
        hook.remove()
    return features


@pytest.mark.parametrize(
    ("section", "n_blocks", "file"),
    [("generator", 18, "golden_256"), ("lama_fourier", 9, "golden_fourier_128x192")],
)
def test_output_and_intermediate_features_equal_the_reference(section: str, n_blocks: int, file: str) -> None:
    golden = goldens.load("lama", file)
    stored = {key[len("act/") : -len("/stats")] for key in golden if key.endswith("/stats")}

    features = record_features(generator(section, n_blocks), golden_input(golden), stored)

    assert stored < features.keys(), f"not recorded: {sorted(stored - features.keys())}"
    for name, value in features.items():
        goldens.assert_close(name, value, golden, atol=1e-4)


@pytest.mark.parametrize(("section", "n_blocks"), [("generator", 18), ("lama_fourier", 9)])
def test_keys_and_shapes_are_those_of_the_published_files(section: str, n_blocks: int) -> None:
    with torch.device("meta"):
        network = FFCResNetGenerator(n_blocks)
    ours = {f"generator.{key}": tuple(value.shape) for key, value in network.state_dict().items()}
    assert ours == weights.shapes(MANIFEST, section)
    assert sum(p.numel() for p in network.parameters()) == MANIFEST["counts"][section]["params"]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 64), (40, 16)])
def test_the_prediction_has_the_size_of_the_picture(height: int, width: int) -> None:
    torch.manual_seed(0)
    network = FFCResNetGenerator(n_blocks=1, base_channels=4).eval()
    with torch.inference_mode():
        predicted = network(torch.rand(1, 4, height, width))
    assert predicted.shape == (1, 3, height, width)
    assert predicted.min() > 0
    assert predicted.max() < 1


def test_front_blocks_and_upsampling_are_the_parts_of_the_network() -> None:
    torch.manual_seed(0)
    network = FFCResNetGenerator(n_blocks=2, base_channels=4).eval()
    x = torch.rand(1, 4, 32, 48)
    with torch.inference_mode():
        features = network.front(x)
        assert features.local.shape == (1, 8, 4, 6)
        assert features.global_.shape == (1, 24, 4, 6)
        for index in range(network.n_blocks):
            features = network.block(index, features)
        torch.testing.assert_close(network.upsample(features), network(x), rtol=0, atol=0)


def test_one_pixel_changes_every_output_of_a_fourier_unit() -> None:
    torch.manual_seed(0)
    unit = FourierUnit(4).eval()
    x = torch.rand(1, 4, 12, 10)
    changed = x.clone()
    changed[0, 2, 5, 3] += 1
    with torch.inference_mode():
        difference = (unit(changed) - unit(x)).abs().amax(dim=1)
    assert difference.min() > 0
