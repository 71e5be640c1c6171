"""Masks in the colour of IOPaint's brush: grown, shrunk, turned round."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ...http.streams import PICTURE_HEADERS, WholeFile
from ...http.strict_json import validated
from ...imaging.brush_masks import Operation
from ..common import Found, Private
from .common import json_body, picture

router = APIRouter(prefix="/api/v1")


class AdjustMask(BaseModel):
    """The fields of IOPaint's request, without the mask itself."""

    model_config = ConfigDict(extra="ignore", strict=True)

    operate: Operation
    kernel_size: int = Field(5, ge=0, le=500)


@router.post("/adjust_mask")
async def adjust_mask(request: Request, found: Found, work: Private) -> Response:
    """The mask changed, as a PNG that IOPaint's page lays over the photo."""
    body = await json_body(request, found.limits)
    wanted = validated(AdjustMask, body)
    await work.adjust_mask(await picture(body, "mask"), wanted.operate, wanted.kernel_size)
    return WholeFile(work.target, "image/png", PICTURE_HEADERS)
