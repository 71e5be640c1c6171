"""The structure networks of ZITS: a transformer continues edges and lines into the hole, a small network doubles them.

Paper     Dong, Cao, Fu, Incremental Transformer Structure Enhanced Image Inpainting with Masking Positional Encoding,
          CVPR 2022
Original  https://github.com/DQiaole/ZITS_inpainting (Apache-2.0). Modules have the published names; the code is ours.

Maps are (B, channels, height, width); masks are 1 in the hole.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 256
"""Of the maps that the transformer takes."""

_TOKENS = SIDE // 8
_WIDTH = 256
_HEADS = 8
_LAYERS = 16
_AXIAL_EPSILON = 1e-4


class EdgeLineTransformer(nn.Module):
    """Logits of edges and of lines for the whole picture.

    Convolutions lead to 32 x 32 tokens and back; between them are blocks that attend along rows and columns, each
    followed by one that attends to all tokens.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pos_emb = nn.Parameter(torch.zeros(1, _TOKENS**2, _WIDTH))
        self.conv1 = nn.Conv2d(6, 64, 7, padding=3, padding_mode="reflect")
        self.conv2 = nn.Conv2d(64, 128, 4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(128, 256, 4, stride=2, padding=1)
        self.conv4 = nn.Conv2d(256, _WIDTH, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(FullBlock() if layer % 2 else AxialBlock() for layer in range(_LAYERS))
        self.ln_f = nn.LayerNorm(_WIDTH)
        self.convt1 = nn.ConvTranspose2d(_WIDTH, 256, 4, stride=2, padding=1)
        self.convt2 = nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1)
        self.convt3 = nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1)
        self.convt4 = nn.Conv2d(64, 2, 7, padding=3, padding_mode="reflect")

    def forward(self, image: Tensor, edge: Tensor, line: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 1, 256, 256) each.

        image       (1, 3, 256, 256) RGB in [-1, 1]
        edge, line  (1, 1, 256, 256) in [0, 1]
        mask        (1, 1, 256, 256)
        """
        x = torch.cat([torch.cat([image, edge, line], dim=1) * (1 - mask), mask], dim=1)  # (1, 6, 256, 256)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = conv(x).relu_()
        x = x.permute(0, 2, 3, 1) + self.pos_emb.view(1, _TOKENS, _TOKENS, _WIDTH)  # (1, 32, 32, 256)
        for block in self.blocks:
            x = block(x)
        x = self.ln_f(x).permute(0, 3, 1, 2)
        for doubling in (self.convt1, self.convt2, self.convt3):
            x = doubling(x).relu_()
        edge_logits, line_logits = self.convt4(x).chunk(2, dim=1)
        return edge_logits, line_logits


class AxialBlock(nn.Module):
    """Attention along columns and along rows, side by side, and a network for each token. (1, H, W, C) -> the same.

    The published names say "row" for attention from row to row, within each column.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rln1 = nn.LayerNorm(_WIDTH, eps=_AXIAL_EPSILON)
        self.cln1 = nn.LayerNorm(_WIDTH, eps=_AXIAL_EPSILON)
        self.ln2 = nn.LayerNorm(_WIDTH, eps=_AXIAL_EPSILON)
        self.attn_row = Attention()
        self.attn_col = Attention()
        self.ff = nn.Sequential(nn.Linear(_WIDTH, 4 * _WIDTH), nn.GELU(), nn.Linear(4 * _WIDTH, _WIDTH))
        self.row_rel_pos_bias = RelativeBias()
        self.col_rel_pos_bias = RelativeBias()

    def forward(self, x: Tensor) -> Tensor:
        columns = self.rln1(x)[0].transpose(0, 1)  # (W, H, C): a column at a time
        rows = self.cln1(x)[0]  # (H, W, C)
        down = self.attn_row(columns, self.row_rel_pos_bias()).transpose(0, 1)
        x = x + down + self.attn_col(rows, self.col_rel_pos_bias())
        out: Tensor = x + self.ff(self.ln2(x))
        return out


class FullBlock(nn.Module):
    """Attention of all tokens to all, and a network for each token. (1, H, W, C) -> the same."""

    def __init__(self) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(_WIDTH)
        self.ln2 = nn.LayerNorm(_WIDTH)
        self.attn = Attention()
        self.mlp = nn.Sequential(nn.Linear(_WIDTH, 4 * _WIDTH), QuickGELU(), nn.Linear(4 * _WIDTH, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x).flatten(1, 2)).view_as(x)
        out: Tensor = x + self.mlp(self.ln2(x))
        return out


class Attention(nn.Module):
    """Multi-head attention within each sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Linear(_WIDTH, _WIDTH)
        self.query = nn.Linear(_WIDTH, _WIDTH)
        self.value = nn.Linear(_WIDTH, _WIDTH)
        self.proj = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """(sequences, L, C) -> the same. bias (heads, L, L), [query, key], is added to the likeness."""
        query, key, value = (
            layer(x).unflatten(2, (_HEADS, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)  # (sequences, heads, L, C / heads)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out


class RelativeBias(nn.Module):
    """A bias for each head and each distance from query to key. () -> (heads, L, L)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(_HEADS, 2 * _TOKENS - 1))

    def forward(self) -> Tensor:
        place = torch.arange(_TOKENS, device=self.weight.device)
        return self.weight[:, place[None] - place[:, None] + _TOKENS - 1]


class QuickGELU(nn.Module):
    """An approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class StructureUpsampler(nn.Module):
    """A map of edges or lines at twice the size, sharp again. (B, 1, H, W) in [0, 1] -> (B, 1, 2 H, 2 W) in (0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(1, 64, 7),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 1, 3, padding=1),
        )

    def logits(self, x: Tensor) -> Tensor:
        doubled: Tensor = self.convs(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        return doubled

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid((self.logits(x) + 2) * 2)
