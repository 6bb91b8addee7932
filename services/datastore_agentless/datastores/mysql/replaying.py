"""MariaDB's data take the binary logs of its archive up to a moment: `mariadb-binlog` reads them to a server that nobody else reaches.

An event has the time at which its statement began, in whole seconds, and `--stop-datetime` ends before the first one of that second
or of a later one. So a moment is the beginning of its second: what was begun before it is there, in the order of commits, as far as
the first transaction that was not. A session that sets `timestamp` sets that too; files that were closed a while before the moment
are taken whole, whatever they say.

What mariadb-binlog (10.11) does not see is seen to here: that the backup stands at a transaction which is in the log, that each file goes
on where the one before ended, and how far the last one led.

Source: MariaDB's documentation, "mariadb-binlog" (global transaction ids as positions since 10.8), "mariadb Command-Line Client"
(`binary-mode`) and "Point-In-Time Recovery (PITR, mariadb-backup)".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.dumping import RESTORED
from services.datastore_agentless.datastores.base.replaying import Place, Replay, Replaying
from services.datastore_agentless.datastores.mysql import gtids
from services.datastore_agentless.datastores.mysql.copying import COPIED_AT
from services.datastore_agentless.datastores.mysql.increments import PageIncrements, memory
from services.datastore_agentless.domain.archive import LogRun, Stretch
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script, quote

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager

# Clocks of hosts are not quite the same: a file that was closed so long before the moment has nothing in it that is younger.
_SURELY_BEFORE = timedelta(minutes=1)
# So many runs are read by one command: their files' names have to have room on its line.
_AT_ONCE = 200


@dataclass(frozen=True)
class Part:
    """Files of a line that are read at once. `begins` and `ends` are transactions; `until` is a position that ends them earlier.

    `timed`: the moment may be in one of them.
    """

    line: str
    first: int
    last: int
    begins: str
    ends: str
    until: str
    timed: bool


class BinaryLogReplay(Replaying):
    """Lines are those of BinaryLog; global transaction ids say what joins."""

    manager: MySQLManager

    def needs_from(self, node: Instance) -> Script:
        """All that the server has logged by now; of a copy also what that was made at."""
        data = quote(self.manager.data_path(node))
        told = yield Run(_STATE.format(data=data, copied=COPIED_AT, restored=RESTORED), changes=False,
                         title="see from where on the log is needed", sample="state 0-1-7\n")  # fmt: skip
        try:
            rows = dict(line.partition(" ")[::2] for line in told.stdout.splitlines())
            history = gtids.both(gtids.read(rows["state"]), gtids.read(rows.get("base", "")))
        except (KeyError, ValueError) as error:
            raise CommandFailed(f"{node.name} does not say from where on its log is needed: {told.text[:200]!r}", code=1,
                                what_to_do="look at the database's own log") from error  # fmt: skip
        return Place("", 0, gtids.write(history))

    def came_from(self, stretch: Stretch, others: Sequence[Stretch]) -> Stretch | None:
        """One that was begun before and has all that comes before this one, as far as that."""
        begins = gtids.read(stretch.begins)
        joining = [
            one for one in others
            if gtids.within(begins, gtids.read(one.ends)) and gtids.within(gtids.read(one.begins), begins)
            and not gtids.within(begins, gtids.read(one.begins))
        ]  # fmt: skip
        found = max(joining, key=lambda one: (one.at, one.line, one.last), default=None)
        return None if found is None else replace(found, ends=stretch.begins)

    def after(self, place: Place, stretch: Stretch) -> Stretch | None:
        """All of it, where the place is in it; which runs are needed is asked of each."""
        there = gtids.read(place.position)
        begun = gtids.within(gtids.read(stretch.begins), there)
        return stretch if begun and gtids.within(there, gtids.read(stretch.ends)) else None

    def comes_next(self, place: Place, newest: Stretch) -> bool:
        """The place has all that is in it, and more."""
        return gtids.within(gtids.read(newest.ends), gtids.read(place.position))

    def needed(self, run: LogRun, place: Place, stretch: Stretch) -> bool:
        """A run that ended by then is not, nor what a dead primary has logged past the end of its stretch."""
        begins, ends = gtids.read(run.begins), gtids.read(run.ends)
        past = gtids.within(gtids.read(stretch.ends), begins)
        return not past and not gtids.within(ends, gtids.read(place.position))

    def takes_in(self, node: Instance) -> str:
        """Files as they were sent, under the names of their lines."""
        log = self._log(node)
        return f"install -d -m 700 -o mysql -g mysql {log}\ntar -x --no-same-owner -f - -C {log}\n"

    def receives(self, node: Instance, replay: Replay, count: int) -> str:
        """A hot backup, and the logs that are beside it, read to a server on its data alone."""
        moment = replay.moment.astimezone(UTC).replace(microsecond=0)
        calls = "".join(_call(one) for one in parts(replay.runs, moment))
        words = moment.strftime("%Y-%m-%d %H:%M:%S")
        lines = _REPLAY.format(log=self._log(node), memory=memory(node), moment=words, calls=calls)
        return PageIncrements(self.manager).replayed(node, count, _BEFORE, lines)


def parts(runs: Sequence[LogRun], moment: datetime) -> Iterator[Part]:
    """Runs as they are read: those of a line that follow each other at once, as far as the next line does not begin before."""
    groups = _groups(runs, moment)
    for number, group in enumerate(groups):
        first, last = group[0], group[-1]
        ends, until = gtids.read(last.ends), ""
        # Where the next line begins, the rest of this one is another server's to tell.
        begins = next((one[0].begins for one in groups[number + 1 :] if one[0].line != first.line), last.ends)
        if not gtids.within(ends, gtids.read(begins)):
            ends, until = gtids.read(begins), gtids.position(gtids.read(begins))
        yield Part(first.line, first.first, last.last, gtids.newest(gtids.read(first.begins)), gtids.newest(ends), until,
                   timed=_timed(first, moment))  # fmt: skip


def _groups(runs: Sequence[LogRun], moment: datetime) -> list[list[LogRun]]:
    """Runs whose files follow each other, and that are all timed or all not."""
    groups: list[list[LogRun]] = []
    for run in runs:
        last = groups[-1][-1] if groups else run
        alike = (last.line, last.last + 1, _timed(last, moment)) == (run.line, run.first, _timed(run, moment))
        if alike and len(groups[-1]) < _AT_ONCE:
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups


def _timed(run: LogRun, moment: datetime) -> bool:
    return run.at >= moment - _SURELY_BEFORE


def _call(part: Part) -> str:
    timed = "timed" if part.timed else ""
    words = (part.line, str(part.first), str(part.last), part.begins, part.ends, part.until, timed)
    return f"replay {' '.join(map(quote, words))}\n"


_STATE = """echo "state $(echo 'SELECT @@GLOBAL.gtid_binlog_state;' | mysql --protocol=socket -uroot -N -B)"
[ ! -e {data}/{copied} ] || [ -e {data}/{restored} ] || echo "base $(cat {data}/{copied})"
"""

# A server that was left behind by a job that was killed still has the data open. One that is dead and waits for its parent has no program.
_BEFORE = """run=/run/dtrove-replay
if [ -s $run/pid ] && p=$(cat $run/pid) && grep -aqF $run /proc/"$p"/cmdline 2>/dev/null; then
  kill -9 "$p"; tries=600; while readlink /proc/"$p"/exe >/dev/null && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
fi
rm -rf $run
"""

# `here` is the last transaction that the data have, of the domain in which a cluster writes, `beside` those of other domains. What the
# user's own settings could break off, the wait of a session for one, is set here. Client commands that a statement brings along mean
# nothing in binary mode. A list at the beginning of a file says what was logged before it: nobody has skipped that. Who reads
# on where the moment was met would take what was committed after it.
_REPLAY = """log={log} moment='{moment}' here= beside= known= met=
for one in ${{at//,/ }}; do case $one in 0-*) here=$one;; *) beside=$beside,$one;; esac; done
[ -n "$here" ] || known=yes
install -d -m 700 -o mysql -g mysql "$run" "$log/load"; chown -R mysql:mysql "$d"
PATH=$PATH:/usr/sbin mariadbd --user=mysql --datadir="$d" --socket=$run/socket --pid-file=$run/pid --log-error=$run/log --skip-networking --skip-log-bin \\
  --skip-log-slave-updates --skip-slave-start --event-scheduler=OFF --read-only=OFF --local-infile=ON --gtid-strict-mode=OFF \\
  --rpl-semi-sync-master-enabled=OFF --max-allowed-packet=1G --innodb-buffer-pool-size={memory}M --innodb-flush-log-at-trx-commit=2 \\
  --wait-timeout=31536000 --net-read-timeout=31536000 --idle-transaction-timeout=0 --idle-write-transaction-timeout=0 \\
  --idle-readonly-transaction-timeout=0 --innodb-lock-wait-timeout=86400 </dev/null >/dev/null 2>&1 &
server=$!
trap 'kill -9 $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf $run' EXIT
client() {{ mysql --no-defaults --protocol=socket --socket=$run/socket -uroot --binary-mode --local-infile=1 --max-allowed-packet=1G; }}
tries=600
until echo 'DO 1;' | client 2>/dev/null; do
  if [ $((tries -= 1)) = 0 ] || ! kill -0 $server 2>/dev/null; then
    echo 'dtrove: no server begins on the data of the backup:' >&2; tail -n 15 $run/log >&2; exit 1
  fi
  sleep 1
done
number() {{ echo "${{1##*-}}"; }}
binlog() {{ TZ=UTC0 mariadb-binlog --no-defaults --skip-gtid-strict-mode --local-load="$log/load" "$@"; }}
seen() {{
  {{ LC_ALL=C grep -a -E '^#[0-9]{{6}} .*(GTID 0-[0-9]|Gtid list \\[)|^# [0-9]+-[0-9]+-[0-9]+[],]' || true; }} | awk -v reached="$1" -v to="$2" '
    function after(text) {{ sub(/.*-/, "", text); return text + 0 }}
    /\\tGTID 0-/ {{ sub(/.*\\tGTID /, ""); sub(/ .*/, ""); last = $0; if (after(last) > reached) reached = after(last); next }}
    {{ sub(/.*Gtid list \\[/, ""); gsub(/[][# ]/, ""); n = split($0, ids, ",")
      for (i = 1; i <= n; i++) if (reached < to && ids[i] ~ /^0-/ && after(ids[i]) > reached) hole = ids[i] }}
    END {{ print hole ? "hole " hole : last }}'
}}
replay() {{
  local line=$1 first=$2 last=$3 begins=$4 ends=$5 until=$6 timed=$7 name n came to=0 from=0
  [ -z "$met" ] || return 0
  [ -z "$ends" ] || to=$(number "$ends"); [ -z "$here" ] || from=$(number "$here")
  if [ "$from" -ge "$to" ]; then [ "$here" != "$ends" ] || known=yes; return 0; fi
  files=()
  for ((n = first; n <= last; n++)); do printf -v name '%s.%06d' "$line" "$n"; files+=("$log/$name"); done
  if [ -z "$known" ]; then
    came=$begins
    for name in "${{files[@]}}"; do
      [ "$came" != "$here" ] || break
      came=$(binlog --stop-position="$here" "$name" 2> $run/said | seen 0 0) || break
    done
    [ "$came" = "$here" ] || {{ cat $run/said >&2; echo "dtrove: the backup stands at $here, which is not in the log" >&2; exit 1; }}
    known=yes
  fi
  came=$({{ binlog ${{here:+--start-position="$here$beside"}} ${{until:+--stop-position="$until"}} ${{timed:+--stop-datetime="$moment"}} \\
    "${{files[@]}}" 2> $run/said | tee /dev/fd/4 | client; }} 4>&1 >&2 | seen "$from" "$to") || {{
    cat $run/said >&2; echo "dtrove: the log could not be replayed from $here on" >&2; exit 1; }}
  cat $run/said >&2
  case $came in hole*) echo "dtrove: the log has a hole before a file that begins at ${{came#hole }}" >&2; exit 1;; ?*) here=$came;; esac
  [ -z "$here" ] || from=$(number "$here")
  [ "$from" -lt "$to" ] || return 0
  if [ -n "$timed" ] && ! grep -q 'Did not reach stop datetime' $run/said; then met=yes; return 0; fi
  echo "dtrove: the log ends at ${{here:-its beginning}}, before $ends: it has a hole, or its store has lost something" >&2; exit 1
}}
{calls}echo 'SHUTDOWN;' | client
wait $server
trap - EXIT
rm -rf $run; rm -f "$d/tc.log"
echo "replayed to ${{here:-the end of a log that has nothing}}"
"""
