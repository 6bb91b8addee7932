"""Redis's data as a snapshot in its own format, or as lines of JSON, one or more for each key.

A line is `{"db": 0, "key": "k", "type": "hash", "expires_at_ms": null, "base64": false, "value": ["field", "value"]}`: `value` is what
SET, RPUSH, SADD, HSET or ZADD take after the key. Where a key or a value is no UTF-8, both are in base64. A collection of more than
ten thousand members has several lines. Lines are no snapshot: each key is as it was when its turn came.

Source: Redis's documentation, "SCAN", "EVAL", "INFO" and "Redis persistence"; RFC 3629 and RFC 4648.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.exporting import Exporting
from services.datastore_agentless.datastores.redis.dumping import ASK, SAVE, SAVE_SECONDS, SNAPSHOT
from services.datastore_agentless.domain.export import Choice
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Script, quote
from shared.contracts.exports import RDB
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.redis.manager import RedisManager

KEYS_AT_ONCE = 200


class RedisExporting(Exporting):
    """As the administrator over the network address, on a primary and on a replica alike."""

    manager: RedisManager
    engine = "redis"

    @property
    def tool(self) -> str:
        """What speaks with it."""
        return "redis-cli"

    def login(self, node: Instance) -> Secret:
        """The command that logs in."""
        return Secret(self.manager.login(node))

    def databases(self, node: Instance, choice: Choice) -> Script:
        """Those that have keys, or that were chosen: each number is one, with keys or without."""
        told = yield self.manager.asked(node, "INFO keyspace", title="see what databases there are", changes=False,
                                        sample="db0:keys=1,expires=0,avg_ttl=0\n")  # fmt: skip
        there = [name.removeprefix("db") for name in self.manager.told(told) if name[2:].isdigit()]
        return list(choice.databases) or there or ["0"]

    def sends(self, node: Instance, choice: Choice, databases: Sequence[str]) -> str:
        """A snapshot that is begun now, or key after key."""
        place = {"addr": quote(node.addr), "port": self.manager.port}
        if choice.format == RDB:
            data = quote(self.manager.data_path(node))
            return _SNAPSHOT.format(**place, seconds=SAVE_SECONDS, data=data, snapshot=SNAPSHOT)
        return _LINES.format(**place, names=" ".join(map(quote, databases)), at_once=KEYS_AT_ONCE,
                             program=quote(self.manager.argument(_PROGRAM)))  # fmt: skip

    def restore(self, choice: Choice) -> str:
        """A snapshot is read by a server that starts, without a log of writes; lines by one that runs."""
        if choice.format == RDB:
            return "install -o redis -g redis -m 660 /dev/stdin /var/lib/redis/dump.rdb"
        return f"python3 -c {quote(TO_COMMANDS)} | redis-cli --pipe"


# Once open, the file stays what it is.
_SNAPSHOT = (
    SAVE
    + """exec 5< {data}/{snapshot}
ask 'INFO keyspace' | sed -nE 's/^db([0-9]+):keys=([0-9]+),.*/\\1 \\2/p' | while read -r name rows; do
  printf 'say {{"database": "%s", "table": "", "rows": %s}}\\n' "$name" "$rows" >&7
done
cat <&5
"""
)

# The first two lines that it answers with are those of the login and of the choice of the database, the third says where to go on.
_LINES = (
    ASK
    + """program={program}
at=$(mktemp -p /run); trap 'rm -f "$at"' EXIT
for name in {names}; do
  cursor=0 rows=$(ask "SELECT $name" DBSIZE | tail -n 1)
  [[ $rows =~ ^[0-9]+$ ]] || {{ echo "Redis does not give its keys: $rows" >&2; exit 1; }}
  printf 'say {{"database": "%s", "table": "", "rows": %s}}\\n' "$name" "$rows" >&7
  while :; do
    ask "SELECT $name" "EVAL $program 0 $cursor {at_once} $name" | {{
      IFS= read -r greeted && IFS= read -r selected && IFS= read -r next || true
      if [ "$greeted$selected" != OKOK ] || [[ ! $next =~ ^[0-9]+$ ]]; then
        echo "Redis does not give its keys: $greeted, $selected, $next" | head -c 500 >&2
        exit 1
      fi
      echo "$next" > "$at"
      cat
    }}
    read -r cursor < "$at"
    [ "$cursor" != 0 ] || break
  done
done
"""
)

_PROGRAM = r"""
local letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
local function base64(s)
  local out = {}
  for i = 1, #s, 3 do
    local a, b, c = string.byte(s, i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    local four = {math.floor(n / 262144), math.floor(n / 4096) % 64, b and math.floor(n / 64) % 64, c and n % 64}
    for j = 1, 4 do out[#out + 1] = four[j] and string.sub(letters, four[j] + 1, four[j] + 1) or '=' end
  end
  return table.concat(out)
end
local function is_text(s)
  if not string.find(s, '[\128-\255]') then return true end
  local i, n = 1, #s
  while i <= n do
    local c = string.byte(s, i)
    local more = 0
    if c > 244 or (c > 127 and c < 194) then return false
    elseif c > 239 then more = 3 elseif c > 223 then more = 2 elseif c > 127 then more = 1 end
    for j = i + 1, i + more do
      local d = string.byte(s, j)
      if not d or d < 128 or d > 191 then return false end
    end
    local d = string.byte(s, i + 1)
    if (c == 224 and d < 160) or (c == 237 and d > 159) or (c == 240 and d < 144) or (c == 244 and d > 143) then return false end
    i = i + more + 1
  end
  return true
end
local readers = {
  string = function(k) return {redis.call('GET', k)} end,
  list = function(k) return redis.call('LRANGE', k, 0, -1) end,
  set = function(k) return redis.call('SMEMBERS', k) end,
  hash = function(k) return redis.call('HGETALL', k) end,
  zset = function(k)
    local v = redis.call('ZRANGE', k, 0, -1, 'WITHSCORES')
    for i = 1, #v, 2 do v[i], v[i + 1] = v[i + 1], v[i] end
    return v
  end,
}
local now = redis.call('TIME')
local found = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
local out = {found[1]}
for _, key in ipairs(found[2]) do
  local kind = redis.call('TYPE', key)['ok']
  if kind ~= 'none' then
    if not readers[kind] then return redis.error_reply('ERR the key ' .. key .. ' is a ' .. kind .. ', which no line of JSON holds: choose the format rdb') end
    local value, rest, plain = readers[kind](key), redis.call('PTTL', key), is_text(key)
    local ends = rest > 0 and tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) + rest or cjson.null
    for _, one in ipairs(value) do plain = plain and is_text(one) end
    for first = 1, #value, 20000 do
      local some = {}
      for i = first, math.min(#value, first + 19999) do some[#some + 1] = plain and value[i] or base64(value[i]) end
      out[#out + 1] = cjson.encode({db = tonumber(ARGV[3]), key = plain and key or base64(key), type = kind, expires_at_ms = ends,
                                    base64 = not plain, value = some})
    end
  end
end
return out
"""

# Of lines on standard input the commands that they stand for, as Redis's protocol has them.
TO_COMMANDS = (
    "import sys,json,base64;"
    'verbs={"string":"SET","list":"RPUSH","set":"SADD","hash":"HSET","zset":"ZADD"};'
    "write=sys.stdout.buffer.write;"
    'say=lambda words:write(b"*%d\\r\\n"%len(words)+b"".join(b"$%d\\r\\n%s\\r\\n"%(len(word),word) for word in words));'
    "[None for line in map(json.loads,sys.stdin) "
    'for read in [base64.b64decode if line["base64"] else str.encode] for key in [read(line["key"])] '
    'for words in [[b"SELECT",b"%d"%line["db"]],[verbs[line["type"]].encode(),key,*map(read,line["value"])],'
    '*([[b"PEXPIREAT",key,b"%d"%line["expires_at_ms"]]] if line["expires_at_ms"] else [])] if say(words)<0]'
)
