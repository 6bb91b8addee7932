"""Projects lend DTrove their own project of the cloud: servers are made there, found there, and deleted there."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from services.provisioner import delegating, reconciler
from services.provisioner.domain.delegation import Delegation, Kind
from services.provisioner.domain.findings import Found
from services.provisioner.providers.base import ProviderBusy
from services.provisioner.providers.fake import Provider
from services.provisioner.providers.fake.provider import REFUSED
from services.provisioner.store import delegations
from shared import keystone
from shared.errors import Conflict, Invalid, NotFound
from shared.secrets import Secret
from tests.unit.services.provisioner.conftest import Rig

LENT = Delegation("p", Kind.APPLICATION_CREDENTIAL, "theirs", Secret("hush"))


def lend(rig: Rig, given: Delegation = LENT) -> Provider:
    """Lend, and return the provider in the account that is lent."""
    delegating.accept(rig.database, rig.provider, given)
    found = rig.clouds.account("p")
    assert isinstance(found, Provider)
    return found


def test_servers_are_made_and_deleted_in_the_account_that_their_project_has_lent(rig: Rig) -> None:
    theirs = lend(rig)
    rig.request(volume_gb=1, lent=True)
    rig.run()
    assert rig.instance.status == "active"
    assert [one.instance_id for one in theirs.cloud.servers()] == [rig.instance.id]
    assert rig.cloud.servers() == []
    rig.delete()
    rig.run()
    assert theirs.cloud.servers() == []
    assert theirs.cloud.volumes() == []


def test_without_a_loan_the_build_fails_with_what_to_do_and_goes_on_once_there_is_one(rig: Rig) -> None:
    rig.request(lent=True)
    rig.run()
    (failed,) = rig.said("instance.failed")
    assert "dtrove project delegate" in failed["problem"]["what_to_do"]
    theirs = lend(rig)
    rig.retry()
    rig.run()
    assert rig.instance.status == "active"
    assert len(theirs.cloud.servers()) == 1


def test_where_a_cluster_was_made_is_kept_whatever_is_configured_later(rig: Rig) -> None:
    rig.request()
    rig.run()
    lend(rig)
    rig.delete()
    rig.run()
    assert rig.cloud.servers() == []


def test_what_does_not_let_in_or_leads_elsewhere_is_refused_and_what_was_lent_before_stays(rig: Rig) -> None:
    lend(rig)
    with pytest.raises(Invalid) as refused:
        lend(rig, replace(LENT, credential_id=REFUSED))
    assert refused.value.errors[0].field == "credential_id"
    itself = replace(LENT, project_id=keystone.project_id("theirs"))
    assert delegating.accept(rig.database, rig.provider, itself, own=True)["cloud_project"] == "theirs"
    with pytest.raises(Invalid, match="not this project's"):
        delegating.accept(rig.database, rig.provider, replace(LENT, credential_id="another"), own=True)
    assert delegating.show(rig.database, "p") == {
        "kind": "application_credential", "credential_id": "theirs", "cloud_project": "theirs",
    }  # fmt: skip


def test_a_project_of_keystones_has_one_id_here() -> None:
    project = uuid4()
    assert keystone.project_id(project.hex) == str(project)
    assert keystone.project_id("default") == keystone.project_id("default") != keystone.project_id("other")


def test_what_is_in_use_is_neither_taken_back_nor_changed_for_another_project(rig: Rig) -> None:
    lend(rig)
    rig.request(lent=True)
    rig.run()
    with pytest.raises(Conflict, match="shop-1"):
        delegating.withdraw(rig.database, "p")
    with pytest.raises(Conflict, match="shop-1"):
        lend(rig, replace(LENT, credential_id="another"))
    lend(rig, replace(LENT, secret=Secret("renewed")))
    rig.delete()
    rig.run()
    delegating.withdraw(rig.database, "p")
    with pytest.raises(NotFound):
        delegating.show(rig.database, "p")


def test_a_secret_is_sealed_in_the_database(rig: Rig) -> None:
    lend(rig)
    with rig.database.read() as connection:
        stored = connection.exec_driver_sql("select secret from delegations").scalar_one()
        kept = delegations.find(connection, "p")
    assert kept is not None
    assert kept.secret == Secret("hush")
    assert "hush" not in stored


def test_the_reconciler_sees_all_accounts_and_removes_where_it_has_found(rig: Rig) -> None:
    theirs = lend(rig)
    rig.request(lent=True)
    rig.run()
    assert [one.account for one in rig.clouds.list_ours()] == ["p"]
    stray = theirs.cloud.add_server(rig.instance.id, rig.instance.cluster_id, "stray", "small", "active", 0.0, 0)
    for _ in range(2):
        seen = rig.clouds.list_ours()
        reconciler.reconcile(rig.database, seen, rig.clock.now(), lambda one: rig.clouds.of(one).update_status(one)[0])
        rig.clock.advance(30)
    rig.run()
    assert stray.id not in {one.id for one in theirs.cloud.servers()}
    assert [one.instance_id for one in theirs.cloud.servers()] == [rig.instance.id]


def test_an_account_that_lets_nobody_in_any_more_hides_its_own_things_only(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = lend(rig)
    rig.request()
    rig.run()
    listed = Provider.list_ours

    def refuse(provider: Provider) -> list[Found]:
        if provider.cloud is theirs.cloud:
            raise ProviderBusy("revoked")
        return listed(provider)

    monkeypatch.setattr(Provider, "list_ours", refuse)
    assert [one.instance_id for one in rig.clouds.list_ours()] == [rig.instance.id]
