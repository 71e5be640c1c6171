"""Where a request comes from: our own page, a program, or a page of another site."""

from __future__ import annotations

from starlette.requests import Request

from ... import errors
from .host import parse_authority
from .policy import Policy, shown


def check_origin(request: Request, own: tuple[str, int], policy: Policy) -> tuple[str, str, int] | None:
    """The foreign origin that is allowed to read the answer, None for our own page and for programs.

    Raises `OriginForbidden` for everything that another site's page makes a browser send, except that a link may lead
    to the page itself.
    """
    origin_text, site = _only(request, "origin"), _only(request, "sec-fetch-site")
    origin = parse_origin(origin_text) if origin_text is not None else None
    if origin is not None and origin in policy.cors_origins:
        return origin
    if site is not None:
        if site in ("same-origin", "none") or _is_link_to_page(request):
            return None
    elif origin_text is None or origin == (request.scope["scheme"], *own):
        return None
    raise errors.OriginForbidden(
        f"A page of {shown(origin_text or 'another site')} tried to use this server. "
        "If that is wanted, start the server with --cors-origin.",
    )


def _only(request: Request, name: str) -> str | None:
    """The header's value. Raises `OriginForbidden` where there are several: what another site wrote could be last."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise errors.OriginForbidden(f"The request has {len(values)} {name} headers. Send one.")
    return values[0] if values else None


def _is_link_to_page(request: Request) -> bool:
    return (
        request.method in ("GET", "HEAD")
        and request.scope["path"] == "/"
        and request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
    )


def parse_origin(text: str) -> tuple[str, str, int] | None:
    """(scheme, host, port) of an Origin header; None when it is not one, such as "null"."""
    scheme, separator, rest = text.partition("://")
    authority = parse_authority(rest, scheme) if separator and scheme in ("http", "https") else None
    return None if authority is None else (scheme, *authority)


def is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and request.headers.get("access-control-request-method") is not None
