"""The container: what its image is built from, and the rights that compose.yaml leaves it."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
import yaml

from serving import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def service() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["lama-server"]


def test_the_image_is_built_from_every_folder_that_is_in_the_wheel() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    inside = [*wheel["wheel"]["packages"], *wheel["wheel"]["force-include"]]
    copied = set(re.findall(r"^COPY (\S+) \./", DOCKERFILE, re.MULTILINE))
    assert {path.split("/")[0] for path in inside} <= copied


def test_the_composed_service_has_no_more_rights_than_it_needs(service: Any) -> None:
    """T20, S5: an ordinary user, a file system that is read-only but for its folders, no capabilities."""
    assert service["user"] == re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert int(service["user"]) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & service.keys()
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_composed_service_can_write_where_the_server_does_and_nowhere_else(service: Any) -> None:
    written = dict(re.findall(r"LAMA_SERVER_(\w+)_DIR=(\S+)", DOCKERFILE))
    mounted = {volume.rpartition(":")[2] for volume in service["volumes"]}
    assert set(written.values()) == mounted
    assert mounted <= set(json.loads(re.findall(r"^VOLUME (.+)$", DOCKERFILE, re.MULTILINE)[0]))
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert "docker.sock" not in json.dumps(service)
