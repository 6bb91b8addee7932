"""Which stretches of PostgreSQL's log join, and how far that leads from a backup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.datastore_agentless.datastores.base.chains import SETTLED, Chain, chains, reach
from services.datastore_agentless.datastores.base.replaying import Place
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.pgsql.replaying import LogReplay
from services.datastore_agentless.domain.archive import Archive, Stretch
from services.datastore_agentless.domain.datastore import Datastore

REPLAYING = LogReplay(PostgresManager(Datastore(id="d", manager_class="x", manager="x", version="15", image="")))
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def piece(first: int, last: int, line: int = 1, node: str = "a", minute: int = 0) -> Stretch:
    return Stretch(node, f"700-{line:08X}", first, last, NOON + timedelta(minutes=minute or last))


def found(*stretches: Stretch, archive: Archive | None = None) -> list[Chain]:
    return chains(REPLAYING, stretches, archive)


def place(number: int, line: int = 1) -> Place:
    return Place(f"700-{line:08X}", number)


def numbers(chain: Chain) -> list[tuple[str, int, int]]:
    return [(one.line[-1], one.first, one.last) for one in chain.stretches]


def test_one_line_is_one_chain_that_ends_a_moment_before_its_newest_piece() -> None:
    (chain,) = found(piece(3, 9))
    assert chain.until == NOON + timedelta(minutes=9) - SETTLED


def test_what_a_look_has_vouched_for_counts_for_the_newest_chain_alone_and_not_where_there_is_a_hole() -> None:
    later = NOON + timedelta(hours=3)
    whole = Archive("c", "p", until=later)
    newest, oldest = found(piece(1, 3), piece(5, 9), archive=whole)
    assert (newest.until, oldest.until) == (later, NOON + timedelta(minutes=3) - SETTLED)
    whole.broken_at = later
    assert found(piece(5, 9), archive=whole)[0].until == NOON + timedelta(minutes=9) - SETTLED


def test_a_failover_is_no_end_whether_the_new_line_begins_with_the_next_number_or_with_the_same() -> None:
    for first in (6, 5):
        (chain,) = found(piece(1, 5), piece(first, 8, 2, "b"))
        assert numbers(chain) == [("1", 1, 5), ("2", first, 8)]


def test_what_was_written_past_a_failover_on_the_older_line_leads_nowhere_else() -> None:
    newest, tail = found(piece(1, 7, minute=7), piece(5, 8, 2, "b"))
    assert numbers(newest) == [("1", 1, 5), ("2", 5, 8)]
    assert numbers(tail) == [("1", 1, 7)]


def test_a_failback_and_a_second_node_with_the_same_line_are_told_apart() -> None:
    (there_and_back,) = found(piece(1, 5), piece(6, 8, 2, "b"), piece(9, 12, 3, "a"))
    assert numbers(there_and_back) == [("1", 1, 5), ("2", 6, 8), ("3", 9, 12)]
    newest, other = found(piece(1, 5), piece(6, 8, 2, "b"), piece(6, 9, 2, "a"))
    assert [one.stretches[-1].instance_id for one in (newest, other)] == ["a", "b"]
    assert newest.stretches[0] == other.stretches[0] == piece(1, 5)


def test_after_a_hole_a_chain_of_its_own_begins_also_at_a_failover() -> None:
    newest, oldest = found(piece(1, 5), piece(8, 9, 2, "b"))
    assert (numbers(newest), numbers(oldest)) == ([("2", 8, 9)], [("1", 1, 5)])
    within, before = found(piece(1, 5), piece(7, 9))
    assert (numbers(within), numbers(before)) == ([("1", 7, 9)], [("1", 1, 5)])


def test_lines_of_another_system_do_not_join() -> None:
    other = Stretch("b", "701-00000002", 6, 8, NOON + timedelta(hours=1))
    assert len(found(piece(1, 5), other)) == 2


def test_from_a_backup_the_log_goes_on_with_the_piece_that_it_names_or_not_at_all() -> None:
    there = found(piece(3, 5), piece(6, 8, 2, "b"))
    reached = reach(there, place(4))
    assert reached is not None
    assert [(one.first, one.last) for one in reached[1]] == [(4, 5), (6, 8)]
    assert reach(there, place(2)) is None
    assert reach(there, place(4, line=2)) is None
    next_one = reach(there, place(9, line=2))
    assert next_one is not None
    assert next_one[1] == ()


def test_of_two_chains_that_a_backup_is_on_the_one_that_leads_further_counts() -> None:
    reached = reach(found(piece(1, 7, minute=7), piece(5, 8, 2, "b")), place(2))
    assert reached is not None
    assert reached[0] == NOON + timedelta(minutes=8) - SETTLED
