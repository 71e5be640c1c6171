"""A selection: prompts in, a mask out that can be used in an edit as it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from inpaint_models.errors import InvalidPrompts
from inpaint_models.protocols import Prompts

from ..errors import ParamInvalid
from ..imaging.lazy_pixels import stored_picture
from ..imaging.masks import prompts_of
from ..imaging.pictures import Picture
from ..schemas.base import WireValue
from ..schemas.requests import SelectRequest
from ..store.documents import Documents
from ..store.image_store import StoredImage
from ..workers.messages import Selected, SelectMask
from .model_jobs import ModelJobs, ModelUse
from .queue import Ticket


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """A request that passed every check.

    image       the stored photo, None for one that is not kept
    image_name  the same for the same pixels
    """

    use: ModelUse
    image: StoredImage | None
    picture: Picture
    image_name: str
    prompts: Prompts


@dataclass(frozen=True, slots=True)
class Selection:
    """A finished selection; `ms` from its turn to its answer."""

    model: str
    mask: Selected
    ms: int


class Selections:
    """Runs selections, when it is their tickets' turn."""

    def __init__(self, documents: Documents, models: ModelJobs) -> None:
        self._documents, self._models = documents, models

    async def plan(self, request: SelectRequest) -> SelectionPlan:
        """Everything that can be refused before waiting. Raises `ApiError`."""
        image = self._documents.image(request.image)
        picture = await self._documents.picture(image, request.parents)
        name, prompts = "/".join((image.id, *request.parents)), prompts_of(request.prompts)
        return self._checked(request.model, request.params, image, picture, name, prompts)

    def plan_once(self, picture: Picture, image_name: str, prompts: Prompts) -> SelectionPlan:
        """As `plan`, in a picture that nothing is kept of."""
        return self._checked(None, {}, None, picture, image_name, prompts)

    def _checked(
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
        return SelectionPlan(self._models.checked(model, params, "", "select"), image, picture, image_name, prompts)

    async def run(self, ticket: Ticket, plan: SelectionPlan, *, whole: bool) -> Selection:
        """Waits for the ticket's turn. `whole`: the mask at the canvas's size, and not in a box."""
        await ticket.wait()
        began = time.monotonic()
        with contextlib.nullcontext() if plan.image is None else self._documents.hold(plan.image):
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
                    )
                )
        return Selection(plan.use.entry.name, mask, round(1000 * (time.monotonic() - began)))
