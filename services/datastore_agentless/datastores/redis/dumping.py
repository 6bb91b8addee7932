"""Redis's data as a tar file of two: a snapshot, and the list of who comes in, which no snapshot has.

Redis that keeps a log of writes begins with that and with nothing else: so the snapshot is given the log's name. A log may begin
with a snapshot, and this one ends there; from Redis 7 on it is moved into the log's folder, as it is when an older log is met.

Source: Redis's documentation, "Redis persistence", "BGSAVE" and the section `persistence` of INFO; aofUpgradePrepare in its aof.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.dumping import RESTORED, Dumping, Mark
from services.datastore_agentless.datastores.base.topology import REPLICATION_USER
from services.datastore_agentless.datastores.redis.access import ACCESS_FILE
from services.datastore_agentless.datastores.redis.takeover import ROLE_FILE
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Run, Script, quote
from shared.errors import Failure, Retryable
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.redis.manager import RedisManager

# A snapshot of a large memory on a slow disk takes its time, and somebody else's may have to end first.
SAVE_SECONDS = 6 * 3600
SNAPSHOT, _LOG, _LIST = "dump.rdb", "appendonly.aof", "users.acl"
_MB = 1024**2


@dataclass(frozen=True)
class Keys:
    """How many keys are there, how many the server has thrown away, and what the snapshot had: keys, and those with a time to live."""

    there: int
    evicted: int
    keys: int
    mortal: int

    @property
    def is_whole(self) -> bool:
        """Whether none is missing that cannot have ended by itself."""
        return self.there + self.evicted >= self.keys - self.mortal


class Snapshot(Dumping):
    """Works on a primary and on a replica alike, as the administrator."""

    manager: RedisManager
    outside = (ACCESS_FILE,)
    full_only = "has no incremental backups: a snapshot of Redis is always a whole one"

    def login(self, node: Instance) -> Secret:
        """The command that logs in."""
        return Secret(self.manager.login(node))

    def mark(self, node: Instance) -> Script:
        """How far the stream to the replicas has come; the position is that of its history."""
        told = yield self.manager.asked(node, "INFO server", "INFO replication", "TIME", title="see where it stands",
                                        changes=False, sample=_STANDS)  # fmt: skip
        facts, clock = self.manager.told(told), told.text.split()[-2:]
        offset = facts.get("slave_repl_offset" if facts.get("role") == "slave" else "master_repl_offset", "")
        if not (offset.isdigit() and "redis_version" in facts and all(part.isdigit() for part in clock)):
            raise CommandFailed("Redis does not say where it stands", code=1, stderr=told.text[-500:],
                                what_to_do="look at the database's own log")  # fmt: skip
        at = datetime.fromtimestamp(int(clock[0]), UTC).replace(microsecond=int(clock[1]))
        return Mark(f"Redis {facts['redis_version']}", f"{facts.get('master_replid', '')}:{offset}",
                    at.isoformat(timespec="milliseconds").replace("+00:00", "Z"))  # fmt: skip

    def size(self, node: Instance) -> Script:
        """What is in memory is packed less closely than a snapshot."""
        told = yield self.manager.asked(node, "INFO memory", title="see how large the data are", changes=False,
                                        sample="used_memory:1048576\n")  # fmt: skip
        used = self.manager.told(told).get("used_memory", "")
        if not used.isdigit():
            raise CommandFailed("Redis does not say how large its data are", code=1, stderr=told.text[-500:],
                                what_to_do="look at the database's own log")  # fmt: skip
        return int(used) * 5 // 4 + 64 * _MB

    def sends(self, node: Instance) -> str:
        """A snapshot that is begun now: one that runs already may lack what has been acknowledged since."""
        return _SEND.format(addr=quote(node.addr), port=self.manager.port, seconds=SAVE_SECONDS, data=self._data(node),
                            access=ACCESS_FILE, snapshot=SNAPSHOT, list=_LIST)  # fmt: skip

    def receives(self, node: Instance) -> str:
        """Unpacked, checked, and under the name by which this server reads it."""
        wished = {**self.manager.datastore.default_parameters, **node.parameters}
        name = SNAPSHOT if wished.get("appendonly") == "no" else _LOG
        return _RECEIVE.format(data=self._data(node), snapshot=SNAPSHOT, list=_LIST, name=name, mark=RESTORED)

    def stopped(self, node: Instance) -> Script:
        """Whoever could log in to the other cluster can log in here; DTrove's own lines are this node's."""
        yield Run(_LET_IN.format(file=ACCESS_FILE, list=f"{self._data(node)}.restored/{_LIST}", admin=quote(node.admin_user),
                                 replica=REPLICATION_USER), title="let in whom the backup lets in")  # fmt: skip
        yield Put(ROLE_FILE, "", mode=0o640, owner="redis:redis", title="write that it follows nobody")

    def started(self, node: Instance) -> Script:
        """Count the keys: all are there that the snapshot has, but for those that had a time to live.

        What the server has thrown away already, as its policy tells it, counts as well.
        """
        kept = yield from self.keys(node)
        if not kept.is_whole:
            raise Failure(f"{node.name} has {kept.there} of {kept.keys} keys after the restore",
                          what_to_do="look at the database's own log, and whether its memory is large enough")  # fmt: skip

    def digest(self, node: Instance) -> Script:
        """The sum of the snapshot that was restored; empty where an older release has restored it."""
        kept = yield self._restored(node)
        return next(iter(kept.text.split()[2:]), "")

    def keys(self, node: Instance) -> Script:
        """On restored data: returns Keys. Raises Retryable while the engine still reads them."""
        kept = yield self._restored(node)
        answer = yield self.manager.asked(node, "INFO persistence", "INFO stats", "INFO keyspace", title="count the keys",
                                          changes=False, sample=_COUNTED)  # fmt: skip
        told = self.manager.told(answer)
        if told.get("loading") != "0":
            raise Retryable(f"{node.name} still reads the restored data from the disk")
        there = sum(map(int, re.findall(r"^db\d+:keys=(\d+)", answer.stdout, re.MULTILINE)))
        keys, mortal = map(int, kept.text.split()[:2])
        return Keys(there, int(told.get("evicted_keys", 0)), keys, mortal)

    def _restored(self, node: Instance) -> Run:
        return Run(
            f"cat {self._data(node)}/{RESTORED}", title="see how many keys were restored", changes=False, sample="1 0\n"
        )


_STANDS = "redis_version:7.0.15\nrole:master\nmaster_replid:8f3c\nmaster_repl_offset:1000\n1796040000\n5000\n"
_COUNTED = "loading:0\nevicted_keys:0\ndb0:keys=1,expires=0,avg_ttl=0\n"

# Once open, both files stay what they are: Redis writes a new one and gives it the old one's name. Nothing else has to be kept
# for the time that this takes, and nothing to be removed after it.
ASK = """ask() {{ printf '%s\\n' "$login" "$@" | redis-cli -h {addr} -p {port}; }}
"""
SAVE = (
    ASK
    + """until=$((SECONDS + {seconds}))
within() {{ [ $SECONDS -lt $until ] || {{ echo 'no snapshot was made in time' >&2; exit 1; }}; sleep 0.2; }}
while said=$(ask BGSAVE); [[ $said != *'Background saving started'* ]]; do
  case $said in *'in progress'*|*'child process'*|*LOADING*) within;; *) echo "no snapshot is made: $said" >&2; exit 1;; esac
done
while said=$(ask 'INFO persistence'); [[ $said == *rdb_bgsave_in_progress:1* ]]; do within; done
[[ $said == *rdb_last_bgsave_status:ok* ]] || {{ echo "the snapshot failed: see Redis's log" >&2; exit 1; }}
"""
)
# Beside it is said how many keys each database has, and how many changes have come since: where that is none, both are of one moment.
# The sum is made meanwhile; each opens the file for itself.
_SEND = (
    SAVE
    + """ask MULTI 'INFO keyspace' 'INFO persistence' EXEC | tr -d '\\r' | sed -nE \\
  's/^(db[0-9]+:keys=)/say keys \\1/p; s/^rdb_changes_since_last_save:/say changes /p' >&7 || true
exec 4< {data}/{snapshot} 5< {access}
exec 6< <(exec nice -n 19 sha256sum < /dev/fd/4)
tar -c -h -P -f - --transform 's,.*/4$,{snapshot},;s,.*/5$,{list},' /proc/self/fd/4 /proc/self/fd/5
if read -r sum _ <&6; then echo "say digest $sum" >&7; fi
"""
)

_RECEIVE = """d={data}.restoring; rm -rf {data}.restored "$d"
install -d -m 750 -o redis -g redis "$d"
tar -x --no-same-owner -f - -C "$d" {snapshot} {list}
said=$(redis-check-rdb "$d/{snapshot}") || {{ tail -n 5 <<< "$said" >&2; exit 1; }}
number() {{ sed -nE "s/^\\[info\\] ([0-9]+) $1/\\1/p" <<< "$said"; }}
sum=$(sha256sum < "$d/{snapshot}")
echo "$(number 'keys read') $(number expires) ${{sum%% *}}" > "$d/{mark}"
grep -q '^[0-9]* [0-9]* ' "$d/{mark}" || {{ echo 'the snapshot does not say how many keys it has' >&2; exit 1; }}
[ {name} = {snapshot} ] || mv "$d/{snapshot}" "$d/{name}"
chown -R redis:redis "$d"; chmod 660 "$d"/*; sync -f "$d"; mv "$d" {data}.restored; sync -f {data}.restored
"""

# The list leaves the folder with that, for it has what is kept of everybody's password.
_LET_IN = """set -e
f={file} l={list}; umask 077
if [ -f $l ]; then
  admin={admin} replica={replica} awk 'function own() {{ return $2 == ENVIRON["admin"] || $2 == ENVIRON["replica"] }}
    NR == FNR {{ if (own()) print; next }}
    $1 == "user" && !own()' $f $l > $f.new
  chown redis:redis $f.new; chmod 640 $f.new; mv $f.new $f; rm -f $l
fi"""
