"""What the engine worker does: keep models loaded within a budget, and use them, each for its task.

torch is imported by the models that need it, when they are loaded, and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TypeVar, assert_never

import numpy as np

from inpaint_models import devices
from inpaint_models.errors import OutOfMemory, WrongTask
from inpaint_models.loading import Runner, build, warm_up
from inpaint_models.machine import available_processors
from inpaint_models.options import FillOptions
from inpaint_models.pipeline.inpainter import Inpainter
from inpaint_models.protocols import AlphaMap, Candidate, Finding, Polygon
from inpaint_models.tasks.enlarge import Enlarger
from inpaint_models.tasks.find import Finder
from inpaint_models.tasks.matte import Matter
from inpaint_models.tasks.pixels import whole
from inpaint_models.tasks.restore import Restorer
from inpaint_models.tasks.select import Selector
from inpaint_models.types import Box, Mask, ParamValue, Patch, PixelSource, SourceControl

from .. import codec
from ..errors import MaskEmpty
from ..errors.disk import disk_errors
from ..imaging import masks
from .messages import (
    AnswerT,
    DrawnMask,
    EngineChoice,
    Filled,
    FilledPatch,
    FillHole,
    FindThings,
    Found,
    FoundThing,
    LoadedModels,
    LoadedModelsReport,
    LoadModel,
    MaskPicture,
    OutlineReport,
    PatchReport,
    PreviewReport,
    ProgressReport,
    Proposed,
    Remade,
    RemakeCanvas,
    RunJob,
    Selected,
    SelectMask,
)
from .model_cache import ModelCache
from .quick_look import QuickLook
from .worker import JobContext

PREVIEW_INTERVAL_S = 0.5
PROGRESS_INTERVAL_S = 0.05

Result = TypeVar("Result")
RunnerT = TypeVar("RunnerT", Inpainter, Selector, Finder, Enlarger)


class EngineHandler:
    """Does jobs. `load` makes a model of its files; None: as `load_runner` does."""

    def __init__(
        self,
        memory_budget_bytes: int,
        device: str,
        max_megapixels: int,
        load: Callable[[EngineChoice], Runner] | None = None,
    ) -> None:
        self.device = device
        self._load = load or load_runner
        self._limits = codec.ImageLimits(max_pixels=max_megapixels * 1_000_000, min_side=1)
        self._cache = ModelCache(memory_budget_bytes)
        self._warm_up_s: dict[str, float] = {}

    def handle(self, request: RunJob[AnswerT], context: JobContext) -> object:
        job, choice = request.job, request.choice
        match job:
            case LoadModel():
                self._model(choice, context)
                return LoadedModels(self._cache.names)
            case FillHole():
                return self._fill(job, choice, context)
            case SelectMask():
                return self._select(job, choice, context)
            case FindThings():
                return self._find(job, choice, context)
            case RemakeCanvas():
                return self._remake(job, choice, context)
            case _:
                assert_never(job)

    def _model(self, choice: EngineChoice, context: JobContext) -> Runner:
        """The loaded model; while it is being loaded that is the stage, and afterwards the models it holds are told."""
        if (loaded := self._cache.find(choice)) is not None:
            return loaded
        context.send(ProgressReport(context.number, "loading", 0, 1))

        def still_wanted(stage: str, step: int, total: int, preview: object = None) -> None:
            context.check()

        def load() -> Runner:
            model = self._cache.add(choice, self._load)
            try:
                if isinstance(model, Inpainter):
                    began = time.monotonic()
                    warm_up(model, still_wanted)
                    self._warm_up_s[choice.entry.name] = time.monotonic() - began
            except BaseException:
                self._cache.discard(choice)  # a second try would build the model beside this one
                raise
            return model

        try:
            return self._with_room(choice, context, load)
        finally:
            context.send(LoadedModelsReport(context.number, self._cache.names))

    def _with_room(self, choice: EngineChoice, context: JobContext, work: Callable[[], Result]) -> Result:
        """Does the work; again without the other models where it ran out of memory beside them."""
        try:
            return work()
        except OutOfMemory:
            if not self._cache.drop_others(choice):
                raise
        # Outside of the except block, whose traceback holds on to what the first try had.
        devices.release_memory()
        context.send(LoadedModelsReport(context.number, self._cache.names))
        return work()

    def _fill(self, job: FillHole, choice: EngineChoice, context: JobContext) -> Filled:
        began = time.monotonic()
        read = partial(read_mask, job.image.shape, check=context.check, limits=self._limits)
        mask = read(job.mask)
        control = SourceControl(*(marked(part, read) for part in (job.source.include, job.source.exclude)))
        model = of_kind(Inpainter, self._model(choice, context))
        loaded = time.monotonic()
        with disk_errors():
            metadata = job.metadata() if job.metadata else codec.Metadata()
        look = self._quick_look(job, mask, metadata, choice, context)
        progress = Progress(context, metadata if job.preview else None, look)
        options = replace(job.options, params=with_pictures(job.options.params, job.pictures))

        def fill() -> tuple[str, tuple[FilledPatch, ...]]:
            patches = model.patches(job.image, mask, options, progress, control=control)
            return encoded(patches, metadata, context if job.preview else None)

        strategy, patches = self._with_room(choice, context, fill)
        return Filled(
            patches=patches,
            strategy=strategy,
            load_ms=1000 * (loaded - began),
            fill_ms=1000 * (time.monotonic() - loaded),
        )

    def _quick_look(
        self, job: FillHole, mask: Mask, metadata: codec.Metadata, choice: EngineChoice, context: JobContext
    ) -> QuickLook | None:
        """The answer of the job's quick model to the same hole, where that is loaded."""
        if job.quick is None or not job.preview or job.quick.name == choice.entry.name:
            return None
        quick, cost_s = replace(choice, entry=job.quick), self._warm_up_s.get(job.quick.name)
        if cost_s is None:
            return None
        options = FillOptions(grow_px=job.options.grow_px, feather_px=job.options.feather_px, finish=job.options.finish)

        def still_wanted(stage: str, step: int, total: int, preview: object = None) -> None:
            context.check()

        def patches() -> Iterator[Patch]:
            model = self._cache.find(quick)  # not held meanwhile: it may have to make room for this very fill
            if model is None:
                return iter(())
            return of_kind(Inpainter, model).patches(job.image, mask, options, still_wanted)

        def show(patch: Patch) -> None:
            png = codec.encode_patch(patch.pixels, metadata)
            context.send(PreviewReport(context.number, png, "image/png", patch.box))

        return QuickLook(patches, cost_s, show)

    def _select(self, job: SelectMask, choice: EngineChoice, context: JobContext) -> Selected:
        began = time.monotonic()
        model = of_kind(Selector, self._model(choice, context))
        loaded = time.monotonic()
        progress = Progress(context)
        params = with_pictures(job.params, job.pictures)

        view = job.view if choice.entry.gesture == "point" else None
        name = job.image_name if view is None else f"{job.image_name}@{tuple(view)}"

        def show(stage: str, step: int, total: int, preview: Callable[[], Polygon] | None = None) -> None:
            progress(stage, step, total)
            if job.outline and preview is not None and (outline := preview()):
                context.send(OutlineReport(context.number, outline))

        def select() -> Sequence[Candidate]:
            encoded = self._cache.encoded(choice, name, lambda: model.encode(job.image, progress, view))
            return model.candidates(encoded, job.prompts, params, show, job.most)

        found = self._with_room(choice, context, select)
        masks = (in_all_of(job.image, one.mask) if job.whole else pictured(one.mask) for one in found)
        with ThreadPoolExecutor(1) as beside:
            looked = beside.submit(model.shadow, job.image, found[0].mask) if job.shadow else None
            candidates = tuple(Proposed(mask, one.score) for mask, one in zip(masks, found, strict=True))
            shadow = looked.result() if looked else None
        return Selected(candidates, pictured(shadow) if shadow else None, load_ms=1000 * (loaded - began))

    def _find(self, job: FindThings, choice: EngineChoice, context: JobContext) -> Found:
        model, progress = self._model(choice, context), Progress(context)

        def find() -> Sequence[Finding]:
            if isinstance(model, Matter):
                return subject_in(model(job.image, job.params, progress))
            return of_kind(Finder, model)(job.image, job.params, progress)

        found = self._with_room(choice, context, find)
        things = (FoundThing(one.category, one.score, pictured(one.mask)) for one in found[: job.most])
        return Found(tuple(things), left_out=max(0, len(found) - job.most))

    def _remake(self, job: RemakeCanvas, choice: EngineChoice, context: JobContext) -> Remade:
        began = time.monotonic()
        model = self._model(choice, context)
        loaded = time.monotonic()
        progress = Progress(context)
        params = with_pictures(job.params, job.pictures)

        def remake() -> codec.Pixels:
            if isinstance(model, Matter):
                return model.cut_out(job.image, params, progress)
            if isinstance(model, Restorer):
                return model(job.image, params, progress)
            return of_kind(Enlarger, model)(job.image, params, progress)

        pixels = self._with_room(choice, context, remake)
        job.write(pixels)
        height, width, channels = pixels.shape
        return Remade(width, height, has_alpha=channels == 4, load_ms=1000 * (loaded - began))


def with_pictures(params: Mapping[str, ParamValue], pictures: Mapping[str, PixelSource]) -> dict[str, ParamValue]:
    """All parameters, pictures as arrays."""
    return {**params, **{name: whole(picture) for name, picture in pictures.items()}}


def subject_in(alpha: AlphaMap) -> Sequence[Finding]:
    """What a model kept that cuts out, as one mask; none where it kept nothing."""
    height, width = alpha.shape
    mask = Mask(Box(0, 0, width, height), np.rint(alpha * 255).astype(np.uint8)).trimmed()
    return [Finding("subject", float(np.abs(2 * alpha - 1).mean()), mask)] if mask else []


def pictured(mask: Mask) -> MaskPicture:
    """With one bit a pixel."""
    return MaskPicture(codec.encode_mask(mask.coverage), mask.box)


def in_all_of(image: PixelSource, mask: Mask) -> MaskPicture:
    """At an image's size, in grey: what opens pictures of one bit as truth values finds 255 inside all the same."""
    box = Box(0, 0, image.shape[1], image.shape[0])
    return MaskPicture(codec.encode_patch(mask.hole_in(box)[..., None] * np.uint8(255)), box)


def of_kind(kind: type[RunnerT], model: Runner) -> RunnerT:
    """The model, which must be of that kind. Raises `WrongTask`."""
    if not isinstance(model, kind):
        raise WrongTask(f"{model.entry.title} is there to {model.entry.task}.")
    return model


def read_mask(shape: tuple[int, ...], mask: DrawnMask, *, check: Callable[[], None], limits: codec.ImageLimits) -> Mask:
    """A mask on an image of that shape, drawn or given as pixels. Raises `MaskEmpty` and what `check` raises."""
    height, width = shape[:2]
    if isinstance(mask, tuple):
        return masks.rasterise(mask, width, height, check, limits)
    return Mask(Box(0, 0, width, height), np.asarray(mask[0:height, 0:width]))


def marked(part: DrawnMask | None, read: Callable[[DrawnMask], Mask]) -> Mask | None:
    """A part of the picture that somebody marked, in its smallest box; None where nothing is marked."""
    if part is None:
        return None
    try:
        return read(part).trimmed()
    except MaskEmpty:
        return None


def encoded(
    patches: Iterable[Patch], metadata: codec.Metadata, context: JobContext | None
) -> tuple[str, tuple[FilledPatch, ...]]:
    """(their strategy, the patches as files), each encoded while the next one is filled.

    context  is told of each but the last, which comes with the answer
    """

    def encode(index: int, patch: Patch) -> FilledPatch:
        made = FilledPatch(codec.encode_patch(patch.pixels, metadata), patch.box)
        if context is not None and index < patch.of - 1:
            context.send(PatchReport(context.number, index, patch.of, made))
        return made

    coming = iter(patches)
    first = next(coming)
    if first.of == 1:
        return first.strategy, (encode(0, first),)
    with ThreadPoolExecutor(available_processors()) as encoder:
        made = [encoder.submit(encode, index, patch) for index, patch in enumerate(chain((first,), coming))]
        return first.strategy, tuple(file.result() for file in made)


def load_runner(choice: EngineChoice) -> Runner:
    return build(
        choice.entry,
        dict(choice.weights),
        device=choice.device,
        precision=choice.precision,
        model_dir=choice.model_dir,
        placement=choice.placement,
    )


class Progress:
    """Hands an engine's progress on, not more often than anybody can see, and ends the fill when it is unwanted.

    metadata  of previews; None: none are wanted
    look      at what another model makes of it
    """

    def __init__(
        self, context: JobContext, metadata: codec.Metadata | None = None, look: QuickLook | None = None
    ) -> None:
        self._context, self._metadata, self._look = context, metadata, look
        self._stage, self._reported_s, self._previewed_s = "", 0.0, time.monotonic()

    def __call__(self, stage: str, step: int, total: int, preview: Callable[[], Patch] | None = None) -> None:
        self._context.check()
        now = time.monotonic()
        if stage != self._stage or step >= total or now - self._reported_s >= PROGRESS_INTERVAL_S:
            self._stage, self._reported_s = stage, now
            self._context.send(ProgressReport(self._context.number, stage, step, total))
        if self._metadata is not None and preview is not None and now - self._previewed_s >= PREVIEW_INTERVAL_S:
            self._send_preview(preview(), self._metadata)
            self._previewed_s = time.monotonic()
        if self._look is not None:
            self._look.consider(step / total)

    def _send_preview(self, patch: Patch, metadata: codec.Metadata) -> None:
        made = codec.preview(patch.pixels, max(patch.box.width, patch.box.height), metadata)
        self._context.send(PreviewReport(self._context.number, made.data, made.media_type, patch.box))
