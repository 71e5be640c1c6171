"""Evens out the seams between copies, inside the hole only: a screened Poisson solve that knows edges from seams.

Perez, Gangnet, Blake, "Poisson Image Editing", SIGGRAPH 2003, with one guide per pair of neighbours: the mean of the
step that both copies show there. Where the copied colours contradict that strongly, the picture has an edge and
keeps it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .chunks import Bands
from .compiled import Array, kernel
from .settings import Settings

_CHANNELS = 3
_OVER_RELAXATION = 1.8
_UPDATES_PER_CALL = 4_000_000  # tens of milliseconds on one core; between calls the job can be cancelled


def blended(
    image: NDArray[np.float32], hole: NDArray[np.bool_], origin: NDArray[np.int32], settings: Settings, bands: Bands
) -> NDArray[np.float32]:
    """The hole's pixels, (n, 3) in scan order, copied from their origins with the seams evened out.

    No colour leaves the range of the known pixels: steps that add up over a large hole could otherwise drift away.

    origin  (H, W) flat position of a known pixel for each pixel; each known pixel's is itself
    """
    height, width = hole.shape
    colours_of, origins = np.ascontiguousarray(image).reshape(-1, _CHANNELS), origin.ravel()
    pixels = np.flatnonzero(hole).astype(np.int32)
    cells = np.full(hole.size, pixels.size, np.int32)
    cells[pixels] = np.arange(pixels.size, dtype=np.int32)
    wanted, beside = np.empty((pixels.size, _CHANNELS), np.float32), np.empty((pixels.size, 4), np.int32)
    edge, screen = settings.edge / 255, settings.screen

    def guide(low: int, high: int) -> None:
        _guide(colours_of, height, width, pixels, low, high, cells, origins, edge, screen, wanted, beside)

    bands.run(guide, pixels.size)
    solved = np.zeros((pixels.size + 1, _CHANNELS), np.float32)  # the last one stands in for known neighbours
    solved[:-1] = colours_of[origins[pixels]]
    per_call = max(1, _UPDATES_PER_CALL // (_CHANNELS * pixels.size))
    for begun in range(0, settings.relaxations, per_call):
        sweeps = min(per_call, settings.relaxations - begun)
        _relax(solved, wanted, beside, screen, sweeps)
        bands.poll()
    return np.clip(solved[:-1], *_range(colours_of, ~hole.ravel()))


def _range(colours: NDArray[np.float32], known: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The least and the greatest of each channel: (3,) and (3,)."""
    least, greatest = np.ones(_CHANNELS, np.float32), np.zeros(_CHANNELS, np.float32)
    _extremes(colours, known, least, greatest)
    return least, greatest


@kernel("void(float32[:, ::1], boolean[::1], float32[::1], float32[::1])")
def _extremes(colours: Array, known: Array, least: Array, greatest: Array) -> None:
    for pixel in range(known.size):
        if known[pixel]:
            for channel in range(3):
                least[channel] = min(least[channel], colours[pixel, channel])
                greatest[channel] = max(greatest[channel], colours[pixel, channel])


@kernel(
    "void(float32[:, ::1], int64, int64, int32[::1], int64, int64, int32[::1], int32[::1], float32, float32,"
    " float32[:, ::1], int32[:, ::1])",
    fastmath=True,
)
def _guide(
    colours: Array,  # (H * W, 3)
    height: int,
    width: int,
    pixels: Array,  # (n,) flat positions of the hole's pixels
    low: int,
    high: int,
    cells: Array,  # (H * W,) index into pixels, or n where known
    origins: Array,  # (H * W,)
    edge: float,
    screen: float,
    wanted: Array,  # out (n, 3): right-hand side of the linear system
    beside: Array,  # out (n, 4): cells of the four neighbours
) -> None:
    outside = pixels.size
    step = np.empty(3, np.float32)
    for index in range(low, high):
        pixel = np.int64(pixels[index])
        y = pixel // width
        x = pixel - y * width
        mine = np.int64(origins[pixel])
        mine_y = mine // width
        mine_x = mine - mine_y * width
        for channel in range(3):
            wanted[index, channel] = screen * colours[mine, channel]
        for direction in range(4):
            dy = (direction == 0) - (direction == 1)
            dx = (direction == 2) - (direction == 3)
            beside[index, direction] = index  # beyond the picture a pixel is its own neighbour
            if not (0 <= y + dy < height and 0 <= x + dx < width):
                continue
            neighbour = pixel + dy * width + dx
            beside[index, direction] = cells[neighbour]
            theirs = np.int64(origins[neighbour])
            theirs_y = theirs // width
            theirs_x = theirs - theirs_y * width
            # The step as seen beside my origin, and as seen beside the neighbour's.
            mine_shows = (
                0 <= mine_y + dy < height and 0 <= mine_x + dx < width and cells[mine + dy * width + dx] == outside
            )
            theirs_shows = (
                cells[neighbour] != outside
                and 0 <= theirs_y - dy < height
                and 0 <= theirs_x - dx < width
                and cells[theirs - dy * width - dx] == outside
            )
            contradiction = np.float32(0)
            for channel in range(3):
                have = colours[mine, channel] - colours[theirs, channel]
                shown, witnesses = np.float32(0), 0
                if mine_shows:
                    shown += colours[mine, channel] - colours[mine + dy * width + dx, channel]
                    witnesses += 1
                if theirs_shows:
                    shown += colours[theirs - dy * width - dx, channel] - colours[theirs, channel]
                    witnesses += 1
                step[channel] = shown / np.float32(witnesses) if witnesses else have
                contradiction += (step[channel] - have) ** 2
            trust = np.exp(-contradiction / (edge * edge))
            for channel in range(3):
                have = colours[mine, channel] - colours[theirs, channel]
                wanted[index, channel] += have + trust * (step[channel] - have)
                if cells[neighbour] == outside:
                    wanted[index, channel] += colours[neighbour, channel]


@kernel("void(float32[:, ::1], float32[:, ::1], int32[:, ::1], float32, int64)", fastmath=True)
def _relax(
    solved: Array,  # (n + 1, 3), changed in place; the last row stays 0
    wanted: Array,
    beside: Array,
    screen: float,
    sweeps: int,
) -> None:
    """Successive over-relaxation."""
    inverse = np.float32(1) / (np.float32(4) + screen)
    for _ in range(sweeps):
        for index in range(wanted.shape[0]):
            a, b, c, d = beside[index, 0], beside[index, 1], beside[index, 2], beside[index, 3]
            for channel in range(3):
                mean = wanted[index, channel] + solved[a, channel] + solved[b, channel]
                mean = (mean + solved[c, channel] + solved[d, channel]) * inverse
                solved[index, channel] += np.float32(_OVER_RELAXATION) * (mean - solved[index, channel])
