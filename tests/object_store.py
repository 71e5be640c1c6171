"""A real HTTP server with the S3 interface, for tests, which can go away and come back."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from moto.server import ThreadedMotoServer

BUCKET = "photos"
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=key/20000101/us-east-1/s3/aws4_request"}
"""Not checked; the server looks up whose request it is, and where."""


class ObjectStore:
    """moto's server on a port of its own. What it holds stays while it is away."""

    def __init__(self) -> None:
        self.port = 0
        self.come_back()
        self.ask("PUT", f"/{BUCKET}")

    def come_back(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]

    def go_away(self) -> None:
        self._server.stop()

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, SIGNED)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        assert answer.status < 300, content
        return content


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """The store, and the variables that lead to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_DISABLE_REQUEST_LOG", "1")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not a secret")
        patch.setenv("AWS_REGION", "us-east-1")
        store = ObjectStore()
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{store.port}")
        yield store
        store.go_away()
