"""Which models there are, and fetching their weights."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ..errors import ModelNotDownloaded, ModelUnknown
from ..http.streams import NDJSON, NdjsonResponse
from ..schemas.models import DownloadEvent, ModelsReply
from .common import problems, schema, services

router = APIRouter(prefix="/api/v1/models", tags=["models"])


@router.get("", responses=problems())
async def list_models(request: Request) -> ModelsReply:
    """Every model with its state on this machine, its licence and its parameters."""
    manager = services(request).manager
    await manager.refresh()
    return manager.reply()


@router.post(
    "/{name}/download",
    response_class=Response,
    responses={
        200: {
            "description": "A `DownloadEvent` per line; the last one is ready or failed. Joins a running download.",
            "content": {NDJSON: {"schema": schema(DownloadEvent)}},
        },
        **problems(ModelUnknown, ModelNotDownloaded),
    },
)
async def download_model(request: Request, name: str) -> NdjsonResponse:
    """Fetch a model's weights. Hanging up does not stop the download."""
    manager = services(request).manager
    await manager.refresh()
    return NdjsonResponse(manager.download(name).events())
