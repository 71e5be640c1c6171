"""The page and its files."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from ..errors import RouteNotFound
from .common import Found

router = APIRouter(include_in_schema=False)

FOR_EVER = "public, max-age=31536000, immutable"


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request, found: Found) -> Response:
    """The page, with the server's configuration and models inside, so that it starts without a request."""
    boot = {
        "config": found.config_reply().model_dump(mode="json"),
        "models": found.manager.reply().model_dump(mode="json"),
    }
    html = request.app.state.frontend.render("index.html", boot=boot)
    if html is None:
        raise RouteNotFound("This installation has no page. The API is described at /docs.")
    return HTMLResponse(html)


@router.api_route("/static/{tree_hash}/{name:path}", methods=["GET", "HEAD"])
async def asset(request: Request, tree_hash: str, name: str) -> Response:
    """A file of the page; its address changes with its content."""
    found = request.app.state.frontend.asset(tree_hash, name)
    if found is None:
        raise RouteNotFound("There is no such file.")
    headers = {"content-type": found.media_type, "cache-control": FOR_EVER, "vary": "accept-encoding"}
    if found.gzipped is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(found.gzipped, headers={**headers, "content-encoding": "gzip"})
    return Response(found.content, headers=headers)


def _takes_gzip(accepted: str) -> bool:
    """RFC 9110, 12.5.3, as far as browsers and programs use it."""
    codings = [coding.strip().replace(" ", "").lower() for coding in accepted.split(",")]
    return any(coding in ("gzip", "*") or re.fullmatch(r"gzip;q=(?!0(\.0*)?$)[\d.]+", coding) for coding in codings)


@router.get("/favicon.ico")
async def favicon(request: Request) -> Response:
    """Browsers ask for it whatever the page says."""
    found = request.app.state.frontend
    for name in ("favicon.ico", "icon.svg", "favicon.svg"):
        if (file := found.asset(found.snapshot().hash, name)) is not None:
            return Response(file.content, headers={"content-type": file.media_type, "cache-control": "max-age=86400"})
    return Response(status_code=204)
