"""The port of a tally: what one engine counts beside a backup, and what a proof holds restored data against.

The data of a backup are those of a moment near its end, which nobody can ask the engine about, and people write meanwhile. So tables are
counted while the backup is sent, and at its end the engine's own log says what was changed since the count was begun: what was not is
the same before that moment, at it and after it. The rest is left out, and its number is told.

The count runs beside the stream, in the job that sends it: it costs no time of its own but what is left of it at the end, which is
bounded. It never fails a backup: what goes wrong is why nothing was counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.proving import BASH, FOUND_KEPT, READ_SECONDS
from services.datastore_agentless.domain import tally as tallies
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.tally import Table, Tally
from services.datastore_agentless.hosts.base import ANY_CODE, Job, Script, tail
from shared.contracts.backups import CheckResult

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager

COMPARED = "compared"
MB = 1024 * 1024


@dataclass(frozen=True)
class Bounds:
    """Tables larger than `counted_mb` are not counted, those larger than `summed_mb` get no checksum; one statement may take `each` seconds,
    and of each database no more than `most` tables are counted.
    """

    counted_mb: int
    summed_mb: int
    each: int
    most: int


# Of the tables of a backup so many are kept; all of it may take so long, and what is left of it at the end of the stream so long.
MOST, COUNT_SECONDS, GRACE_SECONDS, CHANGES_SECONDS = 1000, 60, 1, 10
HEAD_START_SECONDS = 0.3
BESIDE = Bounds(counted_mb=1024, summed_mb=64, each=10, most=2000)
# What was summed then is summed again, though it may be a little larger by now.
AGAIN = Bounds(counted_mb=2**31, summed_mb=256, each=3600, most=2**31 - 1)


class Tallying(ABC):
    """How one engine is counted. `begins` and `ends` are bash, run as root before and after what `Dumping.sends` prints; neither
    prints anything, nor fails. What is found is said to the descriptor 7, in lines that begin with `say`.
    """

    # What a host in memory says of it.
    sample = "say end\n"

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    def begins(self, node: Instance) -> str:
        """Begin to count, beside the stream."""
        return ""

    def ends(self, node: Instance) -> str:
        """Say what was counted."""
        return ""

    @abstractmethod
    def read(self, said: Sequence[str]) -> Tally:
        """What was said of it."""

    @abstractmethod
    def compare(self, node: Instance, kept: Tally) -> Script:
        """On restored data: whether they are what was counted; returns a CheckResult."""


class TableTallying(Tallying):
    """Of an engine with tables. Its scripts print lines of words with a tab between them; names are in hexadecimal.

    `table DATABASE NAME WORD ROWS SUM .` is what was counted, with a dot at its end, for half a line is none; `tables NUMBER` is how many
    there are, said for each database; `changed WORD` tells what was written to since, by the words of tables.
    """

    @abstractmethod
    def counts(self, node: Instance, bounds: Bounds) -> str:
        """Bash that prints `table` and `tables` for all there is, the smallest tables first."""

    @abstractmethod
    def settles(self, node: Instance) -> str:
        """Bash that runs before that: it writes into `$tally/since` from when on changes are told, and `$tally/settled` once what is
        counted from now on is all that the log does not tell of.
        """

    @abstractmethod
    def changes(self, node: Instance) -> str:
        """Bash that prints `changed` for what was changed after `$tally/since`; it may fail, with a sentence on standard error."""

    def begins(self, node: Instance) -> str:
        """`timeout` has a process group of its own, which ends as one."""
        return _BEGINS.format(count=_STRICT + self.settles(node) + self.counts(node, BESIDE), changes=_STRICT + self.changes(node),
                              seconds=COUNT_SECONDS, looks=round(HEAD_START_SECONDS * 20))  # fmt: skip

    def ends(self, node: Instance) -> str:
        """What has not come to its end by then is ended."""
        return _ENDS.format(looks=GRACE_SECONDS * 10, seconds=CHANGES_SECONDS)

    def read(self, said: Sequence[str]) -> Tally:
        """Whatever is no line of these is not believed."""
        counted, changed, total, whole, why = list[tuple[str, Table]](), set[str](), 0, False, ""
        for line in said:
            match line.split("\t"):
                case ["table", *words] if (found := _table(words)) is not None:
                    counted.append(found)
                case ["tables", number] if number.isdecimal():
                    total += int(number)
                case ["changed", word]:
                    changed.add(word)
                case ["why", sentence]:
                    why = sentence
                case ["end"]:
                    whole = True
        if not whole:
            return Tally(why=why[:FOUND_KEPT] or "the node does not say what it has counted")
        return tallies.settled(counted, changed, total, MOST)

    def compare(self, node: Instance, kept: Tally) -> Script:
        """All is counted again, however long that takes."""
        if kept.why or not kept.tables:
            return nothing(kept)
        script = f"{BASH}tab=$'\\t'\n{self.counts(node, AGAIN)}"
        sample = "".join(_line(one) for one in kept.tables)
        done = yield Job(COMPARED, script, title="hold the rows against those of then", ok_codes=ANY_CODE, timeout=READ_SECONDS,
                         sample=sample)  # fmt: skip
        if done.code != 0:
            words = tail(done.stderr, 5) or f"it ended with code {done.code}"
            return CheckResult(name=COMPARED, passed=False, message=words)
        lines = [line.split("\t") for line in done.stdout.split("\n")]
        found = [one[1] for words in lines if words[0] == "table" and (one := _table(words[1:])) is not None]
        return result(kept, tallies.differences(kept, found))


def nothing(kept: Tally) -> CheckResult:
    """Where nothing was counted, nothing is held against it: that is no fault of the data."""
    none = "there was no table"
    why = kept.why or (f"{kept.changed} of its tables were written to meanwhile" if kept.changed else none)
    return CheckResult(name=COMPARED, passed=True, found=f"nothing: {why}")


def result(kept: Tally, lines: Sequence[str]) -> CheckResult:
    """What became of it."""
    found = f"{len(kept.tables)} tables, {kept.rows} rows, {kept.sums} checksums"
    return CheckResult(name=COMPARED, passed=not lines, found=found, message=tallies.told(lines))


def _table(words: Sequence[str]) -> tuple[str, Table] | None:
    match words:
        case [database, name, word, rows, checksum, "."] if rows.isdecimal():
            try:
                return word, Table(_plain(database), _plain(name), int(rows), checksum)
            except ValueError:
                return None
    return None


def _plain(name: str) -> str:
    return bytes.fromhex(name).decode(errors="replace")


def _line(one: Table) -> str:
    return "\t".join(("table", one.database.encode().hex(), one.name.encode().hex(), "", str(one.rows), one.sum, ".\n"))


_STRICT = "set -euo pipefail; cd /; tab=$'\\t'\n"
# A stream may end within a second: the count has a head start, where nothing keeps it from beginning. Both scripts are files in memory,
# so that each has a shell of its own that can be ended; the folder goes with whoever sends.
_BEGINS = """tally=$(mktemp -d -p /run dtrove-tally.XXXXXX) || tally=/run/dtrove-no-tally
counter=
trap '[ -z "$counter" ] || kill "$counter" 2>/dev/null || true; rm -rf "$tally"' EXIT
export tally
if [ -d "$tally" ] && cat > "$tally/count" <<'DTROVE-COUNT' && cat > "$tally/changes" <<'DTROVE-CHANGES'
{count}DTROVE-COUNT
{changes}DTROVE-CHANGES
then
  timeout -k 2 {seconds} nice -n 10 bash "$tally/count" > "$tally/counted" 2> "$tally/trouble" < /dev/null 7>&- &
  counter=$!
  for _ in $(seq {looks}); do [ ! -e "$tally/settled" ] || break; sleep 0.05; done
fi
"""
_ENDS = """say_tally() {{
  local settled= code=0
  [ ! -e "$tally/settled" ] || settled=yes
  for _ in $(seq {looks}); do [ -n "$settled" ] && kill -0 "$counter" 2>/dev/null || break; sleep 0.1; done
  kill "$counter" 2>/dev/null
  wait "$counter" 2>/dev/null || code=$?
  case $code in 0|124|137|143) ;; *) why "$(head -n 1 "$tally/trouble")"; return;; esac
  [ -n "$settled" ] || {{ why 'what was open before the backup was not committed until its end'; return; }}
  timeout -k 2 {seconds} nice -n 10 bash "$tally/changes" > "$tally/changed" 2> "$tally/trouble" < /dev/null 7>&- ||
    {{ why "$(head -n 1 "$tally/trouble")"; return; }}
  awk '{{ print "say " $0 }}' "$tally/counted" "$tally/changed" >&7
  echo 'say end' >&7
}}
why() {{ printf 'say why\\t%s\\n' "$(printf %s "${{1:-it was not said why}}" | tr -s '[:cntrl:]' ' ')" >&7; }}
say_tally || true
"""
