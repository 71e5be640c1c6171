"""Evens out the seams between copies, inside the hole only: a screened Poisson solve that knows edges from seams.

Perez, Gangnet, Blake, "Poisson Image Editing", SIGGRAPH 2003, with one guide per pair of neighbours: the mean of the
step that both copies show there. Where the copied colours contradict that strongly, the picture has an edge and
keeps it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..machine.compiled import Array, Number, inlined, kernel
from .chunks import Chunks
from .settings import PatchMatchSettings

_CHANNELS = 3
_OVER_RELAXATION = 1.8
_EDGE_PX = 2  # an edge shows so near to a pixel beside it
_SLIGHT = 0.01  # times the squared edge: a contradiction that hardly counts
_WANTED = 2.25  # times the squared edge: what differs so much from known pixels beside it was wanted there
_UPDATES_PER_CALL = 4_000_000  # tens of milliseconds on one core; between calls the job can be cancelled


def blended(
    image: NDArray[np.float32],
    hole: NDArray[np.bool_],
    source_map: NDArray[np.int32],
    settings: PatchMatchSettings,
    chunks: Chunks,
    *,
    cuts: bool,
) -> NDArray[np.float32]:
    """The hole's pixels, (n, 3) in scan order, copied from their sources with the seams evened out.

    No colour leaves the range of the known pixels: steps that add up over a large hole could otherwise drift away.

    source_map  (H, W) flat position of a known pixel for each pixel; each known pixel's is itself
    cuts        whether whole regions were copied, which may have been cut where both are smooth
    """
    height, width = hole.shape
    colours_of, sources = np.ascontiguousarray(image).reshape(-1, _CHANNELS), source_map.ravel()
    pixels = np.flatnonzero(hole).astype(np.int32)
    cells = np.full(hole.size, pixels.size, np.int32)
    cells[pixels] = np.arange(pixels.size, dtype=np.int32)
    wanted, beside = np.empty((pixels.size, _CHANNELS), np.float32), np.empty((pixels.size, 4), np.int32)
    edge, screen = settings.edge / 255, settings.screen

    def guide(low: int, high: int) -> None:
        _guide(colours_of, height, width, pixels, low, high, cells, sources, edge, screen, cuts, wanted, beside)

    chunks.run(guide, pixels.size)
    solved = np.zeros((pixels.size + 1, _CHANNELS), np.float32)  # the last one stands in for known neighbours
    solved[:-1] = colours_of[sources[pixels]]
    per_call = max(1, _UPDATES_PER_CALL // (_CHANNELS * pixels.size))
    for begun in range(0, settings.relaxations, per_call):
        sweeps = min(per_call, settings.relaxations - begun)
        _relax(solved, wanted, beside, screen, sweeps)
        chunks.poll()
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


@inlined
def _shows(source: Number, dy: Number, dx: Number, height: int, width: int, cells: Array, outside: Number) -> bool:
    """Whether the neighbour of a source in that direction is a known pixel of the picture."""
    y = source // width
    x = source - y * width
    inside = 0 <= y + dy < height and 0 <= x + dx < width
    return bool(inside and cells[source + dy * width + dx] == outside)


@inlined
def _contrast(colours: Array, height: int, width: int, cells: Array, outside: Number, source: Number) -> Number:
    """Squared range of the known colours around a source: the step of the largest edge that is there."""
    y, x = source // width, source % width
    total = np.float32(0)
    for channel in range(3):
        least: Number = np.float32(1)
        greatest: Number = np.float32(0)
        for row in range(max(0, y - _EDGE_PX), min(height, y + _EDGE_PX + 1)):
            for pixel in range(row * width + max(0, x - _EDGE_PX), row * width + min(width, x + _EDGE_PX + 1)):
                if cells[pixel] == outside:
                    least = min(least, colours[pixel, channel])
                    greatest = max(greatest, colours[pixel, channel])
        total += (greatest - least) ** 2
    return total


@inlined
def _guided_step(
    colours: Array, mine: Number, theirs: Number, offset: Number, i_show: bool, they_show: bool, step: Array
) -> tuple[Number, Number]:
    """The mean of the steps in colour that are seen beside both sources: three channels, into `step`.

    Returns how much it contradicts the copied colours, and how far these are apart, both squared.
    """
    contradiction, jump = np.float32(0), np.float32(0)
    for channel in range(3):
        copied = colours[mine, channel] - colours[theirs, channel]
        shown, witnesses = np.float32(0), 0
        if i_show:
            shown += colours[mine, channel] - colours[mine + offset, channel]
            witnesses += 1
        if they_show:
            shown += colours[theirs - offset, channel] - colours[theirs, channel]
            witnesses += 1
        step[channel] = shown / np.float32(witnesses) if witnesses else copied
        contradiction += (step[channel] - copied) ** 2
        jump += copied**2
    return contradiction, jump


@kernel(
    "void(float32[:, ::1], int64, int64, int32[::1], int64, int64, int32[::1], int32[::1], float32, float32,"
    " boolean, float32[:, ::1], int32[:, ::1])",
    fastmath=True,
)
def _guide(
    colours: Array, height: int, width: int, pixels: Array, low: int, high: int, cells: Array, source_map: Array,
    edge: float, screen: float, cuts: bool, wanted: Array, beside: Array,
) -> None:  # fmt: skip
    """What the solution should show: the steps seen beside both sources, as far as they fit the copied colours.

    A jump that is larger than any edge near either source is no edge: the copies were cut where both are smooth.

    cells   (H * W,) index into pixels, or n where known
    wanted  out (n, 3): right-hand side of the linear system
    beside  out (n, 4): cells of the four neighbours
    """
    outside, most = pixels.size, np.float32(edge * edge)
    step = np.zeros(3, np.float32)
    for index in range(low, high):
        pixel = np.int64(pixels[index])
        y = pixel // width
        x = pixel - y * width
        mine = np.int64(source_map[pixel])
        for channel in range(3):
            wanted[index, channel] = screen * colours[mine, channel]
        for direction in range(4):
            dy = (direction == 0) - (direction == 1)
            dx = (direction == 2) - (direction == 3)
            beside[index, direction] = index  # beyond the picture a pixel is its own neighbour
            if not (0 <= y + dy < height and 0 <= x + dx < width):
                continue
            offset = dy * width + dx
            neighbour = pixel + offset
            beside[index, direction] = cells[neighbour]
            theirs = np.int64(source_map[neighbour])
            in_hole = cells[neighbour] != outside
            trust = np.float32(0)
            if theirs != mine + offset:
                i_show = _shows(mine, dy, dx, height, width, cells, outside)
                they_show = in_hole and _shows(theirs, -dy, -dx, height, width, cells, outside)
                contradiction, jump = _guided_step(colours, mine, theirs, offset, i_show, they_show, step)
                if cuts and contradiction > _SLIGHT * most and (in_hole or jump < _WANTED * most):
                    seen = max(
                        _contrast(colours, height, width, cells, outside, mine),
                        _contrast(colours, height, width, cells, outside, theirs),
                    )
                    if seen < jump:
                        contradiction *= (seen / jump) ** 2
                trust = max(np.float32(0), np.float32(1) - contradiction / most) ** 2
            for channel in range(3):
                copied = colours[mine, channel] - colours[theirs, channel]
                wanted[index, channel] += copied + trust * (step[channel] - copied)
                if not in_hole:
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
