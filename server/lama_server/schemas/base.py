"""What the types of the wire share. Field descriptions end up in OpenAPI and on the documentation page."""

from __future__ import annotations

from typing import Literal, Protocol, Self, get_args

from pydantic import BaseModel, ConfigDict

from inpaint_models.types import Box

RenderFormat = Literal["keep", "png", "jpeg", "webp", "tiff"]
ResultKind = Literal["image", "patch"]
RENDER_FORMATS: tuple[RenderFormat, ...] = get_args(RenderFormat)


WireValue = bool | int | float | str
"""Of a model's parameter; a picture is named by the id of an uploaded image."""


class Boxed(Protocol):
    """What has a box on the wire."""

    x: int
    y: int
    w: int
    h: int


def wire_box(box: Box) -> dict[str, int]:
    """A box as the wire's x, y, w and h: this and `box_of_wire` are where a box changes its form."""
    return {"x": box.x0, "y": box.y0, "w": box.width, "h": box.height}


def box_of_wire(where: Boxed) -> Box:
    return Box(where.x, where.y, where.x + where.w, where.y + where.h)


class RequestType(BaseModel):
    """Takes no field that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ReplyType(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=(), from_attributes=True)

    @classmethod
    def of_record(cls, record: object, **others: object) -> Self:
        """The fields that a record has under the same names, and the others as they are given."""
        shared = {name: getattr(record, name) for name in cls.model_fields if hasattr(record, name)}
        return cls.model_validate(shared | others)
