"""What an incremental backup builds upon, and what a restore needs of a chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.datastore_agentless.domain.backup import Backup, State
from services.datastore_agentless.domain.chain import LONGEST, Footing, Scene, chain_of, footing
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.health import Verdict
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.record import Record
from shared.errors import Failure

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MARIADB = {"manager": "mysql", "version": "10.11", "name": "mysql - 10.11"}
WISH = Backup(
    id="wish", cluster_id="c", project_id="p", operation_id="o", created_at=NOW, store="local", datastore=MARIADB
)


def made(name: str, hours_ago: float, base: str = "", node: str = "one", **values: Any) -> Backup:
    """A backup that is whole, of a node as it still is."""
    manifest = {
        "taken_from": {"server": f"server-{node}", "name": f"shop-{node}"},
        "taken": {"name": f"name-{name}", "position": "9"},
    }
    at = NOW - timedelta(hours=hours_ago)
    entry = replace(
        WISH,
        id=name,
        base_id=base,
        instance_id=node,
        created_at=at,
        ended_at=at,
        state=State.COMPLETED,
        manifest=manifest,
    )
    return replace(entry, **values)


def scene(*, replica: Verdict | None = Verdict.OK, seconds_ago: float = 5.0, **changes: Any) -> Scene:
    """A cluster that `one` leads and `two` follows."""
    nodes = [Instance(id=name, cluster_id="c", name=f"shop-{name}", server=f"server-{name}", status=Status.READY)
             for name in ("one", "two")]  # fmt: skip
    nodes = [replace(node, **changes) if node.id == "one" else node for node in nodes]
    at = NOW - timedelta(seconds=seconds_ago)
    health = {} if replica is None else {"two": Record("two", "c", str(replica), "", since=at, seen_at=at)}
    cluster = Cluster(id="c", project_id="p", operation_id="o", name="shop", datastore_id="d", size=2, ram_mb=1024,
                      vcpus=1, primary_id="one")  # fmt: skip
    return Scene(cluster, nodes, health, NOW)


def found(*known: Backup, at: Scene | None = None) -> Footing:
    return footing(WISH, [WISH, *known], at or scene())


def name_of(chosen: Footing) -> tuple[str, str]:
    assert chosen.base is not None
    assert chosen.node is not None
    return chosen.base.id, chosen.node.id


def test_an_incremental_backup_builds_upon_the_newest_one_whoever_has_made_it() -> None:
    chosen = found(made("full", 9), made("by-hand", 5, "full", schedule_id=""), made("older", 7))
    assert name_of(chosen) == ("by-hand", "one")


def test_it_is_taken_from_the_node_that_its_base_was_taken_of_a_replica_that_follows_well_or_the_primary() -> None:
    assert name_of(found(made("full", 9), made("of-replica", 5, node="two"))) == ("of-replica", "two")
    for at in (scene(replica=Verdict.LAGGING), scene(replica=None), scene(seconds_ago=7200)):
        assert name_of(found(made("full", 9), made("of-replica", 5, node="two"), at=at)) == ("full", "one")
        assert (
            "shop-two, of which the last one was taken, is not known to follow well"
            in found(made("of-replica", 5, node="two"), at=at).why
        )


@pytest.mark.parametrize("changes", [{"server": "made anew"}, {"status": Status.FAILED}, {"id": "another"}])
def test_nothing_builds_upon_what_was_taken_of_a_server_that_is_not_there_any_more(changes: dict[str, Any]) -> None:
    chosen = found(made("full", 9), at=scene(**changes))
    assert (chosen.base, chosen.node) == (None, None)
    assert "shop-one, of which the last one was taken, is not there any more" in chosen.why


@pytest.mark.parametrize("values", [
    {"state": State.DELETING}, {"state": State.FAILED}, {"store": "minio"}, {"manifest": {"taken": None}},
    {"datastore": {**MARIADB, "version": "11.4"}},
])  # fmt: skip
def test_what_is_not_whole_lies_elsewhere_or_remembers_nothing_is_no_base(values: dict[str, Any]) -> None:
    assert "there is no backup in local that it could build upon" in found(made("full", 9, **values)).why


def test_a_chain_that_has_lost_a_member_is_built_upon_no_further() -> None:
    lost = made("lost", 7, "full", state=State.DELETED)
    assert name_of(found(made("full", 9), lost, made("orphan", 5, "lost"))) == ("full", "one")
    assert "backup orphan builds upon backup lost, which is deleted" in found(lost, made("orphan", 5, "lost")).why


def test_a_chain_has_an_end_and_then_a_full_one_is_made() -> None:
    chain = [made("b0", 100), *(made(f"b{number}", 100 - number, f"b{number - 1}") for number in range(1, LONGEST))]
    assert name_of(found(*chain[:-1])) == (chain[-2].id, "one")
    chosen = found(*chain)
    assert chosen.base is None
    assert f"none may have more than {LONGEST}" in chosen.why


def test_a_restore_needs_the_full_one_and_all_between_in_the_order_in_which_they_were_made() -> None:
    full, one, two = made("full", 9), made("one", 8, "full"), made("two", 7, "one")
    assert chain_of(two, [two, one, full]) == [full, one, two]
    assert chain_of(full, []) == [full]


@pytest.mark.parametrize(("other", "words"), [
    (made("other", 8), "backup one builds upon backup full, which is unknown"),
    (made("full", 9, state=State.DELETING), "backup full, which is being deleted"),
    (made("full", 9, "two"), "backup full builds upon backup two, which builds upon it"),
    (made("full", 9, store="minio"), "backup full, upon which it builds, in minio"),
])  # fmt: skip
def test_a_chain_that_is_not_whole_says_which_backup_is_missing(other: Backup, words: str) -> None:
    one, two = made("one", 8, "full"), made("two", 7, "one")
    with pytest.raises(Failure, match=words):
        chain_of(two, [two, one, other])
