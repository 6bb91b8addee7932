"""PostgreSQL's write-ahead log, segment by segment: `archive_command` copies each finished one into the spool.

The spool lies beside the data, on the same volume, and is what switches the archive on: `archive_mode` wants a restart, so it is on
for everybody, and the command is content at once where there is no spool. What it does is a file in the spool: the command line
of a release before 16 has room for a thousand characters. A standby archives nothing until it is promoted.

A line is a system and a timeline of it; a `.history` file tells from where on which other line it goes on. The rest that a promoted
standby has of a line, `.partial`, is the beginning of the first segment of the next line too, and is not kept.

Source: PostgreSQL's documentation, "Continuous Archiving and Point-in-Time Recovery" and "pg_stat_archiver"; xlog_internal.h.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.archiving import (
    PIECE_SECONDS,
    SPARED_PERCENT,
    SPOOLED,
    Archiving,
    Piece,
    Spool,
)
from services.datastore_agentless.domain.archive import LogRun
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Run, Script, quote

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_OWNER = "postgres:postgres"
_TAKE, _LOST = ".take", ".lost"
# The engine looks at its clock now and then: a piece may be finished so much later than it was told to.
_LATE_SECONDS = 5


class WriteAheadLog(Archiving):
    """Segments of a primary; the nodes that follow it have a spool too, for the day that they lead."""

    manager: PostgresManager

    def command(self, node: Instance) -> str:
        """The `archive_command` of a node, the same whether it is archived or not."""
        spool = quote(self._spool(node)).replace("%", "%%")
        return f'[ ! -d {spool} ] || exec sh {spool}/{_TAKE} "%p" "%f"'

    def begin(self, node: Instance) -> Script:
        """Make the spool, which has its name once the command's own file is in it; then bound the age of a segment.

        A node that an older release has made is told of the command first, and is to be started anew.
        """
        manager, spool = self.manager, quote(self._spool(node))
        told = yield Run(f"grep -qs '^archive_command' {quote(manager.config_path)} && echo yes || echo no", changes=False,
                         title="see whether it knows how to keep its log", sample="yes\n")  # fmt: skip
        if told.text != "yes":
            yield from manager.write_configuration(node)
        take = _TAKE_IN.format(most=SPOOLED, spared=SPARED_PERCENT, lost=_LOST)
        yield Run(_MAKE.format(spool=spool, take=_TAKE), stdin=take, title="make a spool for the log")
        yield Put(self._timeout_file, _TIMEOUT.format(seconds=PIECE_SECONDS - _LATE_SECONDS), owner=_OWNER,
                            title="write how old a piece of the log may be")  # fmt: skip
        yield self._ask(_FROM_HERE, title="read how the log is kept", timeout=600)

    def end(self, node: Instance) -> Script:
        """Remove the spool: the command is content without."""
        yield Run(f"rm -rf {quote(self._spool(node))}", title="remove the spool of the log", timeout=120)
        yield Put(self._timeout_file, "# Written by DTrove.\n", owner=_OWNER,
                  title="write that a piece of the log may be of any age")  # fmt: skip
        yield self._ask(_READ_AGAIN, title="read how the log is kept")

    def look(self, node: Instance) -> Script:
        """The engine is asked before its spool is: a segment that it finishes in between is found, or waits for the next look."""
        told = yield self._ask(_ARCHIVER, title="ask how the log is kept", changes=False, sample=_WELL)
        where = {
            "spool": quote(self._spool(node)), "data": quote(self.manager.data_path(node)), "take": _TAKE,
            "lost": _LOST,
        }  # fmt: skip
        listed = yield Run(_LIST.format(**where), title="see what waits of the log", changes=False, sample="spool\n0\n")
        return _read(told.text, listed.stdout, node.name)

    def sends(self, node: Instance, names: Sequence[str]) -> str:
        """A tar file of them."""
        return f"tar -c -f - -C {quote(self._spool(node))} -- {' '.join(map(quote, names))}"

    def joins(self, newest: LogRun, first: Piece) -> bool:
        """Numbers go on across lines of one system, and the first of a line begins with what the one before it had of the same number."""
        return newest.line.partition("-")[0] == first.line.partition("-")[0] and first.number <= newest.last + 1

    def let_go(self, node: Instance, names: Sequence[str]) -> Script:
        """Names on standard input: they may be many. Those that were given up are struck from the list of these."""
        words = "".join(f"{name}\n" for name in names)
        yield Run(_LET_GO.format(spool=quote(self._spool(node)), lost=_LOST), stdin=words,
                  title="let go of what is safe of the log")  # fmt: skip

    def _spool(self, node: Instance) -> str:
        return f"{self.manager.data_path(node)}.archive"

    @property
    def _timeout_file(self) -> str:
        return f"{self.manager.config_dir}/conf.d/dtrove-archive.conf"

    def _ask(self, sql: str, *, title: str, changes: bool = True, sample: str = "", timeout: float = 30.0) -> Run:
        return Run((self.manager.program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1"), title=title, user="postgres", stdin=sql,
                   changes=changes, sample=sample, timeout=timeout)  # fmt: skip


def _read(told: str, listed: str, name: str) -> Spool:
    """What the engine and the spool say, together. Raises CommandFailed where that is nothing."""
    try:
        system, segment, mode, at, line, failing = told.split("|", 5)
        there, waiting, *rows = listed.splitlines()
        per_log = 2**32 // int(segment)
        pieces, beside, lost = [], [], []
        for row in rows:
            match row.split():
                case ["lost", file]:
                    lost.append(file)
                case [file, size, changed]:
                    if found := _SEGMENT.fullmatch(file):
                        of_line, log, number = found.groups()
                        pieces.append(Piece(f"{system}-{of_line}", int(log, 16) * per_log + int(number, 16), file, int(size),
                                            float(changed)))  # fmt: skip
                    elif found := _HISTORY.fullmatch(file):
                        beside.append((f"{system}-{found[1]}", file))
        pieces.sort(key=lambda one: (one.line, one.number))
        return Spool(float(at), f"{system}-{line}" if line else "", mode != "off" and there == "spool", tuple(pieces),
                     tuple(beside), int(waiting), failing, tuple(lost))  # fmt: skip
    except ValueError as error:
        raise CommandFailed(f"{name} does not say how its log is kept: {told[:100]!r} {listed[:100]!r}", code=1,
                            what_to_do="look at the database's own log") from error  # fmt: skip


_READ_AGAIN = "SELECT pg_reload_conf() \\g /dev/null\n"
# A backup of a standby begins where a checkpoint of the primary did: one of now is in what is kept.
_FROM_HERE = f"{_READ_AGAIN}CHECKPOINT;\n"
_TIMEOUT = "# Written by DTrove.\narchive_timeout = '{seconds}s'\n"

# Whoever finds the folder finds all that belongs in it.
_MAKE = """set -e
d={spool}; new="$d/{take}"
if [ ! -d "$d" ]; then rm -rf "$d.new"; install -d -m 700 -o postgres -g postgres "$d.new"; new="$d.new/{take}"; fi
umask 022; cat > "$new.new"
if cmp -s "$new.new" "$new"; then rm "$new.new"; else sync "$new.new"; mv "$new.new" "$new"; fi
[ -d "$d" ] || mv "$d.new" "$d"; sync -f "$d"
"""

# $1 is where the file is, as the engine sees it, $2 its name. What is there already under this name must be the same: it is put
# there once more where the engine has fallen before it had noted that. What is left of a copy is written over.
_TAKE_IN = """# Written by DTrove: what PostgreSQL runs for each finished file of its log.
d=${{0%/*}}
case $2 in *.backup|*.partial) exit 0;; esac
if [ -e "$d/$2" ]; then cmp -s "$1" "$d/$2" && exit 0; echo "$d/$2 is there already, and another" >&2; exit 1; fi
set -- "$1" "$2" $(df -Pk "$d" | awk 'NR==2 {{printf "%d %d", $4, $3+$4}}')
case $2 in
  *.history) ;;
  *)
    if [ $(($3 / 1024)) -lt $(($4 * {spared} / 102400)) ]; then
      echo "$2 is given up: less than {spared} % of the volume is left" >&2
      echo "$2" >> "$d/{lost}" && sync "$d/{lost}"; exit 0
    fi
    n=0; for f in "$d"/*; do [ ! -e "$f" ] || n=$((n + 1)); done
    [ $n -lt {most} ] || {{ echo "$n files wait to be fetched from $d: the log is kept" >&2; exit 1; }};;
esac
cp -p "$1" "$d/.coming" && sync "$d/.coming" && mv "$d/.coming" "$d/$2" && sync "$d"
"""

# Whether the last attempt was one that failed.
_ARCHIVER = """SELECT s.system_identifier, pg_size_bytes(current_setting('wal_segment_size')), current_setting('archive_mode'),
  round(extract(epoch FROM clock_timestamp()), 3),
  CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
  CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') AND last_failed_time > now() - interval '5 min'
    THEN last_failed_wal ELSE '' END
FROM pg_control_system() AS s, pg_stat_archiver;
"""
_WELL = "7000000000000000001|16777216|on|0|00000001|\n"

# What waits in the log's own folder is counted only where it is meant to come here.
_LIST = """d={spool}
[ -e "$d/{take}" ] && echo spool || echo none
n=0; for f in {data}/pg_wal/archive_status/*.ready; do [ ! -e "$f" ] || n=$((n + 1)); done; echo $n
[ ! -d "$d" ] || find "$d" -maxdepth 1 -type f ! -name '.*' -printf '%f %s %T@\\n'
[ ! -e "$d/{lost}" ] || sed 's/^/lost /' "$d/{lost}"
"""

_LET_GO = """set -e
cd {spool} 2>/dev/null || exit 0
umask 077
while read -r name; do
  rm -f "./$name"
  if [ -e {lost} ] && grep -Fqx "$name" {lost}; then
    grep -Fvx "$name" {lost} > .lost.new || true
    chown postgres:postgres .lost.new; mv .lost.new {lost}
  fi
done
[ -s {lost} ] || rm -f {lost}
sync -f .
"""
