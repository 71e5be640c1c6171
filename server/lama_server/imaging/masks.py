"""Shapes to pixels. Only the shapes' own box is ever rasterised: a small edit on a large photo stays small.

A pixel belongs to a shape when its centre does: the rule by which a canvas's coverage rounds, so that what a page
draws and what is filled here agree. Every shape becomes crossings of its outline with the rows of pixel centres;
a running sum along each row then says how often the outline winds around each pixel.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from inpaint_models.types import Box, Mask

from .. import codec
from ..errors import MaskBitmapInvalid, MaskEmpty
from ..schemas.shapes import Bitmap, Polygon, Rectangle, Shape, Stroke

Floats = NDArray[np.float64]
Hole = NDArray[np.bool_]

_CHUNK_ROWS = 500_000
"""Rows of outline pieces that are worked on at a time; bounds the memory of a very long stroke."""

_BAND_PX = 2_000_000
"""Pixels of a shape's box that are counted at a time; bounds the memory of a line across a very large image."""


def rasterise(shapes: Sequence[Shape], width: int, height: int) -> Mask:
    """The shapes on an image of that size, in the smallest box around what they mark.

    Raises `MaskEmpty` when no pixel of the image is marked, and what `codec.decode` raises for a bitmap.
    """
    image = Box(0, 0, width, height)
    outer = _union([box_of(shape).intersection(image) for shape in shapes if shape.op == "add"])
    if outer is None:
        raise _empty()
    hole = np.zeros((outer.height, outer.width), bool)
    for shape in shapes:
        for band in _bands(box_of(shape).intersection(outer)):
            part = hole[band.shifted(-outer.x0, -outer.y0).slices]
            np.copyto(part, shape.op == "add", where=_marked(shape, band))
    return from_hole(hole, outer)


def from_hole(hole: Hole, box: Box) -> Mask:
    """A mask trimmed to its True pixels; `hole` covers `box`. Raises `MaskEmpty`."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    if rows.size == 0:
        raise _empty()
    inner = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    coverage = hole[inner.slices].astype(np.uint8) * np.uint8(255)
    return Mask(inner.shifted(box.x0, box.y0), coverage)


def from_raster(data: bytes, width: int, height: int, limits: codec.Limits | None = None) -> Mask:
    """A mask from an image file of the image's size. Raises `MaskSizeMismatch`, `MaskEmpty`, `ImageError`."""
    return from_hole(codec.decode_mask(data, width, height, limits) > 0, Box(0, 0, width, height))


def box_of(shape: Shape) -> Box:
    """Holds every pixel of the shape, wherever on the plane it lies."""
    if isinstance(shape, Rectangle | Bitmap):
        return Box(shape.x, shape.y, shape.x + shape.w, shape.y + shape.h)
    points = np.asarray(shape.points)
    reach = shape.d / 2 if isinstance(shape, Stroke) else 0.0
    low, high = np.floor(points.min(axis=0) - reach), np.ceil(points.max(axis=0) + reach)
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _bands(box: Box) -> Iterator[Box]:
    """The box in slices of whole rows; none when it is empty."""
    if box.width <= 0:
        return
    rows = max(1, _BAND_PX // box.width)
    for y0 in range(box.y0, box.y1, rows):
        yield Box(box.x0, y0, box.x1, min(box.y1, y0 + rows))


def _marked(shape: Shape, box: Box) -> Hole:
    """(box.height, box.width): which pixels of the box the shape covers."""
    if isinstance(shape, Rectangle):
        return np.ones((box.height, box.width), bool)
    if isinstance(shape, Bitmap):
        return _bitmap(shape)[box.shifted(-shape.x, -shape.y).slices]
    points = np.asarray(shape.points) - (box.x0, box.y0)
    if isinstance(shape, Polygon):
        return _polygon(points, box)
    return _stroke(points, shape.d / 2, box)


def _bitmap(shape: Bitmap) -> Hole:
    try:
        data = base64.b64decode(shape.png, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MaskBitmapInvalid("The bitmap of the mask is not valid base64. Encode a PNG with it.") from error
    return codec.decode_mask(data, shape.w, shape.h) > 0


def _stroke(points: Floats, radius: float, box: Box) -> Hole:
    """All pixel centres nearer to the line than the radius."""
    starts, ends = (points[:-1], points[1:]) if len(points) > 1 else (points, points)
    winding = np.zeros((box.height, box.width + 1), np.int32)
    low = np.minimum(starts[:, 1], ends[:, 1]) - radius
    high = np.maximum(starts[:, 1], ends[:, 1]) + radius
    for piece, rows in _rows_of_pieces(low, high, box.height):
        left, right = _capsule_spans(starts[piece], ends[piece], radius, rows.astype(np.float64) + 0.5)
        _count(winding, rows, left, 1)
        _count(winding, rows, right, -1)
    inside: Hole = np.cumsum(winding[:, :-1], axis=1, dtype=np.int32) > 0
    return inside


def _capsule_spans(start: Floats, end: Floats, radius: float, y: Floats) -> tuple[Floats, Floats]:
    """Where a row crosses the set of points nearer than `radius` to a line piece: convex, so one span.

    The hull of what the row shares with the two end discs and with the two long sides. Empty: (inf, -inf).
    """
    x0, y0, x1, y1 = start[:, 0], start[:, 1], end[:, 0], end[:, 1]
    left, right = np.full(y.shape, np.inf), np.full(y.shape, -np.inf)
    for x_end, y_end in ((x0, y0), (x1, y1)):
        under = radius**2 - (y - y_end) ** 2
        reach = np.sqrt(np.maximum(under, 0.0))
        left = np.where(under >= 0, np.minimum(left, x_end - reach), left)
        right = np.where(under >= 0, np.maximum(right, x_end + reach), right)
    dx, dy = x1 - x0, y1 - y0
    length = np.hypot(dx, dy)
    steep = dy != 0
    rise, length = np.where(steep, dy, 1.0), np.where(length > 0, length, 1.0)
    for side in (radius, -radius):
        share = (y - (y0 + side * dx / length)) / rise
        x = x0 - side * dy / length + share * dx
        crossed = steep & (share >= 0) & (share <= 1)
        left = np.where(crossed, np.minimum(left, x), left)
        right = np.where(crossed, np.maximum(right, x), right)
    return left, right


def _polygon(points: Floats, box: Box) -> Hole:
    """Inside by the winding number, a canvas's default rule."""
    starts, ends = points, np.roll(points, -1, axis=0)
    winding = np.zeros((box.height, box.width + 1), np.int32)
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    for piece, rows in _rows_of_pieces(low, high, box.height):
        x0, y0, x1, y1 = starts[piece, 0], starts[piece, 1], ends[piece, 0], ends[piece, 1]
        y = rows + 0.5
        crossed = (low[piece] <= y) & (y < high[piece])
        x = x0 + (y - y0) / np.where(y1 != y0, y1 - y0, 1.0) * (x1 - x0)
        down = crossed & (y1 > y0)
        for direction, chosen in ((1, down), (-1, crossed & ~down)):
            _count(winding, rows[chosen], x[chosen], direction)
    inside: Hole = np.cumsum(winding[:, :-1], axis=1, dtype=np.int32) != 0
    return inside


def _rows_of_pieces(low: Floats, high: Floats, height: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """For each piece of outline the rows whose centres it can reach, as flat arrays (piece, row), in chunks."""
    first = np.clip(np.floor(low), 0, height).astype(np.intp)
    counts = np.maximum(np.clip(np.ceil(high), 0, height).astype(np.intp) - first, 0)
    chunks = []
    total = np.cumsum(counts)
    begin = 0
    while begin < len(counts):
        before = total[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(total, before + _CHUNK_ROWS, side="right")))
        of_chunk = counts[begin:end]
        piece = np.repeat(np.arange(begin, end), of_chunk)
        offset = np.arange(of_chunk.sum()) - np.repeat(np.cumsum(of_chunk) - of_chunk, of_chunk)
        chunks.append((piece, first[piece] + offset))
        begin = end
    return chunks


def _count(winding: NDArray[np.int32], rows: NDArray[np.intp], x: Floats, direction: int) -> None:
    """Adds a crossing at `x`: pixels whose centre lies at or beyond it are on its other side."""
    valid = np.isfinite(x)
    width = winding.shape[1]
    column = np.clip(np.ceil(x[valid] - 0.5), 0, width - 1).astype(np.intp)
    flat = np.bincount(rows[valid] * width + column, minlength=winding.size)
    winding += (direction * flat).astype(np.int32).reshape(winding.shape)


def _union(boxes: Sequence[Box]) -> Box | None:
    """Around all that are not empty; None when all are."""
    solid = [box for box in boxes if box.width > 0 and box.height > 0]
    if not solid:
        return None
    return Box(
        min(box.x0 for box in solid),
        min(box.y0 for box in solid),
        max(box.x1 for box in solid),
        max(box.y1 for box in solid),
    )


def _empty() -> MaskEmpty:
    return MaskEmpty("The mask is empty: it marks no pixel of the image. Paint over what should go.")
