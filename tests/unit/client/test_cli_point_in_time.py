"""Moments between backups on the command line."""

from __future__ import annotations

from datetime import datetime

import pytest

from client.exits import Exit
from services.api.actions.hearing import hear
from shared.contracts.archives import ArchiveSeen, LogChain
from tests.unit.client.test_cli_backups import Dtrove, Keeper, keeper
from tests.unit.client.world import World

__all__ = ["keeper"]
MOMENT = "2026-11-30T12:00:05Z"


@pytest.fixture
def backup(keeper: Keeper, world: World, dtrove: Dtrove) -> str:
    """A backup of `shop`, from which its log goes on for a minute."""
    made = dtrove("backup", "create", "shop", "--wait", "--json").json
    chain = LogChain(until=datetime.fromisoformat("2026-11-30T12:01:00+00:00"), backups=(made["id"],))
    hear(world.database, ArchiveSeen(cluster_id=made["cluster"], project_id=made["project"], chains=(chain,)))
    return str(made["id"])


def test_which_moments_can_be_restored_is_said_with_the_backups_and_with_the_cluster(
    backup: str, dtrove: Dtrove
) -> None:
    words = "from 2026-11-30T12:00:00.000000Z to 2026-11-30T12:01:00.000000Z"
    assert f"any moment can be restored {words}" in dtrove("backup", "list", "shop").out
    assert words in dtrove("cluster", "show", "shop").out
    assert "any moment" not in dtrove("backup", "list").out
    assert "2026-11-30T12:01:00" in dtrove("backup", "show", backup).out


def test_a_cluster_is_made_as_of_a_moment_of_another_or_of_a_backup_s_time_on(backup: str, dtrove: Dtrove) -> None:
    for command in (
        ("backup", "restore", "shop", "--time", MOMENT, "--name", "one"),
        ("backup", "restore", backup, "--time", "2026-11-30 14:00:05+02:00", "--name", "two"),
        ("cluster", "create", "three", "--restore", "shop", "--restore-time", MOMENT),
    ):
        made = dtrove(*command, "--wait", "--json")
        assert made.code == 0, made.err
        assert (made.json["restored_from"], made.json["restored_to"]) == (backup, "2026-11-30T12:00:05.000000Z")
        assert made.json["volume_gb"] == 7


def test_a_plan_says_how_much_of_the_log_that_is(backup: str, dtrove: Dtrove) -> None:
    done = dtrove("backup", "restore", "shop", "--time", MOMENT, "--name", "one", "--plan")
    assert f"from backup {backup} of 2026-11-30 12:00:00 UTC and its log of the 5 s after it" in done.out


def test_a_cluster_that_is_gone_is_named_by_what_it_was_called(backup: str, dtrove: Dtrove) -> None:
    assert dtrove("cluster", "delete", "shop", "--yes", "--wait").code == 0
    made = dtrove("backup", "restore", "shop", "--time", MOMENT, "--name", "one", "--json")
    assert (made.code, made.json["restored_from"]) == (0, backup)
    assert dtrove("backup", "restore", "nobody", "--time", MOMENT, "--name", "two").code == Exit.NOT_FOUND


def test_what_is_no_moment_or_out_of_reach_is_refused_with_a_sentence(backup: str, dtrove: Dtrove) -> None:
    for time, words in (
        ("noon", "is no time"), ("2026-11-30T12:00:05", "has no time zone"),
        ("2026-11-30T12:02:00Z", "is after the latest moment"), ("2026-11-30T11:00:00Z", "is before the earliest"),
    ):  # fmt: skip
        refused = dtrove("backup", "restore", "shop", "--time", time, "--name", "one")
        assert (refused.code, words in " ".join(refused.err.split())) == (Exit.REFUSED, True), refused.err
    refused = dtrove("cluster", "create", "one", "--datastore", "pgsql", "--restore-time", MOMENT)
    assert (refused.code, "--restore" in refused.err) == (Exit.REFUSED, True)
