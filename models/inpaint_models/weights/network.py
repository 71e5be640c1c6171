"""One request for a file over https: timeouts, redirects that stay safe, resumption. Knows nothing of models."""

from __future__ import annotations

import http.client
import random
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import IO, Literal
from urllib.parse import urlsplit

Cause = Literal[
    "not_found",
    "forbidden",
    "rate_limited",
    "server_error",
    "timeout",
    "connection",
    "tls",
    "insecure_redirect",
    "wrong_length",
    "wrong_content",
    "wrong_range",
    "bad_answer",
    "disk_full",
    "disk",
]

_MAX_RETRY_AFTER_S = 120.0


class TransferError(Exception):
    """Why one attempt failed. `retryable` = the same address may answer better in a while."""

    def __init__(self, cause: Cause, message: str, *, retryable: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.retryable = retryable
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Network:
    """How the network is used; tests put in their own clock and allow plain http to themselves.

    tries             attempts per address that bring no progress, before the next address is tried
    backoff_s         wait after the first failure; doubles each time, up to 30 s, times 0.5 to 1.5 by chance
    plain_http_hosts  hosts for which http is good enough; all others must be https, redirects included
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    tries: int = 5
    backoff_s: float = 1.0
    plain_http_hosts: frozenset[str] = frozenset()
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def wait_s(self, failures: int, asked_for_s: float) -> float:
        """How long to wait after so many failures in a row."""
        backoff = min(30.0, self.backoff_s * 2.0 ** (failures - 1)) * (0.5 + self.chance())
        return max(backoff, min(asked_for_s, _MAX_RETRY_AFTER_S))

    def get(self, url: str, headers: Mapping[str, str], secret_headers: Mapping[str, str]) -> Response:
        """The response to a GET, after redirects; secret headers go to the first host only. Raises `TransferError`."""
        self.check_address(url)
        request = urllib.request.Request(url, headers=dict(headers))
        for name, value in secret_headers.items():
            request.add_unredirected_header(name, value)
        connected: list[socket.socket] = []
        try:
            response = self._opener(connected).open(request, timeout=self.connect_timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error, _host(url)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _broken(error, _host(url)) from error
        return Response(response, connected[-1], _host(url))

    def check_address(self, url: str) -> None:
        """Raises `TransferError` for an address whose answer could be forged on its way."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in self.plain_http_hosts):
            raise TransferError("insecure_redirect", f"{_host(url)} is not asked over https", retryable=False)

    def _opener(self, connected: list[socket.socket]) -> urllib.request.OpenerDirector:
        """urllib's, with proxies from the environment, and nothing that opens files or FTP."""
        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            _Web(self, connected),
            _Redirects(self),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
        ):
            opener.add_handler(handler)
        return opener


@dataclass(frozen=True, slots=True)
class Response:
    """A response whose body has not been read."""

    raw: http.client.HTTPResponse
    socket: socket.socket
    host: str

    def header(self, name: str) -> str:
        return str(self.raw.headers.get(name, ""))

    def read(self, size: int) -> bytes:
        """What has arrived, at least one byte; b"" at the end. Raises `TransferError`."""
        try:
            return self.raw.read1(size)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _broken(error, self.host) from error

    def interrupt(self) -> None:
        """Ends a read that waits in another thread."""
        # Not the method of SSLSocket: that one would take the object apart under the other thread.
        try:
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        except OSError:
            return  # the other side was faster

    def close(self) -> None:
        self.raw.close()
        self.socket.close()


class _Web(urllib.request.AbstractHTTPHandler):
    """Both schemes of the web."""

    def __init__(self, network: Network, connected: list[socket.socket]) -> None:
        super().__init__()
        self._timeout_s, self._connected = network.read_timeout_s, connected

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._recording(http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._recording(http.client.HTTPSConnection), req, context=_tls())

    def _recording(self, base: type[http.client.HTTPConnection]) -> Callable[..., http.client.HTTPConnection]:
        """A connection class with a time-out of its own for reading."""
        read_timeout_s, connected = self._timeout_s, self._connected

        class Connection(base):  # type: ignore[misc, valid-type]
            def connect(self) -> None:
                super().connect()
                self.sock.settimeout(read_timeout_s)
                connected.append(self.sock)

        return Connection

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects that stay on https."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        try:
            self._network.check_address(newurl)
        except TransferError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _tls() -> ssl.SSLContext:
    """The system's certificates and certifi's: some Python installations come without any."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _refusal(error: urllib.error.HTTPError, host: str) -> TransferError:
    """What a status outside 200 to 299 means."""
    code = error.code
    said = f"{host} answered {code} {http.client.responses.get(code, '')}".rstrip()
    if code == 416:
        return TransferError("wrong_range", f"{host} does not have the rest of the file", retryable=True)
    if code == 429 or code == 408 or code >= 500:
        cause: Cause = "rate_limited" if code == 429 else "server_error"
        wait = str(error.headers.get("Retry-After", ""))
        return TransferError(cause, said, retryable=True, retry_after_s=float(wait) if wait.isdecimal() else 0.0)
    if code < 400:
        return TransferError("bad_answer", f"{host} redirects in circles or away from the web", retryable=False)
    return TransferError("forbidden" if code in (401, 403, 451) else "not_found", said, retryable=False)


def _broken(error: Exception, host: str) -> TransferError:
    """What an interrupted conversation means."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return TransferError("tls", f"{host} has no valid certificate ({reason.verify_message})", retryable=False)
    if isinstance(reason, TimeoutError):
        return TransferError("timeout", f"{host} did not answer in time", retryable=True)
    if isinstance(reason, socket.gaierror):
        return TransferError("connection", f"the name {host} cannot be looked up", retryable=True)
    if isinstance(reason, http.client.RemoteDisconnected):
        return TransferError("connection", f"{host} hung up without an answer", retryable=True)
    if isinstance(reason, http.client.HTTPException | ValueError):
        return TransferError("bad_answer", f"{host} answered with something that is no HTTP", retryable=True)
    return TransferError("connection", f"the connection to {host} failed ({reason})", retryable=True)


def _host(url: str) -> str:
    return urlsplit(url).hostname or "?"
