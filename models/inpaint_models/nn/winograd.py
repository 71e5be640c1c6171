"""3x3 convolutions as matrix products over tiles: a quarter of the multiplications of the direct sum.

Winograd's minimal filtering F(4x4, 3x3), after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
CVPR 2016: a 6x6 tile of the input and the kernel are transformed to 36 numbers each, multiplied, and the products
transformed back to 4x4 outputs. In float32 the result differs from the direct sum by about 1e-5 of its range, which is
why this serves float32 on processors only; half precisions have their own fast instructions for the direct sum.

Everything is done by general matrix products, so it is as fast as the machine's BLAS library.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_TAPS = 3
_TILE = 4
_WINDOW = _TILE + _TAPS - 1
_CHUNK_TILES = 256
"""Tiles at a time: their transformed input stays in the last-level cache, and each kernel is read seldom enough."""

_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


class TiledConvolution:
    """Computes 3x3 convolutions; keeps its working memory between calls, so one caller at a time."""

    def __init__(self) -> None:
        self._memory: dict[str, Tensor] = {}
        self._to_tiles = _squared(_INPUT)
        self._to_kernel = _squared(_KERNEL)
        self._to_pixels = _squared(_OUTPUT)

    def __call__(self, x: Tensor, kernels: Sequence[Tensor], *, padding: int = 0) -> list[Tensor]:
        """Several convolutions of one input, each over the input's first channels.

        x        (B, C, H, W) float32 on the CPU; channels_last is fastest
        kernels  (O, I, 3, 3) each, contiguous, I <= C
        padding  zeros around the input, on every side

        Returns (B, O, H - 2 + 2 padding, W - 2 + 2 padding) for each kernel, channels_last.
        """
        height, width = (side - _TAPS + 1 + 2 * padding for side in x.shape[2:])
        rows, columns = -(-height // _TILE), -(-width // _TILE)  # of tiles
        right, below = columns * _TILE - width, rows * _TILE - height  # the last tiles may be cut
        whole = F.pad(x, (padding, padding + right, padding, padding + below))
        images = whole.permute(0, 2, 3, 1).contiguous()  # (B, 4 rows + 2, 4 columns + 2, C)
        matrices = [self._kernel_matrices(kernel, f"kernel {index}") for index, kernel in enumerate(kernels)]
        outputs = [images.new_empty(len(x), rows, _TILE, columns, _TILE, kernel.shape[0]) for kernel in kernels]
        chunk_rows = max(1, _CHUNK_TILES // columns)
        for index, first in itertools.product(range(len(x)), range(0, rows, chunk_rows)):
            count = min(chunk_rows, rows - first)
            tiles = self._tiles(images[index, first * _TILE :], count, columns)
            for matrix, output in zip(matrices, outputs, strict=True):
                output[index, first : first + count] = self._pixels(tiles, matrix, count, columns)
        return [
            output.view(len(x), rows * _TILE, columns * _TILE, -1)[:, :height, :width].permute(0, 3, 1, 2)
            for output in outputs
        ]

    def _kernel_matrices(self, kernel: Tensor, name: str) -> Tensor:
        """(O, I, 3, 3) -> (36, I, O)."""
        outputs, inputs = kernel.shape[:2]
        taps = kernel.view(outputs * inputs, 9).T
        product = self._product(name, self._to_kernel, taps)
        return product.view(_WINDOW**2, outputs, inputs).transpose(1, 2)

    def _tiles(self, pixels: Tensor, rows: int, columns: int) -> Tensor:
        """6x6 windows, 4 apart, of (height, width, C), transformed: (36, rows * columns, C)."""
        down, right, _ = pixels.stride()
        channels = pixels.shape[2]
        windows = pixels.as_strided(
            (_WINDOW, _WINDOW, rows, columns, channels), (down, right, _TILE * down, _TILE * right, 1)
        )
        gathered = self._room("windows", windows.numel()).view(windows.shape).copy_(windows)
        product = self._product("tiles", self._to_tiles, gathered.view(_WINDOW**2, -1))
        return product.view(_WINDOW**2, rows * columns, channels)

    def _pixels(self, tiles: Tensor, kernel: Tensor, rows: int, columns: int) -> Tensor:
        """Tiles times kernel, transformed back: the 4x4 outputs of each tile, (rows, 4, columns, 4, O)."""
        inputs, outputs = kernel.shape[1:]
        products = self._room("products", _WINDOW**2 * rows * columns * outputs)
        torch.bmm(tiles[..., :inputs], kernel, out=products.view(_WINDOW**2, rows * columns, outputs))
        pixels = self._product("pixels", self._to_pixels, products.view(_WINDOW**2, -1))
        return pixels.view(_TILE, _TILE, rows, columns, outputs).permute(2, 0, 3, 1, 4)

    def _product(self, name: str, left: Tensor, right: Tensor) -> Tensor:
        """left @ right, in working memory."""
        room = self._room(name, left.shape[0] * right.shape[1])
        return torch.mm(left, right, out=room.view(left.shape[0], right.shape[1]))

    def _room(self, name: str, size: int) -> Tensor:
        """`size` floats that belong to `name`. Fresh memory would cost a page fault for every 4 KiB, each time."""
        held = self._memory.get(name)
        if held is None or held.numel() < size:
            held = self._memory[name] = torch.empty(size)
        return held[:size]


def _squared(transform: tuple[tuple[float, ...], ...]) -> Tensor:
    """The transform of a line, applied to both axes of a square: its Kronecker product with itself."""
    line = torch.tensor(transform, dtype=torch.float64)
    return torch.kron(line, line).float()


def in_full_precision_on_cpu(x: Tensor) -> bool:
    """Whether `TiledConvolution` serves."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
