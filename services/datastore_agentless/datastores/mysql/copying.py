"""A copy of MariaDB's data by mariadb-backup, streamed and prepared on the replica.

Source: MariaDB's documentation, "Setting up a Replica with mariadb-backup".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.copying import COPY_SECONDS, Copying
from services.datastore_agentless.datastores.mysql.role import READ_ONLY, ROLE_FILE
from services.datastore_agentless.datastores.mysql.standings import POSITION
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Job, Phase, Put, Run, Script, quote
from shared.errors import Failure

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager

# In the data directory of a copy: the global transaction id that it was made at.
COPIED_AT = "dtrove-copied-at"


class BackupCopying(Copying):
    """Streams a hot backup; what is written meanwhile comes over the binary log."""

    manager: MySQLManager
    packages = ("mariadb-backup",)

    def needed(self, primary: Instance) -> Script:
        """Whether the binary log does not begin with the first transaction: its first file tells what came before it.

        The log of a primary that is a copy itself begins where the copy was made, and does not say so.
        """
        files = yield self._ask(
            "SHOW BINARY LOGS;\n", title="see how far back the log goes", sample="dtrove-bin.000001\t330"
        )
        first = files.text.split()[0] if files.text else ""
        if not re.fullmatch(r"dtrove-bin\.\d+", first):
            raise Failure(f"{primary.name} has no binary log", what_to_do="mend its configuration, then retry")
        told = yield self._ask(f"SHOW BINLOG EVENTS IN '{first}' LIMIT 3;\n", title="see what came before it",
                               sample=f"{first}\t256\tGtid_list\t1\t285\t[]")  # fmt: skip
        if not re.search(r"\tGtid_list\t.*\t\[\]\s*$", told.stdout, re.MULTILINE):
            return True
        copied = yield self._whether_copied(primary)
        return copied.text == "yes"

    def sends(self, source: Instance) -> str:
        """The backup, as a stream."""
        return (
            "mariadb-backup --backup --stream=mbstream --user=root --socket=/run/mysqld/mysqld.sock --target-dir=/tmp"
        )

    def take(self, replica: Instance, primary: Instance, source: Instance) -> Script:
        """Fetch and prepare it beside the data directory, then put it in its place at one stroke.

        The copy is the same job whoever sends it: where one runs already, nobody begins a second.
        """
        data = quote(self.manager.data_path(replica))
        there = yield self._whether_copied(replica)
        if there.text == "yes":
            return
        yield Phase(f"copying the data of {source.name}", 5)
        yield from self.trust(source)
        yield Job(f"copy-from-{primary.id}", _COPY.format(data=data, fetch=self.fetch(source), mark=COPIED_AT, tries=TRIES),
                  title=f"copy the data of {source.name}", timeout=COPY_SECONDS)  # fmt: skip
        yield Put(ROLE_FILE, READ_ONLY, title="write that it only reads")
        yield from self.manager.stop()
        yield Run(_TAKE_OVER.format(data=data, mark=COPIED_AT), title="put the copy in its place", timeout=120)
        yield from self.manager.start()

    def forget(self, node: Instance) -> Script:
        """On a node that is stopped: have `take` fetch a copy anew. The data stay where they are until that is whole."""
        data = quote(self.manager.data_path(node))
        yield Run(f"rm -f {data}/{COPIED_AT} && rm -rf {data}.copy {data}.copy-failed", title="forget the copy of before",
                  timeout=120)  # fmt: skip

    def position(self, replica: Instance) -> Script:
        """On the replica: the global transaction id that its data are at; empty where it has none of the primary's yet."""
        data = quote(self.manager.data_path(replica))
        told = yield Run(f"cat {data}/{COPIED_AT} 2>/dev/null || true", title="see how far its data are", changes=False)
        if not POSITION.fullmatch(told.text):
            raise Failure(f"{replica.name} does not say how far its data are: {told.text[:100]}",
                          what_to_do="remove the node and add another")  # fmt: skip
        return told.text

    def _whether_copied(self, node: Instance) -> Run:
        data = quote(self.manager.data_path(node))
        return Run(f"[ -f {data}/{COPIED_AT} ] && echo yes || echo no", title="see whether the data are a copy",
                   changes=False, sample="no")  # fmt: skip

    def _ask(self, sql: str, *, title: str, sample: str) -> Run:
        return Run(
            ("mysql", "--protocol=socket", "-uroot", "-N", "-B"), title=title, stdin=sql, changes=False, sample=sample
        )


# The stream's own end is no proof: whether its sender ended well is, and so is what can be prepared. It is tried more than once, for
# mariadb-backup (10.11.19) sends a table of statistics twice where the server has it in use just then, and mbstream unpacks nothing
# twice.
TRIES = 5
_COPY = """set -e
fetch() {{
  rm -rf {data}.copy {data}.copy-failed; install -d -m 700 -o mysql -g mysql {data}.copy
  {{ {fetch} || touch {data}.copy-failed; }} | mbstream -x -C {data}.copy || return 1
  [ ! -e {data}.copy-failed ] || {{ rm -f {data}.copy-failed; echo 'not all of it was sent' >&2; return 1; }}
  mariadb-backup --prepare --target-dir={data}.copy
}}
if [ ! -f {data}.copy/{mark} ]; then
  tries=1
  until fetch; do
    [ $tries -lt {tries} ] || exit 1
    tries=$((tries+1)); sleep 2
  done
  at=$(cat {data}.copy/mariadb_backup_binlog_info {data}.copy/xtrabackup_binlog_info 2>/dev/null | head -n 1 | cut -f 3)
  [ -n "$at" ] || {{ echo 'the copy does not say how far it is' >&2; exit 1; }}
  chown -R mysql:mysql {data}.copy; sync -f {data}.copy
  echo "$at" > {data}.copy/{mark}.new; mv {data}.copy/{mark}.new {data}.copy/{mark}; sync -f {data}.copy
fi"""

_TAKE_OVER = """if [ ! -f {data}/{mark} ]; then
  [ -f {data}.copy/{mark} ] || {{ echo 'the copy is not whole' >&2; exit 1; }}
  rm -rf {data} && mv {data}.copy {data} && sync -f {data}
fi"""
