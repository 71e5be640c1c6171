"""Handing in the token."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ..errors import RouteNotFound
from ..schemas.requests import SessionRequest
from .common import BODY, FIELDS, Found, json_body, json_request, problems

router = APIRouter(tags=["server"])

SIGN_IN_SHEETS = ("tokens", "base", "controls", "sign-in")


@router.post(
    "/api/v1/session",
    status_code=204,
    openapi_extra=json_request(SessionRequest),
    responses=problems(*BODY, *FIELDS),
)
async def create_session(request: Request, found: Found) -> Response:
    """Swap the server's token for an HttpOnly cookie, which is good until the server stops."""
    token = (await json_body(request, SessionRequest, found.limits)).token
    state = request.app.state
    state.guard.compare(token, request)
    response = Response(status_code=204)
    if state.policy.token is not None:
        response.set_cookie(state.policy.cookie_name, state.guard.session, httponly=True, samesite="strict")
    return response


@router.get("/session.js", include_in_schema=False)
async def sign_in_script(request: Request) -> Response:
    """What the page that asks for the token runs: the one script that needs none."""
    return _own_file(request, "text/javascript", "js/sign-in.js")


@router.get("/session.css", include_in_schema=False)
async def sign_in_style(request: Request) -> Response:
    """How the page that asks for the token looks: as the product does."""
    return _own_file(request, "text/css", *(f"css/{name}.css" for name in SIGN_IN_SHEETS))


def _own_file(request: Request, media_type: str, *names: str) -> Response:
    """These files of the page as one."""
    files = [request.app.state.frontend.file(name) for name in names]
    if not all(files):
        raise RouteNotFound("This installation has no page.")
    return Response(b"\n".join(filter(None, files)), media_type=media_type)
