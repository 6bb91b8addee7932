"""PostgreSQL's data as a base backup: one tar file, with the log that makes it consistent inside.

Restored data begin a timeline of their own, so that what is written from now on can never pass for what the other cluster wrote.
They keep its system identifier, by which nobody but a standby knows a cluster; standbys of the new one copy from it, and those
of the other do not come in.

Source: PostgreSQL's documentation, "pg_basebackup", "Continuous Archiving and Point-in-Time Recovery" and "postgres".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.dumping import RESTORED, Dumping, mark_of
from services.datastore_agentless.datastores.base.topology import REPLICATION_USER
from services.datastore_agentless.datastores.pgsql import standby
from services.datastore_agentless.datastores.pgsql.hba import put_hba
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script, quote

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

# As the system user, without a shell in between, so that a signal meets the program itself.
AS_POSTGRES = "setpriv --reuid=postgres --regid=postgres --init-groups"
_YES = "t"


class BaseBackup(Dumping):
    """Works on a primary and on a standby alike, as the server's superuser over its socket. Blocks' checksums are verified."""

    manager: PostgresManager
    beside = ("archive",)
    # pg_basebackup's own increments begin with version 17, and want a server that has summarized its log.
    full_only = (
        "has no incremental backups: PostgreSQL itself makes such from version 17 on alone; its log fills the time between full "
        "ones, where DTROVE_ARCHIVE_SECONDS has it kept"
    )

    def ready(self, node: Instance) -> Script:
        """Nodes that an older release has made do not let their own superuser have a base backup."""
        yield from super().ready(node)
        written = yield put_hba(self.manager)
        if written.changed:
            yield self._ask("SELECT pg_reload_conf() \\g /dev/null\n", title="read who may log in")

    def mark(self, node: Instance) -> Script:
        """The end of its log, or how much of it a standby has replayed."""
        told = yield self._ask(_WHERE, title="see where it stands", changes=False, sample=_STANDS)
        return mark_of(told.text, "PostgreSQL")

    def sends(self, node: Instance) -> str:
        """A base backup. Whoever ends it ends the session that keeps the log for it."""
        manager = self.manager
        return _SEND.format(run=AS_POSTGRES, psql=manager.program("psql"), program=manager.program("pg_basebackup"),
                            port=manager.port)  # fmt: skip

    def receives(self, node: Instance) -> str:
        """Unpacked, and recovered: what does not begin fails here, and what was recovered begins at once.

        Recovery is that of an archive which has nothing: it ends where the log in the stream does, and a new timeline begins.
        """
        return self.recovered(node, "recover -c restore_command=false\n")

    def recovered(self, node: Instance, lines: str) -> str:
        """Unpacked, and recovered by these lines, which call `recover` with the options of the engine that are right for it."""
        manager = self.manager
        left = (standby.PARTED, RESTORED, "standby.signal", "postmaster.pid", "postmaster.opts")
        return _RECEIVE.format(lines=lines, data=self._data(node), run=AS_POSTGRES, program=manager.program("postgres"), mark=RESTORED,
                               config=quote(f"{manager.config_dir}/postgresql.conf"), left=" ".join(left),
                               user=REPLICATION_USER)  # fmt: skip

    def stopped(self, node: Instance) -> Script:
        """Whatever the node was before: it follows nobody, and no commit waits."""
        yield standby.nobody_to_follow(self.manager)
        yield standby.whom_to_wait_for(self.manager)

    def started(self, node: Instance) -> Script:
        """Have it number a transaction, which only one does that is out of recovery."""
        told = yield self._ask(_WRITES, title="see that it takes writes", sample=f"{_YES}\n")
        if told.text != _YES:
            raise CommandFailed(f"{node.name} does not take writes on the restored data", code=1, stderr=told.text[:200],
                                what_to_do="look at the database's own log")  # fmt: skip

    def _ask(self, sql: str, *, title: str, changes: bool = True, sample: str = "") -> Run:
        return Run((self.manager.program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1"), title=title, user="postgres", stdin=sql,
                   changes=changes, sample=sample)  # fmt: skip


_WHERE = """SELECT current_setting('server_version'),
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
  to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
"""
_STANDS = "15.8|0/3000098|2026-11-30T12:00:00.000Z\n"
_WRITES = "SELECT CASE WHEN pg_is_in_recovery() THEN false ELSE txid_current() > 0 END;\n"

# The log comes last, since a tar file on standard output has no room for it beside: it is kept by a slot that lasts as long as
# the session that has made it. It is not named as standbys' slots are, which a primary that is demoted drops. Without a
# manifest: who reads the stream knows its sum, and recovery is the better proof.
_SEND = """cd /
coproc keeper {{ exec {run} {psql} -qXAt -v ON_ERROR_STOP=1; }}
to=${{keeper[1]}} keeping=$keeper_PID
cat >&"$to" <<'END'
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout' \\g /dev/null
SELECT slot_name FROM pg_create_physical_replication_slot('dump_' || pg_backend_pid(), true, true);
END
IFS= read -r _ <&"${{keeper[0]}}" || {{ echo 'the log cannot be kept for a base backup' >&2; exit 1; }}
{run} {program} -D - -F tar -X fetch -c fast --no-manifest -U postgres -p {port} -w
exec {{to}}>&-
wait "$keeping" || true
"""

# What was sent by a standby, or by data that were restored themselves, has files that say so; what was set there past DTrove
# may not fit here. Whom the other cluster replicates from must not be asked twice for the same; its standbys have no login here.
_RECEIVE = """d={data}.restoring; rm -rf {data}.restored "$d"; cd /
install -d -m 700 -o postgres -g postgres "$d"
{run} tar -x -f - -C "$d"
(cd "$d" && rm -rf {left} pg_replslot/*)
for f in postgresql.auto.conf recovery.signal; do install -m 600 -o postgres -g postgres /dev/null "$d/$f"; done
recover() {{
{run} {program} --single -D "$d" -c config_file={config} -c data_directory="$d" -c hot_standby=off -c archive_mode=off \\
  -c logging_collector=off -c log_destination=stderr -c synchronous_standby_names= -c exit_on_error=on "$@" template1 >/dev/null <<'END'
UPDATE pg_subscription SET subenabled = false
UPDATE pg_authid SET rolpassword = NULL WHERE rolname = '{user}'
END
}}
{lines}[ ! -e "$d/recovery.signal" ] || {{ echo 'the data were not recovered' >&2; exit 1; }}
rm -f "$d"/*.old; install -m 600 -o postgres -g postgres /dev/null "$d/{mark}"
sync -f "$d"; mv "$d" {data}.restored; sync -f {data}.restored
"""
