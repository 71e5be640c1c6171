"""Is the process up, and can it work."""

from __future__ import annotations

from fastapi import APIRouter, Response

from .. import __version__
from ..schemas.replies import ConfigReply, HealthReply, ReadyReply
from .common import Found, problems

router = APIRouter(tags=["server"])


@router.get("/healthz", responses=problems())
async def healthz() -> HealthReply:
    """Answers while the process is alive, whatever the workers do. Needs no token."""
    return HealthReply(status="ok", version=__version__)


@router.get("/readyz", responses={**problems(), 503: {"model": ReadyReply, "description": "A check fails."}})
async def readyz(found: Found, response: Response) -> ReadyReply:
    """Whether an edit sent now would run at once; each check is named."""
    reply = await found.readiness.reply()
    response.status_code = 200 if reply.ready else 503
    return reply


@router.get("/api/v1/config", responses=problems())
async def config(found: Found) -> ConfigReply:
    """What the page needs to know at start. Holds no path and no secret."""
    return found.config_reply()
