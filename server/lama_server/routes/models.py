"""Which models there are, and fetching their weights."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ..errors import ModelNotDownloaded, ModelUnknown
from ..http.streams import NDJSON, NdjsonResponse
from ..schemas.models import DownloadEvent, ModelsReply
from .common import JOB, MODEL, Found, Reserved, answers, problems

router = APIRouter(prefix="/api/v1/models", tags=["models"])


@router.get("", responses=problems())
async def list_models(found: Found) -> ModelsReply:
    """Every model with its state on this machine, its licence and its parameters."""
    await found.manager.refresh()
    return found.manager.reply()


@router.post(
    "/{name}/download",
    response_class=Response,
    responses=answers(
        "A `DownloadEvent` per line; the last one is ready or failed. Joins a running download.",
        {NDJSON: DownloadEvent},
        *(ModelUnknown, ModelNotDownloaded),
    ),
)
async def download_model(found: Found, name: str) -> NdjsonResponse:
    """Fetch a model's weights. Hanging up does not stop the download."""
    await found.manager.refresh()
    return NdjsonResponse(found.manager.download(name).events())


@router.post("/{name}/load", status_code=204, responses=problems(*MODEL, *JOB))
async def load_model(found: Found, ticket: Reserved, name: str) -> Response:
    """Load a model of any task, so that its first job does not wait for it. Answers when it is loaded."""
    await found.models.load(ticket, name)
    return Response(status_code=204)
