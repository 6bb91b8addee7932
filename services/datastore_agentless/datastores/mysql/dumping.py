"""MariaDB's data as a stream of mariadb-backup, prepared where it arrives.

Source: MariaDB's documentation, "mariadb-backup Overview", "Full Backup and Restore with mariadb-backup" and "Global Transaction ID".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.dumping import Dumping, mark_of
from services.datastore_agentless.datastores.base.topology import REPLICATION_USER
from services.datastore_agentless.datastores.mysql import role, standings
from services.datastore_agentless.datastores.mysql.copying import BackupCopying
from services.datastore_agentless.datastores.mysql.increments import PageIncrements
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Run, Script

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager


class HotBackup(Dumping):
    """Works on a primary and on a replica alike, as the server's superuser over its socket."""

    manager: MySQLManager
    packages = BackupCopying.packages
    full_only = ""
    # The logs of replication are the node's own.
    unsent = ("dtrove-bin.*", "dtrove-relay.*")

    def mark(self, node: Instance) -> Script:
        """The last global transaction id that it has written, or applied."""
        told = yield self._ask(_WHERE, title="see where it stands", changes=False, sample=_STANDS)
        return mark_of(told.text, "MariaDB")

    @property
    def increments(self) -> PageIncrements:
        """What has changed since a backup, page by page."""
        return PageIncrements(self.manager)

    def sends(self, node: Instance) -> str:
        """A hot backup; one that nobody could unpack is none."""
        return self.increments.sends_all(node)

    def receives(self, node: Instance) -> str:
        """Unpacked and prepared."""
        return self.increments.receives(node, 1)

    def stopped(self, node: Instance) -> Script:
        """Whatever the node was before: it writes, and no commit waits."""
        yield Put(role.ROLE_FILE, role.primary(waits=False), title="write that it takes writes")

    def started(self, node: Instance) -> Script:
        """The login for replication is the other cluster's: nobody has it here until a replica is admitted."""
        yield self._ask(_FOLLOW_NOBODY, title="follow nobody")
        told = yield self._ask(standings.QUESTION, title="see that it takes writes", changes=False, columns=True,
                               sample=standings.well(""))  # fmt: skip
        now = standings.read(told.stdout)
        if now.follows or not now.writable:
            raise CommandFailed(f"{node.name} does not take writes on the restored data", code=1,
                                stderr=f"it follows {now.follows or 'nobody'}", what_to_do="look at the database's own log")  # fmt: skip

    def _ask(self, sql: str, *, title: str, changes: bool = True, sample: str = "", columns: bool = False) -> Run:
        names = () if columns else ("-N", "-B")
        return Run(
            ("mysql", "--protocol=socket", "-uroot", *names), title=title, stdin=sql, changes=changes, sample=sample
        )


_WHERE = (
    "SELECT CONCAT_WS('|', VERSION(), @@GLOBAL.gtid_current_pos, "
    "CONCAT(DATE_FORMAT(UTC_TIMESTAMP(3), '%Y-%m-%dT%H:%i:%s.%f'), 'Z'));\n"
)
_STANDS = "10.11.6-MariaDB|0-1-7|2026-11-30T12:00:00.000000Z\n"

_FOLLOW_NOBODY = (
    f"SET SESSION sql_log_bin = 0;\nSTOP ALL SLAVES;\nRESET SLAVE ALL;\nDROP USER IF EXISTS '{REPLICATION_USER}'@'%';\n"
)
