"""Servers for tests: one shared by everybody who leaves it healthy, and fresh ones for those who do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from serving import RunningServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the fake engines; tests leave it as they found it."""
    with RunningServer(tmp_path_factory.mktemp("server")) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts a server of one's own, with other settings or for rough treatment."""
    with ExitStack() as stack:

        def start(**options: Any) -> RunningServer:
            running = stack.enter_context(RunningServer(tmp_path / "data", options))
            running.wait_ready()
            return running

        yield start
