"""The manifests in deploy/kubernetes: what may be checked of them without a cluster."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings
from service.variables import variable
from tests.support.processes import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
RESOURCES: list[str] = KUSTOMIZATION["resources"]
QDRANT: dict[str, Any] = yaml.safe_load((FOLDER / "qdrant-values.yaml").read_text())
COMPOSE = (ROOT / "docker-compose.yml").read_text()


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def pod() -> dict[str, Any]:
    [deployment] = documents("deployment.yaml")
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


def test_every_manifest_is_in_the_kustomization() -> None:
    others = {"kustomization.yaml", "qdrant-values.yaml"}
    assert {path.name for path in FOLDER.glob("*.yaml")} - others == set(RESOURCES)
    assert (FOLDER / KUSTOMIZATION["configMapGenerator"][0]["envs"][0]).exists()


@pytest.mark.parametrize("name", RESOURCES)
def test_a_manifest_is_valid(name: str) -> None:
    """By Kubernetes' own schemas, in which a field that doesn't exist is a mistake."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for each in documents(name):
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)


def test_a_mistake_is_noticed() -> None:
    """So that the test above can fail."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    [deployment] = documents("deployment.yaml")
    deployment["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)


def test_settings_exist() -> None:
    """The service accepts them; devices and keys are asked for, since a cluster's network is not its own."""
    lines = (FOLDER / "settings.env").read_text().splitlines()
    environ = dict(line.split("=", 1) for line in lines)
    key = environ.pop("FACE_QDRANT_API_KEY_FILE")
    settings = Settings.from_env(environ)
    assert set(environ) <= {variable(each.name) for each in fields(Settings)}
    mounts = {each["mountPath"] for each in pod()["containers"][0]["volumeMounts"]}
    assert settings.devices is not None
    assert settings.keys is not None
    assert {str(settings.devices.parent), str(settings.keys.parent), str(Path(key).parent), "/data", "/tmp"} == mounts


def test_names_and_ports_agree() -> None:
    """What selects the pods, what they are labelled with, what Qdrant is called, and where the service listens."""
    [deployment], [service], [budget] = map(documents, ("deployment.yaml", "service.yaml", "disruption-budget.yaml"))
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]
    [container] = pod()["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": Settings().port}]
    assert service["spec"]["ports"][0]["port"] == Settings().port
    assert container["image"] in {each["name"] for each in KUSTOMIZATION["images"]}
    assert QDRANT["fullnameOverride"] == "qdrant"
    assert QDRANT["apiKey"]["valueFrom"]["secretKeyRef"]["name"] in {
        each["secret"]["secretName"] for each in pod()["volumes"] if "secret" in each
    }


def test_the_pod_is_confined() -> None:
    """As the namespace demands: the image's user, no rights, a root that can't be written, secrets for the group."""
    user = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]
    about_pod, [container] = pod()["securityContext"], pod()["containers"]
    assert (str(about_pod["runAsUser"]), str(about_pod["runAsGroup"])) == user
    assert about_pod["fsGroup"] == about_pod["runAsGroup"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [each["secret"]["defaultMode"] for each in pod()["volumes"] if "secret" in each] == [0o440, 0o440]
    assert pod()["enableServiceLinks"] is False


def test_probes_ask_what_they_should() -> None:
    """A service whose Qdrant is away gets no requests, and isn't restarted; a stop leaves time for those in hand."""
    [container] = pod()["containers"]
    asked = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = re.search(r"stop_grace_period: (\d+)s # requests", COMPOSE)
    assert grace
    assert pod()["terminationGracePeriodSeconds"] >= pause_s + int(grace[1])


def test_qdrant_is_the_one_of_compose() -> None:
    """The same version, with a key, private, and with a node for each of three copies."""
    assert f"qdrant:{QDRANT['image']['tag']}-unprivileged" in COMPOSE
    assert QDRANT["image"]["useUnprivilegedImage"] is True
    assert {"name": "QDRANT__TELEMETRY_DISABLED", "value": "true"} in QDRANT["env"]
    environ = dict(line.split("=", 1) for line in (FOLDER / "settings.env").read_text().splitlines())
    assert QDRANT["replicaCount"] >= int(environ["FACE_QDRANT_REPLICAS"]) >= 3
    assert QDRANT["podDisruptionBudget"] == {"enabled": True, "maxUnavailable": 1}
