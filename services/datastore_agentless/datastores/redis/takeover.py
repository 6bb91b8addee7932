"""How Redis's nodes change places. A primary is frozen by asking for more replicas than there are: it refuses every write.

Positions are counted in bytes of the stream to the replicas, which carries signs of life and expiries, too. A frozen primary
sends neither, so that nobody runs ahead of the node that is promoted: then everyone goes on from where it is, else Redis
copies all data anew. Counts compare within one history only: a primary that was restarted counts from nothing.

Source: Redis's documentation, "Redis replication", "CLIENT PAUSE" and the comments of redis.conf on min-replicas-to-write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.topology import REPLICATION_USER, Topology
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.standing import Standing
from services.datastore_agentless.hosts.base import CommandFailed, Put, Result, Script
from shared.errors import Retryable
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.redis.manager import RedisManager

ROLE_FILE = "/etc/redis/dtrove-role.conf"
PING_SECONDS = 2
# A primary that was not heard for longer than this does not live, as far as its replica knows.
_SILENCE_SECONDS = PING_SECONDS + 4

_WAITED_FOR, _PING = "min-replicas-to-write", "repl-ping-replica-period"
_FROZEN = {"min-replicas-max-lag": "10", _WAITED_FOR: "100"}
_FROZEN_ROLE = "".join(f"{name} {value}\n" for name, value in _FROZEN.items())
# No sign of life in years.
_STILL = {_PING: "100000000"}
_USUAL = {_WAITED_FOR: "0", _PING: str(PING_SECONDS)}
# Writers wait for so long, to be refused then: by the new primary's rules, as a rule. Meanwhile nothing expires.
_PAUSE_MS = 30_000


class Takeover(Topology):
    """The part of replication in which nodes change places."""

    manager: RedisManager

    def standing(self, node: Instance, primary: Instance) -> Script:
        """Ask for its role, and whether it refuses writes."""
        leads = node.id == primary.id
        sample = _WELL_PRIMARY if leads else _WELL_REPLICA.format(primary=primary.addr)
        answer = yield self.manager.asked(node, *_WHERE, title="see where it stands", changes=False, sample=sample)
        return self._read(answer)

    def freeze(self, primary: Instance) -> Script:
        """Have every write refused, and the stream to the replicas stand still."""
        yield _role(_FROZEN_ROLE, "write that it is frozen")
        words = [*_set(_FROZEN | _STILL), f"CLIENT PAUSE {_PAUSE_MS} WRITE"]
        answer = yield self.manager.asked(primary, *words, title="refuse writes", sample="OK\n")
        _see_all_well(answer, f"{primary.name} is not frozen")
        answer = yield self.manager.asked(
            primary, *_WHERE, title="see where it was frozen", changes=False, sample=_FROZEN_PRIMARY
        )
        return self._read(answer)

    def thaw(self, primary: Instance) -> Script:
        """Take writes again, and send signs of life."""
        yield _role("", "write that it follows nobody")
        yield from self._take_part(primary)

    def promote(self, replica: Instance) -> Script:
        """Follow nobody, and refuse nothing that a freeze of before may have left."""
        yield _role("", "write that it follows nobody")
        answer = yield self.manager.asked(replica, "REPLICAOF NO ONE", title="follow nobody", sample="OK\n")
        _see_all_well(answer, f"{replica.name} does not take writes")
        yield from self._take_part(replica)

    def demote(self, former: Instance, primary: Instance) -> Script:
        """Follow; frozen until it does."""
        yield from self.follow(former, primary)

    def follow(self, replica: Instance, primary: Instance) -> Script:
        """Follow now, and after a restart; only then is it thawed, where it was frozen."""
        login = {"masteruser": REPLICATION_USER, "masterauth": replica.replication_password.reveal(),
                 "replica-announce-ip": replica.addr}  # fmt: skip
        lines = [f"{name} {value}" for name, value in login.items()]
        yield _role(
            Secret("\n".join([*lines, f"replicaof {primary.addr} {self.manager.port}", ""])), "write whom to follow"
        )
        words = [*(f"CONFIG SET {name} {self.manager.argument(value)}" for name, value in login.items()),
                 f"REPLICAOF {self.manager.argument(primary.addr)} {self.manager.port}"]  # fmt: skip
        answer = yield self.manager.asked(replica, *words, title=f"follow {primary.name}", sample="OK\n")
        _see_all_well(answer, f"{replica.name} does not follow {primary.name}")
        yield from self._take_part(replica)

    def reset(self, node: Instance) -> Script:
        """Have it start frozen: `join` asks it over the network, and its data stay until the primary's have come.

        A primary that was restarted has a history of its own by Redis's count, so all is copied.
        """
        yield _role(_FROZEN_ROLE, "write that it is frozen")
        yield from self.manager.stop()
        yield from self.manager.start()

    def _take_part(self, node: Instance) -> Script:
        """Undo what a freeze has set; nothing of it means anything to a replica."""
        wished = {**self.manager.datastore.default_parameters, **node.parameters}
        usual = {name: str(wished.get(name, value)) for name, value in _USUAL.items()}
        answer = yield self.manager.asked(
            node, *_set(usual), "CLIENT UNPAUSE", title="end what a freeze has set", sample="OK\n"
        )
        _see_all_well(answer, f"{node.name} is still frozen")

    def _read(self, answer: Result) -> Standing:
        """Raises CommandFailed where the answer tells no role."""
        told = self.manager.told(answer)
        wanted = answer.text.rpartition(f"{_WAITED_FOR}\n")[2].strip()
        if "role" not in told or not wanted.isdigit():
            raise CommandFailed("Redis does not say where it stands", code=1, stderr=answer.text[-500:],
                                what_to_do="look at the database's own log")  # fmt: skip
        if told["role"] == "master":
            received = told["master_repl_offset"]
            return Standing(writable=wanted != _FROZEN[_WAITED_FOR], received=int(received),
                            position=f"{told.get('master_replid', '')}:{received}")  # fmt: skip
        return _replica(told)


def _replica(told: dict[str, str]) -> Standing:
    """A replica lacks nothing that is older than what it heard last: so old its data are at most."""
    received, up = told["slave_repl_offset"], told.get("master_link_status") == "up"
    age = int(told.get("master_last_io_seconds_ago" if up else "master_link_down_since_seconds", -1))
    return Standing(
        writable=False, received=int(received), position=f"{told.get('master_replid', '')}:{received}",
        follows=told.get("master_host", ""), streams=up and 0 <= age <= _SILENCE_SECONDS,
        lag_seconds=float(age) if age >= 0 else None,
    )  # fmt: skip


def _role(content: str | Secret, title: str) -> Put:
    return Put(ROLE_FILE, content, mode=0o640, owner="redis:redis", title=title)


def _set(values: dict[str, str]) -> list[str]:
    return [f"CONFIG SET {name} {value}" for name, value in values.items()]


def _see_all_well(answer: Result, what: str) -> None:
    """Raise CommandFailed where one of several answers is an error: redis-cli's exit code does not say.

    Raises Retryable where Redis still reads its data from the disk.
    """
    wrong = [line for line in answer.stdout.splitlines() if line.strip() and not line.startswith("OK")]
    if any(line.startswith("LOADING") for line in wrong):
        raise Retryable(f"{what}: it still reads its data from the disk")
    if wrong:
        raise CommandFailed(f"{what}: {wrong[0]}", code=1, stderr="\n".join(wrong), what_to_do="retry the operation")


_WHERE = ("INFO replication", f"CONFIG GET {_WAITED_FOR}")
_WELL_PRIMARY = f"role:master\nmaster_repl_offset:1000\n{_WAITED_FOR}\n0\n"
_FROZEN_PRIMARY = f"role:master\nmaster_repl_offset:1000\n{_WAITED_FOR}\n{_FROZEN[_WAITED_FOR]}\n"
_WELL_REPLICA = (
    "role:slave\nmaster_host:{primary}\nmaster_link_status:up\nmaster_last_io_seconds_ago:1\nslave_repl_offset:1000\n"
    f"{_WAITED_FOR}\n0\n"
)
