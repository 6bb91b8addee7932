"""Keys back into Redis: lines of JSON as the commands that they stand for, a snapshot by a second server that gives up its keys.

Only a server that starts reads a snapshot, and this one serves: so another one starts beside it, on a socket of its own and on
nothing else, reads it, and each of its keys goes over as DUMP has it, by RESTORE, with what is left of its time to live. That
needs the snapshot's room in the node's memory a second time. Redis has no transaction of that size: keys come into databases
that have none, which are emptied again where the import fails.

Source: Redis's documentation, "DUMP", "RESTORE", "SCAN", "Redis serialization protocol" (also on inline commands) and "redis-cli".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.importing import Importing
from services.datastore_agentless.datastores.base.proving import as_user
from services.datastore_agentless.datastores.redis.dumping import ASK, SNAPSHOT
from services.datastore_agentless.datastores.redis.exporting import TO_COMMANDS
from services.datastore_agentless.domain.importing import Contents
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Script, quote
from shared.contracts.exports import RDB
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.redis.manager import RedisManager

START_SECONDS = 6 * 3600
# What is in memory is packed less closely than a snapshot, and is there twice for a time.
ROOM_TIMES = 3


class RedisImporting(Importing):
    """As the administrator over the network address."""

    manager: RedisManager
    engine = "redis"
    packages = ("python3",)

    def login(self, node: Instance) -> Secret:
        """The command that logs in, as redis-cli and the server itself read it from a line."""
        return Secret(self.manager.login(node))

    def sees(self, node: Instance, contents: Contents) -> str:
        """Databases that have keys."""
        ask = ASK.format(addr=quote(node.addr), port=self.manager.port)
        return f"{ask}{_SEES.format(names=' '.join(map(quote, contents.databases)))}"

    def load(self, node: Instance, contents: Contents) -> str:
        """All keys, then how many there are."""
        place = {"addr": quote(node.addr), "port": self.manager.port}
        if contents.format == RDB:
            data = quote(self.manager.data_path(node))
            read = _SNAPSHOT.format(**place, data=data, snapshot=SNAPSHOT, run=as_user("redis"), copy=quote(_COPY),
                                    seconds=START_SECONDS, times=ROOM_TIMES, databases=max(16, *(int(one) + 1 for one in contents.databases)))  # fmt: skip
        else:
            read = _LINES.format(**place, to_commands=quote(TO_COMMANDS))
        names = " ".join(map(quote, contents.databases))
        return f"{read}{ASK.format(**place)}{_COUNT.format(names=names)}"

    def drop(self, node: Instance, contents: Contents) -> Script:
        """They had no keys before."""
        for name in contents.databases:
            yield self.manager.asked(node, f"SELECT {name}", "FLUSHDB", title=f"empty database {name} again")

    def stays(self, contents: Contents) -> str:
        """Who has written a key cannot be told."""
        return f"keys that others write into {_of(contents)} meanwhile go as well where the import fails"

    def undone(self, contents: Contents) -> str:
        """There is no transaction of that size."""
        return f"{_of(contents)} {'is' if len(contents.databases) == 1 else 'are'} emptied again"


def _of(contents: Contents) -> str:
    return f"database{'' if len(contents.databases) == 1 else 's'} {', '.join(contents.databases)}"


_SEES = """said=$(ask 'INFO keyspace'); [[ $said == OK* ]] || {{ echo "Redis does not say what it has: $said" | head -c 500 >&2; exit 1; }}
for name in {names}; do
  [[ $said != *db"$name":keys=* ]] || echo "keys in database $name"
done"""

# The server takes the first line as redis-cli itself would have it.
_LINES = """{{ printf '%s\\r\\n' "$login"; python3 -c {to_commands}; }} | redis-cli -h {addr} -p {port} --pipe >&2
"""

_SNAPSHOT = """d=$(mktemp -d {data}.rdb.XXXXXX); server=
end() {{ [ -z "$server" ] || {{ kill "$server"; wait "$server"; }} 2>/dev/null || true; rm -rf "$d"; }}
trap end EXIT
trap 'exit 143' TERM INT HUP
chown redis:redis "$d"
cat > "$d/{snapshot}"; chmod 644 "$d/{snapshot}"
needed=$(($(stat -c %s "$d/{snapshot}") * {times} / 1024)) there=$(awk '/^MemAvailable:/ {{ print $2 }}' /proc/meminfo)
[ "${{there:-0}}" -ge "$needed" ] || {{ echo "the node has $there kB of memory left, and its snapshot may need $needed kB" >&2; exit 1; }}
{run} redis-server --port 0 --unixsocket "$d/s" --unixsocketperm 700 --dir "$d" --dbfilename {snapshot} --appendonly no \\
  --databases {databases} --save '' --daemonize no --logfile "$d/log" </dev/null >/dev/null 2>&1 4>&- &
server=$!
{{ echo 1000 > "/proc/$server/oom_score_adj"; }} 2>/dev/null || true
until=$((SECONDS + {seconds}))
while said=$(redis-cli -s "$d/s" PING 2>&1) || true; [ "$said" != PONG ]; do
  kill -0 "$server" 2>/dev/null && [ $SECONDS -lt $until ] || {{ echo 'the snapshot cannot be read' >&2; tail -n 5 "$d/log" >&2; exit 1; }}
  sleep 0.2
done
printf '%s\\n' "$login" | python3 -c {copy} "$d/s" {addr} {port}
end; trap - EXIT
"""

_COUNT = """for name in {names}; do
  rows=$(ask "SELECT $name" DBSIZE | tail -n 1)
  [[ $rows =~ ^[0-9]+$ ]] || {{ echo "Redis does not count its keys: $rows" | head -c 500 >&2; exit 1; }}
  printf 'say {{"database": "%s", "table": "", "rows": %s}}\\n' "$name" "$rows" >&4
done
"""

# Should memory run out all the same, the kernel ends the second server first.
# From the server at a socket to the one at an address, a hundred keys at a time; what has ended meanwhile is passed over.
_COPY = r"""
import socket, sys

def words(*parts):
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)

class Server:
    def __init__(self, sock):
        self.sock, self.file = sock, sock.makefile("rb")

    def ask(self, *commands):
        self.sock.sendall(b"".join(commands))
        return [self.read() for _ in commands]

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            sys.exit("Redis has ended the session")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            sys.exit("Redis refuses: " + rest[:300].decode("utf-8", "replace"))
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest

login = sys.stdin.buffer.readline().strip() + b"\r\n"
near = socket.socket(socket.AF_UNIX)
near.connect(sys.argv[1])
source, target = Server(near), Server(socket.create_connection((sys.argv[2], int(sys.argv[3])), 60))
target.ask(login)
(told,) = source.ask(words("INFO", "keyspace"))
for line in told.decode().splitlines():
    if not line.startswith("db"):
        continue
    number, cursor = line[2:line.index(":")], b"0"
    source.ask(words("SELECT", number))
    target.ask(words("SELECT", number))
    while True:
        ((cursor, keys),) = source.ask(words("SCAN", cursor, "COUNT", 100))
        given = source.ask(*[words(verb, key) for key in keys for verb in ("DUMP", "PTTL")]) if keys else []
        there = [(key, given[2 * at], given[2 * at + 1]) for at, key in enumerate(keys) if given[2 * at] and given[2 * at + 1] != -2]
        if there:
            target.ask(*[words("RESTORE", key, max(rest, 1) if rest >= 0 else 0, value, "REPLACE") for key, value, rest in there])
        if cursor == b"0":
            break
"""
