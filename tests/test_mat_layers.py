"""MAT's StyleGAN-kind layers against formulas written out element by element."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from inpaint_models.mat.layers import PartialConv2d, StyleConv, ToRGB
from inpaint_models.nn.stylegan import (
    EqualizedConv2d,
    EqualizedLinear,
    ModulatedConv2d,
    Resample,
    activate,
    binomial_filter,
    low_pass,
    resampling_convolution,
    upsample,
)

Map = NDArray[np.float64]

TAPS = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def correlate(image: Map, kernel: Map, *, stride: int = 1) -> Map:
    """Valid cross-correlation of one plane, as a sum over the window of each output pixel."""
    k = kernel.shape[0]
    height, width = ((side - k) // stride + 1 for side in image.shape)
    out = np.zeros((height, width))
    for y, x in itertools.product(range(height), range(width)):
        out[y, x] = (image[y * stride : y * stride + k, x * stride : x * stride + k] * kernel).sum()
    return out


def zeros_between(image: Map) -> Map:
    """(H, W) -> (2H - 1, 2W - 1)."""
    out = np.zeros((2 * image.shape[0] - 1, 2 * image.shape[1] - 1))
    out[::2, ::2] = image
    return out


def convolve_naively(x: Map, weight: Map, resample: Resample) -> Map:
    """(in, H, W) and (out, in, k, k) -> (out, H', W'), plane by plane."""
    half = weight.shape[-1] // 2
    out = []
    for kernels in weight:
        if resample == "keep":
            planes = [correlate(np.pad(p, half), k) for p, k in zip(x, kernels, strict=True)]
        elif resample == "down":
            smooth = [correlate(np.pad(p, half + 1), TAPS) for p in x]
            planes = [correlate(p, k, stride=2) for p, k in zip(smooth, kernels, strict=True)]
        else:
            wide = [correlate(np.pad(zeros_between(p), 2 * half), k) for p, k in zip(x, kernels, strict=True)]
            planes = [correlate(np.pad(p, 1), 4 * TAPS) for p in wide]
        out.append(sum(planes))
    return np.stack(out)


def test_the_binomial_filter_sums_to_its_gain() -> None:
    assert binomial_filter().sum() == 1
    assert binomial_filter(4.0).sum() == 4
    np.testing.assert_array_equal(binomial_filter().numpy(), TAPS.astype(np.float32))


@pytest.mark.parametrize("resample", ["keep", "down", "up"])
def test_resampling_convolution_is_filter_and_correlation(resample: Resample) -> None:
    x, weight = numbers(1, 3, 6, 8), numbers(2, 3, 3, 3, seed=1)

    ours = resampling_convolution(x, weight, resample)[0]

    scale = {"keep": 1, "down": 0.5, "up": 2}[resample]
    assert ours.shape == (2, 6 * scale, 8 * scale)
    np.testing.assert_allclose(ours, convolve_naively(x[0].numpy(), weight.numpy(), resample), atol=1e-12)


def test_upsampling_is_zero_insertion_and_the_filter() -> None:
    x = numbers(1, 2, 4, 5)
    spread = np.pad(zeros_between(x[0, 1].numpy()), ((2, 2), (2, 2)))
    np.testing.assert_allclose(upsample(x)[0, 1], correlate(spread, 4 * TAPS), atol=1e-12)


def test_a_flat_map_stays_flat_away_from_the_border_when_resampled() -> None:
    flat = torch.full((1, 1, 8, 8), 3.0)
    torch.testing.assert_close(upsample(flat)[..., 2:-2, 2:-2], torch.full((1, 1, 12, 12), 3.0))
    torch.testing.assert_close(low_pass(flat, padding=(0, 0, 0, 0)), torch.full((1, 1, 5, 5), 3.0))


def test_the_activation_keeps_the_variance_of_normal_numbers_nearly() -> None:
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    assert activate(x, "leaky").square().mean().item() == pytest.approx(1 + 0.2**2, abs=0.02)
    assert activate(torch.tensor([-1.0, 2.0]), "leaky").tolist() == pytest.approx([-0.2 * 2**0.5, 2 * 2**0.5])
    assert activate(x, "linear") is x


def test_a_linear_layer_scales_weight_and_bias_by_its_learning_rate() -> None:
    layer = EqualizedLinear(5, 3, activation="leaky", learning_rate=0.01).double()
    torch.nn.init.normal_(layer.bias)
    x = numbers(2, 5)

    expected = x.numpy() @ (layer.weight.detach().numpy() * 0.01 / math.sqrt(5)).T + layer.bias.detach().numpy() * 0.01
    expected = np.where(expected > 0, expected, 0.2 * expected) * math.sqrt(2)

    np.testing.assert_allclose(layer(x).detach(), expected, atol=1e-12)


def test_a_convolution_scales_its_weight_but_not_its_bias() -> None:
    layer = EqualizedConv2d(3, 2, resample="down", activation="linear").double()
    torch.nn.init.normal_(layer.bias)
    x = numbers(1, 3, 6, 6)

    expected = convolve_naively(x[0].numpy(), layer.weight.detach().numpy() / math.sqrt(27), "down")
    expected += layer.bias.detach().numpy()[:, None, None]

    np.testing.assert_allclose(layer(x)[0].detach(), expected, atol=1e-12)


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_scales_inputs_by_the_style_and_normalises_each_output(demodulate: bool) -> None:
    layer = ModulatedConv2d(3, 2, 3, style_width=4, demodulate=demodulate).double()
    x, style = numbers(1, 3, 5, 5), numbers(1, 4, seed=1)

    scale = layer.affine(style)[0].detach().numpy()
    weight = layer.weight.detach().numpy() / math.sqrt(27)
    for o, i in itertools.product(range(2), range(3)):
        weight[o, i] *= scale[i]
    if demodulate:
        for o in range(2):
            weight[o] /= math.sqrt((weight[o] ** 2).sum() + 1e-8)

    np.testing.assert_allclose(layer(x, style)[0].detach(), convolve_naively(x[0].numpy(), weight, "keep"), atol=1e-12)


def test_every_item_of_a_batch_gets_its_own_style() -> None:
    layer = StyleConv(3, 4, style_width=5, resample="up", noise_size=8).double()
    assert layer.noise is not None
    torch.nn.init.constant_(layer.noise.strength, 0.5)
    x, style = numbers(2, 3, 4, 4), numbers(2, 5, seed=1)

    together = layer(x, style)

    for i in range(2):
        torch.testing.assert_close(together[i : i + 1], layer(x[i : i + 1], style[i : i + 1]))


def test_fixed_noise_is_added_before_the_bias_and_repeated_over_larger_maps() -> None:
    layer = StyleConv(1, 1, style_width=2, noise_size=4)
    assert layer.noise is not None
    torch.nn.init.constant_(layer.noise.strength, 2.0)
    torch.nn.init.constant_(layer.bias, 10.0)

    out = layer(torch.zeros(1, 1, 8, 8), torch.zeros(1, 2))

    torch.testing.assert_close(out[0, 0], (2 * layer.noise.get_buffer("map").repeat(2, 2) + 10) * math.sqrt(2))


def test_an_image_grows_by_each_levels_part() -> None:
    layer = ToRGB(4, style_width=3)
    x, style, below = torch.randn(1, 4, 8, 8), torch.randn(1, 3), torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(layer(x, style, below), layer(x, style, None) + upsample(below))


def test_a_partial_convolution_without_a_hole_is_raised_at_the_border_only() -> None:
    layer = PartialConv2d(2, 3)
    x = torch.randn(1, 2, 6, 6)

    plain, _ = layer(x, None)
    result, known = layer(x, torch.ones(1, 1, 6, 6))

    torch.testing.assert_close(result[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1])
    torch.testing.assert_close(result[..., 0, 1:-1], plain[..., 0, 1:-1] * 9 / 6)
    torch.testing.assert_close(result[..., 0, 0], plain[..., 0, 0] * 9 / 4)
    assert bool((known == 1).all())


@pytest.mark.parametrize(("resample", "stride"), [("keep", 1), ("down", 2)])
def test_a_partial_convolution_weighs_its_result_by_what_the_window_shows(resample: Resample, stride: int) -> None:
    layer = PartialConv2d(2, 3, resample=resample)
    x = torch.randn(1, 2, 8, 8)
    known = torch.zeros(1, 1, 8, 8)
    known[..., :3] = 1

    result, after = layer(x, known)
    plain, _ = layer(x, None)

    count = F.conv2d(known, torch.ones(1, 1, 3, 3), padding=1, stride=stride)
    torch.testing.assert_close(after, (count > 0).float())
    torch.testing.assert_close(result, plain * torch.where(count > 0, 9 / count.clamp(min=1), 0.0))
