"""Who may reach the server, decided from the settings before anything listens."""

from __future__ import annotations

from ..exits import ExitCode, StartError
from ..settings import Limits, Settings
from .gate import Policy, parse_origin


def access_policy(settings: Settings, limits: Limits) -> Policy:
    """Who may talk to the server. Raises `StartError` when it would be open to the network without a token."""
    if not settings.is_loopback and settings.token is None and not settings.insecure_no_auth:
        raise StartError(
            ExitCode.USAGE,
            f"Listening on {settings.host} opens the server to the network. Add --token auto, or --insecure-no-auth "
            "if everybody there may use it.",
        )
    origins = []
    for text in settings.cors_origin:
        origin = parse_origin(text)
        if origin is None:
            raise StartError(ExitCode.USAGE, f"--cors-origin {text!r} is not an origin such as https://example.org.")
        origins.append(origin)
    hosts = {name.lower() for name in settings.allow_host}
    if not settings.is_loopback:
        hosts.add(settings.host.lower())
    return Policy(
        loopback=settings.is_loopback,
        allow_hosts=frozenset(hosts),
        cors_origins=frozenset(origins),
        token=settings.token,
        cookie_name=f"lama_session_{settings.port}",
        limits=limits,
    )
