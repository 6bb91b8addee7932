"""MariaDB's binary log, file by file: those that are closed wait in the data's folder until DTrove has fetched them.

Nothing is copied on the node. A mark among the data says how far they were fetched; what lies behind it is the server's to purge, by
its own time, as it does where no log is kept. Only the node that writes is fetched from: each replica writes the same to a log of its
own, under the same global transaction ids, so that after a failover the new primary's log goes on where the old one's ended.

A line is what one server has logged without an interruption: data that are replaced, and RESET MASTER, begin another one.

Source: MariaDB's documentation, "Binary Log", "FLUSH", "SHOW BINLOG EVENTS" and "Binlog Event Header" (the time of an event is the
first four bytes of its header, which in a file come right after four bytes that say what it is).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.archiving import PIECE_SECONDS, SPOOLED, Archiving, Piece, Spool
from services.datastore_agentless.datastores.base.dumping import RESTORED
from services.datastore_agentless.datastores.mysql import gtids
from services.datastore_agentless.datastores.mysql.copying import COPIED_AT
from services.datastore_agentless.domain.archive import LogRun
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script, quote

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager

# In the data's folder, where no copy of them takes it along: the line, how far it was fetched, and when the next file was begun.
MARK = "dtrove-fetched"
# A file in which something was written is closed once it is so old: a look takes a moment.
_OLD_SECONDS = PIECE_SECONDS - 5
# What is older on a node that only follows is fetched from elsewhere since long.
_FOLLOWS_SECONDS = 24 * 3600


class BinaryLog(Archiving):
    """Works as the server's superuser, over its socket."""

    manager: MySQLManager

    def begin(self, node: Instance) -> Script:
        """Mark the file that is being written as the first one."""
        yield self._run(_BEGIN, node, title="make a mark for the log")

    def end(self, node: Instance) -> Script:
        """Remove the mark."""
        data = quote(self.manager.data_path(node))
        yield Run(f"rm -f {data}/{MARK} {data}/{MARK}.new", title="remove the mark of the log")

    def look(self, node: Instance) -> Script:
        """Where something was written since a minute the file is closed first. A node that follows has nothing to be fetched."""
        told = yield self._run(_LOOK, node, title="see what waits of the log", sample=_WELL)
        return _read(told.stdout, node.name)

    def sends(self, node: Instance, names: Sequence[str]) -> str:
        """A tar file of them, each under the name of its line: two servers have files of the same name."""
        lines = sorted({name.rpartition(".")[0] for name in names})
        files = " ".join(quote(f"dtrove-bin.{name.rpartition('.')[2]}") for name in names)
        rename = quote(f"s,^dtrove-bin,{lines[0]},")
        return f"tar -c -f - -C {quote(self.manager.data_path(node))} --transform {rename} -- {files}"

    def joins(self, newest: LogRun, first: Piece) -> bool:
        """What its server had logged before it is in the runs that are safe."""
        return gtids.within(gtids.read(first.begins), gtids.read(newest.ends))

    def has(self, newest: LogRun, piece: Piece) -> bool:
        """A server that is promoted has logged for itself what was fetched from the one before."""
        return gtids.within(gtids.read(piece.ends), gtids.read(newest.ends))

    def let_go(self, node: Instance, names: Sequence[str]) -> Script:
        """Move the mark behind them, as far as they follow each other. Names on standard input: they may be many."""
        words = "".join(f"{name}\n" for name in names)
        yield self._run(_LET_GO, node, stdin=words, title="let go of what is safe of the log")

    def _run(self, script: str, node: Instance, *, title: str, stdin: str = "", sample: str = "") -> Run:
        told = script.format(
            head=_HEAD.format(data=quote(self.manager.data_path(node)), mark=MARK), copied=COPIED_AT, restored=RESTORED,
            old=_OLD_SECONDS, follows=_FOLLOWS_SECONDS, most=SPOOLED,
        )  # fmt: skip
        return Run(told, title=title, stdin=stdin, sample=sample, timeout=120)


def _read(told: str, name: str) -> Spool:
    """What a look has found. Raises CommandFailed where that is nothing."""
    try:
        rows = [line.split() for line in told.splitlines()]
        said = {row[0]: row[1] if len(row) > 1 else "" for row in rows}
        at, line, before = float(said["at"]), said.get("line", ""), gtids.read(said.get("base", ""))
        begins = {
            int(row[1]): gtids.write(gtids.both(before, gtids.read("".join(row[2:])))) for row in rows if row[0] == "gtids"
        }  # fmt: skip
        pieces = [Piece(line, int(row[1]), f"{line}.{int(row[1]):06d}", int(row[2]), float(row[3]), begins[int(row[1])],
                        begins[int(row[1]) + 1]) for row in rows if row[0] == "piece"]  # fmt: skip
        lost = tuple(f"{line}.{int(row[1]):06d}" for row in rows if row[0] == "lost")
        return Spool(at, line if said.get("role") == "primary" else "", bool(line), tuple(pieces),
                     waiting=int(said.get("more", "0")), lost=lost)  # fmt: skip
    except (ValueError, KeyError, IndexError) as error:
        raise CommandFailed(f"{name} does not say how its log is kept: {told[:200]!r}", code=1,
                            what_to_do="look at the database's own log") from error  # fmt: skip


# `role` is what the node is now, `was` what it was when the mark was written. A mark whose next file is not the one that it was
# written for is of another log.
_HEAD = """set -e
d={data}; m=$d/{mark}
ask() {{ mysql --protocol=socket -uroot -N -B; }}
name() {{ printf 'dtrove-bin.%06d' "$1"; }}
born() {{ od -An -t u4 -j 4 -N 4 --endian=little "$d/$(name "$1")" | tr -d ' '; }}
stand() {{
  told=$(printf '%s\\n' 'SHOW SLAVE STATUS;' "SELECT 'state', @@GLOBAL.gtid_binlog_state;" 'SHOW MASTER STATUS;' | ask)
  state=$(printf '%s\\n' "$told" | sed -n 's/^state\\t//p')
  active=$(printf '%s\\n' "$told" | sed -nE 's/^dtrove-bin\\.0*([0-9]+)\\t.*/\\1/p')
  [ -n "$active" ] || {{ echo 'the server has no binary log' >&2; exit 1; }}
  role=$(printf '%s\\n' "$told" | awk -F '\\t' '$1 !~ /^(state|dtrove-bin[.][0-9]+)$/ {{ n++ }} END {{ print n ? "replica" : "primary" }}')
}}
keep() {{
  next=$(born $((safe + 1)) 2>/dev/null) || next=-
  printf '%s %s %s %s\\n' "$line" "$safe" "${{next:--}}" "$role" > "$m.new"
  chown mysql:mysql "$m.new"; sync "$m.new"; mv "$m.new" "$m"; sync -f "$m"
}}
marked() {{
  [ -s "$m" ] && read -r line safe next was < "$m" || return 1
  [ "$active" -gt "$safe" ] || return 1
  [ ! -e "$d/$(name $((safe + 1)))" ] || [ "$next" = - ] || [ "$(born $((safe + 1)))" = "$next" ]
}}
"""

_BEGIN = """{head}stand
marked || {{ line=$(cat /proc/sys/kernel/random/uuid); safe=$((active - 1)); keep; }}
"""

# The clock is read first: what was acknowledged before is in what is found after. Who has been promoted closes a file at once, be it
# empty: it says that the log goes on from the former primary's.
_LOOK = """{head}at=$(date +%s.%3N) now=$(date +%s)
echo "at $at"
stand
marked || exit 0
echo "line $line"; echo "role $role"
[ ! -e "$d/{copied}" ] || [ -e "$d/{restored}" ] || echo "base $(cat "$d/{copied}")"
gone() {{ [ ! -e "$d/$(name "$1")" ] || [ "$(stat -c %Y "$d/$(name "$1")")" -lt $((now - {follows})) ]; }}
if [ $role = replica ]; then
  n=$safe
  while [ $((n + 1)) -lt "$active" ] && gone $((n + 1)); do n=$((n + 1)); done
  [ "$n $role" = "$safe $was" ] || {{ safe=$n; keep; }}
  exit 0
fi
lists() {{
  for n in "$@"; do
    echo "SELECT 'file', $n; SHOW BINLOG EVENTS IN '$(name "$n")' LIMIT 3;"
  done | ask | awk -F '\\t' '$1 == "file" {{ n = $2 }} $3 == "Gtid_list" {{ print "gtids", n, $6 }}'
}}
sorted() {{ tr -d '[] ' | tr ',' '\\n' | sed '/^$/d' | sort; }}
begun=$(lists "$active" | cut -d ' ' -f 3-)
written=no; [ "$(echo "$begun" | sorted)" = "$(echo "$state" | sorted)" ] || written=yes
if [ "$was" != primary ] || {{ [ $written = yes ] && [ "$(born "$active")" -le $((now - {old})) ]; }}; then
  echo 'FLUSH LOCAL BINARY LOGS;' | ask
  stand
fi
[ "$was" = primary ] || keep
n=$((safe + 1))
while [ $n -lt "$active" ] && [ ! -e "$d/$(name $n)" ]; do echo "lost $n"; n=$((n + 1)); done
set --
while [ $n -lt "$active" ] && [ $# -lt {most} ]; do
  echo "piece $n $(stat -c '%s %.3Y' "$d/$(name $n)")"
  set -- "$@" $n; n=$((n + 1))
done
echo "more $((active - n))"
[ $# -eq 0 ] || lists "$@" $n
"""
_WELL = "at 0\nline 00000000-0000-4000-8000-000000000001\nrole primary\nmore 0\n"

_LET_GO = """{head}stand
marked || exit 0
given=" $(tr '\\n' ' ')"; n=$safe; role=$was
while case $given in *" $line.$(printf %06d $((n + 1))) "*) true;; *) false;; esac; do n=$((n + 1)); done
[ "$n" = "$safe" ] || {{ safe=$n; keep; }}
"""
