"""Models: which there are, what they take, and their downloads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, computed_field

from inpaint_models.parameters import ParameterKind
from inpaint_models.registry import Gesture, Kind, StrategyKind, Task

from .base import ReplyType, WireValue
from .problems import ProblemReply

ModelState = Literal["ready", "loaded", "missing", "downloading", "failed", "unavailable"]


class LicenceReply(ReplyType):
    name: str
    url: str
    commercial_use: bool


class ParameterReply(ReplyType):
    name: str
    kind: ParameterKind
    default: WireValue | None
    minimum: float | None
    maximum: float | None
    choices: list[str]
    max_length: int
    placeholder: str
    help: str


class DownloadProgress(ReplyType):
    done_bytes: int
    total_bytes: int | None


class ModelReply(ReplyType):
    """`state` is failed after a download that failed, and when the weights are there but do not load.

    `reason` is why the server took the model without being asked for it, empty for all others.
    """

    name: str
    title: str
    task: Task = Field(
        description="Models to fill take masks; others are for edits, POST /api/v1/select and POST /api/v1/find."
    )
    kind: Kind = Field(
        description="Under what people look for it: wires and scratches; almost everything; what has to be invented; "
        "what they say in words. Empty: it is not for everyday photos."
    )
    tagline: str
    description: str
    aliases: list[str]
    licence: LicenceReply
    stochastic: bool
    synthesises: bool = Field(description="Whether `finish` changes what it fills.")
    source_control: bool = Field(description="Whether it can be told where to copy from.")
    gesture: Gesture | None = Field(
        description="How a model that selects is pointed at: by marks over or around a thing, by points that trace its "
        "outline, by places that are a sample of its colour, by a point on it in a `view`. Null for other tasks."
    )
    strategies: list[StrategyKind]
    strategy: StrategyKind
    grow_px: int
    parameters: list[ParameterReply]
    download_bytes: int
    download_is_estimate: bool
    memory_bytes: int
    state: ModelState
    reason: str
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


class ModelsReply(ReplyType):
    """`current` fills when a request names no model; `wanted` is what --model asked for."""

    current: str
    wanted: str
    models: list[ModelReply]


class DownloadEvent(ReplyType):
    """A line of a download's stream; the last one has state ready or failed."""

    state: ModelState
    progress: DownloadProgress | None
    problem: ProblemReply | None
