"""PostgreSQL's data take the log of its archive up to a moment: recovery to a point in time, in the engine's own words.

What tells the engine how far is on its command line alone: nothing of it is left in any file. It reads segments out of the folder
beside the data by hard links, so that they take their room once; what nobody has written in them takes none.

Source: PostgreSQL's documentation, "Continuous Archiving and Point-in-Time Recovery" and "Archive Recovery"; xlogrecovery.c, which
says how it ended in the newest `.history`, and timeline.c, which writes that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.replaying import Place, Replay, Replaying
from services.datastore_agentless.datastores.pgsql.dumping import AS_POSTGRES, BaseBackup
from services.datastore_agentless.domain.archive import Stretch
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script, quote

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager


class LogReplay(Replaying):
    """Lines are those of WriteAheadLog: a system and a timeline of it, eight digits that sort as the timelines do."""

    manager: PostgresManager

    def needs_from(self, node: Instance) -> Script:
        """The segment in which the newest checkpoint begins: a backup begins there, or later. On a standby it is a restart point.

        The engine writes down first what it holds in memory, as a backup does that begins.
        """
        told = yield Run((self.manager.program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1"), title="see from where on the log is needed",
                         user="postgres", stdin=_CHECKPOINT, timeout=600, sample=_WELL)  # fmt: skip
        try:
            system, segment, timeline, redo = told.text.split("|")
            high, low = (int(half, 16) for half in redo.split("/"))
            return Place(f"{system}-{int(timeline):08X}", ((high << 32) + low) // int(segment))
        except ValueError as error:
            raise CommandFailed(f"{node.name} does not say from where on its log is needed: {told.text[:200]!r}", code=1,
                                what_to_do="look at the database's own log") from error  # fmt: skip

    def came_from(self, stretch: Stretch, others: Sequence[Stretch]) -> Stretch | None:
        """What the newest older timeline of the same system has, as far as the first segment; where it reaches that."""
        mine = [one.first for one in others if (one.instance_id, one.line) == (stretch.instance_id, stretch.line)]
        # After a hole within a line nothing joins: whoever has written that line has lost what is missing.
        if stretch.first != min(mine):
            return None
        system = stretch.line.partition("-")[0]
        older = {one.line for one in others if one.line.partition("-")[0] == system and one.line < stretch.line}
        joining = [
            one for one in others
            if one.line == max(older, default="") and one.first <= stretch.first <= one.last + 1
        ]  # fmt: skip
        found = max(joining, key=lambda one: (one.last, one.at), default=None)
        return None if found is None else replace(found, last=min(found.last, stretch.first))

    def after(self, place: Place, stretch: Stretch) -> Stretch | None:
        """From the segment of that number on."""
        there = stretch.line == place.line and stretch.first <= place.number <= stretch.last
        return replace(stretch, first=place.number) if there else None

    def comes_next(self, place: Place, newest: Stretch) -> bool:
        """The segment is the very next."""
        return (newest.line, newest.last + 1) == (place.line, place.number)

    def takes_in(self, node: Instance) -> str:
        """Segments of which little was written, for the time had come, are nearly all zeros, which take no room on the disk."""
        return _TAKE_IN.format(log=self._log(node), run=AS_POSTGRES)

    def receives(self, node: Instance, replay: Replay, count: int) -> str:
        """A base backup, recovered with the segments beside it; the newest history then says how that has ended."""
        log, timeline = self._log(node), int(replay.line.rpartition("-")[2], 16)
        moment = replay.moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        segment = f"{log.replace('%', '%%')}/%f"
        restore = f'test -f {segment} && {{ ln {segment} "%p" || cp {segment} "%p"; }}'
        lines = _REPLAY.format(log=log, restore=quote(f"restore_command={restore}"), timeline=timeline,
                               moment=quote(f"recovery_target_time={moment}"), last=quote(replay.last))  # fmt: skip
        return BaseBackup(self.manager).recovered(node, lines)


_CHECKPOINT = """CHECKPOINT;
SELECT s.system_identifier, pg_size_bytes(current_setting('wal_segment_size')), c.timeline_id, c.redo_lsn
FROM pg_control_system() AS s, pg_control_checkpoint() AS c;
"""
_WELL = "7000000000000000001|16777216|1|0/3000028\n"

_TAKE_IN = """log={log}; install -d -m 700 -o postgres -g postgres "$log"
names=$({run} tar -x -v -f - -C "$log")
while IFS= read -r name; do fallocate -d "$log/$name" 2>/dev/null || true; done <<< "$names"
"""

# A history ends with an empty line where it says a time.
# Where no transaction was committed after the moment, the engine comes to the end of the log and does not take that for the moment: it
# is begun once more, without one. What it then has must reach into the last segment that it was given: a log that ends
# too early would pass for one in which nothing more was written.
_REPLAY = """log={log} last={last}
set -- -c lc_messages=C -c {restore} -c recovery_target_timeline={timeline} -c recovery_target_action=promote
if recover "$@" -c recovery_target_inclusive=on -c {moment} 2> "$d.said"; then reached=yes; else reached=no; fi
cat "$d.said" >&2
if [ $reached = no ]; then
  grep -q 'recovery ended before configured recovery target was reached' "$d.said" || {{
    echo 'dtrove: the log could not be replayed: see what the engine has said' >&2; exit 1; }}
  recover "$@"
fi
rm -f "$d.said"
read -r _ end how < <(grep . "$(ls "$d"/pg_wal/*.history | tail -n 1)" | tail -n 1)
case $how in before\\ *|after\\ *) ;; *)
  size=$(stat -c %s "$log/$last")
  number=$(((16#${{end%/*}} * 4294967296 + 16#${{end#*/}} - 1) / size)) each=$((4294967296 / size))
  come=$(printf '%08X%08X' $((number / each)) $((number % each)))
  [[ ! $come < ${{last:8}} ]] || {{
    echo "dtrove: the log ends at $end, before the segment $last: it has a hole, or its store has lost something" >&2; exit 1; }};;
esac
echo "replayed to $end $how"
"""
