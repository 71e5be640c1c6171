"""The lines of streams: of an edit, of a search, and of a selection."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from .base import ReplyType
from .problems import ProblemReply
from .replies import FindReply, MadeEdit, PatchReply, SavedReply, SelectReply
from .shapes import Polygon


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


class PreviewEvent(PatchReply):
    """An estimate while the run goes on; the URL is valid as long as the job."""

    type: Literal["preview"]
    job: str
    run: int


class PatchEvent(PatchReply):
    """A finished patch of a run that goes on: one of `patches` of its result, to be shown before that.

    `edit` is the id that the result will have. The URL is that of the result's patch, and goes if there is none.
    """

    type: Literal["patch"]
    job: str
    run: int
    edit: str
    index: int = Field(description="Of all patches of the result, counted from 0.")
    of: int = Field(description="How many patches the result will have.")


class ResultEvent(MadeEdit):
    """`ms` is the time from the run's start to its result; `load_ms` of it went into loading the model."""

    type: Literal["result"]
    job: str
    run: int
    edit: str
    load_ms: int


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
    QueuedEvent | ProgressEvent | PreviewEvent | PatchEvent | ResultEvent | SavedEvent | ErrorEvent,
    Field(discriminator="type"),
]
EVENT_TYPES: tuple[type[ReplyType], ...] = get_args(get_args(EditEvent)[0])


class SearchEvent(ReplyType):
    """How far one of the models is."""

    type: Literal["progress"]
    job: str
    model: str
    step: int
    total: int


class FoundEvent(FindReply):
    """All that one of the models found."""

    type: Literal["found"]
    job: str


FindEvent = Annotated[SearchEvent | FoundEvent | ErrorEvent, Field(discriminator="type")]
FIND_EVENT_TYPES: tuple[type[ReplyType], ...] = get_args(get_args(FindEvent)[0])


class OutlineEvent(ReplyType):
    """Where the thing is, as fine as a window shows it; its mask follows.

    `shapes` can be the mask of an edit as they are. Parts and holes are joined by slits of no width.
    """

    type: Literal["outline"]
    job: str
    model: str
    shapes: list[Polygon]


class SelectedEvent(SelectReply):
    """The mask, with all that an answer of another type has."""

    type: Literal["selected"]
    job: str


SelectEvent = Annotated[OutlineEvent | SelectedEvent | ErrorEvent, Field(discriminator="type")]
SELECT_EVENT_TYPES: tuple[type[ReplyType], ...] = get_args(get_args(SelectEvent)[0])
