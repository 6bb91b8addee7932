"""Files what was seen of clusters, announces it, and lets repair consider it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.health import Judgement, Verdict, rank
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.domain.record import Record, after, is_slow
from services.datastore_agentless.domain.samples import slot
from services.datastore_agentless.store import clusters, health, parameters, rolls, samples, takeovers, watches
from services.datastore_agentless.store.watches import Watched
from services.datastore_agentless.watching.pace import Pace
from shared.contracts.datastore_agentless import ClusterDegraded, ClusterRecovered, HealthSeen
from shared.contracts.values import NodeHealth
from shared.db import Database, Tx

# Nodes in one announcement.
TOLD_AT_ONCE = 200
Consider = Callable[[Tx, str, Mapping[str, Record]], None]
log = logging.getLogger(__name__)


def nothing(tx: Tx, cluster_id: str, records: Mapping[str, Record]) -> None:
    """Nothing is repaired."""


@dataclass(frozen=True)
class Seen:
    """What was seen of a cluster, when."""

    watched: Watched
    judged: Mapping[str, Judgement]
    at: datetime

    @cached_property
    def records(self) -> dict[str, Record]:
        """What is held of its nodes from now on, by their ids."""
        before, cluster_id = self.watched.before, self.watched.cluster.id
        found = {node.id: before[node.id] for node in self.watched.nodes if node.id in before}
        return found | {
            node_id: after(before.get(node_id), one, node_id, cluster_id, self.at)
            for node_id, one in self.judged.items()
        }

    @cached_property
    def loud(self) -> bool:
        """Whether there is more to do than to note that all is as well as it was."""
        before, now = self.watched.before, self.records
        well = all(one.is_well for one in (*before.values(), *now.values()))
        return not well or set(before) != set(now) or bool(self.watched.announced)

    def changed(self) -> list[Record]:
        """Nodes whose verdict is another than before."""
        before = self.watched.before
        return [one for node_id, one in self.records.items()
                if node_id not in before or before[node_id].verdict != one.verdict]  # fmt: skip


@dataclass(frozen=True)
class Filing:
    """`consider` is called within the transaction that stores a cluster of which not all is well, or was; it holds the
    cluster's row. What it raises is logged, and undone.
    """

    database: Database
    worker: str
    pace: Pace
    consider: Consider = nothing
    batch: int = 200

    def file(self, seen: Sequence[Seen]) -> None:
        """Store and announce. What somebody else has taken over meanwhile is dropped."""
        for one in seen:
            if one.loud:
                self._file_loud(one)
        quiet = sorted((one for one in seen if not one.loud), key=lambda one: one.watched.cluster.id)
        for first in range(0, len(quiet), self.batch):
            self._file_quiet(quiet[first : first + self.batch])

    def drop(self, cluster_ids: Collection[str]) -> None:
        """Watch clusters no more that do not serve."""
        for cluster_id in sorted(cluster_ids):
            with self.database.write() as tx:
                self._drop(tx, cluster_id)

    def _file_quiet(self, seen: Sequence[Seen]) -> None:
        """All is well as it was: many clusters in one transaction, for there are many."""
        with self.database.write() as tx:
            mine = [one for one in seen if self._give_back(tx, one)]
            records = [record for one in mine for record in one.records.values()]
            health.save(tx, self._tell(tx, records, ()))

    def _file_loud(self, seen: Seen) -> None:
        cluster_id = seen.watched.cluster.id
        with self.database.write() as tx:
            cluster = clusters.lock(tx, cluster_id)
            if cluster is None or cluster.status != ClusterStatus.ACTIVE:
                self._drop(tx, cluster_id)
                return
            # In the middle of a takeover nodes are what they are meant to be then.
            if not self._give_back(tx, seen) or takeovers.under_way(tx.connection, cluster_id) is not None:
                return
            roll = rolls.under_way(tx.connection, cluster_id)
            # Its engine is being restarted: what was held of it stays, growing old.
            in_hand = roll.in_hand if roll else parameters.in_hand(tx.connection, cluster_id)
            ready = {one.id for one in clusters.instances(tx.connection, cluster_id)
                     if one.status == Status.READY and one.id != in_hand}  # fmt: skip
            records = {node_id: one for node_id, one in seen.records.items() if node_id in ready}
            changed = [one for one in seen.changed() if one.instance_id in ready]
            told = self._tell(tx, list(records.values()), changed)
            health.save(tx, [one for one in told if one.instance_id in seen.watched.before])
            health.add(tx, [one for one in told if one.instance_id not in seen.watched.before])
            health.remember(tx, changed)
            health.forget_nodes(tx, set(seen.watched.before) - ready - {in_hand})
            if not in_hand:
                self._announce(tx, seen.watched, records)
            self._let_consider(tx, cluster_id, records)

    def _give_back(self, tx: Tx, seen: Seen) -> bool:
        records = seen.records.values()
        due = self.pace.next_look(records, tx.database.clock.now())
        return watches.done(tx, seen.watched.cluster.id, self.worker, due, any(map(is_slow, records)))

    def _tell(self, tx: Tx, records: Sequence[Record], changed: Collection[Record]) -> list[Record]:
        """Announce those that have changed, and those that were not announced for a while; returns all as they are to be stored.

        Of what is announced for the first time in ten minutes a sample is kept.
        """
        now = tx.database.clock.now()
        at_once = {one.instance_id for one in changed}

        def is_due(one: Record) -> bool:
            return one.told_at is None or (now - one.told_at).total_seconds() >= self.pace.tell

        told = [one for one in records if one.instance_id in at_once or (is_due(one) and not one.suspicion)]
        for first in range(0, len(told), TOLD_AT_ONCE):
            tx.emit(HealthSeen(nodes=tuple(map(_shown, told[first : first + TOLD_AT_ONCE]))))
        samples.keep(tx, [one for one in told if one.told_at is None or slot(one.told_at) != slot(now)], now)
        ids = {one.instance_id for one in told}
        return [replace(one, told_at=now) if one.instance_id in ids else one for one in records]

    def _announce(self, tx: Tx, watched: Watched, records: Mapping[str, Record]) -> None:
        """Say when a cluster is not well any more, when the cause is another one, and when all is well again."""
        worst = max(records.values(), key=lambda one: (rank(one.verdict), one.instance_id), default=None)
        well = worst is None or worst.verdict == Verdict.OK
        words = "" if worst is None or well else f"{worst.instance_id} {worst.verdict}"
        if words == watched.announced:
            return
        watches.announce(tx, watched.cluster.id, words)
        if worst is None or well:
            tx.emit(ClusterRecovered(cluster_id=watched.cluster.id))
            return
        tx.emit(ClusterDegraded(cluster_id=watched.cluster.id, instance_id=worst.instance_id, verdict=worst.verdict,
                                message=worst.message))  # fmt: skip

    def _let_consider(self, tx: Tx, cluster_id: str, records: Mapping[str, Record]) -> None:
        try:
            with tx.connection.begin_nested():
                self.consider(tx, cluster_id, records)
        except Exception:
            log.exception("what to do about cluster %s could not be considered", cluster_id)

    def _drop(self, tx: Tx, cluster_id: str) -> None:
        held = health.of_clusters(tx.connection, (cluster_id,)).get(cluster_id, {})
        health.forget_nodes(tx, list(held))
        watches.forget(tx, cluster_id)


def _shown(record: Record) -> NodeHealth:
    return NodeHealth(
        instance_id=record.instance_id, cluster_id=record.cluster_id, verdict=record.verdict, message=record.message,
        seen_at=record.seen_at.isoformat(), since=record.since.isoformat(), evidence=dict(record.evidence),
        facts=dict(record.facts), numbers=dict(record.numbers),
    )  # fmt: skip
