"""`dtrove orphans` over a whole DTrove: what goes by itself goes within a minute, and the rest at a word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from client.exits import Exit
from services.provisioner.providers.fake import Cloud
from services.provisioner.providers.fake.provider import STATE_FILE
from shared.db.engine import make_engine
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.rabbit, pytest.mark.slow]

STRANGER = "77777777-2222-4333-8444-555555555555"
# Invariant I6, and what a loaded machine adds.
WITHIN = 60.0 + 30.0


@pytest.fixture
def cloud(dtrove: Installation) -> Cloud:
    """The same cloud that the provisioner has, seen from here."""
    return Cloud(path=dtrove.home / STATE_FILE)


@pytest.fixture(scope="module")
def cluster(dtrove: Installation) -> dict[str, Any]:
    """A cluster with a volume."""
    made, operation = dtrove.create("shop", "redis 7.0", volume_gb=1)
    assert dtrove.end_of(operation)["status"] == "succeeded"
    return dict(dtrove.get(f"/v1/clusters/{made}"))


def listed(dtrove: Installation) -> dict[str, dict[str, Any]]:
    found = json.loads(dtrove.dtrove("orphans", "list", "--json").stdout)
    return {one["id"]: one for one in found}


def test_a_second_server_of_a_live_instance_is_gone_within_a_minute_and_the_cluster_untouched(
    dtrove: Installation, cloud: Cloud, cluster: dict[str, Any]
) -> None:
    instance = cluster["instances"][0]["id"]
    own = cloud.servers(instance)[0].id
    extra = cloud.add_server(instance, cluster["id"], "shop-1", "small").id
    wait_for(lambda: [one.id for one in cloud.servers(instance)] == [own], WITHIN, 0.5, f"the end of {extra}")
    assert len(cloud.volumes(instance)) == 1
    assert dtrove.get(f"/v1/clusters/{cluster['id']}")["status"] == "active"
    wait_for(lambda: listed(dtrove) == {}, 30, what="an empty list")


def test_what_was_never_heard_of_is_listed_stays_and_goes_at_an_administrators_word_which_is_written_down(
    dtrove: Installation, cloud: Cloud
) -> None:
    theirs = cloud.add_server(STRANGER, STRANGER, "a stranger's", "small").id
    disk = cloud.add_volume(STRANGER, STRANGER, 1).id
    found = wait_for(lambda: {theirs, disk} == set(listed(dtrove)) and listed(dtrove), WITHIN, 0.5, "both in the list")
    assert {one["why"] for one in found.values()} == {"unknown"}
    assert "never" not in found[theirs]["removal"]
    assert dtrove.dtrove("orphans", "clean", "server-of-nobody", "--yes", check=False).returncode == Exit.NOT_FOUND
    dtrove.dtrove("orphans", "clean", theirs, "--yes", "--wait", "--timeout", "60")
    assert cloud.servers(STRANGER) == []
    assert [one.id for one in cloud.volumes(STRANGER)] == [disk]
    dtrove.dtrove("orphans", "clean", "--all", "--yes", "--wait", "--timeout", "60")
    assert cloud.volumes(STRANGER) == []
    engine = make_engine(f"sqlite:///{dtrove.home}/api.sqlite")
    with engine.connect() as connection:
        audited = connection.exec_driver_sql("select subject from audit where action = 'orphans.clean'").scalars().all()
    engine.dispose()
    assert audited == [theirs, disk]


def test_a_server_that_is_gone_is_told_and_ends_with_its_cluster(
    dtrove: Installation, cloud: Cloud, cluster: dict[str, Any]
) -> None:
    instance = cluster["instances"][0]["id"]
    own = cloud.servers(instance)[0].id
    cloud.remove_one("server", own, instance)
    found = wait_for(lambda: listed(dtrove).get(own), WITHIN, 0.5, "the lost server in the list")
    assert found["why"] == "gone"
    refused = dtrove.dtrove("orphans", "clean", own, "--yes", check=False)
    assert refused.returncode == Exit.CONFLICT
    assert "gone already" in refused.stderr
    assert dtrove.end_of(dtrove.delete(cluster["id"]))["status"] == "succeeded"
    wait_for(lambda: listed(dtrove) == {}, WITHIN, 0.5, "an empty list")
    assert cloud.volumes(instance) == []
