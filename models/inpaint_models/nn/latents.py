"""Latents shown as pictures at no cost: an affine map to colours, fitted to the image at hand, instead of the decoder.

Latents of an autoencoder with a factor of 4 or 8 are close to a small image in other colours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def fit_colours(latents: Tensor, colours: Tensor, hole: Tensor) -> Tensor:
    """The affine map from latents to colours that fits the image's known cells best: (C + 1, 3) float64, on the CPU.

    One input for each channel and a constant; a slight pull to zero keeps it defined without any known cell.

    latents  (1, C, h, w)
    colours  (1, 3, h, w): the means of the image under each cell, in [0, 1]
    hole     (1, 1, h, w), 1 = hole
    """
    known = (1 - hole).flatten().cpu().double()[:, None]  # (h w, 1)
    inputs = with_constant(latents) * known  # (h w, C + 1)
    wanted = colours[0].flatten(1).T.cpu().double() * known  # (h w, 3)
    normal = inputs.T @ inputs + 1e-3 * torch.eye(inputs.shape[1], dtype=torch.float64)
    fitted: Tensor = torch.linalg.solve(normal, inputs.T @ wanted)
    return fitted


def with_constant(latents: Tensor) -> Tensor:
    """(1, C, h, w) -> (h w, C + 1) float64 on the CPU, the last column 1."""
    columns = latents[0].flatten(1).T.cpu().double()
    return torch.cat([columns, torch.ones(len(columns), 1, dtype=torch.float64)], dim=1)


@torch.inference_mode()
def in_colours(latents: Tensor, colours: Tensor, factor: int) -> Tensor:
    """(1, 3, factor h, factor w) of latents (1, C, h, w) by what `fit_colours` found: blurred."""
    _, _, height, width = latents.shape
    small = (with_constant(latents) @ colours).T.reshape(1, 3, height, width).float()
    return F.interpolate(small, scale_factor=factor, mode="bilinear")
