"""How PostgreSQL's nodes change places: the primary is frozen, a standby is promoted, the others follow that one.

A frozen primary runs on as a standby of nobody: `standby.signal` keeps it from writing whoever starts it, its readers are
served, and standbys that were away meanwhile still get from it what they lack. It is also exact: where a standby has
replayed all, its position is the end of its log.

Source: PostgreSQL's documentation, "Standby Server Operation", "Cascading Replication" and "Recovery Control Functions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.topology import Topology
from services.datastore_agentless.datastores.pgsql import standby
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.standing import Standing
from services.datastore_agentless.hosts.base import ANY_CODE, CommandFailed, Run, Script, quote
from shared.errors import Retryable
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

# What waits in memory may be a quarter of the host's: a slow disk takes its time.
_CHECKPOINT_SECONDS = 300.0
_PROMOTE_SECONDS = 60


class Takeover(Topology):
    """The part of streaming replication in which nodes change places."""

    manager: PostgresManager

    def standing(self, node: Instance, primary: Instance) -> Script:
        """Ask its database, which knows the end of its own log."""
        sample = _LEADS if node.id == primary.id else _FOLLOWS.format(primary=primary.addr)
        answer = yield self.ask(_STANDING, title="see where it stands", changes=False, sample=sample)
        return _read(answer.text)

    def freeze(self, primary: Instance) -> Script:
        """Have it run on as a standby of nobody. Who waits for a standby's receipt is sent away without an acknowledgement."""
        frozen = yield self.ask(
            _ONLY_READS, title="see whether it only reads", changes=False, sample="f\n", ok_codes=ANY_CODE
        )
        if frozen.text != "t":
            if frozen.code == 0:
                yield self.ask("CHECKPOINT;\n", title="write down what is in memory", timeout=_CHECKPOINT_SECONDS)
            # Before the stop: whoever starts it after, it does not write.
            yield self._in(primary, _FREEZE, title="have it only read from its next start")
            yield from self.manager.stop()
        yield from self.manager.start()
        answer = yield self.ask(_STANDING, title="see where it was frozen", changes=False, sample=_FROZEN)
        return _read(answer.text)

    def thaw(self, primary: Instance) -> Script:
        """Promote it where it was started again as a standby; where it was not yet, see that it never is."""
        yield from self.manager.start()
        yield from self._take_writes(primary)
        # One that ran as a standby has removed it, and would fall if somebody else had before.
        yield self._in(primary, _THAW, title="have it write after its next start, too")

    def promote(self, replica: Instance) -> Script:
        """Wait for nobody, take writes, follow nobody; whom it waits for from now on is told by `protect`."""
        yield standby.whom_to_wait_for(self.manager)
        yield from self._take_writes(replica)
        yield standby.nobody_to_follow(self.manager)

    def demote(self, former: Instance, primary: Instance) -> Script:
        """Follow, and let go of what it kept as a primary: it would keep it for ever."""
        yield from standby.whom_to_follow(self.manager, former, primary)
        yield standby.whom_to_wait_for(self.manager)
        yield from self.manager.start()
        yield self.ask(_READ_AGAIN, title="read whom to follow")
        yield self.ask(_DROP_SLOTS, title="drop the slots of those who followed it")

    def follow(self, replica: Instance, primary: Instance) -> Script:
        """Have the receiver call another host; a new timeline is followed by itself."""
        yield from standby.whom_to_follow(self.manager, replica, primary)
        yield from self.manager.start()
        yield self.ask(_READ_AGAIN, title="read whom to follow")

    def reset(self, node: Instance) -> Script:
        """Have its data be no copy and begin only as a standby of nobody; then stop it."""
        yield self._in(node, _RESET, title="mark its data as no copy")
        yield standby.nobody_to_follow(self.manager)
        yield standby.whom_to_wait_for(self.manager)
        yield from self.manager.stop()

    def ask(self, sql: str, *, title: str, changes: bool = True, sample: str = "", secret: bool = False,
            ok_codes: tuple[int, ...] = (0,), timeout: float = 30.0) -> Run:  # fmt: skip
        """Statements for the node's own database, as its superuser."""
        return Run((self.manager.program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1"), title=title, user="postgres",
                   stdin=Secret(sql) if secret else sql, changes=changes, sample=sample, ok_codes=ok_codes,
                   timeout=timeout)  # fmt: skip

    def _take_writes(self, node: Instance) -> Script:
        """Raises Retryable while it still takes in what it has received."""
        answer = yield self.ask(_TAKE_WRITES, title="take writes", sample="t\n", timeout=_PROMOTE_SECONDS + 30.0)
        if answer.text == "f":
            raise Retryable(
                f"{node.name} does not take writes after {_PROMOTE_SECONDS} s: it still applies what it received"
            )

    def _in(self, node: Instance, shell: str, *, title: str) -> Run:
        data = quote(self.manager.data_path(node))
        return Run(shell.format(data=data, parted=standby.PARTED), title=title, timeout=120)


def _read(line: str) -> Standing:
    """Raises CommandFailed where the answer is none."""
    try:
        reads, received, position, follows, streams, lag = line.split("|")
        return Standing(writable=reads == "f", received=int(received), position=position, follows=follows,
                        streams=streams == "t", lag_seconds=float(lag) if lag else None)  # fmt: skip
    except ValueError as error:
        raise CommandFailed(f"the database does not say where it stands: {line[:200]!r}", code=1,
                            what_to_do="look at the database's own log") from error  # fmt: skip


# A receiver that hears nothing asks for a sign of life after half of its timeout; whoever says that it receives has had one.
_STANDING = """SELECT reads, (at - '0/0')::bigint, at, coalesce(sender_host, ''), streams,
  CASE WHEN NOT streams THEN NULL WHEN at = pg_last_wal_replay_lsn() THEN 0
    ELSE round(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 3) END
FROM (
  SELECT reads, sender_host, CASE WHEN reads THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    ELSE pg_current_wal_flush_lsn() END AS at,
    coalesce(status = 'streaming' AND last_msg_receipt_time
      > clock_timestamp() - current_setting('wal_receiver_timeout')::interval / 2 - interval '3 s', false) AS streams
  FROM (SELECT pg_is_in_recovery() AS reads) AS node LEFT JOIN pg_stat_wal_receiver ON true
) AS standing;
"""
_LEADS, _FROZEN = "f|50331800|0/3000098||f|\n", "t|50331800|0/3000098||f|\n"
_FOLLOWS = "t|50331800|0/3000098|{primary}|t|0\n"

_ONLY_READS = "SELECT pg_is_in_recovery();\n"
_READ_AGAIN = "SELECT pg_reload_conf() \\g /dev/null\n"
_TAKE_WRITES = (
    f"{_READ_AGAIN}SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(true, {_PROMOTE_SECONDS}) ELSE true END;\n"
)

# Standbys that still hang on are sent away: they are told whom to follow next.
_DROP_SLOTS = """DO $$ BEGIN
  FOR n IN 1..100 LOOP
    PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE starts_with(slot_name, 'dtrove_') AND active;
    BEGIN
      PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE starts_with(slot_name, 'dtrove_') AND NOT active;
    EXCEPTION WHEN object_in_use THEN NULL;
    END;
    EXIT WHEN NOT EXISTS (SELECT FROM pg_replication_slots WHERE starts_with(slot_name, 'dtrove_'));
    PERFORM pg_sleep(0.05);
  END LOOP;
END $$;
"""

_MARK = "mark() {{ install -m 600 -o postgres -g postgres /dev/null {data}/$1 && sync -f {data}; }}\n"
_FREEZE = f"{_MARK}mark standby.signal"
_THAW = "rm -f {data}/standby.signal && sync -f {data}"
# A copy that was begun is of a primary that leads no more, perhaps.
_RESET = f"{_MARK}rm -rf {{data}}.copy; [ ! -d {{data}} ] || {{{{ mark standby.signal && mark {{parted}}; }}}}"
