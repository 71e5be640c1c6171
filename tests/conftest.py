"""Servers for tests: one shared by everybody who leaves it healthy, and fresh ones for those who do not."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from fake_hub import FakeHub
from fetching import CONTENT, NAME
from lama_server.cli.sources import CONFIG_VARIABLE
from lama_server.settings import VARIABLE_PREFIX
from object_store import BUCKET, object_store
from serving import RunningServer

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("suite")  # neither how fast a machine is nor chance decides a test

for variable in [name for name in os.environ if name.startswith(VARIABLE_PREFIX)]:
    del os.environ[variable]  # settings of whoever runs the tests
os.environ[CONFIG_VARIABLE] = os.devnull

RAY = {"nodes": 2, "ingress_replicas": 2, "models": ["painter", "second+broken+remote+worded+copier"]}
"""The cluster of the tests of the HTTP API."""

HAS_CUDA = shutil.which("nvidia-smi") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Browser tests go last: Playwright keeps an event loop running, beside which no other can be started.

    Tests marked `gpu` run where there is a CUDA device; elsewhere the report counts them as deselected.
    """
    items.sort(key=lambda item: "browser" in item.path.parts)
    if not HAS_CUDA:
        left_out = [item for item in items if item.get_closest_marker("gpu")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="module", autouse=True)
def memory_is_given_back() -> Iterator[None]:
    """What a file of tests has let go of goes back to the system: networks leave gigabytes with the allocator."""
    yield
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For networks so small that they lose more time to waking threads than they gain."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A person with no files and no settings, whose caches may be changed, and no proxy before a local server."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(
            ("HF_", "TORCH_HOME", "XDG_", "HUGGINGFACE", "LOCALAPPDATA")
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """A hub of one file of weights."""
    with FakeHub({NAME: CONTENT}) as running:
        yield running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `on_ray` are run against the plain server and against the ingress of a cluster."""
    if "server" in metafunc.fixturenames and metafunc.definition.get_closest_marker("on_ray"):
        alone = metafunc.definition.get_closest_marker("plain")
        metafunc.parametrize("server", ["plain"] if alone else ["plain", "ray"], indirect=True)


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the fake engines; tests leave it as they found it."""
    folder = tmp_path_factory.mktemp("server")
    with ExitStack() as stack:
        options: dict[str, Any] = {}
        if getattr(request, "param", "plain") == "ray":
            stack.enter_context(object_store())
            options = {"cluster": RAY, "store": f"s3://{BUCKET}/ray"}
        running = stack.enter_context(RunningServer(folder, options))
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
