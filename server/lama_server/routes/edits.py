"""Edits: strokes up, patches down."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ..errors import EditNotFound, EditOnOtherCanvas, ImageNotFound, JobNotFound, RouteNotFound
from ..http.streams import NDJSON, NdjsonResponse, WholeFile
from ..http.strict_json import validated
from ..jobs.runner import CanvasPlan, Plan, edit_reply
from ..schemas.replies import EditReply
from ..schemas.requests import CanvasRequest, EditRequest
from .common import (
    BODY,
    CLIENT_ID,
    FIELDS,
    JOB,
    MODEL,
    client_id,
    json_object,
    json_request,
    problems,
    request_id,
    schema,
    services,
)

router = APIRouter(prefix="/api/v1", tags=["edits"])

FOR_EVER = "private, max-age=31536000, immutable"


@router.post(
    "/edits",
    response_class=Response,
    openapi_extra={**json_request(EditRequest, CanvasRequest), "parameters": [CLIENT_ID]},
    responses={
        200: {
            "description": "An `EditEvent` per line, as things happen. Hanging up cancels the job.",
            "content": {NDJSON: {"schema": schema("EditEvent")}},
        },
        **problems(ImageNotFound, EditNotFound, EditOnOtherCanvas, *MODEL, *JOB, *BODY, *FIELDS),
    },
)
async def create_edit(request: Request) -> NdjsonResponse:
    """Fill what the shapes cover, once for each run: several runs are variations, or models to compare.

    With `canvas` instead of mask and runs: extend, crop, turn or scale what the parents make.
    """
    runner = services(request).runner
    ticket = runner.queue.reserve(client_id(request))
    try:
        body, asked_by = await json_object(request), request_id(request)
        plan: Plan | CanvasPlan
        if "canvas" in body:
            plan = await runner.plan_canvas(validated(CanvasRequest, body), asked_by)
        else:
            plan = await runner.plan(validated(EditRequest, body), asked_by)
    except BaseException:
        ticket.release()
        raise
    return NdjsonResponse(runner.edit(ticket, plan), ticket.release)


@router.get("/edits/{edit}", responses=problems(ImageNotFound, EditNotFound))
async def describe(request: Request, edit: str) -> EditReply:
    """A finished edit."""
    documents = services(request).documents
    stored = documents.edit(edit)
    return edit_reply(stored, documents.shown(stored))


@router.delete("/edits/{job}", status_code=204, responses=problems(JobNotFound))
async def cancel(request: Request, job: str) -> Response:
    """Cancel a job that waits or runs; its stream ends with job.cancelled."""
    ticket = services(request).queue.find(job)
    if ticket is None:
        raise JobNotFound("No job of that id waits or runs.")
    ticket.cancel()
    return Response(status_code=204)


@router.get(
    "/edits/{edit}/patches/{index}.png",
    response_class=Response,
    responses={
        200: {"description": "Lossless, at the photo's own depth.", "content": {"image/png": {}}},
        **problems(EditNotFound),
    },
)
async def patch(request: Request, edit: str, index: str) -> Response:
    """Pixels that an edit changed: one of its patches, counted from 0. Never changes."""
    documents = services(request).documents
    found = dict(enumerate(documents.patches(documents.edit(edit))))
    at = int(index) if index.isascii() and index.isdigit() and len(index) < 9 else -1
    if at not in found:
        raise EditNotFound(f"The edit has {len(found)} patches, counted from 0.")
    return WholeFile(found[at].png, "image/png", {"cache-control": FOR_EVER})


@router.get(
    "/edits/{edit}/patch.png",
    response_class=Response,
    deprecated=True,
    responses={
        200: {"description": "Lossless, at the photo's own depth.", "content": {"image/png": {}}},
        **problems(ImageNotFound, EditNotFound, *JOB),
    },
)
async def joined_patch(request: Request, edit: str) -> Response:
    """All patches of an edit in one picture, as version 0.1 had them. Never changes. Goes with the next version."""
    documents = services(request).documents
    stored = documents.edit(edit)
    patches = documents.patches(stored)
    if not patches:
        raise EditNotFound("The edit has no patches: it changed the canvas.")
    if len(patches) == 1:
        return WholeFile(patches[0].png, "image/png", {"cache-control": FOR_EVER})
    file = await documents.joined_patch(stored)
    return WholeFile(file, "image/png", {"cache-control": FOR_EVER}, lambda: file.unlink(missing_ok=True))


@router.get(
    "/previews/{name}",
    response_class=Response,
    responses={
        200: {"description": "An estimate.", "content": {"image/jpeg": {}, "image/png": {}}},
        **problems(RouteNotFound),
    },
)
async def preview(request: Request, name: str) -> Response:
    """An estimate of a running job, as its stream announced it."""
    found = services(request).runner.preview(name)
    if found is None:
        raise RouteNotFound("This preview is gone.")
    return Response(found.image, media_type=found.media_type)
