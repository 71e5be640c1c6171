"""The lines of an edit's stream."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from .base import ReplyType
from .problems import ProblemReply
from .replies import CanvasReply, Patches, SavedReply


class QueuedEvent(ReplyType):
    type: Literal["queued"]
    job: str
    position: int = Field(description="0: its turn has come.")


class ProgressEvent(ReplyType):
    type: Literal["progress"]
    job: str
    run: int
    stage: str
    step: int
    total: int


class PreviewEvent(ReplyType):
    """An estimate while the run goes on; the URL is valid as long as the job."""

    type: Literal["preview"]
    job: str
    run: int
    url: str
    x: int
    y: int
    w: int
    h: int


class ResultEvent(Patches):
    """`ms` is the time from the run's start to its result; `load_ms` of it went into loading the model.

    `canvas` is what the photo is with this edit over its parents. Changes of the canvas have no model and no seed.
    """

    type: Literal["result"]
    job: str
    run: int
    edit: str
    model: str | None
    seed: int | None
    ms: int
    load_ms: int
    strategy: str | None
    canvas: CanvasReply


class SavedEvent(ReplyType):
    """With an output folder, follows each result once its file is written, or could not be."""

    type: Literal["saved"]
    job: str
    run: int
    edit: str
    saved: SavedReply | None
    save_error: ProblemReply | None


class ErrorEvent(ReplyType):
    """A run that failed, or the whole job when `run` is null."""

    type: Literal["error"]
    job: str
    run: int | None
    problem: ProblemReply


EditEvent = Annotated[
    QueuedEvent | ProgressEvent | PreviewEvent | ResultEvent | SavedEvent | ErrorEvent, Field(discriminator="type")
]
EVENT_TYPES: tuple[type[ReplyType], ...] = get_args(get_args(EditEvent)[0])
