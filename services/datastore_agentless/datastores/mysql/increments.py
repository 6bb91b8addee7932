"""What has changed in MariaDB's data since a backup: the pages of InnoDB that are younger, and all files of other engines.

A backup says up to which log sequence number (LSN) it reaches, and the next one takes the pages from there on. These numbers are one
data directory's own: on a replica the same row has another. And they say nothing of whether a directory was put in the place of
another, or set back to an earlier moment. So each backup leaves a name and its number in a file among the data, which mariadb-backup
copies nowhere: who finds both there may build upon it.

Source: MariaDB's documentation, "Incremental Backup and Restore with mariadb-backup" and "mariadb-backup Options" (`extra-lsndir`,
`incremental-lsn`, `incremental-dir`). Transactions are rolled back by the server that begins on the data, not by `--prepare`: so what
was prepared takes further increments.
"""

from __future__ import annotations

from services.datastore_agentless.datastores.base.dumping import RESTORED, SEND_ANEW
from services.datastore_agentless.datastores.base.increments import Increments
from services.datastore_agentless.datastores.mysql.copying import COPIED_AT, BackupCopying
from services.datastore_agentless.domain.backup import Taken
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script, quote

# In the data's folder: a line with a name and an LSN for each of the last backups that were taken of them.
MEMORY = "dtrove-taken"


class PageIncrements(Increments):
    """By `mariadb-backup`, as the full ones are."""

    def remembers(self, node: Instance, base: Taken) -> Script:
        """Whether the file among the data has the backup's line."""
        told = yield Run(f"{_known(self._data(node), base)} && echo yes || echo no", title="see whether the data remember the last backup",
                         changes=False, sample="yes\n")  # fmt: skip
        return told.text == "yes"

    def sends_all(self, node: Instance) -> str:
        """A full backup, upon which others can be built."""
        return self._sends(node, before="", since="", least=0)

    def sends(self, node: Instance, base: Taken) -> str:
        """The pages that were written since. A number that has gone backwards is no place to go on from: the data forget all of them."""
        return self._sends(node, before=_BEFORE.format(known=_known(self._data(node), base)),
                           since=f" --incremental-lsn={int(base.position)}", least=int(base.position))  # fmt: skip

    def receives(self, node: Instance, count: int) -> str:
        """Unpacked and prepared, with as much memory as the server has that runs beside; each increment is worked in and goes at once.

        The mark of a copy is set, too: the binary log of restored data begins after them, and does not say so.
        """
        return self.replayed(node, count, "", "")

    def replayed(self, node: Instance, count: int, before: str, lines: str) -> str:
        """As `receives`; what is prepared takes a log by these lines before it has the name of restored data. `before` runs first of all.

        They find the folder of the data in `$d`, and in `$at` the global transaction ids that the last backup was made at.
        """
        return before + _RECEIVE.format(
            data=self._data(node), memory=memory(node), mark=RESTORED, copied=COPIED_AT, count=count, lines=lines
        )

    def _sends(self, node: Instance, *, before: str, since: str, least: int) -> str:
        return _SEND.format(backup=BackupCopying(self.manager).sends(node), data=self._data(node), memory=MEMORY,
                            before=before, since=since, least=least, anew=SEND_ANEW)  # fmt: skip

    def _data(self, node: Instance) -> str:
        return quote(self.manager.data_path(node))


def memory(node: Instance) -> int:
    """How many MB an engine may have beside the one that serves."""
    return max(node.ram_mb // 4, 100)


def _known(data: str, base: Taken) -> str:
    return f"grep -qxF {quote(f'{base.name} {base.position}')} {data}/{MEMORY} 2>/dev/null"


_BEFORE = """{known} || {{ echo 'the data are not those any more that the last backup was taken of' >&2; exit 1; }}
"""

# What it has sent twice is only to be known from what it says; nobody could unpack that. Where the number cannot be kept, the
# backup is none the worse: nobody builds upon it.
_SEND = """{before}f={data}/{memory}; rm -f {data}/.{memory}.*
lsn=$(mktemp -d -p /run dtrove-lsn.XXXXXX); trap 'rm -rf "$lsn"' EXIT
said=$(mktemp -p /run); exec 8> "$said" 9< "$said"; rm -f "$said"
{{ {backup} --extra-lsndir="$lsn"{since} 2>&1 1>&3 3>&- | tee /dev/fd/8 >&2; }} 3>&1
twice=$(sed -nE 's,.* (Streaming|aria table file) (\\./[^ ]*\\.MA[DI]) (to|is copied) .*,\\2,p' <&9 | sort | uniq -d)
[ -z "$twice" ] || {{ echo "these tables were written to meanwhile, and were sent twice: "$twice >&2; exit {anew}; }}
to=$(cat "$lsn"/*_checkpoints 2>/dev/null | sed -n 's/^to_lsn = *//p') || true
[[ $to =~ ^[0-9]+$ ]] || to=
[ "${{to:-{least}}}" -ge {least} ] || {{ rm -f "$f"; echo "the log stands at $to, before the last backup's {least}" >&2; exit 1; }}
name=$(cat /proc/sys/kernel/random/uuid)
if [ -n "$to" ] && new=$(mktemp -p {data} .{memory}.XXXXXX) &&
  {{ tail -n 99 "$f" 2>/dev/null; echo "$name $to"; }} > "$new" && sync "$new" && mv -T "$new" "$f" && sync -f "$f"; then
  echo "taken $name $to" >&7
fi
"""

_RECEIVE = """d={data}.restoring s={data}.restoring-step number=${{1:-1}}
prepare() {{ mariadb-backup --prepare --use-memory={memory}M --target-dir="$d" "$@"; }}
if [ "$number" = 1 ]; then
  rm -rf {data}.restored "$d" "$s"
  install -d -m 700 -o mysql -g mysql "$d"
  mbstream -x -C "$d"
  prepare
else
  rm -rf "$s"; install -d -m 700 "$s"
  mbstream -x -C "$s"
  prepare --incremental-dir="$s"
  rm -rf "$s"
fi
[ "$number" = {count} ] || exit 0
rm -f "$d"/*master*.info "$d"/*relay-log*.info
at=
for f in "$d/mariadb_backup_binlog_info" "$d/xtrabackup_binlog_info"; do
  [ ! -f "$f" ] || IFS=$'\\t' read -r _ _ at _ < "$f" || true
done
{lines}echo "$at" > "$d/{copied}"; : > "$d/{mark}"
chown -R mysql:mysql "$d"; sync -f "$d"; mv "$d" {data}.restored; sync -f {data}.restored
"""
