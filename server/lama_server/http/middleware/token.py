"""The token, and the cookie that browsers have instead of it."""

from __future__ import annotations

import hmac
import ipaddress
import math
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from starlette.requests import Request

from ... import errors
from .policy import Policy

OPEN_PATHS = frozenset({"/healthz", "/session.css", "/session.js", "/api/v1/session"})
"""Answered without a token: what swaps one for a cookie, and whether the process is up."""

WRONG_TOKENS_PER_MINUTE = 10
LIMITED_ADDRESSES = 4096
"""Client addresses whose wrong tokens are remembered; the one that failed longest ago is forgotten first."""


class TokenGuard:
    """Compares tokens in constant time and slows guessing down.

    From an address with too many wrong tokens the right one is refused as well until the minute has passed, so that a
    guess is never confirmed faster than the limit says. Browsers that are signed in go on: their cookie holds
    `session`, a random value of this start, which cannot be guessed and tells nothing about the token. Processes that
    are one server have it in common.
    """

    def __init__(self, policy: Policy, clock: Callable[[], float] = time.monotonic, session: str = "") -> None:
        self.session = session or secrets.token_urlsafe(32)
        self._policy, self._clock = policy, clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, request: Request) -> None:
        """Raises `AuthRequired`, `AuthInvalid`, `AuthRateLimited` unless the head has the token or the cookie."""
        if self._policy.token is None or request.scope["path"] in OPEN_PATHS:
            return
        if (given := bearer_token(request)) is not None:
            self.compare(given, request)
        elif not hmac.compare_digest(cookie_value(request, self._policy.cookie_name).encode(), self.session.encode()):
            raise errors.AuthRequired(
                "This server asks for its token: send Authorization: Bearer TOKEN, or enter it on the page.",
                headers=(("www-authenticate", "Bearer"),),
            )

    def compare(self, given: str, request: Request) -> None:
        """Raises `AuthInvalid` or `AuthRateLimited` unless `given` is the token."""
        if self._policy.token is None:
            return
        address, now = client_address(request), self._clock()
        failures = self._failures.get(address, deque(maxlen=WRONG_TOKENS_PER_MINUTE))
        if len(failures) == WRONG_TOKENS_PER_MINUTE and (wait_s := failures[0] + 60 - now) > 0:
            raise errors.AuthRateLimited(
                "Too many wrong tokens came from this address in the last minute. Even the right one has to wait.",
                retry_after=math.ceil(wait_s),
            )
        if hmac.compare_digest(given.encode(), self._policy.token.encode()):
            return
        failures.append(now)
        self._failures[address] = failures
        self._failures.move_to_end(address)
        if len(self._failures) > LIMITED_ADDRESSES:
            self._failures.popitem(last=False)
        raise errors.AuthInvalid("The token is wrong.", headers=(("www-authenticate", "Bearer"),))


def client_address(request: Request) -> str:
    """What wrong tokens are counted by: an IPv4 address, or the /64 network that an IPv6 host can move about in."""
    client = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or int(address) >> 64)


def bearer_token(request: Request) -> str | None:
    scheme, _, value = (request.headers.get("authorization") or "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def cookie_value(request: Request, name: str) -> str:
    """The cookie's value, "" without it. Cookies of other programs on this host may have any form."""
    pairs = (pair.strip().partition("=") for header in request.headers.getlist("cookie") for pair in header.split(";"))
    return next((value for key, _, value in pairs if key == name), "")
