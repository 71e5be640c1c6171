"""IOPaint's plugins, where a model here does the same: select, remove the background, enlarge, restore faces."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from inpaint_models.protocols import Point, Prompts

from ...errors import ParamUnknownValue
from ...http.streams import PICTURE_HEADERS, WholeFile, unless_disconnected
from ...http.strict_json import validated
from ...jobs.queue import Ticket
from ...jobs.services import Services
from ...store.documents import Workspace
from ..common import Found, Private, Reserved
from .common import json_body, picture, whole_picture
from .models import GIVES_IMAGE, GIVES_MASK, plugin_task

router = APIRouter(prefix="/api/v1")

FRAME_PX = 4
"""How much larger than the thing a mask is, as in IOPaint: what is filled is to have none of the thing's edge."""


Click = Annotated[list[int], Field(min_length=3, max_length=4)]
"""x, y, 1 to add or 0 to take away; IOPaint's page adds a running number."""


class RunPlugin(BaseModel):
    """The fields of IOPaint's request, without the picture itself."""

    model_config = ConfigDict(extra="ignore")

    name: str
    clicks: list[Click] = Field(default_factory=list, max_length=1000)
    scale: float = Field(2.0, allow_inf_nan=False)


@router.post("/run_plugin_gen_mask")
async def gen_mask(request: Request, found: Found, ticket: Reserved, work: Private) -> Response:
    """A mask of the thing that was clicked on, or of what stands before the background, in the colour of the brush."""
    body = await json_body(request, found.limits)
    asked = checked(found, body, GIVES_MASK, "a mask")
    source = await picture(body, "image")
    await work.put_image(source)
    if asked.name == "InteractiveSeg":
        selected = await select(request, found, ticket, work, asked, source)
        await work.adjust_mask(selected, "expand", FRAME_PX)
    else:
        await remake(request, found, ticket, work, asked)
        await work.mask_of_alpha(FRAME_PX)
    return WholeFile(work.target, "image/png", PICTURE_HEADERS)


@router.post("/run_plugin_gen_image")
async def gen_image(request: Request, found: Found, ticket: Reserved, work: Private) -> Response:
    """The picture made anew, in its own format, or as PNG where that has no transparency."""
    body = await json_body(request, found.limits)
    asked = checked(found, body, GIVES_IMAGE, "a picture")
    await work.put_image(await picture(body, "image"))
    await remake(request, found, ticket, work, asked)
    return await whole_picture(work, {})


def checked(found: Services, fields: Mapping[str, Any], able: Sequence[str], result: str) -> RunPlugin:
    """The request's fields. Raises what validation finds, `ParamUnknownValue` for a plugin that cannot do that."""
    asked = validated(RunPlugin, dict(fields))
    plugin_task(found, asked.name, "/name")
    if asked.name not in able:
        raise ParamUnknownValue(f"The plugin {asked.name} does not give {result}.", pointer="/name")
    return asked


async def select(
    request: Request, found: Services, ticket: Ticket, work: Workspace, asked: RunPlugin, source: bytes
) -> bytes:
    """A grey PNG of the photo's size. Further clicks on the same photo find what the model made of it before."""
    prompts = Prompts(tuple(Point(x + 0.5, y + 0.5, add == 1) for x, y, add, *_ in asked.clicks))
    plan = await found.selections.plan_once(work.picture, hashlib.sha256(source).hexdigest(), prompts)
    return (await unless_disconnected(request, found.selections.run(ticket, plan, whole=True))).selected.mask.png


async def remake(request: Request, found: Services, ticket: Ticket, work: Workspace, asked: RunPlugin) -> None:
    """Makes the workspace's picture anew."""
    task = plugin_task(found, asked.name, "/name")
    params = {"factor": "4" if asked.scale > 2 else "2"} if task == "enlarge" else {}
    use = await found.runner.plan_remake(work, task, params, "/scale")
    await unless_disconnected(request, found.runner.remake_once(ticket, work, use))
    ticket.release()
