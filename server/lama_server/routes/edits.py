"""Edits: strokes up, patches down."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ..errors import (
    EditNotFound,
    EditOnOtherCanvas,
    ImageNotFound,
    JobNotFound,
    RouteNotFound,
    StoreUnavailable,
)
from ..http.streams import NDJSON, NdjsonResponse, WholeFile
from ..http.strict_json import validated
from ..jobs.early import Preview
from ..jobs.runner import CanvasPlan, Plan, edit_reply
from ..schemas.replies import EditReply
from ..schemas.requests import CanvasRequest, EditRequest
from .common import BODY, FIELDS, JOB, MODEL, Found, Reserved, answers, json_object, json_request, problems, request_id

router = APIRouter(prefix="/api/v1", tags=["edits"])

FOR_EVER = "private, max-age=31536000, immutable"


@router.post(
    "/edits",
    response_class=Response,
    openapi_extra=json_request(EditRequest, CanvasRequest),
    responses=answers(
        "An `EditEvent` per line, as things happen. Hanging up cancels the job.",
        {NDJSON: "EditEvent"},
        *(ImageNotFound, EditNotFound, EditOnOtherCanvas),
        *(*MODEL, *JOB, *BODY, *FIELDS),
    ),
)
async def create_edit(request: Request, found: Found, ticket: Reserved) -> NdjsonResponse:
    """Fill what the shapes cover, once for each run: several runs give several results, or compare models.

    With `canvas` instead of mask and runs: extend, crop, turn or scale what the parents make.
    """
    body, asked_by = await json_object(request, found.limits), request_id(request)
    plan: Plan | CanvasPlan
    if "canvas" in body:
        plan = await found.runner.plan_canvas(validated(CanvasRequest, body), asked_by)
    else:
        plan = await found.runner.plan(validated(EditRequest, body), asked_by)
    return NdjsonResponse(found.runner.edit(ticket, plan))


@router.get("/edits/{edit}", responses=problems(ImageNotFound, EditNotFound, StoreUnavailable))
async def describe(found: Found, edit: str) -> EditReply:
    """A finished edit."""
    stored = await found.documents.edit(edit)
    return edit_reply(stored, found.documents.shown(stored))


@router.delete("/edits/{job}", status_code=204, responses=problems(JobNotFound))
async def cancel(found: Found, job: str) -> Response:
    """Cancel a job that waits or runs; its stream ends with job.cancelled."""
    if await found.find("cancel", job) is None:
        raise JobNotFound("No job of that id waits or runs.")
    return Response(status_code=204)


@router.get(
    "/edits/{edit}/patches/{index}.png",
    response_class=Response,
    responses=answers(
        "Lossless, at the photo's own depth.", {"image/png": None}, EditNotFound, ImageNotFound, StoreUnavailable
    ),
)
async def patch(found: Found, edit: str, index: str) -> Response:
    """Pixels that an edit changed: one of its patches, counted from 0. Never changes.

    While the edit is being made, those that its stream has told of.
    """
    known = {"cache-control": FOR_EVER}
    if index.isdecimal() and (early := found.runner.early.patch(edit, int(index))) is not None:
        return Response(early, media_type="image/png", headers=known)
    try:
        patches = found.documents.store.patches(await found.documents.edit(edit))
    except EditNotFound:
        if found.ask_peers is None or not index.isdecimal():
            raise
        if isinstance(elsewhere := await found.ask_peers("patch", f"{edit}/{index}"), bytes):
            return Response(elsewhere, media_type="image/png", headers=known)
        patches = found.documents.store.patches(await found.documents.edit(edit))  # stored while the peers were asked
    named = {str(number): patch for number, patch in enumerate(patches)}
    if index not in named:
        raise EditNotFound(f"The edit has {len(named)} patches, counted from 0.")
    return WholeFile(named[index].png, "image/png", known)


@router.get(
    "/edits/{edit}/patch.png",
    response_class=Response,
    deprecated=True,
    responses=answers("Lossless, at the photo's own depth.", {"image/png": None}, ImageNotFound, EditNotFound, *JOB),
)
async def joined_patch(found: Found, edit: str) -> Response:
    """All patches of an edit in one picture, as version 0.1 had them. Never changes. Goes with the next version."""
    stored = await found.documents.edit(edit)
    patches = found.documents.store.patches(stored)
    if not patches:
        raise EditNotFound("The edit has no patches: it changed the canvas.")
    if len(patches) == 1:
        return WholeFile(patches[0].png, "image/png", {"cache-control": FOR_EVER})
    file = await found.documents.joined_patch(stored)
    return WholeFile(file.result, "image/png", {"cache-control": FOR_EVER}, file.close)


@router.get(
    "/previews/{name}",
    response_class=Response,
    responses=answers("An estimate.", {"image/jpeg": None, "image/png": None}, RouteNotFound),
)
async def preview(found: Found, name: str) -> Response:
    """An estimate of a running job, as its stream announced it."""
    shown = await found.find("preview", name)
    if not isinstance(shown, Preview):
        raise RouteNotFound("This preview is gone.")
    return Response(shown.image, media_type=shown.media_type)
