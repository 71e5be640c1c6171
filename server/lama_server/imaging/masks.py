"""Shapes to pixels. Only the shapes' own box is ever rasterised: a small edit on a large photo stays small.

A pixel belongs to a shape when its centre does: the rule by which a canvas's coverage rounds, so that what a page
draws and what is filled here agree. An outline crosses rows of pixel centres; between its crossings lie spans of
pixels, and these are painted. The cost follows the outline's length and the pixels it covers, not the box around it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inpaint_models.protocols import Point, Prompts
from inpaint_models.protocols import Stroke as StrokePrompt
from inpaint_models.types import Box, Mask, tight_box

from .. import codec
from ..errors import ApiError, Limit, MaskBitmapInvalid, MaskEmpty, ParamOutOfRange, ParamUnknownValue
from ..schemas.base import box_of_wire
from ..schemas.shapes import QUARTERS, Bitmap, Polygon, Prompt, Rectangle, Shape, Stroke

if TYPE_CHECKING:
    from ..settings import Limits

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Coverage = NDArray[np.uint8]

_VALUES = {"add": np.uint8(255), "sub": np.uint8(0)}
"""What a mask's coverage is where a shape of this `op` lies."""

_BAND_CROSSINGS = 65_536
"""Rows of outline pieces that are worked on at a time; bounds the memory of a very long stroke."""


def check_bounds(
    shapes: Sequence[Shape], width: int, height: int, limits: Limits, pointer: str = "/mask/shapes"
) -> None:
    """Refuses what takes more work than any painting does, before any of it is done. Decodes nothing.

    A bitmap may be as large as the image, all together `limits.bitmap_photos` times as large; outlines may cross
    `limits.outline_rows` rows of the image, counted for each piece between two points. Rectangles cost next to nothing.
    Raises `ParamOutOfRange`.
    """
    bitmap_px = crossings = 0
    for index, shape in enumerate(shapes):
        if isinstance(shape, Bitmap):
            _check_size(shape, width, height, f"{pointer}/{index}")
            bitmap_px += shape.w * shape.h
        elif not isinstance(shape, Rectangle):
            first, last = _rows(*_pieces(shape), height)
            crossings += int((last - first).sum())
    photos = bitmap_px / (width * height)
    if photos > limits.bitmap_photos:
        text = f"The bitmaps have {photos:.1f} times the pixels of the photo"
        raise _too_much("bitmap_photos", limits.bitmap_photos, round(photos, 1), text, pointer)
    if crossings > limits.outline_rows:
        text = f"The strokes and outlines cross {crossings} rows of pixels"
        raise _too_much("outline_rows", limits.outline_rows, crossings, text, pointer)


def rasterise(
    shapes: Sequence[Shape],
    width: int,
    height: int,
    check: Callable[[], None] = lambda: None,
    limits: codec.ImageLimits | None = None,
) -> Mask:
    """The shapes on an image of that size, in the smallest box around what they mark.

    check   called before each shape and each band of rows; what it raises ends the work
    limits  of bitmaps' files

    Raises `MaskEmpty` when no pixel of the image is marked, and what `codec.decode_mask` raises for a bitmap.
    """
    image = Box(0, 0, width, height)
    solid = [box for shape in shapes if shape.op == "add" and (box := box_of(shape).intersection(image)).area]
    if not solid:
        raise _empty()
    outer = reduce(Box.union, solid)
    canvas = np.zeros((outer.height, outer.width + 1), np.uint8)  # with a column where spans of a row can end
    for shape in shapes:
        check()
        if isinstance(shape, Stroke | Polygon):
            for begins, ends in _spans(shape, outer):
                check()
                _paint(canvas, begins, ends, _VALUES[shape.op])
        else:
            _paint_box(canvas, outer, shape, limits)
    return _trimmed(canvas[:, :-1], outer)


def from_raster(data: bytes, width: int, height: int, limits: codec.ImageLimits | None = None) -> Mask:
    """A mask from an image file of the image's size. Raises `MaskSizeMismatch`, `MaskEmpty`, `ImageError`."""
    return _trimmed(codec.decode_mask(data, width, height, limits), Box(0, 0, width, height))


def prompts_of(prompts: Iterable[Prompt]) -> Prompts:
    """What points at a thing, as models take it. Raises `ParamUnknownValue` for a box that takes away."""
    points, boxes, strokes = list[Point](), list[Box](), list[StrokePrompt]()
    for index, prompt in enumerate(prompts):
        adds = prompt.op == "add"
        if isinstance(prompt, Stroke):
            path = tuple((x, y) for x, y in _points(prompt).tolist())
            strokes.append(StrokePrompt(path, prompt.d, adds))
        elif isinstance(prompt, Rectangle) and adds:
            boxes.append(box_of(prompt))
        elif isinstance(prompt, Rectangle):
            text = "A box marks the thing that is in it. Take parts away by strokes or points."
            raise ParamUnknownValue(text, pointer=f"/prompts/{index}/op")
        else:
            points.append(Point(prompt.x / QUARTERS, prompt.y / QUARTERS, adds))
    return Prompts(tuple(points), tuple(boxes), tuple(strokes))


def polygon_of(outline: Sequence[tuple[float, float]]) -> Polygon:
    """The shape of an edit with these corners."""
    corners = np.rint(QUARTERS * np.asarray(outline)).astype(np.intp)
    steps = np.diff(corners, axis=0, prepend=np.zeros((1, 2), np.intp))
    return Polygon(kind="poly", p=steps.ravel().tolist())


def box_of(shape: Shape) -> Box:
    """Holds every pixel of the shape, wherever on the plane it lies."""
    if isinstance(shape, Rectangle | Bitmap):
        return box_of_wire(shape)
    points, reach = _points(shape), _radius(shape)
    low, high = np.floor(points.min(axis=0) - reach), np.ceil(points.max(axis=0) + reach)
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _trimmed(coverage: Coverage, box: Box) -> Mask:
    """The mask in the smallest box around what it marks; `coverage` fills `box`. A view. Raises `MaskEmpty`."""
    inner = tight_box(coverage.view(np.bool_))
    if inner is None:
        raise _empty()
    return Mask(inner.shifted(box.x0, box.y0), coverage[inner.slices])


def _paint_box(canvas: Coverage, outer: Box, shape: Rectangle | Bitmap, limits: codec.ImageLimits | None) -> None:
    """Paints a shape that is its own box. A bitmap is decoded only if some of it lies in the box of the canvas."""
    inner = box_of(shape).intersection(outer)
    if inner.area == 0:
        return
    part = canvas[inner.shifted(-outer.x0, -outer.y0).slices]
    if isinstance(shape, Rectangle):
        part[...] = _VALUES[shape.op]
    else:
        np.copyto(part, _VALUES[shape.op], where=_bitmap(shape, limits)[inner.shifted(-shape.x, -shape.y).slices] > 0)


def _bitmap(shape: Bitmap, limits: codec.ImageLimits | None) -> Coverage:
    try:
        data = base64.b64decode(shape.png, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MaskBitmapInvalid("The bitmap of the mask is not valid base64. Encode a PNG with it.") from error
    return codec.decode_mask(data, shape.w, shape.h, limits)


def _paint(canvas: Coverage, begins: Indices, ends: Indices, value: np.uint8) -> None:
    """Sets spans, given as indices of the flat canvas."""
    flat = canvas.reshape(-1)
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        flat[begin:end] = value


def _points(shape: Stroke | Polygon) -> Floats:
    """(n, 2) of x and y in pixels."""
    steps = np.asarray(shape.p, np.int64).reshape(-1, 2)
    points: Floats = np.cumsum(steps, axis=0) / QUARTERS
    return points


def _radius(shape: Stroke | Polygon) -> float:
    return shape.d / 2 if isinstance(shape, Stroke) else 0.0


def _pieces(shape: Stroke | Polygon) -> tuple[Floats, Floats, float]:
    """(where the pieces of the outline start, where they end, how far the shape reaches beyond them)."""
    points = _points(shape)
    if isinstance(shape, Polygon):
        return points, np.roll(points, -1, axis=0), _radius(shape)
    return points[: max(1, len(points) - 1)], points[min(1, len(points) - 1) :], _radius(shape)


def _rows(starts: Floats, ends: Floats, radius: float, height: int) -> tuple[Indices, Indices]:
    """(first, behind the last) row whose centres each piece can reach."""
    low, high = np.minimum(starts[:, 1], ends[:, 1]) - radius, np.maximum(starts[:, 1], ends[:, 1]) + radius
    return (
        np.clip(np.floor(low), 0, height).astype(np.intp),
        np.clip(np.ceil(high), 0, height).astype(np.intp),
    )


def _spans(shape: Stroke | Polygon, box: Box) -> Iterator[tuple[Indices, Indices]]:
    """Where the shape's spans begin and end, as indices of a flat canvas of the box; a band of rows at a time."""
    starts, ends, radius = _pieces(shape)
    starts, ends = starts - (box.x0, box.y0), ends - (box.x0, box.y0)
    for piece, row in _bands(*_rows(starts, ends, radius, box.height)):
        if isinstance(shape, Polygon):
            yield _polygon_spans(starts[piece], ends[piece], row, box.width)
        else:
            yield _stroke_spans(starts[piece], ends[piece], radius, row, box.width)


def _bands(first: Indices, last: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Every piece with every row that it can reach, as flat arrays (piece, row); some whole rows at a time."""
    height = int(last.max())
    crossings = np.cumsum(np.bincount(first, minlength=height + 1) - np.bincount(last, minlength=height + 1))
    total = np.cumsum(crossings[:height])
    y0 = 0
    while y0 < height:
        before = total[y0 - 1] if y0 else 0
        y1 = max(y0 + 1, int(np.searchsorted(total, before + _BAND_CROSSINGS, side="right")))
        top = np.maximum(first, y0)
        counts = np.maximum(np.minimum(last, y1) - top, 0)
        piece = np.repeat(np.arange(len(first)), counts)
        yield piece, top[piece] + np.arange(len(piece)) - np.repeat(np.cumsum(counts) - counts, counts)
        y0 = y1


def _stroke_spans(start: Floats, end: Floats, radius: float, row: Indices, width: int) -> tuple[Indices, Indices]:
    """All pixel centres nearer to the line than the radius; no two spans touch.

    Between sorted begins and sorted ends, a span of the union begins where all that began before have ended.
    """
    left, right = _capsule_spans(start, end, radius, row.astype(np.float64) + 0.5)
    begins, ends = _index(row, left, width), _index(row, right, width)
    solid = begins < ends
    begins, ends = np.sort(begins[solid]), np.sort(ends[solid])
    apart = begins[1:] > ends[:-1]
    return begins[np.append(True, apart)[: len(begins)]], ends[np.append(apart, True)[: len(ends)]]


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


def _polygon_spans(start: Floats, end: Floats, row: Indices, width: int) -> tuple[Indices, Indices]:
    """Inside by the winding number, a canvas's default rule."""
    y = row + 0.5
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    crossed = (low <= y) & (y < high)
    (x0, y0), (x1, y1), y = start[crossed].T, end[crossed].T, y[crossed]
    crossings = _index(row[crossed], x0 + (y - y0) / (y1 - y0) * (x1 - x0), width)
    order = np.argsort(crossings)
    crossings, winding = crossings[order], np.cumsum(np.where(y1 > y0, 1, -1)[order])
    inside = (winding[:-1] != 0) & (crossings[:-1] < crossings[1:])
    return crossings[:-1][inside], crossings[1:][inside]


def _index(row: Indices, x: Floats, width: int) -> Indices:
    """Of the first pixel of the row whose centre lies at or beyond `x`, in the flat canvas of `width` + 1 columns."""
    return row * (width + 1) + np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)


def _check_size(shape: Bitmap, width: int, height: int, pointer: str) -> None:
    for name, side, found, most in (("w", "wide", shape.w, width), ("h", "high", shape.h, height)):
        if found > most:
            raise ParamOutOfRange(
                f"The bitmap is {found} pixels {side}, the photo {most}. Send the part that lies on the photo.",
                pointer=f"{pointer}/{name}",
            )


def _too_much(name: str, most: int, found: float, text: str, pointer: str) -> ApiError:
    return ParamOutOfRange(
        f"{text}; the limit is {most}. Send them in several edits, or as one bitmap of the photo's size.",
        pointer=pointer,
        limit=Limit(name, most, found),
    )


def _empty() -> MaskEmpty:
    return MaskEmpty("The mask is empty: it marks no pixel of the image. Paint over what should go.")
