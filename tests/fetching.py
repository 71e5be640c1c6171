"""Weights to be fetched from a local hub, and what fetches them."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fake_engines import entry as fake_entry
from fake_hub import FakeHub
from inpaint_models.registry import ModelEntry, WeightsFile
from inpaint_models.weights import Network, download

CONTENT = random.Random(1).randbytes(300_001)
NAME = "big.safetensors"


@dataclass
class Naps:
    """A clock that never waits and remembers what it was asked for."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def network(naps: Naps | None = None, **changes: Any) -> Network:
    """For the local hub."""
    base = Network(
        connect_timeout_s=60,
        read_timeout_s=60,
        plain_http_hosts=frozenset({"127.0.0.1"}),
        sleep=naps or Naps(),
        chance=lambda: 0.5,
    )
    return replace(base, **changes)


def entry(*files: WeightsFile, **changes: Any) -> ModelEntry:
    return replace(fake_entry("tiny", weights=files), **changes)


def published(*sources: str, name: str = NAME, content: bytes = CONTENT) -> WeightsFile:
    return WeightsFile(name, sources, len(content), hashlib.sha256(content).hexdigest())


def unpublished(*sources: str) -> WeightsFile:
    return WeightsFile(NAME, sources)


def fetch(hub: FakeHub, home: Path, file: WeightsFile | None = None, **changes: Any) -> Path:
    files = download(entry(file or published(hub.url(NAME))), home, **{"network": network(), **changes})
    assert files.status == "ready"
    return files.paths[NAME]


def leftovers(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()} - {NAME, ".locks", "verified.json", ".verified.json.lock"}


def safetensors(value: bytes = b"1234") -> bytes:
    """A file of one tensor."""
    header = json.dumps({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + value
