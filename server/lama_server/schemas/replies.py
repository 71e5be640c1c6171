"""What goes out: images, edits, and what the server says of itself."""

from __future__ import annotations

from functools import reduce
from typing import Any, Literal

from pydantic import Field, computed_field

from inpaint_models.types import Box

from .base import ReplyType, WireValue, box_of_wire, wire_box
from .canvas import CanvasChange
from .requests import MaskShapes
from .shapes import Bitmap


class ImageReply(ReplyType):
    """A photo that the server has. `id` is the SHA-256 of the file."""

    id: str
    name: str
    width: int = Field(description="After EXIF rotation.")
    height: int = Field(description="After EXIF rotation.")
    format: str
    bit_depth: int
    has_alpha: bool
    icc: bool = Field(description="Whether the file carries a colour profile.")
    browsers_agree: bool = Field(
        description="Whether browsers show the file as the server sees it; if not, show `preview` instead."
    )
    size_bytes: int


class PhotoReply(ReplyType):
    """A file of the input folder that is called like a picture; it may be broken all the same."""

    name: str
    size_bytes: int
    changed_s: float = Field(description="Seconds since 1970.")
    version: str = Field(description="Changes when the file does.")
    result: str | None = Field(description="Name of the newest file in the output folder that was made of it.")
    result_version: str | None


class PhotosReply(ReplyType):
    """The folder that --input names, at most 5,000 of its photos."""

    folder: str
    photos: list[PhotoReply]


class PatchReply(ReplyType):
    """Where pixels of an edit are, and where they belong in the image."""

    url: str
    x: int
    y: int
    w: int
    h: int


class CanvasReply(ReplyType):
    """The size that the picture has with an edit over its parents, and whether it has an alpha channel."""

    width: int
    height: int
    has_alpha: bool


class MadeEdit(ReplyType):
    """What came of an edit.

    The boxes of its patches do not overlap: one for each region of the mask. A changed canvas has no patches, no model
    and no seed. `canvas` is what the photo is with the edit over its parents.
    """

    model: str | None
    seed: int | None
    strategy: str | None
    ms: int
    patches: list[PatchReply]
    canvas: CanvasReply

    @computed_field(json_schema_extra={"deprecated": True})  # type: ignore[prop-decorator]
    @property
    def patch(self) -> PatchReply | None:
        """All patches as one, with what lies between them, as version 0.1 had it; goes with the next one."""
        if not self.patches:
            return None
        around = reduce(Box.union, map(box_of_wire, self.patches))
        edit, _, _ = self.patches[0].url.partition("/patches/")
        return PatchReply(url=f"{edit}/patch.png", **wire_box(around))


class CandidateReply(ReplyType):
    """A thing that the prompts may mean; `shapes` can be the mask of an edit as they are."""

    score: float = Field(description="From 0 to 1: how sure the model is.")
    shapes: list[Bitmap]


class SelectReply(ReplyType):
    """A selection. `shapes` can be the mask of an edit as they are; `load_ms` of `ms` went into loading the model."""

    model: str
    ms: int
    load_ms: int
    score: float = Field(description="From 0 to 1: how sure the model is.")
    shapes: list[Bitmap]
    others: list[CandidateReply] = Field(description="What else the prompts may mean, the likeliest first.")
    shadow: list[Bitmap] = Field(description="What it casts, without the thing; empty unless asked for and seen.")


class FindingReply(ReplyType):
    """A suggestion; `shapes` can be the mask of an edit as they are."""

    category: str
    score: float = Field(description="From 0 to 1: how sure the model is.")
    model: str
    shapes: list[Bitmap]


class FindReply(ReplyType):
    """What was found, the surest of each model first. `left_out` counts those beyond the limit on shapes."""

    models: list[str]
    ms: int
    left_out: int
    findings: list[FindingReply]


class SavedReply(ReplyType):
    """The file that auto-save wrote into the output folder.

    `reencoded` says why a JPEG had to be encoded anew; null when it kept all blocks that were not edited, and for other
    formats.
    """

    name: str
    reencoded: str | None


class EditReply(MadeEdit):
    """A finished edit, with all that is needed to make it again: mask and run, or the `change` of the canvas."""

    id: str
    image: str
    parents: list[str]
    mask: MaskShapes | None
    params: dict[str, WireValue]
    change: CanvasChange | None


class LimitsReply(ReplyType):
    max_megapixels: int
    max_side_px: int
    upload_bytes: int
    runs: int
    shapes: int


class ConfigReply(ReplyType):
    """What the page needs to know at start."""

    version: str
    boot_id: str
    model: str
    device: str
    output_dir: str | None = Field(description="Name of the auto-save folder, null when auto-save is off.")
    open_image: str | None = Field(description="Id of the photo given by --input.")
    input_dir: str | None = Field(description="Name of the folder given by --input; see /api/v1/photos.")
    limits: LimitsReply
    settings: dict[str, Any]


class CheckReply(ReplyType):
    ok: bool
    code: str | None = Field(description="Of the error that a request would end in; null where `ok`.")
    detail: str


class HealthReply(ReplyType):
    status: Literal["ok"]
    version: str


class WorkerReply(ReplyType):
    """A process in which fills run, one at a time."""

    name: str
    device: str = Field(description="As asked for: auto is chosen when the first network is loaded.")
    state: Literal["starting", "ready", "stopped", "unavailable"] = Field(
        description="stopped: halted from outside, as by SIGSTOP. unavailable: it ended too often lately."
    )
    restarts: int
    loaded: list[str] = Field(description="Models it holds, least recently used first.")


class ReadyReply(ReplyType):
    """503 while a check fails. `model` says as well why another model than the wanted one is at work.

    `engine_worker` holds as soon as one of the `workers` can fill, and names those that cannot.
    """

    ready: bool
    checks: dict[str, CheckReply]
    workers: list[WorkerReply]
