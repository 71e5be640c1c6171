"""The Fourier unit of fast Fourier convolutions (Chi, Jiang, Mu, NeurIPS 2020), which LaMa and FcF share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_frequencies(
    x: Tensor, change: Callable[[Tensor], Tensor], *, transform_device: torch.device | None = None
) -> Tensor:
    """x (B, C, H, W), with its spectrum changed; half precisions are transformed in float32.

    `change` gets real and imaginary parts as channels, (B, 2C, H, W // 2 + 1) on x's device and in its type, and
    returns the same shape: channel 2c is the real part of channel c, 2c + 1 its imaginary part.

    transform_device  where the transforms are computed, if x's device has none
    """
    batch, channels, height, width = x.shape
    device = transform_device or x.device
    wide = torch.promote_types(x.dtype, torch.float32)
    spectrum = torch.fft.rfft2(x.to(device, wide), norm="ortho")  # (B, C, H, W // 2 + 1) complex
    parts = torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3)  # (B, C, 2, H, W // 2 + 1)
    parts = change(parts.reshape(batch, 2 * channels, height, -1).to(x.device, x.dtype)).to(device, wide)
    parts = parts.reshape(batch, channels, 2, height, -1).permute(0, 1, 3, 4, 2)  # (B, C, H, W // 2 + 1, 2)
    spectrum = torch.view_as_complex(parts.contiguous())
    out: Tensor = torch.fft.irfft2(spectrum, s=(height, width), norm="ortho")  # (B, C, H, W)
    return out.to(x.device, x.dtype)
