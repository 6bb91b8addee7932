"""MariaDB's data as a stream of mariadb-backup, prepared where it arrives.

Source: MariaDB's documentation, "mariadb-backup Overview", "Full Backup and Restore with mariadb-backup" and "Global Transaction ID".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.dumping import RESTORED, Dumping, mark_of
from services.datastore_agentless.datastores.base.topology import REPLICATION_USER
from services.datastore_agentless.datastores.mysql import role, standings
from services.datastore_agentless.datastores.mysql.copying import COPIED_AT, BackupCopying
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Run, Script

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager


class HotBackup(Dumping):
    """Works on a primary and on a replica alike, as the server's superuser over its socket."""

    manager: MySQLManager
    packages = BackupCopying.packages
    # The logs of replication are the node's own.
    unsent = ("dtrove-bin.*", "dtrove-relay.*")

    def mark(self, node: Instance) -> Script:
        """The last global transaction id that it has written, or applied."""
        told = yield self._ask(_WHERE, title="see where it stands", changes=False, sample=_STANDS)
        return mark_of(told.text, "MariaDB")

    def sends(self, node: Instance) -> str:
        """A hot backup; one that nobody could unpack is none."""
        return _SEND.format(backup=BackupCopying(self.manager).sends(node))

    def receives(self, node: Instance) -> str:
        """Unpacked and prepared, with as much memory as the server has that runs beside.

        The mark of a copy is set, too: the binary log of restored data begins after them, and does not say so.
        """
        return _RECEIVE.format(
            data=self._data(node), memory=max(node.ram_mb // 4, 100), mark=RESTORED, copied=COPIED_AT
        )

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

# What it has sent twice is only to be known from what it says.
_SEND = """said=$(mktemp -p /run); exec 8> "$said" 9< "$said"; rm -f "$said"
{{ {backup} 2>&1 1>&3 3>&- | tee /dev/fd/8 >&2; }} 3>&1
twice=$(sed -nE 's,.* (Streaming|aria table file) (\\./[^ ]*\\.MA[DI]) (to|is copied) .*,\\2,p' <&9 | sort | uniq -d)
[ -z "$twice" ] || {{ echo "these tables were written to meanwhile, and were sent twice: "$twice >&2; exit 1; }}
"""

_FOLLOW_NOBODY = (
    f"SET SESSION sql_log_bin = 0;\nSTOP ALL SLAVES;\nRESET SLAVE ALL;\nDROP USER IF EXISTS '{REPLICATION_USER}'@'%';\n"
)

_RECEIVE = """d={data}.restoring; rm -rf {data}.restored "$d"
install -d -m 700 -o mysql -g mysql "$d"
mbstream -x -C "$d"
mariadb-backup --prepare --use-memory={memory}M --target-dir="$d"
rm -f "$d"/*master*.info "$d"/*relay-log*.info
at=
for f in "$d/mariadb_backup_binlog_info" "$d/xtrabackup_binlog_info"; do
  [ ! -f "$f" ] || IFS=$'\\t' read -r _ _ at _ < "$f" || true
done
echo "$at" > "$d/{copied}"; : > "$d/{mark}"
chown -R mysql:mysql "$d"; sync -f "$d"; mv "$d" {data}.restored; sync -f {data}.restored
"""
