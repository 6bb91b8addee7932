"""Servers in a project of the cloud that somebody has lent: by an application credential, or by a trust."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from openstack.connection import Connection

from services.provisioner.domain.delegation import Delegation, Kind
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.openstack import Provider
from shared import keystone
from shared.secrets import Secret
from tests.support import clouds
from tests.support.installation import ENDED, Installation, wait_for
from tests.support.providers import Rig

pytestmark = [pytest.mark.real, pytest.mark.slow]


@dataclass(frozen=True)
class Tenant:
    """A project of the cloud with a network, and a user who is a member there."""

    project: str
    cloud: Connection

    def credential(self) -> dict[str, str]:
        """An application credential, as it is lent."""
        name = f"dtrove-{uuid4().hex[:8]}"
        made = self.cloud.identity.create_application_credential(user=self.cloud.current_user_id, name=name)
        return {"kind": "application_credential", "credential_id": str(made.id), "secret": str(made.secret)}

    def trust(self, trustee: str) -> dict[str, str]:
        """A trust in a user, as it is lent."""
        made = self.cloud.identity.create_trust(
            trustor_user_id=self.cloud.current_user_id, trustee_user_id=trustee, project_id=self.project,
            is_impersonation=True, roles=[{"name": "member"}],
        )  # fmt: skip
        return {"kind": "trust", "credential_id": str(made.id)}


@pytest.fixture
def tenant(admin: Connection) -> Iterator[Tenant]:
    domain, secret = admin.identity.find_domain("Default").id, uuid4().hex
    project = admin.identity.create_project(name=f"lender-{uuid4().hex[:8]}", domain_id=domain)
    user = admin.identity.create_user(name=f"lender-{uuid4().hex[:8]}", password=secret, domain_id=domain)
    admin.identity.assign_project_role_to_user(project, user, admin.identity.find_role("member"))
    auth = {"auth_url": admin.config.get_auth_args()["auth_url"], "user_id": user.id, "password": secret,
            "project_id": project.id}  # fmt: skip
    cloud = Connection(auth=auth, auth_type="password", region_name=admin.config.get_region_name())
    network = cloud.network.create_network(name=f"lent-{uuid4().hex[:8]}")
    cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.77.0.0/24")
    before = clouds.held(cloud)
    yield Tenant(project.id, cloud)
    assert clouds.held(cloud) == before, "something was left in the project that was lent"
    for port in cloud.network.ports(network_id=network.id):
        admin.network.delete_port(port)
    admin.network.delete_network(network)
    admin.identity.delete_user(user)
    admin.identity.delete_project(project)


def lent(body: dict[str, str]) -> Delegation:
    return Delegation("p", Kind(body["kind"]), body["credential_id"], Secret(body.get("secret", "")))


@pytest.mark.parametrize("kind", ["application_credential", "trust"])
def test_a_server_is_made_and_removed_in_the_project_that_is_lent(
    cloud: Connection, tenant: Tenant, tmp_path: Path, kind: str
) -> None:
    before = clouds.held(cloud)
    there = Rig("openstack", clouds.options(tmp_path, DTROVE_OS_NETWORK=""), tmp_path, real=True, image=clouds.IMAGE)
    given = lent(tenant.credential() if kind == "application_credential" else tenant.trust(cloud.current_user_id))
    provider = there.provider.on_behalf(given)
    assert provider.cloud_project == tenant.project
    instance = there.instance(volume_gb=1)
    provider.create(instance)
    wait_for(lambda: provider.update_status(instance)[0] == "ACTIVE", 120, 1, "a server")
    provider.attach_volume(instance)
    assert [one.name for one in tenant.cloud.compute.servers()]
    assert clouds.held(cloud) == before
    assert {one.kind for one in provider.list_ours()} == {"server", "volume"}
    assert there.provider.find(instance.id) is None
    provider.destroy(instance)
    assert clouds.held(cloud) == before


def test_what_lets_nobody_in_says_so(tmp_path: Path) -> None:
    own = Provider(clouds.options(tmp_path))
    wrong = Delegation("p", Kind.APPLICATION_CREDENTIAL, uuid4().hex, Secret("wrong"))
    with pytest.raises(ProviderError, match="log in"):
        _ = own.on_behalf(wrong).cloud_project


@pytest.fixture
def dtrove(told: dict[str, str], tmp_path: Path) -> Iterator[Installation]:
    """DTrove that makes clusters where their projects have lent it room."""
    chosen = {**told, "DTROVE_HOME": str(tmp_path / "home"), "DTROVE_CLUSTERS_IN": "project", "DTROVE_OS_NETWORK": ""}
    with Installation(Path(chosen.pop("DTROVE_HOME")), **chosen) as made:
        yield made


def test_a_user_of_keystone_s_lends_a_project_and_its_clusters_are_there(
    dtrove: Installation, tenant: Tenant, cloud: Connection
) -> None:
    project = keystone.project_id(tenant.project)
    lend = f"/v1/projects/{project}/delegation"

    def ask(method: str, path: str, body: Any = None) -> requests.Response:
        headers = {"X-Auth-Token": str(tenant.cloud.auth_token)}
        return requests.request(method, dtrove.url + path, json=body, headers=headers, timeout=60)

    def ended(asked: requests.Response) -> dict[str, Any]:
        assert asked.status_code == 202, asked.text
        where = asked.headers["Location"]
        return dict(
            wait_for(lambda: (one := ask("GET", where).json())["status"] in ENDED and one, 300, 0.5, "the operation")
        )

    refused = ended(ask("POST", "/v1/clusters", {"name": "too-early", "datastore": "redis 7.0"}))
    assert "dtrove project delegate" in str(refused)
    mine = cloud.identity.create_application_credential(user=cloud.current_user_id, name=f"dtrove-{uuid4().hex[:8]}")
    not_theirs = {"kind": "application_credential", "credential_id": str(mine.id), "secret": str(mine.secret)}
    assert "another project" in ask("PUT", lend, not_theirs).text
    cloud.identity.delete_application_credential(cloud.current_user_id, mine)
    accepted = ask("PUT", lend, tenant.credential())
    assert (accepted.status_code, accepted.json()["cloud_project"]) == (200, tenant.project), accepted.text

    made = ask("POST", "/v1/clusters", {"name": "lent", "datastore": "redis 7.0", "volume_gb": 1})
    assert ended(made)["status"] == "succeeded"
    assert len([one for one in tenant.cloud.compute.servers() if one.name.startswith("lent")]) == 1
    assert "lent-1" in ask("DELETE", lend).text
    for cluster in ask("GET", "/v1/clusters").json()["clusters"]:
        assert ended(ask("DELETE", f"/v1/clusters/{cluster['id']}"))["status"] == "succeeded"
    assert ask("DELETE", lend).status_code == 204
