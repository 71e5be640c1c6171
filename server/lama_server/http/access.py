"""Who may reach the server, decided from the settings before anything listens."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from ..exits import ExitCode, StartError
from ..settings import Limits, Settings
from .middleware.origin import parse_origin
from .middleware.policy import Policy

_TOKEN = re.compile(r"[!-~]{16,512}")


def with_token(settings: Settings) -> Settings:
    """The settings with the token that is in --token-file, if there is one. Raises `StartError`."""
    if settings.token_file is None:
        return settings
    source = settings.named("token_file")
    if settings.token is not None:
        raise StartError(ExitCode.USAGE, f"Give {settings.named('token')} or {source}, not both.")
    token = _read_token(settings.token_file, source)
    sources = {**settings.sources, "token": source}
    return dataclasses.replace(settings, token=token, token_file=None, sources=sources)


def _read_token(path: Path, source: str) -> str:
    try:
        with path.open("rb") as file:
            return file.read(4096).decode("latin-1").rstrip("\r\n")
    except OSError as error:
        raise StartError(
            ExitCode.FOLDER, f"The file {path} cannot be read ({error.strerror}): give {source} one with the token."
        ) from None


def access_policy(settings: Settings, limits: Limits) -> Policy:
    """Who may talk to the server.

    Raises `StartError` when it would be open to the network without a token, and when the token protects nothing.
    """
    settings = with_token(settings)
    if settings.token is not None and not _TOKEN.fullmatch(settings.token):
        raise StartError(
            ExitCode.USAGE,
            f"{settings.named('token')}: the token has {len(settings.token)} characters; it takes 16 to 512 of ASCII, "
            "without spaces. --token auto makes one.",
        )
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
            source = settings.named("cors_origin")
            raise StartError(ExitCode.USAGE, f"{source}: {text!r} is not an origin such as https://example.org.")
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
