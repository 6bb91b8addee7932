"""How Redis's keys are counted beside a snapshot: right after it, where nothing was written since; and the sum of the snapshot's file.

Source: Redis's documentation, "INFO" (`rdb_changes_since_last_save`, the section `keyspace`) and "MULTI".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.tallying import COMPARED, Tallying, nothing
from services.datastore_agentless.datastores.redis.dumping import Snapshot
from services.datastore_agentless.domain import tally as tallies
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.tally import Table, Tally
from services.datastore_agentless.hosts.base import Script
from shared.contracts.backups import CheckResult

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.redis.manager import RedisManager

_DATABASE = re.compile(r"db(\d+):keys=(\d+),expires=(\d+)")


class RedisTallying(Tallying):
    """What is sent says it as it is sent: the snapshot and the count belong together."""

    manager: RedisManager
    sample = "say changes 0\n"

    def read(self, said: Sequence[str]) -> Tally:
        """The digest is good whatever was written since, for it is of the file that was sent."""
        tables, changes, digest = list[Table](), -1, ""
        for line in said:
            match line.split():
                case ["keys", told] if found := _DATABASE.match(told):
                    tables.append(_table(found))
                case ["changes", number] if number.isdecimal():
                    changes = int(number)
                case ["digest", words] if re.fullmatch(r"[0-9a-f]{64}", words):
                    digest = words
        if changes == 0:
            return Tally(tuple(tables), digest=digest)
        why = "the server does not say whether its keys are those of the snapshot"
        if changes > 0:
            why = f"{changes} changes came after the snapshot, before its keys could be counted"
        return Tally(digest=digest, why=why)

    def compare(self, node: Instance, kept: Tally) -> Script:
        """Keys with a time to live may have ended since, and what the server throws away by its policy may be any."""
        told, snapshot = [], Snapshot(self.manager)
        restored = yield from snapshot.digest(node)
        if kept.digest and restored and restored != kept.digest:
            told.append("the snapshot is not the one that was sent: its SHA-256 is another")
        answer = yield self.manager.asked(node, "INFO keyspace", title="hold the keys against those of then", changes=False,
                                          sample="".join(f"db{one.database}:keys={one.rows},expires=0\n" for one in kept.tables))  # fmt: skip
        evicted = (yield from snapshot.keys(node)).evicted
        there = {one.database: one for one in map(_table, _DATABASE.finditer(answer.stdout))}
        for was in kept.tables:
            now = there.get(was.database, Table(was.database, "", 0))
            if not was.rows - was.mortal - evicted <= now.rows <= was.rows:
                told += tallies.differences(Tally((was,)), [now])
        if not kept.tables and not kept.digest:
            return nothing(kept)
        found = f"{kept.rows} keys of {len(kept.tables)} databases" if kept.tables else kept.why
        sum_too = ", and the sum of the snapshot" if kept.digest else ""
        return CheckResult(name=COMPARED, passed=not told, found=f"{found}{sum_too}", message=tallies.told(told))


def _table(found: re.Match[str]) -> Table:
    database, keys, mortal = found.groups()
    return Table(database, "", int(keys), mortal=int(mortal))
