"""The Host header: under which names and addresses the server answers."""

from __future__ import annotations

import ipaddress
import re

from starlette.requests import Request

from ... import errors
from .policy import Policy, shown

_AUTHORITY = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(?::(?P<port>[0-9]{1,5}))?")


def check_host(request: Request, policy: Policy) -> tuple[str, int]:
    """(host name, port) under which the server was called. Raises `HostInvalid`, `HostNotAllowed`.

    No name is looked up: a name that resolves to this machine is as foreign as any other.
    """
    hosts = request.headers.getlist("host")
    own = parse_authority(hosts[0], request.scope["scheme"]) if len(hosts) == 1 else None
    if own is None:
        raise errors.HostInvalid("The request needs exactly one Host header of the form name:port.")
    name, _ = own
    if not _host_is_allowed(name, policy):
        raise errors.HostNotAllowed(
            f"The server does not answer as {shown(name)}. Use localhost, or start it with --allow-host {shown(name)}.",
        )
    return own


def _host_is_allowed(name: str, policy: Policy) -> bool:
    if name == "localhost" or name in policy.allow_hosts:
        return True
    address = ip_literal(name)
    if address is None:
        return False
    return address.is_loopback or not policy.loopback


def ip_literal(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host name spells out in its canonical form, or None for a real name."""
    try:
        if name.startswith("["):
            return ipaddress.IPv6Address(name[1:-1])
        return ipaddress.IPv4Address(name)
    except ValueError:
        return None


def parse_authority(text: str, scheme: str) -> tuple[str, int] | None:
    """(lower case name, port) of "name:port", with the scheme's own port where there is none; None for another text."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    return match["name"].lower(), int(match["port"] or (443 if scheme == "https" else 80))
