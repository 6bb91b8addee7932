"""A copy of MariaDB's data by mariadb-backup, streamed and prepared on the replica.

Source: MariaDB's documentation, "Setting up a Replica with mariadb-backup".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.copying import COPY_SECONDS, Copying
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Job, Phase, Put, Run, Script, quote
from shared.errors import Failure

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager

# MariaDB reads its files by name: this one comes after zz-dtrove.cnf.
ROLE_FILE = "/etc/mysql/mariadb.conf.d/zzz-dtrove-role.cnf"
READ_ONLY = "# Written by DTrove.\n[mysqld]\nread_only = ON\n"
# In the data directory of a copy: the global transaction id that it was made at.
_MARK = "dtrove-copied-at"
_POSITION = re.compile(r"(\d+-\d+-\d+(,\d+-\d+-\d+)*)?")


class BackupCopying(Copying):
    """Streams a hot backup; what is written meanwhile comes over the binary log."""

    manager: MySQLManager
    packages = ("mariadb-backup",)

    def needed(self, primary: Instance) -> Script:
        """Whether the binary log no longer begins with the first transaction: its first file tells what came before it."""
        files = yield self._ask(
            "SHOW BINARY LOGS;\n", title="see how far back the log goes", sample="dtrove-bin.000001\t330"
        )
        first = files.text.split()[0] if files.text else ""
        if not re.fullmatch(r"dtrove-bin\.\d+", first):
            raise Failure(f"{primary.name} has no binary log", what_to_do="mend its configuration, then retry")
        told = yield self._ask(f"SHOW BINLOG EVENTS IN '{first}' LIMIT 3;\n", title="see what came before it",
                               sample=f"{first}\t256\tGtid_list\t1\t285\t[]")  # fmt: skip
        return not re.search(r"\tGtid_list\t.*\t\[\]\s*$", told.stdout, re.MULTILINE)

    def sends(self, primary: Instance) -> str:
        """The backup, as a stream."""
        return (
            "mariadb-backup --backup --stream=mbstream --user=root --socket=/run/mysqld/mysqld.sock --target-dir=/tmp"
        )

    def take(self, replica: Instance, primary: Instance) -> Script:
        """Fetch and prepare it beside the data directory, then put it in its place at one stroke."""
        data = quote(self.manager.data_path(replica))
        there = yield Run(f"[ -f {data}/{_MARK} ] && echo yes || echo no", title="see whether the data are a copy",
                          changes=False)  # fmt: skip
        if there.text == "yes":
            return
        yield Phase("copying the primary's data", 5)
        yield from self.trust(primary)
        yield Job(f"copy-from-{primary.id}", _COPY.format(data=data, fetch=self.fetch(primary), mark=_MARK),
                  title=f"copy the data of {primary.name}", timeout=COPY_SECONDS)  # fmt: skip
        yield Put(ROLE_FILE, READ_ONLY, title="write that it only reads")
        yield from self.manager.stop()
        yield Run(_TAKE_OVER.format(data=data, mark=_MARK), title="put the copy in its place", timeout=120)
        yield from self.manager.start()

    def position(self, replica: Instance) -> Script:
        """On the replica: the global transaction id that its data are at; empty where it has none of the primary's yet."""
        data = quote(self.manager.data_path(replica))
        told = yield Run(f"cat {data}/{_MARK} 2>/dev/null || true", title="see how far its data are", changes=False)
        if not _POSITION.fullmatch(told.text):
            raise Failure(f"{replica.name} does not say how far its data are: {told.text[:100]}",
                          what_to_do="remove the node and add another")  # fmt: skip
        return told.text

    def _ask(self, sql: str, *, title: str, sample: str) -> Run:
        return Run(
            ("mysql", "--protocol=socket", "-uroot", "-N", "-B"), title=title, stdin=sql, changes=False, sample=sample
        )


# The stream's own end is no proof: whether its sender ended well is, and so is what can be prepared.
_COPY = """set -e
if [ ! -f {data}.copy/{mark} ]; then
  rm -rf {data}.copy {data}.copy-failed; install -d -m 700 -o mysql -g mysql {data}.copy
  {{ {fetch} || touch {data}.copy-failed; }} | mbstream -x -C {data}.copy
  [ ! -e {data}.copy-failed ] || {{ rm -f {data}.copy-failed; echo 'the primary did not send all of it' >&2; exit 1; }}
  mariadb-backup --prepare --target-dir={data}.copy
  at=$(cat {data}.copy/mariadb_backup_binlog_info {data}.copy/xtrabackup_binlog_info 2>/dev/null | head -n 1 | cut -f 3)
  chown -R mysql:mysql {data}.copy; sync -f {data}.copy
  echo "$at" > {data}.copy/{mark}.new; mv {data}.copy/{mark}.new {data}.copy/{mark}; sync -f {data}.copy
fi"""

_TAKE_OVER = """if [ ! -f {data}/{mark} ]; then
  [ -f {data}.copy/{mark} ] || {{ echo 'the copy is not whole' >&2; exit 1; }}
  rm -rf {data} && mv {data}.copy {data} && sync -f {data}
fi"""
