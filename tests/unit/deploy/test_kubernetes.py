"""The manifests: valid for old and new clusters, and in DTrove's own words."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from client.configuration import SERVICES, declared, settings_of
from shared.config import FILE, describe, secret_names

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
# The oldest that clouds still support, and the newest that the validator knows.
RELEASES = ("1.28", kubernetes_validate.latest_version())


def manifests() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{name}: {one['kind']} {one['metadata']['name']}", one)
        for name in KUSTOMIZATION["resources"]
        for one in yaml.safe_load_all((FOLDER / name).read_text())
    ]


def of_services() -> dict[str, dict[str, Any]]:
    """The Deployments, by the service that each runs."""
    found = (one for _, one in manifests() if one["kind"] == "Deployment")
    return {container(one)["args"][-1].split(".")[1]: one for one in found}


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(only)


def given() -> dict[str, str]:
    lines = (FOLDER / "options.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("name", "manifest"), manifests(), ids=[name for name, _ in manifests()])
def test_every_manifest_is_what_kubernetes_knows(name: str, manifest: dict[str, Any], release: str) -> None:
    kubernetes_validate.validate(manifest, release, strict=True)


def test_every_file_is_taken_up() -> None:
    assert sorted(KUSTOMIZATION["resources"]) == sorted(
        path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml"
    )


def test_every_service_has_replicas_that_run_its_module() -> None:
    found = of_services()
    assert sorted(found) == sorted(SERVICES)
    for deployment in found.values():
        assert deployment["spec"]["replicas"] > 1
        importlib.import_module(container(deployment)["args"][-1])


def test_every_option_is_one_that_there_is_and_none_of_them_a_secret() -> None:
    known = {option.name for _, options in declared() for option in options}
    assert set(given()) <= known
    assert secret_names([settings_of(service) for service in SERVICES], given()) == []
    for deployment in of_services().values():
        # A few options are called so themselves.
        given_ones = {one["name"] for one in container(deployment)["env"]}
        names = {name if name in known else name.removesuffix(FILE) for name in given_ones}
        assert names <= known, names - known


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_the_files_that_its_options_name_and_no_others(service: str) -> None:
    deployment = of_services()[service]
    (secret,) = (one for one in deployment["spec"]["template"]["spec"]["volumes"] if "secret" in one)
    mounted = {f"/etc/dtrove/{one['path']}" for one in secret["secret"]["items"]}
    read_by = {option.name for option in describe(settings_of(service), {})}
    options = {name: value for name, value in given().items() if name in read_by}
    options |= {one["name"]: one["value"] for one in container(deployment)["env"] if "value" in one}
    named = {value for value in options.values() if value.startswith("/etc/dtrove/")}
    assert mounted == named


def test_the_nodes_of_rabbitmq_are_those_that_its_configuration_names() -> None:
    stateful = next(one for _, one in manifests() if one["kind"] == "StatefulSet")
    lines = (FOLDER / "rabbitmq.conf").read_text().splitlines()
    named = [line.rpartition("=")[2].strip() for line in lines if ".nodes." in line]
    service = stateful["spec"]["serviceName"]
    assert named == [f"rabbit@rabbitmq-{number}.{service}" for number in range(stateful["spec"]["replicas"])]


def test_composes_nodes_of_rabbitmq_are_those_that_their_configuration_and_the_services_name() -> None:
    composed = yaml.safe_load((ROOT / "docker-compose.cluster.yml").read_text())["services"]
    nodes = [name for name in composed if name.startswith("rabbitmq")]
    lines = (ROOT / "deploy" / "rabbitmq" / "cluster.conf").read_text().splitlines()
    assert [line.rpartition("@")[2] for line in lines if ".nodes." in line] == nodes
    for service in SERVICES:
        uris = composed[service]["environment"]["AMQP_URI"].split(";")
        assert [uri.rpartition("@")[2].partition(":")[0] for uri in uris] == nodes
