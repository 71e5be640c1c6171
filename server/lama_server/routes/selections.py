"""Selections: a click, a box or a rough stroke up, a mask down."""

from __future__ import annotations

import base64

from fastapi import APIRouter, Request, Response

from ..errors import EditNotFound, EditOnOtherCanvas, ImageNotFound
from ..http.streams import unless_disconnected
from ..schemas.replies import SelectReply
from ..schemas.requests import SelectRequest
from ..schemas.shapes import Bitmap
from .common import BODY, FIELDS, JOB, MODEL, Found, Reserved, json_body, json_request, problems, schema

router = APIRouter(prefix="/api/v1", tags=["selections"])


@router.post(
    "/select",
    response_class=Response,
    openapi_extra=json_request(SelectRequest),
    responses={
        200: {
            "description": "The mask as shapes for an edit; with `Accept: image/png` as a grey picture of the canvas's "
            "size, white where the thing is.",
            "content": {"application/json": {"schema": schema(SelectReply)}, "image/png": {}},
        },
        **problems(ImageNotFound, EditNotFound, EditOnOtherCanvas, *MODEL, *JOB, *BODY, *FIELDS),
    },
)
async def select(request: Request, found: Found, ticket: Reserved) -> Response:
    """Find the thing that points, boxes and rough strokes mark. Nothing is kept."""
    plan = await found.selections.plan(await json_body(request, SelectRequest, found.limits))
    as_picture = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip() == "image/png"
    selection = await unless_disconnected(request, found.selections.run(ticket, plan, whole=as_picture))
    mask, headers = selection.mask, {"x-model": selection.model, "vary": "accept", "cache-control": "no-store"}
    if as_picture:
        return Response(mask.png, media_type="image/png", headers=headers)
    shape = Bitmap(
        kind="bitmap",
        x=mask.box.x0,
        y=mask.box.y0,
        w=mask.box.width,
        h=mask.box.height,
        png=base64.b64encode(mask.png).decode("ascii"),
    )
    reply = SelectReply(model=selection.model, ms=selection.ms, load_ms=round(mask.load_ms), shapes=[shape])
    return Response(reply.model_dump_json(), media_type="application/json", headers=headers)
