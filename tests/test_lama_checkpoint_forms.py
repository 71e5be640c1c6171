"""Each form in which LaMa's weights are published, written here under its published keys, loads into the network.

With the synthetic weights of lama-fourier, which has the layers of big-LaMa and half its size.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import checkpoint_forms as forms
from inpaint_models.lama.network import FFCResNetGenerator, masked_input
from inpaint_models.registry import Licence, ModelEntry, WeightsFile
from inpaint_models.weights import download, read_state_dict
from parity import goldens
from parity import weights as synthetic

BLOCKS = 9


MANIFEST = synthetic.read_manifest("lama")
KEYS = frozenset(key.removeprefix("generator.") for key in synthetic.shapes(MANIFEST, "lama_fourier"))


def published(keys: Collection[str]) -> dict[str, Tensor]:
    """Keys as the network has them: model.1.ffc ..."""
    names = [name for name in synthetic.shapes(MANIFEST, "lama_fourier") if name.removeprefix("generator.") in keys]
    arrays = synthetic.state_dict(MANIFEST, "lama_fourier", names)
    return {name.removeprefix("generator."): torch.from_numpy(array) for name, array in arrays.items()}


def network(state: dict[str, Tensor] | None = None) -> FFCResNetGenerator:
    with torch.device("meta"):
        made = FFCResNetGenerator(BLOCKS)
    if state is not None:
        made.load_state_dict(state, strict=True, assign=True)
    return made.eval().requires_grad_(False)


class Exported(nn.Module):
    """How the public exporter wraps the network: it takes (image, mask) and composites."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        predicted: Tensor = self.model(masked_input(image, mask))
        return mask * predicted + (1 - mask) * image


class Training(nn.Module):
    """The training module: the network is its generator."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        generated: Tensor = self.generator(x)
        return generated


def traced(path: Path, exported: nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.trace(exported, (torch.rand(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)), check_trace=False)
        torch.jit.save(module, str(path))
    return path


FORMS: dict[str, Callable[[Path, dict[str, Tensor]], Path]] = {
    "big-lama.pt": lambda path, state: forms.write_torchscript(path, forms.under("model.generator.", state)),
    "another exporter's .pt": lambda path, state: forms.write_torchscript(path, forms.under("model.", state)),
    "best.ckpt": lambda path, state: forms.write_lightning(
        path, {**forms.under("generator.", state), "discriminator.model0.0.weight": torch.ones(64, 3, 4, 4)}
    ),
    "bare .pth": forms.write_pth,
    "lama_large_512px.ckpt": lambda path, state: forms.write_pth(
        path, {"gen_state_dict": state, "dis_state_dict": {"model0.0.weight": torch.ones(64, 3, 4, 4)}}
    ),
    "safetensors": lambda path, state: forms.write_safetensors(path, forms.under("generator.", state)),
}


@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
def test_every_published_form_gives_the_published_tensors(
    tmp_path: Path, write: Callable[[Path, dict[str, Tensor]], Path]
) -> None:
    """The layers before and after the blocks and one block of them; found, verified and read as a model's files are."""
    wanted = {key for key in KEYS if key.split(".")[1] in ("1", "2", "3", "4", "5", "23", "24", "25")}
    state = published(wanted)
    path = write(tmp_path / "lama.bin", state)
    file = WeightsFile("lama.bin", (), path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    entry = ModelEntry(
        name="lama",
        title="LaMa",
        tagline="",
        description="",
        licence=Licence("Apache-2.0", ""),
        loader="nowhere:load",
        weights=(file,),
    )
    found = download(entry, tmp_path, local_files_only=True).paths["lama.bin"]
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    for known in ({file.sha256 or ""}, set[str]()):
        # The second time the program in a TorchScript file is not known any more: the copy serves.
        read = read_state_dict(found, shapes, known_hashes=known, copies_in=tmp_path)
        assert list(read) == list(state)
        assert all(torch.equal(value, state[key]) for key, value in read.items())


def test_the_published_program_predicts_the_reference_through_our_network(tmp_path: Path) -> None:
    path = traced(tmp_path / "big-lama.pt", Exported(Training(network(published(KEYS)))))
    shapes = {key: tuple(value.shape) for key, value in network().state_dict().items()}
    loaded = network(read_state_dict(path, shapes, allow_torchscript=True))
    golden = goldens.load("lama", "golden_fourier_128x192")
    image = torch.from_numpy(golden["image"]).permute(2, 0, 1)[None] / 255
    mask = torch.from_numpy(golden["mask"] > 127).float()[None, None]
    with torch.inference_mode():
        predicted = loaded(masked_input(image, mask))
    goldens.assert_close("predicted", predicted.numpy(), golden, atol=1e-4)
