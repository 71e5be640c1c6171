"""Who may reach the server, decided from the settings before anything listens."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import MutableMapping
from pathlib import Path

from ..exits import ExitCode, StartError
from ..settings import Limits, Settings
from .middleware.origin import parse_origin
from .middleware.policy import Policy

TOKEN_VARIABLE = "LAMA_SERVER_TOKEN"

_TOKEN = re.compile(r"[!-~]{16,512}")


def with_token(settings: Settings, environment: MutableMapping[str, str] = os.environ) -> Settings:
    """The settings with the token of --token, else of --token-file, else of LAMA_SERVER_TOKEN. Raises `StartError`.

    The variable is taken out of the environment, which worker processes inherit.
    """
    variable = environment.pop(TOKEN_VARIABLE, None)
    token = settings.token
    if settings.token_file is not None:
        if token is not None:
            raise StartError(ExitCode.USAGE, "Give --token or --token-file, not both.")
        token = _read_token(settings.token_file)
    return dataclasses.replace(settings, token=variable if token is None else token, token_file=None)


def _read_token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(4096).decode("latin-1").rstrip("\r\n")
    except OSError as error:
        raise StartError(
            ExitCode.FOLDER, f"The file {path} cannot be read ({error.strerror}): give --token-file one with the token."
        ) from None


def access_policy(settings: Settings, limits: Limits) -> Policy:
    """Who may talk to the server.

    Raises `StartError` when it would be open to the network without a token, and when the token protects nothing.
    """
    if settings.token_file is not None:
        settings = with_token(settings, {})
    if settings.token is not None and not _TOKEN.fullmatch(settings.token):
        raise StartError(
            ExitCode.USAGE,
            f"The token has {len(settings.token)} characters; it takes 16 to 512 of ASCII, without spaces. "
            "--token auto makes one.",
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
