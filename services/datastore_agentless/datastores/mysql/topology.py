"""MariaDB's replication by global transaction ids.

Source: MariaDB's documentation, "Global Transaction ID" and "Semisynchronous Replication".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.topology import ASYNC, REPLICATION_USER, STREAMS, SYNC, Topology
from services.datastore_agentless.datastores.mysql import role, standings
from services.datastore_agentless.datastores.mysql.copying import BackupCopying
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Phase, Put, Run, Script
from shared.errors import Failure, Retryable
from shared.secrets import Secret
from shared.verifiers import mysql_native

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager

# What is waited at once for a replica to apply what it has received; after that the step is tried again.
APPLY_SECONDS = 20


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
        password = mysql_native(primary.replication_password.reveal())
        yield self._ask(
            f"CREATE USER IF NOT EXISTS '{REPLICATION_USER}'@'%' IDENTIFIED BY PASSWORD '{password}';\n"
            f"GRANT REPLICATION SLAVE ON *.* TO '{REPLICATION_USER}'@'%';\n"
            # Writes to a replica, or to a primary that is frozen, would be there alone.
            + _NOBODY_WRITES_ALL_THE_SAME,
            title=f"let {replica.name} follow", secret=True,
        )  # fmt: skip

    def join(self, replica: Instance, primary: Instance, source: Instance) -> Script:
        """Follow from where its data are: from the first transaction, or from where they were copied."""
        yield Phase("following the primary", 20)
        yield self._only_reads()
        where = yield self._ask(_STATUS, title="see whom it follows", changes=False, sample="")
        if not where.text:
            position = yield from self.copying.position(replica)
            yield self._ask(
                f"SET GLOBAL read_only = ON;\nSET GLOBAL gtid_slave_pos = '{position}';\n"
                + self._change_master(replica, primary),
                title=f"follow {primary.name}", secret=True,
            )  # fmt: skip
        yield self._ask("START SLAVE;\n", title="begin to follow")

    def lends(self, node: Instance, since: str) -> Script:
        """Any one that follows: its own binary log tells how far its data are."""
        yield from ()
        return True

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
        waits = mode == SYNC and bool(replicas)
        yield Put(role.ROLE_FILE, role.primary(waits=waits), title="write for whom a commit waits")
        yield self._ask(f"SET GLOBAL rpl_semi_sync_master_timeout = {role.FOR_EVER_MS};\n"
                        f"SET GLOBAL rpl_semi_sync_master_enabled = {role.on_off(waits)};\n",
                        title="wait for a replica from now on")  # fmt: skip

    def standing(self, node: Instance, primary: Instance) -> Script:
        """Ask for its role, its transactions, and its threads at once."""
        told = yield self._ask(standings.QUESTION, title="see where it stands", changes=False, timeout=10,
                               sample=standings.well("" if node.id == primary.id else primary.addr))  # fmt: skip
        return standings.read(told.stdout)

    def freeze(self, primary: Instance) -> Script:
        """Only read from now on, and cut all clients off: one that has logged in long ago may have a right that was revoked.

        A commit that waits for a replica in vain is cut off as well; its client is told nothing, which is the truth.
        """
        waits = yield self._whether_commits_wait()
        yield Put(role.ROLE_FILE, role.primary(waits=waits.text == "1", frozen=True), title="write that it is frozen")
        told = yield self._ask(_FREEZE + standings.QUESTION, title="take no more writes", timeout=60,
                               sample=standings.well("", writable=False))  # fmt: skip
        return standings.read(told.stdout)

    def thaw(self, primary: Instance) -> Script:
        """Write again; whom a commit waits for has stayed as it was."""
        waits = yield self._whether_commits_wait()
        yield Put(role.ROLE_FILE, role.primary(waits=waits.text == "1"), title="write that it takes writes")
        yield self._ask("SET GLOBAL read_only = OFF;\n", title="take writes")

    def promote(self, replica: Instance) -> Script:
        """Apply all that it has received, then write. A commit waits for nobody yet: nobody follows it so far."""
        told = yield self._ask(standings.QUESTION, title="see whom it follows", changes=False,
                               sample=standings.well("the primary"))  # fmt: skip
        if standings.read(told.stdout).follows:
            yield Phase("applying what it has received", 20)
            yield from self._apply(replica)
            yield self._ask("STOP SLAVE;\nRESET SLAVE ALL;\n", title="follow nobody")
        yield Put(role.ROLE_FILE, role.primary(waits=False), title="write that it takes writes")
        yield self._ask("SET GLOBAL rpl_semi_sync_master_enabled = OFF;\nSET GLOBAL read_only = OFF;\n",
                        title="take writes")  # fmt: skip

    def demote(self, former: Instance, primary: Instance) -> Script:
        """Follow from behind its own last transaction."""
        yield from self._turn_to(former, primary, "SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_current_pos;\n")

    def follow(self, replica: Instance, primary: Instance) -> Script:
        """What it has received and not applied comes again from the new primary."""
        yield from self._turn_to(replica, primary)

    def reset(self, node: Instance) -> Script:
        """Whoever starts it has it only read."""
        yield self._only_reads()
        yield from self.manager.stop()
        yield from self.copying.forget(node)

    def url(self, places: Sequence[tuple[str, int]], user: str) -> str:
        """All nodes, the primary first, as MariaDB's connectors take them."""
        first, *others = places
        rest = "".join(f",[{host}]:{port}" if ":" in host else f",{host}:{port}" for host, port in others)
        scheme, _, tail = super().url([first], user).rpartition("/")
        return f"{scheme}{rest}/{tail}"

    def _apply(self, replica: Instance) -> Script:
        """Receive no more, and wait until all is applied. Raises Failure where that never comes, Retryable after a while.

        Its applying thread is not started here: with both threads stopped, that throws away what has been received.
        """
        yield self._ask("STOP SLAVE IO_THREAD;\n", title="receive no more")
        told = yield self._ask(standings.QUESTION, title="see what it has received", changes=False,
                               sample=standings.well("the primary"))  # fmt: skip
        received = standings.read(told.stdout).position
        if not received:
            return
        trouble = standings.trouble(told.stdout)
        waited = yield self._ask(f"SELECT MASTER_GTID_WAIT('{received}', {0 if trouble else APPLY_SECONDS}) AS answer;\n",
                                 title="see that it has applied it", timeout=APPLY_SECONDS + 15, changes=False,
                                 sample="answer\n0\n")  # fmt: skip
        if waited.text.split()[-1] == "0":
            return
        if trouble:
            raise Failure(f"{replica.name} cannot apply what it has received: {trouble}",
                          what_to_do="promote another replica")  # fmt: skip
        raise Retryable(f"{replica.name} still applies what it has received")

    def _turn_to(self, node: Instance, primary: Instance, before: str = "") -> Script:
        """Follow the primary, restarts included, where it does not already; `before` are statements that come first."""
        yield self._only_reads()
        told = yield self._ask(standings.QUESTION, title="see whom it follows", changes=False,
                               sample=standings.well(""))  # fmt: skip
        if standings.read(told.stdout).follows != primary.addr:
            yield self._ask(
                "SET SESSION lock_wait_timeout = 10;\nSET GLOBAL read_only = ON;\n"
                "SET GLOBAL rpl_semi_sync_master_enabled = OFF;\n"
                f"STOP SLAVE;\n{before}{self._change_master(node, primary)}",
                title=f"follow {primary.name}", secret=True, timeout=120,
            )  # fmt: skip
        yield self._ask("START SLAVE;\n", title="begin to follow")

    def _change_master(self, node: Instance, primary: Instance) -> str:
        """The statement that has a node follow; a primary that says nothing for some seconds is noticed."""
        return (
            f"CHANGE MASTER TO MASTER_HOST = '{sql_text(primary.addr)}', MASTER_PORT = {self.manager.port}, "
            f"MASTER_USER = '{REPLICATION_USER}', MASTER_PASSWORD = '{sql_text(node.replication_password.reveal())}', "
            "MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1;\n"
        )

    def _only_reads(self) -> Put:
        return Put(role.ROLE_FILE, role.READ_ONLY, title="write that it only reads")

    def _whether_commits_wait(self) -> Run:
        return Run(
            ("mysql", "--protocol=socket", "-uroot", "-N", "-B"), title="see whether commits wait for a replica",
            stdin="SELECT @@GLOBAL.rpl_semi_sync_master_enabled;\n", changes=False, sample="0\n",
        )  # fmt: skip

    def _ask(
        self, sql: str, *, title: str, changes: bool = True, sample: str = "", secret: bool = False, timeout: float = 30
    ) -> Run:
        return Run(("mysql", "--protocol=socket", "-uroot"), title=title, stdin=Secret(sql) if secret else sql,
                   changes=changes, sample=sample, timeout=timeout)  # fmt: skip


def sql_text(text: str) -> str:
    """A value as it may stand between single quotes."""
    return text.replace("\\", "\\\\").replace("'", "''")


_STATUS = "SHOW SLAVE STATUS\\G\n"

# root on the host itself is DTrove, which also writes to replicas. The schema does not tell what roles hold.
_NOBODY_WRITES_ALL_THE_SAME = """DELIMITER //
BEGIN NOT ATOMIC
  FOR one IN (SELECT CONCAT(QUOTE(account.User), '@', QUOTE(account.Host)) AS name
      FROM mysql.global_priv account JOIN information_schema.USER_PRIVILEGES held
      ON held.GRANTEE = CONCAT('''', account.User, '''@''', account.Host, '''')
      WHERE held.PRIVILEGE_TYPE = 'READ_ONLY ADMIN' AND account.Host <> 'localhost'
      UNION SELECT QUOTE(User) FROM mysql.global_priv WHERE JSON_VALUE(Priv, '$.is_role')) DO
    EXECUTE IMMEDIATE CONCAT('REVOKE READ_ONLY ADMIN ON *.* FROM ', one.name);
  END FOR;
END//
DELIMITER ;
"""

# Setting read_only waits for commits that run: they are given a second to end, and then whoever holds it up is cut off. Whoever
# logs in later has no right to write. Error 1205 is a wait that was too long, 1094 a connection that has gone by itself.
_FREEZE = f"""SET SESSION lock_wait_timeout = 1;
DELIMITER //
BEGIN NOT ATOMIC
  DECLARE until DATETIME(6) DEFAULT SYSDATE(6) + INTERVAL 20 SECOND;
  DECLARE newest BIGINT UNSIGNED;
  DECLARE clients INT DEFAULT 1;
  DECLARE CONTINUE HANDLER FOR 1205, 1094 BEGIN END;
  WHILE clients > 0 AND SYSDATE(6) < until DO
    SET GLOBAL read_only = ON;
    IF @@GLOBAL.read_only AND newest IS NULL THEN
      SET newest = (SELECT MAX(ID) FROM information_schema.PROCESSLIST);
    END IF;
    SET clients = IF(@@GLOBAL.read_only, 0, 1);
    FOR one IN (SELECT ID FROM information_schema.PROCESSLIST
        WHERE ID <> CONNECTION_ID() AND (newest IS NULL OR ID <= newest) AND COMMAND <> 'Daemon'
        AND USER NOT IN ('system user', 'event_scheduler', '{REPLICATION_USER}')
        AND NOT (USER = 'root' AND HOST = 'localhost')) DO
      SET clients = clients + 1;
      EXECUTE IMMEDIATE CONCAT('KILL CONNECTION ', one.ID);
    END FOR;
    IF clients > 0 THEN DO SLEEP(0.02); END IF;
  END WHILE;
  IF clients > 0 THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a transaction does not come to its end';
  END IF;
END//
DELIMITER ;
"""
