"""What a painted mask is made of: vector shapes, as they travel and as the rasteriser takes them.

The frame is the image's pixels after the EXIF rotation; the centre of pixel (0, 0) lies at (0.5, 0.5), as on a canvas.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

QUARTERS = 4
"""Points travel in quarters of a pixel: finer than a brush is placed, and whole numbers are short in JSON."""

MAX_COORDINATES = 200_000
MAX_DIAMETER_PX = 8_192

Quarter = Annotated[int, Field(ge=-400_000, le=400_000)]
Pixel = Annotated[int, Field(ge=-100_000, le=100_000)]
Extent = Annotated[int, Field(ge=1, le=200_000)]
Path = Annotated[list[Quarter], Field(min_length=2, max_length=MAX_COORDINATES)]
Operation = Literal["add", "sub"]


class _Shape(BaseModel):
    """`op` says whether the shape is painted or erased; shapes are applied in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    op: Operation = "add"


class _Points(_Shape):
    p: Path = Field(description="x0, y0, then dx, dy from point to point, in quarters of a pixel")

    @field_validator("p")
    @classmethod
    def _pairs(cls, value: list[int]) -> list[int]:
        if len(value) % 2:
            raise ValueError(f"{len(value)} numbers are not pairs of x and y")
        return value


class Stroke(_Points):
    """A line of the brush, with round ends and joins; a single point is a dot."""

    kind: Literal["stroke"]
    d: Annotated[float, Field(gt=0, le=MAX_DIAMETER_PX, strict=False)] = Field(description="diameter in pixels")


class Polygon(_Points):
    """A filled outline, closed by itself. Where it crosses itself, what it winds around is inside."""

    kind: Literal["poly"]


class Rectangle(_Shape):
    """A filled rectangle."""

    kind: Literal["rect"]
    x: Pixel
    y: Pixel
    w: Extent
    h: Extent


class Bitmap(_Shape):
    """A picture of a mask, for what strokes cannot say: no wider and no higher than the photo."""

    kind: Literal["bitmap"]
    x: Pixel
    y: Pixel
    w: Extent
    h: Extent
    png: str = Field(
        description="base64 of an image file of w x h pixels; light is painted, alpha is ignored. In answers a PNG of "
        "one bit a pixel"
    )


class Point(_Shape):
    """A place, in quarters of a pixel as in `p` of a stroke. For selections alone: it covers nothing."""

    kind: Literal["point"]
    x: Quarter
    y: Quarter


Shape = Annotated[Stroke | Polygon | Rectangle | Bitmap, Field(discriminator="kind")]
Prompt = Annotated[Stroke | Rectangle | Point, Field(discriminator="kind")]
"""What says which thing is to be selected; a rectangle is around it."""
