"""The wire, as types. Field descriptions end up in OpenAPI and on the documentation page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, computed_field

from inpaint_models.options import OPTIONS
from inpaint_models.registry import STRATEGIES
from inpaint_models.types import Box

from ..settings import Limits
from .shapes import Shape

_LIMITS = Limits()
SEED_LIMIT = 2**32

Strategy = Literal["auto", "crop", "resize", "original"]
assert set(STRATEGIES) == set(Strategy.__args__)  # type: ignore[attr-defined]

RenderFormat = Literal["keep", "png", "jpeg", "webp", "tiff"]
RENDER_FORMATS: tuple[RenderFormat, ...] = ("keep", "png", "jpeg", "webp", "tiff")
ModelState = Literal["ready", "loaded", "missing", "downloading", "failed", "unavailable"]

Identifier = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9_-]+$")]
ModelName = Annotated[str, Field(min_length=1, max_length=80)]
Seed = Annotated[int, Field(ge=0, lt=SEED_LIMIT, strict=True, description="0 to 2^32 - 1.")]
Pixels = Annotated[int, Field(ge=0, le=256, strict=True)]


def _ranged(name: str, old_name: str | None = None) -> Any:
    """A field of `FillOptions` within the library's own limits; under its name of one version ago as well."""
    option = next(option for option in OPTIONS if option.name == name)
    assert option.minimum is not None
    assert option.maximum is not None
    alias = None if old_name is None else AliasChoices(name, old_name)
    return Field(
        strict=True, ge=int(option.minimum), le=int(option.maximum), validation_alias=alias, description=option.help
    )


MarginPx = Annotated[int | None, _ranged("margin_px")]
MaxSide = Annotated[int | None, _ranged("max_side", "cap_px")]
CropAbove = Annotated[int | None, _ranged("crop_above", "trigger_px")]
ParamValue = bool | int | float | str


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


# What comes in


class MaskShapes(_Wire):
    """What to fill: shapes in drawing order, "add" paints and "sub" erases."""

    shapes: list[Shape] = Field(min_length=1, max_length=_LIMITS.shapes)
    grow_px: Pixels | None = Field(None, description="Grow the mask; left out, the model's own value.")
    feather_px: Pixels = Field(0, description="Fade the fill in over so many pixels inside the grown mask.")


class Run(_Wire):
    """One answer that is wanted: a model, its parameters, a seed."""

    model: ModelName
    params: dict[str, ParamValue] = Field(default_factory=dict, max_length=50)
    seed: Seed | None = Field(None, description="Left out, the server draws one and tells it.")


class EditRequest(_Wire):
    """Fill a hole once for each run."""

    image: Identifier
    parents: list[Identifier] = Field(
        default_factory=list, max_length=_LIMITS.parents, description="Edits that lie under this one, in drawing order."
    )
    mask: MaskShapes
    strategy: Strategy = "auto"
    margin_px: MarginPx = None
    max_side: MaxSide = None
    crop_above: CropAbove = None
    runs: list[Run] = Field(min_length=1, max_length=_LIMITS.runs)


class OneShotParams(_Wire):
    """The `params` field of a one-shot request. A raster mask is exact: it does not grow unless told to."""

    model: ModelName | None = Field(None, description="Left out, the server's current model.")
    seed: Seed = 0
    strategy: Strategy = "auto"
    grow_px: Pixels = 0
    feather_px: Pixels = 0
    margin_px: MarginPx = None
    max_side: MaxSide = None
    crop_above: CropAbove = None
    params: dict[str, ParamValue] = Field(default_factory=dict, max_length=50)


class SessionRequest(_Wire):
    """Swap the server's token for a cookie."""

    token: str = Field(min_length=1, max_length=512)


# What goes out


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ImageReply(_Out):
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


class PatchReply(_Out):
    """Where an edit's pixels are, and where they belong in the image."""

    url: str
    x: int
    y: int
    w: int
    h: int


def wire_box(box: Box) -> dict[str, int]:
    """A box as the wire's x, y, w and h: the one place where a box changes its form on the way out."""
    return {"x": box.x0, "y": box.y0, "w": box.width, "h": box.height}


class SavedReply(_Out):
    """The file that auto-save wrote into the output folder."""

    name: str


class LimitReply(_Out):
    name: str
    value: Any
    actual: Any = None
    flag: str | None = None


class FieldProblem(_Out):
    pointer: str
    code: str
    message: str


class ProblemReply(_Out):
    """RFC 9457 problem details. Switch on `code`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    retryable: bool
    limit: LimitReply | None = None
    errors: list[FieldProblem] = Field(default_factory=list)
    retry_after: int | None = None


class QueuedEvent(_Out):
    type: Literal["queued"]
    job: str
    position: int = Field(description="0: its turn has come.")


class ProgressEvent(_Out):
    type: Literal["progress"]
    job: str
    run: int
    stage: str
    step: int
    total: int


class PreviewEvent(_Out):
    """An estimate while the run goes on; the URL is valid as long as the job."""

    type: Literal["preview"]
    job: str
    run: int
    url: str
    x: int
    y: int
    w: int
    h: int


class ResultEvent(_Out):
    """`ms` is the time from the run's start to its result; `load_ms` of it went into loading the model."""

    type: Literal["result"]
    job: str
    run: int
    edit: str
    model: str
    seed: int
    ms: int
    load_ms: int
    strategy: str
    patch: PatchReply


class SavedEvent(_Out):
    """With an output folder, follows each result once its file is written, or could not be."""

    type: Literal["saved"]
    job: str
    run: int
    edit: str
    saved: SavedReply | None
    save_error: ProblemReply | None


class ErrorEvent(_Out):
    """A run that failed, or the whole job when `run` is null."""

    type: Literal["error"]
    job: str
    run: int | None
    problem: ProblemReply


EditEvent = Annotated[
    QueuedEvent | ProgressEvent | PreviewEvent | ResultEvent | SavedEvent | ErrorEvent, Field(discriminator="type")
]


class EditReply(_Out):
    """A finished edit, with all that is needed to run it again."""

    id: str
    image: str
    parents: list[str]
    mask: MaskShapes
    model: str
    params: dict[str, ParamValue]
    seed: int
    strategy: str
    ms: int
    patch: PatchReply


class LicenceReply(_Out):
    name: str
    url: str
    commercial_use: bool


class ParameterReply(_Out):
    name: str
    kind: Literal["int", "float", "bool", "choice"]
    default: ParamValue
    minimum: float | None
    maximum: float | None
    choices: list[str]
    help: str


class DownloadProgress(_Out):
    done_bytes: int
    total_bytes: int | None


class ModelReply(_Out):
    """`state` is failed after a download that failed, and when the weights are there but do not load."""

    name: str
    title: str
    tagline: str
    description: str
    aliases: list[str]
    licence: LicenceReply
    stochastic: bool
    strategies: list[Strategy]
    strategy: Strategy
    grow_px: int
    parameters: list[ParameterReply]
    download_bytes: int
    download_is_estimate: bool
    memory_bytes: int
    state: ModelState
    progress: DownloadProgress | None
    problem: ProblemReply | None

    @computed_field(json_schema_extra={"deprecated": True})  # type: ignore[prop-decorator]
    @property
    def trait(self) -> str:
        """The name of `tagline` in version 0.1; goes with the next one."""
        return self.tagline

    @computed_field(json_schema_extra={"deprecated": True})  # type: ignore[prop-decorator]
    @property
    def variations(self) -> bool:
        """The name of `stochastic` in version 0.1; goes with the next one."""
        return self.stochastic


class ModelsReply(_Out):
    """`current` fills when a request names no model; `wanted` is what --model asked for."""

    current: str
    wanted: str
    models: list[ModelReply]


class DownloadEvent(_Out):
    """A line of a download's stream; the last one has state ready or failed."""

    state: ModelState
    progress: DownloadProgress | None
    problem: ProblemReply | None


class LimitsReply(_Out):
    max_megapixels: int
    max_side_px: int
    upload_bytes: int
    runs: int
    shapes: int


class ConfigReply(_Out):
    """What the page needs to know at start."""

    version: str
    boot_id: str
    model: str
    device: str
    output_dir: str | None = Field(description="Name of the auto-save folder, null when auto-save is off.")
    open_image: str | None = Field(description="Id of the photo given by --input.")
    limits: LimitsReply
    settings: dict[str, Any]


class CheckReply(_Out):
    ok: bool
    detail: str


class HealthReply(_Out):
    status: Literal["ok"]
    version: str


class WorkerReply(_Out):
    """A process in which fills run, one at a time."""

    name: str
    device: str = Field(description="As asked for: auto is chosen when the first network is loaded.")
    state: Literal["starting", "ready", "unavailable"]
    restarts: int
    loaded: list[str] = Field(description="Models it holds, least recently used first.")


class ReadyReply(_Out):
    """503 while a check fails. `model` says as well why another model than the wanted one is at work.

    `engine_worker` holds as soon as one of the `workers` can fill, and names those that cannot.
    """

    ready: bool
    checks: dict[str, CheckReply]
    workers: list[WorkerReply]
