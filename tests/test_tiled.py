"""Convolutions through Winograd filtering are those that they stand for, however they are padded and dilated."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from inpaint_models.nn.tiled import TiledConv3x3, apart, exchange_convolutions, is_wide_3x3, together
from inpaint_models.nn.winograd import TiledConvolution


@pytest.mark.parametrize("mode", ["zeros", "replicate", "reflect"])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("size", [(12, 16), (14, 22)])
def test_it_equals_the_convolution(
    mode: Literal["zeros", "replicate", "reflect"], padding: int, dilation: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 12, 3, padding=padding, dilation=dilation, padding_mode=mode).requires_grad_(False)
    x, tiled = torch.randn(2, 8, *size), TiledConv3x3(conv, TiledConvolution())
    torch.testing.assert_close(tiled(x), conv(x), atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tiled(x), conv(x)), "computed directly"


def test_a_map_is_taken_apart_into_its_odd_and_even_pixels() -> None:
    x = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    parts = apart(x)
    assert torch.equal(parts[0], x[0, :, ::2, ::2])
    assert torch.equal(parts[1], x[0, :, ::2, 1::2])
    assert torch.equal(parts[6], x[1, :, 1::2, ::2])
    assert torch.equal(together(parts), x)


def test_only_what_another_form_is_given_for_is_exchanged() -> None:
    network = nn.Sequential(
        nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, stride=2), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 3),
        nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, dilation=4), nn.Conv2d(8, 9, 3, padding=1)),
    )  # fmt: skip
    exchange_convolutions(
        network, lambda conv: TiledConv3x3(conv, TiledConvolution()) if is_wide_3x3(conv, 8) else None
    )
    found = [name for name, module in network.named_modules() if isinstance(module, TiledConv3x3)]
    assert found == ["0", "4.2"]
