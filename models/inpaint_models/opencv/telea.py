"""Telea's fill as cv2.inpaint makes it, compiled: a neighbour is weighed once, and not anew for each colour.

Telea, "An Image Inpainting Technique Based on the Fast Marching Method", 2004: pixels are filled in the order in which
a front that starts at the hole's edge reaches them, each from what is known around it. `arrival` is the paper's T; a
neighbour's weight is the product of the directional, the geometric distance and the level set component.

cv2.inpaint departs from the paper, and this with it: what the slope adds is one grey level long whatever the weights
are. It also adds half a level before it rounds, so that a fill gets brighter from the edge inwards; this does not.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ..machine.compiled import Array, Number, inlined, kernel
from ..types import HoleMask

_KNOWN, _BAND, _INSIDE, _OUTSIDE = 0, 1, 2, 3
"""States of pixels: the front is at BAND; OUTSIDE lies around the image and is never a source."""

_FAR = 1e6

_1, _2, _3 = np.uint64(1), np.uint64(2), np.uint64(3)
"""Places are unsigned, so that no index is looked at for being negative."""


def fill(image: NDArray[np.uint8], hole: HoleMask, radius_px: int) -> NDArray[np.uint8]:
    """The (H, W, 3) image with the hole filled, each pixel from those within the radius."""
    frame = radius_px + 1
    inner = (slice(frame, -frame),) * 2
    pixels = np.pad(image, ((frame, frame), (frame, frame), (0, 0)), mode="edge").astype(np.float32)
    state = np.full(pixels.shape[:2], _OUTSIDE, np.uint8)
    state[inner] = _INSIDE * hole
    state[inner][_grown(hole, cv2.MORPH_CROSS, 1) & ~hole] = _BAND
    near = np.zeros(state.shape, np.bool_)
    near[inner] = _grown(hole, cv2.MORPH_RECT, radius_px) & (state[inner] == _KNOWN)
    arrival = np.where(state == _BAND, np.float32(0), np.float32(_FAR))
    _march(pixels, arrival, np.where(near, _INSIDE, state == _BAND).astype(np.uint8), radius_px, paints=False)
    arrival[near] *= -1
    _march(pixels, arrival, state, radius_px, paints=True)
    return pixels[inner].astype(np.uint8)


def _grown(hole: HoleMask, shape: int, radius_px: int) -> HoleMask:
    side = 2 * radius_px + 1
    return cv2.dilate(hole.astype(np.uint8), cv2.getStructuringElement(shape, (side, side))) > 0


def _march(
    pixels: NDArray[np.float32],
    arrival: NDArray[np.float32],
    state: NDArray[np.uint8],
    radius_px: int,
    *,
    paints: bool,
) -> None:
    """Moves the front from the band through all that is inside; sets arrival times, and pixels where it `paints`."""
    front = np.flatnonzero(state == _BAND)
    room = front.size + np.count_nonzero(state == _INSIDE)
    keys, places = np.empty(room, np.int64), np.empty(room, np.uint64)
    keys[: front.size], places[: front.size] = np.arange(front.size), front
    square = range(-radius_px, radius_px + 1)
    disc = np.array([(y, x) for y in square for x in square if 0 < y * y + x * x <= radius_px**2])
    steps = (disc @ (state.shape[1], 1)).astype(np.int64).view(np.uint64)
    falloff = ((disc**2).sum(1) ** -1.5).astype(np.float32)
    _advance(
        pixels.reshape(-1), arrival.reshape(-1), state.reshape(-1), keys, places, front.size, state.shape[1],
        disc.astype(np.float32), steps, falloff, paints,
    )  # fmt: skip


@inlined
def _push(keys: Array, places: Array, count: Number, key: Number, place: Number) -> None:
    """Onto a heap of `count`."""
    at = count
    while at > 0:
        parent = (at - 1) >> 1
        if keys[parent] < key:
            break
        keys[at], places[at] = keys[parent], places[parent]
        at = parent
    keys[at], places[at] = key, place


@inlined
def _pop(keys: Array, places: Array, count: Number) -> Number:
    """The place with the least key, off a heap of `count`."""
    first, last = places[0], count - 1
    key, place, at, child = keys[last], places[last], 0, 1
    while child < last:
        if child + 1 < last and keys[child + 1] < keys[child]:
            child += 1
        if key < keys[child]:
            break
        keys[at], places[at] = keys[child], places[child]
        at, child = child, 2 * child + 1
    keys[at], places[at] = key, place
    return first


@inlined
def _solved(arrival: Array, state: Array, a: Number, b: Number) -> Number:
    """When the front arrives that comes from an upright and a level neighbour."""
    one = np.float32(1)
    if state[a] == _INSIDE:
        return one + (min(arrival[a], arrival[b]) if state[b] == _INSIDE else arrival[b])
    difference = arrival[a] - arrival[b]
    if state[b] == _INSIDE:
        return one + arrival[a]
    if abs(difference) >= one:
        return one + min(arrival[a], arrival[b])
    return (arrival[a] + arrival[b] + math.sqrt(np.float32(2) - difference * difference)) * np.float32(0.5)


@inlined
def _slope(arrival: Array, state: Array, place: Number, step: Number) -> Number:
    """Of the arrival time, along one axis."""
    before, after = state[place - step] != _INSIDE, state[place + step] != _INSIDE
    rise = (arrival[place + step] if after else arrival[place]) - (arrival[place - step] if before else arrival[place])
    return rise * np.float32(0.5) if before and after else rise


@inlined
def _added(sums: Array, pixels: Array, weights: Array, at: Number, beside: Array) -> Array:
    """(value, slope to the right, slope down), each weighed, with those of a neighbour added."""
    left, right, up, down = beside
    return (
        sums[0] + weights[0] * pixels[at],
        sums[1] + weights[1] * (pixels[right] - pixels[left]),
        sums[2] + weights[2] * (pixels[down] - pixels[up]),
    )


@inlined
def _shade(sums: Array, weight: Number) -> Number:
    value, across, down = sums
    length = math.sqrt(across * across + down * down) + np.float32(1e-20)
    shade = value / weight + (across + down) / length
    return np.rint(min(max(shade, np.float32(0)), np.float32(255)))


@inlined
def _between(state: Array, before: Number, at: Number, after: Number, weight: Number) -> Array:
    """(from, to, weight): where a slope is taken. cv2.inpaint does not halve what it takes over two pixels."""
    if state[before] == _INSIDE:
        before = at
    elif state[after] != _INSIDE:
        weight *= np.float32(2)
    return before, at if state[after] == _INSIDE else after, weight


@inlined
def _painted(
    pixels: Array, arrival: Array, state: Array, width: Number, disc: Array, steps: Array, falloff: Array, place: Number
) -> Array:
    """The three colours of a pixel, from its known neighbours and their slopes."""
    zero, one = np.float32(0), np.float32(1)
    slope_x, slope_y = _slope(arrival, state, place, _1), _slope(arrival, state, place, width)
    red = green = blue = (zero, zero, zero)
    total = np.float32(1e-20)
    for index in range(steps.size):
        at = place + steps[index]
        if state[at] >= _INSIDE:
            continue
        y, x = disc[index, 0], disc[index, 1]
        direction = abs(x * slope_x + y * slope_y)
        if direction <= np.float32(0.01):
            direction = np.float32(1e-6)
        weight = direction * falloff[index] / (one + abs(arrival[at] - arrival[place]))
        total += weight
        left, right, weight_x = _between(state, at - _1, at, at + _1, weight * x)
        up, down, weight_y = _between(state, at - width, at, at + width, weight * y)
        weights, beside, at = (weight, weight_x, weight_y), (_3 * left, _3 * right, _3 * up, _3 * down), _3 * at
        red = _added(red, pixels, weights, at, beside)
        left, right, up, down = beside
        green = _added(green, pixels, weights, at + _1, (left + _1, right + _1, up + _1, down + _1))
        blue = _added(blue, pixels, weights, at + _2, (left + _2, right + _2, up + _2, down + _2))
    return _shade(red, total), _shade(green, total), _shade(blue, total)


@kernel(
    "void(float32[::1], float32[::1], uint8[::1], int64[::1], uint64[::1], int64, uint64, float32[:, ::1], "
    "uint64[::1], float32[::1], boolean)",
    fastmath=True,
)
def _advance(
    pixels: Array,
    arrival: Array,
    state: Array,
    keys: Array,
    places: Array,
    count: Number,
    width: Number,
    disc: Array,
    steps: Array,
    falloff: Array,
    paints: Number,
) -> None:
    """`_march` on flat arrays. Keys are (arrival time, number in line), so that equal times keep their order.

    keys, places   the heap; it holds `count` to begin with
    disc, steps, falloff  of each neighbour: (y, x), both as one step, and its geometric distance component
    """
    pushed = count
    while count > 0:
        place = _pop(keys, places, count)
        count -= 1
        state[place] = _KNOWN
        for at in (place - width, place - _1, place + width, place + _1):
            if state[at] != _INSIDE:
                continue
            time = min(
                min(_solved(arrival, state, at - width, at - _1), _solved(arrival, state, at + width, at - _1)),
                min(_solved(arrival, state, at - width, at + _1), _solved(arrival, state, at + width, at + _1)),
            )
            arrival[at] = time
            if paints:
                red, green, blue = _painted(pixels, arrival, state, width, disc, steps, falloff, at)
                pixels[_3 * at], pixels[_3 * at + _1], pixels[_3 * at + _2] = red, green, blue
            state[at] = _BAND
            _push(keys, places, count, (np.int64(np.float32(time).view(np.int32)) << 32) | pushed, at)
            count, pushed = count + 1, pushed + 1
