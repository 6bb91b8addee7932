"""As whom the cloud is asked: the service's own account, or what a project has lent."""

from __future__ import annotations

import pytest
from keystoneauth1.identity import v3

from services.provisioner.domain.delegation import Delegation, Kind
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.openstack.account import Gate, connect
from services.provisioner.providers.openstack.settings import OpenStackSettings
from shared.config import read
from shared.secrets import Secret

USER = {"OS_AUTH_URL": "http://cloud.invalid:5000/v3", "OS_USERNAME": "dtrove", "OS_PASSWORD": "hush",
        "OS_PROJECT_NAME": "service", "OS_REGION_NAME": "one"}  # fmt: skip
CREDENTIAL = Delegation("p", Kind.APPLICATION_CREDENTIAL, "c1", Secret("lent"))
TRUST = Delegation("p", Kind.TRUST, "t1")


def asked_as(options: dict[str, str], lent: Delegation) -> object:
    connection = connect(read(OpenStackSettings, options), Gate(1, 1.0), lent)
    assert connection.config.get_region_name() == "one"
    return connection.config.get_auth()


def test_an_application_credential_stands_for_the_whole_login_at_the_configured_cloud() -> None:
    found = asked_as(USER, CREDENTIAL)
    assert isinstance(found, v3.ApplicationCredential)
    assert found.auth_url == USER["OS_AUTH_URL"]


def test_a_trust_is_used_by_the_services_own_user_and_by_no_project() -> None:
    found = asked_as(USER, TRUST)
    assert isinstance(found, v3.Password)
    assert (found.trust_id, found.project_name, found.project_id) == ("t1", None, None)


def test_a_trust_needs_a_user_with_a_password() -> None:
    options = {"OS_AUTH_URL": USER["OS_AUTH_URL"], "OS_APPLICATION_CREDENTIAL_ID": "own", "OS_REGION_NAME": "one",
               "OS_APPLICATION_CREDENTIAL_SECRET": "hush"}  # fmt: skip
    with pytest.raises(ProviderError) as refused:
        asked_as(options, TRUST)
    assert "application credential" in refused.value.what_to_do
    assert isinstance(asked_as(options, CREDENTIAL), v3.ApplicationCredential)
