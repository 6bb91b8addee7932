"""PostgreSQL's streaming replication: a physical slot for each standby, base backups over the replication protocol.

Source: PostgreSQL's documentation, "High Availability, Load Balancing, and Replication" and "pg_basebackup".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote as quote_url

from services.datastore_agentless.datastores.base.copying import COPY_SECONDS
from services.datastore_agentless.datastores.base.topology import ASYNC, NOTHING, REPLICATION_USER, STREAMS, SYNC
from services.datastore_agentless.datastores.pgsql import standby
from services.datastore_agentless.datastores.pgsql.standby import slot_of
from services.datastore_agentless.datastores.pgsql.takeover import Takeover
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Job, Phase, Run, Script, quote


class StreamingReplication(Takeover):
    """A primary, and hot standbys of it."""

    modes = (ASYNC, SYNC)

    def admit(self, primary: Instance, replica: Instance) -> Script:
        """Make the login for replication, and a slot that keeps what the standby has not seen."""
        password = primary.replication_password.reveal().replace("'", "''")
        yield self.ask(
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

    def kept_since(self, primary: Instance, replica: Instance) -> Script:
        """The first position that its slot keeps."""
        told = yield self.ask(
            f"SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = '{slot_of(replica)}';\n",
            title=f"see what is kept for {replica.name}", changes=False, sample="0/2000028\n",
        )  # fmt: skip
        return told.text

    def lends(self, node: Instance, since: str) -> Script:
        """Whether it has replayed all that comes before: a copy of it ends where it stands."""
        if not _POSITION.fullmatch(since):
            return False
        told = yield self.ask(
            f"SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= '{since}'::pg_lsn;\n",
            title="see whether it has the data", changes=False, sample="t\n",
        )  # fmt: skip
        return told.text == "t"

    def join(self, replica: Instance, primary: Instance, source: Instance) -> Script:
        """Copy the data in place of the empty database that the packages made, and follow.

        The copy is the same job whoever sends it: where one runs already, nobody begins a second.
        """
        manager = self.manager
        yield Phase(f"copying the data of {source.name}", 10)
        yield from standby.whom_to_follow(manager, replica, primary)
        data = quote(manager.data_path(replica))
        there = yield Run(f"[ -f {data}/standby.signal ] && [ ! -f {data}/{standby.PARTED} ] && echo yes || echo no",
                          title="see whether it is a standby", changes=False)  # fmt: skip
        if there.text != "yes":
            yield Job(
                f"copy-from-{primary.id}",
                _COPY.format(data=data, program=manager.program("pg_basebackup"), host=quote(source.addr), port=manager.port,
                             user=REPLICATION_USER, slot=f"-S {slot_of(replica)} " if source.id == primary.id else "",
                             passwords=standby.PASSWORDS, mark=quote(primary.id), parted=standby.PARTED),
                title=f"copy the data of {source.name}", timeout=COPY_SECONDS,
            )  # fmt: skip
            yield from manager.stop()
            yield Run(_TAKE_OVER.format(data=data, mark=quote(primary.id), parted=standby.PARTED),
                      title="put the copy in its place", timeout=120)  # fmt: skip
        yield Phase("following the primary", 80)
        yield from manager.start()
        if there.text == "yes":
            yield self.ask("SELECT pg_reload_conf() \\g /dev/null\n", title="read whom to follow")

    def following(self, replica: Instance, primary: Instance) -> Script:
        """Ask the standby's receiver."""
        answer = yield self.ask(
            "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'it takes writes of its own' ELSE coalesce((SELECT status || ' from ' || "
            "sender_host FROM pg_stat_wal_receiver), 'it receives nothing') END;\n",
            title="see whether it follows", changes=False, sample=f"streaming from {primary.addr}\n",
        )  # fmt: skip
        return STREAMS if answer.text == f"streaming from {primary.addr}" else answer.text

    def protect(self, primary: Instance, replicas: Sequence[Instance], mode: str) -> Script:
        """Have a commit wait for any one of the standbys, or for none."""
        names = ", ".join(f'"{slot_of(one)}"' for one in sorted(replicas, key=lambda one: one.name))
        waits = f"ANY 1 ({names})" if mode == SYNC and replicas else ""
        written = yield standby.whom_to_wait_for(self.manager, waits)
        if written.changed:
            yield self.ask("SELECT pg_reload_conf() \\g /dev/null\n", title="read for whom a commit waits")

    def dismiss(self, primary: Instance, replica: Instance) -> Script:
        """Drop its slot, which keeps the log for ever; where the primary has not noticed yet that it is gone, tell it."""
        mine = f"slot_name = '{slot_of(replica)}'"
        answer = yield self.ask(
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


_POSITION = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")

# Beside the place where it is going to lie, so that it is moved there at one stroke. Only a copy that is whole has the name
# `.copy`, and its `standby.signal` says whose it is (a standby sends its own with its data, before the end): a copy of one that
# leads no more may hold what the new primary does not have.
_COPY = """set -e
if [ "$(cat {data}.copy/standby.signal 2>/dev/null)" != {mark} ]; then
  rm -rf {data}.copy {data}.coming; install -d -m 700 -o postgres -g postgres {data}.coming; cd /
  su -s /bin/sh postgres -c "PGPASSFILE={passwords} {program} -D {data}.coming -h {host} -p {port} -U {user} -w -X stream \\
    {slot}-c fast --no-sync" </dev/null
  rm -f {data}.coming/{parted} {data}.coming/standby.signal
  echo {mark} >{data}.signal; chown postgres:postgres {data}.signal; chmod 600 {data}.signal
  mv {data}.signal {data}.coming/standby.signal; sync -f {data}.coming; mv {data}.coming {data}.copy; sync -f {data}.copy
fi"""

_TAKE_OVER = """if [ ! -f {data}/standby.signal ] || [ -f {data}/{parted} ]; then
  [ "$(cat {data}.copy/standby.signal 2>/dev/null)" = {mark} ] || {{ echo 'the copy is not whole' >&2; exit 1; }}
  rm -rf {data}.old; [ ! -d {data} ] || mv {data} {data}.old; mv {data}.copy {data} && sync -f {data} || exit 1
fi
rm -rf {data}.old"""
