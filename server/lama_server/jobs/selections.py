"""Selections and suggestions: prompts in or none, and masks out that can be used in an edit as they are."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from inpaint_models.errors import InvalidPrompts
from inpaint_models.protocols import Prompts
from inpaint_models.types import Box

from ..errors import JobCancelled, ModelWrongTask, ParamInvalid
from ..imaging.lazy_pixels import stored_picture
from ..imaging.masks import polygon_of, prompts_of
from ..imaging.pictures import Picture
from ..schemas.base import WireValue, box_of_wire, wire_box
from ..schemas.events import ErrorEvent, FindEvent, FoundEvent, OutlineEvent, SearchEvent, SelectedEvent, SelectEvent
from ..schemas.replies import CandidateReply, FindingReply, FindReply, SelectReply
from ..schemas.requests import FindRequest, SelectRequest, View
from ..schemas.shapes import Bitmap
from ..settings import Limits
from ..store.documents import Documents
from ..store.image_store import StoredImage
from ..workers.messages import (
    FindThings,
    Found,
    JobEvent,
    MaskPicture,
    OutlineReport,
    ProgressReport,
    Selected,
    SelectMask,
)
from .model_jobs import ModelJobs, ModelUse
from .queue import Ticket
from .runner import error_event, told

Event = TypeVar("Event", FindEvent, SelectEvent)


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """A request that passed every check.

    image       the stored photo, None for one that is not kept
    image_name  the same for the same pixels
    view        the part of the picture in which the thing is pointed at
    most        how many candidates are wanted at most
    """

    use: ModelUse
    image: StoredImage | None
    picture: Picture
    image_name: str
    prompts: Prompts
    shadow: bool = False
    view: Box | None = None
    most: int = 1


@dataclass(frozen=True, slots=True)
class Selection:
    """A finished selection; `ms` from its turn to its answer."""

    model: str
    selected: Selected
    ms: int


@dataclass(frozen=True, slots=True)
class FindPlan:
    """A request that passed every check."""

    uses: Sequence[ModelUse]
    image: StoredImage
    picture: Picture


class Selections:
    """Runs selections, when it is their tickets' turn."""

    def __init__(self, limits: Limits, documents: Documents, models: ModelJobs) -> None:
        self._limits, self._documents, self._models = limits, documents, models

    async def plan(self, request: SelectRequest) -> SelectionPlan:
        """Everything that can be refused before waiting. Raises `ApiError`."""
        image = await self._documents.image(request.image)
        picture = await self._documents.picture(image, request.parents)
        name, prompts = "/".join((image.id, *request.parents)), prompts_of(request.prompts)
        plan = await self._checked(request.model, request.params, image, picture, name, prompts)
        view = box_of_view(request.view, picture.shown.height, picture.shown.width) if request.view else None
        return replace(plan, shadow=request.shadow, view=view, most=request.candidates)

    async def plan_find(self, request: FindRequest) -> FindPlan:
        """Everything that can be refused before waiting. Raises `ApiError`."""
        image = await self._documents.image(request.image)
        picture = await self._documents.picture(image, request.parents)
        names = dict.fromkeys(self._models.manager.ready_names("find") if request.models is None else request.models)
        try:
            uses = [await self._models.checked(name, {}, "", "find", "matte") for name in names]
            return FindPlan(uses, image, picture)
        except ModelWrongTask as error:
            raise error.fresh(pointer="/models") from None

    async def plan_once(self, picture: Picture, image_name: str, prompts: Prompts) -> SelectionPlan:
        """As `plan`, in a picture that nothing is kept of."""
        return await self._checked(None, {}, None, picture, image_name, prompts)

    async def _checked(
        self,
        model: str | None,
        params: Mapping[str, WireValue],
        image: StoredImage | None,
        picture: Picture,
        image_name: str,
        prompts: Prompts,
    ) -> SelectionPlan:
        try:
            prompts.check(picture.shown.height, picture.shown.width)
        except InvalidPrompts as error:
            raise ParamInvalid(str(error), pointer="/prompts") from None
        use = await self._models.checked(model, params, "", "select")
        return SelectionPlan(use, image, picture, image_name, prompts)

    async def run(
        self,
        ticket: Ticket,
        plan: SelectionPlan,
        tell: Callable[[SelectEvent], None] | None = None,
        *,
        whole: bool = False,
    ) -> Selection:
        """Waits for the ticket's turn. `tell` hears of the outline; `whole`: the mask at the canvas's size."""
        await ticket.wait()
        began = time.monotonic()
        with contextlib.nullcontext() if plan.image is None else self._documents.store.hold(plan.image.id):
            async with self._models.pictures(plan.use) as pictures:
                mask = await self._models.run(
                    SelectMask(
                        plan.use.choice,
                        stored_picture(plan.picture),
                        plan.image_name,
                        plan.prompts,
                        plan.use.params,
                        pictures,
                        whole,
                        plan.shadow,
                        tell is not None,
                        plan.view,
                        plan.most,
                    ),
                    tell and partial(_tell_outline, ticket, plan.use.entry.name, tell),
                )
        return Selection(plan.use.entry.name, mask, round(1000 * (time.monotonic() - began)))

    async def run_find(
        self, ticket: Ticket, plan: FindPlan, tell: Callable[[FindEvent], None] = lambda event: None
    ) -> FindReply:
        """Waits for the ticket's turn, and asks one model after the other; `tell` hears of each."""
        await ticket.wait()
        began, left, replies = time.monotonic(), self._limits.shapes, list[FindReply]()
        with self._documents.store.hold(plan.image.id):
            for use in plan.uses:
                job = FindThings(use.choice, stored_picture(plan.picture), left, use.params)
                found = await self._models.run(job, partial(_tell_progress, ticket, use.entry.name, tell))
                left -= len(found.things)
                replies.append(find_reply(use.entry.name, found, round(1000 * (time.monotonic() - began))))
                tell(FoundEvent(type="found", job=ticket.id, **dict(replies[-1])))
        return FindReply(
            models=[use.entry.name for use in plan.uses],
            ms=round(1000 * (time.monotonic() - began)),
            left_out=sum(reply.left_out for reply in replies),
            findings=[finding for reply in replies for finding in reply.findings],
        )

    def events(self, ticket: Ticket, plan: SelectionPlan, request_id: str) -> AsyncGenerator[SelectEvent, None]:
        """As `run`, as it goes on. Leaving the iterator early cancels the selection."""

        async def select(tell: Callable[[SelectEvent], None]) -> None:
            reply = select_reply(await self.run(ticket, plan, tell))
            tell(SelectedEvent(type="selected", job=ticket.id, **dict(reply)))

        return _events(ticket, select, request_id)

    def find_events(self, ticket: Ticket, plan: FindPlan, request_id: str) -> AsyncGenerator[FindEvent, None]:
        """As `run_find`, as it goes on. Leaving the iterator early cancels the search."""
        return _events(ticket, partial(self.run_find, ticket, plan), request_id)


async def _events(
    ticket: Ticket, work: Callable[[Callable[[Event], None]], Coroutine[Any, Any, object]], request_id: str
) -> AsyncGenerator[Event | ErrorEvent, None]:
    """What the work tells, and why it ended where it failed."""
    events = asyncio.Queue[Event | None]()
    working = asyncio.ensure_future(work(events.put_nowait))
    ticket.owner = working
    working.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        if working.cancelled():
            yield error_event(ticket, None, JobCancelled("The job was cancelled."), request_id)
        elif isinstance(error := working.exception(), Exception):
            yield error_event(ticket, None, told(error, request_id), request_id)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        ticket.release()


def _tell_outline(ticket: Ticket, model: str, tell: Callable[[SelectEvent], None], event: JobEvent) -> None:
    if isinstance(event, OutlineReport):
        tell(OutlineEvent(type="outline", job=ticket.id, model=model, shapes=[polygon_of(event.outline)]))


def _tell_progress(ticket: Ticket, model: str, tell: Callable[[FindEvent], None], event: JobEvent) -> None:
    if isinstance(event, ProgressReport):
        tell(SearchEvent(type="progress", job=ticket.id, model=model, step=event.step, total=event.total))


def select_reply(selection: Selection) -> SelectReply:
    """With masks as shapes."""
    made = selection.selected
    return SelectReply(
        model=selection.model,
        ms=selection.ms,
        load_ms=round(made.load_ms),
        score=round(made.candidates[0].score, 3),
        shapes=[bitmap(made.mask)],
        others=[
            CandidateReply(score=round(other.score, 3), shapes=[bitmap(other.mask)]) for other in made.candidates[1:]
        ],
        shadow=[bitmap(made.shadow)] if made.shadow else [],
    )


def find_reply(model: str, found: Found, ms: int) -> FindReply:
    """What one model found."""
    findings = [
        FindingReply(category=thing.category, score=round(thing.score, 3), model=model, shapes=[bitmap(thing.mask)])
        for thing in found.things
    ]
    return FindReply(models=[model], ms=ms, left_out=found.left_out, findings=findings)


def bitmap(mask: MaskPicture) -> Bitmap:
    """The shape of an edit that is this mask."""
    return Bitmap(kind="bitmap", op="add", png=base64.b64encode(mask.png).decode("ascii"), **wire_box(mask.box))


def box_of_view(view: View, height: int, width: int) -> Box:
    """The part of it that lies on the canvas. Raises `ParamInvalid` where that is nothing."""
    box = box_of_wire(view).clipped(height, width)
    if min(box.width, box.height) < 1:
        raise ParamInvalid(f"The view shows nothing of the canvas ({width}x{height}).", pointer="/view")
    return box
