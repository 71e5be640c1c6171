"""Who may talk to the server, as the checks take it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...settings import Limits

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may talk to the server.

    loopback      only this machine can reach it: IP literals other than loopback are refused as Host
    allow_hosts   further host names, lower case
    cors_origins  foreign origins that pass, as exact (scheme, host, port)
    token         asked of everybody when not None
    cookie_name   cookie of a signed-in browser; names the port, because cookies are shared between ports
    """

    loopback: bool = True
    allow_hosts: frozenset[str] = frozenset()
    cors_origins: frozenset[tuple[str, str, int]] = frozenset()
    token: str | None = field(default=None, repr=False)
    cookie_name: str = "lama_session"
    limits: Limits = field(default_factory=Limits)


def shown(text: str, limit: int = 80) -> str:
    """A caller's text, fit to be said back or logged: short, with control and bidi characters escaped."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text[:limit])
