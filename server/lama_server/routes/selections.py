"""Selections and suggestions: a click, a box or a rough stroke up, a mask down; or masks of what was found unasked."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ..errors import EditNotFound, EditOnOtherCanvas, ImageNotFound
from ..http.streams import NDJSON, NdjsonResponse, unless_disconnected
from ..jobs.selections import select_reply
from ..schemas.replies import FindReply, SelectReply
from ..schemas.requests import FindRequest, SelectRequest
from .common import BODY, FIELDS, JOB, MODEL, Found, Reserved, json_body, json_request, problems, request_id, schema

router = APIRouter(prefix="/api/v1", tags=["selections"])


@router.post(
    "/select",
    response_class=Response,
    openapi_extra=json_request(SelectRequest),
    responses={
        200: {
            "description": "The mask as shapes for an edit; with `Accept: image/png` as a grey picture of the canvas's "
            "size, white where the thing is; with `Accept: application/x-ndjson` a `SelectEvent` per line: the outline "
            "as soon as it is known, where the model tells one, and then the mask. Hanging up cancels the selection.",
            "content": {
                "application/json": {"schema": schema(SelectReply)},
                NDJSON: {"schema": schema("SelectEvent")},
                "image/png": {},
            },
        },
        **problems(ImageNotFound, EditNotFound, EditOnOtherCanvas, *MODEL, *JOB, *BODY, *FIELDS),
    },
)
async def select(request: Request, found: Found, ticket: Reserved) -> Response:
    """Find the thing that points, boxes and rough strokes mark. Nothing is kept."""
    plan = await found.selections.plan(await json_body(request, SelectRequest, found.limits))
    if wanted(request) == NDJSON:
        return NdjsonResponse(found.selections.events(ticket, plan, request_id(request)))
    as_picture = wanted(request) == "image/png"
    selection = await unless_disconnected(request, found.selections.run(ticket, plan, whole=as_picture))
    headers = {"x-model": selection.model, "vary": "accept", "cache-control": "no-store"}
    if as_picture:
        return Response(selection.selected.mask.png, media_type="image/png", headers=headers)
    reply = select_reply(selection).model_dump_json()
    return Response(reply, media_type="application/json", headers=headers)


@router.post(
    "/find",
    response_class=Response,
    openapi_extra=json_request(FindRequest),
    responses={
        200: {
            "description": "All that was found; with `Accept: application/x-ndjson` a `FindEvent` per line, as things "
            "happen. Hanging up cancels the search.",
            "content": {
                "application/json": {"schema": schema(FindReply)},
                NDJSON: {"schema": schema("FindEvent")},
            },
        },
        **problems(ImageNotFound, EditNotFound, EditOnOtherCanvas, *MODEL, *JOB, *BODY, *FIELDS),
    },
)
async def find(request: Request, found: Found, ticket: Reserved) -> Response:
    """Find what people usually want gone: text, dust, wires. Nothing is kept and nothing is changed."""
    plan = await found.selections.plan_find(await json_body(request, FindRequest, found.limits))
    if wanted(request) == NDJSON:
        return NdjsonResponse(found.selections.find_events(ticket, plan, request_id(request)))
    reply = await unless_disconnected(request, found.selections.run_find(ticket, plan))
    headers = {"vary": "accept", "cache-control": "no-store"}
    return Response(reply.model_dump_json(), media_type="application/json", headers=headers)


def wanted(request: Request) -> str:
    """The first media type that the client accepts."""
    return request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip()
