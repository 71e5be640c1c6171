"""An edit from request to result: its place in the queue, its runs one after another, its record, its saved file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

from inpaint_models.options import SEED_LIMIT, FillOptions
from inpaint_models.registry import ModelEntry, Task
from inpaint_models.types import Box, ParamValue, PixelSource

from .. import codec
from ..errors import (
    ApiError,
    FieldMissing,
    InternalError,
    JobCancelled,
    ModelNoSourceControl,
    ParamUnknown,
    api_error_of,
)
from ..imaging.canvas import check_change, check_size
from ..imaging.lazy_pixels import stored_array, stored_picture
from ..imaging.masks import check_bounds
from ..imaging.pictures import Picture
from ..imaging.pixel_files import write_pixels
from ..schemas.base import WireValue, wire_box
from ..schemas.events import EditEvent, ErrorEvent, ProgressEvent, QueuedEvent, ResultEvent, SavedEvent
from ..schemas.problems import ProblemReply
from ..schemas.replies import CanvasReply, EditReply, PatchReply
from ..schemas.requests import CanvasRequest, EditRequest, MaskShapes, OneShotParams, SourceShapes
from ..settings import Limits
from ..store.documents import Documents, MadeBy, Workspace
from ..store.image_store import StoredEdit, StoredImage, new_edit_id
from ..workers.executor import Listener
from ..workers.messages import (
    DrawnMask,
    DrawnSource,
    FillHole,
    JobEvent,
    PatchReport,
    PreviewReport,
    ProgressReport,
    RemakeCanvas,
)
from .autosave import AutoSave, Saved
from .early import EarlyPictures, patch_url
from .model_jobs import ModelJobs, ModelUse
from .queue import JobQueue, Ticket, shutting_down

Events = asyncio.Queue[EditEvent | None]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of a model, checked: nothing in it is refused later. `options` are those of a fill."""

    use: ModelUse
    options: FillOptions


@dataclass(frozen=True, slots=True)
class Plan:
    """An edit request that passed every check: what to do, and with which models."""

    request: EditRequest
    image: StoredImage
    picture: Picture
    runs: tuple[PlannedRun, ...]
    request_id: str


@dataclass(frozen=True, slots=True)
class CanvasPlan:
    """A change of the canvas that can be made."""

    request: CanvasRequest
    image: StoredImage
    picture: Picture
    request_id: str


@dataclass(frozen=True, slots=True)
class OneShot:
    """A finished one-shot request; `box` holds all that was changed."""

    model: str
    seed: int
    box: Box
    timing: Mapping[str, float]


class JobRunner:
    """Runs edits on an executor, when it is their tickets' turn."""

    def __init__(
        self,
        limits: Limits,
        documents: Documents,
        saves: AutoSave,
        models: ModelJobs,
        queue: JobQueue,
    ) -> None:
        self._limits, self._documents, self._saves = limits, documents, saves
        self._models, self.queue = models, queue
        self.early = EarlyPictures()

    # edits

    async def plan(self, request: EditRequest, request_id: str) -> Plan:
        """Everything that can be refused before the first line is sent. Raises `ApiError`."""
        image = await self._documents.image(request.image)
        picture = await self._documents.picture(image, request.parents)
        canvas = picture.shown
        if request.mask is not None:
            await asyncio.to_thread(_check_shapes, request.mask, canvas.width, canvas.height, self._limits)
        runs = tuple([await self._planned_run(request, index, canvas) for index in range(len(request.runs))])
        return Plan(request, image, picture, runs, request_id)

    async def plan_canvas(self, request: CanvasRequest, request_id: str) -> CanvasPlan:
        """As `plan`."""
        self._documents.check_room()
        image = await self._documents.image(request.image)
        picture = await self._documents.picture(image, request.parents)
        canvas = picture.shown
        check_change(request.canvas, canvas.width, canvas.height, self._documents.codec_limits)
        return CanvasPlan(request, image, picture, request_id)

    async def _planned_run(self, request: EditRequest, index: int, canvas: codec.ImageInfo) -> PlannedRun:
        run, mask, where = request.runs[index], request.mask, f"/runs/{index}"
        use = await self._models.checked(run.model, run.params, where, "fill", "matte", "enlarge", "restore")
        if use.entry.task != "fill":
            if mask is not None:
                raise ParamUnknown(f"{use.entry.title} works on the whole canvas: it takes no mask.", pointer="/mask")
            self._check_factor(use, canvas, f"{where}/params/factor")
            return PlannedRun(use, FillOptions())
        if mask is None:
            raise FieldMissing(f"{use.entry.title} needs a mask: it fills what that covers.", pointer="/mask")
        if _drawn_source(mask) != DrawnSource():
            _check_source_control(use, "/mask/source")
        seed = secrets.randbelow(SEED_LIMIT) if run.seed is None else run.seed
        grow_px = use.entry.grow_px if mask.grow_px is None else mask.grow_px
        return PlannedRun(use, _options(request, seed, grow_px, mask.feather_px, use.params))

    def _check_factor(self, use: ModelUse, canvas: codec.ImageInfo, pointer: str) -> None:
        """Whether the canvas may become as large as a model that enlarges would make it."""
        factor = _factor(use)
        if factor > 1:
            check_size(factor * canvas.width, factor * canvas.height, self._documents.codec_limits, pointer)

    async def edit(self, ticket: Ticket, plan: Plan | CanvasPlan) -> AsyncGenerator[EditEvent, None]:
        """The job's events until all runs are done and saved. Leaving the iterator early cancels runs, not saves."""
        events: Events = asyncio.Queue()
        job = asyncio.get_running_loop().create_task(self._work(ticket, plan, events))
        ticket.owner = job
        job.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            if job.cancelled():
                yield error_event(ticket, None, JobCancelled("The job was cancelled."), plan.request_id)
        finally:
            job.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await job
            ticket.release()

    async def _work(self, ticket: Ticket, plan: Plan | CanvasPlan, events: Events) -> None:
        """A change of the canvas needs no engine, and so it does not wait for one."""
        saves: list[asyncio.Task[Saved]] = []
        try:
            if isinstance(plan, CanvasPlan):
                events.put_nowait(QueuedEvent(type="queued", job=ticket.id, position=0))
                runs = [partial(self._change_canvas, ticket, plan)]
            else:
                async for position in ticket.positions():
                    events.put_nowait(QueuedEvent(type="queued", job=ticket.id, position=position))
                runs = [
                    partial(self._fill if run.use.entry.task == "fill" else self._remake, ticket, plan, index, events)
                    for index, run in enumerate(plan.runs)
                ]
            with self._documents.store.hold(plan.image.id):
                for index, run in enumerate(runs):
                    await self._run_told(ticket, plan, index, run, events, saves)
        except Exception as error:  # noqa: BLE001  the stream has begun: the error is its last line
            events.put_nowait(error_event(ticket, None, told(error, plan.request_id), plan.request_id))
        finally:
            ticket.release()
        if saves:
            await asyncio.wait(saves)

    async def _run_told(
        self,
        ticket: Ticket,
        plan: Plan | CanvasPlan,
        index: int,
        run: Callable[[], Awaitable[tuple[ResultEvent, Picture]]],
        events: Events,
        saves: list[asyncio.Task[Saved]],
    ) -> None:
        """One run, ending in its result or its error; the runs after an error go on."""
        if index and self.queue.closing:
            raise shutting_down()
        try:
            result, shown = await run()
            events.put_nowait(result)
            if self._saves.is_on and plan.request.save:
                saves.append(self._begin_save(plan, result, shown, events))
                await self._saves.room()
        except Exception as error:  # noqa: BLE001  told in the run's place
            events.put_nowait(error_event(ticket, index, told(error, plan.request_id), plan.request_id))

    def _begin_save(
        self, plan: Plan | CanvasPlan, result: ResultEvent, shown: Picture, events: Events
    ) -> asyncio.Task[Saved]:
        """Hands a result to auto-save, whose own line follows when it is done."""

        def tell(task: asyncio.Task[Saved]) -> None:
            if not task.cancelled():
                saved = task.result()
                problem = ProblemReply.of(saved.problem, plan.request_id) if saved.problem else None
                line = SavedEvent.of_record(result, type="saved", saved=saved.reply, save_error=problem)
                events.put_nowait(line)

        task = self._saves.begin(plan.image, shown)
        task.add_done_callback(tell)
        return task

    async def _fill(self, ticket: Ticket, plan: Plan, index: int, events: Events) -> tuple[ResultEvent, Picture]:
        """(what to tell, the photo with the edit over it)."""
        run, mask, began, edit_id = plan.runs[index], plan.request.mask, time.monotonic(), new_edit_id()
        assert mask is not None
        try:
            async with self._models.pictures(run.use) as pictures:
                quick = self._models.manager.quick if plan.request.quick_look and index == 0 else None
                source = _drawn_source(mask)
                hole = _hole(run, plan.picture, tuple(mask.shapes), pictures, source, preview=True, quick=quick)
                filled = await self._models.run(hole, self._listener(ticket, index, events, edit_id))
            ms = _ms_since(began)
            made = MadeBy(run.use.entry.name, run.use.asked, ms, run.options.seed, filled.strategy)
            edit = await self._documents.add_edit(plan.image, plan.request, filled, made, edit_id)
        finally:
            self.early.drop_patches(edit_id)
        return self._result(ticket, plan, index, edit, min(ms, round(filled.load_ms)))

    async def _remake(self, ticket: Ticket, plan: Plan, index: int, events: Events) -> tuple[ResultEvent, Picture]:
        """As `_fill`, for a model that makes the whole canvas anew."""
        run, began = plan.runs[index], time.monotonic()
        with self._documents.store.scratch() as scratch:
            await asyncio.to_thread(scratch.take, _remade_bytes(run.use, plan.picture.shown))
            async with self._models.pictures(run.use) as pictures:
                write = partial(write_pixels, scratch.result)
                job = RemakeCanvas(run.use.choice, stored_picture(plan.picture), write, run.use.params, pictures)
                remade = await self._models.run(job, self._listener(ticket, index, events))
            made = MadeBy(run.use.entry.name, run.use.asked, _ms_since(began))
            edit = await self._documents.add_remade(plan.image, plan.request, scratch.result, remade, made)
        return self._result(ticket, plan, index, edit, min(made.ms, round(remade.load_ms)))

    async def _change_canvas(self, ticket: Ticket, plan: CanvasPlan) -> tuple[ResultEvent, Picture]:
        """As `_fill`."""
        edit = await self._documents.change_canvas(plan.image, plan.request, plan.picture)
        return self._result(ticket, plan, 0, edit, 0)

    def _result(
        self, ticket: Ticket, plan: Plan | CanvasPlan, index: int, edit: StoredEdit, load_ms: int
    ) -> tuple[ResultEvent, Picture]:
        """(what to tell of a finished edit, the photo with it over its parents)."""
        shown = plan.picture.with_layers(self._documents.store.layers(edit))
        result = ResultEvent(
            type="result", job=ticket.id, run=index, edit=edit.id, load_ms=load_ms, **_made(edit, shown.shown)
        )
        return result, shown

    def _listener(self, ticket: Ticket, index: int, events: Events, edit_id: str = "") -> Listener:
        """`edit_id` is the one that the edit will have, where its patches are told as they are done."""

        def listen(event: JobEvent) -> None:
            match event:
                case PreviewReport():
                    events.put_nowait(self.early.add_preview(ticket.id, index, event))
                case PatchReport():
                    events.put_nowait(self.early.add_patch(ticket.id, index, edit_id, event))
                case ProgressReport():
                    events.put_nowait(ProgressEvent.of_record(event, type="progress", job=ticket.id, run=index))

        return listen

    # one shot

    async def plan_one_shot(self, params: OneShotParams, where: str = "", sources: Sequence[str] = ()) -> PlannedRun:
        """Everything that can be refused before the pictures are looked at.

        where    the field of the parameters
        sources  the fields that say where to copy from
        """
        use = await self._models.checked(params.model, params.params, where, "fill")
        for name in sources:
            _check_source_control(use, f"/{name}")
        return PlannedRun(use, _options(params, params.seed, params.grow_px, params.feather_px, use.params))

    async def one_shot(
        self, ticket: Ticket, work: Workspace, run: PlannedRun, listener: Listener | None = None
    ) -> OneShot:
        """Waits for the ticket's turn, fills once and lays the patch over the workspace's picture."""
        arrived = time.monotonic()
        await ticket.wait()
        began = time.monotonic()
        async with self._models.pictures(run.use) as pictures:
            mask, include, exclude = (stored_array(path) if path else None for path in work.mask_files)
            assert mask is not None, "put_mask comes first"
            pictures |= {name: stored_picture(picture) for name, picture in work.pictures.items()}
            hole = _hole(run, work.picture, mask, pictures, DrawnSource(include, exclude))
            filled = await self._models.run(hole, listener)
        await work.apply(filled)
        timing = {"queue": 1000 * (began - arrived), "load": filled.load_ms, "fill": filled.fill_ms}
        box = reduce(Box.union, (patch.box for patch in filled.patches))
        return OneShot(run.use.entry.name, run.options.seed, box, timing)

    async def plan_remake(self, work: Workspace, task: Task, params: Mapping[str, WireValue], where: str) -> ModelUse:
        """A model that makes the workspace's picture anew; `where` is the field that says how large."""
        use = await self._models.checked(None, params, "", task)
        self._check_factor(use, work.picture.shown, where)
        return use

    async def remake_once(self, ticket: Ticket, work: Workspace, use: ModelUse) -> None:
        """Waits for the ticket's turn and makes the workspace's picture anew."""
        await ticket.wait()
        await work.take(_remade_bytes(use, work.picture.shown))
        async with self._models.pictures(use) as pictures:
            write = partial(write_pixels, work.remade, durable=False)
            job = RemakeCanvas(use.choice, stored_picture(work.picture), write, use.params, pictures)
            work.replace_pixels(await self._models.run(job))


def edit_reply(edit: StoredEdit, shown: codec.ImageInfo) -> EditReply:
    """An edit as it was asked for and made; `shown` is the photo with it over its parents."""
    record = edit.record
    params = record.request.get("run", {}).get("params", {})
    mask = record.request.get("mask")
    return EditReply.of_record(record, id=edit.id, mask=mask, params=params, **_made(edit, shown))


def _made(edit: StoredEdit, shown: codec.ImageInfo) -> dict[str, Any]:
    """The fields of `MadeEdit`."""
    run, made, boxes = edit.record.request.get("run", {}), edit.record.request["made"], edit.record.boxes
    return {
        "model": run.get("model"),
        "seed": run.get("seed"),
        "strategy": made.get("strategy"),
        "ms": made["ms"],
        "patches": [PatchReply(url=patch_url(edit.id, index), **wire_box(box)) for index, box in enumerate(boxes)],
        "canvas": CanvasReply.model_validate(shown),
    }


def _hole(
    run: PlannedRun,
    picture: Picture,
    mask: DrawnMask,
    pictures: Mapping[str, PixelSource],
    source: DrawnSource,
    *,
    preview: bool = False,
    quick: ModelEntry | None = None,
) -> FillHole:
    """The job of filling a hole in a stored photo."""
    metadata = partial(codec.read_metadata, picture.source)
    return FillHole(
        run.use.choice, stored_picture(picture), mask, run.options, metadata, preview, pictures, quick, source
    )


def _factor(use: ModelUse) -> int:
    """How many times as large as the canvas the model's answer is."""
    return int(str(use.entry.check_params(use.params)["factor"])) if use.entry.task == "enlarge" else 1


def _remade_bytes(use: ModelUse, canvas: codec.ImageInfo) -> int:
    """The most that the pixels of a canvas take that the model made anew."""
    return _factor(use) ** 2 * replace(canvas, has_alpha=True).pixel_bytes


def _check_shapes(mask: MaskShapes, width: int, height: int, limits: Limits) -> None:
    source = mask.source or SourceShapes()
    check_bounds(mask.shapes, width, height, limits)
    check_bounds(source.include, width, height, limits, "/mask/source/include")
    check_bounds(source.exclude, width, height, limits, "/mask/source/exclude")


def _drawn_source(mask: MaskShapes) -> DrawnSource:
    """None for what has no shapes."""
    source = mask.source or SourceShapes()
    return DrawnSource(tuple(source.include) or None, tuple(source.exclude) or None)


def _check_source_control(use: ModelUse, pointer: str) -> None:
    if not use.entry.source_control:
        raise ModelNoSourceControl(
            f"{use.entry.title} copies nothing from the picture, so it cannot be told where to copy from. Leave the "
            "sources out, or choose a model that takes them, for example patchmatch.",
            pointer=pointer,
        )


def _ms_since(began_s: float) -> int:
    return round(1000 * (time.monotonic() - began_s))


def _options(
    request: EditRequest | OneShotParams, seed: int, grow_px: int, feather_px: int, params: Mapping[str, ParamValue]
) -> FillOptions:
    return FillOptions(
        seed=seed,
        strategy=request.strategy,
        grow_px=grow_px,
        feather_px=feather_px,
        margin_px=request.margin_px,
        max_side=request.max_side,
        crop_above=request.crop_above,
        finish=request.finish,
        params=dict(params),
    )


def told(error: Exception, request_id: str) -> ApiError:
    problem = api_error_of(error)
    if isinstance(problem, InternalError):
        log.error("request %s failed", request_id, exc_info=error)
    return problem


def error_event(ticket: Ticket, run: int | None, problem: ApiError, request_id: str) -> ErrorEvent:
    return ErrorEvent(type="error", job=ticket.id, run=run, problem=ProblemReply.of(problem, request_id))
