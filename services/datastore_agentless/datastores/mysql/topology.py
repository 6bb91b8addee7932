"""MariaDB's replication by global transaction ids.

Source: MariaDB's documentation, "Global Transaction ID" and "Semisynchronous Replication".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.topology import ASYNC, REPLICATION_USER, STREAMS, SYNC, Topology
from services.datastore_agentless.datastores.mysql.copying import READ_ONLY, ROLE_FILE, BackupCopying
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Phase, Put, Run, Script
from shared.errors import Failure
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager

# Some weeks: a primary that waits for a replica does not stop to.
_FOR_EVER_MS = 2**32 - 1


class GtidReplication(Topology):
    """A primary, and replicas that only read."""

    manager: MySQLManager
    copying: BackupCopying
    modes = (ASYNC, SYNC)

    def __init__(self, manager: MySQLManager) -> None:
        super().__init__(manager)
        self.copying = BackupCopying(manager)

    def admit(self, primary: Instance, replica: Instance) -> Script:
        """Make the login for replication. The statements go into the binary log: every replica can become the primary."""
        # As its hash: what goes into the binary log is kept there.
        password = native_hash(primary.replication_password.reveal())
        yield self._ask(
            f"CREATE USER IF NOT EXISTS '{REPLICATION_USER}'@'%' IDENTIFIED BY PASSWORD '{password}';\n"
            f"GRANT REPLICATION SLAVE ON *.* TO '{REPLICATION_USER}'@'%';\n"
            # An administrator's writes to a replica would be there alone.
            f"REVOKE READ_ONLY ADMIN ON *.* FROM '{sql_text(primary.admin_user)}'@'%';\n",
            title=f"let {replica.name} follow", secret=True,
        )  # fmt: skip

    def join(self, replica: Instance, primary: Instance) -> Script:
        """Follow from where its data are: from the first transaction, or from where they were copied."""
        yield Phase("following the primary", 20)
        yield Put(ROLE_FILE, READ_ONLY, title="write that it only reads")
        where = yield self._ask(_STATUS, title="see whom it follows", changes=False, sample="")
        if not where.text:
            password = sql_text(replica.replication_password.reveal())
            position = yield from self.copying.position(replica)
            yield self._ask(
                f"SET GLOBAL read_only = ON;\nSET GLOBAL gtid_slave_pos = '{position}';\n"
                f"CHANGE MASTER TO MASTER_HOST = '{sql_text(primary.addr)}', MASTER_PORT = {self.manager.port}, "
                f"MASTER_USER = '{REPLICATION_USER}', MASTER_PASSWORD = '{password}', MASTER_USE_GTID = slave_pos, "
                "MASTER_CONNECT_RETRY = 1;\n",
                title=f"follow {primary.name}", secret=True,
            )  # fmt: skip
        yield self._ask("START SLAVE;\n", title="begin to follow")

    def following(self, replica: Instance, primary: Instance) -> Script:
        """Ask both of its threads."""
        answer = yield self._ask(
            _STATUS, title="see whether it follows", changes=False,
            sample=f"Master_Host: {primary.addr}\nSlave_IO_Running: Yes\nSlave_SQL_Running: Yes\n",
        )  # fmt: skip
        told = dict(line.split(": ", 1) for line in map(str.strip, answer.stdout.splitlines()) if ": " in line)
        if told.get("Master_Host") != primary.addr:
            return f"it follows {told.get('Master_Host') or 'nobody'}"
        if trouble := told.get("Last_SQL_Error"):
            raise Failure(
                f"{replica.name} cannot apply what it receives: {trouble[:500]}", what_to_do="make the cluster anew"
            )
        if told.get("Slave_IO_Running") != "Yes" or told.get("Slave_SQL_Running") != "Yes":
            return told.get("Last_IO_Error", "").strip()[:500] or "its threads do not run yet"
        return STREAMS

    def protect(self, primary: Instance, replicas: Sequence[Instance], mode: str) -> Script:
        """Have a commit wait for any one of the replicas, or for none."""
        waits = "ON" if mode == SYNC and replicas else "OFF"
        yield Put(
            ROLE_FILE,
            _PRIMARY.format(waits=waits, milliseconds=_FOR_EVER_MS),
            title="write for whom a commit waits",
        )
        yield self._ask(f"SET GLOBAL rpl_semi_sync_master_timeout = {_FOR_EVER_MS};\n"
                        f"SET GLOBAL rpl_semi_sync_master_enabled = {waits};\n", title="wait for a replica from now on")  # fmt: skip

    def url(self, places: Sequence[tuple[str, int]], user: str) -> str:
        """All nodes, the primary first, as MariaDB's connectors take them."""
        first, *others = places
        rest = "".join(f",[{host}]:{port}" if ":" in host else f",{host}:{port}" for host, port in others)
        scheme, _, tail = super().url([first], user).rpartition("/")
        return f"{scheme}{rest}/{tail}"

    def _ask(self, sql: str, *, title: str, changes: bool = True, sample: str = "", secret: bool = False) -> Run:
        return Run(("mysql", "--protocol=socket", "-uroot"), title=title, stdin=Secret(sql) if secret else sql,
                   changes=changes, sample=sample)  # fmt: skip


def native_hash(password: str) -> str:
    """What `mysql_native_password` stores of a password. Source: MariaDB's documentation, "PASSWORD"."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def sql_text(text: str) -> str:
    """A value as it may stand between single quotes."""
    return text.replace("\\", "\\\\").replace("'", "''")


_STATUS = "SHOW SLAVE STATUS\\G\n"
_PRIMARY = """# Written by DTrove.
[mysqld]
rpl_semi_sync_master_enabled = {waits}
rpl_semi_sync_master_timeout = {milliseconds}
"""
