"""PostgreSQL's streaming replication: a physical slot for each standby, base backups over the replication protocol.

Source: PostgreSQL's documentation, "High Availability, Load Balancing, and Replication" and "pg_basebackup".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote as quote_url

from services.datastore_agentless.datastores.base.copying import COPY_SECONDS
from services.datastore_agentless.datastores.base.topology import (
    ASYNC,
    NOTHING,
    REPLICATION_USER,
    STREAMS,
    SYNC,
    Topology,
)
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Job, Phase, Put, Run, Script, quote
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager


class StreamingReplication(Topology):
    """A primary, and hot standbys of it."""

    manager: PostgresManager
    modes = (ASYNC, SYNC)

    def admit(self, primary: Instance, replica: Instance) -> Script:
        """Make the login for replication, and a slot that keeps what the standby has not seen."""
        password = primary.replication_password.reveal().replace("'", "''")
        yield self._ask(
            # Two standbys may come at once; one of them makes the login.
            "SET log_statement = 'none'; SET log_min_duration_statement = -1; SET password_encryption = 'scram-sha-256';\n"
            "SELECT pg_advisory_lock(hashtext('dtrove')) \\g /dev/null\n"
            f"SELECT 'CREATE ROLE {REPLICATION_USER} LOGIN REPLICATION' "
            f"WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{REPLICATION_USER}') \\gexec\n"
            f"ALTER ROLE {REPLICATION_USER} PASSWORD '{password}';\n"
            f"SELECT 'SELECT pg_create_physical_replication_slot(''{slot_of(replica)}'', true)' "
            f"WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name = '{slot_of(replica)}') \\gexec\n",
            title=f"let {replica.name} follow", secret=True,
        )  # fmt: skip

    def join(self, replica: Instance, primary: Instance) -> Script:
        """Copy the primary's data in place of the empty database that the packages made, and follow."""
        manager = self.manager
        yield Phase("copying the primary's data", 10)
        yield Put(_PASSWORDS, Secret(f"*:*:*:*:{_escaped(replica.replication_password.reveal())}\n"), mode=0o600,
                  owner="postgres:postgres", title="write the login for replication")  # fmt: skip
        followed = (
            f"host={primary.addr} port={manager.port} user={REPLICATION_USER} passfile={_PASSWORDS} "
            f"application_name={slot_of(replica)} connect_timeout=10"
        )
        yield Put(f"{manager.config_dir}/conf.d/dtrove-role.conf",
                  f"# Written by DTrove.\nprimary_conninfo = '{followed}'\nprimary_slot_name = '{slot_of(replica)}'\n",
                  owner="postgres:postgres", title="write whom to follow")  # fmt: skip
        data = quote(manager.data_path(replica))
        there = yield Run(f"[ -f {data}/standby.signal ] && echo yes || echo no", title="see whether it is a standby",
                          changes=False)  # fmt: skip
        if there.text != "yes":
            yield Job(
                f"copy-from-{primary.id}",
                _COPY.format(data=data, program=manager.program("pg_basebackup"), host=quote(primary.addr), port=manager.port,
                             user=REPLICATION_USER, slot=slot_of(replica), passwords=_PASSWORDS),
                title=f"copy the data of {primary.name}", timeout=COPY_SECONDS,
            )  # fmt: skip
            yield from manager.stop()
            yield Run(_TAKE_OVER.format(data=data), title="put the copy in its place", timeout=120)
        yield Phase("following the primary", 80)
        yield from manager.start()
        if there.text == "yes":
            yield self._ask("SELECT pg_reload_conf() \\g /dev/null\n", title="read whom to follow")

    def following(self, replica: Instance, primary: Instance) -> Script:
        """Ask the standby's receiver."""
        answer = yield self._ask(
            "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'it takes writes of its own' ELSE coalesce((SELECT status || ' from ' || "
            "sender_host FROM pg_stat_wal_receiver), 'it receives nothing') END;\n",
            title="see whether it follows", changes=False, sample=f"streaming from {primary.addr}\n",
        )  # fmt: skip
        return STREAMS if answer.text == f"streaming from {primary.addr}" else answer.text

    def protect(self, primary: Instance, replicas: Sequence[Instance], mode: str) -> Script:
        """Have a commit wait for any one of the standbys, or for none."""
        names = ", ".join(f'"{slot_of(one)}"' for one in sorted(replicas, key=lambda one: one.name))
        waits = f"ANY 1 ({names})" if mode == SYNC and replicas else ""
        written = yield Put(f"{self.manager.config_dir}/conf.d/dtrove-sync.conf",
                            f"# Written by DTrove.\nsynchronous_standby_names = '{waits}'\n", owner="postgres:postgres",
                            title="write for whom a commit waits")  # fmt: skip
        if written.changed:
            yield self._ask("SELECT pg_reload_conf() \\g /dev/null\n", title="read for whom a commit waits")

    def dismiss(self, primary: Instance, replica: Instance) -> Script:
        """Drop its slot, which keeps the log for ever; where the primary has not noticed yet that it is gone, tell it."""
        mine = f"slot_name = '{slot_of(replica)}'"
        answer = yield self._ask(
            f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE {mine} AND active \\g /dev/null\n"
            f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE {mine} AND NOT active \\g /dev/null\n"
            f"SELECT 'its slot is in use' FROM pg_replication_slots WHERE {mine};\n",
            title=f"drop the slot of {replica.name}",
        )  # fmt: skip
        return answer.text or NOTHING

    def url(self, places: Sequence[tuple[str, int]], user: str) -> str:
        """All nodes; libpq and its kin find the one that takes writes. Source: libpq, "Specifying Multiple Hosts"."""
        if len(places) == 1:
            return super().url(places, user)
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in places)
        database = self.manager.url_database
        return (
            f"{self.manager.url_scheme}://{quote_url(user, safe='')}@{hosts}/{database}?target_session_attrs=read-write"
        )

    def _ask(self, sql: str, *, title: str, changes: bool = True, sample: str = "", secret: bool = False) -> Run:
        return Run((self.manager.program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1"), title=title, user="postgres",
                   stdin=Secret(sql) if secret else sql, changes=changes, sample=sample)  # fmt: skip


def slot_of(replica: Instance) -> str:
    """The standby's slot, and the name that it logs in with: letters, digits and underscores, as slots want it."""
    return "dtrove_" + replica.id.replace("-", "_")


def _escaped(password: str) -> str:
    """A password as it may stand in a password file."""
    return password.replace("\\", "\\\\").replace(":", "\\:")


_PASSWORDS = "/var/lib/postgresql/.dtrove-replication"

# Beside the place where it is going to lie, so that it is moved there at one stroke; `standby.signal` says that it is whole.
_COPY = """set -e
if [ ! -f {data}.copy/standby.signal ]; then
  rm -rf {data}.copy; install -d -m 700 -o postgres -g postgres {data}.copy; cd /
  su -s /bin/sh postgres -c "PGPASSFILE={passwords} {program} -D {data}.copy -h {host} -p {port} -U {user} -w -X stream \\
    -S {slot} -c fast --no-sync" </dev/null
  sync -f {data}.copy; install -m 600 -o postgres -g postgres /dev/null {data}.copy/standby.signal; sync -f {data}.copy
fi"""

_TAKE_OVER = """if [ ! -f {data}/standby.signal ]; then
  [ -f {data}.copy/standby.signal ] || {{ echo 'the copy is not whole' >&2; exit 1; }}
  rm -rf {data} && mv {data}.copy {data} && sync -f {data}
fi"""
