"""Which blocks of a JPEG an edit touches, and what their coefficients become.

Only samples that changed are taken from the new pixels. The others of a touched block come from its own coefficients,
so that they lose nothing but what quantising the block anew costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaint_models.types import Box, PixelSource

from ..info import Edited, Pixels
from .coding import Changes, Check
from .refusal import NotPatchable
from .structure import Plane, Structure

TILE_MCUS = 32
MOST_BLOCKS = 1 << 20
"""Blocks that may change. Each takes 256 bytes, and three quarters of them show a photo of 48 megapixels."""

_ZIGZAG = sorted(range(64), key=lambda at: (at // 8 + at % 8, at // 8 if (at // 8 + at % 8) % 2 else at % 8))
"""Where in a block, row by row, the coefficients lie in the order of the file. (T.81, figure 5.)"""

_U, _X = np.arange(8)[:, None], np.arange(8)[None]
_COSINES = np.cos((2 * _X + 1) * _U * np.pi / 16) * np.where(_U == 0, np.sqrt(1 / 8), 1 / 2)
_BASIS = np.kron(_COSINES, _COSINES)[_ZIGZAG].astype(np.float32)
"""(64, 64), orthonormal: coefficients @ _BASIS = samples, samples @ _BASIS.T = coefficients. (T.81, A.3.3.)"""

_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float32
)
"""RGB to Y, Cb - 128 and Cr - 128. (JFIF 1.02.)"""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the picture, in whole MCUs, that has changed pixels. Frames are those of the file.

    blocks  for each channel the (rows, columns) of its touched blocks
    """

    box: Box
    blocks: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]


class StoredPixels:
    """Pixels as shown, sliced in the frame of the file: the inverse of its EXIF orientation."""

    def __init__(self, shown: PixelSource, orientation: int) -> None:
        self._shown = shown
        self._transposed = orientation >= 5
        self._flip_x, self._flip_y = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)

    def shown_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) in which a picture stored with that size is shown."""
        return (width, height) if self._transposed else (height, width)

    def __getitem__(self, box: Box) -> Pixels:
        shown = self._flipped(Box(box.y0, box.x0, box.y1, box.x1) if self._transposed else box)
        pixels: Pixels = self._shown[shown.slices]
        pixels = pixels[:: -1 if self._flip_y else 1, :: -1 if self._flip_x else 1]
        return pixels.transpose(1, 0, 2) if self._transposed else pixels

    def stored(self, shown: Box) -> Box:
        """A box of the shown picture in the file's frame."""
        box = self._flipped(shown)
        return Box(box.y0, box.x0, box.y1, box.x1) if self._transposed else box

    def _flipped(self, box: Box) -> Box:
        height, width = self._shown.shape[:2]
        x0, x1 = (width - box.x1, width - box.x0) if self._flip_x else (box.x0, box.x1)
        y0, y1 = (height - box.y1, height - box.y0) if self._flip_y else (box.y0, box.y1)
        return Box(x0, y0, x1, y1)


class Edit:
    """An edited photo against the blocks of its file."""

    def __init__(self, edited: Edited, structure: Structure, orientation: int, check: Check) -> None:
        self._structure, self.check, self._boxes = structure, check, edited.boxes
        self._pixels = StoredPixels(edited.pixels, orientation)
        self._original = StoredPixels(edited.original, orientation)
        if edited.pixels.shape[:2] != self._pixels.shown_size(structure.height, structure.width):
            raise NotPatchable("its size is not that of the picture")
        self.tiles = tuple(self._touched_tiles())
        self.changes = self._numbered()

    def new_coefficients(self, old: NDArray[np.int16]) -> NDArray[np.int16]:
        """(changes.count, 64) of the touched blocks, from what they are in the file."""
        new, start = np.empty_like(old), 0
        for tile in self.tiles:
            self.check()
            changed, pixels = self._changed(tile.box), self._edge_padded(tile.box)
            for index, (plane, (rows, _)) in enumerate(zip(self._structure.planes, tile.blocks, strict=True)):
                stop = start + len(rows)
                samples = _samples(pixels, index, self._structure)
                new[start:stop] = _requantised(plane, tile, index, samples, changed, old[start:stop])
                start = stop
        return new

    def _touched_tiles(self) -> Iterator[Tile]:
        structure = self._structure
        height, width = TILE_MCUS * structure.mcu_height, TILE_MCUS * structure.mcu_width
        found = dict[tuple[int, int], Box]()
        for shown in self._boxes:
            box = _in_whole_mcus(self._pixels.stored(shown).clipped(structure.height, structure.width), structure)
            for row in range(box.y0 // height, -(-box.y1 // height)):
                for column in range(box.x0 // width, -(-box.x1 // width)):
                    cell = Box(column * width, row * height, (column + 1) * width, (row + 1) * height)
                    part = box.intersection(cell)
                    found[row, column] = part.union(found.get((row, column), part))
        count = 0
        for _, box in sorted(found.items()):
            self.check()
            changed = self._changed(box)
            if changed.max() <= 0:
                continue
            tile = Tile(box, tuple(_touched(plane, box, changed) for plane in structure.planes))
            count += sum(len(rows) for rows, _ in tile.blocks)
            if count > MOST_BLOCKS:
                raise NotPatchable("too much of it was changed")
            yield tile

    def _numbered(self) -> Changes:
        parts = [
            plane.base + rows * plane.columns + columns
            for tile in self.tiles
            for plane, (rows, columns) in zip(self._structure.planes, tile.blocks, strict=True)
        ]
        blocks, slots = np.concatenate([*parts, np.zeros(0, np.intp)]), np.full(self._structure.blocks, -1, np.int32)
        slots[blocks] = np.arange(len(blocks))
        return Changes(slots, blocks)

    def _changed(self, box: Box) -> NDArray[np.int8]:
        """(H, W) of a tile: 1 where a pixel changed, 0 where it did not, -1 beyond the picture."""
        inside = box.clipped(self._structure.height, self._structure.width)
        out = np.full((box.height, box.width), -1, np.int8)
        differs = self._pixels[inside] != self._original[inside]
        out[: inside.height, : inside.width] = differs[..., 0] | differs[..., 1] | differs[..., 2]
        return out

    def _edge_padded(self, box: Box) -> NDArray[np.float32]:
        """(H, W, 3) of a tile; beyond the picture its last pixels are repeated."""
        inside = box.clipped(self._structure.height, self._structure.width)
        missing = (0, box.height - inside.height), (0, box.width - inside.width), (0, 0)
        return np.pad(self._pixels[inside], missing, "edge").astype(np.float32)


def _in_whole_mcus(box: Box, structure: Structure) -> Box:
    """Grown to whole MCUs, at the picture's edges with what fills up the last ones. An empty box stays empty."""
    height, width = structure.mcu_height, structure.mcu_width
    if box.area == 0:
        return Box(0, 0, 0, 0)
    return Box(
        box.x0 // width * width, box.y0 // height * height, -(-box.x1 // width) * width, -(-box.y1 // height) * height
    )


def _touched(plane: Plane, tile: Box, changed: NDArray[np.int8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Blocks of a channel that hold a changed pixel, and those beyond the picture that repeat them."""
    hit = _reduced(np.maximum, changed, 8 * plane.step_y, 8 * plane.step_x) > 0
    first = tile.y0 // (8 * plane.step_y), tile.x0 // (8 * plane.step_x)
    if plane.interleaved:
        nearest = [
            np.minimum(np.arange(count), shown - 1 - start)
            for count, shown, start in zip(hit.shape, plane.shown, first, strict=True)
        ]
        hit = hit[np.ix_(*nearest)]
    rows, columns = np.nonzero(hit)
    return rows + first[0], columns + first[1]


def _samples(pixels: NDArray[np.float32], index: int, structure: Structure) -> NDArray[np.float32]:
    """(H, W) of a channel less 128, as its file has it from these pixels: means where it has fewer samples."""
    plane = structure.planes[index]
    full = pixels[..., index] - 128 if structure.colours == "rgb" else pixels @ _YCC[index] - (0 if index else 128)
    return np.asarray(_reduced(np.add, full, plane.step_y, plane.step_x) / (plane.step_y * plane.step_x), np.float32)


def _requantised(
    plane: Plane,
    tile: Tile,
    index: int,
    samples: NDArray[np.float32],
    changed: NDArray[np.int8],
    old: NDArray[np.int16],
) -> NDArray[np.float32]:
    """(N, 64) coefficients of a channel's touched blocks: new samples where pixels changed, else their own old ones."""
    rows, columns = tile.blocks[index]
    at = rows - tile.box.y0 // (8 * plane.step_y), columns - tile.box.x0 // (8 * plane.step_x)
    is_new = _reduced(np.maximum, changed, plane.step_y, plane.step_x) != 0
    wanted, is_wanted = (
        array.reshape(array.shape[0] // 8, 8, array.shape[1] // 8, 8).swapaxes(1, 2)[at].reshape(-1, 64)
        for array in (samples, is_new)
    )
    mixed = np.where(is_wanted, wanted, (old * plane.quantisation) @ _BASIS)
    found = np.asarray(np.rint(mixed @ _BASIS.T / plane.quantisation), np.float32)
    found[:, 0] = found[:, 0].clip(-1024, 1023)
    found[:, 1:] = found[:, 1:].clip(-1023, 1023)
    found[(rows >= plane.shown[0]) | (columns >= plane.shown[1]), 1:] = 0  # progressive files have only DC of these
    return found


def _reduced(how: np.ufunc, array: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Of each block of that size one value."""
    lines = how.reduce(array.reshape(-1, height, array.shape[1]), axis=1)
    return np.asarray(how.reduce(lines.reshape(len(lines), -1, width), axis=2))
