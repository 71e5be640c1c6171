"""What comes in."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, Field

from inpaint_models.options import OPTIONS
from inpaint_models.parameters import Parameter
from inpaint_models.registry import StrategyKind

from ..settings import Limits
from .base import RequestType, WireValue
from .canvas import CanvasChange
from .shapes import Prompt, Shape

_LIMITS = Limits()

Identifier = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9_-]+$")]
ModelName = Annotated[str, Field(min_length=1, max_length=80)]


def _option(name: str) -> Parameter:
    return next(option for option in OPTIONS if option.name == name)


def _ranged(name: str, *names: str) -> Any:
    """A number of `FillOptions` within the library's own limits; `names` are those that it goes by on the wire."""
    option = _option(name)
    assert option.minimum is not None
    assert option.maximum is not None
    alias = AliasChoices(*names) if names else None
    return Field(
        strict=True, ge=int(option.minimum), le=int(option.maximum), validation_alias=alias, description=option.help
    )


Seed = Annotated[int, _ranged("seed")]
GrowPx = Annotated[int, _ranged("grow_px")]
FeatherPx = Annotated[int, _ranged("feather_px")]
Finish = Annotated[bool, Field(strict=True, description=_option("finish").help)]
MarginPx = Annotated[int | None, _ranged("margin_px")]
MaxSide = Annotated[int | None, _ranged("max_side", "max_side", "cap_px")]
CropAbove = Annotated[int | None, _ranged("crop_above", "crop_above", "trigger_px")]
"""`cap_px` and `trigger_px` are their names of version 0.1; they go with the next one."""


class SourceShapes(RequestType):
    """Where to copy from, for models with `source_control`. Shapes that mark nothing say nothing."""

    include: list[Shape] = Field(
        default_factory=list, max_length=_LIMITS.shapes, description="Copy from here only; empty, from anywhere."
    )
    exclude: list[Shape] = Field(
        default_factory=list, max_length=_LIMITS.shapes, description="Never copy from here, included or not."
    )


class MaskShapes(RequestType):
    """What to fill: shapes in drawing order, "add" paints and "sub" erases."""

    shapes: list[Shape] = Field(min_length=1, max_length=_LIMITS.shapes)
    source: SourceShapes | None = None
    grow_px: GrowPx | None = Field(None, description="Grow the mask; left out, the model's own value.")
    feather_px: FeatherPx = 0


class Run(RequestType):
    """One answer that is wanted: a model, its parameters, a seed."""

    model: ModelName
    params: dict[str, WireValue] = Field(default_factory=dict, max_length=50)
    seed: Seed | None = Field(None, description="Left out, the server draws one and tells it.")


class _OnImage(RequestType):
    image: Identifier
    parents: list[Identifier] = Field(
        default_factory=list, max_length=_LIMITS.parents, description="Edits that lie under this one, in drawing order."
    )


Save = Annotated[
    bool, Field(description="Write the results into the output folder, if the server has one; false: when asked to.")
]


class EditRequest(_OnImage):
    """Run models on a photo. Positions are those of the canvas that the parents make.

    Models that fill need a mask. Those that cut out, enlarge or restore make the whole canvas anew and take none.
    """

    mask: MaskShapes | None = None
    strategy: StrategyKind = "auto"
    margin_px: MarginPx = None
    max_side: MaxSide = None
    crop_above: CropAbove = None
    finish: Finish = True
    quick_look: bool = Field(
        True,
        description="While the first run takes long, send what a quick model makes of the same mask as a preview, if "
        "the server has it in memory.",
    )
    save: Save = True
    runs: list[Run] = Field(min_length=1, max_length=_LIMITS.runs)


class CanvasRequest(_OnImage):
    """Change the canvas that the parents make: its size, and where on it they lie. Nothing is filled."""

    canvas: CanvasChange
    save: Save = True


class SaveRequest(RequestType):
    """Write a picture into the output folder."""

    edits: list[Identifier] = Field(max_length=_LIMITS.parents, description="Edits to show, in drawing order.")


class View(RequestType):
    """A part of the canvas, in pixels."""

    x: int = Field(ge=-(10**6), le=10**6)
    y: int = Field(ge=-(10**6), le=10**6)
    w: int = Field(ge=1, le=10**6)
    h: int = Field(ge=1, le=10**6)


class SelectRequest(_OnImage):
    """Select a thing. Positions are those of the canvas that the parents make."""

    model: ModelName | None = Field(None, description="Left out, the first that selects and is ready.")
    params: dict[str, WireValue] = Field(default_factory=dict, max_length=50)
    prompts: list[Prompt] = Field(
        min_length=1, max_length=_LIMITS.shapes, description='"add" marks the thing, "sub" what is not part of it.'
    )
    shadow: bool = Field(False, description="Look for the shadow that the thing casts as well.")
    view: View | None = Field(
        None,
        description='What a person sees of the canvas, for models with the gesture "point": they look there only, so '
        "small things are found in a small view. The same view again is answered sooner. Left out, the whole canvas.",
    )
    candidates: Annotated[int, Field(strict=True, ge=1, le=4)] = Field(
        1, description="How many things that the prompts may mean are wanted at most, such as a part and the whole."
    )


class FindRequest(_OnImage):
    """Find what people usually want gone. Positions are those of the canvas that the parents make."""

    models: list[ModelName] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="Left out, all that find and are ready. Models that cut out find the subject.",
    )


class OneShotParams(RequestType):
    """The `params` field of a one-shot request. A raster mask is exact: it does not grow unless told to."""

    model: ModelName | None = Field(None, description="Left out, the server's current model.")
    seed: Seed = 0
    strategy: StrategyKind = "auto"
    grow_px: GrowPx = 0
    feather_px: FeatherPx = 0
    margin_px: MarginPx = None
    max_side: MaxSide = None
    crop_above: CropAbove = None
    finish: Finish = True
    params: dict[str, WireValue] = Field(default_factory=dict, max_length=50)


class IopaintParams(OneShotParams):
    """The same with the sizes under IOPaint's names."""

    seed: Annotated[int, _ranged("seed", "sd_seed")] = 0
    feather_px: Annotated[int, _ranged("feather_px", "sd_mask_blur")] = 0
    margin_px: Annotated[int | None, _ranged("margin_px", "hd_strategy_crop_margin")] = None
    max_side: Annotated[int | None, _ranged("max_side", "hd_strategy_resize_limit")] = None
    crop_above: Annotated[int | None, _ranged("crop_above", "hd_strategy_crop_trigger_size")] = None


class PhotoRequest(RequestType):
    """Take a photo of the input folder in."""

    name: str = Field(min_length=1, max_length=255)


class SessionRequest(RequestType):
    """Swap the server's token for a cookie."""

    token: str = Field(min_length=1, max_length=512)
