"""What every request for a model needs: the model and its parameters checked before anything waits, and the answer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import get_args

from inpaint_models.errors import InvalidParameter
from inpaint_models.parameters import Parameter
from inpaint_models.registry import ModelEntry, Task
from inpaint_models.types import ParamValue, PixelSource

from ..codec import ImageInfo
from ..errors import (
    ImageNotFound,
    Limit,
    ModelFilesError,
    ModelWrongTask,
    ParamOutOfRange,
    ParamWrongType,
    api_error_of,
    json_pointer,
)
from ..imaging.lazy_pixels import stored_picture
from ..model_manager.manager import ModelManager
from ..schemas.base import WireValue
from ..settings import Limits
from ..store.documents import Documents
from ..store.image_store import StoredImage
from ..workers.executor import Executor, Listener
from ..workers.messages import AnswerT, Job, LoadModel, ModelChoice
from .queue import Ticket


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A model that is ready, with parameters that it takes.

    params    as they were asked for, without pictures
    pictures  parameters of kind picture
    """

    choice: ModelChoice
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    pictures: Mapping[str, StoredImage] = field(default_factory=dict)

    @property
    def entry(self) -> ModelEntry:
        return self.choice.entry

    @property
    def asked(self) -> dict[str, object]:
        """The parameters as they were on the wire."""
        return {**self.params, **{name: image.id for name, image in self.pictures.items()}}


class ModelJobs:
    """Jobs for models, from what the wire names to the executor's answer."""

    def __init__(self, limits: Limits, documents: Documents, executor: Executor, manager: ModelManager) -> None:
        self._limits, self._documents, self._executor, self.manager = limits, documents, executor, manager

    async def checked(self, model: str | None, params: Mapping[str, WireValue], where: str, *tasks: Task) -> ModelUse:
        """The model, when it is there for one of the tasks, is ready and takes these parameters.

        where  the field of the request that holds both, for errors
        """
        try:
            choice = self.manager.offered(model, *tasks)
        except ModelWrongTask as error:
            raise error.fresh(pointer=f"{where}/model") from None
        kinds = {parameter.name: parameter for parameter in choice.entry.parameters if parameter.kind == "picture"}
        plain = {name: value for name, value in params.items() if name not in kinds}
        try:
            choice.entry.check_params(plain)
        except InvalidParameter as error:
            refused = api_error_of(error)
            raise refused.fresh(pointer=f"{where}{refused.pointer}") from None
        pictures = {
            name: await self._picture(parameter, params[name], where)
            for name, parameter in kinds.items()
            if name in params
        }
        return ModelUse(choice, plain, pictures)

    async def _picture(self, parameter: Parameter, value: WireValue, where: str) -> StoredImage:
        """The uploaded photo that a parameter names."""
        pointer = where + json_pointer("params", parameter.name)
        if not isinstance(value, str):
            raise ParamWrongType(f"{parameter.name} must be the id of an uploaded image.", pointer=pointer)
        try:
            image = await self._documents.image(value)
        except ImageNotFound as error:
            raise error.fresh(pointer=pointer) from None
        check_pixels(parameter, image.info, pointer)
        return image

    @contextlib.asynccontextmanager
    async def pictures(self, use: ModelUse) -> AsyncIterator[dict[str, PixelSource]]:
        """The pixels of the parameters that are pictures; held as long as the context lasts."""
        with contextlib.ExitStack() as held:
            for image in use.pictures.values():
                held.enter_context(self._documents.store.hold(image.id))
            yield {
                name: stored_picture(await self._documents.picture(image, ())) for name, image in use.pictures.items()
            }

    async def load(self, ticket: Ticket, name: str) -> None:
        """Has a model of any task ready for its next job. Raises what `ModelManager.offered` raises, and why not."""
        choice = self.manager.offered(name, *get_args(Task))
        await ticket.wait()
        await self.run(LoadModel(choice))

    async def run(self, job: Job[AnswerT], listener: Listener | None = None) -> AnswerT:
        """The executor's answer; a model whose weights turn out not to load is known for it from then on."""
        entry, limits = job.model.entry, self._limits
        usual_s = limits.network_deadline_s if entry.weights else limits.fill_deadline_s
        deadline_s = entry.deadline_s or usual_s
        handle = self._executor.submit(job, deadline_s=deadline_s, listener=listener)
        try:
            return await handle.result()
        except ModelFilesError as error:
            self.manager.reject(entry, error)
            raise


def check_pixels(parameter: Parameter, info: ImageInfo, pointer: str) -> None:
    """Raises `ParamOutOfRange` for a picture that is larger than the model takes."""
    pixels = info.width * info.height
    if pixels > parameter.max_pixels:
        raise ParamOutOfRange(
            f"{parameter.name} has {pixels:,} pixels; at most {parameter.max_pixels:,} are allowed.",
            pointer=pointer,
            limit=Limit("max_pixels", parameter.max_pixels, pixels),
        )
