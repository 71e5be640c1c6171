"""The denoising U-Net of latent diffusion inpainting.

Paper: Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022, section 3.2 and
appendix E; the architecture is the U-Net of Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis",
NeurIPS 2021.
Original code: https://github.com/CompVis/latent-diffusion (MIT), configuration `inpainting_big`.
Weights: published by the same authors under the licence of the code.
Differs from it: inference only (no dropout, no gradient checkpoints); attention runs through PyTorch's fused kernel,
which divides by sqrt(channels per head) at once instead of its fourth root on queries and keys.

Module names follow the published checkpoint, so its keys load without renaming. Convolutions and attention work in
either memory format.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32
HEADS = 8
NORM_EPS = 1e-5  # The autoencoder uses 1e-6; both are part of the trained function.
MAX_PERIOD = 10000.0


def timestep_embedding(timesteps: Tensor, dim: int) -> Tensor:
    """Sinusoids of the diffusion time: (B,) -> (B, dim) float32, cosines first, then sines."""
    half = dim // 2
    frequencies = torch.exp(-math.log(MAX_PERIOD) * torch.arange(half, device=timesteps.device) / half)
    angles = timesteps.float()[:, None] * frequencies  # (B, dim / 2)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class ResBlock(nn.Module):
    """Residual block that is told the diffusion time; with `resample` it also changes the resolution.

    The resampling acts on both branches: on the residual branch between the activation and the first convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, embedding: int, *, resample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.resample = nn.Identity() if resample is None else resample
        self.in_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, in_channels, eps=NORM_EPS),
            nn.SiLU(inplace=True),
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, out_channels, eps=NORM_EPS),
            nn.SiLU(inplace=True),
            nn.Identity(),  # Dropout while training; it keeps the published index of the convolution.
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1),
        )
        alike = in_channels == out_channels
        self.skip_connection = nn.Identity() if alike else nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        normalise, activate, convolve = self.in_layers
        h: Tensor = convolve(self.resample(activate(normalise(x))))  # (B, out, H', W')
        h = h + self.emb_layers(embedding)[:, :, None, None]
        h = self.out_layers(h)
        shortcut: Tensor = self.skip_connection(self.resample(x))
        return shortcut + h


class AttentionBlock(nn.Module):
    """Self-attention among all positions, plus the input."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels, eps=NORM_EPS)
        self.qkv = nn.Conv1d(channels, 3 * channels, kernel_size=1)  # Output channels in the order [head][q, k, v].
        self.proj_out = nn.Conv1d(channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (B, H W, C)
        qkv = F.linear(tokens, self.qkv.weight.squeeze(2), self.qkv.bias)  # (B, H W, 3 C)
        qkv = qkv.view(batch, height * width, self.heads, 3, channels // self.heads)
        query, key, value = qkv.permute(3, 0, 2, 1, 4)  # each (B, heads, H W, C / heads)
        attended = F.scaled_dot_product_attention(query, key, value)
        attended = attended.transpose(1, 2).reshape(batch, height * width, channels)  # (B, H W, C)
        h = F.linear(attended, self.proj_out.weight.squeeze(2), self.proj_out.bias)
        return x + h.transpose(1, 2).reshape(batch, channels, height, width)


class Stage(nn.ModuleList):
    """Blocks that run one after another; residual blocks among them get the time embedding as well."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for block in self:
            x = block(x, embedding) if isinstance(block, ResBlock) else block(x)
        return x


class UNetModel(nn.Module):
    """Predicts the noise in a latent.

    `width` is the number of channels at full latent resolution, `multipliers` what each coarser level has of it. The
    coarser levels have attention after their residual blocks. The defaults are `inpainting_big`.
    """

    def __init__(self, *, width: int = 256, multipliers: Sequence[int] = (1, 2, 3, 4), blocks: int = 2) -> None:
        super().__init__()
        self.width = width
        embedding = 4 * width
        self.time_embed = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))

        def residual(before: int, after: int, level: int) -> list[nn.Module]:
            block = ResBlock(before, after, embedding)
            return [block, AttentionBlock(after, HEADS)] if level else [block]

        widths = [width * multiplier for multiplier in multipliers]
        channels = width
        skips = [channels]
        self.input_blocks = nn.ModuleList([Stage([nn.Conv2d(7, channels, kernel_size=3, padding=1)])])
        for level, level_width in enumerate(widths):
            for _ in range(blocks):
                self.input_blocks.append(Stage(residual(channels, level_width, level)))
                channels = level_width
                skips.append(channels)
            if level < len(widths) - 1:
                self.input_blocks.append(Stage([ResBlock(channels, channels, embedding, resample=nn.AvgPool2d(2))]))
                skips.append(channels)

        first, attention = ResBlock(channels, channels, embedding), AttentionBlock(channels, HEADS)
        self.middle_block = Stage([first, attention, ResBlock(channels, channels, embedding)])

        self.output_blocks = nn.ModuleList()
        for level, level_width in reversed(list(enumerate(widths))):
            for index in range(blocks + 1):
                stage = residual(channels + skips.pop(), level_width, level)
                channels = level_width
                if level > 0 and index == blocks:
                    stage.append(ResBlock(channels, channels, embedding, resample=nn.Upsample(scale_factor=2.0)))
                self.output_blocks.append(Stage(stage))

        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, channels, eps=NORM_EPS),
            nn.SiLU(inplace=True),
            nn.Conv2d(channels, 3, kernel_size=3, padding=1),
        )

    def forward(self, latents: Tensor, timesteps: Tensor) -> Tensor:
        """Noisy latents joined with their condition (B, 7, h, w), times (B,) -> noise (B, 3, h, w).

        h and w are multiples of 8: the three coarser levels halve them exactly.
        """
        sinusoids = timestep_embedding(timesteps, self.width).to(latents.dtype)
        embedding: Tensor = self.time_embed(sinusoids)  # (B, 1024)
        x = latents
        skips = []
        for stage in self.input_blocks:
            x = stage(x, embedding)
            skips.append(x)
        x = self.middle_block(x, embedding)  # (B, 1024, h / 8, w / 8)
        for stage in self.output_blocks:
            x = stage(torch.cat([x, skips.pop()], dim=1), embedding)
        noise: Tensor = self.out(x)  # (B, 3, h, w)
        return noise
