"""A selection: prompts in, a mask out that can be used in an edit as it is."""

from __future__ import annotations

import time
from dataclasses import dataclass

from inpaint_models.errors import InvalidPrompts
from inpaint_models.protocols import Prompts

from ..errors import ParamInvalid
from ..imaging.lazy_pixels import stored_picture
from ..imaging.masks import prompts_of
from ..imaging.pictures import Picture
from ..schemas.requests import SelectRequest
from ..store.documents import Documents
from ..store.image_store import StoredImage
from ..workers.messages import Selected, SelectMask
from .model_jobs import ModelJobs, ModelUse
from .queue import Ticket


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """A request that passed every check. `image_name` is the same for the same pixels."""

    use: ModelUse
    image: StoredImage
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
        prompts = prompts_of(request.prompts)
        try:
            prompts.check(picture.shown.height, picture.shown.width)
        except InvalidPrompts as error:
            raise ParamInvalid(str(error), pointer="/prompts") from None
        use = self._models.checked(request.model, request.params, "", "select")
        return SelectionPlan(use, image, picture, "/".join((image.id, *request.parents)), prompts)

    async def run(self, ticket: Ticket, plan: SelectionPlan, *, whole: bool) -> Selection:
        """Waits for the ticket's turn. `whole`: the mask at the canvas's size, and not in a box."""
        await ticket.wait()
        began = time.monotonic()
        with self._documents.hold(plan.image):
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
