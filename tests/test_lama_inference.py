"""The inference form of LaMa returns what the readable form returns."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inpaint_models import devices
from inpaint_models.lama.inference import FoldedGenerator, count_blocks
from inpaint_models.lama.network import FFCResNetGenerator, masked_input
from inpaint_models.lama.refine import RefinementSettings, refine
from inpaint_models.nn.winograd import TiledConvolution
from parity import goldens, weights

CPU = torch.device("cpu")


def trained(network: FFCResNetGenerator) -> FFCResNetGenerator:
    """With normalisations that do something, as after training."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.running_mean = torch.randn_like(module.bias) * 0.1
            module.running_var = torch.rand_like(module.bias) + 0.5
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def readable() -> FFCResNetGenerator:
    torch.manual_seed(0)
    return trained(FFCResNetGenerator(n_blocks=2, base_channels=8))


@pytest.fixture(scope="module")
def folded(readable: FFCResNetGenerator) -> FoldedGenerator:
    return FoldedGenerator(readable.state_dict(), device=CPU, dtype=torch.float32)


def random_input(height: int, width: int) -> Tensor:
    return torch.rand(1, 4, height, width, generator=torch.Generator().manual_seed(3))


def test_the_layout_of_maps_does_not_matter(
    readable: FFCResNetGenerator, folded: FoldedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "map_layout", lambda device: torch.contiguous_format)
    contiguous = FoldedGenerator(readable.state_dict(), device=CPU, dtype=torch.float32)
    x = random_input(64, 48)
    with torch.inference_mode():
        assert contiguous.front(x).local.is_contiguous()
        torch.testing.assert_close(contiguous(x), folded(x), rtol=0, atol=1e-5)


def test_big_lama_equals_the_reference_in_its_inference_form() -> None:
    golden = goldens.load("lama", "golden_320x448")
    tensors = weights.state_dict(weights.read_manifest("lama"), "generator")
    state = {key.removeprefix("generator."): torch.from_numpy(value) for key, value in tensors.items()}
    network = FoldedGenerator(state, device=CPU, dtype=torch.float32)
    image = torch.from_numpy(golden["image"]).permute(2, 0, 1)[None] / 255
    mask = torch.from_numpy(golden["mask"] > 127).float()[None, None]
    with torch.inference_mode():
        predicted = network(masked_input(image, mask))
    goldens.assert_close("predicted", predicted.numpy(), golden, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 24), (192, 200), (208, 336)])
def test_both_forms_agree_at_every_size(
    readable: FFCResNetGenerator, folded: FoldedGenerator, height: int, width: int
) -> None:
    x = random_input(height, width)
    with torch.inference_mode():
        torch.testing.assert_close(folded(x), readable(x), rtol=0, atol=1e-5)


def test_the_number_of_blocks_is_read_from_the_weights(readable: FFCResNetGenerator) -> None:
    assert count_blocks(readable.state_dict()) == 2


def test_gradients_reach_the_features(readable: FFCResNetGenerator, folded: FoldedGenerator) -> None:
    x, mask = random_input(64, 64)[:, :3], torch.zeros(1, 1, 64, 64)
    mask[..., 8:56, 8:56] = 1
    settings = RefinementSettings(iterations=3, min_side=32)
    *_, ours = refine(folded, x, mask, settings=settings)
    *_, reference = refine(readable, x, mask, settings=settings)
    assert ours.loss.item() == pytest.approx(reference.loss.item(), abs=1e-5)
    assert (ours.image - reference.image).abs().mean() < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_within_a_few_levels(readable: FFCResNetGenerator, dtype: torch.dtype) -> None:
    network = FoldedGenerator(readable.state_dict(), device=CPU, dtype=dtype)
    x = random_input(32, 48)
    with torch.inference_mode():
        predicted = network(x)
        levels = (predicted - readable(x)).abs() * 255
    assert predicted.dtype == torch.float32
    assert levels.mean() < 0.5
    assert levels.max() < 4


def test_transforms_may_be_computed_on_another_device(
    readable: FFCResNetGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processor under another name, so that the way there and back can be told from all other moves."""
    elsewhere = torch.device("cpu", 0)
    network = FoldedGenerator(readable.state_dict(), device=CPU, dtype=torch.float32, transform_device=elsewhere)
    moved: list[object] = []
    move = Tensor.to

    def spy(x: Tensor, *args: Any, **options: Any) -> Tensor:
        moved.append(args[0])
        return move(x, *args, **options)

    monkeypatch.setattr(Tensor, "to", spy)
    with torch.inference_mode():
        network(random_input(32, 32))
    layers, moves = 2 * 2, 2
    assert sum(target is elsewhere for target in moved) == layers * moves
    assert sum(target == CPU for target in moved) == layers * moves


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 4), (5, 3), (24, 31), (70, 40), (9, 600)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_tiled_convolutions_equal_direct_ones(height: int, width: int, layout: torch.memory_format) -> None:
    """Also when the convolver has worked at other sizes before."""
    generator = torch.Generator().manual_seed(height * width)
    x = torch.randn(1, 12, height + 2, width + 2, generator=generator).contiguous(memory_format=layout)
    kernels = (torch.randn(8, 12, 3, 3, generator=generator), torch.randn(6, 4, 3, 3, generator=generator))
    convolve = TiledConvolution()
    convolve(torch.randn(1, 12, 35, 29), kernels)
    for result, kernel in zip(convolve(x, kernels), kernels, strict=True):
        direct = F.conv2d(x[:, : kernel.shape[1]], kernel)
        assert result.shape == direct.shape
        assert (result - direct).abs().max() < 1e-5 * direct.abs().max()


def test_fills_are_the_same_byte_for_byte_each_time(folded: FoldedGenerator) -> None:
    x, other = random_input(200, 216), random_input(216, 200)
    with torch.inference_mode():
        first = folded(x)
        folded(other)
        assert torch.equal(folded(x), first)
