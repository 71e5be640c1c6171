"""Crops of several jobs in one call of the engine: jobs of a replica run side by side, and what is alike is collected.

Each job plans, reads and composes in a thread of its own. Where it would call the engine, it hands its crops in; Ray
Serve collects those that come within a moment, and one thread fills those of one size with one call.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from ray import serve

from inpaint_models.errors import Cancelled, OutOfMemory
from inpaint_models.types import BatchEngine, FloatImage, HoleMask, ParamValue, Progress

WAIT_S = 0.02
"""How long the first crop waits for others."""

LOOK_S = 0.2
"""Between two looks of a job that waits whether it is still wanted."""

Outcome = FloatImage | Exception


@dataclass(eq=False, slots=True)
class Crop:
    """A crop that is to be filled, with the arguments of `Engine.fill`.

    begun      the engine has it, and tells its progress
    cancelled  why it is not wanted any more
    """

    image: FloatImage
    hole: HoleMask
    params: Mapping[str, ParamValue]
    seed: int
    progress: Progress
    begun: bool = False
    cancelled: Cancelled | None = None

    def outcome(self, waiting: Future[Outcome]) -> FloatImage:
        """What becomes of it. Raises what the engine raises, and `Cancelled`, for which it does not wait."""
        while True:
            try:
                found = waiting.result(LOOK_S)
            except TimeoutError:
                if self.cancelled:
                    raise self.cancelled from None
                if not self.begun:
                    self.progress("waiting", 0, 1)
            else:
                if isinstance(found, Exception):
                    raise found
                return found


Collect = Callable[[Callable[[list[Crop]], Awaitable[list[Outcome]]]], Callable[[Crop], Awaitable[Outcome]]]


class SharedEngine:
    """A `BatchEngine` that fills the crops of many threads together, each as it would be filled alone.

    most        crops in one call
    collected   makes of what fills a list of crops what fills one: by collecting those that come within a moment
    stochastic  whether another seed gives another result: then only crops of one seed are alike
    """

    def __init__(self, engine: BatchEngine, most: int, *, stochastic: bool, collected: Collect | None = None) -> None:
        self._engine, self._stochastic = engine, stochastic
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = ThreadPoolExecutor(1, "batches")
        by_serve = cast(Collect, serve.batch(max_batch_size=most, batch_wait_timeout_s=WAIT_S))
        self._collected = (collected or by_serve)(self._fill_all)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Collects from now on, in this loop. Before, each call goes to the engine by itself."""
        self._loop = loop

    def fill(
        self, image: FloatImage, hole: HoleMask, *, params: Mapping[str, ParamValue], seed: int, progress: Progress
    ) -> FloatImage:
        return self.fill_batch([image], [hole], params=params, seed=seed, progress=progress)[0]

    def fill_batch(
        self,
        images: Sequence[FloatImage],
        holes: Sequence[HoleMask],
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> list[FloatImage]:
        crops = [Crop(image, hole, params, seed, progress) for image, hole in zip(images, holes, strict=True)]
        if self._loop is None:
            return self._engine.fill_batch(images, holes, params=params, seed=seed, progress=progress)
        waiting = [asyncio.run_coroutine_threadsafe(self._one(crop), self._loop) for crop in crops]
        return [crop.outcome(each) for crop, each in zip(crops, waiting, strict=True)]

    async def _one(self, crop: Crop) -> Outcome:
        return await self._collected(crop)

    async def _fill_all(self, crops: list[Crop]) -> list[Outcome]:
        """What Serve calls with the crops that it collected."""
        alike = defaultdict[Hashable, list[Crop]](list)
        for crop in crops:
            alike[crop.image.shape, *sorted(crop.params.items()), crop.seed if self._stochastic else 0].append(crop)
        outcomes = dict[Crop, Outcome]()
        for group in alike.values():
            filled = await asyncio.get_running_loop().run_in_executor(self._thread, self._fill_group, group)
            outcomes.update(zip(group, filled, strict=True))
        return [outcomes[crop] for crop in crops]

    def _fill_group(self, crops: list[Crop]) -> list[Outcome]:
        """One call; one for each crop where all together do not fit into memory."""
        try:
            filled = self._call(crops)
        except OutOfMemory as error:
            if len(crops) == 1:
                return [error]
        except Exception as error:  # noqa: BLE001  told to each job as its own
            return [crop.cancelled or error for crop in crops]
        else:
            return [crop.cancelled or image for crop, image in zip(crops, filled, strict=True)]
        return [outcome for crop in crops for outcome in self._fill_group([crop])]

    def _call(self, crops: list[Crop]) -> list[FloatImage]:
        images, holes = [crop.image for crop in crops], [crop.hole for crop in crops]
        first = crops[0]
        for crop in crops:
            crop.begun = True

        def progress(stage: str, step: int, total: int, preview: Callable[[], FloatImage] | None = None) -> None:
            """Tells each job; the call ends when none of them is wanted any more."""
            for crop in crops:
                try:
                    crop.progress(stage, step, total, preview if crop is first else None)
                except Cancelled as error:
                    crop.cancelled = error
            if all(crop.cancelled for crop in crops):
                raise Cancelled("No job of the batch is wanted any more.")

        return self._engine.fill_batch(images, holes, params=first.params, seed=first.seed, progress=progress)
